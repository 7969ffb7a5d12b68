"""Texts under lists of neurons, counted: how many words of the concept, at which surprise, and the strength that a list is given. What each
figure means: claims.sets."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from . import ceiling, steer

READABLE = 1.8  # times the surprise without an edit


def two(result) -> tuple[float, float]:
    """Share of texts with two words, without the edit and with it: half of it as counted, which is noisy, and half as to be expected of the
    tokens' probabilities if words came independently of each other."""
    expected = [float((1 - np.exp(-n) * (1 + n)).mean()) for n in result["expected"]]
    return tuple((n + float((result[part] >= 2).mean())) / 2 for n, part in zip(expected, ("base", "steered"), strict=True))


@dataclass(frozen=True)
class Prompted:
    """A sentence about the concept before the prompt."""

    concept: int


class Bench(steer.Bench):
    """Texts under sets: an edit names a row of `directions`. Also under raised logits and with a sentence before the prompt."""

    def _texts(self, prompts, seeds, tokens, edits=None):
        first = edits[0] if edits else None
        if isinstance(first, ceiling.Raise):
            return ceiling.Ceiling._texts(self, prompts, seeds, tokens, edits)
        if isinstance(first, Prompted):
            heads = [self.subject.tokenizer.encode(f"This is a story about {c['name']}.").ids for c in self.config["concept"]]
            before = [[*heads[e.concept], *p[1:]] for e, p in zip(edits, prompts, strict=True)]
            return super()._texts(before, seeds, tokens)
        return super()._texts(prompts, seeds, tokens, edits)


def harmonic(counts, text_nll, base_nll, texts, fluent) -> float:
    """See claims.sets; `fluent`: `likelihood` of the bounds."""
    total = 0.0
    for count, nll, ids in zip(counts, text_nll, texts, strict=True):
        grams = Counter(zip(*(ids[i:] for i in range(4)), strict=False))
        loops = max(grams.values(), default=0) >= 3
        fluency = 0 if loops or nll > READABLE * base_nll else 2 if nll <= fluent * base_nll else 1
        concept = min(int(count), 2)
        total += 2 * concept * fluency / (concept + fluency) if concept and fluency else 0.0
    return total / len(texts)


def at_surprise(strengths, ratios, limit: float) -> float:
    """The strength at which the ratio first reaches the limit, between the measured ones; the largest if it never does."""
    last_a, last_r = 0.0, 1.0
    for a, r in zip(strengths, ratios, strict=True):
        if r > limit:
            return last_a + (a - last_a) * max(0.0, limit - last_r) / (r - last_r)
        last_a, last_r = a, max(r, last_r)
    return last_a


def chosen_strength(results, strengths, rule) -> tuple[float, float, float]:
    """(share of texts with two words, ratio of surprise, strength): where the share first reaches `enough`, or where the ratio first reaches
    `surprise` if that is sooner; between the measured strengths."""
    shares, ratios = [two(r) for r in results], [r["nll_ratio"] for r in results]
    most = at_surprise(strengths, ratios, rule["surprise"])
    grid, reached, ratio = [0.0, *strengths], [shares[0][0], *(steered for _, steered in shares)], [1.0, *ratios]
    for n in range(1, len(grid)):
        if reached[n] >= rule["enough"]:
            most = min(most, float(np.interp(rule["enough"], reached[n - 1 : n + 1], grid[n - 1 : n + 1])))
            break
    return float(np.interp(most, grid, reached)), float(np.interp(most, grid, ratio)), most


def fresh(bench, trials, config) -> tuple[list, list]:
    """(results, ids of the prompts) of trials [(concept, edit)] on the fresh prompts, each with its seeds."""
    bounds, encode = config["bounds"], bench.subject.tokenizer.encode
    rows = [(encode(t).ids, 1000 * i + s) for i, t in enumerate(config["prompts"]["fresh"]) for s in range(bounds["seeds"])]
    prompts, seeds = map(list, zip(*rows, strict=True))
    return bench.run(trials, prompts, seeds, bounds["max_tokens"]), prompts


def scored(bench, trials, config) -> dict:
    """Figures of trials [(concept, edit)] on the fresh prompts, by concept and together."""
    bounds = config["bounds"]
    concepts = []
    results, prompts = fresh(bench, trials, config)
    for r in results:
        two = float((r["steered"] >= 2).mean())
        strict = float((steer.gains(r) >= bounds["success"]).mean())
        concepts.append(
            {
                "concept": config["concept"][r["concept"]]["name"],
                "base": float(r["base"].mean()),
                "words": float(r["steered"].mean()),
                "two": two,
                "success": strict,
                "nll_ratio": float(r["nll_ratio"]),
                "works": bool(two >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]),
                "works_strictly": bool(strict >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]),
                "harmonic": harmonic(r["steered"], r["text_nll"], r["base_nll"], r["texts"], bounds["likelihood"]),
                "sample": bench.subject.tokenizer.decode([*prompts[0], *r["texts"][0]]),
            }
        )
    means = {key: float(np.mean([c[key] for c in concepts])) for key in ("base", "words", "two", "nll_ratio", "works", "works_strictly", "harmonic")}
    return means | {"concepts": concepts}


def earlier(bench, config):
    """(prompts, seeds) of the texts by which strengths are chosen."""
    prompts = [t for part in ("choosing", "scoring", "earlier") for t in config["prompts"].get(part, [])]
    return [bench.subject.tokenizer.encode(t).ids for t in prompts], [500_000 + i for i in range(len(prompts))]


def tuned(bench, numbers, edit_at, strengths, config) -> list[float]:
    """The strength of each concept by texts of all prompts but the fresh ones; `edit_at(concept, strength)` is the edit."""
    trials = [(i, edit_at(i, a)) for i in numbers for a in strengths]
    found = bench.run(trials, *earlier(bench, config), config["bounds"]["max_tokens"])
    count = len(strengths)
    return [chosen_strength(found[n * count :][:count], strengths, config["sets"])[2] for n in range(len(numbers))]
