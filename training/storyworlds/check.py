"""How distinct the stories of a file are, from its text alone.

    python -m storyworlds.check FILE [--limit-percent 0.5]

A *frame* is a sentence in which every name, kind, thing, place, number, quality and feeling of the lexicon is a slot and every pronoun
of a person is the same. Fails (exit 1) when one frame makes up more of the sentences than the limit, or when a story occurs twice.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

from . import feelings, lexicon

WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|[.,!?\":;]")
PERSON = dict.fromkeys("he she him her his hers himself herself they them their themselves".split(), "P")
NUMBERS = "one two three four five six seven eight nine ten twelve fifteen twenty hundred".split()


def slots() -> dict[str, str]:
    """Lower-case word -> slot. Phrases are slotted word by word; runs of the same slot become one."""
    found = dict(PERSON)

    def add(slot, phrases):
        for phrase in phrases:
            for word in phrase.lower().split():
                if word not in (
                    "of",
                    "the",
                    "all",
                    "a",
                    "so",
                    "very",
                    "full",
                    "little",
                    "inside",
                    "at",
                    "for",
                    "out",
                    "in",
                    "up",
                ):
                    found.setdefault(word, slot)

    add("C", [*lexicon.GIRLS, *lexicon.BOYS, *lexicon.PETS, "Mom", "Dad", "Grandma", "Grandpa", "Aunt Jo", "Uncle Bob"])
    add("N", [*lexicon.ANIMALS, *lexicon.JOBS, "girl", "boy", *(f[0] for f in lexicon.FAMILY.values())])
    add("N", [noun for things in lexicon.THINGS.values() for noun, _, _ in things])
    add("N", [place[0] for places in lexicon.PLACES.values() for place in places])
    add(
        "A",
        [*lexicon.TRAITS, *(a for adjectives in lexicon.ADJECTIVES.values() for a in adjectives), "little", "busy", "friendly"],
    )
    add("F", [a for adjectives in feelings.ADJECTIVES.values() for a in adjectives])
    add("#", NUMBERS)
    for slot_words in lexicon.POOLS.values():
        add(
            "A",
            [
                w
                for w in slot_words
                if w in ("sunny", "bright", "warm", "clear", "rainy", "gray", "wet", "cloudy", "cold", "chilly", "frosty")
            ],
        )
    return found


# A quotation that ends with ? or ! and is followed by "Tom asked." is one sentence with it.
TAG = r"(?:[A-Z][a-z]*|[Tt]he) ?(?:[A-Za-z]+ ){0,4}(?:ask|asks|cry|cries|call|shout|say|says|answer|wonder|read|think|whisper|tell|told|said|cried|thought)"
BREAK = re.compile(rf'(?<=[.!?]) (?=[A-Z"])|(?<=\.") (?=[A-Z"])|(?<=[!?]") (?=")|(?<=[!?]") (?!{TAG})(?=[A-Z])|\n+')


def sentences(text: str) -> list[str]:
    return [s for s in BREAK.split(text) if s.strip()]


def frame(sentence: str, table: dict[str, str]) -> str:
    out = []
    for word in WORD.findall(sentence):
        low = word.lower()
        slot = table.get(low) or table.get(low.removesuffix("'s")) or table.get(low.removesuffix("s")) or low
        if slot in ("a", "an", "the"):
            continue
        if not out or out[-1] != slot or len(slot) > 1:
            out.append(slot)
    return " ".join(out)


def measure(stories: list[str]) -> dict:
    table, frames, said, grams, shared = slots(), Counter(), Counter(), set(), 0
    words = total = 0
    for story in stories:
        for sentence in sentences(story):
            frames[frame(sentence, table)] += 1
            said[sentence] += 1
        w = [x.lower() for x in re.findall(r"[A-Za-z']+", story)]
        words += len(w)
        for i in range(len(w) - 12):
            gram = hash(tuple(w[i : i + 13]))
            total += 1
            shared += gram in grams
            grams.add(gram)
    n = sum(frames.values())
    return {
        "stories": len(stories),
        "bytes": sum(len(s.encode()) for s in stories),
        "distinct_stories_percent": 100 * len(set(stories)) / len(stories),
        "words_per_story": words / len(stories),
        "vocabulary": len({w.lower() for s in stories for w in re.findall(r"[A-Za-z']+", s)}),
        "sentences": n,
        "distinct_sentences_percent": 100 * len(said) / n,
        "distinct_frames": len(frames),
        "distinct_13_word_runs_percent": 100 * (1 - shared / max(total, 1)),
        "largest_frame_percent": 100 * frames.most_common(1)[0][1] / n,
        "frames": [[round(100 * count / n, 3), name] for name, count in frames.most_common(20)],
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m storyworlds.check", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit-percent", type=float, default=0.5)
    args = parser.parse_args()
    try:
        text = args.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"{args.file}: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8 text'}")
    stories = [s.strip() for s in re.split(r"^<\|endoftext\|>$", text, flags=re.MULTILINE) if s.strip()]
    if not stories:
        parser.error(f"{args.file} has no story")
    result = measure(stories)
    print(json.dumps(result, indent=1))
    too_frequent = result["largest_frame_percent"] > args.limit_percent
    if too_frequent:
        print(f"a frame makes up over {args.limit_percent} % of the sentences: {result['frames'][0][1]}", file=sys.stderr)
    if result["distinct_stories_percent"] < 100:
        print("a story occurs twice", file=sys.stderr)
    sys.exit(1 if too_frequent or result["distinct_stories_percent"] < 100 else 0)


if __name__ == "__main__":
    main()
