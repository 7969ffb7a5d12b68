"""Whether a text carries a topic on that it was only begun with: edits that are let go after a few tokens.

    python -m claims.letting_go --data DATA [--sae DIR] [--methods NAME …]

The lists that claims.sets found, and raised logits, are applied while the first `UNTIL` new tokens are written, and then let go; with values times
factors, since so short an edit can be a stronger one. Prompts, seeds, judge and counts are those of claims.sets, whose curves, with edits to the end,
stand beside them (results/sets.json). Nothing is chosen here.

at       words: words a text; half: the share of concepts with two of them in half of the texts, at times the surprise (claims.sets)
         later: words behind the tokens that were written under the edit, less those of a text without one
"""

import functools
import tomllib
from pathlib import Path

import numpy as np

from . import ceiling, common, sets, steer
from .curves import read_off

UNTIL = 12
FACTORS = (0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
# Of raised logits, whose amounts are added to a log: times 4 is beyond all sense.
LOGIT_FACTORS = (0.75, 1.0, 1.25, 1.5, 2.0)
READ = ("words", "half", "later")  # of a point, at curves.AT
# What is let go: method and size of claims.sets.
LISTS = (("topk", "1"), ("topk", "8"), ("dense", "8"), ("sae", "1"), ("sae", "8"))


def words_later(bench, results) -> dict:
    """The figure `later` of one point, and `later_base`, words there without an edit."""
    (plain, _, _) = next(iter(bench.base.values()))

    def mean(texts, concept):
        return np.mean([bench._count(ids[UNTIL:], concept) for ids in texts])

    base = float(np.mean([mean(plain, r["concept"]) for r in results]))
    return {"later": float(np.mean([mean(r["texts"], r["concept"]) for r in results])) - base, "later_base": base}


def main():
    p = common.parser(__doc__)
    p.add_argument("--sae", type=Path, help="the SAE on the twin that results/sets.json was measured with")
    p.add_argument("--methods", nargs="*", default=["topk", "dense", "sae", "logits"])
    args = p.parse_args()
    common.start(args)
    clock, config = common.Clock(), tomllib.loads(steer.CONFIG.read_text())
    topk, dense = common.subjects(args, args.data)
    judge = dense or topk
    found = common.read(args.results, "sets").get("methods")
    if not found:
        p.error(f"{args.results / 'sets.json'}: no lists yet; run claims.sets first")
    rows = {}
    if args.sae and dense is not None:
        from .sae import SAE

        rows["sae"] = SAE.load(args.sae).directions()

    def store(name, base, points):
        result = common.read(args.results, "letting_go")
        figures = {"base": base, "curve": points, "at": read_off(base, points, READ)}
        result |= {"model": topk.about, "judge": judge.about, "until": UNTIL, "methods": result.get("methods", {}) | {name: figures}, "seconds": clock()}
        common.write(args.results, "letting_go", result)
        print(name, common.rounded(figures["at"]), flush=True)

    for name, size in LISTS:
        subject = topk if name == "topk" else dense
        if name not in args.methods or size not in found.get(name, {}) or subject is None or (name == "sae" and not rows):
            continue
        own = found[name][size]
        at = functools.partial(sets.given, subject, judge, config, own["chosen"], rows.get(name), until=UNTIL)
        store(f"{name} {size}", own["base"], sets.curve(config, at, FACTORS, words_later))
    if "logits" in args.methods and "logits" in found:
        own = found["logits"]
        bench = sets.direction_bench(topk, judge, config, topk.cut_blocks[-1], None)

        def raised(factor):
            return bench, [(i, ceiling.Raise(i, factor * amount, UNTIL)) for i, amount in enumerate(own["amounts"])]

        store("logits", own["base"], sets.curve(config, raised, LOGIT_FACTORS, words_later))


if __name__ == "__main__":
    common.run(main)
