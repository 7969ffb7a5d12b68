"""Neurons that are found for two words, behind fresh prompts, on a toy model."""

import stat
import tomllib
from unittest import mock

import numpy as np
import torch

from claims import common, switches, table, turning
from tests.toy_claims import ToyClaims

FRESH = ["One day Mia", "Ben went to", "The hill"]


class Turning(ToyClaims):
    def setUp(self):
        self.enterContext(mock.patch.object(switches, "RANDOM", 10))
        self.subject = common.subject(self.folder / "models" / common.TOPK)
        self.d = self.subject.model.config.d_model
        decode = lambda t: self.subject.tokenizer.decode([t])  # noqa: E731
        self.words = {"from": decode(5), "to": decode(6)}

    def index(self):
        steer = [6.0] * self.d
        steer[0] = None
        strong = [2.0] * self.d
        strong[1] = 0.0
        return {"layers": [0], "columns": {"steer": steer, "strong": strong, "max": [1.0] * self.d}}

    def effects(self):
        """Of each neuron of block 0 at 6, behind the fresh prompts: how far it turns the first token into the second, [neurons, prompts]."""
        encode = lambda text: self.subject.tokenizer.encode(text).ids  # noqa: E731
        prompts = [switches.Prompt(self.subject.model, encode(text), [[6], [5]]) for text in FRESH]
        return np.stack([p.effects(0, np.arange(self.d), np.full(self.d, 6.0, np.float32)) for p in prompts], 1)

    def test_strengths_are_the_readable_ones_then_the_strong_then_the_largest(self):
        index = self.index()
        index["columns"]["steer"][1] = None
        values = turning.strengths(index)[0]
        self.assertEqual(list(values[:3]), [2.0, 1.0, 6.0])
        del index["columns"]["steer"]
        self.assertEqual(list(turning.strengths(index)[0][:3]), [2.0, 1.0, 2.0])

    @torch.no_grad()
    def test_figures_are_those_of_the_neurons_that_were_found(self):
        means = self.effects().mean(1)
        up, down = int(means[1:].argmax()) + 1, int(means[1:].argmin()) + 1
        of = lambda index, effect: {"layer": 0, "index": index, "value": 6.0, "effect": effect, "times": 2.0}  # noqa: E731
        pairs = [{**self.words, "prompt": "x", "fresh": FRESH}] * 2
        answers = [{"found": 1, "turning": [of(up, 2 * float(means[up]))]}, {"found": 0, "turning": []}]
        calls = iter(answers)
        result = turning.measure(self.subject, self.index(), pairs, lambda _: self.words | next(calls))
        self.assertEqual((result["pairs"], result["found"], result["listed"]), (2, 1, 1))
        self.assertAlmostEqual(result["kept"]["median"], 0.5, places=3)
        self.assertEqual(result["same_side"]["mean"], 1.0)
        self.assertAlmostEqual(result["best"][0]["fresh"], float(means[up]), places=3)
        self.assertAlmostEqual(result["nats"]["median"], float(means[up]), places=3)
        prompt = switches.Prompt(self.subject.model, self.subject.tokenizer.encode(FRESH[0]).ids, [[6], [5]])
        self.assertAlmostEqual(float(prompt.divergence(0, [up], np.array([float(prompt.streams[0][0, -1, up])], np.float32))[0]), 0.0, places=5)
        self.assertGreater(result["kl"]["median"], 0.0)
        shown = "\n".join(table.turning(common.rounded(result | {"dense": result})))
        self.assertIn("as many random neurons of their layers", shown)
        self.assertIn("1 coordinates of the dense twin, found in the same way", shown)
        away = turning.measure(self.subject, self.index(), pairs[:1], lambda _: self.words | {"found": 1, "turning": [of(down, 1.0)]})
        self.assertEqual(away["same_side"]["mean"], 0.0)
        self.assertLess(away["kept"]["median"], 0.0)

    def test_the_command_is_asked_for_each_pair_and_its_error_is_told(self):
        binary = self.folder / "command"
        binary.write_text('#!/bin/sh\ncase "$*" in *bad*) echo "error: no such word" >&2; exit 1;; esac\necho "{\\"arguments\\": \\"$*\\"}"\n')
        binary.chmod(binary.stat().st_mode | stat.S_IEXEC)
        pair = {"from": "dog", "to": "cat", "prompt": "They had a", "fresh": FRESH}
        self.assertIn("turn --model m --backend cpu --from dog --to cat --prompt They had a --most 8", turning.found(binary, "m", pair)["arguments"])
        with self.assertRaisesRegex(ValueError, "bad / cat: error: no such word"):
            turning.found(binary, "m", pair | {"from": "bad"})

    def test_the_pairs_are_whole(self):
        pairs = tomllib.loads(turning.PAIRS.read_text())["pair"]
        self.assertGreaterEqual(len(pairs), 100)
        self.assertEqual(len({(p["from"], p["to"]) for p in pairs}), len(pairs))
        for p in pairs:
            self.assertEqual(len(set(p["fresh"])), 3)
            self.assertNotIn(p["prompt"], p["fresh"])
