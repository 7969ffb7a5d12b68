"""A toy corpus and configs that train in seconds; the sentences are made here from a fixed seed."""

import contextlib
import io
import json
import sys
import tempfile
import tomllib
from pathlib import Path
from unittest import mock

import numpy as np

from topklm.data import prepare

NAMES = ["Mia", "Ben", "Tuva", "Omar"]
THINGS = ["kite", "stone", "cake", "boat", "drum"]
PLACES = ["hill", "river", "kitchen", "harbour"]
VERBS = ["found", "lost", "hid", "painted"]

DATA = """
seed = 1
d_vocab = 320
held_out_every = 10
ngram = 13
ngram_set_aside = 16
opening = 12
test_bytes = 900
[validation]
file = "validation.txt"
[[source]]
file = "a.txt"
epochs = 1
[[source]]
file = "b.txt"
epochs = 1.5
"""

MODEL = """
name = "toy"
seed = 3
d_vocab = 320
[model]
d_model = 32
n_layers = 3
n_heads = 2
d_head = 8
d_mlp = 24
n_ctx = 32
topk_k = 6
n_nontopk = 1
[train]
batch = 4
tokens = 1024
muon_lr = 0.02
muon_decay = 0.1
adam_lr = 3e-3
warmup = 2
decay = 0.4
final_lr = 0.05
clip = 1.0
dtype = "f32"
checkpoints = 4
first_checkpoint = 2
compile = false
log_every = 1
save_every = 1
"""


def story(rng) -> str:
    name, thing, place, verb = (rng.choice(list_) for list_ in (NAMES, THINGS, PLACES, VERBS))
    return f"One day {name} {verb} a {thing} by the {place}. \"What a {thing}!\" said {name}. Then {name} went home."


def write_for(tests) -> Path:
    """A folder that is there while the tests of a class run, with what `write` writes."""
    folder = tempfile.TemporaryDirectory()
    tests.addClassCleanup(folder.cleanup)
    write(Path(folder.name))
    return Path(folder.name)


def write(folder: Path) -> dict:
    """Corpus, tokenised data and a config in `folder`; the report of the preparation."""
    rng = np.random.default_rng(5)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    leak = "the small grey fox ran over the long bridge and hid under the old red cart"
    for file in ("a.txt", "b.txt"):
        stories = [story(rng) for _ in range(60)]
        stories.insert(7, f"{story(rng)} At night {leak} again.")
        for at in range(10, 60, 8):  # copies, of which some are set aside
            stories.insert(at, f"{story(np.random.default_rng(6))} {story(np.random.default_rng(8))}")
        stories.insert(20, f"{leak.capitalize()}. {story(rng)}")  # an opening: no leak
        (corpus / file).write_text("\n<|endoftext|>\n".join(stories) + "\n")
    (corpus / "validation.txt").write_text(f"In the story {leak}, said Ida.\n\nNo other line here stands in the corpus.")
    (folder / "toy.toml").write_text(MODEL)
    return prepare([corpus], tomllib.loads(DATA), folder / "data")


def refusal(tests, module, *arguments) -> str:
    """The sentence with which `python -m MODULE` ends, which exits 2; an error that it lets through would be the test's own."""
    err = io.StringIO()
    with tests.assertRaises(SystemExit) as ended, mock.patch.object(sys, "argv", [module.__name__, *map(str, arguments)]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            module.main()
    tests.assertEqual(ended.exception.code, 2)
    return err.getvalue().splitlines()[-1]


def losses(run: Path) -> list:
    """The logged training losses of a run, by step."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if "loss" in line]
