"""The findings in the project's README, from the JSON files in results/: a table, and lines with all of them."""

import json
from pathlib import Path

from . import common
from .controls import EVEN
from .curves import EQUAL, plain_nats, words_at
from .glance import SHARPEST, glance, label_f1, measured_with
from .markdown import listed, number, percent
from .meaning import COMPARED_END
from .table_reading import KINDS
from .table_steering import shown_block
from .table_training import LONGER_LINE, UNITS

READ = {"validation": "the validation text", "held_out": "held-out documents", "test": "test stories used only for this figure"}


def site_labels() -> float | None:
    """The median F1 of the labels that the site shows, from the analysis that ships with the model."""
    index = common.ROOT / "models" / common.TOPK / "features" / "index.json"
    return json.loads(index.read_text(encoding="utf-8"))["reads"]["f1"] if index.exists() else None


def headline(results: Path) -> str:
    """The table, and the lines in a fold."""
    q, m, s, c = (common.read(results, name) for name in ("quality", "meaning", "steering", "ceiling"))
    lines = []
    if "gap_percent" in q:
        gap = q["gap_percent"]
        gaps = listed([f"{gap[which]:+.1f} % on {READ[which]}" for which in READ if which in gap])
        lines.append(f"- **Loss**: {gaps}, in nats per token, against the dense twin{measured_with(q)}.")
        files = q.get("shipped", {})
        if "gap_percent" in files:
            gaps = listed([f"{files['gap_percent'][which]:+.1f} % on {READ[which]}" for which in READ if which in files["gap_percent"]])
            lines[-1] += f" The shipped files, in 8 bits: {gaps}."
    reads = common.read(results, "controls").get("rows", {})
    if {"topk", "topk_rotated", "dense"} <= set(reads):
        f1 = {name: number(row["f1"]) for name, row in reads.items()}
        lines.append(
            f"- **Reading**: a label of a few tokens tells where a neuron is active with an F1 of {f1['topk']} (median); where the same states are rotated, {f1['topk_rotated']}; "
            f"for the dense twin's coordinates, {f1['dense']}."
        )
        if all("f1_even" in reads[name] for name in ("topk", "topk_rotated", "dense")):
            rows = [reads[name] for name in ("topk", "topk_rotated", "dense")]
            f1_even, bits = ([number(row[key], digits) for row in rows] for key, digits in (("f1_even", 2), ("at_even", 1)))
            lines[-1] += (
                f" Compared at equally many positions (each unit's strongest {percent(EVEN)}) with the best-fitting tokens, F1 is {f1_even[0]} for neurons, {f1_even[1]} for rotated states and {f1_even[2]} for coordinates. "
                f"The tokens at the strongest tenth of these have entropies of {listed(bits)} bits."
            )
            labels = site_labels()
            if labels is not None:
                lines[-1] += f" (Labels on the site use the best-fitting tokens too, and have {number(labels)} over the model's own text.)"
        sharp = common.read(results, "strongest")
        if sharp:
            names = {"topk": "for neurons", "topk_rotated": "where the states are rotated", "dense": "for coordinates"} | {
                name: f"for the {percent(row[SHARPEST]['reach'])} of the SAE features that are active so often" for name, row in sharp["rows"].items() if name.startswith("sae ")
            }
            told = listed([f"{number(sharp['rows'][name][SHARPEST]['f1'])} {what}" for name, what in names.items() if name in sharp["rows"]])
            lines[-1] += f" Where each is strongest, at {percent(float(SHARPEST), 1)} of the positions, where neurons do best, it is {told} (after block {sharp['block']})."
            labels = label_f1(reads, sharp["block"])
            if labels:
                lines[-1] += f" By labels of all their activations SAE features there have {number(labels['sae'])}, neurons {number(labels['topk'])}."
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
            f"- **Patching**: where two texts differ in one word, eight neurons of one (those that do most in each pair), copied into the other after block {block}, move its next word {percent(rows['topk']['together']['8'])} of the way "
            f"({'; '.join(listed(part) for part in (others, wholes) if part)}; medians)."
        )
        if saes:
            lines[-1] += f" Eight features do as large a share of what all features that differ do ({percent(rows[saes[0]]['whole'])})."
    turned = common.read(results, "switches")
    if turned:
        lines.append(
            f"- **Switches**: {turned['listed']:,} times a neuron turns a contrast, such as he / she, at least 1.5 times as far as the best of 100 random neurons, all at values at which short texts stay readable; after prompts that they were "
            f"not found with {percent(turned['times']['as_listed'])} still do, and {percent(turned['same_side']['mean'], 1)} turn it the same way (other random neurons: {percent(turned['random']['times']['as_listed'])} and "
            f"{percent(turned['random']['same_side']['mean'], 1)})."
        )
    sought = common.read(results, "turning")
    if sought:
        lines.append(
            f"- **Finding neurons**: asked for {sought['pairs']} pairs of words, such as dog / cat, `topk-lm turn` finds neurons that turn the one into the other; of the first eight of each ({sought['listed']:,} in all) "
            f"{percent(sought['same_side']['mean'], 1)} do so after prompts where they were not looked for, by {percent(sought['kept']['median'])} of what they did where they were found (other random neurons: "
            f"{percent(sought['random']['same_side']['mean'], 1)})."
        )
        if "dense" in sought:
            ours, theirs = (number(e["nats"]["median"], 1) for e in (sought, sought["dense"]))
            lines[-1] += (
                f" Coordinates of the twin, at their largest values, hold as well ({percent(sought['dense']['same_side']['mean'], 1)}, by {percent(sought['dense']['kept']['median'])}), but turn the words by {theirs} nats where neurons, "
                f"at values at which texts stay readable, do by {ours}."
            )
    sets = common.read(results, "sets")
    few = sets.get("methods", {})
    if {"1", "8"} <= set(few.get("topk", {})):
        count, likelihood = len(few["topk"]["8"]["concepts"]), sets["bounds"]["likelihood"]
        works = {size: round(few["topk"][size]["works"] * count) for size in ("1", "8")}
        text = f"- **Steering**: lists of at most 8 neurons bring up {works['8']} of {count} topics: two of a topic's words in half of the texts, which together are at most {likelihood:g} times as surprising as unedited ones (one neuron: {works['1']}"
        others = {
            "as many coordinates of the dense twin": few.get("dense", {}).get("8"),
            "features of an SAE on the twin": few.get("sae", {}).get("8"),
            "one feature": few.get("sae", {}).get("1"),
            "raised logits of the words, without any neuron": few.get("logits"),
        }
        lines.append("; ".join([text, *(f"{name}: {round(e['works'] * count)}" for name, e in others.items() if e)]) + ").")
        allowed = [(likelihood - 1) * plain_nats(few[way]["8"]) for way in ("topk", "dense") if few.get(way, {}).get("8", {}).get("curve")]
        if len(allowed) == 2:
            lines[-1] += f" ({likelihood:g} times allows neurons {number(allowed[0])} nats per token, the twin's coordinates and features {number(allowed[1])}.)"
        ways = {"the lists": few["topk"]["8"], "SAE features": few.get("sae", {}).get("8"), "coordinates": few.get("dense", {}).get("8"), "raised logits": few.get("logits")}
        equal = {name: words for name, way in ways.items() if way and "curve" in way and (words := words_at(way)) is not None}
        if "the lists" in equal and len(equal) > 1:
            ours, *rest = equal.items()
            lines[-1] += f" At the price of {EQUAL} nats per token {ours[0]} bring {number(ours[1])} words of a topic a text, {listed([f'{name} {number(words)}' for name, words in rest])}."
            judges = common.read(results, "judged").get("judges", {})
            both = [[j["methods"].get(way, {}).get("8") for way in ("topk", "sae")] for j in judges.values()]
            told = [" and ".join(number(words_at(figures)) for figures in pair) for pair in both if all(pair)]
            if told:
                lines[-1] += f" Here the twin measures surprise, and it wrote the texts for the features itself. Measured by larger models that wrote none of the texts, the lists and features bring {' words, or '.join(told)} words."
    elif "score" in s.get("topk", {}):
        score = s["topk"]["score"]
        count = len(score["concepts"])
        strict, free = (round(score[key] * count) for key in ("works", "works_without_likelihood"))
        text = f"- **Steering**: one neuron steers towards {strict} of {count} topics by our strict criterion, {free} without its bound on likelihood"
        lines.append(f"{text}; raising the logits themselves steers {round(c['works'] * len(c['concepts']))}." if c else f"{text}.")
    both = {e["name"]: [UNITS[e["unit"]](value) for value in e["values"]] for e in common.read(results, "longer").get("rows", ())}
    if both:
        lines.append(
            "- **Longer training**: [larger models](training/next/README.md) that read four times as much need {} bits per byte instead of {}, tell which object a story means in {} of the questions ({}), and {} times one neuron "
            "turns a contrast three times as far as the best random one ({} times); but a label's F1 is {} ({}), and lists of at most 8 neurons bring up {} of the topics ({}). We ship the smaller models, whose neurons are easier to read.".format(
                *(cell for name in LONGER_LINE for cell in both[name][::-1])
            )
        )
    if not lines:
        return "Nothing has been measured yet."
    folded = "\n".join(("<details><summary>All findings, in sentences</summary>", "", *lines, "", "</details>"))
    return "\n\n".join(part for part in (glance(results), folded) if part)
