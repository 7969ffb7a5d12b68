"""Products behind the cut: the dense product and its gradients, within rounding; the same training."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import torch

from tests import toy
from topklm import sparse, topk, train
from topklm.model import ModelConfig, TopKLM

CONFIG = ModelConfig(
    d_vocab=50, d_model=40, n_layers=3, n_heads=2, d_head=8, d_mlp=16, n_ctx=20, topk_k=5, n_nontopk=1, topk_post="relu", topk_embed=True
)


@unittest.skipUnless(sparse.available(), "no C compiler")
class Products(unittest.TestCase):
    def test_value_and_gradients_are_those_of_the_dense_product(self):
        generator = torch.Generator().manual_seed(1)
        for rows, d, n, k in ((7, 24, 9, 3), (33, 200, 300, 12), (5, 130, 128, 130)):
            x = topk.topk_cut(torch.randn(rows, d, generator=generator), k, post="relu")
            x[0] = 0  # a row without any entry
            w, g = torch.randn(n, d, generator=generator), torch.randn(rows, n, generator=generator)
            results = []
            for product in (lambda a, b: sparse.sparse_product(a, b, k), torch.nn.functional.linear):
                a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
                y = product(a, b)
                y.backward(g)
                results.append((y.detach(), a.grad * (x != 0), b.grad))
            for ours, dense in zip(*results, strict=True):
                torch.testing.assert_close(ours, dense, atol=1e-4, rtol=1e-5)

    def test_threads_change_nothing(self):
        x = topk.topk_cut(torch.randn(50, 64, generator=torch.Generator().manual_seed(2)), 6)
        w = torch.randn(40, 64, generator=torch.Generator().manual_seed(3))
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            one = sparse.sparse_product(x, w, 6), *sparse.sparse_product_backward(x, w, torch.ones(50, 40), 6)
            torch.set_num_threads(3)
            three = sparse.sparse_product(x, w, 6), *sparse.sparse_product_backward(x, w, torch.ones(50, 40), 6)
        finally:
            torch.set_num_threads(before)
        self.assertTrue(all(torch.equal(a, b) for a, b in zip(one, three, strict=True)))

    def test_a_row_with_too_many_entries_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "a row has 4 entries that are not 0, more than the 3"):
            sparse.sparse_product(torch.ones(2, 4), torch.ones(1, 4), 3)

    def test_the_model_computes_the_same(self):
        ids = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(1))
        for config in (CONFIG, replace(CONFIG, topk_embed=False), replace(CONFIG, n_nontopk=0)):
            losses, gradients = [], []
            for used in (False, True):
                model = TopKLM(config).init_weights(4).use_sparse(used)
                loss = model(ids[:, :-1], ids[:, 1:])
                loss.backward()
                losses.append(loss.detach())
                gradients.append([p.grad for p in model.parameters()])
            torch.testing.assert_close(*losses)
            for ours, dense in zip(*gradients, strict=True):
                torch.testing.assert_close(ours, dense, atol=1e-5, rtol=1e-4)

    def test_compiled_and_annealed(self):
        ids = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(1))
        model = TopKLM(CONFIG).init_weights(4).use_sparse(True)
        expected = TopKLM(CONFIG).init_weights(4)(ids[:, :-1], ids[:, 1:], 9)
        torch.testing.assert_close(model(ids[:, :-1], ids[:, 1:], 9), expected)
        torch.testing.assert_close(torch.compile(model)(ids[:, :-1], ids[:, 1:], 9), expected)


@unittest.skipUnless(sparse.available(), "no C compiler")
class InTheTrainer(unittest.TestCase):
    def test_a_run_with_sparse_products_has_the_same_losses(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            toy.write(folder)
            runs = {}
            for how in ("dense", "sparse", "auto"):
                (folder / f"{how}.toml").write_text(toy.MODEL.replace('dtype = "f32"', f'dtype = "f32"\nsparse = "{how}"'))
                trainer = train.Trainer(folder / f"{how}.toml", folder / "data", folder / how, dense=False)
                trainer.run()
                runs[how] = toy.losses(folder / how)
            for how in ("sparse", "auto"):
                for (step, a), (_, b) in zip(runs["dense"], runs[how], strict=True):
                    self.assertAlmostEqual(a, b, delta=0.02, msg=f"{how}, step {step}")
            (folder / "wrong.toml").write_text(toy.MODEL.replace('dtype = "f32"', 'dtype = "f32"\nsparse = "yes"'))
            with self.assertRaisesRegex(ValueError, "sparse must be 'dense', 'sparse' or 'auto', not 'yes'"):
                train.Trainer(folder / "wrong.toml", folder / "data", folder / "wrong", dense=False)


if __name__ == "__main__":
    unittest.main()
