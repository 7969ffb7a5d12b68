"""Steering by a short signed list of neurons: how few it takes for a concept, beside dense coordinates, SAE features and plain means.

    python -m claims.sets --data DATA [--layer 4] [--sae DIR] [--methods NAME …] [--sizes N …] [--again METHOD …]
        [--curves METHOD …] [--judge DIR]

A concept is a list of neurons, each with a value that is added to it at every position: plain edits. It is found from how the next token
depends on the blocks, on contexts that the model wrote itself (`Effect`), and chosen greedily (`chosen`). Twin: `topk-lm steer --words`
(crate/src/steer/), behind one block. Lists of several sizes behind each block and behind all of them, by several weightings of the contexts,
are tried on texts (`best`), and strengths are chosen so that the share `enough` of texts has two words, or else so that the ratio of
surprise is `surprise` (`chosen_strength`): both on all prompts but the fresh ones. A size is the most that a list may hold. The score is on
fresh prompts (concepts.toml, [sets]). A search that is cut off goes on when it is called again (results/sets.METHOD.part.json).

topk      neurons behind the block, 1 to 32
dense     coordinates of the dense twin behind the same block, by the same rule
sae       features of an SAE on the twin behind that block (their decoder rows), by the same rule
index     one number of a neuron, with one value behind all TopK blocks that are edited or all but the first: an index keeps its meaning from
          block to block. dense_index: the same of the dense twin's coordinates
random    the control of the neurons: as many random ones, with the best amounts for them; as many lists of them are tried
means     mean state where a word of the concept comes next, less the mean state: one direction, no sparsity
prompt    "This is a story about CONCEPT." before the prompt, and nothing else
logits    the logits of the concept's words raised, and nothing else
first     the lists of eight that an earlier results/sets.json holds (--first), with their strengths, on the fresh prompts of now

words, base     words of the concept a text of 60 tokens, steered and not
two             share of the texts with at least two; `works`: half of them, within `likelihood` (concepts.toml) times the surprise
harmonic        mean over texts of the harmonic mean of concept (0, 1, 2 words) and fluency (2: at most `likelihood` times the surprise
                and no 4-gram thrice, 1: at most 1.8 times), 0 to 2, as AxBench counts (arXiv 2501.17148)

With --judge another model measures how surprising texts are, in place of the dense twin, which wrote the texts for dense coordinates and for
features itself. Its curves go to results/judged.json.
"""

import functools
import json
import tomllib
from pathlib import Path

import numpy as np
import torch

from topklm.data import evaluation_windows

from . import ceiling, common, decode, effect, steer
from .curves import read_off
from .linear import Effect
from .scoring import Bench, Prompted, fresh, scored, tuned
from .searching import INDEX, Search, best, options

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of a list's strength: its curve
AMOUNTS = tuple(0.25 * n for n in range(2, 27))  # of raised logits: 0.5 to 6.5


def mean_directions(model, data: Path, layer: int, words) -> torch.Tensor:
    """Mean state behind the block where a word of the concept comes next, less the mean state, [concepts, d]; over held-out windows."""
    arrays = common.texts(data)
    windows = evaluation_windows(arrays["held_out.ids"], model.config.n_ctx, arrays["held_out.starts"])[::2]
    total, counts, together, positions = torch.zeros(len(words), model.config.d_model), torch.zeros(len(words)), 0.0, 0
    with torch.no_grad():
        for at in range(0, len(windows), 32):
            part = torch.as_tensor(windows[at : at + 32])
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


def edit_of(parts, factor: float, until: int | None = None) -> tuple:
    return tuple(decode.Edit(layer, number, "add", float(factor), until=until) for layer, number in parts)


def given(subject, judge, config, chosen, rows=None, factor=1.0, until=None):
    """(bench, trials [(concept, edit)]) of stored lists of coordinates, or of rows of a basis, with `factor` times the values that they have,
    let go after `until` new tokens if that is given."""
    lists = [list(zip(c["layer"], c["index"], c["value"], strict=True)) for c in chosen]
    directions, parts = summed(lists, torch.eye(subject.model.config.d_model) if rows is None else rows)
    layers = sorted({layer for own in parts for layer, _ in own})
    return direction_bench(subject, judge, config, layers, directions), [(i, edit_of(own, factor, until)) for i, own in enumerate(parts)]


def curve(config, at, factors=FACTORS, more=None) -> list[dict]:
    """Words against surprise: means over the concepts at each of `factors`; `at(factor)` gives (bench, trials [(concept, edit)]), `more(bench,
    results)` further figures of a point."""
    bounds, points = config["bounds"], []
    for factor in factors:
        bench, trials = at(factor)
        results, _ = fresh(bench, trials, config)
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
                **(more(bench, results) if more else {}),
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
    sizes = [1] if name in INDEX else sizes
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
        numbers = [n for n, option in enumerate(tried) if name in INDEX or len(option.picked) <= size]
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
    p.add_argument("--methods", nargs="*", default=["topk", "random", "dense", "index", "dense_index", "sae", "means", "prompt", "logits"])
    p.add_argument("--sizes", type=int, nargs="+", help="default: those of concepts.toml")
    p.add_argument("--again", nargs="*", default=[], metavar="METHOD", help="the stored lists of these sizes: strengths chosen anew, scored; no search")
    p.add_argument("--curves", nargs="*", default=[], metavar="METHOD", help="words against surprise for the stored lists of these sizes: no search")
    p.add_argument("--judge", type=Path, metavar="DIR", help="with --curves: the model that measures surprise, in place of the dense twin")
    p.add_argument("--first", type=Path, help="an earlier results/sets.json, whose lists of eight neurons are scored, too")
    args = p.parse_args()
    if args.judge and (args.methods or args.again):
        p.error("--judge goes with --methods (none) and --curves: lists and strengths stay those that the twin's judgment chose")
    common.start(args)
    clock, config = common.Clock(), tomllib.loads(steer.CONFIG.read_text())
    topk, dense = common.subjects(args, args.data)
    common.same_tokens(topk, args.data)
    judge = common.subject(args.judge, args.data) if args.judge else dense or topk
    last = topk.cut_blocks[-1] if args.layer is None else args.layer
    layers = [last] if args.layer is not None else config["sets"].get("layers", [last])
    sizes = args.sizes or config["sets"]["sizes"]
    numbers = range(len(config["concept"]))
    prompts = [topk.tokenizer.encode(t).ids for part in ("choosing", "scoring") for t in config["prompts"][part]]
    result = common.read(args.results, "sets")
    result |= {"layers": layers, "model": topk.about, "judge": judge.about, "surprise": config["sets"]["surprise"]}
    result |= {"enough": config["sets"]["enough"], "texts": len(config["prompts"]["fresh"]) * config["bounds"]["seeds"]}
    result |= {"tokens": config["bounds"]["max_tokens"], "bounds": config["bounds"]}

    def store(name, figures):
        # Another process may have stored a method in the meantime; other sizes of the same method stay.
        now = common.read(args.results, "sets").get("methods", {})
        now[name] = figures if "words" in figures else now.get(name, {}) | figures
        common.write(args.results, "sets", result | {"methods": now, "seconds": clock()})

    def judged(name, size, figures):
        judges = common.read(args.results, "judged").get("judges", {})
        methods = judges.get(judge.about["name"], {}).get("methods", {})
        methods[name] = dict(sorted((methods.get(name, {}) | {size: figures}).items(), key=lambda item: int(item[0])))
        judges[judge.about["name"]] = judge.about | {"methods": methods}
        common.write(args.results, "judged", {"model": topk.about, "judges": judges})

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
    for name, subject in zip(INDEX, (topk, dense), strict=True):
        if name in args.methods and subject is not None:
            search(name, subject, layers)
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
    for name, subject, rows in (("topk", topk, None), ("random", topk, None), ("dense", dense, None), ("index", topk, None), ("dense_index", dense, None), ("sae", dense, features)):
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
                points = curve(config, functools.partial(given, subject, judge, config, figures["chosen"], rows))
                read = {"curve": points, "at": read_off(figures["base"], points)}
                if args.judge:
                    judged(name, size, {"base": figures["base"]} | read)
                else:
                    store(name, {size: figures | read})
    def single(name, bench, edit_at, grid):
        """One amount a concept, chosen among `grid`."""
        amounts = common.rounded(tuned(bench, numbers, edit_at, grid, config))

        def at(factor):
            return bench, [(i, edit_at(i, factor * a)) for i, a in enumerate(amounts)]

        figures = scored(*at(1.0), config) | {"amounts": amounts}
        store(name, figures)
        print(name, {k: round(v, 3) for k, v in figures.items() if isinstance(v, float)}, flush=True)
        points = curve(config, at)
        store(name, figures | {"curve": points, "at": read_off(figures["base"], points)})

    if "means" in args.methods:
        words = [effect.token_ids(topk.tokenizer, c["words"]) for c in config["concept"]]
        bench = direction_bench(topk, judge, config, last, mean_directions(topk.model, args.data, last, words))
        single("means", bench, lambda i, a: decode.Edit(last, i, "add", float(a)), [0.5, 1.0, 2.0, 3.0, 4.0])
    if "prompt" in args.methods:
        store("prompt", scored(direction_bench(topk, judge, config, last, None), [(i, Prompted(i)) for i in numbers], config))
    if "logits" in args.methods:
        single("logits", direction_bench(topk, judge, config, last, None), ceiling.Raise, list(AMOUNTS))


if __name__ == "__main__":
    common.run(main)
