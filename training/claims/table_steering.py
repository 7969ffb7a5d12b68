"""Tables on what units do: patches, switches, sets, and the older measure of one unit."""

import json

from . import common
from .curves import AT, EQUAL, plain_nats, read_off
from .markdown import grid, heading, listed, number, percent
from .table_reading import KINDS

MEASURED_CONTRASTS = len(json.loads((common.ROOT / "crate/src/features/measure/contrasts.json").read_text(encoding="utf-8"))["contrasts"])


def steering(r):
    kinds = [(key, label) for key, label in KINDS if "score" in r.get(key, {})]
    if not kinds:
        return
    bounds, scores = r["bounds"], {key: r[key]["score"] for key, _ in kinds}
    count = len(next(iter(scores.values()))["concepts"])
    rows = [
        (label, *(str(round(scores[key][name] * len(scores[key]["concepts"]))) for key, _ in kinds))
        for label, name in (
            ("by the criterion", "works"),
            (f"{bounds['relaxed_success']:g} instead of {bounds['success']:g} times the words", "works_relaxed"),
            (f"negative log-likelihood up to {r['search']['middle_margin']:g} times", "works_with_middle_margin"),
            ("no bound on the likelihood", "works_without_likelihood"),
        )
    ]
    mean = (percent(mean_of([c["bounded"] for c in scores[key]["concepts"]], "success")) for key, _ in kinds)
    rows.append(("texts that reach the word count, mean over concepts (within the bound)", *mean))
    yield from heading("Steering by one unit", "steer")
    yield (
        f"Concepts, of {count}, that one edit steers. **Criterion**: at least {percent(bounds['works'])} of the texts have {bounds['success']:g} times as many of the "
        f"concept's words, (steered + 1) / (base + 1), while their negative log-likelihood per token stays within {bounds['likelihood']:g} times that of the unsteered texts."
    )
    yield ""
    yield from grid(("", *(label for _, label in kinds)), rows)
    alone = [label for key, label in kinds if judged_by_itself(r[key])]
    if alone:
        yield from ("", f"For want of the twin the unsteered model itself judged the likelihood of {listed(alone)}.")


def judged_by_itself(method) -> bool:
    return method["judge"]["sha256"] == method["model"]["sha256"] and method["model"]["name"] != common.DENSE


PATCH_ROWS = {
    "topk": "TopK neurons",
    "topk_rotated": "… the same states, rotated",
    "dense": "dense coordinates",
    "dense_rotated": "… the same states, rotated",
}


def patches(r):
    sizes = list(next(iter(next(iter(r["rows"].values())).values()))["together"])
    rows = []
    for block, units_there in r["rows"].items():
        for name, e in units_there.items():
            label = PATCH_ROWS.get(name) or f"features of an SAE on the twin (`{name.removeprefix('sae ')}`)"
            cells = [number(e["differ"], 0), percent(e["whole"]), *(percent(e["together"][n]) for n in sizes)]
            rows.append((f"block {block}: {label}", *cells, needed(name, e), percent(e["at_most_two"])))
    yield from heading("How few units decide the next word", "patches")
    head = ("", "differ", "the whole state", "1 unit", *(f"{n} units" for n in sizes[1:]), f"units for {percent(r['enough'])} of it", "at most 2")
    yield from grid(head, rows)
    yield ""
    yield (
        f"Two texts differ in one word. There the state of the one is put into the other, and the table says how far the log odds of the next word move towards those of the other text: medians over {r['kept']} pairs "
        f"(of {r['pairs']}; the others move them by less than {r['least_odds']:g} nats in one of the models). Of single units those that move them most come first, in each pair. "
        "“Units” is the least number that does that share of what the whole state does, and the last column the share of pairs in which one or two do; of an SAE, of what the twin's own state does, and in brackets of what all its features do."
    )


def shown_block(rows) -> str:
    """The block after which an SAE was measured too, else the one in the middle."""
    blocks = list(rows)
    return next((block for block in blocks if any(name.startswith("sae ") for name in rows[block])), blocks[len(blocks) // 2])


def needed(name, e) -> str:
    def said(count):
        return "more than all" if count is None else f"{count:,.0f}"

    return said(e["units"]) + (f" (of theirs: {said(e['units_of_own'])})" if name.startswith("sae ") else "")


def switches(r):
    def row(label, count, e):
        times = e["times"]
        return (label, f"{count:,}", percent(e["same_side"]["mean"], 1), number(times["median"]), percent(times["at_least_1"]), percent(times["as_listed"]), f"{times['switches']:,}")

    rows = [row("neurons that are listed, from 1.5 times on", r["listed"], r)]
    if "of_switches" in r:
        rows.append(row("… of these, switches: from three times on", r["switches"], r["of_switches"]))
    rows.append(row("as many random neurons in their place", r["listed"], r["random"]))
    yield from heading("Single neurons that turn a contrast, after new prompts", "switches")
    yield from grid(("", "neurons", "to the same side", "times the best random neuron, median", "at least once", "at least 1.5 times", "three times"), rows)
    yield ""
    yield (
        f"`topk-lm analyze --writes` lists the neurons that move the log odds of a contrast (was / were, he / she, …; {MEASURED_CONTRASTS} of them, {r['contrasts']} with such a neuron) at least 1.5 times as far as the best of 100 random neurons of the layer, "
        "all set to the largest values at which their texts stay readable. Here each is set to the same value after three prompts of the contrast that it was not found with, beside 100 other random neurons of its layer."
    )


def turning(r):
    def row(label, e, of=None):
        times, of = e["times"], of or {}
        medians = [percent(of["kept"]["median"]), number(of["nats"]["median"], 1), number(of["kl"]["median"])] if of else ["–"] * 3
        return (label, percent(e["same_side"]["mean"], 1), percent(e["same_side"]["every"], 1), *medians, number(times["median"]), percent(times["at_least_1"]))

    rows = [row(f"{r['listed']:,} neurons that were found", r, r), row("as many random neurons of their layers", r["random"])]
    if "dense" in r:
        rows += [row(f"{r['dense']['listed']:,} coordinates of the dense twin, found in the same way", r["dense"], r["dense"]), row("as many random coordinates", r["dense"]["random"])]
    yield from heading("Neurons found for any two words, after new prompts", "turning")
    yield from grid(("", "to the same side", "… at each of three prompts", "of the effect where they were found", "nats", "moves the next token by, nats", "times the best random one, median", "at least once"), rows)
    yield ""
    yield (
        f"`topk-lm turn` sets each neuron in turn and lists those that turn one next word into another after a prompt and at four places of texts that continue it, further than the best of 100 random neurons of the layer. "
        f"Of {r['pairs']} pairs of words it found such neurons for {r['found']} ({percent(r['share']['median'], 1)} of all neurons, median); the first eight of each are set after three prompts that were not used to look for them. "
        "Nats: how far the log odds of the two words turn; medians. Neurons are set to the largest values at which their texts stay readable. For coordinates none such is known: they are set to their largest values over a text."
    )


SET_METHODS = {"topk": "TopK, {} neuron", "index": "TopK, {} index after several blocks", "random": "TopK, {} random neuron", "dense": "dense twin, {} coordinate",
               "dense_index": "dense twin, {} index after several blocks", "sae": "SAE on the twin, {} feature"}  # fmt: skip
SINGLE_METHODS = {"first": "TopK, up to 8 neurons by the rule before", "means": "difference of means, one direction", "prompt": "a sentence before the prompt", "logits": "raised logits of the words"}


OF_TWIN = ("dense", "dense_index", "sae")  # methods whose texts the twin writes


def sets(r):
    # How surprising plain texts are to the judge, and the nats that its own texts may have more by the bar.
    plain = {name: plain_nats(next(e for e in r["methods"][name].values() if "curve" in e)) for name in ("topk", "dense") if any("curve" in e for e in r["methods"].get(name, {}).values())}
    bounds = r["bounds"]
    limit = f"{bounds['likelihood']:g} times"
    bar = (bounds["likelihood"] - 1) * plain["dense"] if len(plain) == 2 else None

    def within(name, e):
        """Concepts by the bar where every way may cost as many nats."""
        if bar is None:
            return "–"
        base = plain["dense" if name in OF_TWIN else "topk"]
        return f"{sum(c['two'] >= bounds['works'] and (c['nll_ratio'] - 1) * base <= bar for c in e['concepts'])} of {len(e['concepts'])}"

    def row(label, e, name):
        count = len(e["concepts"])
        return (label, number(e["words"]), percent(e["two"]), number(e["nll_ratio"]), f"{round(e['works'] * count)} of {count}", within(name, e),
                f"{round(e['works_strictly'] * count)} of {count}", number(e["harmonic"]))  # fmt: skip

    def units(name, size, figures):
        """With the block where it is not one of several that were tried."""
        text = unit(name, size)
        behind = {layer for own in figures.get("chosen", []) for layer in own["layer"]}
        return text + (f" (block {behind.pop()})" if len(behind) == 1 < len(r["layers"]) else "")

    named = [
        (units(name, size, r["methods"][name][size]), r["methods"][name][size], name)
        for name in SET_METHODS
        for size in sorted(r["methods"].get(name, {}), key=int)
    ]
    named += [(label, r["methods"][name], name) for name, label in SINGLE_METHODS.items() if name in r["methods"]]
    rows = [row(*each) for each in named]
    base = next(iter(r["methods"].values()))
    base = base["base"] if "base" in base else next(iter(base.values()))["base"]
    yield from heading("Steering by a few units", "sets")
    yield from grid(("after blocks " + listed([str(layer) for layer in r["layers"]]), "words a text", "texts with two", "surprise", "topics that work", "… at equal nats", "by the strict bar", "harmonic mean"), rows)
    yield ""
    yield (
        f"Means over the topics, on {r['texts']} texts of {r['tokens']} tokens from prompts used only for scoring; without an edit a text has {number(base)} words of a topic. "
        f"Blocks, lists and strengths were chosen on other prompts, strengths for two words in {percent(r['enough'])} of the texts, but for at most {number(r['surprise'])} times the surprise; {r['judge']['name']} judges. "
        f"A topic works if half of its texts have two of its words, and its texts together are at most {limit} as surprising as unedited ones. At equal nats: "
        f"{'not counted' if bar is None else f'at most {number(bar)} nats per token more than plain texts, which is {limit} for the texts of the twin'}. "
        "The strict bar asks for five times the words, (steered + 1) / (base + 1)."
    )
    curves = [(label, figures) for label, figures, _ in named if "curve" in figures]
    if curves:
        yield ""
        yield from grid(("words a text (topics with two in half of the texts), where texts are more surprising by", *(f"{number(at, 1)} nats" for at in AT)), [(label, *on_curve(figures)) for label, figures in curves])
        yield ""
        yield (
            "The same lists and prompts, all values of a list times one factor for all topics; read off between the factors measured. Nats are per token, above plain texts. Ways are compared by nats and not by factors"
            + (f": the judge finds plain texts of the TopK model more surprising ({number(plain['topk'])} nats) than its own ({number(plain['dense'])})." if bar else ".")
        )


MILD = 0.2  # nats a token: there letting go helps


def unit(name: str, size: str) -> str:
    """What a method sets, by the most that a list of it holds."""
    label = SET_METHODS[name]
    return label.format("1") if size == "1" else label.format(f"up to {size}") + "s"


def judged(r, sets):
    """The same lists, their surprise measured by models that wrote none of the texts."""
    judges = {f"`{sets['judge']['name']}`": sets["methods"]} | {f"`{name}`": judge["methods"] for name, judge in r["judges"].items()}
    wanted = {(name, size) for judge in r["judges"].values() for name, sizes in judge["methods"].items() for size in sizes}
    rows = []
    for name in SET_METHODS:
        for size in sorted((size for own, size in wanted if own == name), key=int):
            count, cells = len(sets["methods"][name][size]["concepts"]), []
            for methods in judges.values():
                figures = methods.get(name, {}).get(size, {})
                at = {e["nats"]: e for e in read_off(figures["base"], figures["curve"])} if "curve" in figures else {}
                cells += [f"{number(at[nats]['words'])} ({round(at[nats]['half'] * count)})" if nats in at else "–" for nats in (MILD, EQUAL)]
            rows.append((unit(name, size), *cells))
    heads = [cell for name in judges for cell in (f"{name}: {MILD} nats", f"{EQUAL} nats")]
    yield from heading("The same lists by other judges", "sets --judge")
    yield from grid(("words a text (topics with two in half of the texts), where texts are more surprising, as judged by", *heads), rows)
    told = []
    for name, judge in r["judges"].items():
        sizes = [judge["methods"].get(way) for way in ("topk", "sae")]
        if all(sizes):
            told.append(f"`{name}` gives {' and '.join(number(plain_nats(next(iter(own.values())))) for own in sizes)}")
    yield ""
    yield (
        "Lists, strengths, prompts and seeds are those of the table above; only the judge of surprise differs. The first judge wrote the texts for coordinates and features itself; the others wrote none of the texts."
        + (f" Nats per token of unedited texts of the TopK model and of the twin: {'; '.join(told)}." if told else "")
    )


LET_GO = {"topk 1": "TopK, 1 neuron", "topk 8": "TopK, up to 8 neurons", "dense 8": "dense twin, up to 8 coordinates", "sae 1": "SAE on the twin, 1 feature",
          "sae 8": "SAE on the twin, up to 8 features", "logits": "raised logits of the words"}  # fmt: skip


def letting_go(r, to_the_end):
    """Lists that are let go after some tokens, beside the same to the end (`sets`)."""
    rows = []
    for name, label in LET_GO.items():
        own = r["methods"].get(name)
        if own is None:
            continue
        method, *size = name.split()
        whole = to_the_end["methods"][method]
        whole = whole[size[0]] if size else whole
        count = len(whole["concepts"])
        at = {e["nats"]: e for e in read_off(own["base"], own["curve"], ("words", "half", "later"))}
        end = {e["nats"]: e for e in read_off(whole["base"], whole["curve"])} if "curve" in whole else {}
        cells = []
        for nats in (MILD, EQUAL):
            cells += [f"{number(e[nats]['words'])} ({round(e[nats]['half'] * count)})" if nats in e else "–" for e in (end, at)]
            cells.append(number(at.get(nats, {}).get("later")))
        rows.append((label, *cells))
    heads = [cell for nats in (MILD, EQUAL) for cell in (f"{nats} nats more: to the end", "let go", "of it after that")]
    yield from heading("Lists that are let go", "letting_go")
    yield from grid(("words a text (topics with two in half of the texts), where texts are more surprising by", *heads), rows)
    yield ""
    yield (
        f"The lists and amounts of `sets`, applied while the first {r['until']} of {to_the_end['tokens']} new tokens are written, with values times factors; the same prompts, seeds and judge. "
        f"After that: words that come after token {r['until']}, less those of a text without an edit. [Reading it](#reading-the-sets)."
    )


def on_curve(figures) -> list[str]:
    """Words and how many topics have two where the curve reaches each of `AT`; nothing beyond its end."""
    count = len(figures["concepts"])
    cells = [f"{number(at['words'])} ({round(at['half'] * count)})" for at in read_off(figures["base"], figures["curve"])]
    return cells + ["–"] * (len(AT) - len(cells))


def ceiling(r):
    count = len(r["concepts"])
    yield ""
    yield (
        f"For scale (`claims.ceiling`): raising the logits of the words themselves, with no neuron involved, meets the criterion for "
        f"{round(r['works'] * count)} of {count} concepts; on average {percent(mean_of(r['concepts'], 'success'))} of the texts reach the word count."
    )


def mean_of(rows, key) -> float:
    return sum(row[key] for row in rows) / len(rows)
