"""What the neurons of a small model read and write, cheaply: for choosing among settings, not for the site (used by sweep_wide).

Token types are compared in a space that no model made: the left and right neighbors of each type in the training text (PPMI, SVD).
Of each cut block the same number of neurons is drawn, among those that are active at all, so that settings of different width compare.

reads    the coherence of the tokens at a neuron's strongest tenth of activations, weighted by activation (1: one token alone), and
         the entropy of their distribution
writes   the neuron is set to the 99th percentile of its activations in fixed contexts. The ten tokens that take most of the change
         of the next token's distribution: their coherence. Chance: ten tokens drawn from the lists of other neurons. `meaningful`:
         the share of neurons above the 95th percentile of chance
follows  nats by which the written change raises what really follows at the strongest hundredth of the neuron's activations, less the
         same at positions drawn at random
steers   for each of 20 concepts the best of these neurons: nats of log-mass gained where the distribution has moved by 0.3 nats
"""

import io
import tomllib
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from topklm.export import write_whole

from . import common, effect

NEURONS = 128  # of each block
POSITIONS = 40_000
CONTEXTS, LENGTH = 8, 16
STRENGTHS = (0.5, 1.0, 2.0)
DIVERGENCE = 0.3
CONCEPTS = Path(__file__).with_name("concepts.toml")


def space(data: Path, d_vocab: int, dims: int = 64, rare: int = 20) -> np.ndarray:
    """Unit vectors of the types [V, dims] by their neighbors in the training text; 0 for rare types. Cached beside the tokens, with what they were made of."""
    arrays, cache = common.texts(data), data / "neighbors.npz"
    of = f"{common.sha256(data / 'tokens.npz')} {d_vocab} {dims} {rare}"
    if cache.exists():
        cached = np.load(cache)
        if cached["of"] == of:
            return cached["vectors"]
    counts = np.zeros((d_vocab, 2 * d_vocab), dtype=np.float32)
    for name in common.sources(arrays):
        ids = arrays[f"{name}.ids"].astype(np.int64)
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
        np.add.at(counts, (ids[1:], d_vocab + ids[:-1]), 1)
    total, row, column = counts.sum(), counts.sum(1, keepdims=True), counts.sum(0, keepdims=True)
    expected = np.maximum(row @ column / total, 1e-9)
    ppmi = torch.as_tensor(np.log(np.maximum(counts / expected, 1.0)))
    torch.manual_seed(0)
    u, s, _ = torch.svd_lowrank(ppmi, q=dims, niter=3)
    vectors = (u * s.sqrt()).numpy(force=True)
    vectors -= vectors[row[:, 0] >= rare].mean(0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    vectors[row[:, 0] < rare] = 0
    whole = io.BytesIO()
    np.savez(whole, of=of, vectors=vectors)
    write_whole(cache, whole.getvalue())
    return vectors


def windows(data: Path, n_ctx: int, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, following) of held-out documents, each [rows, n_ctx], the same for all models; documents shorter than that are left out."""
    arrays = common.texts(data)
    ids, starts = arrays["held_out.ids"].astype(np.int64), arrays["held_out.starts"]
    rows = [ids[a : a + n_ctx + 1] for a, b in zip(starts[:-1], starts[1:], strict=True) if b - a > n_ctx]
    part = torch.as_tensor(np.stack(rows[: max(1, positions // n_ctx)]))
    return part[:, :-1], part[:, 1:]


def coherence(vectors: np.ndarray, weights: np.ndarray) -> float:
    """Mean cosine of two tokens drawn by their weights; rare tokens count as like nothing but themselves."""
    p = weights / weights.sum()
    known = np.linalg.norm(vectors, axis=1) > 0
    alone = (p[~known] ** 2).sum()
    return float(((p[:, None] * vectors).sum(0) ** 2).sum() + alone)


@torch.no_grad()
def activations(model, ids: torch.Tensor, blocks) -> dict[int, torch.Tensor]:
    """{block: [positions, d]}; the first position of a window is left out."""
    parts = {block: [] for block in blocks}
    for at in range(0, len(ids), 16):
        streams = model.stream(ids[at : at + 16])
        for block in blocks:
            parts[block].append(streams[block][:, 1:].flatten(0, 1))
    return {block: torch.cat(p) for block, p in parts.items()}


def reads(x: np.ndarray, tokens: np.ndarray, vectors: np.ndarray) -> tuple[float, float]:
    """(coherence, entropy in bits) of the tokens at the strongest tenth of the activations x > 0 [positions]."""
    active = np.flatnonzero(x > 0)
    strongest = active[np.argsort(-x[active], kind="stable")[: max(10, len(active) // 10)]]
    types, inverse = np.unique(tokens[strongest], return_inverse=True)
    weights = np.bincount(inverse, weights=x[strongest])
    p = weights / weights.sum()
    return coherence(vectors[types], weights), float(-(p * np.log2(p)).sum())


@torch.no_grad()
def written(model, handles: effect.Handles, ids: torch.Tensor, chunk: int = 32):
    """What setting each handle at the last position of ids [P, T] does to the next token: (mean change of log p, mean share of the
    divergence), each [handles, V]."""
    base, P = model.stream(ids), len(ids)

    def outcome(x):
        return model.logits(x[:, -1]).float().log_softmax(-1)

    before = outcome(base[-1])
    change, share = (np.zeros((len(handles.layer), before.shape[-1]), dtype=np.float32) for _ in range(2))
    for layer in np.unique(handles.layer):
        mine = np.flatnonzero(handles.layer == layer)
        for at in range(0, len(mine), chunk):
            part = mine[at : at + chunk]
            x = base[layer].repeat(len(part), 1, 1)
            x[torch.arange(len(x)), -1, torch.as_tensor(handles.index[part]).repeat_interleave(P)] = (
                torch.as_tensor(handles.top[part]).float().repeat_interleave(P)
            )
            after = outcome(model.onward(x, layer + 1)).unflatten(0, (len(part), P))
            change[part] = (after - before).mean(1).numpy(force=True)
            share[part] = (after.exp() * (after - before)).mean(1).numpy(force=True)
    return change, share


def drawn(x: torch.Tensor, block: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(indices, 99th percentile of the activations) of `count` neurons drawn among those active at 20 positions or more."""
    alive = np.flatnonzero(((x > 0).sum(0) >= 20).numpy(force=True))
    index = np.sort(np.random.default_rng([7, block]).permutation(alive)[:count])
    top = [float(torch.quantile(x[:, i][x[:, i] > 0], 0.99)) for i in index]
    return index, np.array(top)


def measure(model, data: Path, positions: int = POSITIONS, neurons: int = NEURONS) -> dict:
    """The figures of the module's description, as medians over the neurons, with their controls."""
    c = model.config
    vectors = space(data, c.d_vocab)
    ids, following = windows(data, c.n_ctx, positions)
    blocks = c.cut_blocks
    if c.topk_k is None:
        blocks = blocks[:-1]  # what a cut model with one uncut block has
    x = activations(model, ids, blocks)
    tokens, after = ids[:, 1:].flatten().numpy(force=True), following[:, 1:].flatten().numpy(force=True)
    picked = {b: drawn(x[b], b, neurons) for b in blocks}
    layer = np.concatenate([np.full(len(picked[b][0]), b) for b in blocks])
    index, top = (np.concatenate([picked[b][i] for b in blocks]) for i in (0, 1))
    handles = effect.Handles("topk", blocks, layer, index, top)
    fixed = ids[:: max(1, len(ids) // CONTEXTS)][:CONTEXTS, :LENGTH]
    change, share = written(model, handles, fixed)

    lists = np.argsort(-share, axis=1)[:, :10]
    rng = np.random.default_rng(8)
    mixed = np.stack([rng.permutation(lists[:, rank]) for rank in range(10)], axis=1)
    equal = np.ones(10)
    write, chance = ([coherence(vectors[row], equal) for row in some] for some in (lists, mixed))
    read, follows = [], []
    anywhere = rng.integers(0, len(after), 2000)
    for n, (b, i) in enumerate(zip(layer, index, strict=True)):
        column = x[b][:, i].numpy(force=True)
        read.append(reads(column, tokens, vectors))
        order = np.argsort(-column, kind="stable")[: max(20, int((column > 0).sum()) // 100)]
        follows.append(change[n][after[order]].mean() - change[n][after[anywhere]].mean())

    tokenizer = Tokenizer.from_file(str(data / "tokenizer.json"))
    concepts = tomllib.loads(CONCEPTS.read_text())["concept"]
    words = [effect.token_ids(tokenizer, entry["words"]) for entry in concepts]
    base = effect.effects(model, handles, fixed, words, strength=0)[0]
    runs = [effect.effects(model, handles, fixed, words, strength=s) for s in STRENGTHS]
    _, mass = effect.at_limit(
        np.array(STRENGTHS), np.stack([m for m, _ in runs]), np.stack([d for _, d in runs]), base, DIVERGENCE
    )
    gain = mass - base
    active = torch.cat([(x[b] != 0).float().mean(0) for b in blocks]).numpy(force=True)
    return {
        "neurons": len(layer),
        "dead": float((active == 0).mean()),
        "active_over_half": float((active > 0.5).mean()) if c.topk_k is not None else None,
        "reads": {"coherence": float(np.median([r for r, _ in read])), "entropy": float(np.median([e for _, e in read]))},
        "writes": {
            "coherence": float(np.median(write)),
            "chance": float(np.median(chance)),
            "meaningful": float((np.array(write) > np.quantile(chance, 0.95)).mean()),
        },
        "follows": {"median": float(np.median(follows)), "positive": float((np.array(follows) > 0).mean())},
        "steers": {
            "best": float(gain.max(1).mean()),
            "median_neuron": float(np.median(gain, axis=1).mean()),
            "concepts": len(words),
        },
    }
