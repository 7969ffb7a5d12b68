"""How much of what a model writes stands in the text that it was trained on.

    python -m claims.copies --data DATA [--documents 200]

Documents are written from BOS alone, at temperature 0.9. Of their runs of 13 words that begin after the first 30 (stories of this kind all begin
alike), the share that is in a training document. Controls: the same of stories that no model was trained on, the held-out documents and TinyStories'
validation text (all of it: its file does not say where a story begins).
"""

import numpy as np
from tokenizers import Tokenizer

from topklm.data import BOS, words

from . import common, decode

RUN, OPENING = 13, 30
TEMPERATURE = 0.9
AT_ONCE = 100
# A run is known by a sum of its words' numbers, each times a power of this, in 64 bits that overflow.
BASE = np.uint64(0x9E3779B97F4A7C15)


def documents(arrays: dict, name: str, tokenizer) -> list[str]:
    """The texts of a source."""
    ids, starts = arrays[f"{name}.ids"], arrays[f"{name}.starts"]
    return tokenizer.decode_batch([ids[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True)])


class Runs:
    """Runs of RUN words of texts, as numbers: the tuples of `topklm.data.ngrams` would take gigabytes for all of the training text."""

    def __init__(self):
        self.numbers = {}
        with np.errstate(over="ignore"):
            self.powers = np.cumprod(np.full(RUN, BASE))

    def of(self, text: str, opening: int = 0) -> np.ndarray:
        """uint64, one a run that begins after the first `opening` words."""
        own = np.array([self.numbers.setdefault(w, len(self.numbers) + 1) for w in words(text)], dtype=np.uint64)[opening:]
        if len(own) < RUN:
            return np.zeros(0, dtype=np.uint64)
        with np.errstate(over="ignore"):
            # Spread first, so that small numbers do not give small sums.
            own = (own * np.uint64(0xD6E8FEB86659FD93)) ^ (own >> np.uint64(7))
            return (np.lib.stride_tricks.sliding_window_view(own, RUN) * self.powers).sum(1, dtype=np.uint64)


def share(runs: Runs, texts: list[str], known: np.ndarray) -> dict:
    """Of all runs of the texts together."""
    own = np.concatenate([runs.of(text, OPENING) for text in texts])
    at = np.minimum(np.searchsorted(known, own), len(known) - 1)
    return {"documents": len(texts), "runs": len(own), "known": float((known[at] == own).mean()) if len(own) else None}


def written(subject: common.Subject, count: int) -> list[str]:
    """`count` documents of the model; the longest fill the context, with BOS."""
    most = subject.model.config.n_ctx - 1
    return subject.tokenizer.decode_batch(decode.generate(subject.model, [[BOS]] * count, range(count), most, TEMPERATURE, batch=AT_ONCE))


def main():
    p = common.parser(__doc__)
    p.add_argument("--documents", type=int, default=200)
    args = p.parse_args()
    common.start(args)
    clock, arrays = common.Clock(), common.texts(args.data)
    owner = Tokenizer.from_file(str(args.data / "tokenizer.json"))
    runs = Runs()
    known = np.unique(np.concatenate([runs.of(text) for name in common.sources(arrays) for text in documents(arrays, name, owner)]))
    held_out = documents(arrays, "held_out", owner)
    drawn = np.random.default_rng(13).permutation(len(held_out))[: args.documents]
    rows = {"held_out": share(runs, [held_out[i] for i in drawn], known)}
    if "validation.ids" in arrays:
        rows["validation"] = share(runs, [owner.decode(arrays["validation.ids"].tolist())], known)
    topk, dense = common.subjects(args, args.data)
    for name, subject in (("topk", topk), ("dense", dense)):
        if subject is not None:
            rows[name] = {"model": subject.about} | share(runs, written(subject, args.documents), known)
    for name, row in rows.items():
        print(name, row, flush=True)
    about = {"words": RUN, "after": OPENING, "temperature": TEMPERATURE, "known_runs": len(known)}
    common.write(args.results, "copies", about | {"rows": rows, "seconds": clock()})


if __name__ == "__main__":
    common.run(main)
