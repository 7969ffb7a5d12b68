"""Steering by a short signed list of neurons: how few it takes for a concept, beside dense coordinates, SAE features and plain means.

    python -m claims.sets --data DATA [--layer 4] [--sae DIR] [--methods NAME …] [--sizes N …]

A concept is a list of neurons behind one block, each with a value that is added to it at every position: plain edits. It is found from
how the next token depends on the block, on contexts that the model wrote itself (`Effect`), and chosen greedily (`chosen`). Twin:
`topk-lm steer --words` (crate/src/steer/). Lists behind several blocks, by several weightings of the contexts, are tried on texts (`best`), and
strengths are chosen so that the ratio of surprise is `surprise`: both on the choosing and the earlier prompts. The score is on fresh prompts
(concepts.toml, [sets]).

topk      neurons behind the block, 1 to 32
dense     coordinates of the dense twin behind the same block, by the same rule
sae       features of an SAE on the twin behind that block (their decoder rows), by the same rule
random    the control of the neurons: as many random ones, with the best amounts for them; as many lists of them are tried
means     mean state where a word of the concept comes next, less the mean state: one direction, no sparsity
prompt    "This is a story about CONCEPT." before the prompt, and nothing else
logits    the logits of the concept's words raised, and nothing else
first     the lists of eight that an earlier results/sets.json holds (--first), with their strengths, on the fresh prompts of now

words, base     words of the concept a text of 60 tokens, steered and not
two             share of the texts with at least two; `works`: half of them, within 1.3 times the surprise
harmonic        mean over texts of the harmonic mean of concept (0, 1, 2 words) and fluency (2: at most 1.3 times the surprise and no
                4-gram thrice, 1: at most 1.8 times), 0 to 2, as AxBench counts (arXiv 2501.17148)
"""

import json
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from topklm.data import evaluation_windows

from . import ceiling, common, decode, effect, steer

LENGTH, DRAWS = 32, 2  # tokens of a context; contexts of each choosing and scoring prompt
FIRST, EVERY = 5, 4  # the positions of a context at which the next token is looked at
STEP, QUANTILE = 0.2, 0.9  # of a coordinate's positive values: the finite difference
RIDGE = 1e-3
# How much more a position counts where the words fit: the power of their mass. Of 0.25, 0.5, 0.75 and 1 it brought two words into the most texts
# of six concepts at 1.25 times the surprise, on the old prompts (0.54, 0.63, 0.72 and 0.59 of them).
POWER = 0.75
AMOUNTS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of raised logits
FLUENT, READABLE = 1.3, 1.8


class Effect:
    """How the next token depends on what is added behind block `layer` at all positions: p [N, V] at N sampled positions, the
    Jacobian J [N, V, d] of the logits by finite differences, and the Fisher matrix F [d, d], f64. With `keep` only the rows of
    those tokens stay in J."""

    @torch.no_grad()
    def __init__(self, model, prompts, layer: int, keep: list[int] | None = None):
        parts = []
        for draw in range(DRAWS):
            seeds = [700_000 + 100_000 * draw + i for i in range(len(prompts))]
            written = decode.generate(model, prompts, seeds, LENGTH, 0.8, stop=-1)
            parts += [[*p, *w][:LENGTH] for p, w in zip(prompts, written, strict=True)]
        ids = torch.tensor(parts)
        at, T = torch.arange(FIRST, LENGTH, EVERY), LENGTH
        cos, sin, mask = model.cos[:T], model.sin[:T], model.causal[:T, :T]
        x = model.stream(ids)[layer]

        def logits(x):
            for block in model.model.layers[layer + 1 :]:
                x = block(x, cos, sin, mask, None)
            return model.lm_head(model.model.norm(x[:, at])).float().flatten(0, 1)

        before = logits(x)
        self.p = before.softmax(-1)
        d = x.shape[-1]
        self.J = torch.zeros(*before.shape, d)
        for i in range(d):
            column = x[..., i].flatten()
            positive = column[column > 0]
            step = STEP * float(torch.quantile(positive, QUANTILE) if len(positive) else column.std())
            if step > 0:
                moved = x.clone()
                moved[..., i] += step
                self.J[:, :, i] = (logits(moved) - before) / step
        self.mean = torch.einsum("nv,nvd->nd", self.p, self.J)
        fisher = torch.zeros(d, d)
        for p, J, mean in zip(self.p, self.J, self.mean, strict=True):
            spread = p.sqrt()[:, None] * (J - mean)
            fisher += spread.T @ spread
        fisher = fisher.double() / len(self.p)
        self.F = fisher + RIDGE * fisher.diag().mean() * torch.eye(d, dtype=torch.float64)
        self.rows = None
        if keep is not None:
            self.J, self.rows = self.J[:, keep].clone(), {token: row for row, token in enumerate(keep)}

    def gain(self, tokens: list[int], power: float = POWER) -> torch.Tensor:
        """Gradient of the log of the tokens' mass, mean over the positions, weighted by a power of the mass there, f64 [d]:
        where a word never fits, it need not come."""
        part = self.p[:, tokens]
        mass = part.sum(1)
        rows = tokens if self.rows is None else [self.rows[token] for token in tokens]
        gradient = torch.einsum("nw,nwd->nd", part, self.J[:, rows]) / mass[:, None] - self.mean
        weights = mass**power
        return ((weights / weights.sum())[:, None] * gradient).sum(0).double()


def chosen(F: torch.Tensor, g: torch.Tensor, size: int, basis: torch.Tensor | None = None, rank: int = 0) -> tuple[list[int], torch.Tensor]:
    """(indices, amounts) of `size` rows of `basis` [n, d] (None: the coordinates), greedily: each adds most to gᵀF⁻¹g, but for the first, of
    which `rank` are better, and the amounts are the best ones for the whole list. Scaled to a predicted divergence of 1 nat."""
    B = torch.eye(len(g), dtype=torch.float64) if basis is None else basis.double()
    gains, FB = B @ g, B @ F
    own = (FB * B).sum(1)
    picked: list[int] = []
    amounts = torch.zeros(0, dtype=torch.float64)
    for _ in range(size):
        rest, spread = gains, own
        if picked:
            across = FB @ B[picked].T  # [n, |S|]
            rest = gains - across @ amounts
            spread = own - (across @ torch.linalg.inv(across[picked]) * across).sum(1)
        score = rest**2 / spread.clamp(min=1e-9 * float(own.mean()))
        score[picked] = -1
        picked.append(int(score.argsort(descending=True)[0 if picked else rank]))
        inner = FB[picked] @ B[picked].T
        amounts = torch.linalg.solve(inner, gains[picked])
    return picked, amounts / float((amounts @ inner @ amounts / 2).sqrt())


def at_random(F: torch.Tensor, g: torch.Tensor, size: int, rng) -> tuple[list[int], torch.Tensor]:
    """As `chosen`, but of random coordinates."""
    picked = rng.choice(len(g), size, replace=False).tolist()
    inner = F[picked][:, picked]
    amounts = torch.linalg.solve(inner, g[picked])
    return picked, amounts / float((amounts @ inner @ amounts / 2).sqrt())


@dataclass(frozen=True)
class Prompted:
    """A sentence about the concept before the prompt."""

    concept: int


class Bench(steer.Bench):
    """Texts under sets: an edit names a row of `directions`. Also under raised logits and with a sentence before the prompt."""

    def _texts(self, prompts, seeds, tokens, edits=None):
        first = edits[0] if edits else None
        if isinstance(first, ceiling.Raise):
            return ceiling.Ceiling._texts(self, prompts, seeds, tokens, edits)
        if isinstance(first, Prompted):
            heads = [self.subject.tokenizer.encode(f"This is a story about {c['name']}.").ids for c in self.config["concept"]]
            before = [[*heads[e.concept], *p[1:]] for e, p in zip(edits, prompts, strict=True)]
            return super()._texts(before, seeds, tokens)
        return super()._texts(prompts, seeds, tokens, edits)


def harmonic(counts, text_nll, base_nll, texts) -> float:
    """See the module's description."""
    total = 0.0
    for count, nll, ids in zip(counts, text_nll, texts, strict=True):
        grams = Counter(zip(*(ids[i:] for i in range(4)), strict=False))
        loops = max(grams.values(), default=0) >= 3
        fluency = 0 if loops or nll > READABLE * base_nll else 2 if nll <= FLUENT * base_nll else 1
        concept = min(int(count), 2)
        total += 2 * concept * fluency / (concept + fluency) if concept and fluency else 0.0
    return total / len(texts)


def at_surprise(strengths, ratios, limit: float) -> float:
    """The strength at which the ratio first reaches the limit, between the measured ones; the largest if it never does."""
    last_a, last_r = 0.0, 1.0
    for a, r in zip(strengths, ratios, strict=True):
        if r > limit:
            return last_a + (a - last_a) * max(0.0, limit - last_r) / (r - last_r)
        last_a, last_r = a, max(r, last_r)
    return last_a


def scored(bench, trials, config) -> dict:
    """Figures of trials [(concept, edit)] on the fresh prompts, by concept and together."""
    bounds, encode = config["bounds"], bench.subject.tokenizer.encode
    rows = [(encode(t).ids, 1000 * i + s) for i, t in enumerate(config["prompts"]["fresh"]) for s in range(bounds["seeds"])]
    concepts = []
    for r in bench.run(trials, *map(list, zip(*rows, strict=True)), bounds["max_tokens"]):
        two = float((r["steered"] >= 2).mean())
        strict = float((steer.gains(r) >= bounds["success"]).mean())
        concepts.append(
            {
                "concept": config["concept"][r["concept"]]["name"],
                "base": float(r["base"].mean()),
                "words": float(r["steered"].mean()),
                "two": two,
                "success": strict,
                "nll_ratio": float(r["nll_ratio"]),
                "works": bool(two >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]),
                "works_strictly": bool(strict >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]),
                "harmonic": harmonic(r["steered"], r["text_nll"], r["base_nll"], r["texts"]),
                "sample": bench.subject.tokenizer.decode([*rows[0][0], *r["texts"][0]]),
            }
        )
    means = {key: float(np.mean([c[key] for c in concepts])) for key in ("base", "words", "two", "nll_ratio", "works", "works_strictly", "harmonic")}
    return means | {"concepts": concepts}


def earlier(bench, config):
    """(prompts, seeds) of the texts by which strengths are chosen."""
    prompts = [t for part in ("choosing", "scoring", "earlier") for t in config["prompts"].get(part, [])]
    return [bench.subject.tokenizer.encode(t).ids for t in prompts], [500_000 + i for i in range(len(prompts))]


def tuned(bench, numbers, edit_at, strengths, config) -> list[float]:
    """The strength of each concept at which texts of the earlier prompts reach the surprise; `edit_at(concept, strength)` is the edit."""
    trials = [(i, edit_at(i, a)) for i in numbers for a in strengths]
    found = bench.run(trials, *earlier(bench, config), config["bounds"]["max_tokens"])
    ratios = np.array([r["nll_ratio"] for r in found]).reshape(len(numbers), -1)
    return [at_surprise(strengths, row, config["sets"]["surprise"]) for row in ratios]


@dataclass
class Option:
    """A list that is tried for a concept."""

    concept: int
    layer: int
    picked: list[int]
    amounts: torch.Tensor


def options(name, concept, tokens, effects, size, config, basis) -> list[Option]:
    """The lists that are tried: behind each block by each weighting; of one neuron the first few instead."""
    powers = config["sets"].get("powers", [POWER])
    found = []
    for layer, own in effects.items():
        for n, power in enumerate(powers):
            if name == "random":
                picked, amounts = at_random(own.F, own.gain(tokens), size, np.random.default_rng([size, concept, layer, n]))
            elif size == 1:
                picked, amounts = chosen(own.F, own.gain(tokens), 1, basis, rank=n)
            else:
                picked, amounts = chosen(own.F, own.gain(tokens, power), size, basis)
            found.append(Option(concept, layer, picked, amounts))
    return found


def two_expected(result) -> tuple[float, float]:
    """Share of texts that should have two words, without the edit and with it, if words came independently of each other: the tokens'
    probabilities vary less than what was drawn."""
    return tuple(float((1 - np.exp(-n) * (1 + n)).mean()) for n in result["expected"])


def best(bench, tried: list[Option], edit_at, config) -> list[tuple[int, float]]:
    """For each concept which of the options (by number) should bring two words into most texts of the earlier prompts at the surprise, and its
    strength there. After a round on the choosing prompts `keep` of them go on to all."""
    rule, tokens = config["sets"], config["bounds"]["max_tokens"]
    every = earlier(bench, config)
    few = [part[: len(config["prompts"]["choosing"])] for part in every]
    concepts = sorted({option.concept for option in tried})
    left = {c: [n for n, option in enumerate(tried) if option.concept == c] for c in concepts}
    strength = {}
    for rows, strengths, keep in ((few, rule.get("first", rule["strengths"]), rule.get("keep", 1)), (every, rule["strengths"], 1)):
        numbers = [n for c in concepts for n in left[c]]
        found = bench.run([(tried[n].concept, edit_at(n, a)) for n in numbers for a in strengths], *rows, tokens)
        score = {}
        for i, n in enumerate(numbers):
            mine = found[i * len(strengths) : (i + 1) * len(strengths)]
            strength[n] = at_surprise(strengths, [r["nll_ratio"] for r in mine], rule["surprise"])
            shares = [two_expected(r) for r in mine]
            score[n] = float(np.interp(strength[n], [0.0, *strengths], [shares[0][0], *(steered for _, steered in shares)]))
        left = {c: sorted(left[c], key=score.get, reverse=True)[:keep] for c in concepts}
    return [(left[c][0], strength[left[c][0]]) for c in concepts]


def mean_directions(model, data: Path, layer: int, words) -> torch.Tensor:
    """Mean state behind the block where a word of the concept comes next, less the mean state, [concepts, d]; over held-out windows."""
    arrays = common.texts(data)
    windows = evaluation_windows(arrays["held_out.ids"], model.config.n_ctx, arrays["held_out.starts"])[::2]
    total, counts, together, positions = torch.zeros(len(words), model.config.d_model), torch.zeros(len(words)), 0.0, 0
    with torch.no_grad():
        for at in range(0, len(windows), 32):
            part = torch.from_numpy(windows[at : at + 32])
            x = model.stream(part[:, 0])[layer][:, 1:].flatten(0, 1)
            after = part[:, 1, 1:].flatten()
            x, after = x[after >= 0], after[after >= 0]
            together, positions = together + x.sum(0), positions + len(x)
            for i, ids in enumerate(words):
                hit = torch.isin(after, torch.tensor(ids))
                total[i] += x[hit].sum(0)
                counts[i] += hit.sum()
    return total / counts.clamp(min=1)[:, None] - together / positions


def direction_bench(subject, judge, config, layer, directions):
    layers = [layer] if isinstance(layer, int) else layer
    return Bench(subject, judge, effect.Handles("sets", layers, None, None, None, directions), config)


def run_sets(name, subject, judge, config, effects, sizes, store, basis=None):
    """Stores {size: figures} of greedy lists as it goes; `chosen` holds the edits. `effects` by block."""
    words = [effect.token_ids(subject.tokenizer, c["words"]) for c in config["concept"]]
    result = {}
    for size in sizes:
        tried = [option for i, tokens in enumerate(words) for option in options(name, i, tokens, effects, size, config, basis)]
        rows = torch.eye(subject.model.config.d_model) if basis is None else basis
        directions = torch.stack([option.amounts.float() @ rows[option.picked] for option in tried])
        bench = direction_bench(subject, judge, config, list(effects), directions)
        edit_at = lambda n, a: decode.Edit(tried[n].layer, n, "add", float(a))  # noqa: E731
        taken = best(bench, tried, edit_at, config)
        figures = scored(bench, [(tried[n].concept, edit_at(n, a)) for n, a in taken], config)
        figures["chosen"] = [
            {"layer": tried[n].layer, "index": tried[n].picked, "value": [float(a * v) for v in tried[n].amounts]} for n, a in taken
        ]
        result[str(size)] = figures
        store(name, result)
        print(name, size, {k: round(v, 3) for k, v in figures.items() if isinstance(v, float)}, flush=True)


def main():
    p = common.parser(__doc__)
    p.add_argument("--layer", type=int, help="the block, in place of concepts.toml's; where there are none: the last TopK block")
    p.add_argument("--sae", type=Path, help="an SAE on the twin behind that block")
    p.add_argument("--methods", nargs="*", default=["topk", "random", "dense", "sae", "means", "prompt", "logits"])
    p.add_argument("--sizes", type=int, nargs="+", help="default: those of concepts.toml")
    p.add_argument("--first", type=Path, help="an earlier results/sets.json, whose lists of eight neurons are scored, too")
    args = p.parse_args()
    common.start(args)
    clock, config = common.Clock(), tomllib.loads(steer.CONFIG.read_text())
    topk, dense = common.subjects(args, args.data)
    judge = dense or topk
    last = topk.cut_blocks[-1] if args.layer is None else args.layer
    layers = [last] if args.layer is not None else config["sets"].get("layers", [last])
    sizes = args.sizes or config["sets"]["sizes"]
    numbers = range(len(config["concept"]))
    prompts = [topk.tokenizer.encode(t).ids for part in ("choosing", "scoring") for t in config["prompts"][part]]
    result = common.read(args.results, "sets")
    result |= {"layers": layers, "model": topk.about, "judge": judge.about, "surprise": config["sets"]["surprise"]}
    result |= {"texts": len(config["prompts"]["fresh"]) * config["bounds"]["seeds"], "tokens": config["bounds"]["max_tokens"]}

    def store(name, figures):
        # Another process may have stored a method in the meantime; other sizes of the same method stay.
        now = common.read(args.results, "sets").get("methods", {})
        now[name] = figures if "words" in figures else now.get(name, {}) | figures
        common.write(args.results, "sets", result | {"methods": now, "seconds": clock()})

    def effects(subject):
        tokens = sorted({t for c in config["concept"] for t in effect.token_ids(subject.tokenizer, c["words"])})
        return {layer: Effect(subject.model, prompts, layer, tokens) for layer in layers}

    if {"topk", "random"} & set(args.methods):
        own = effects(topk)
        for name in ("topk", "random"):
            if name in args.methods:
                run_sets(name, topk, judge, config, own, sizes, store)
        del own
    twin = None
    if dense is not None and {"dense", "sae"} & set(args.methods):
        twin = effects(dense)
    if "dense" in args.methods and dense is not None:
        run_sets("dense", dense, judge, config, twin, sizes, store)
    if "sae" in args.methods and dense is not None and args.sae:
        from .sae import SAE

        sae = SAE.load(args.sae)
        if sae.layer not in layers:
            p.error(f"--sae: {args.sae} is on block {sae.layer}; the sets are behind {layers}")
        run_sets("sae", dense, judge, config, {sae.layer: twin[sae.layer]}, sizes, store, sae.directions())
    if args.first:
        earlier_sets = json.loads(args.first.read_text())
        lists = earlier_sets["methods"]["topk"]["8"]["chosen"]
        directions = torch.zeros(len(lists), topk.model.config.d_model)
        for direction, edits in zip(directions, lists, strict=True):
            direction[edits["index"]] = torch.tensor(edits["value"])
        layer = earlier_sets["layer"]
        bench = direction_bench(topk, judge, config, layer, directions)
        store("first", scored(bench, [(i, decode.Edit(layer, i, "add", 1.0)) for i in numbers], config))
    if "means" in args.methods:
        words = [effect.token_ids(topk.tokenizer, c["words"]) for c in config["concept"]]
        bench = direction_bench(topk, judge, config, last, mean_directions(topk.model, args.data, last, words))
        edit_at = lambda i, a: decode.Edit(last, i, "add", float(a))  # noqa: E731
        strengths = tuned(bench, numbers, edit_at, [0.5, 1.0, 2.0, 3.0, 4.0], config)
        store("means", scored(bench, [(i, edit_at(i, a)) for i, a in enumerate(strengths)], config))
    if "prompt" in args.methods:
        store("prompt", scored(direction_bench(topk, judge, config, last, None), [(i, Prompted(i)) for i in numbers], config))
    if "logits" in args.methods:
        bench = direction_bench(topk, judge, config, last, None)
        strengths = tuned(bench, numbers, ceiling.Raise, list(AMOUNTS), config)
        store("logits", scored(bench, [(i, ceiling.Raise(i, a)) for i, a in enumerate(strengths)], config))


if __name__ == "__main__":
    main()
