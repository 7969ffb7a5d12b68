"""A toy pair of models on which every command of the claims runs."""

import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from claims import common
from tests import toy
from topklm import train
from topklm.export import export

CONCEPTS = """
[bounds]
max_tokens = 8
temperature = 0.8
seeds = 2
success = 5.0
relaxed_success = 3.0
works = 0.5
likelihood = 1.3
[search]
effect_prompts = 2
effect_length = 10
effect_strengths = [0.5, 1.0]
divergence = 0.1
short_list = 2
penalty = 6.0
margin = 1.25
strengths = {layer = [1.0], from_layer = [1.0]}
middle_margin = 1.6
round = [{texts = 2, tokens = 4}, {texts = 2, tokens = 6, keep = {bounded = 1, middle = 1, free = 1}}]
[sets]
sizes = [1, 3]
strengths = [0.3, 1.0]
surprise = 1.2
enough = 0.65
layers = [0, 1]
powers = [0.5, 1.0]
first = [0.5]
keep = 2
[prompts]
choosing = ["One day Mia", "Then Ben went"]
scoring = ["One day Omar", "One day"]
earlier = ["Then Ben"]
fresh = ["Then Omar", "One day"]
[[concept]]
name = "things"
words = ["kite", "stone", "cake"]
[[concept]]
name = "places"
words = ["hill", "river"]
"""


class ToyClaims(unittest.TestCase):
    """Commands on a toy pair of models."""

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.folder = Path(cls._folder.name)
        toy.write(cls.folder)
        for name, dense in ((common.TOPK, False), (common.DENSE, True)):
            run = cls.folder / "runs" / name
            train.Trainer(cls.folder / "toy.toml", cls.folder / "data", run, dense).run()
            export(run, cls.folder / "data", cls.folder / "models" / name, True, None)
        (cls.folder / "concepts.toml").write_text(CONCEPTS)
        cls.results = cls.folder / "results"

    @classmethod
    def tearDownClass(cls):
        cls._folder.cleanup()

    def call(self, module, *arguments, data=True):
        shared = ["--models", self.folder / "models", "--results", self.results]
        shared += ["--data", self.folder / "data"] if data else []
        with mock.patch.object(sys, "argv", ["claim", *map(str, [*shared, *arguments])]), mock.patch("builtins.print"):
            module.main()
        return json.loads((self.results / f"{self.name(module)}.json").read_text())

    def name(self, module):
        return {"steer": "steering"}.get(module.__name__.split(".")[1], module.__name__.split(".")[1])
