"""The README's table of claims, from the JSON files in results/.

    python -m claims.table            writes it between the markers of README.md
    python -m claims.table --check    exits 1 if README.md does not hold what the results say
"""

import argparse
import sys
from pathlib import Path

from . import common
from .meaning import COMPARED_END

BEGIN, END = "<!-- claims: made by `python -m claims.table` -->", "<!-- /claims -->"


def percent(value, digits=0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def number(value, digits=2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def quality(r):
    for key, label in (("topk", "TopK"), ("dense", "dense twin")):
        if key not in r:
            continue
        e, s = r[key], r[key]["stories"]
        loss = f"{number(e['validation']['bits_per_byte'], 3)} / {number(e['held_out']['bits_per_byte'], 3)}"
        yield f"Loss, {label}", f"{loss} bits a byte (TinyStories validation / held-out texts)", "claims.quality"
        told = f"name recurs {percent(s['name_recurs'])}, no 8-gram more than twice {percent(s['no_8gram_thrice'])}"
        yield f"{s['count']} unpicked stories, {label}", told, "claims.quality"
    if "gap_percent" in r:
        gap = r["gap_percent"]
        text = f"{gap['validation']:+.1f} % / {gap['held_out']:+.1f} % in nats a token"
        yield "TopK against its dense twin", text, "claims.quality"
    for name, other in r.get("also", {}).items():
        text = f"TopK has {number(other['topk_is_lower_by_percent'], 1)} % fewer bits a byte than its "
        yield f"Against `{name}`", text + number(other["validation"]["bits_per_byte"], 3), "claims.quality"
    if "topk" in r:
        added = r["topk"]["8bit_minus_f32"]["held_out_bits_per_byte"]
        yield "8-bit checkpoints", f"{added:+.4f} bits a byte against f32", "claims.quality"


def sae(r):
    text = f"variance explained {percent(r['variance_explained'], 1)}, dead {percent(r['dead_share'], 1)}, "
    text += f"loss {number(r['loss'])} → {number(r['loss_spliced'])} nats a token when spliced in"
    where = f"SAE (width {r['width']}, k {r['k']}) on the twin's block {r['layer']}"
    yield where, text, "claims.sae"


def meaning(r):
    names = [(k, n) for k, n in (("topk", "TopK neurons"), ("dense", "dense coordinates"), ("sae", "SAE features")) if k in r]
    for key, label in (("token_entropy", "Token entropy"), ("semantic_entropy", "Semantic entropy"), ("next_entropy", "Next-token entropy")):
        parts = []
        for name, shown in names:
            e = r[name][COMPARED_END[name]]["all"][key]
            if e and e["count"]:
                parts.append(f"{shown} {number(e['median'])} ({percent(e['share_under_2_bits'])} under 2)")
        if parts:
            yield f"{label}, median bits (of a coordinate's two ends the better one)", " · ".join(parts), "claims.meaning"
    check = r.get("topk", {}).get("against_the_command") or {}
    if check.get("same_text"):
        e = check["token_entropy"]
        text = f"median gap {e['median_gap']:.5f} bits, largest {e['largest_gap']:.3f}, over {e['compared']} neurons and the same text"
        yield "PyTorch's token entropies against `topk-lm analyze`", text, "claims.meaning"
    dead = " · ".join(f"{shown} {percent(r[name][COMPARED_END[name]]['all']['dead'], 1)}" for name, shown in names)
    yield "Dead over the text", dead, "claims.meaning"


def steering(r):
    for key, label in (("topk", "one TopK neuron"), ("dense", "one dense coordinate"), ("sae", "one SAE feature")):
        if "score" not in r.get(key, {}):
            continue
        s = r[key]["score"]
        n = len(s["concepts"])
        names = ("works", "works_relaxed", "works_with_middle_margin", "works_without_likelihood")
        counts = [round(s[k] * n) for k in names]
        text = f"{counts[0]} of {n} concepts by the criterion; {counts[1]} at {r['bounds']['relaxed_success']:g} instead of "
        text += f"{r['bounds']['success']:g} times the words; {counts[2]} with texts up to {r['search']['middle_margin']:g} times as "
        text += f"unlikely; {counts[3]} without a likelihood bound; mean success {percent(mean_of([c['bounded'] for c in s['concepts']], 'success'))}"
        if judged_by_itself(r[key]):
            text += "; likelihood under the unsteered model itself, for want of the twin"
        yield f"Steering by {label}", text, f"claims.steer --method {key}"


def judged_by_itself(method) -> bool:
    return method["judge"]["sha256"] == method["model"]["sha256"] and method["model"]["name"] != common.DENSE


def ceiling(r):
    n = len(r["concepts"])
    text = f"{round(r['works'] * n)} of {n} concepts by the criterion, mean success {percent(mean_of(r['concepts'], 'success'))}"
    yield "For scale: the words' own logits raised instead", text, "claims.ceiling"


def mean_of(rows, key) -> float:
    return sum(row[key] for row in rows) / len(rows)


def trace(r):
    last = list(zip(r["steps"], r["emerged_share"], strict=True))[-5:-1]
    text = f"neurons with their final meaning (JS ≤ {r['js_bound']:g}): " + ", ".join(f"{percent(e)} from step {s}" for s, e in last)
    text += f", of {r['steps'][-1]}"
    yield "Emergence over checkpoints", text, "claims.trace"
    layers = r["layers"]
    text = f"similarity {number(layers['same_index_mean'])} in neighbouring blocks, {number(layers['random_index_mean'])} for random indices"
    yield "One index over layers", text, "claims.trace"


def sae_trace(r):
    features, neurons = r["sae_features"], r["topk_neurons"]
    control = features["another_seed"]

    def row(steps, values):
        return ", ".join(f"{percent(v)} at step {s}" for s, v in list(zip(steps, values, strict=True))[:-1])

    by = {way: row(r["steps"], features["by"][way]["within"]) for way in ("cosine", "tokens")}
    cosine = ", ".join(number(c) for c in features["mean_max_cosine"][:-1])
    text = f"TopK neurons, same index: {row(r['topk_steps'], neurons['within'])} · SAE features, one SAE a checkpoint, "
    text += f"matched by direction: {by['cosine']} (mean cosine {cosine}; random directions {number(features['mean_max_cosine_of_random_directions'])}); "
    text += f"by the nearest distribution of all: {by['tokens']}; two SAEs of the final weights that differ in the seed: {percent(control['within_by_cosine'])} "
    text += f"and {percent(control['within_by_tokens'])} (mean cosine {number(control['mean_max_cosine'])}) · dense coordinates, same index: {row(r['steps'], r['dense_coordinates']['within'])}"
    yield f"Block {r['layer']}: final meaning already there (JS ≤ {r['js_bound']:g})", text, "claims.sae_trace"


def edit_cost(r):
    ratios = r["processor_ratio_to_no_edit" if r["backend"] == "cpu" else "speed_ratio_to_no_edit"]
    text = " · ".join(f"{n} edit{'s' if n != '1' else ''} {number(v)} ×" for n, v in ratios.items())
    yield f"Tokens a second with edits, against none ({r['backend']})", text, "claims.edit_cost"


def sweep(r):
    """The sweep as a table of its own, beneath the claims."""
    found, proxy = r["settings"], r["proxy"]
    what = f"d {proxy['d_model']}, {proxy['n_layers']} blocks, {proxy['tokens'] / 1e6:.1f} M tokens, one seed"
    yield f"The cut's settings on a proxy ({what}), as far as they are trained; `claims.sweep`:"
    yield ""
    yield "| k | n_nontopk | annealed | else | nats a token | above dense | median token entropy, bits | under 2 bits | bits saved for 1 % of loss |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, e in found.items():
        apart = ", ".join(v for v in (e["select"], e["post"]) if v not in (None, "value", "identity"))
        gap = f"{e['gap_percent']:+.1f} %" if e["k"] and "gap_percent" in e else "–"
        cells = [str(e["k"] or "dense"), "–" if e["n_nontopk"] is None else str(e["n_nontopk"]), "yes" if e["annealed"] else "–"]
        cells += [apart or "–", number(e["loss"]["validation"]["nats_per_token"], 3), gap, number(e["token_entropy_median"])]
        cells += [percent(e["share_under_2_bits"]), number(e.get("bits_per_percent"))]
        marked = [f"**{c}**" for c in cells] if name == r.get("best") else cells
        yield f"| {' | '.join(marked)} |"
    if r.get("best"):
        yield ""
        yield (
            f"Bold, the best by the rule: of settings within {r['rule']['within_percent']:g} % of the dense loss the one of lowest token entropy; if none is, the one that "
            "saves most bits of median token entropy for every % of loss. Dense coordinates by their better end, neurons by their highest values. The rule favours weak cuts, and the dense median is over all blocks, the others "
            "over the cut ones. The small model has a quarter of its width, as k 64 here, and one uncut block: within 2 % too, and its neurons reach a block further (training/claims/README.md); an earlier training of it with a tenth was 5.2 % above its twin."
        )


PARTS = {f.__name__: f for f in (quality, sae, meaning, steering, ceiling, trace, sae_trace, edit_cost)}


def table(results: Path) -> str:
    lines = ["| claim | measured | command |", "|---|---|---|"]
    for name, part in PARTS.items():
        result = common.read(results, name)
        lines += [f"| {claim} | {text} | `{command}` |" for claim, text, command in (part(result) if result else ())]
    if "dense" not in common.read(results, "quality"):
        lines.append("| The dense twin and the SAE on it: loss gap, entropies, steering | not measured: no trained twin yet | `claims.all --twin` |")
    swept = common.read(results, "sweep")
    if swept.get("settings"):
        lines += ["", *sweep(swept)]
    else:
        lines.append("| The cut's settings on a proxy (k, n_nontopk, annealing, abs, relu) | not run yet | `claims.sweep` |")
    return "\n".join(lines)


def placed(readme: str, content: str) -> str:
    """The README with the table between its markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md: needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--results", type=Path, default=common.RESULTS)
    p.add_argument("--readme", type=Path, default=common.ROOT / "README.md")
    p.add_argument("--check", action="store_true")
    args = p.parse_args()
    old = args.readme.read_text(encoding="utf-8")
    new = placed(old, table(args.results))
    if args.check:
        if old != new:
            sys.exit("README.md does not hold the results: run `python -m claims.table` in training/")
    else:
        args.readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
