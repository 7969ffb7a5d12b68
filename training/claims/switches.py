"""Whether single neurons still turn a contrast behind prompts that they were not found with.

    python -m claims.switches

`topk-lm analyze --writes` finds, for each contrast (was / were, he / she, …), the neurons that move its log odds at least 1.5 times as far as the
best of 100 random neurons of the layer, each set to the largest value at which its texts stay readable (`features/switches.json`). Some of 5,000
neurons do that at three prompts by chance. Here each is set to the same value behind three fresh prompts (`switches.toml`), and beside it 100 other
random neurons of its layer at theirs.

listed      how many there are
same_side   share that move the log odds to the same side as before, in the mean over the fresh prompts; at every one of them
times       effect to that side over the largest of the random ones; quartiles, shares of at least 1 and 1.5, number of at least 3 (`SWITCH`)
random      the same figures of as many other random neurons, drawn anew for each contrast and layer, at the sides of those listed: what chance does
"""

import json
import tomllib
from pathlib import Path

import numpy as np
import torch

from . import common

PROMPTS = Path(__file__).with_suffix(".toml")
RANDOM = 100
# Twin, as the log odds are: crate/src/features/measure/ (switches.rs, contrasts.rs).
LISTED, SWITCH = 1.5, 3.0
# Rows of a batch.
ROWS = 256


class Prompt:
    """A prompt as the model reads it, and what becomes of a contrast behind it."""

    def __init__(self, model, ids, sides):
        self.model, self.ids, self.sides = model, torch.tensor([ids]), sides
        self.streams = model.stream(self.ids)
        self.plain = float(self.odds(self.streams[-1][:, -1])[0])

    def odds(self, state) -> torch.Tensor:
        """Log odds of the two sets of tokens [N] behind final states [N, d] of the last position."""
        p = self.model.logits(state).float().softmax(-1)
        first, second = (p[:, side].sum(-1).clamp(min=1e-30) for side in self.sides)
        return (first / second).log()

    def states(self, block, indices, values):
        """Final states of the last position [n, d], some at a time, where each of the neurons [N] behind `block` is set to its value there."""
        for at in range(0, len(indices), ROWS):
            own, to = torch.as_tensor(indices[at : at + ROWS]), torch.as_tensor(values[at : at + ROWS])
            x = self.streams[block].repeat(len(own), 1, 1)
            x[torch.arange(len(own)), -1, own] = to.to(x.dtype)
            yield self.model.onward(x, block + 1)[:, -1]

    def effects(self, block, indices, values) -> np.ndarray:
        """Change of the log odds where each of the neurons is so set, [N]."""
        return torch.cat([self.odds(x) - self.plain for x in self.states(block, indices, values)]).numpy(force=True)

    def divergence(self, block, indices, values) -> np.ndarray:
        """KL(before ‖ after) of the next token where each of the neurons is so set, nats [N]."""
        log = lambda x: self.model.logits(x).float().log_softmax(-1)  # noqa: E731
        before = log(self.streams[-1][:, -1])
        return torch.cat([(before.exp() * (before - log(x))).sum(-1) for x in self.states(block, indices, values)]).numpy(force=True)


def control(random, effects, index) -> float:
    """The largest mean effect of the random neurons (effects [N, prompts]), without the neuron itself."""
    return float(np.abs(effects.mean(1)[random != index]).max())


def stand_ins(rng, neurons, own) -> np.ndarray:
    """As many of the neurons as there are `own`, others than these, drawn anew."""
    others = np.setdiff1d(neurons, own)
    return rng.choice(others, min(len(own), len(others)), replace=False)


def beside_random(prompts, layer, own, set_to, sides, known, values, rng) -> tuple[list, list]:
    """What the neurons `own` [N] behind a block do at each prompt, set to their values [N], and as many others, drawn anew, at theirs of `values`:
    of either [(effects [prompts], the side that it should go to, largest effect of the random ones)]. The random ones are the first of `known`,
    the block's neurons in random order."""
    random, others = known[:RANDOM], stand_ins(rng, known[RANDOM:], own)
    indices = np.concatenate([random, others, own]).astype(int)
    to = np.concatenate([values[random], values[others], set_to]).astype(np.float32)
    effects = np.stack([p.effects(layer, indices, to) for p in prompts], axis=1)
    of_random, of_others, of_own = np.split(effects, [len(random), len(random) + len(others)])
    rows = [(effect, side, control(random, of_random, index)) for effect, side, index in zip(of_own, sides, own, strict=True)]
    return rows, [(effect, side, control(random, of_random, None)) for effect, side in zip(of_others, sides)]


def figures(effects, side, best) -> dict:
    """Of effects [N, prompts] with the sides [N] that they should go to, and the largest effect of random neurons [N]."""
    toward = effects * side[:, None]
    times = toward.mean(1) / best
    return {
        "same_side": {"mean": float((toward.mean(1) > 0).mean()), "every": float((toward > 0).all(1).mean())},
        "times": common.quartiles(times)
        | {"at_least_1": float((times >= 1).mean()), "as_listed": float((times >= LISTED).mean()), "switches": int((times >= SWITCH).sum())},
    }


def measure(subject, folder: Path, prompts: dict) -> dict:
    """Figures of the neurons in FOLDER/switches.json."""
    listed = json.loads((folder / "switches.json").read_text())["switches"]
    contrasts = {c["name"]: c for c in json.loads((folder / "contrasts.json").read_text())["contrasts"]}
    index = json.loads((folder / "index.json").read_text())
    steer = np.array(index["columns"]["steer"], dtype=float).reshape(len(index["layers"]), -1)
    encode = lambda text: subject.tokenizer.encode(text).ids  # noqa: E731
    of_text = {subject.tokenizer.decode([t]): t for t in range(subject.tokenizer.get_vocab_size())}
    rng = np.random.default_rng(0)
    # By layer, in random order: the first are the control of the neurons listed.
    known = {layer: rng.permutation(np.flatnonzero(np.isfinite(row))) for layer, row in zip(index["layers"], steer)}
    values = {layer: steer[n].astype(np.float32) for n, layer in enumerate(index["layers"])}
    rows, chance = [], []
    for name, contrast in contrasts.items():
        own = [s for s in listed if s["contrast"] == name]
        if not own:
            continue
        sides = [[of_text[text] for text in contrast[side]] for side in ("a", "b")]
        read = [Prompt(subject.model, encode(text), sides) for text in prompts[name]]
        for layer in sorted({s["layer"] for s in own}):
            here = [s for s in own if s["layer"] == layer]
            indices, set_to = ([s[key] for s in here] for key in ("index", "value"))
            toward = [1 if s["effect"] > 0 else -1 for s in here]
            found, by_chance = beside_random(read, layer, indices, set_to, toward, known[layer], values[layer], rng)
            rows += [(s, *row) for s, row in zip(here, found, strict=True)]
            chance += by_chance
    result = {
        "model": subject.about,
        "listed": len(rows),
        "switches": sum(s["switch"] for s, *_ in rows),
        "contrasts": len({s["contrast"] for s, *_ in rows}),
    } | figures(*(np.array([row[n] for row in rows]) for n in (1, 2, 3)))
    result["random"] = figures(*(np.array([row[n] for row in chance]) for n in range(3)))
    strict = [row for row in rows if row[0]["switch"]]
    if strict:
        result["of_switches"] = figures(*(np.array([row[n] for row in strict]) for n in (1, 2, 3)))
    best_first = sorted(rows, key=lambda row: -row[1].mean() * row[2] / row[3])
    result["best"] = [
        {"name": s["name"], "contrast": s["contrast"], "layer": s["layer"], "index": s["index"], "value": s["value"]}
        | {"times": s["times"], "fresh_times": float(effect.mean() * side / best)}
        for s, effect, side, best in best_first[:40]
    ]
    return result


def main():
    p = common.parser(__doc__, data=False, folders=True)
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    folder = args.topk or args.models / common.TOPK
    subject = common.subject(folder)
    with torch.no_grad():
        result = measure(subject, folder / "features", tomllib.loads(PROMPTS.read_text())["prompts"])
    common.write(args.results, "switches", result | {"seconds": clock()})
    print(common.rounded({key: result[key] for key in ("listed", "switches", "times", "random")}))


if __name__ == "__main__":
    common.run(main)
