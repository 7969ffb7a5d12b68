"""Training FLOPs are those that PyTorch counts; the rows of the paper's claims rest on what was measured."""

import tempfile
import tomllib
import unittest
from pathlib import Path
from xml.etree import ElementTree

import torch
from torch.utils.flop_counter import FlopCounterMode

from claims import common, compute, paper, plot
from topklm.model import ModelConfig, TopKLM

SHAPE = {"d_vocab": 40, "d_model": 24, "n_layers": 3, "n_heads": 2, "d_head": 8, "d_mlp": 20, "n_ctx": 16, "tied": False}


class Flops(unittest.TestCase):
    def test_they_are_what_pytorch_counts(self):
        for more in ({}, {"topk_k": 5, "n_nontopk": 1}):
            c = ModelConfig(**SHAPE | more)
            model, ids = TopKLM(c).init_weights(1), torch.randint(0, c.d_vocab, (3, c.n_ctx + 1))
            with FlopCounterMode(display=False) as counter:
                model(ids[:, :-1], ids[:, 1:]).backward()
            self.assertEqual(counter.get_total_flops(), 3 * c.n_ctx * compute.training_flops(c)["total"])

    def test_sparse_products_save_what_is_not_active_behind_a_cut(self):
        saved = lambda mean=None, **more: compute.training_flops(ModelConfig(**SHAPE | more), mean)["sparse_saves"]  # noqa: E731
        self.assertEqual(saved(), 0)
        # Two of three blocks read a cut stream; 3 matrices of 16 outputs; 19 of 24 inputs left out; 6 for forward and backward.
        self.assertEqual(saved(topk_k=5, n_nontopk=1), 2 * 3 * 16 * 19 * 6)
        self.assertEqual(saved(14, topk_k=5, n_nontopk=1), 2 * 3 * 16 * 10 * 6)
        self.assertEqual(saved(topk_k=5, n_nontopk=3), 0)
        self.assertEqual(compute.mean_k(10, [[0.25, 50], [0.5, 30]]), 25)

    def test_both_configs_are_read(self):
        for name in ("proxy_wide.toml", "small.toml"):
            table = tomllib.loads((common.CONFIGS / name).read_text())["model"]
            self.assertEqual(compute.shape(table, False).topk_k, 48)
            self.assertIsNone(compute.shape(table, True).topk_k)


class Paper(unittest.TestCase):
    def test_a_claim_without_figures_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(paper.rows(Path(folder)), [])
            layers = {"topk": {"layers": {"same_index": 0.5, "random_index": 0.1}}, "dense": {"layers": {"same_index": 0.2}}}
            common.write(Path(folder), "controls", {"rows": layers})
            (row,) = paper.rows(Path(folder))
            self.assertEqual((row["claim"], row["verdict"], row["rests_on"]), ("… and over layers", "reproduced", "controls"))
            self.assertIn("0.50 (random indices 0.10; the twin 0.20)", row["figure"])

    def test_all_claims_have_figures(self):
        self.assertEqual(len(paper.rows(common.RESULTS)), len(paper.CLAIMS))


class Plot(unittest.TestCase):
    def test_a_line_goes_through_its_points(self):
        text = plot.lines("a & b", [("x < y", [[10.0, 3.0], [1000.0, 1.0]]), ("other", [[100.0, 2.0]])])
        tree = ElementTree.fromstring(text)
        first, second = tree.findall("{http://www.w3.org/2000/svg}polyline")
        self.assertEqual(first.get("points"), f"{plot.LEFT}.0,{plot.TOP}.0 {plot.RIGHT}.0,{plot.BOTTOM}.0")
        self.assertEqual(second.get("points"), f"{(plot.LEFT + plot.RIGHT) / 2:.1f},{(plot.TOP + plot.BOTTOM) / 2:.1f}")


if __name__ == "__main__":
    unittest.main()
