"""When a neuron gets its meaning, read from the analysis that ships: `features/steps/columns.json` of both models.

    python -m claims.trace [--config CONFIG]

`topk-lm analyze --checkpoints` wrote it, over one text and with one definition for all steps: the Jensen–Shannon distance between the tokens
at a unit's 100 highest activations at a step and at the last one. A unit has its final meaning by a step if from there on the distance stays
≤ `js_bound`. At the last step a unit is compared with itself, so that step is left out, and what only it would settle is `not_settled`.
Step 0 is the control: how many are as near before any training. All steps are analyzed with the k of the final model; `trained_with_k` says which
k the training had until which step, where it came down (CONFIG). Units with fewer than `RARE_BELOW` activations in the final model are left out.
"""

import json
from pathlib import Path

import numpy as np

from topklm import stats

from . import common
from .compute import trained_by


def emergence(columns: dict, bound: float) -> dict:
    """Figures of a columns.json: steps without the last, and by step the share of units that have their final meaning by it, that are
    near it at it, and the median distance; also by layer."""
    steps, distances = columns["steps"], np.array(columns["columns"]["js_to_final"], dtype=float)  # [steps, layers · d]
    usable = np.array(columns["columns"]["n"][-1]) >= stats.RARE_BELOW
    first = stats.emergence(distances, bound)

    def by(which):
        return [float((first[which] <= n).mean()) for n in range(len(steps) - 1)]

    layers = np.repeat(columns["layers"], distances.shape[1] // len(columns["layers"]))
    early = distances[:-1, usable]
    return {
        "steps": steps[:-1],
        "last_step": steps[-1],
        "units": int(usable.sum()),
        "emerged_share": by(usable),
        "within_share": [float((d <= bound).mean()) for d in early],
        "median_js": [float(np.median(d)) for d in early],
        "not_settled": float((first[usable] >= len(steps) - 1).mean()),
        "emerged_share_by_layer": {str(layer): by(usable & (layers == layer)) for layer in columns["layers"]},
    }


def main():
    p = common.parser(__doc__, data=False, folders=True)
    common.takes_config(p)
    args = p.parse_args()
    result = {}
    for key, given, name in (("topk", args.topk, common.TOPK), ("dense", args.dense, common.DENSE)):
        features = (given or args.models / name) / "features"
        path = features / "steps" / "columns.json"
        if not path.exists():
            if key == "topk":
                raise FileNotFoundError(f"{path} does not exist: topk-lm analyze --checkpoints writes it")
            continue
        bound = json.loads((features / "index.json").read_text())["emergence_js"]
        result[key] = {"model": Path(features.parent).name} | emergence(json.loads(path.read_text()), bound)
        c, train = trained_by(args.config, features.parent)
        if train and c.topk_k is not None:
            planned = train.steps(c.n_ctx)  # without those of `more`, as the trainer takes the shares
            result[key]["trained_with_k"] = [*([round(until * planned), k] for until, k in train.anneal), [result[key]["last_step"], c.topk_k]]
        result["js_bound"] = bound
    common.write(args.results, "trace", result)


if __name__ == "__main__":
    common.run(main)
