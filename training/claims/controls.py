"""What one unit reads, beside everything that would refute it.

    python -m claims.controls --data DATA [--sae DIR …] [--units 256] [--limit TOKENS]

The same figures for the neurons of the TopK model, the coordinates of its dense twin and the features of SAEs, and for five controls:

rotated     the same states in a random orthogonal basis: whether it is the *basis* that means something, or the states
untrained   the model as its training began (the weights that the seed gives)
early       a quarter into training, if the model's folder has that step's weights
embedding   the token embedding alone: what a table without context reaches
shuffled    every label scored on the unit half the width away

Of each block the same indices are drawn. A unit's activations are its positive values (of dense coordinates, rotated states and the
embedding: of whichever sign has the lower entropy); units with fewer than 20 are left out. An entropy takes 20 activations, too: the
strongest 1 % are as many only where a unit is active over 1,900 times, the strongest 10 % over 190. `counts` has how many units each median is
over. Definitions as in docs/statistics.md:

entropy   token entropy, bits, of at most 100 activations drawn from the strongest 1 %, the strongest 10 %, and from all by value
F1        a few tokens as a detector: at most 12, by the share of their positions at which the unit is active, as long as F1
          rises (as labels were made until they took the rule of `even`); made from the documents of even number and scored on the odd ones, and the other way around
even      the same at as many positions for every unit, so that no label is easier to find because its unit is active more often: active are
          the strongest 3.2 % of all positions (the TopK neurons' own share; fewer where a unit is active at fewer), and the at most 12
          tokens are chosen one after the other, each the one that raises F1 most. With it the entropy at the strongest tenth of these
token     the share of the variance of the unit's value that the token alone foretells (means by token on one half of the documents,
          scored on the other): the rest is context
layers    1 - Jensen-Shannon distance of one index's tokens (strongest 10 %) in neighboring blocks, and of random indices
"""

import json
import tomllib
from pathlib import Path

import numpy as np
import torch

from topklm import stats
from topklm.model import TopKLM

from . import common, meaning
from .sae import SAE

SHARES = (0.01, 0.1)
DRAWN, LONGEST, SEEN = 100, 12, 2
EVEN = 0.032
EARLY = 928
CONFIG = Path(__file__).parents[1] / "configs" / "small.toml"


class Text:
    """Held-out documents: `ids` [P] of the counted positions and `half` [P], the parity of their document."""

    def __init__(self, documents, n_ctx):
        self.batches = list(meaning.batches(documents, n_ctx))
        self.ids = np.concatenate([ids[counted].numpy(force=True) for ids, counted, _ in self.batches])
        row, halves = 0, []
        for ids, counted, _ in self.batches:
            number = torch.arange(row, row + len(ids))[:, None].expand_as(counted)
            halves.append((number[counted] % 2).numpy(force=True))
            row += len(ids)
        self.half = np.concatenate(halves)

    @torch.no_grad()
    def states(self, model, blocks, pick) -> dict[int, np.ndarray]:
        """{block: pick(states [P, d], block) [P, units]} of the stream after each block."""
        parts = {block: [] for block in blocks}
        for ids, counted, _ in self.batches:
            streams = model.stream(ids)
            for block in blocks:
                parts[block].append(pick(streams[block][counted], block).numpy(force=True))
        return {block: np.concatenate(p) for block, p in parts.items()}


def some_units(width: int, count: int) -> torch.Tensor:
    """The indices that are drawn of so many, ascending: the same for every model and block."""
    return torch.as_tensor(np.sort(np.random.default_rng(11).permutation(width)[:count]))


def drawn(x: np.ndarray, rng) -> list[np.ndarray]:
    """Positions drawn of a unit's activations x [P] > 0: from each share of the strongest, and by value."""
    active = np.flatnonzero(x > 0)
    order = active[np.argsort(-x[active], kind="stable")]
    out = []
    for share in SHARES:
        strongest = order[: int(np.ceil(share * len(order)))]
        out.append(strongest if len(strongest) <= DRAWN else rng.choice(strongest, DRAWN, replace=False))
    count = min(DRAWN, len(active))
    out.append(rng.choice(active, count, replace=False, p=x[active].astype(float) / x[active].astype(float).sum()))
    return out


def entropies(x: np.ndarray, ids: np.ndarray, rng) -> tuple[list[float], dict]:
    """(bits at each share and by value, NaN below 20 positions; the tokens of the strongest tenth)."""
    chosen = drawn(x, rng)
    bits = [stats.entropy(list(stats.counts(ids[c]).values())) if len(c) >= stats.RARE_BELOW else np.nan for c in chosen]
    return bits, stats.counts(ids[chosen[len(SHARES) - 1]])


def best_tokens(active: np.ndarray, ids: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """The rule from one half: tokens by the share of their positions at which the unit is active, as long as F1 rises."""
    at = np.bincount(ids[active], minlength=len(frequency))
    candidates = np.flatnonzero(at >= SEEN)
    candidates = candidates[np.argsort(-at[candidates] / frequency[candidates], kind="stable")][:LONGEST]
    if not len(candidates):
        return candidates
    hits, called = np.cumsum(at[candidates]), np.cumsum(frequency[candidates])
    f1 = 2 * hits / (called + active.sum())
    # The first fall ends the list.
    falls = np.flatnonzero(np.diff(f1) < 0)
    return candidates[: falls[0] + 1 if len(falls) else len(candidates)]


def strongest_of_all(x: np.ndarray, share: float) -> np.ndarray:
    """Where x [P] is above 0 and among its largest `share` of all positions."""
    count = max(1, round(share * len(x)))
    return (x > 0) & (x >= np.partition(x, -count)[-count])


def rising_tokens(active: np.ndarray, ids: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """The rule from one half: one token after the other, each the one that raises F1 most, until none does."""
    at = np.bincount(ids[active], minlength=len(frequency))
    candidates = np.flatnonzero(at >= SEEN)
    chosen, hits, called, best = [], 0, active.sum(), 0.0
    while len(candidates) and len(chosen) < LONGEST:
        f1 = 2 * (hits + at[candidates]) / (called + frequency[candidates])
        place = int(f1.argmax())
        if f1[place] <= best:
            break
        token, best = candidates[place], f1[place]
        hits, called = hits + at[token], called + frequency[token]
        chosen.append(token)
        candidates = np.delete(candidates, place)
    return np.array(chosen, dtype=int)


def f1_of(rule: np.ndarray, active: np.ndarray, ids: np.ndarray, frequency: np.ndarray) -> float:
    total = frequency[rule].sum() + active.sum()
    return float(2 * np.isin(ids[active], rule).sum() / total) if total else 0.0


def foretold(x: np.ndarray, text: Text, d_vocab: int) -> np.ndarray:
    """Share of the variance of each column of x [P, U] that the token alone foretells, from the other half's means; not below 0."""
    error, spread = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for half in (0, 1):
        learn, test = text.half != half, text.half == half
        sums = torch.zeros(d_vocab, x.shape[1]).index_add_(0, torch.as_tensor(text.ids[learn]), torch.as_tensor(x[learn])).numpy(force=True)
        number = np.bincount(text.ids[learn], minlength=d_vocab)[:, None]
        mean = x[learn].mean(0)
        guess = np.where(number > 0, sums / np.maximum(number, 1), mean)[text.ids[test]]
        error += ((x[test] - guess) ** 2).sum(0)
        spread += ((x[test] - mean) ** 2).sum(0)
    return np.clip(1 - error / np.maximum(spread, 1e-12), 0, None)


def read(x: np.ndarray, text: Text, d_vocab: int, signed: bool, seed: int) -> tuple[dict, list[dict | None]]:
    """Columns of figures over the units of x [P, U], NaN where a unit is left out, and each unit's tokens at the strongest tenth."""
    units = x.shape[1]
    names = ("density", "at_1", "at_10", "by_value", "f1", "f1_shuffled", "at_even", "f1_even", "f1_even_shuffled")
    columns = {name: np.full(units, np.nan) for name in names}
    tokens = [None] * units
    half = [text.half == h for h in (0, 1)]
    frequency = [np.bincount(text.ids[h], minlength=d_vocab) for h in half]
    # Column of F1: how its label is made, where each unit is active, and each unit's labels, by the half that they were made from.
    ways = {"f1": (best_tokens, [None] * units, [None] * units), "f1_even": (rising_tokens, [None] * units, [None] * units)}
    for unit in range(units):
        rng = np.random.default_rng([seed, unit])
        found = []
        for sign in (1, -1) if signed else (1,):
            column = sign * x[:, unit]
            if (column > 0).sum() >= stats.RARE_BELOW:
                found.append((*entropies(column, text.ids, rng), column))
        if not found:
            continue
        bits, tokens[unit], column = min(found, key=lambda f: f[0][1] if np.isfinite(f[0][1]) else np.inf)
        columns["density"][unit] = (column > 0).mean()
        columns["at_1"][unit], columns["at_10"][unit], columns["by_value"][unit] = bits
        narrow = np.flatnonzero(strongest_of_all(column, EVEN / 10))
        if len(narrow) >= stats.RARE_BELOW:
            some = narrow if len(narrow) <= DRAWN else rng.choice(narrow, DRAWN, replace=False)
            columns["at_even"][unit] = stats.entropy(list(stats.counts(text.ids[some]).values()))
        for active, (make, masks, rules) in zip((column > 0, strongest_of_all(column, EVEN)), ways.values(), strict=True):
            masks[unit] = [active[h] for h in half]
            rules[unit] = [make(masks[unit][h], text.ids[half[h]], frequency[h]) for h in (0, 1)]
    for name, (_, masks, rules) in ways.items():
        for unit in range(units):
            for column, of in ((name, unit), (f"{name}_shuffled", (unit + units // 2) % units)):
                if masks[unit] is not None and rules[of] is not None:
                    both = [f1_of(rules[of][1 - h], masks[unit][h], text.ids[half[h]], frequency[h]) for h in (0, 1)]
                    columns[column][unit] = np.mean(both)
    columns["token"] = np.where(np.isfinite(columns["density"]), foretold(x, text, d_vocab), np.nan)
    return columns, tokens


def between_layers(tokens: dict[int, list], seed: int = 0) -> dict | None:
    """Mean similarity of one index in neighboring blocks, and of random indices of the same blocks."""
    rng = np.random.default_rng(seed)
    same, random = [], []
    for a, b in zip(list(tokens)[:-1], list(tokens)[1:], strict=True):
        good = [i for i, (s, t) in enumerate(zip(tokens[a], tokens[b], strict=True)) if s and t]
        same += [1 - stats.js_distance(tokens[a][i], tokens[b][i]) for i in good]
        random += [1 - stats.js_distance(tokens[a][i], tokens[b][j]) for i, j in zip(good, rng.permutation(good), strict=True)]
    return {"same_index": float(np.mean(same)), "random_index": float(np.mean(random))} if same else None


def medians(columns: dict) -> dict:
    usable = np.isfinite(columns["density"])
    known = {name: values[np.isfinite(values)] for name, values in columns.items()}
    out = {"units": len(usable), "left_out": float((~usable).mean())}
    out |= {name: float(np.median(values)) if len(values) else None for name, values in known.items()}
    return out | {"counts": {name: len(values) for name, values in known.items()}}


def more_than(share: float) -> int:
    """A unit has an entropy at this share of its activations if it has more of them than so many."""
    return round((stats.RARE_BELOW - 1) / share)


def described(states: dict[int, np.ndarray], text: Text, d_vocab: int, signed: bool) -> dict:
    """Medians over all drawn units and by block."""
    parts = {block: read(x, text, d_vocab, signed, seed=block) for block, x in states.items()}
    together = {name: np.concatenate([columns[name] for columns, _ in parts.values()]) for name in next(iter(parts.values()))[0]}
    layers = between_layers({block: tokens for block, (_, tokens) in parts.items()}) if len(parts) > 1 else None
    return medians(together) | {"blocks": {str(b): medians(columns) for b, (columns, _) in parts.items()}, "layers": layers}


def rotation(d: int, block: int) -> torch.Tensor:
    """A random orthogonal [d, d]."""
    return common.rotation(d, 100 + block)


def untrained(model: TopKLM) -> TopKLM:
    """The weights that training began with: the seed gives them."""
    seed = tomllib.loads(CONFIG.read_text())["seed"]
    return TopKLM(model.config).init_weights(seed).eval().requires_grad_(False)


def main():
    p = common.parser(__doc__)
    p.add_argument("--sae", type=Path, nargs="*", default=[], help="folders that claims.sae wrote")
    p.add_argument("--units", type=int, default=256, help="drawn of each block")
    p.add_argument("--limit", type=int, default=150_000, help="tokens of the held-out documents")
    p.add_argument("--only", nargs="*", help="only these rows; the others are kept as they are")
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    topk, dense = common.subjects(args, args.data)
    common.same_tokens(topk, args.data)
    c = topk.model.config
    text = Text(meaning.held_out_documents(args.data, args.limit), c.n_ctx)
    index = some_units(c.d_model, args.units)
    blocks = topk.cut_blocks
    turns = {block: rotation(c.d_model, block)[:, index] for block in blocks}
    own, turned = (lambda x, _: x[:, index]), (lambda x, block: x @ turns[block])
    folder = args.topk or args.models / common.TOPK
    rows = {
        "topk": lambda: described(text.states(topk.model, blocks, own), text, c.d_vocab, False),
        "topk_rotated": lambda: described(text.states(topk.model, blocks, turned), text, c.d_vocab, True),
        "untrained": lambda: described(text.states(untrained(topk.model), blocks, own), text, c.d_vocab, False),
        "embedding": lambda: described({0: topk.model.model.embed_tokens.weight[:, index].float().numpy(force=True)[text.ids]}, text, c.d_vocab, True),
    }
    if (folder / f"step{EARLY}").exists():
        early = folder / f"step{EARLY}"
        rows["early"] = lambda: {"step": EARLY} | described(text.states(common.subject(early).model, blocks, own), text, c.d_vocab, False)
    if dense is not None:
        rows["dense"] = lambda: described(text.states(dense.model, blocks, own), text, c.d_vocab, True)
        rows["dense_rotated"] = lambda: described(text.states(dense.model, blocks, turned), text, c.d_vocab, True)

    def features(path: Path):
        sae = SAE.load(path)
        at = some_units(len(sae.decoder), args.units)
        states = text.states(dense.model, [sae.layer], lambda x, _: sae.encode(x)[:, at])
        return {"layer": sae.layer, "kind": sae.kind, "k": sae.k} | described(states, text, c.d_vocab, False)

    for path in args.sae:
        rows[f"sae {path.name}"] = lambda path=path: features(path)
    result = common.read(args.results, "controls") if args.only else {}
    about = {"what": "held-out documents", "tokens": len(text.ids), "drawn": DRAWN}
    result |= {"text": about, "units_a_block": args.units, "model": topk.about, "dense": dense and dense.about}
    result.setdefault("rows", {})
    for name, run in rows.items():
        if args.only is None or name in args.only:
            result["rows"][name] = run()
            print(name, json.dumps(common.rounded({k: v for k, v in result["rows"][name].items() if k != "blocks"})), flush=True)
            common.write(args.results, "controls", result | {"seconds": clock()})


if __name__ == "__main__":
    common.run(main)
