"""How well a few tokens tell where a unit is strong, from its strongest activations to all that a neuron has.

    python -m claims.strongest --data DATA [--sae DIR …] [--units 256] [--limit TOKENS]

At each share of all positions, those where the unit is largest count as active; at most 12 tokens are chosen in one half of the documents, each the one that raises
F1 most, and scored in the other (`even` of controls.py, which stands at one share). Units that are active at fewer positions are left out at that share, so that all
that are compared are active equally often. Of dense coordinates and rotated states the tail that scores better is taken, at each share anew: what favors the controls.
All behind one block, the last that is cut, of which the SAEs are. Control: the tokens of the unit half the width away.
"""

import json
from pathlib import Path

import numpy as np

from . import common, meaning
from .controls import Text, f1_of, rising_tokens, rotation, some_units, strongest_of_all
from .sae import SAE

SHARES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)


def told(column: np.ndarray, text: Text, share: float, frequency) -> tuple[list, list] | None:
    """(where a unit is strong, its tokens) by the half of the documents; `None` where it is active at fewer positions."""
    if (column > 0).mean() < share:
        return None
    active = strongest_of_all(column, share)
    masks = [active[text.half == h] for h in (0, 1)]
    return masks, [rising_tokens(masks[h], text.ids[text.half == h], frequency[h]) for h in (0, 1)]


def scored(masks, rules, text: Text, frequency) -> float:
    """Mean F1 of the tokens of either half in the other."""
    return float(np.mean([f1_of(rules[1 - h], masks[h], text.ids[text.half == h], frequency[h]) for h in (0, 1)]))


def at_share(x: np.ndarray, text: Text, d_vocab: int, signed: bool, share: float) -> dict:
    """Medians over the units of x [P, U]; `reach`: the share of them that are active at so many positions."""
    frequency = [np.bincount(text.ids[text.half == h], minlength=d_vocab) for h in (0, 1)]
    best = []
    for unit in range(x.shape[1]):
        tails = [told(sign * x[:, unit], text, share, frequency) for sign in ((1, -1) if signed else (1,))]
        scores = [(scored(*tail, text, frequency), tail) for tail in tails if tail]
        best.append(max(scores, key=lambda s: s[0]) if scores else None)
    others = [best[(unit + len(best) // 2) % len(best)] for unit in range(len(best))]
    f1 = [own[0] for own in best if own]
    shuffled = [scored(own[1][0], other[1][1], text, frequency) for own, other in zip(best, others, strict=True) if own and other]
    median = lambda of: float(np.median(of)) if of else None  # noqa: E731
    return {"f1": median(f1), "f1_shuffled": median(shuffled), "reach": len(f1) / len(best)}


def main():
    p = common.parser(__doc__)
    p.add_argument("--sae", type=Path, nargs="*", default=[], help="folders that claims.sae wrote, of the last block that is cut")
    p.add_argument("--units", type=int, default=256, help="drawn of each")
    p.add_argument("--limit", type=int, default=150_000, help="tokens of the held-out documents")
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    topk, dense = common.subjects(args, args.data)
    common.same_tokens(topk, args.data)
    c, block = topk.model.config, topk.cut_blocks[-1]
    text = Text(meaning.held_out_documents(args.data, args.limit), c.n_ctx)
    index = some_units(c.d_model, args.units)
    turn = rotation(c.d_model, block)[:, index]
    # Name -> model, what is picked of a state, and whether both tails count.
    rows = {"topk": (topk.model, lambda x, _: x[:, index], False), "topk_rotated": (topk.model, lambda x, _: x @ turn, True)}
    if dense is not None:
        rows["dense"] = (dense.model, lambda x, _: x[:, index], True)
        for path in args.sae:
            sae = SAE.load(path)
            if sae.layer != block:
                p.error(f"{path} is of block {sae.layer}; it must be of {block}")
            at = some_units(len(sae.decoder), args.units)
            rows[f"sae {path.name}"] = (dense.model, lambda x, _, sae=sae, at=at: sae.encode(x)[:, at], False)
    result = {"model": topk.about, "dense": dense and dense.about, "block": block, "tokens": len(text.ids), "units": args.units, "shares": SHARES, "rows": {}}
    for name, (model, pick, signed) in rows.items():
        x = text.states(model, [block], pick)[block]
        result["rows"][name] = {str(share): at_share(x, text, c.d_vocab, signed, share) for share in SHARES}
        print(name, json.dumps(common.rounded(result["rows"][name])), flush=True)
    common.write(args.results, "strongest", result | {"seconds": clock()})


if __name__ == "__main__":
    common.run(main)
