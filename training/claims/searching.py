"""Which of the lists that the linear prediction proposes works best on texts (claims.sets). A search that is cut off goes on where it was."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from topklm.export import write_whole

from . import common
from .linear import POWER, at_random, chosen
from .scoring import chosen_strength, earlier


# Methods whose unit is a number of a coordinate, behind several blocks.
INDEX = ("index", "dense_index")


@dataclass
class Option:
    """A list of neurons that is tried for a concept: rows `picked` of the coordinates (or of a basis) behind the blocks `layers`."""

    concept: int
    layers: list[int]
    picked: list[int]
    amounts: torch.Tensor

    def rows(self, width: int):
        """(block, row behind it, amount) of each, `width` rows a block."""
        for n, amount in zip(self.picked, self.amounts, strict=True):
            yield self.layers[n // width], n % width, float(amount)


def options(name, concept, tokens, found, layers, size, config, basis) -> list[Option]:
    """The lists of one size that are tried: behind each block and behind all of them by each weighting; of one neuron the first few
    behind each block. `index` and `dense_index`: one coordinate's number, with one amount behind all blocks or all but the first."""
    if name in INDEX:
        return indices(concept, tokens, found, layers, config)
    rule = config["sets"]
    places = [[layer] for layer in layers] + [layers] * (len(layers) > 1 and size > 1)
    powers = rule.get("powers", [POWER])
    # One neuron is the same by most weightings: there the first few are tried.
    ways = [(POWER, rank) for rank in range(rule.get("ranks", len(powers)))] if size == 1 else [(power, 0) for power in powers]
    result = []
    for n, (power, rank) in enumerate(ways):
        gain = found.gain(tokens, power)
        for place in places:
            columns = found.columns(place)
            F, g = found.F[columns][:, columns], gain[columns]
            if name == "random":
                picked, amounts = at_random(F, g, size, np.random.default_rng([size, concept, n, *place]))
            else:
                picked, amounts = chosen(F, g, size, basis, rank=rank)
            result.append(Option(concept, place, picked, amounts))
    return result


def indices(concept, tokens, found, layers, config) -> list[Option]:
    """One number of a coordinate, the same amount behind each of several blocks: the first few by the linear prediction."""
    gain, result = found.gain(tokens, POWER), []
    for place in [layers, layers[1:]][: len(layers)]:
        columns = found.columns(place)
        d = len(columns) // len(place)
        together = torch.eye(d, dtype=torch.float64).repeat(1, len(place))  # row i: coordinate i behind every block
        for rank in range(config["sets"].get("ranks", len(config["sets"].get("powers", [POWER])))):
            picked, amounts = chosen(found.F[columns][:, columns], gain[columns], 1, together, rank=rank)
            result.append(Option(concept, place, [picked[0] + d * n for n in range(len(place))], amounts.repeat(len(place))))
    return result


class Search:
    """What a search has tried, in a file beside its results: one that was cut off goes on where it was, unless what it rests on (`about`) has
    changed since. One of other sizes keeps what lists of both were found to do."""

    def __init__(self, path: Path, about: dict, options):
        """`options()` makes the lists to try, where the file has none."""
        self.path, self.about = path, json.loads(json.dumps(common.rounded(about)))
        stored = json.loads(path.read_text()) if path.exists() else {}
        if stored.get("about") != self.about:
            tried = [asdict(option) | {"amounts": option.amounts.tolist()} for option in options()]
            stored = {"about": self.about, "tried": tried, "seen": kept(stored, self.about, tried)}
        self.tried = [Option(**o | {"amounts": torch.tensor(o["amounts"], dtype=torch.float64)}) for o in stored["tried"]]
        self.seen = stored["seen"]  # by round and option: (−share, ratio, strength)
        self.stored = stored

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(self.stored))


def kept(stored: dict, about: dict, tried: list[dict]) -> dict:
    """What an earlier search saw of the lists `tried`, if it rests on the same but for the sizes that it made."""
    if {**stored.get("about", {}), "made": about.get("made")} != {"made": None, **about}:
        return {}
    number = {json.dumps(option, sort_keys=True): n for n, option in enumerate(tried)}
    seen = {}
    for key, found in stored["seen"].items():
        which, n = key.split()
        now = number.get(json.dumps(stored["tried"][int(n)], sort_keys=True))
        if now is not None:
            seen[f"{which} {now}"] = found
    return seen


def best(bench, search: Search, numbers, edit_at, config) -> list[tuple[int, float]]:
    """For each concept which of the options `numbers` should bring two words into most texts (of several that bring them into enough, which
    surprises least), and its strength. After a round on the choosing prompts `keep` of them go on to all."""
    rule, tokens = config["sets"], config["bounds"]["max_tokens"]
    tried, seen = search.tried, search.seen
    every = earlier(bench, config)
    few = [part[: len(config["prompts"]["choosing"])] for part in every]
    concepts = sorted({tried[n].concept for n in numbers})
    left = {c: [n for n in numbers if tried[n].concept == c] for c in concepts}
    for which, rows, strengths, keep in (("few", few, rule.get("first", rule["strengths"]), rule.get("keep", 1)), ("all", every, rule["strengths"], 1)):
        for c in concepts:
            new = [n for n in left[c] if f"{which} {n}" not in seen]
            found = bench.run([(c, edit_at(n, a)) for n in new for a in strengths], *rows, tokens) if new else []
            for i, n in enumerate(new):
                mine = found[i * len(strengths) : (i + 1) * len(strengths)]
                share, ratio, strength = chosen_strength(mine, strengths, rule)
                seen[f"{which} {n}"] = [-share, ratio, strength]
            search.save()
        left = {c: sorted(left[c], key=lambda n: seen[f"{which} {n}"])[:keep] for c in concepts}  # noqa: B023
    return [(left[c][0], seen[f"all {left[c][0]}"][2]) for c in concepts]
