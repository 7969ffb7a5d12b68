"""Whether a model keeps track of who is who and who has what: a cloze test on generated stories (storyworlds) that no model was
trained on.

    python -m claims.consistency [--items 120] [--also FOLDER …]

Three questions, each put twice: to the story, and to the same story with two names (or two objects) exchanged throughout. The margin is
log P(right) − log P(wrong) in the one, less the same difference of the same two words in the other, where the other is right: so what
a word is worth without the story cancels, and guessing is right in half of the cases.

who      a name in the running text, where two children of one gender have been named before
holder   after the whole story: "At the end of the day, the kite was in the hands of" – two children of one gender
what     an object in the running text, where two have been named before

`figure` is the mean of the three shares above chance: 0 is guessing, 1 is always right. Controls: the same without the story (the
sentence alone), and with the story's sentences before it in random order.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from storyworlds import grammar
from storyworlds.__main__ import stories
from storyworlds.states import along

from . import common

SEED = 20_260_000  # of the stories; training files have small ones
KINDS = ("who", "holder", "what")
PER_STORY = 2  # items of a kind from one story
PER_WORLD = 0.4  # of the items of a kind from one world, at most
GIVE_UP = 8_000  # stories


@dataclass(frozen=True)
class Item:
    """`before` and `exchanged` are the two texts; after them " right" and " wrong" are compared."""

    kind: str
    before: str
    exchanged: str
    right: str
    wrong: str


def exchange(text: str, one: str, other: str) -> str:
    """The text with two words or phrases in each other's place, "a" and "an" before them as they have to be."""

    def swap(m) -> str:
        word = other if m[2] == one else one
        return word if m[1] is None else f"{m[1][0]}{grammar.article(word)[1:]} {word}"

    return re.sub(rf"\b(?:([Aa]n?) )?({re.escape(one)}|{re.escape(other)})\b", swap, text)


def children(record: dict) -> dict[str, dict]:
    return {k: e for k, e in record["cast"].items() if e["type"] == "character" and not e["animal"] and not e["adult"]}


def items_of(story, rng: random.Random) -> list[Item]:
    record, text = story.states, story.text
    words, kids, found = record["words"], children(record), {kind: [] for kind in KINDS}
    things = {k: e for k, e in record["cast"].items() if e["type"] == "thing" and e["number"] == "singular"}
    first = {}
    for start, _, key, form, _ in record["mentions"]:
        at = words[start][0]
        if form == "name" and key in kids and text[at : at + len(kids[key]["name"])] == kids[key]["name"]:
            rivals = [k for k in kids if k != key and kids[k]["gender"] == kids[key]["gender"] and k in first]
            if key in first and rivals and text[at - 1] == " ":  # not where a paragraph or a quotation begins
                names = kids[key]["name"], kids[rng.choice(rivals)]["name"]
                before = text[:at].rstrip(" ")
                found["who"].append(Item("who", before, exchange(before, *names), *names))
        if form == "noun" and key in things and key in first:
            nouns = {k: e["noun"] for k, e in things.items() if k in first}
            rivals = [k for k in nouns if k != key and len(set(nouns.values())) == len(nouns)]
            if rivals and re.match(rf"the {re.escape(nouns[key])}\b", text[at:]):
                pair = nouns[key], nouns[rng.choice(rivals)]
                before = text[: at + 3]
                found["what"].append(Item("what", before, exchange(before, *pair), *pair))
        first.setdefault(key, start)
    for key, line in record["tracks"]["holder"].items():
        holder, thing = along(line, len(words))[-1], record["cast"][key]
        rivals = [
            k for k in kids if holder in kids and k != holder and kids[k]["gender"] == kids[holder]["gender"] and k in first
        ]
        if rivals and key in first and thing["number"] == "singular":
            names = kids[holder]["name"], kids[rng.choice(rivals)]["name"]
            before = f"{text} At the end of the day, the {thing['noun']} was in the hands of"
            found["holder"].append(Item("holder", before, exchange(before, *names), *names))
    return [item for kind in KINDS for item in rng.sample(found[kind], min(PER_STORY, len(found[kind])))]


def all_items(count: int) -> list[Item]:
    """`count` items of each kind, from stories in the past tense, always the same."""
    rng, items = random.Random(5), {kind: [] for kind in KINDS}
    worlds = {kind: Counter() for kind in KINDS}
    for story in islice(stories(SEED), GIVE_UP):
        if story.states["tense"] != "past":
            continue
        for item in items_of(story, rng):
            room = len(items[item.kind]) < count and worlds[item.kind][story.world] < max(PER_STORY, PER_WORLD * count)
            if room:
                items[item.kind].append(item)
                worlds[item.kind][story.world] += 1
        if all(len(some) == count for some in items.values()):
            return [item for some in items.values() for item in some]
    raise ValueError(f"{GIVE_UP} stories have no {count} items of each kind: ask for fewer with --items")


def alone(before: str) -> str:
    """The last sentence of a text, as far as it goes."""
    return re.split(r'(?<=[.!?])"?\s+', before)[-1]


def shuffled(before: str, rng: random.Random) -> str:
    """The whole sentences of a text in random order, then its last one."""
    parts = re.split(r"(?<=[.!?]) +|\n+", before)
    head = parts[:-1]
    rng.shuffle(head)
    return " ".join([*head, parts[-1]])


@torch.no_grad()
def log_probability(subject, pairs: list[tuple[str, str]], batch: int = 32) -> np.ndarray:
    """log P of each continuation after its text, the beginning of which is cut where the context is too short."""
    encode = lambda text: subject.tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    rows, n_ctx = [], subject.model.config.n_ctx
    for before, after in pairs:
        head, tail = encode(before), encode(f" {after}")
        rows.append(([0, *head][-(n_ctx - len(tail)) :], tail))
    order = np.argsort([len(head) + len(tail) for head, tail in rows], kind="stable")
    out = np.zeros(len(rows))
    for at in range(0, len(rows), batch):
        part = order[at : at + batch]
        width = max(len(rows[i][0]) + len(rows[i][1]) for i in part)
        ids = torch.zeros(len(part), width, dtype=torch.int64)
        for row, i in enumerate(part):
            both = rows[i][0] + rows[i][1]
            ids[row, : len(both)] = torch.tensor(both)
        log_p = subject.model(ids).float().log_softmax(-1)
        for row, i in enumerate(part):
            head, tail = rows[i]
            out[i] = sum(float(log_p[row, len(head) + j - 1, token]) for j, token in enumerate(tail))
    return out


def margins(subject, items: list[Item], change=lambda text: text) -> np.ndarray:
    """The margin of every item in nats; `change` is applied to both texts."""
    pairs = []
    for item in items:
        texts = change(item.before), change(item.exchanged)
        pairs += [(text, word) for text in texts for word in (item.right, item.wrong)]
    p = log_probability(subject, pairs).reshape(-1, 2, 2)
    return (p[:, 0, 0] - p[:, 0, 1]) - (p[:, 1, 0] - p[:, 1, 1])


def summary(items: list[Item], margin: np.ndarray) -> dict:
    """Share right by kind with its standard error, and the figure. A tie counts as half."""
    result = {}
    for kind in KINDS:
        m = margin[[i for i, item in enumerate(items) if item.kind == kind]]
        if not len(m):
            continue
        right = float(((m > 1e-6) + 0.5 * (np.abs(m) <= 1e-6)).mean())
        result[kind] = {
            "right": right,
            "error": float((right * (1 - right) / len(m)) ** 0.5),
            "items": len(m),
            "median_nats": float(np.median(m)),
        }
    result["figure"] = float(np.mean([2 * result[kind]["right"] - 1 for kind in KINDS if kind in result]))
    return result


def measure(subject, items: list[Item], controls: bool = True) -> dict:
    result = {"model": subject.about} | summary(items, margins(subject, items))
    if controls:
        result["sentence_alone"] = summary(items, margins(subject, items, alone))
        # The same order for both texts of an item: the seed is of the position, and both have equally many sentences (all but 3 of the 360 items).
        result["shuffled_sentences"] = summary(
            items, margins(subject, items, lambda text: shuffled(text, random.Random(len(alone(text).split()))))
        )
    return result


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--data", type=Path, help="the folder that topklm.data wrote (the tokenizer of trainer's checkpoints)")
    p.add_argument("--items", type=int, default=120, help="of each kind")
    p.add_argument("--also", type=Path, nargs="*", default=[], help="other folders or trainer's checkpoints")
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    items = all_items(args.items)
    topk, dense = common.subjects(args, args.data)
    result = common.read(args.results, "consistency")
    result |= {"items_of_each_kind": args.items, "seed": SEED, "topk": measure(topk, items)}
    if dense is not None:
        result["dense"] = measure(dense, items)
    for path in args.also:
        other = common.subject(path, args.data)
        result.setdefault("also", {})[other.about["name"]] = measure(other, items)
    result["seconds"] = clock()
    common.write(args.results, "consistency", result)
    print({key: result[key]["figure"] for key in ("topk", "dense") if key in result})


if __name__ == "__main__":
    common.run(main)
