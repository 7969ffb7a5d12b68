"""The second sweep: its settings are trainable, its table compares with the right twin, its measures measure."""

import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
import torch

from claims import effect, proxy_meaning, sweep_wide
from topklm.model import ModelConfig, TopKLM
from topklm.train import read_config

TINY = ModelConfig(
    d_vocab=50, d_model=24, n_layers=3, n_heads=2, d_head=8, d_mlp=16, n_ctx=20, topk_k=5, n_nontopk=1, topk_post="relu"
)


class Sweep(unittest.TestCase):
    def test_every_setting_is_a_config(self):
        base = tomllib.loads(sweep_wide.BASE.read_text())
        with tempfile.TemporaryDirectory() as folder:
            for name, setting in sweep_wide.settings().items():
                path = Path(folder) / f"{name}.toml"
                path.write_text(sweep_wide.config_of(base, setting))
                table, model, train = read_config(path, setting.get("dense", False))
                self.assertEqual(table["seed"], setting.get("seed", 1))
                self.assertEqual(train.tokens, base["train"]["tokens"])
                if model.topk_k is not None:
                    self.assertLessEqual(model.topk_k / model.d_model, 0.06)

    def test_widths_are_compared_at_equal_products(self):
        base = tomllib.loads(sweep_wide.BASE.read_text())["model"]

        def products(shape):
            inner, mlp = 4 * shape["n_heads"] * shape["d_head"], 3 * shape["d_mlp"]
            return shape["d_model"] * (4096 + shape["n_layers"] * (inner + mlp))

        for other in (sweep_wide.D512, sweep_wide.D256):
            self.assertLess(abs(products(base | other) / products(base) - 1), 0.06)

    def test_the_table_names_what_was_not_run_and_compares_with_the_twin(self):
        def entry(d, tied, loss, density):
            both = {"nats_per_token": loss}
            return {
                "run": True,
                "d_model": d,
                "tied": tied,
                "density_percent": density,
                "loss": {"held_out": both, "validation": both},
            }

        done = {"dense": entry(1024, True, 3.0, None), "dense-untied": entry(1024, False, 2.0, None), "k48": entry(1024, True, 3.3, 4.7), "k48-untied": entry(1024, False, 2.1, 4.7),
                "d512-k24": entry(512, True, 3.0, 4.7)}  # fmt: skip
        table = sweep_wide.table(done)
        self.assertEqual(list(table), list(sweep_wide.settings()))
        self.assertAlmostEqual(table["k48"]["gap_percent"]["validation"], 10)
        self.assertAlmostEqual(table["k48-untied"]["gap_percent"]["validation"], 5)
        self.assertEqual((table["k48"]["twin"], table["k48-untied"]["twin"]), ("dense", "dense-untied"))
        self.assertNotIn("gap_percent", table["d512-k24"])
        self.assertFalse(table["k32-untied"]["run"])
        del done["dense-untied"]
        self.assertAlmostEqual(sweep_wide.table(done)["k48-untied"]["gap_percent"]["validation"], -30)


class Meaning(unittest.TestCase):
    def test_coherence(self):
        vectors = np.eye(4)[:, :2]  # two known types at right angles, two rare ones
        self.assertAlmostEqual(proxy_meaning.coherence(vectors[:1], np.ones(1)), 1)
        self.assertAlmostEqual(proxy_meaning.coherence(vectors[[0, 0]], np.ones(2)), 1)
        self.assertAlmostEqual(proxy_meaning.coherence(vectors[:2], np.ones(2)), 0.5)
        self.assertAlmostEqual(proxy_meaning.coherence(vectors[2:], np.ones(2)), 0.5)

    def test_reads_weighs_the_strongest_tenth(self):
        x, tokens = np.zeros(400), np.arange(400) % 4
        x[:200] = np.linspace(2, 1, 200)
        tokens[:20] = 1
        self.assertEqual(proxy_meaning.reads(x, tokens, np.eye(4)), (1.0, 0.0))
        x[:200] = 1
        tokens[:20] = np.arange(20) % 2
        coherence, entropy = proxy_meaning.reads(x, tokens, np.eye(4))
        self.assertAlmostEqual(coherence, 0.5)
        self.assertAlmostEqual(entropy, 1)

    def test_what_is_written_is_the_change_at_the_last_position(self):
        model = TopKLM(TINY).init_weights(3).eval()
        ids = torch.randint(0, 50, (3, 8), generator=torch.Generator().manual_seed(1))
        handles = effect.Handles("topk", [0, 1], np.array([0, 1]), np.array([4, 7]), np.array([1.5, 0.7]))
        change, share = proxy_meaning.written(model, handles, ids, chunk=1)

        def edit(layer, x):
            if layer == 1:
                x = x.clone()
                x[:, -1, 7] = 0.7
                for block in model.model.layers[2:]:
                    x = block(x, model.cos[:8], model.sin[:8], model.causal[:8, :8], None)
            return x

        with torch.no_grad():
            before = model(ids)[:, -1].log_softmax(-1)
            after = model.lm_head(model.model.norm(edit(1, model.stream(ids)[1])))[:, -1].log_softmax(-1)
        np.testing.assert_allclose(change[1], (after - before).mean(0), atol=1e-5)
        np.testing.assert_allclose(share.sum(1)[1], (after.exp() * (after - before)).sum(-1).mean(), atol=1e-5)
        self.assertGreater(np.abs(change[0]).max(), 1e-5)

    def test_only_neurons_that_are_active_are_drawn(self):
        x = torch.zeros(100, 6)
        x[:, 2], x[:30, 4], x[:5, 5] = 2.0, 3.0, 1.0
        index, top = proxy_meaning.drawn(x, 0, 4)
        self.assertEqual(index.tolist(), [2, 4])
        self.assertEqual(top.tolist(), [2.0, 3.0])


if __name__ == "__main__":
    unittest.main()
