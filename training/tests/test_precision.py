"""Which types a run computes in, and Muon in either of them."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import torch

from tests import SPEEDS as EMULATED
from tests import measure, toy
from topklm import precision, train
from topklm.muon import Muon, orthogonalised
from topklm.precision import Precision, choose

NATIVE = {"f32": 110e9, "bf16": 490e9}
BEGAN = Precision("f32", "f32")


class Choice(unittest.TestCase):
    def test_the_faster_type_is_taken(self):
        self.assertEqual(choose(EMULATED, "auto"), Precision("f32", "f32"))
        self.assertEqual(choose(NATIVE, "auto"), Precision("bf16", "bf16"))

    def test_a_named_type_is_kept_and_muon_takes_the_faster_all_the_same(self):
        self.assertEqual(choose(EMULATED, "bf16"), Precision("bf16", "f32"))
        self.assertEqual(choose(NATIVE, "f32"), Precision("f32", "bf16"))

    def test_a_resumed_run_changes_its_types_on_another_machine_alone(self):
        self.assertEqual(choose({"f32": 100e9, "bf16": 190e9}, "auto", BEGAN), BEGAN)
        self.assertEqual(choose(NATIVE, "auto", BEGAN), Precision("bf16", "bf16"))
        self.assertEqual(choose(EMULATED, "auto", Precision("bf16", "bf16")), BEGAN)
        self.assertEqual(choose(NATIVE, "f32", BEGAN), Precision("f32", "bf16"))

    def test_both_types_are_timed(self):
        speeds = measure("cpu")
        self.assertEqual(set(speeds), {"f32", "bf16"})
        self.assertTrue(all(1e6 < speed < 1e15 for speed in speeds.values()), speeds)


class OrthogonalMomentum(unittest.TestCase):
    def test_the_iteration_leaves_singular_values_near_one(self):
        for shape in ((24, 60), (60, 24)):
            gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3
            for dtype in (torch.float32, torch.bfloat16):
                values = torch.linalg.svdvals(orthogonalised(gradient, 5, dtype).float())
                self.assertTrue(((values > 0.5) & (values < 1.4)).all(), values)
            u, _, v = torch.linalg.svd(gradient, full_matrices=False)
            overlap = (orthogonalised(gradient, 5, torch.float32) * (u @ v)).sum() / 24
            self.assertGreater(overlap, 0.8)

    def test_in_bf16_it_is_the_optimiser_of_pytorch(self):
        generator = torch.Generator().manual_seed(2)
        for shape in ((16, 40), (40, 16)):
            start = torch.randn(shape, generator=generator)
            ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
            one = Muon([ours], lr=0.02, weight_decay=0.1, dtype=torch.bfloat16)
            other = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95, ns_steps=5)
            for _ in range(4):
                gradient = torch.randn(shape, generator=generator)
                ours.grad, theirs.grad = gradient.clone(), gradient.clone()
                one.step()
                other.step()
                torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)  # a step moves an entry by 0.003
            self.assertGreater((ours - start).abs().mean(), 0.005)
            self.assertEqual(set(one.state_dict()["state"][0]), set(other.state_dict()["state"][0]))

    def test_vectors_are_refused(self):
        with self.assertRaisesRegex(ValueError, r"matrices alone, not a parameter of shape \(3,\)"):
            Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1, weight_decay=0)


class InTheTrainer(unittest.TestCase):
    def test_the_run_says_keeps_and_uses_what_was_chosen(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            toy.write(folder)
            (folder / "auto.toml").write_text(toy.MODEL.replace('dtype = "f32"', 'dtype = "auto"'))

            def trainer(speeds):
                with mock.patch.object(precision, "measure", return_value=speeds):
                    return train.Trainer(folder / "auto.toml", folder / "data", folder / "run", dense=False)

            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                first = trainer(EMULATED)
                first.run(until=3)
            self.assertIn("products: f32 140 GFLOP/s, bf16 1 GFLOP/s; the model's run in f32, Muon's in f32", said.getvalue())
            self.assertRegex(said.getvalue(), r"step 3/8  loss .*  [\d,]+ tokens/s")
            self.assertEqual(first.optimisers[0][0].dtype, torch.float32)
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(trainer({"f32": 100e9, "bf16": 150e9}).precision, BEGAN)
                moved = trainer(NATIVE)
            self.assertEqual((moved.step, moved.precision), (3, Precision("bf16", "bf16")))
            self.assertEqual(moved.optimisers[0][0].dtype, torch.bfloat16)


if __name__ == "__main__":
    unittest.main()
