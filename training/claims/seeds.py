"""Whether another seed finds the same neurons.

    python -m claims.seeds --data DATA --other RUN/checkpoints/stepN.safetensors [--seed 2]

Compares the neurons of each cut block with those of another training of the same config that began with another seed (`topklm.train --config
configs/small.toml --seed 2`), over the same held-out text.
Initial weights, and so the numbers of the neurons, have nothing in common. A neuron of the one is matched to the neuron of the other
whose activations correlate most with its own. Controls: the other model's states in a random orthogonal basis (the same information,
without neurons), the other model before training, and the same index.

correlation   of the match, median; `above_half`: share of the neurons with one above 0.5
mutual        share of the matches that choose each other
tokens        1 - Jensen-Shannon distance of the tokens at the strongest tenth of activations, of the match and of random pairs, median
"""

import json
from pathlib import Path

import numpy as np
import torch

from topklm import stats
from topklm.model import TopKLM

from . import common, controls, proxy_meaning, quality

HIGH = 0.5


def correlations(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Pearson's, of every column of a [P, n] with every one of b [P, m]; 0 for constant columns."""

    def standard(x):
        x = x - x.mean(0)
        return x / x.norm(dim=0).clamp(min=1e-9)

    return standard(a).T @ standard(b)


def live(x: torch.Tensor) -> torch.Tensor:
    """The columns with enough activations, as indices."""
    return ((x > 0).sum(0) >= stats.RARE_BELOW).nonzero()[:, 0]


def tokens_of(x: np.ndarray, ids: np.ndarray, seed: int) -> dict:
    return controls.entropies(x, ids, np.random.default_rng(seed))[1]


def matched(a: torch.Tensor, b: torch.Tensor) -> dict:
    """How far the columns of a are found among those of b; the sign of a column of b is free where it has both."""
    r = correlations(a, b)
    best, at = r.max(1)
    back = r.argmax(0)
    return {
        "correlation": float(best.median()),
        "above_half": float((best > HIGH).float().mean()),
        "mutual": float((back[at] == torch.arange(len(at))).float().mean()),
    }


def alike(a, b, at, ids) -> dict:
    """Similarity of the tokens of each column of a with those of its match in b, and of a random one."""
    mine = [tokens_of(a[:, i].numpy(force=True), ids, i) for i in range(a.shape[1])]
    theirs = [tokens_of(b[:, i].numpy(force=True), ids, i) for i in range(b.shape[1])]
    other = np.random.default_rng(0).permutation(b.shape[1])
    pairs = {"match": at.tolist(), "random": [int(other[i % len(other)]) for i in range(len(mine))]}
    return {name: float(np.median([1 - stats.js_distance(s, theirs[j]) for s, j in zip(mine, of, strict=True)])) for name, of in pairs.items()}


def compare(one: TopKLM, other: TopKLM, fresh: TopKLM, ids: torch.Tensor) -> dict:
    """The figures by block, and their means; `fresh` is `other` before its training."""
    c = one.config
    blocks = c.cut_blocks
    x, y, z = (proxy_meaning.activations(model, ids, blocks) for model in (one, other, fresh))
    tokens = ids[:, 1:].flatten().numpy(force=True)
    result = {}
    for block in blocks:
        a, b = x[block][:, live(x[block])], y[block][:, live(y[block])]
        turned = y[block] @ controls.rotation(c.d_model, block)
        turned = torch.cat([turned, -turned], dim=1)
        both = live(x[block])[torch.isin(live(x[block]), live(y[block]))]
        same = torch.stack([correlations(x[block][:, [i]], y[block][:, [i]])[0, 0] for i in both])
        result[str(block)] = {
            "neurons": a.shape[1],
            "seeds": matched(a, b) | {"tokens": alike(a, b, correlations(a, b).argmax(1), tokens)},
            "rotated": matched(a, turned.clamp(min=0)),
            "untrained": matched(a, z[block][:, live(z[block])]),
            "same_index": {"correlation": float(same.median()), "above_half": float((same > HIGH).float().mean())},
        }
    return result


def means(blocks: dict) -> dict:
    """Over the blocks, figure by figure."""
    rows = list(blocks.values())

    def mean(key, *path):
        values = rows
        for part in (key, *path):
            values = [v[part] for v in values]
        return float(np.mean(values))

    names = {"seeds": ("correlation", "above_half", "mutual"), "rotated": ("correlation", "above_half", "mutual"),
             "untrained": ("correlation", "above_half", "mutual"), "same_index": ("correlation", "above_half")}  # fmt: skip
    out = {row: {name: mean(row, name) for name in figures} for row, figures in names.items()}
    out["seeds"]["tokens"] = {which: mean("seeds", "tokens", which) for which in ("match", "random")}
    return out


def main():
    p = common.parser(__doc__)
    p.add_argument("--other", type=Path, required=True, help="a trainer's checkpoint, or a model's folder, from another seed")
    p.add_argument("--seed", type=int, default=2, help="the seed of --other")
    p.add_argument("--positions", type=int, default=proxy_meaning.POSITIONS, help="of the held-out text")
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    one, other = common.subject(args.topk or args.models / common.TOPK, args.data), common.subject(args.other, args.data)
    if one.model.config != other.model.config:
        p.error(f"--other: {args.other} has another config than {one.about['name']}")
    common.same_tokens(one, args.data)
    arrays = common.texts(args.data)
    ids, _ = proxy_meaning.windows(args.data, one.model.config.n_ctx, args.positions)
    fresh = TopKLM(other.model.config).init_weights(args.seed).eval().requires_grad_(False)
    blocks = compare(one.model, other.model, fresh, ids)
    result = {
        "model": one.about,
        "other": other.about | {"seed": args.seed},
        "positions": ids.numel(),
        "held_out_nats": [quality.bits_per_byte(subject, arrays, one.tokenizer, "held_out")["nats_per_token"] for subject in (one, other)],
        "mean": means(blocks),
        "blocks": blocks,
        "seconds": clock(),
    }
    common.write(args.results, "seeds", result)
    print(json.dumps(common.rounded(result["mean"]), indent=1))


if __name__ == "__main__":
    common.run(main)
