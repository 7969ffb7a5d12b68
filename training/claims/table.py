"""What the JSON files in results/ say, as Markdown: tables in claims/README.md, the lines of findings in the project's README.md.

    python -m claims.table            writes both between their markers
    python -m claims.table --check    exits 1 if either does not match the results

results/paper.json and results/longer.json, which rest on the other results (`paper.py`, `longer.py`), are written with them.
"""

import argparse
import json
import sys
from pathlib import Path

from . import common, longer, paper
from .curves import AT, read_off, words_at
from .markdown import grid, heading, listed, number, percent
from .meaning import COMPARED_END
from .table_training import compute, sae_trace, sweep, sweep_wide, trace
from .table_training import paper as paper_table

BEGIN, END = "<!-- claims: made by `python -m claims.table` -->", "<!-- /claims -->"
KINDS = (("topk", "TopK neurons"), ("dense", "dense coordinates"), ("sae", "SAE features"))
TEXTS = {"validation": "validation", "held_out": "held-out", "test": "test"}
READ = {"validation": "the validation text", "held_out": "held-out documents", "test": "test stories by which nothing was chosen"}
ENTROPIES = (("token_entropy", "Token entropy"), ("semantic_entropy", "Semantic entropy"), ("next_entropy", "Next-token entropy"))


def quality(r):
    columns = [(key, label) for key, label in (("topk", "TopK"), ("dense", "dense twin")) if key in r]
    if not columns:
        return
    rows = (
        ("TinyStories validation text, bits per byte", lambda e: number(e["validation"]["bits_per_byte"], 3)),
        ("held-out documents, bits per byte", lambda e: number(e["held_out"]["bits_per_byte"], 3)),
        ("test stories, by which nothing was chosen, bits per byte", lambda e: number(e.get("test", {}).get("bits_per_byte"), 3)),
        ("8-bit weights on the held-out documents, bits per byte above f32", lambda e: f"{e['8bit_minus_f32']['held_out_bits_per_byte']:+.4f}"),
        ("unpicked stories in which the prompt's name recurs", lambda e: percent(e["stories"]["name_recurs"])),
        ("unpicked stories in which no 8-gram occurs more than twice", lambda e: percent(e["stories"]["no_8gram_thrice"])),
    )
    yield from heading("Loss and stories", "quality")
    yield from grid(("", *(label for _, label in columns)), ((name, *(cell(r[key]) for key, _ in columns)) for name, cell in rows))
    notes = []
    if "gap_percent" in r:
        gap = r["gap_percent"]
        gaps = listed([f"{gap[which]:+.1f} % ({name})" for which, name in TEXTS.items() if which in gap])
        notes.append(f"The loss of TopK, in nats per token, differs from its dense twin's by {gaps}.")
    for name, other in r.get("also", {}).items():
        lower, than = number(other["topk_is_lower_by_percent"], 1), number(other["validation"]["bits_per_byte"], 3)
        notes.append(f"TopK needs {lower} % fewer bits per byte than `{name}` ({than}).")
    if notes:
        yield from ("", " ".join(notes))


def meaning(r):
    kinds = [(key, label) for key, label in KINDS if key in r]
    found = {key: r[key][COMPARED_END[key]]["all"] for key, _ in kinds}

    def cell(e):
        return f"{number(e['median'])} ({percent(e['share_under_2_bits'])})" if e and e["count"] else "–"

    rows = [(f"{label}, median bits (share below 2)", *(cell(found[key][name]) for key, _ in kinds)) for name, label in ENTROPIES]
    rows.append(("dead over the text", *(percent(found[key]["dead"], 1) for key, _ in kinds)))
    yield from heading("What one unit means", "meaning")
    yield from grid(("", *(label for _, label in kinds)), rows)
    yield from ("", "Neurons and features by their highest values, coordinates by whichever tail has the lower token entropy.")
    check = r.get("topk", {}).get("against_the_command") or {}
    if check.get("same_text"):
        e = check["token_entropy"]
        yield (
            f"PyTorch and `topk-lm analyze` agree on the token entropies of {e['compared']} neurons over the same text: "
            f"median difference {e['median_gap']:.5f} bits, largest {e['largest_gap']:.3f}."
        )


def sae(r):
    rows = [
        (
            "JumpReLU" if e["kind"] == "jumprelu" else "TopK",
            str(e["layer"]),
            f"{e['width']:,}",
            str(e["k"]),
            str(e["seed"]),
            f"{e['trained_positions']:,}",
            number(e["active_a_position"], 1),
            percent(e["variance_explained"], 1),
            percent(e["dead_share"], 1),
            f"{e['loss_added_by_splice']:+.3f}",
        )
        for e in sorted(r.values(), key=lambda e: (e["layer"], e["kind"] == "jumprelu", -e["k"], e["seed"], e["trained_positions"]))
    ]
    yield from heading("The autoencoders beside them", "sae")
    yield from grid(("kind", "block", "features", "k", "seed", "positions", "active a position", "variance explained", "dead", "nats per token added when spliced in"), rows)
    any_one = next(iter(r.values()))
    yield ""
    yield (
        f"Positions: of the dense twin's stream that each was trained on. The twin's own loss is {number(any_one['loss'], 3)} nats per token. Most trainings were short; longer ones explain more, here and "
        "[on another twin](#what-longer-training-does)."
    )
    if any(e["kind"] == "jumprelu" for e in r.values()):
        yield (
            "A JumpReLU's k is what its penalty aims at; none reached it. So short a training leaves them with fewer active features and more dead ones than TopK, "
            "and their rows are no verdict on the method."
        )
    yield (
        "The stream gets harder to reconstruct from block to block, and half as many active features cost more behind every one. "
        "A TopK model has nothing to reconstruct."
    )


CONTROL_ROWS = {
    "topk": "TopK neurons",
    "topk_rotated": "… the same states, rotated",
    "early": "… at step {step}",
    "untrained": "… before training",
    "embedding": "the token embedding alone",
    "dense": "dense coordinates",
    "dense_rotated": "… the same states, rotated",
}


def controls(r):
    rows = []
    for name, e in sorted(r["rows"].items(), key=lambda pair: [*CONTROL_ROWS, pair[0]].index(pair[0])):
        kind = {"jumprelu": "JumpReLU", "topk": "TopK"}.get(e.get("kind"))
        label = CONTROL_ROWS.get(name, f"SAE features, {kind}, k {e.get('k')}, block {e.get('layer')} (`{name.removeprefix('sae ')}`)").format(step=e.get("step"))
        layers = e["layers"] or {}
        cells = [percent(e["density"], 1), *(number(e[key]) for key in ("at_1", "at_10", "by_value", "f1", "f1_shuffled"))]
        even = f"{number(e['f1_even'])} ({number(e['f1_even_shuffled'])})" if "f1_even" in e else "–"
        cells += [number(e.get("at_even")), even, percent(e["token"])]
        cells.append(f"{number(layers['same_index'])} ({number(layers['random_index'])})" if layers else "–")
        rows.append((label, *cells, percent(e["left_out"])))
    yield from heading("What one unit reads, and what would refute it", "controls")
    head = ("", "active at", "entropy, strongest 1 %", "strongest 10 %", "by value", "F1", "F1 shuffled", "evenly: entropy", "evenly: F1 (shuffled)", "foretold by the token", "same index, next block (random)", "left out")
    yield from grid(head, rows)
    yield ""
    yield (
        f"Medians over {r['units_a_block']} units a block, {r['text']['tokens']:,} tokens of held-out documents; entropies in bits, of at most {r['text']['drawn']} activations. "
        "Evenly: every unit at as many positions, its strongest 3.2 % (for the entropy 0.32 %), with the tokens that raise F1 most. The definitions are in `controls.py`."
    )


def seeds(r):
    mean = r["mean"]

    def row(label, e):
        return (label, number(e["correlation"]), percent(e["above_half"]), percent(e["mutual"]) if "mutual" in e else "–")

    yield from heading("Another seed", "seeds")
    yield from grid(
        ("neurons of one seed matched to …", "correlation, median", "above 0.5", "mutual"),
        (
            row("neurons of the other seed", mean["seeds"]),
            row("directions of its states, rotated", mean["rotated"]),
            row("its neurons before training", mean["untrained"]),
            row("its neurons of the same index", mean["same_index"]),
        ),
    )
    tokens, losses = mean["seeds"]["tokens"], listed([number(v, 3) for v in r["held_out_nats"]])
    yield ""
    yield (
        f"At the proxy's size ({r['config']}, {r['tokens'] / 1e6:.1f} M tokens; {losses} nats per token held out), over {r['positions']:,} positions of held-out text, mean over the cut blocks. "
        f"The tokens of matched neurons have a similarity of {number(tokens['match'])}, of random pairs {number(tokens['random'])}."
    )


def copies(r):
    names = {"topk": "TopK", "dense": "dense twin", "held_out": "held-out documents", "validation": "TinyStories validation text"}
    yield from heading("What is written by heart", "copies")
    yield from grid(("", "runs", "in the training text"), [(label, f"{row['runs']:,}", percent(row["known"], 2)) for name, label in names.items() if (row := r["rows"].get(name))])
    yield ""
    yield (
        f"Runs of {r['words']} words, beyond the first {r['after']}, of {r['rows']['topk']['documents']} documents that each model writes from nothing (temperature {number(r['temperature'], 1)}), beside stories that were not trained on. "
        "[How texts are kept apart](../README.md#data) bounds what the latter can share."
    )


def consistency(r):
    def row(label, e):
        return (label, *(percent(e[kind]["right"]) if kind in e else "–" for kind in ("who", "holder", "what")), number(e["figure"]))

    rows = []
    for key, label in (("topk", "TopK"), ("dense", "dense twin")):
        if key in r:
            rows += [row(label, r[key]), row("… sentences shuffled", r[key]["shuffled_sentences"]), row("… without the story", r[key]["sentence_alone"])]
    yield from heading("Consistency", "consistency")
    yield from grid(("", "who", "holder", "what", "figure"), rows)
    yield ""
    yield f"Share of {r['items_of_each_kind']} questions of each kind answered rightly; 50 % is guessing, and the figure is the mean above it (1: always right)."


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
        f"Two texts differ in one word. There the state of the one is put into the other, and the table says how far the log odds of the next word come over: medians over {r['kept']} pairs "
        f"(of {r['pairs']}; the others move them by less than {r['least_odds']:g} nats in one of the models). Of single units those that bring most come first, in each pair. "
        "“Units” is the least number with so much of what the whole state brings, and the last column the share of pairs in which one or two do; of an SAE, of what the twin's own state brings, and in brackets of what all its features do."
    )


def shown_block(rows) -> str:
    """The block behind which an SAE was measured too, else the one in the middle."""
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
    yield from heading("Single neurons that turn a contrast, behind fresh prompts", "switches")
    yield from grid(("", "neurons", "to the same side", "times the best random neuron, median", "at least once", "at least 1.5 times", "three times"), rows)
    yield ""
    yield (
        f"`topk-lm analyze --writes` lists the neurons that move the log odds of a contrast (was / were, he / she, …; {r['contrasts']} of them) at least 1.5 times as far as the best of 100 random neurons of the layer, "
        "all set to the largest values at which their texts still read. Here each is set to the same value behind three prompts of the contrast that it was not found with, beside 100 other random neurons of its layer."
    )


SET_METHODS = {"topk": "TopK, {} neuron", "index": "TopK, {} index behind several blocks", "random": "TopK, {} random neuron", "dense": "dense twin, {} coordinate",
               "dense_index": "dense twin, {} index behind several blocks", "sae": "SAE on the twin, {} feature",
               "sae_long": "SAE trained three times as long, {} feature"}  # fmt: skip
SINGLE_METHODS = {"first": "TopK, up to 8 neurons by the rule before", "means": "difference of means, one direction", "prompt": "a sentence before the prompt", "logits": "raised logits of the words"}


def sets(r):
    def row(label, e):
        count = len(e["concepts"])
        return (label, number(e["words"]), percent(e["two"]), number(e["nll_ratio"]), f"{round(e['works'] * count)} of {count}",
                f"{round(e['works_strictly'] * count)} of {count}", number(e["harmonic"]))  # fmt: skip

    def units(label, size, figures):
        """With the block where it is not one of several that were tried."""
        text = label.format("1") if size == "1" else label.format(f"up to {size}") + "s"
        behind = {layer for own in figures.get("chosen", []) for layer in own["layer"]}
        return text + (f" (block {behind.pop()})" if len(behind) == 1 < len(r["layers"]) else "")

    named = [
        (units(label, size, r["methods"][name][size]), r["methods"][name][size])
        for name, label in SET_METHODS.items()
        for size in sorted(r["methods"].get(name, {}), key=int)
    ]
    rows = [row(label, figures) for label, figures in named]
    rows += [row(label, r["methods"][name]) for name, label in SINGLE_METHODS.items() if name in r["methods"]]
    base = next(iter(r["methods"].values()))
    base = base["base"] if "base" in base else next(iter(base.values()))["base"]
    yield from heading("Steering by a few units", "sets")
    yield from grid(("behind blocks " + listed([str(layer) for layer in r["layers"]]), "words a text", "texts with two", "surprise", "concepts that work", "by the strict bar", "harmonic mean"), rows)
    yield ""
    yield (
        f"Means over the concepts, on {r['texts']} texts of {r['tokens']} tokens from prompts that nothing was chosen on; without an edit a text has {number(base)} words of a concept. "
        f"Blocks, lists and strengths were chosen on other prompts, strengths for two words in {percent(r['enough'])} of the texts, but for at most {number(r['surprise'])} times the surprise; {r['judge']['name']} judges. "
        "A concept works if half of its texts have two of its words within 1.3 times the surprise; "
        "the strict bar asks for five times the words, (steered + 1) / (base + 1)."
    )
    named += [(label, r["methods"][name]) for name, label in SINGLE_METHODS.items() if name in r["methods"]]
    curves = [(label, figures) for label, figures in named if "curve" in figures]
    if curves:
        yield ""
        yield from grid(("words a text (concepts with two in half of the texts) at a surprise of", *map(number, AT)), [(label, *on_curve(figures)) for label, figures in curves])
        yield ""
        yield "The same lists and prompts, all values of a list times one factor for all concepts; read off between the factors measured."


def on_curve(figures) -> list[str]:
    """Words and how many concepts have two where the curve reaches each surprise of `AT`; nothing beyond its end."""
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


def longer_trained(r):
    yield from heading("Trained four times as long", "table")
    yield from grid(("", *r["columns"]), [(e["name"], *(UNITS[e["unit"]](value) for value in e["values"])) for e in r["rows"]])
    yield ""
    yield (
        "The models of [training/next](../next/README.md) beside the shipped ones, by the same commands (`results/22M`). They also differ in shape and mixture, and their autoencoders read more: see "
        "[what longer training does](#what-longer-training-does)."
    )


def longer_settings(r):
    done = r["settings"]
    head = ("setting", "what it is", "tokens", "held-out documents, bits per byte", "validation text", "F1", "at step 928", "who", "which object")
    yield from heading("Settings of the longer training", "table")
    yield from grid(
        head,
        [
            (
                f"`{name}`", e["why"], f"{e['tokens'] / 1e6:.0f} M", *(number(e[text]["bits_per_byte"], 3) for text in ("held_out", "validation")),
                *(number(e.get(key)) for key in ("f1", "f1_at_step_928")), *(percent(e.get(key)) for key in ("who", "what")),
            )
            for name, e in done.items()
        ],
    )  # fmt: skip
    yield ""
    yield f"`configs/{r['config']}` but for what is said ({r['device']}). Weights are kept of the first alone."


def edit_cost(r):
    ratios = r["processor_ratio_to_no_edit" if r["backend"] == "cpu" else "speed_ratio_to_no_edit"]
    text = " · ".join(f"{n} edit{'s' if n != '1' else ''} {number(v)} ×" for n, v in ratios.items())
    yield from heading("The cost of edits", "edit_cost")
    yield f"Tokens per second relative to a run without edits ({r['backend']}): {text}."


# As on the site (www/src/lib/claims/figures.ts).
UNITS = {
    "three": lambda value: number(value, 3),
    "two": number,
    "percent": percent,
    "tenths": lambda value: percent(value, 1),
    "signed": lambda value: f"{value:+.1f} %",
    "count": lambda value: f"{value:,}",
}
LONGER_LINE = ("validation text", "which object", "… three times as far", "F1 of a neuron's label", "… by up to 8 neurons")
TABLES = (quality, copies, controls, meaning, sae, seeds, consistency, patches, switches, sets, steering, ceiling, trace, sae_trace, compute, edit_cost, sweep, sweep_wide)
PARTS = {"paper": paper_table} | {f.__name__: f for f in TABLES} | {"longer": longer_trained}


def table(results: Path) -> str:
    """Everything that was measured."""
    lines = []
    for name, part in PARTS.items():
        result = common.read(results, name)
        lines += part(result) if result else ()
    tried = common.read(results / longer.LONGER, "settings")
    lines += longer_settings(tried) if tried else ()
    if "dense" not in common.read(results, "quality"):
        lines += ["", "Not measured yet: the dense twin and the SAEs on it."]
    if not common.read(results, "sweep").get("settings"):
        lines += ["", "Not measured yet: the settings of the TopK activation (`claims.sweep`)."]
    return "\n".join(lines).strip()


def headline(results: Path) -> str:
    """The lines of findings in the project's README."""
    q, m, s, c = (common.read(results, name) for name in ("quality", "meaning", "steering", "ceiling"))
    lines = []
    if "gap_percent" in q:
        gap = q["gap_percent"]
        gaps = listed([f"{gap[which]:+.1f} % on {READ[which]}" for which in READ if which in gap])
        lines.append(f"- **Loss**: {gaps}, in nats per token, against the dense twin.")
    reads = common.read(results, "controls").get("rows", {})
    if {"topk", "topk_rotated", "dense"} <= set(reads):
        f1 = {name: number(row["f1"]) for name, row in reads.items()}
        lines.append(
            f"- **Reading**: a label of a few tokens tells where a neuron is active with an F1 of {f1['topk']} (median); where the same states are rotated, {f1['topk_rotated']}; "
            f"for the dense twin's coordinates, {f1['dense']}."
        )
        if all("f1_even" in reads[name] for name in ("topk", "topk_rotated", "dense")):
            rows = [reads[name] for name in ("topk", "topk_rotated", "dense")]
            f1_even, bits = (listed([number(row[key], digits) for row in rows]) for key, digits in (("f1_even", 2), ("at_even", 1)))
            lines[-1] += (
                f" Neurons are active at {percent(rows[0]['density'])} of the positions, the others at {percent(rows[1]['density'])}: at equally many, with the tokens that fit best, "
                f"F1 is {f1_even}, and the tokens there have {bits} bits."
            )
    elif "topk" in m:
        medians = [f"{number(m[key][COMPARED_END[key]]['all']['token_entropy']['median'])} bits for {label}" for key, label in KINDS if key in m]
        lines.append(f"- **Meaning**: a median token entropy of {listed(medians)}.")
    patched = common.read(results, "patches").get("rows", {})
    if patched:
        block = shown_block(patched)
        rows = patched[block]
        saes = [name for name in rows if name.startswith("sae ")]
        ways = {"eight features of an SAE on the twin": next(iter(saes), ""), "coordinates of the twin": "dense", "directions of the rotated states": "topk_rotated"}
        others = [f"{name} {percent(rows[key]['together']['8'])}" for name, key in ways.items() if key in rows]
        wholes = [f"{name} {percent(rows[key]['whole'])}" for name, key in (("the whole state", "topk"), ("the twin's", "dense")) if key in rows]
        lines.append(
            f"- **Patching**: where two texts differ in one word, eight neurons of one, put into the other behind block {block}, bring its next word {percent(rows['topk']['together']['8'])} of the way over "
            f"({listed(others)}; {listed(wholes)}; medians)."
        )
    turned = common.read(results, "switches")
    if turned:
        lines.append(
            f"- **Switches**: {turned['listed']:,} neurons turn one contrast, such as he / she, at least 1.5 times as far as the best of 100 random neurons while their texts still read; behind prompts that they were "
            f"not found with {percent(turned['times']['as_listed'])} still do, and {percent(turned['same_side']['mean'], 1)} turn it the same way (other random neurons: {percent(turned['random']['times']['as_listed'])} and "
            f"{percent(turned['random']['same_side']['mean'], 1)})."
        )
    few = common.read(results, "sets").get("methods", {})
    if {"1", "8"} <= set(few.get("topk", {})):
        count = len(few["topk"]["8"]["concepts"])
        works = {size: round(few["topk"][size]["works"] * count) for size in ("1", "8")}
        text = f"- **Steering**: lists of at most 8 neurons bring {works['8']} of {count} concepts into half of the texts that still read (one neuron: {works['1']}"
        others = {
            "as many coordinates of the dense twin": few.get("dense", {}).get("8"),
            "SAE features": few.get("sae", {}).get("8"),
            "those of an SAE trained three times as long": few.get("sae_long", {}).get("8"),
            "raised logits of the words, without any neuron": few.get("logits"),
        }
        lines.append("; ".join([text, *(f"{name}: {round(e['works'] * count)}" for name, e in others.items() if e)]) + ").")
        ways = {"the lists": few["topk"]["8"], "SAE features": few.get("sae", {}).get("8"), "those of the SAE trained longer": few.get("sae_long", {}).get("8"), "coordinates": few.get("dense", {}).get("8"), "raised logits": few.get("logits")}
        equal = {name: words for name, way in ways.items() if way and "curve" in way and (words := words_at(way, 1.2)) is not None}
        if "the lists" in equal and len(equal) > 1:
            ours, *rest = equal.items()
            lines[-1] += f" At 1.2 times the surprise {ours[0]} bring {number(ours[1])} words of a concept a text, {listed([f'{name} {number(words)}' for name, words in rest])}."
    elif "score" in s.get("topk", {}):
        score = s["topk"]["score"]
        count = len(score["concepts"])
        strict, free = (round(score[key] * count) for key in ("works", "works_without_likelihood"))
        text = f"- **Steering**: one neuron steers {strict} of {count} concepts by our strict criterion, {free} without its bound on likelihood"
        lines.append(f"{text}; raising the logits themselves steers {round(c['works'] * len(c['concepts']))}." if c else f"{text}.")
    both = {e["name"]: [UNITS[e["unit"]](value) for value in e["values"]] for e in common.read(results, "longer").get("rows", ())}
    if both:
        lines.append(
            "- **Longer training**: [larger models](training/next/README.md) that read four times as much need {} bits per byte instead of {}, tell which object a story means in {} of the questions ({}), and have {} neurons that "
            "turn a contrast three times as far as the best random one ({}); but a label's F1 is {} ({}), and lists of at most 8 neurons bring {} of the topics ({}). We ship the smaller models, whose neurons are easier to read.".format(
                *(cell for name in LONGER_LINE for cell in both[name][::-1])
            )
        )
    return "\n".join(lines) or "Nothing has been measured yet."


def placed(text: str, content: str, path: Path) -> str:
    """`text` with `content` between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--results", type=Path, default=common.RESULTS)
    p.add_argument("--readme", type=Path, default=Path(__file__).with_name("README.md"), help="takes the tables")
    p.add_argument("--headline", type=Path, default=common.ROOT / "README.md", help="takes the lines of findings")
    p.add_argument("--check", action="store_true")
    args = p.parse_args()
    derived = {"paper": {"claims": paper.rows(args.results)}}
    if (args.results / longer.LONGER).exists():
        derived["longer"] = {"columns": longer.MODELS, "rows": longer.rows(args.results)}
    for name, result in derived.items():
        if not args.check:
            common.write(args.results, name, result)
        elif common.read(args.results, name) != json.loads(json.dumps(common.rounded(result))):
            sys.exit(f"{args.results / name}.json does not match the other results: run `python -m claims.table` in training/")
    for path, content in ((args.readme, table(args.results)), (args.headline, headline(args.results))):
        old = path.read_text(encoding="utf-8")
        new = placed(old, content, path)
        if not args.check:
            path.write_text(new, encoding="utf-8")
        elif old != new:
            sys.exit(f"{path} does not match the results: run `python -m claims.table` in training/")


if __name__ == "__main__":
    main()
