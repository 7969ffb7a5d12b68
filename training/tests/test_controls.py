"""What a unit reads beside its controls, another seed, and sparse autoencoders, on toy models and small cases."""

import json
import tomllib
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from claims import controls, sae, seeds, strongest, sweep, table
from tests import toy
from tests.toy_claims import ToyClaims
from topklm.export import to_8bit
from topklm.train import Trainer


class Controls(ToyClaims):
    def test_saes_and_controls(self):
        folders = []
        for kind in sae.KINDS:
            folders.append(self.folder / "saes" / kind)
            more = ["--layer", 1, "--times", 4, "--k", 4, "--kind", kind, "--positions", 40_000]
            figures = self.call(sae, "--out", folders[-1], *more)[kind]
            self.assertEqual((figures["width"], figures["k"], figures["kind"]), (128, 4, kind))
            self.assertGreater(figures["variance_explained"], 0.3)
            self.assertTrue(1 < figures["active_a_position"] < 12, figures["active_a_position"])
        result = self.call(controls, "--sae", *folders, "--units", 16)
        rows = result["rows"]
        self.assertEqual(
            set(rows), {"topk", "topk_rotated", "untrained", "embedding", "dense", "dense_rotated", "sae topk", "sae jumprelu"}
        )
        # A table of tokens is foretold by the token; a rotation is dense where the neurons are sparse.
        self.assertGreater(rows["embedding"]["token"], 0.9)
        self.assertLess(rows["topk"]["density"], rows["topk_rotated"]["density"])
        told = {name: row for name, row in rows.items() if row["f1"] is not None}
        self.assertLessEqual({"topk", "topk_rotated", "dense", "dense_rotated", "embedding"}, set(told))
        self.assertTrue(all(row["f1"] > (row["f1_shuffled"] or 0) for row in told.values()))
        self.assertTrue(all(row["f1_even"] > (row["f1_even_shuffled"] or 0) for row in told.values()))
        self.assertIsNone(rows["embedding"]["layers"])
        again = self.call(controls, "--units", 16, "--only", "topk")
        self.assertEqual(again["rows"], rows)
        sharp = self.call(strongest, "--sae", *folders, "--units", 16)["rows"]
        self.assertEqual(set(sharp), {"topk", "topk_rotated", "dense", "sae topk", "sae jumprelu"})
        for name, at in sharp.items():
            known = [e for e in at.values() if e["f1"] is not None]
            self.assertTrue(all(0 <= e["f1_shuffled"] <= e["f1"] + 0.2 and 0 < e["reach"] <= 1 for e in known if e["f1_shuffled"] is not None), name)
        written = table.table(self.results)
        self.assertIn("| TopK neurons | ", written)
        self.assertIn("### Where a unit is strong", written)
        self.assertIn("| JumpReLU | 1 | 128 | 4 | 1 | ", written)

    def test_an_sae_is_saved_as_sae_lens_reads_it(self):
        for kind in sae.KINDS:
            made = sae.SAE(8, 24, 3, 1, seed=4, kind=kind)
            x = 2 + 3 * torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
            made.begin(x)
            made.requires_grad_(False)
            made.save(self.folder / "lens")
            config = json.loads((self.folder / "lens" / "cfg.json").read_text())
            w = load_file(self.folder / "lens" / "sae_weights.safetensors")
            pre = (x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]
            if kind == "topk":
                codes = torch.zeros_like(pre).scatter(1, pre.topk(config["k"]).indices, pre.topk(config["k"]).values.relu())
            else:
                codes = pre * (pre > w["threshold"])
            torch.testing.assert_close(codes, made.encode(x), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(codes @ w["W_dec"] + w["b_dec"], made.decode(codes), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(sae.SAE.load(self.folder / "lens").encode(x), made.encode(x), atol=1e-4, rtol=1e-4)
            # As shipped, with 8-bit matrices.
            save_file(to_8bit(w), self.folder / "lens" / "sae_weights.safetensors")
            loaded = sae.SAE.load(self.folder / "lens")
            torch.testing.assert_close(loaded.scale * loaded.decoder, made.scale * made.decoder, atol=float(w["W_dec"].abs().max()) / 127, rtol=0)
            torch.testing.assert_close(loaded.encoder / loaded.scale, made.encoder / made.scale, atol=float(w["W_enc"].abs().max()) / 127, rtol=0)

    def test_thresholds_learn_the_number_of_features(self):
        made = sae.SAE(4, 6, 2, 0, kind="jumprelu")
        x = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
        made.begin(x)
        with torch.no_grad():
            made.threshold.fill_(0.2)  # too many are active: the penalty raises the thresholds
        total, error, codes = sae.loss(made, x, torch.zeros(6))
        self.assertGreater((codes != 0).sum(-1).float().mean(), made.k)
        (total - error).backward()
        self.assertTrue((made.threshold.grad < 0).all())
        self.assertEqual(made.encoder.grad.abs().max(), 0)

    def test_the_best_tokens_end_where_f1_falls(self):
        ids = np.array([1] * 4 + [2] * 4 + [3] * 8)
        active = np.array([True] * 4 + [True] * 3 + [False] + [True] * 2 + [False] * 6)
        frequency = np.bincount(ids, minlength=5)
        rule = controls.best_tokens(active, ids, frequency)
        self.assertEqual(rule.tolist(), [1, 2])
        self.assertAlmostEqual(controls.f1_of(rule, active, ids, frequency), 2 * 7 / (8 + 9))
        self.assertEqual(controls.f1_of(np.array([4]), active, ids, frequency), 0)

    def test_evenly_the_tokens_are_those_that_raise_f1_most(self):
        # Twelve rare tokens that are always active fill a list by share; the common token that most of the activity stands on is missed.
        ids = np.array([0] * 100 + [token for token in range(1, 13) for _ in range(2)])
        active = np.array([True] * 60 + [False] * 40 + [True] * 24)
        frequency = np.bincount(ids)
        f1 = {make: controls.f1_of(make(active, ids, frequency), active, ids, frequency) for make in (controls.best_tokens, controls.rising_tokens)}
        self.assertAlmostEqual(f1[controls.best_tokens], 2 * 24 / (24 + 84))
        self.assertAlmostEqual(f1[controls.rising_tokens], 2 * (60 + 22) / (100 + 22 + 84))
        self.assertEqual(controls.rising_tokens(np.zeros(124, dtype=bool), ids, frequency).tolist(), [])
        x = np.array([3.0, 0, 2, 1, -5])
        self.assertEqual(controls.strongest_of_all(x, 0.4).tolist(), [True, False, True, False, False])
        self.assertEqual(controls.strongest_of_all(x, 0.8).tolist(), [True, False, True, True, False])

    def test_what_the_token_foretells(self):
        text = mock.Mock(ids=np.array([0, 1, 2] * 40), half=np.arange(120) % 2)
        values = np.random.default_rng(0).normal(size=(120, 1)).astype(np.float32)
        told = controls.foretold(np.concatenate([np.array([[5.0], [1], [0]] * 40), values], axis=1).astype(np.float32), text, 3)
        self.assertAlmostEqual(told[0], 1, places=5)
        self.assertLess(told[1], 0.1)

    def test_another_seed(self):
        config = self.folder / "seeds.toml"
        text = tomllib.loads(toy.MODEL)
        text["model"] |= {"d_model": 64, "topk_k": 8}
        config.write_text(sweep.config_text(text, {}))
        files = []
        for seed in (None, 2):
            run = Trainer(config, self.folder / "data", self.folder / f"seed-{seed}", False, seed=seed)
            run.run()
            files.append(run.out / "checkpoints" / f"step{run.step}.safetensors")
        result = self.call(seeds, "--topk", files[0], "--other", files[1], "--positions", 4000)
        self.assertEqual(result["other"]["seed"], 2)
        self.assertNotEqual(*result["held_out_nats"])
        self.assertIn("| neurons of the other seed | ", table.table(self.results))
        with self.assertRaises(SystemExit):
            self.call(seeds, "--other", files[1])

    def test_neurons_are_matched_whatever_their_number(self):
        x = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)).relu()
        order = torch.tensor([3, 0, 5, 1, 2, 4])
        found = seeds.matched(x, 2 * x[:, order])
        self.assertAlmostEqual(found["correlation"], 1, places=5)
        self.assertEqual((found["above_half"], found["mutual"]), (1, 1))
        other = torch.randn(300, 6, generator=torch.Generator().manual_seed(9)).relu()
        self.assertLess(seeds.matched(x, other)["correlation"], 0.3)
