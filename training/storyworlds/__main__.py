"""Writes stories until a file has the wanted size.

    python -m storyworlds --out FILE --bytes 20000000 --seed 1 [--states FILE] [--worlds NAME …]

Story number i of a seed depends on the two alone, so a longer file begins with the shorter one. FILE: stories separated by a line
<|endoftext|>, no story twice. --states: one JSON line a story (states.md).
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

from .story import tell
from .worlds import WORLDS

SEPARATOR = "\n<|endoftext|>\n"


def stories(seed: int, worlds: list[str] | None = None):
    """Endless distinct stories. Worlds take turns in an order that changes, so that all are equally frequent."""
    seen, number = set(), 0
    names = worlds or sorted(WORLDS)
    while True:
        story = tell(seed * 1_000_000_007 + number, names[(number * 29 + number // len(names)) % len(names)])
        number += 1
        if story.text not in seen:
            seen.add(story.text)
            yield story


def write(out: Path, size: int, seed: int, states: Path | None = None, worlds: list[str] | None = None) -> tuple[int, int]:
    """(stories, bytes) written; each file is moved into place when it is whole, in a folder that is made if need be."""
    count = written = 0
    parts = [p.with_name(p.name + ".part") for p in (out, states) if p]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(part.open("w", encoding="utf-8", newline="\n")) for part in parts]
        for story in stories(seed, worlds):
            text = (SEPARATOR if count else "") + story.text
            files[0].write(text)
            written += len(text.encode())
            count += 1
            if states:
                files[1].write(json.dumps(story.states, separators=(",", ":")) + "\n")
            if written >= size:
                break
        files[0].write("\n")
    for part, whole in zip(parts, (p for p in (out, states) if p), strict=True):
        part.replace(whole)
    return count, written + 1


def main():
    parser = argparse.ArgumentParser(prog="python -m storyworlds", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bytes", type=int, default=20_000_000, help="stop after the story that reaches this size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--states", type=Path, help="also write the states beside each word, JSON lines")
    parser.add_argument("--worlds", nargs="+", help="only these worlds")
    args = parser.parse_args()
    unknown = set(args.worlds or []) - set(WORLDS)
    if unknown:
        parser.error(f"--worlds: there is no world {', '.join(sorted(unknown))}; there are {', '.join(WORLDS)}")
    if args.bytes < 1:
        parser.error("--bytes must be positive")
    for name, path in (("--out", args.out), ("--states", args.states)):
        if path and path.is_dir():
            parser.error(f"{name}: {path} is a folder; name a file in it")
    if args.out == args.states:
        parser.error(f"--out and --states are both {args.out}; name two files")
    began = time.monotonic()
    try:
        count, size = write(args.out, args.bytes, args.seed, args.states, args.worlds)
    except OSError as error:
        parser.error(f"{error.filename or args.out}: {error.strerror}")
    seconds = time.monotonic() - began
    print(f"{count:,} stories, {size:,} bytes, {seconds:.0f} s ({count / seconds:,.0f} stories/s)", file=sys.stderr)


if __name__ == "__main__":
    main()
