"""How few units of a hidden state decide the next word: activation patching, taken apart unit by unit.

    python -m claims.patches [--sae DIR …]

Two texts differ in one word (`patches.toml`). Behind a block, at that word, the second text's state is set to the first's, unit by unit, and the
log odds of two tokens are read at the end of the text: of the token that each text makes likelier (the one that takes most of the divergence of both
next-token distributions, in the model at hand). 0 is the second text, 1 the first. A pair counts if the log odds differ by `least_odds` in both models.

Each unit is patched alone; then the n that bring most are patched together, for n of `SIZES`; and the whole state. Units:

topk        the neurons of the TopK model
dense       the coordinates of its dense twin
…_rotated   the same states in a random orthogonal basis: whether it is the basis, or that states differ in few directions
sae NAME    the features of an SAE on the twin, behind its block, what it does not explain left as it is; `whole` is all features

`units` is the least n of a grid with four fifths of what the whole state brings (of an SAE: of what the twin's whole state brings); pairs for which
no n is enough count as more than all others. `units_of_own` is of what the units have together. Twin: www/src/lib/patch/patching.ts, of the site's page Patch.
"""

import tomllib
from pathlib import Path

import numpy as np
import torch

from . import common
from .sae import SAE

SIZES = (1, 2, 4, 8, 16, 32)
GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
ENOUGH = 0.8
PAIRS = Path(__file__).with_suffix(".toml")
# Rows of a batch.
ROWS = 256


class Pair:
    """Two texts as one model reads them."""

    def __init__(self, model, first, second):
        self.model, self.ids = model, [torch.tensor([ids]) for ids in (first, second)]
        self.position = next(t for t, (a, b) in enumerate(zip(first, second)) if a != b)
        self.streams = [model.stream(ids) for ids in self.ids]
        ends = [self._end(streams[-1][:, -1]).log_softmax(-1)[0] for streams in self.streams]
        self.next = tuple(int((p.exp() * (p - q)).argmax()) for p, q in (ends, ends[::-1]))
        self.odds = [float(end[self.next[0]] - end[self.next[1]]) for end in ends]

    def _end(self, state):
        """Logits [N, V] of the last position's states [N, d]."""
        return self.model.logits(state).float()

    def states(self, block):
        """(first, second) [d] behind a block, at the word."""
        return tuple(streams[block][0, self.position] for streams in self.streams)

    def shares(self, block, states) -> np.ndarray:
        """How far the log odds come over where the second text's state is one of `states` [N, d]."""
        out = []
        for rows in states.split(ROWS):
            x = self.streams[1][block].repeat(len(rows), 1, 1)
            x[:, self.position] = rows
            logits = self._end(self.model.onward(x, block + 1)[:, -1])
            out.append(logits[:, self.next[0]] - logits[:, self.next[1]])
        return ((torch.cat(out) - self.odds[1]) / (self.odds[0] - self.odds[1])).numpy(force=True)


def apart(pair, block, parts) -> dict:
    """Figures of one state: `parts` [U, d] are what its units add to the second text's state, those that differ alone."""
    second = pair.states(block)[1]
    alone = pair.shares(block, second + parts) if len(parts) else np.zeros(0)
    order = np.argsort(-alone, kind="stable")
    sums = torch.cumsum(parts[torch.as_tensor(order)], 0)
    sizes = [n for n in sorted({*SIZES, *GRID}) if n <= len(parts)]
    together = dict(zip(sizes, pair.shares(block, second + sums[[n - 1 for n in sizes]]))) if sizes else {}
    whole = float(pair.shares(block, (second + parts.sum(0))[None])[0])
    return {"differ": len(parts), "whole": whole, "together": together}


def units_needed(found, whole) -> float:
    """The least n of the grid with ENOUGH of `whole`; infinity where none has it."""
    return next((n for n in GRID if found["together"].get(n, -np.inf) >= ENOUGH * whole), np.inf)


def by_coordinate(first, second, basis=None):
    """What each coordinate (of `basis` [d, d], rows of unit length) adds, [U, d]; only those that differ."""
    difference = first - second if basis is None else basis @ (first - second)
    units = torch.nonzero(difference).flatten()
    rows = torch.eye(len(difference))[units] if basis is None else basis[units]
    return difference[units, None] * rows


def by_feature(sae, first, second):
    codes = sae.encode(torch.stack([first, second]))
    difference = codes[0] - codes[1]
    units = torch.nonzero(difference).flatten()
    return difference[units, None] * sae.directions()[units] * sae.scale


def rotation(d) -> torch.Tensor:
    return common.rotation(d, 0)


def summary(found, wholes) -> dict:
    """Medians over the pairs; a size beyond what differs is the whole."""
    at = {n: np.median([f["together"].get(n, f["whole"]) for f in found]) for n in SIZES}
    units = np.array([units_needed(f, whole) for f, whole in zip(found, wholes)])
    own = np.array([units_needed(f, f["whole"]) for f in found])

    def middle(counts):
        return float(np.median(counts)) if np.isfinite(np.median(counts)) else None

    return {
        "pairs": len(found),
        "differ": np.median([f["differ"] for f in found]),
        "whole": np.median([f["whole"] for f in found]),
        "together": {str(n): share for n, share in at.items()},
        "units": middle(units),
        "units_of_own": middle(own),
        "at_most_two": np.mean([f <= 2 for f in units]),
    }


def read_pairs(tokenizer) -> tuple[list, float]:
    """[(ids, ids)] with one differing token each, and the least odds."""
    given = tomllib.loads(PAIRS.read_text())
    pairs = []
    for frame in given["frame"]:
        for words in frame["words"]:
            ids = [tokenizer.encode(frame["text"].replace("{}", word)).ids for word in words]
            if len(ids[0]) != len(ids[1]) or sum(a != b for a, b in zip(*ids)) != 1:
                raise ValueError(f"{PAIRS.name}: {words} are not one token each in “{frame['text']}”")
            pairs.append(tuple(ids))
    return pairs, given["least_odds"]


@torch.no_grad()
def measure(topk, dense, saes=(), blocks=None) -> dict:
    texts, least = read_pairs(topk.tokenizer)
    models = {"topk": topk.model} | ({"dense": dense.model} if dense else {})
    read = [{key: Pair(model, *ids) for key, model in models.items()} for ids in texts]
    kept = [pairs for pairs in read if all(abs(pair.odds[0] - pair.odds[1]) >= least for pair in pairs.values())]
    basis = rotation(topk.model.config.d_model)
    result = {"pairs": len(texts), "kept": len(kept), "least_odds": least, "enough": ENOUGH, "rows": {}}
    whole = {}
    cut = topk.cut_blocks
    for block in blocks or dict.fromkeys((cut[len(cut) // 2], cut[-1])):
        rows = {}
        for key in models:
            pairs = [each[key] for each in kept]
            for name, turned in ((key, None), (f"{key}_rotated", basis)):
                found = [apart(pair, block, by_coordinate(*pair.states(block), turned)) for pair in pairs]
                whole[key, block] = [f["whole"] for f in found]
                rows[name] = summary(found, whole[key, block])
        for name, sae in saes:
            if sae.layer == block:
                found = [apart(each["dense"], block, by_feature(sae, *each["dense"].states(block))) for each in kept]
                rows[f"sae {name}"] = summary(found, whole["dense", block])
        result["rows"][str(block)] = rows
        print(block, {name: (round(row["whole"], 2), row["units"]) for name, row in rows.items()}, flush=True)
    return result


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--data", type=Path, help="the folder that topklm.data wrote (the tokenizer of trainer's checkpoints)")
    p.add_argument("--sae", type=Path, nargs="*", default=[], help="folders of SAEs on the dense twin")
    p.add_argument("--blocks", type=int, nargs="*", help="behind which blocks; default: the one in the middle and the last with a TopK activation")
    args = p.parse_args()
    common.start(args)
    topk, dense = common.subjects(args, args.data)
    if args.sae and dense is None:
        p.error("--sae needs the dense twin that the SAEs were trained on")
    result = measure(topk, dense, [(folder.name, SAE.load(folder)) for folder in args.sae], args.blocks)
    models = {"topk": topk.about} | ({"dense": dense.about} if dense else {})
    common.write(args.results, "patches", {"models": models} | result)


if __name__ == "__main__":
    common.run(main)
