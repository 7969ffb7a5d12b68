"""Steering by a short signed list of neurons: how few it takes for a concept, beside dense coordinates, SAE features and plain means.

    python -m claims.sets --data DATA [--layer 4] [--sae DIR] [--methods NAME …] [--sizes N …] [--again METHOD …]
        [--curves METHOD …]

A concept is a list of neurons, each with a value that is added to it at every position: plain edits. It is found from how the next token
depends on the blocks, on contexts that the model wrote itself (`Effect`), and chosen greedily (`chosen`). Twin: `topk-lm steer --words`
(crate/src/steer/), behind one block. Lists of several sizes behind each block and behind all of them, by several weightings of the contexts,
are tried on texts (`best`), and strengths are chosen so that the share `enough` of texts has two words, or else so that the ratio of
surprise is `surprise` (`chosen_strength`): both on all prompts but the fresh ones. A size is the most that a list may hold. The score is on
fresh prompts (concepts.toml, [sets]). A search that is cut off goes on when it is called again (results/sets.METHOD.part.json).

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

import functools
import json
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from topklm.data import evaluation_windows

from . import ceiling, common, decode, effect, steer

LENGTH, DRAWS = 32, 2  # tokens of a context; contexts of each choosing and scoring prompt
FIRST, EVERY = 5, 4  # the positions of a context at which the next token is looked at
STEP, QUANTILE = 0.2, 0.9  # of a coordinate's positive values: the finite difference
RIDGE = 1e-3
CHUNK, TOGETHER = 4, 16  # contexts whose whole Jacobian is held, and coordinates moved in one forward pass
# How much more a position counts where the words fit: the power of their mass. Of 0.25, 0.5, 0.75 and 1 it brought two words into the most texts
# of six concepts at 1.25 times the surprise, on the old prompts (0.54, 0.63, 0.72 and 0.59 of them).
POWER = 0.75
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of a list's strength: its curve
AMOUNTS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of raised logits
FLUENT, READABLE = 1.3, 1.8


class Effect:
    """How the next token depends on what is added behind the blocks `layers` at all positions: p [N, V] at N sampled positions,
    the Jacobian J [N, V, D] of the logits by finite differences, and the Fisher matrix F [D, D], f64; D: the coordinates behind the first
    of the blocks, then those behind the next. With `keep` only the rows of those tokens stay in J."""

    @torch.no_grad()
    def __init__(self, model, prompts, layers: list[int], keep: list[int] | None = None):
        parts = []
        for draw in range(DRAWS):
            seeds = [700_000 + 100_000 * draw + i for i in range(len(prompts))]
            written = decode.generate(model, prompts, seeds, LENGTH, 0.8, stop=-1)
            parts += [[*p, *w][:LENGTH] for p, w in zip(prompts, written, strict=True)]
        ids = torch.tensor(parts)
        self.layers, d, V = layers, model.config.d_model, model.config.d_vocab
        at, T, D = torch.arange(FIRST, LENGTH, EVERY), LENGTH, d * len(layers)
        cos, sin, mask = model.cos[:T], model.sin[:T], model.causal[:T, :T]

        def logits(x, layer):
            for block in model.model.layers[layer + 1 :]:
                x = block(x, cos, sin, mask, None)
            return model.lm_head(model.model.norm(x[:, at])).float()

        def step(column):
            positive = column[column > 0]
            return STEP * float(torch.quantile(positive, QUANTILE) if len(positive) else column.std())

        behind = {layer: x for layer, x in enumerate(model.stream(ids)) if layer in layers}
        steps = {layer: torch.tensor([step(x[..., i].flatten()) for i in range(d)]) for layer, x in behind.items()}
        p, kept, mean, fisher = [], [], [], torch.zeros(D, D)
        for first in range(0, len(ids), CHUNK):
            part = slice(first, first + CHUNK)
            n = len(ids[part])
            before = logits(behind[layers[0]][part], layers[0])
            J = torch.zeros(n * len(at), V, D)
            for number, layer in enumerate(layers):
                moving = steps[layer].nonzero().flatten()
                for some in moving.split(TOGETHER):
                    moved = behind[layer][part].repeat(len(some), 1, 1, 1)
                    moved[torch.arange(len(some)), ..., some] += steps[layer][some, None, None]
                    after = logits(moved.flatten(0, 1), layer).unflatten(0, (len(some), n))
                    change = (after - before) / steps[layer][some, None, None, None]
                    J[:, :, number * d + some] = change.permute(1, 2, 3, 0).flatten(0, 1)
            p.append(before.flatten(0, 1).softmax(-1))
            mean.append(torch.einsum("nv,nvd->nd", p[-1], J))
            for own, rows, middle in zip(p[-1], J, mean[-1], strict=True):
                spread = own.sqrt()[:, None] * (rows - middle)
                fisher += spread.T @ spread
            kept.append(J if keep is None else J[:, keep].clone())
        self.p, self.J, self.mean = torch.cat(p), torch.cat(kept), torch.cat(mean)
        fisher = fisher.double() / len(self.p)
        own = fisher.diag().view(len(layers), d).mean(1, keepdim=True).expand(-1, d).flatten()
        self.F = fisher + RIDGE * own.diag()
        self.rows = None if keep is None else {token: row for row, token in enumerate(keep)}

    def columns(self, layers) -> torch.Tensor:
        """Where the coordinates behind these of the blocks are, [D']."""
        d = len(self.F) // len(self.layers)
        return torch.cat([torch.arange(d) + d * self.layers.index(layer) for layer in layers])

    def gain(self, tokens: list[int], power: float = POWER) -> torch.Tensor:
        """Gradient of the log of the tokens' mass, mean over the positions, weighted by a power of the mass there, f64 [D]:
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
    gains, FB = (g, F) if basis is None else (B @ g, B @ F)
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


def chosen_strength(results, strengths, rule) -> tuple[float, float, float]:
    """(share of texts with two words, ratio of surprise, strength): where the share first reaches `enough`, or where the ratio first reaches
    `surprise` if that is sooner; between the measured strengths."""
    shares, ratios = [two(r) for r in results], [r["nll_ratio"] for r in results]
    most = at_surprise(strengths, ratios, rule["surprise"])
    grid, reached, ratio = [0.0, *strengths], [shares[0][0], *(steered for _, steered in shares)], [1.0, *ratios]
    for n in range(1, len(grid)):
        if reached[n] >= rule["enough"]:
            most = min(most, float(np.interp(rule["enough"], reached[n - 1 : n + 1], grid[n - 1 : n + 1])))
            break
    return float(np.interp(most, grid, reached)), float(np.interp(most, grid, ratio)), most


def fresh(bench, trials, config) -> tuple[list, list]:
    """(results, ids of the prompts) of trials [(concept, edit)] on the fresh prompts, each with its seeds."""
    bounds, encode = config["bounds"], bench.subject.tokenizer.encode
    rows = [(encode(t).ids, 1000 * i + s) for i, t in enumerate(config["prompts"]["fresh"]) for s in range(bounds["seeds"])]
    prompts, seeds = map(list, zip(*rows, strict=True))
    return bench.run(trials, prompts, seeds, bounds["max_tokens"]), prompts


def scored(bench, trials, config) -> dict:
    """Figures of trials [(concept, edit)] on the fresh prompts, by concept and together."""
    bounds = config["bounds"]
    concepts = []
    results, prompts = fresh(bench, trials, config)
    for r in results:
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
                "sample": bench.subject.tokenizer.decode([*prompts[0], *r["texts"][0]]),
            }
        )
    means = {key: float(np.mean([c[key] for c in concepts])) for key in ("base", "words", "two", "nll_ratio", "works", "works_strictly", "harmonic")}
    return means | {"concepts": concepts}


def earlier(bench, config):
    """(prompts, seeds) of the texts by which strengths are chosen."""
    prompts = [t for part in ("choosing", "scoring", "earlier") for t in config["prompts"].get(part, [])]
    return [bench.subject.tokenizer.encode(t).ids for t in prompts], [500_000 + i for i in range(len(prompts))]


def tuned(bench, numbers, edit_at, strengths, config) -> list[float]:
    """The strength of each concept by texts of all prompts but the fresh ones; `edit_at(concept, strength)` is the edit."""
    trials = [(i, edit_at(i, a)) for i in numbers for a in strengths]
    found = bench.run(trials, *earlier(bench, config), config["bounds"]["max_tokens"])
    count = len(strengths)
    return [chosen_strength(found[n * count :][:count], strengths, config["sets"])[2] for n in range(len(numbers))]


@dataclass
class Option:
    """A list of neurons that is tried for a concept: rows `picked` of the coordinates (or of a basis) behind the blocks `layers`."""

    concept: int
    layers: list[int]
    picked: list[int]
    amounts: torch.Tensor

    def rows(self, width: int):
        """(block, row behind it, amount) of each, `width` rows a block."""
        for n, amount in zip(self.picked, self.amounts, strict=True):
            yield self.layers[n // width], n % width, float(amount)


def options(name, concept, tokens, found, layers, size, config, basis) -> list[Option]:
    """The lists of one size that are tried: behind each block and behind all of them by each weighting; of one neuron the first few
    behind each block."""
    rule = config["sets"]
    places = [[layer] for layer in layers] + [layers] * (len(layers) > 1 and size > 1)
    powers = rule.get("powers", [POWER])
    # One neuron is the same by most weightings: there the first few are tried.
    ways = [(POWER, rank) for rank in range(rule.get("ranks", len(powers)))] if size == 1 else [(power, 0) for power in powers]
    result = []
    for n, (power, rank) in enumerate(ways):
        gain = found.gain(tokens, power)
        for place in places:
            columns = found.columns(place)
            F, g = found.F[columns][:, columns], gain[columns]
            if name == "random":
                picked, amounts = at_random(F, g, size, np.random.default_rng([size, concept, n, *place]))
            else:
                picked, amounts = chosen(F, g, size, basis, rank=rank)
            result.append(Option(concept, place, picked, amounts))
    return result


def two(result) -> tuple[float, float]:
    """Share of texts with two words, without the edit and with it: half of it as counted, which is noisy, and half as to be expected of the
    tokens' probabilities if words came independently of each other."""
    expected = [float((1 - np.exp(-n) * (1 + n)).mean()) for n in result["expected"]]
    return tuple((n + float((result[part] >= 2).mean())) / 2 for n, part in zip(expected, ("base", "steered"), strict=True))


class Search:
    """What a search has tried, in a file beside its results: one that was cut off goes on where it was, unless what it rests on (`about`) has
    changed since."""

    def __init__(self, path: Path, about: dict, options):
        """`options()` makes the lists to try, where the file has none."""
        self.path, self.about = path, json.loads(json.dumps(common.rounded(about)))
        stored = json.loads(path.read_text()) if path.exists() else {}
        if stored.get("about") != self.about:
            tried = [asdict(option) | {"amounts": option.amounts.tolist()} for option in options()]
            stored = {"about": self.about, "tried": tried, "seen": {}}
        self.tried = [Option(**o | {"amounts": torch.tensor(o["amounts"], dtype=torch.float64)}) for o in stored["tried"]]
        self.seen = stored["seen"]  # by round and option: (−share, ratio, strength)
        self.stored = stored

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.stored))
        new.replace(self.path)


def best(bench, search: Search, numbers, edit_at, config) -> list[tuple[int, float]]:
    """For each concept which of the options `numbers` should bring two words into most texts (of several that bring them into enough, which
    surprises least), and its strength. After a round on the choosing prompts `keep` of them go on to all."""
    rule, tokens = config["sets"], config["bounds"]["max_tokens"]
    tried, seen = search.tried, search.seen
    every = earlier(bench, config)
    few = [part[: len(config["prompts"]["choosing"])] for part in every]
    concepts = sorted({tried[n].concept for n in numbers})
    left = {c: [n for n in numbers if tried[n].concept == c] for c in concepts}
    for which, rows, strengths, keep in (("few", few, rule.get("first", rule["strengths"]), rule.get("keep", 1)), ("all", every, rule["strengths"], 1)):
        for c in concepts:
            new = [n for n in left[c] if f"{which} {n}" not in seen]
            found = bench.run([(c, edit_at(n, a)) for n in new for a in strengths], *rows, tokens) if new else []
            for i, n in enumerate(new):
                mine = found[i * len(strengths) : (i + 1) * len(strengths)]
                share, ratio, strength = chosen_strength(mine, strengths, rule)
                seen[f"{which} {n}"] = [-share, ratio, strength]
            search.save()
        left = {c: sorted(left[c], key=lambda n: seen[f"{which} {n}"])[:keep] for c in concepts}  # noqa: B023
    return [(left[c][0], seen[f"all {left[c][0]}"][2]) for c in concepts]


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


def summed(lists, rows: torch.Tensor):
    """What lists of (block, row, amount) add: the sum of a list's rows behind each block, [F, d], and for each list its (block, number of
    the sum)."""
    directions, parts = [], []
    for own in lists:
        parts.append([])
        for layer in sorted({layer for layer, _, _ in own}):
            parts[-1].append((layer, len(directions)))
            directions.append(sum(amount * rows[row] for at, row, amount in own if at == layer))
    return torch.stack(directions), parts


def edit_of(parts, factor: float) -> tuple:
    return tuple(decode.Edit(layer, number, "add", float(factor)) for layer, number in parts)


def given(subject, judge, config, chosen, rows=None, factor=1.0):
    """(bench, trials [(concept, edit)]) of stored lists of coordinates, or of rows of a basis, with `factor` times the values that they have."""
    lists = [list(zip(c["layer"], c["index"], c["value"], strict=True)) for c in chosen]
    directions, parts = summed(lists, torch.eye(subject.model.config.d_model) if rows is None else rows)
    layers = sorted({layer for own in parts for layer, _ in own})
    return direction_bench(subject, judge, config, layers, directions), [(i, edit_of(own, factor)) for i, own in enumerate(parts)]


def curve(subject, judge, config, chosen, rows=None) -> list[dict]:
    """Words against surprise: means over the concepts with all values of the lists times each of `FACTORS`."""
    bounds, points = config["bounds"], []
    for factor in FACTORS:
        results, _ = fresh(*given(subject, judge, config, chosen, rows, factor), config)
        two = np.array([(r["steered"] >= 2).mean() for r in results])
        ratios = np.array([r["nll_ratio"] for r in results])
        points.append(
            {
                "factor": factor,
                "words": float(np.mean([r["steered"].mean() for r in results])),
                "two": float(two.mean()),
                "nats": float(np.mean([r["nll"] - r["base_nll"] for r in results])),
                "nll_ratio": float(ratios.mean()),
                "half": float((two >= bounds["works"]).mean()),
                "works": float(((two >= bounds["works"]) & (ratios <= bounds["likelihood"])).mean()),
            }
        )
    return points


def again(subject, judge, config, chosen, rows=None) -> list[dict]:
    """Stored lists with strengths chosen anew."""
    bench, trials = given(subject, judge, config, chosen, rows)

    def edit_at(i, factor):
        return tuple(decode.Edit(e.layer, e.index, "add", factor * e.value) for e in trials[i][1])

    factors = tuned(bench, range(len(chosen)), edit_at, list(FACTORS[1:-1]), config)
    return common.rounded([c | {"value": [factor * v for v in c["value"]]} for c, factor in zip(chosen, factors, strict=True)])


def run_sets(name, subject, judge, config, found, layers, sizes, store, path, basis=None):
    """Stores {size: figures} of lists of at most that size as it goes; `chosen` holds the edits. `found()` gives the `Effect`."""
    words = [effect.token_ids(subject.tokenizer, c["words"]) for c in config["concept"]]
    made = sorted({*sizes, *(size for size in config["sets"]["sizes"] if size <= max(sizes))})
    about = {"model": subject.about, "judge": judge.about, "layers": layers, "made": made, "config": config}
    about["basis"] = None if basis is None else [*basis.shape, float(basis.abs().sum())]
    lists = lambda size, i, tokens: options(name, i, tokens, found(), layers, size, config, basis)  # noqa: E731
    search = Search(path, about, lambda: [o for size in made for i, tokens in enumerate(words) for o in lists(size, i, tokens)])
    tried = search.tried
    rows = torch.eye(subject.model.config.d_model) if basis is None else basis
    directions, parts = summed([list(option.rows(len(rows))) for option in tried], rows)
    bench = direction_bench(subject, judge, config, layers, directions)

    def edit_at(n, a):
        return edit_of(parts[n], a)

    result = {}
    for size in sizes:
        numbers = [n for n, option in enumerate(tried) if len(option.picked) <= size]
        taken = best(bench, search, numbers, edit_at, config)
        lists = [[(layer, row, a * amount) for layer, row, amount in tried[n].rows(len(rows))] for n, a in taken]
        # What is scored is what is stored.
        chosen = common.rounded([dict(zip(("layer", "index", "value"), map(list, zip(*own, strict=True)), strict=True)) for own in lists])
        result[str(size)] = scored(*given(subject, judge, config, chosen, rows), config) | {"chosen": chosen}
        figures = result[str(size)]
        store(name, result)
        print(name, size, {k: round(v, 3) for k, v in figures.items() if isinstance(v, float)}, flush=True)
    path.unlink()


def main():
    p = common.parser(__doc__)
    p.add_argument("--layer", type=int, help="the block, in place of concepts.toml's; where there are none: the last TopK block")
    p.add_argument("--sae", type=Path, help="an SAE on the twin behind that block")
    p.add_argument("--methods", nargs="*", default=["topk", "random", "dense", "sae", "means", "prompt", "logits"])
    p.add_argument("--sizes", type=int, nargs="+", help="default: those of concepts.toml")
    p.add_argument("--again", nargs="*", default=[], metavar="METHOD", help="the stored lists of these sizes: strengths chosen anew, scored; no search")
    p.add_argument("--curves", nargs="*", default=[], metavar="METHOD", help="words against surprise for the stored lists of these sizes: no search")
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
    result |= {"enough": config["sets"]["enough"], "texts": len(config["prompts"]["fresh"]) * config["bounds"]["seeds"]}
    result |= {"tokens": config["bounds"]["max_tokens"]}

    def store(name, figures):
        # Another process may have stored a method in the meantime; other sizes of the same method stay.
        now = common.read(args.results, "sets").get("methods", {})
        now[name] = figures if "words" in figures else now.get(name, {}) | figures
        common.write(args.results, "sets", result | {"methods": now, "seconds": clock()})

    @functools.lru_cache(maxsize=1)
    def effects(dense_twin: bool):
        tokens = sorted({t for c in config["concept"] for t in effect.token_ids(topk.tokenizer, c["words"])})
        return Effect((dense if dense_twin else topk).model, prompts, layers, tokens)

    def search(name, subject, layers, basis=None):
        found = lambda: effects(subject is dense)  # noqa: E731
        run_sets(name, subject, judge, config, found, layers, sizes, store, args.results / f"sets.{name}.part.json", basis)

    for name in ("topk", "random"):
        if name in args.methods:
            search(name, topk, layers)
    if "dense" in args.methods and dense is not None:
        search("dense", dense, layers)
    features = None
    if dense is not None and args.sae:
        from .sae import SAE

        sae = SAE.load(args.sae)
        if sae.layer not in layers:
            p.error(f"--sae: {args.sae} is on block {sae.layer}; the sets are behind {layers}")
        features = sae.directions()
        if "sae" in args.methods:
            search("sae", dense, [sae.layer], features)
    effects.cache_clear()
    if args.first:
        earlier_sets = json.loads(args.first.read_text())
        lists = [{"layer": [earlier_sets["layer"]] * len(c["index"])} | c for c in earlier_sets["methods"]["topk"]["8"]["chosen"]]
        store("first", scored(*given(topk, judge, config, lists), config))
    stored = common.read(args.results, "sets").get("methods", {})
    for name, subject, rows in (("topk", topk, None), ("random", topk, None), ("dense", dense, None), ("sae", dense, features)):
        if name in (*args.again, *args.curves) and name == "sae" and features is None:
            p.error("--again sae and --curves sae take --sae DIR")
        for size, figures in stored.get(name, {}).items():
            if int(size) not in sizes:
                continue
            if name in args.again:
                lists = again(subject, judge, config, figures["chosen"], rows)
                figures = scored(*given(subject, judge, config, lists, rows), config) | {"chosen": lists}
                store(name, {size: figures})
            if name in args.curves:
                store(name, {size: figures | {"curve": curve(subject, judge, config, figures["chosen"], rows)}})
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
