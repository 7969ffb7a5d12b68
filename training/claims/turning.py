"""Whether neurons that are looked for by what they do, for any two words, do it elsewhere.

    python -m claims.turning --binary ../target/release/topk-lm

`topk-lm turn` (live on the site's Steer page) sets each neuron in turn behind a prompt and at four places of texts that go on from it, and lists those
that turn one next word into another at all of them, further than the best of 100 random neurons of their layer. Here that is asked for each pair of
`turning.toml`, and the first eight of each are set behind three fresh prompts, beside 100 random neurons of their layer at their own strengths.

pairs, found     how many pairs there are, and for how many of them something was found
listed           neurons in all; of each pair the share of the neurons of the model, `share`
nats, kl         how far the log odds turn behind the fresh prompts, and how far the next token's distribution moves there: quartiles over the neurons
kept             effect behind the fresh prompts over that where it was found, each the mean of a pair: quartiles over the pairs
same_side, times as of claims.switches
random           the same figures of as many other random neurons of the same layers: what chance does
dense            all of it for coordinates of the dense twin. No value at which their texts stay readable is known, so that they are set to their largest values
"""

import json
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import torch

from . import common
from .switches import Prompt, beside_random, figures

PAIRS = Path(__file__).with_suffix(".toml")
MOST = 8


def found(binary: Path, model: Path, pair: dict) -> dict:
    """What the command prints for a pair."""
    words = ["--from", pair["from"], "--to", pair["to"], "--prompt", pair["prompt"], "--most", str(MOST)]
    done = subprocess.run(
        [str(binary), "turn", "--model", str(model), "--backend", "cpu", *words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ValueError(f"topk-lm turn failed for {pair['from']} / {pair['to']}: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def strengths(index: dict) -> dict[int, np.ndarray]:
    """By layer what each neuron is set to, as the command takes it; NaN: unknown."""
    columns = [np.array(index["columns"].get(name) or [None] * len(index["columns"]["max"]), dtype=float) for name in ("steer", "strong", "max")]
    known = np.full_like(columns[0], np.nan)
    for column in reversed(columns):
        known = np.where(np.isfinite(column) & (column != 0), column, known)
    return dict(zip(index["layers"], known.reshape(len(index["layers"]), -1).astype(np.float32), strict=True))


def measure(subject, index: dict, pairs: list[dict], look) -> dict:
    """Figures over the pairs; `look(pair)` gives what was found."""
    values, rng = strengths(index), np.random.default_rng(0)
    known = {layer: rng.permutation(np.flatnonzero(np.isfinite(row))) for layer, row in values.items()}
    encode = lambda text: subject.tokenizer.encode(text).ids  # noqa: E731
    of_text = {subject.tokenizer.decode([t]): t for t in range(subject.tokenizer.get_vocab_size())}
    rows, chance, kept, best, counts, moved = [], [], [], [], [], []
    for pair in pairs:
        result = look(pair)
        counts.append(result["found"])
        turning = result["turning"]
        if not turning:
            continue
        sides = [[of_text[result["to"]]], [of_text[result["from"]]]]
        prompts = [Prompt(subject.model, encode(text), sides) for text in pair["fresh"]]
        mine = []
        for layer in sorted({t["layer"] for t in turning}):
            own = [t for t in turning if t["layer"] == layer]
            indices = np.array([t["index"] for t in own])
            set_to = values[layer][indices]
            found_here, by_chance = beside_random(prompts, layer, indices, set_to, [1] * len(own), known[layer], values[layer], rng)
            rows, chance, here = rows + found_here, chance + by_chance, [effect for effect, *_ in found_here]
            moved += list(np.mean([p.divergence(layer, indices, set_to) for p in prompts], axis=0))
            mine += [effect.mean() for effect in here]
            best += [
                {"from": pair["from"], "to": pair["to"]} | {key: t[key] for key in ("layer", "index", "effect")} | {"fresh": float(effect.mean())}
                for t, effect in zip(own, here, strict=True)
            ]
        kept.append(float(np.mean(mine)) / float(np.mean([t["effect"] for t in turning])))
    columns = [np.array([row[n] for row in rows]) for n in range(3)]
    total = sum(len(neurons) for neurons in known.values())
    return {
        "model": subject.about,
        "pairs": len(pairs),
        "found": len(kept),
        "listed": len(rows),
        "share": common.quartiles(np.array(counts) / total),
        "kept": common.quartiles(np.array(kept)),
        "nats": common.quartiles(columns[0].mean(1)),
        "kl": common.quartiles(np.array(moved)),
        **figures(*columns),
        "random": figures(*(np.array([row[n] for row in chance]) for n in range(3))),
        "best": sorted(best, key=lambda one: -one["fresh"])[:40],
    }


def main():
    p = common.parser(__doc__, data=False, folders=True)
    p.add_argument("--binary", type=Path, required=True, help="the topk-lm command")
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    pairs = tomllib.loads(PAIRS.read_text())["pair"]
    result = {}
    for name, folder in (("", args.topk or args.models / common.TOPK), ("dense", args.dense or args.models / common.DENSE)):
        if not (folder / "features" / "index.json").exists():
            continue
        index = json.loads((folder / "features" / "index.json").read_text())
        with torch.no_grad():
            own = measure(common.subject(folder), index, pairs, lambda pair: found(args.binary, folder, pair))  # noqa: B023
        result |= {name: own} if name else own
        print(name, common.rounded({key: own[key] for key in ("pairs", "found", "listed", "nats", "kl", "kept", "same_side", "times", "random")}), flush=True)
    common.write(args.results, "turning", result | {"seconds": clock()})


if __name__ == "__main__":
    common.run(main)
