"""The presets that the site offers: the sets of neurons of results/sets.json that were seen to work.

    python -m claims.recipes [--models DIR]      writes MODELS/Llama-TopK-Stories-16M/recipes.json

One recipe a concept: the list of at most `MOST` neurons, if its texts have two of the concept's words often enough. docs/files.md has the format: `success` is the share
of the texts with at least two words, `gentle` whether the texts stay readable (`likelihood` of concepts.toml). Most certain ones first.
"""

import json
import tomllib
from pathlib import Path

from topklm.export import write_whole

from . import common
from .steer import CONFIG

MOST = 8
LEAST = 0.3


def recipes(sets: dict, config: dict) -> list[dict]:
    """From results/sets.json and concepts.toml."""
    found, control = (sets["methods"].get(name, {}).get(str(MOST)) for name in ("topk", "random"))
    rows = []
    for i, concept in enumerate(config["concept"]):
        entry = found["concepts"][i]
        if entry["two"] >= LEAST:
            rows.append(row(concept, entry, found["chosen"][i], control and control["concepts"][i], sets, config))
    return sorted(rows, key=lambda r: (not r["gentle"], -r["success"], r["nll_ratio"]))


def row(concept: dict, entry: dict, chosen: dict, control: dict | None, sets: dict, config: dict) -> dict:
    edits = [
        {"layer": layer, "index": index, "action": "add", "value": value, "site": "topk_out", "positions": "all", "propagate": "layer"}
        for layer, index, value in zip(*(chosen[key] for key in ("layer", "index", "value")), strict=True)
    ]
    return {
        "concept": concept["name"],
        "words": concept["words"],
        "edits": edits,
        "base_rate": entry["base"],
        "steered_rate": entry["words"],
        **({} if control is None else {"control_rate": control["words"]}),
        "success": entry["two"],
        "nll_ratio": entry["nll_ratio"],
        "gentle": entry["nll_ratio"] <= config["bounds"]["likelihood"],
        "tokens": sets["tokens"],
        "judge": sets["judge"]["name"],
        "prompts": config["prompts"]["fresh"],
    }


def main():
    p = common.parser(__doc__, data=False, folders=True)
    p.add_argument("--out", type=Path, help="default: recipes.json in the TopK model's folder")
    args = p.parse_args()
    sets = common.read(args.results, "sets")
    if not sets.get("methods", {}).get("topk"):
        p.error("results/sets.json holds no sets of TopK neurons: run claims.sets first")
    out = args.out or (args.topk or args.models / common.TOPK) / "recipes.json"
    rows = common.rounded(recipes(sets, tomllib.loads(CONFIG.read_text())))
    write_whole(out, json.dumps(rows, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    common.run(main)
