"""How far steering could get by the criterion: raises the logits of the concept's words themselves, and nothing else.

    python -m claims.ceiling --data DATA

No neuron is involved. The amount is chosen on the choosing prompts, as edits are (the largest share of successful texts within the
margin of the NLL ratio); the score is on the scoring prompts. Written after the first score of neurons, to put it in proportion. The
amounts were widened once, when most picks were at the largest.
"""

import tomllib
from dataclasses import dataclass

import numpy as np
import torch

from . import common, steer

AMOUNTS = (2.0, 3.0, 4.0, 5.0, 6.0)


@dataclass(frozen=True)
class Raise:
    """`amount` is added to the logits of the one-token words of concept number `concept`, at the first `until` new tokens if that is given."""

    concept: int
    amount: float
    until: int | None = None

    def table(self):
        return {"raised_logits": self.amount}


class Ceiling(steer.Bench):
    def _texts(self, prompts, seeds, tokens, edits=None):
        def bias(part):
            rows = [torch.zeros(len(self.watch)) if e is None else e.amount * self.watch[:, e.concept] for e in edits[part]]
            return torch.stack(rows)

        temperature = self.config["bounds"]["temperature"]
        given = bias if edits else None
        return steer.decode.generate(
            self.subject.model, prompts, seeds, tokens, temperature, watch=self.watch, bias=given, bias_until=edits[0].until if edits else None
        )


def main():
    p = common.parser(__doc__)
    args = p.parse_args()
    common.start(args)
    clock, config = common.Clock(), tomllib.loads(steer.CONFIG.read_text())
    topk, dense = common.subjects(args, args.data)
    bench = Ceiling(topk, dense or topk, None, config)
    encode, bounds = topk.tokenizer.encode, config["bounds"]
    prompts = [encode(t).ids for t in config["prompts"]["choosing"]]
    last = config["search"]["round"][-1]
    rows = [(prompts[i % len(prompts)], 600_000 + i) for i in range(last["texts"])]
    trials = [(i, Raise(i, a)) for i in range(len(config["concept"])) for a in AMOUNTS]
    with torch.autocast("cpu", torch.bfloat16):
        found = bench.run(trials, *map(list, zip(*rows, strict=True)), last["tokens"])
    picks = []
    for i in range(len(config["concept"])):
        mine = [r for r in found if r["concept"] == i]
        share = [float((steer.gains(r) >= bounds["success"]).mean()) for r in mine]
        within = [n for n, r in enumerate(mine) if r["nll_ratio"] <= config["search"]["margin"]] or [0]
        picks.append((i, mine[max(within, key=lambda n: (share[n], -n))]["edit"]))
    bench.base.clear()
    rows = [(encode(t).ids, 1000 * i + s) for i, t in enumerate(config["prompts"]["scoring"]) for s in range(bounds["seeds"])]
    concepts = []
    for (i, edit), r in zip(picks, bench.run(picks, *map(list, zip(*rows, strict=True)), bounds["max_tokens"]), strict=True):
        share = float((steer.gains(r) >= bounds["success"]).mean())
        entry = {"concept": config["concept"][i]["name"], **edit.table(), "base": r["base"].mean(), "steered": r["steered"].mean()}
        works = share >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]
        concepts.append(entry | {"success": share, "nll_ratio": r["nll_ratio"], "works": bool(works)})
    result = {"model": topk.about, "judge": (dense or topk).about, "works": float(np.mean([c["works"] for c in concepts]))}
    common.write(args.results, "ceiling", result | {"concepts": concepts, "seconds": clock()})


if __name__ == "__main__":
    common.run(main)
