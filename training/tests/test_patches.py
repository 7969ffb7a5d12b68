"""Patching a state unit by unit, on a toy pair of models."""

from unittest import mock

import numpy as np
import torch

from claims import common, patches, sae, table
from tests.toy_claims import ToyClaims

PAIRS = """
least_odds = 0.0
[[frame]]
text = "One day {} went to the hill"
words = [["Mia", "Ben"], ["Omar", "Mia"]]
"""


class Patches(ToyClaims):
    def setUp(self):
        (self.folder / "patches.toml").write_text(PAIRS)
        self.enterContext(mock.patch.object(patches, "PAIRS", self.folder / "patches.toml"))

    def pair(self, name):
        found = common.subject(self.folder / "models" / name)
        texts, _ = patches.read_pairs(found.tokenizer)
        return patches.Pair(found.model, *texts[0])

    def test_a_share_is_what_the_model_says_with_that_state(self):
        pair = self.pair(common.TOPK)
        first, second = pair.states(0)
        state = (first + second) / 2

        def edit(layer, x):
            if layer == 0:
                x = x.clone()
                x[0, pair.position] = state
            return x

        end = pair.model.stream(pair.ids[1], edit=edit)[-1][:, -1]
        logits = pair._end(end)[0]
        odds = float(logits[pair.next[0]] - logits[pair.next[1]])
        share = pair.shares(0, torch.stack([second, state]))
        self.assertAlmostEqual(share[0], 0, places=4)
        self.assertAlmostEqual(share[1], (odds - pair.odds[1]) / (pair.odds[0] - pair.odds[1]), places=4)

    def test_units_of_any_basis_add_up_to_the_whole_state(self):
        pair = self.pair(common.DENSE)
        first, second = pair.states(1)
        for basis in (None, patches.rotation(len(first))):
            parts = patches.by_coordinate(first, second, basis)
            torch.testing.assert_close(parts.sum(0), first - second, rtol=1e-4, atol=1e-5)
            found = patches.apart(pair, 1, parts)
            self.assertAlmostEqual(found["together"][max(found["together"])], found["whole"], places=3)
            self.assertEqual(found["differ"], len(first))

    def test_the_least_number_of_units(self):
        found = {"together": {1: 0.5, 2: 0.7, 3: 0.81}}
        self.assertEqual(patches.units_needed(found, 1.0), 3)
        self.assertEqual(patches.units_needed(found, 0.6), 1)
        self.assertEqual(patches.units_needed(found, 2.0), np.inf)

    def test_the_command_and_its_table(self):
        folder = self.folder / "saes" / "patched"
        self.call(sae, "--out", folder, "--layer", 0, "--times", 2, "--k", 4, "--positions", 20_000)
        result = self.call(patches, "--sae", folder, "--blocks", 0, data=False)
        self.assertEqual((result["pairs"], result["kept"]), (2, 2))
        self.assertEqual(set(result["rows"]["0"]), {"topk", "topk_rotated", "dense", "dense_rotated", "sae patched"})
        rows = result["rows"]["0"]
        # The whole state is the same in any basis, and fewer neurons differ than coordinates.
        self.assertAlmostEqual(rows["topk"]["whole"], rows["topk_rotated"]["whole"], places=2)
        self.assertLess(rows["topk"]["differ"], rows["topk_rotated"]["differ"])
        self.assertIn("block 0: TopK neurons", "\n".join(table.patches(result)))
        (self.folder / "patches.toml").write_text(PAIRS.replace('"Ben"', '"Ben ran"'))
        self.assertRaisesRegex(ValueError, "one token each", self.call, patches, data=False)
