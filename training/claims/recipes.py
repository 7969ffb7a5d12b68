"""The steering edits that the site offers, from results/steering.json.

    python -m claims.recipes [--models DIR]      writes MODELS/Llama-TopK-Stories-9M/recipes.json

A list of edits as the engine takes them, with the concept's words and what was measured (rates: words of the concept in a text
of 60 tokens; `nll_ratio`: how much less likely the texts are). Ten at most, the most successful first. A concept that meets the
criterion comes with that edit (`works: true`), another one with its `middle` pick (see concepts.toml): stronger, with less likely
texts, as its `nll_ratio` says; left out where fewer than `LEAST` of the texts reach even the relaxed threshold, or where the ratio
is above `MOST`.
"""

import json
import tomllib
from pathlib import Path

from . import common
from .steer import CONFIG

COUNT = 10
LEAST = 0.3
MOST = 1.8


def recipes(method: dict, words: dict[str, list[str]]) -> list[dict]:
    """From the "topk" part of steering.json; `words` of every concept."""
    rows = []
    for entry in method["score"]["concepts"]:
        b = entry["bounded"] if entry["bounded"]["works"] else entry["middle"]
        if b["relaxed_success"] < LEAST or b["nll_ratio"] > MOST:
            continue
        measured = {"base_rate": b["base"], "steered_rate": b["steered"]}
        measured |= {key: b[key] for key in ("success", "relaxed_success", "nll_ratio", "works")}
        rows.append({"concept": entry["concept"], "words": words[entry["concept"]], **b["edit"], **measured})
    rows.sort(key=lambda r: (-r["works"], -r["success"], -r["relaxed_success"]))
    return rows[:COUNT]


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--out", type=Path, help="default: recipes.json in the TopK model's folder")
    args = p.parse_args()
    steering = common.read(args.results, "steering")
    if "score" not in steering.get("topk", {}):
        p.error("results/steering.json holds no score of TopK neurons: run claims.steer first")
    words = {c["name"]: c["words"] for c in tomllib.loads(CONFIG.read_text())["concept"]}
    out = args.out or (args.topk or args.models / common.TOPK) / "recipes.json"
    rows = common.rounded(recipes(steering["topk"], words))
    out.write_text(json.dumps(rows, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
