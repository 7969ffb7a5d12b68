"""Neurons that turn a contrast, behind fresh prompts, on a toy model."""

import json
from unittest import mock

import numpy as np
import torch

from claims import common, switches, table
from tests.toy_claims import ToyClaims

CONTRAST = "a / the"
PROMPTS = {CONTRAST: ["One day Mia", "Ben went to", "The hill"]}


class Switches(ToyClaims):
    def setUp(self):
        self.enterContext(mock.patch.object(switches, "RANDOM", 10))
        self.subject = common.subject(self.folder / "models" / common.TOPK)
        self.d = self.subject.model.config.d_model
        self.sides = [[5], [6, 7]]

    def prompt(self, text=PROMPTS[CONTRAST][0]):
        return switches.Prompt(self.subject.model, self.subject.tokenizer.encode(text).ids, self.sides)

    @torch.no_grad()
    def test_an_effect_is_what_the_model_says_with_the_neuron_set(self):
        prompt = self.prompt()

        def edit(layer, x):
            if layer == 0:
                x = x.clone()
                x[0, -1, 3] = 4.0
            return x

        end = self.subject.model.stream(prompt.ids, edit=edit)[-1][:, -1]
        p = self.subject.model.lm_head(self.subject.model.model.norm(end)).float().softmax(-1)[0]
        by_hand = float((p[5] / (p[6] + p[7])).log()) - prompt.plain
        self.assertAlmostEqual(float(prompt.effects(0, [3, 4], [4.0, 0.0])[0]), by_hand, places=4)

    def test_no_neuron_is_compared_with_itself(self):
        random, effects = np.array([7, 3, 9]), np.array([[1.0, 1.0], [-4.0, -2.0], [0.5, 1.5]])
        self.assertEqual((switches.control(random, effects, 3), switches.control(random, effects, 8)), (1.0, 3.0))
        drawn = switches.stand_ins(np.random.default_rng(0), np.arange(20), [2, 5, 11])
        self.assertEqual((len(set(drawn)), set(drawn) & {2, 5, 11}), (3, set()))

    def test_times_are_towards_the_side_it_was_listed_for(self):
        effects = np.array([[-2.0, -4.0, -3.0], [1.0, -1.0, 6.0], [-0.5, -0.5, -0.5]])
        found = switches.figures(effects, np.array([-1, -1, -1]), np.array([1.0, 1.0, 1.0]))
        self.assertEqual(found["times"]["median"], 0.5)
        self.assertEqual((found["times"]["switches"], round(found["times"]["as_listed"], 2)), (1, 0.33))
        self.assertAlmostEqual(found["same_side"]["mean"], 2 / 3)
        self.assertAlmostEqual(found["same_side"]["every"], 2 / 3)

    @torch.no_grad()
    def test_a_neuron_that_does_it_is_told_from_random_ones(self):
        """Of the toy's neurons the one that does most is listed as the file has it; another in its place does less."""
        features = self.folder / "listed"
        features.mkdir()
        prompts = [self.prompt(text) for text in PROMPTS[CONTRAST]]
        all_effects = np.stack([p.effects(0, np.arange(self.d), np.full(self.d, 6.0, np.float32)) for p in prompts], 1).mean(1)
        best = int(np.abs(all_effects).argmax())
        decode = lambda t: self.subject.tokenizer.decode([t])  # noqa: E731
        entry = {"layer": 0, "index": best, "value": 6.0, "contrast": CONTRAST, "name": "", "times": 1.6, "switch": False, "effect": float(all_effects[best])}
        (features / "switches.json").write_text(json.dumps({"switches": [entry]}))
        contrasts = [{"name": CONTRAST, "a": [decode(5)], "b": [decode(6), decode(7)]}, {"name": "other", "a": [], "b": []}]
        (features / "contrasts.json").write_text(json.dumps({"contrasts": contrasts}))
        # One neuron has no value at which texts stay readable: it is no control.
        steer = [6.0] * self.d
        steer[0] = None
        (features / "index.json").write_text(json.dumps({"layers": [0], "columns": {"steer": steer}}))
        result = switches.measure(self.subject, features, PROMPTS)
        self.assertEqual((result["listed"], result["switches"], result["contrasts"]), (1, 0, 1))
        self.assertEqual(result["same_side"]["mean"], 1.0)
        self.assertGreaterEqual(result["times"]["median"], 0.99)
        self.assertLessEqual(result["random"]["times"]["median"], result["times"]["median"])
        self.assertEqual(result["best"][0]["index"], best)
        self.assertIn("as many random neurons", "\n".join(table.switches(common.rounded(result))))
