"""The training part of docs/own-model.md as it stands there, and what is said where a text, a folder or a key is missing."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tests import toy
from topklm import data

ROOT = Path(__file__).parents[2]


def text() -> str:
    """Some 60 kB without separators."""
    rng = np.random.default_rng(4)
    return "\n\n".join(toy.story(rng) for _ in range(600))


class OwnModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    @unittest.skipIf(shutil.which("bash") is None, "there is no bash")
    def test_the_page_trains_and_exports_a_model(self):
        page = (ROOT / "docs" / "own-model.md").read_text()
        commands = next(block for block in re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S) if "topklm.train" in block)
        # A repository of our own, in which `python` is this one.
        for part in ("topklm", "configs"):
            shutil.copytree(ROOT / "training" / part, self.folder / "training" / part)
        (self.folder / "mine").mkdir()
        (self.folder / "mine" / "mine.txt").write_text(text())
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (self.folder / "bin" / "python").chmod(0o755)
        env = os.environ | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(["bash", "-euc", commands], cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        model = self.folder / "mine" / "Mine"
        config = json.loads((model / "config.json").read_text())
        tokens = Tokenizer.from_file(str(model / "tokenizer.json")).get_vocab_size()  # these few words give less than 512
        self.assertEqual((config["topk_k"], config["n_nontopk"], config["vocab_size"], config["training_step"]), (16, 1, tokens, 100))
        self.assertTrue((model / "step10" / "model.safetensors").exists() and (model / "tokenizer.json").exists())
        training = json.loads((model / "training.json").read_text())
        self.assertLess(training["loss"][-1][1], training["loss"][0][1])
        self.assertEqual(list(training["eval"]), ["held_out"])

    def test_a_text_without_separators_is_cut_at_blank_lines(self):
        file = self.folder / "plain.txt"
        file.write_text(text())
        documents = data.read_documents(file)
        self.assertEqual("\n\n".join(documents), text())
        self.assertTrue(all(len(document) >= data.PIECE for document in documents[:-1]))
        file.write_text("One.\n\nTwo.\n<|endoftext|>\nThree.")
        self.assertEqual(data.read_documents(file), ["One.\n\nTwo.", "Three."])

    def arguments(self, config="own-data.toml", corpus=None):
        return ["--corpus", corpus or self.folder, "--out", self.folder / "out", "--config", ROOT / "training" / "configs" / config]

    def refuses(self, *words, **arguments):
        """`python -m topklm.data` ends with one sentence, which has these words."""
        said = toy.refusal(self, data, *self.arguments(**arguments))
        for word in words:
            self.assertIn(word, said)

    def test_what_is_missing_is_named(self):
        command = [sys.executable, "-m", "topklm.data", *self.arguments()]
        done = subprocess.run(command, cwd=ROOT / "training", capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertIn("mine.txt is in none of the folders", done.stderr.splitlines()[-1])
        self.refuses("tinystories_v1_valid_raw.txt is in none of the folders", "own-data.toml", config="data.toml")
        self.refuses("mine.txt is in none of the folders")
        self.refuses("nowhere is not a folder", corpus=self.folder / "nowhere")
        (self.folder / "mine.txt").write_bytes(b"\xff\xfe\x00")
        self.refuses("mine.txt is not UTF-8 text")
        (self.folder / "mine.txt").write_text(" \n")
        self.refuses("mine.txt has no text")
        wrong = self.folder / "wrong.toml"
        wrong.write_text("seed = 1\n[[source]]\nfile = 'mine.txt'\nepochs = 1\n")
        self.refuses("wrong.toml lacks ngram", config=wrong)
        wrong.write_text("seed = \n")
        self.refuses("wrong.toml is not valid TOML", config=wrong)


if __name__ == "__main__":
    unittest.main()
