"""What the JSON files in results/ say, as Markdown: tables in claims/README.md, the findings in the project's README.md.

    python -m claims.table            writes both between their markers
    python -m claims.table --check    exits 1 if either does not match the results

results/paper.json and results/longer.json, which rest on the other results (`paper.py`, `longer.py`), are written with them.
"""

import argparse
import json
import sys
from pathlib import Path

from topklm.export import write_whole

from . import common, longer, paper
from .glance import measured_with
from .headline import headline
from .markdown import grid, heading, listed, number, percent
from .table_reading import consistency, controls, copies, meaning, sae, seeds, strongest
from .table_steering import ceiling, judged, letting_go, patches, sets, steering, switches, turning
from .table_training import compute, idle, lasting, longer_settings, longer_trained, sae_trace, shares, sweep, sweep_wide, trace
from .table_training import paper as paper_table

BEGIN, END = "<!-- claims: made by `python -m claims.table` -->", "<!-- /claims -->"
TEXTS = {"validation": "validation", "held_out": "held-out", "test": "test"}


def quality(r):
    columns = [(key, label) for key, label in (("topk", "TopK"), ("dense", "dense twin")) if key in r]
    if not columns:
        return
    rows = (
        ("TinyStories validation text, bits per byte", lambda e: number(e.get("validation", {}).get("bits_per_byte"), 3)),
        ("held-out documents, bits per byte", lambda e: number(e["held_out"]["bits_per_byte"], 3)),
        ("test stories used only for this figure, bits per byte", lambda e: number(e.get("test", {}).get("bits_per_byte"), 3)),
        (f"8-bit weights{'' if r[columns[0][0]]['8bit_minus_f32'].get('with_head') else ', but for the head'}, on the held-out documents, bits per byte above f32", lambda e: f"{e['8bit_minus_f32']['held_out_bits_per_byte']:+.4f}"),
        ("unpicked stories in which the prompt's name recurs", lambda e: percent(e["stories"]["name_recurs"])),
        ("unpicked stories in which no 8-gram occurs more than twice", lambda e: percent(e["stories"]["no_8gram_thrice"])),
    )
    yield from heading("Loss and stories", "quality")
    yield from grid(("", *(label for _, label in columns)), ((name, *(cell(r[key]) for key, _ in columns)) for name, cell in rows))
    notes = []
    if "gap_percent" in r:
        gap = r["gap_percent"]
        gaps = listed([f"{gap[which]:+.1f} % ({name})" for which, name in TEXTS.items() if which in gap])
        notes.append(f"The loss of TopK{measured_with(r)}, in nats per token, differs from its dense twin's by {gaps}.")
    files = r.get("shipped", {})
    if "gap_percent" in files:
        losses = [f"{files['topk'][which]['nats_per_token']:.3f} and {files['dense'][which]['nats_per_token']:.3f} ({TEXTS[which]}, {gap:+.1f} %)" for which, gap in files["gap_percent"].items()]
        notes.append(f"The shipped files, in which all matrices including the head are in 8 bits, have {listed(losses)} nats per token.")
    for name, other in r.get("also", {}).items():
        if "topk_is_lower_by_percent" in other:
            lower, than = number(other["topk_is_lower_by_percent"], 1), number(other["validation"]["bits_per_byte"], 3)
            notes.append(f"TopK needs {lower} % fewer bits per byte than `{name}` ({than}).")
    if notes:
        yield from ("", " ".join(notes))


def edit_cost(r):
    ratios = r["processor_ratio_to_no_edit" if r["backend"] == "cpu" else "speed_ratio_to_no_edit"]
    text = " · ".join(f"{n} edit{'s' if n != '1' else ''} {number(v)} ×" for n, v in ratios.items())
    yield from heading("The cost of edits", "edit_cost")
    yield f"Tokens per second relative to a run without edits ({r['backend']}): {text}."


TABLES = (quality, copies, controls, strongest, meaning, sae, seeds, consistency, patches, switches, turning, sets, steering, ceiling, trace, sae_trace, compute, edit_cost, sweep, sweep_wide)
PARTS = {"paper": paper_table} | {f.__name__: f for f in TABLES} | {"longer": longer_trained}


def table(results: Path) -> str:
    """Everything that was measured."""
    lines = []
    for name, part in PARTS.items():
        result = common.read(results, name)
        lines += part(result) if result else ()
        let_go = common.read(results, "letting_go") if name == "sets" else None
        others = common.read(results, "judged") if name == "sets" else None
        lines += judged(others, result) if others else ()
        lines += letting_go(let_go, result) if let_go else ()
    tried = common.read(results / longer.LONGER, "settings")
    lines += longer_settings(tried) if tried else ()
    for name, part in {"lasting": lasting, "idle": idle, "shares": shares}.items():
        result = common.read(results, name)
        lines += part(result) if result else ()
    if "dense" not in common.read(results, "quality"):
        lines += ["", "Not measured yet: the dense twin and the SAEs on it."]
    if not common.read(results, "sweep").get("settings"):
        lines += ["", "Not measured yet: the settings of the TopK activation (`claims.sweep`)."]
    return "\n".join(lines).strip()


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
    p.add_argument("--headline", type=Path, default=common.ROOT / "README.md", help="takes the findings")
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
            write_whole(path, new)
        elif old != new:
            sys.exit(f"{path} does not match the results: run `python -m claims.table` in training/")


if __name__ == "__main__":
    common.run(main)
