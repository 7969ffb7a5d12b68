"""The steering edits that the site offers, from results/steering.json.

    python -m claims.recipes [--models DIR]      writes MODELS/Llama-TopK-Stories-16M/recipes.json

A list of edits in the engine's form, each with the concept's words and what was measured: `base_rate` and `steered_rate`
(words of the concept per text of `tokens` tokens), `success` and `relaxed_success` (shares of the texts), `works` (the criterion) and
`nll_ratio` (how much less likely `judge` finds the texts).

`gentle` ones come first: an NLL ratio of at most `GENTLE`, so that the texts still read well. Then strong ones, with more of the
concept at a higher price. Up to `EACH` of either kind, the most successful first; if one kind has fewer, the other fills up. A concept
may have one of each kind: its best edit among those scored (`bounded`, `middle`, `free`), if at least `LEAST` of the texts reach the
relaxed threshold. Among strong ones, those with a ratio of at most `MOST` come before the others.
"""

import json
import tomllib
from pathlib import Path

from . import common
from .steer import CONFIG

EACH = 5
GENTLE = 1.35
MOST = 1.8
LEAST = 0.3


def recipes(method: dict, words: dict[str, list[str]], tokens: int) -> list[dict]:
    """From one method's part of steering.json; `words` of every concept, `tokens` of a text."""
    gentle, strong = [], []
    for entry in method["score"]["concepts"]:
        rows = [row(entry["concept"], entry[kind], words, method["judge"]["name"], tokens) for kind in ("bounded", "middle", "free")]
        rows = [r for r in rows if r["relaxed_success"] >= LEAST]
        for kind in (gentle, strong):
            mine = [r for r in rows if r["gentle"] == (kind is gentle)]
            kind += sorted(mine, key=order)[:1]
    gentle, strong = sorted(gentle, key=order), sorted(strong, key=order)
    most = 2 * EACH
    return [*gentle[: max(EACH, most - len(strong))], *strong[: max(EACH, most - len(gentle))]]


def row(concept: str, scored: dict, words: dict, judge: str, tokens: int) -> dict:
    measured = {"base_rate": scored["base"], "steered_rate": scored["steered"], "tokens": tokens, "judge": judge}
    measured |= {key: scored[key] for key in ("success", "relaxed_success", "nll_ratio", "works")}
    return {"concept": concept, "words": words[concept], **scored["edit"], **measured, "gentle": scored["nll_ratio"] <= GENTLE}


def order(r: dict) -> tuple:
    return (not r["works"], r["nll_ratio"] > MOST, -r["success"], -r["relaxed_success"], r["nll_ratio"])


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--out", type=Path, help="default: recipes.json in the TopK model's folder")
    args = p.parse_args()
    steering = common.read(args.results, "steering")
    if "score" not in steering.get("topk", {}):
        p.error("results/steering.json holds no score of TopK neurons: run claims.steer first")
    words = {c["name"]: c["words"] for c in tomllib.loads(CONFIG.read_text())["concept"]}
    out = args.out or (args.topk or args.models / common.TOPK) / "recipes.json"
    rows = common.rounded(recipes(steering["topk"], words, steering["bounds"]["max_tokens"]))
    out.write_text(json.dumps(rows, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
