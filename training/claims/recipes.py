"""The steering edits that the site offers, from results/steering.json.

    python -m claims.recipes [--models DIR]      writes MODELS/Llama-TopK-Stories-9M/recipes.json

Ten at most, the most successful first. A concept that meets the criterion comes with that edit (`works: true`), another one with
its `middle` pick (see concepts.toml): stronger, with less likely texts, as its `nll_ratio` says; left out where fewer than
`LEAST` of the texts reach even the relaxed threshold, or where the ratio is above `MOST`.
"""

import json
from pathlib import Path

from . import common

COUNT = 10
LEAST = 0.3
MOST = 1.8


def recipes(method: dict) -> list[dict]:
    """From the "topk" part of steering.json."""
    rows = []
    for entry in method["score"]["concepts"]:
        b = entry["bounded"] if entry["bounded"]["works"] else entry["middle"]
        if b["relaxed_success"] < LEAST or b["nll_ratio"] > MOST:
            continue
        rows.append(
            {
                "concept": entry["concept"],
                **b["edit"],
                "base": b["base"],
                "steered": b["steered"],
                "success": b["success"],
                "relaxed_success": b["relaxed_success"],
                "nll_ratio": b["nll_ratio"],
                "works": b["works"],
            }
        )
    rows.sort(key=lambda r: (-r["works"], -r["success"], -r["relaxed_success"]))
    return rows[:COUNT]


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--out", type=Path, help="default: recipes.json in the TopK model's folder")
    args = p.parse_args()
    steering = common.read(args.results, "steering")
    if "score" not in steering.get("topk", {}):
        p.error("results/steering.json holds no score of TopK neurons: run claims.steer first")
    rows = recipes(steering["topk"])
    out = args.out or (args.topk or args.models / common.TOPK) / "recipes.json"
    table = {"format": 1, "model": common.TOPK, "max_tokens": steering["bounds"]["max_tokens"]}
    table |= {"temperature": steering["bounds"]["temperature"], "recipes": common.rounded(rows)}
    out.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
