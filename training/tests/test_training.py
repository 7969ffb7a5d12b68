"""Data, schedule, and the trainer on the toy corpus: exact resume, twins, more processes."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

from tests import toy
from topklm import data, train
from topklm.export import export, load_model

ROOT = Path(__file__).parents[1]


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.folder = Path(cls._folder.name)
        cls.report = toy.write(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls._folder.cleanup()

    def trainer(self, run, dense=False):
        return train.Trainer(self.folder / "toy.toml", self.folder / "data", self.folder / run, dense)

    def test_documents_that_share_a_13_gram_are_dropped(self):
        for source in self.report["sources"]:
            self.assertEqual(source["dropped_13gram"], 1)
            self.assertEqual(source["documents"], source["held_out"] + source["train"] + 1)

    def test_held_out_documents_are_not_trained_on(self):
        arrays = np.load(self.folder / "data" / "tokens.npz")

        def documents(name):
            ids, starts = arrays[f"{name}.ids"], arrays[f"{name}.starts"]
            return [tuple(ids[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)]

        held = documents("held_out")
        self.assertEqual(len(held), sum(s["held_out"] for s in self.report["sources"]))
        self.assertTrue(all(d[0] == data.BOS for d in held))

    def test_packing_depends_on_seed_and_index_alone(self):
        packed = data.Packed(self.folder / "data", 32, seed=3)
        straight = packed.windows(0, 400)
        self.assertEqual(straight.shape, (400, 33))
        again = data.Packed(self.folder / "data", 32, seed=3)
        self.assertTrue((again.windows(390, 10) == straight[390:]).all())
        self.assertTrue((again.windows(5, 10) == straight[5:15]).all())
        self.assertFalse((data.Packed(self.folder / "data", 32, seed=4).windows(0, 10) == straight[:10]).all())
        self.assertTrue((straight[:3, 1:] == np.concatenate([straight[:3, 1:-1], straight[:3, -1:]], axis=1)).all())

    def test_evaluation_counts_every_token_once(self):
        ids = np.arange(1, 71)
        windows = data.evaluation_windows(ids, 32)
        targets = windows[:, 1][windows[:, 1] >= 0]
        self.assertEqual(targets.tolist(), ids.tolist())
        self.assertTrue((windows[:, 0, 0] == data.BOS).all())
        parts = data.evaluation_windows(np.array([0, 5, 6, 0, 7]), 32, np.array([0, 3, 5]))
        self.assertEqual(parts[:, 1, :2].tolist(), [[5, 6], [7, -1]])

    def test_schedule(self):
        self.assertEqual(train.checkpoint_steps(5, 2, 16), [0, 2, 4, 8, 16])
        config = train.read_config(self.folder / "toy.toml", False)[2]
        rates = [train.rate(step, 100, config) for step in range(100)]
        self.assertEqual((rates[0], rates[30]), (0.5, 1.0))
        self.assertAlmostEqual(rates[-1], 0.05)
        annealed = train.TrainConfig(**{**config.__dict__, "anneal": ((0.25, 16), (0.5, 8))})
        self.assertEqual([train.annealed_k(step, 8, annealed) for step in range(8)], [16, 16, 8, 8, None, None, None, None])

    def test_an_interrupted_run_goes_on_with_the_same_losses(self):
        self.trainer("straight").run()
        self.trainer("halves").run(until=3)
        self.trainer("halves").run()
        self.assertEqual(toy.losses(self.folder / "straight"), toy.losses(self.folder / "halves"))
        steps = sorted(int(p.stem.removeprefix("step")) for p in (self.folder / "straight/checkpoints").iterdir())
        self.assertEqual(steps, [0, 2, 4, 8])

    def test_it_learns_and_the_folder_loads(self):
        for run, dense in (("topk", False), ("dense", True)):
            trainer = self.trainer(run, dense)
            before = trainer.evaluate()["held_out"]["nats_per_token"]
            trainer.run()
            after = trainer.evaluate()["held_out"]["nats_per_token"]
            self.assertLess(after, before)
            export(self.folder / run, self.folder / "data", self.folder / "out" / run, True, None if dense else "../dense")
            config = json.loads((self.folder / "out" / run / "config.json").read_text())
            self.assertEqual(config.get("topk_k"), None if dense else 6)
            self.assertEqual(config.get("dense_twin"), None if dense else "../dense")
            for folder in ("", "step2"):
                load_model(self.folder / "out" / run / folder)

    def test_two_processes_equal_one(self):
        self.trainer("one").run()
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29763"]
        arguments = ["--config", self.folder / "toy.toml", "--data", self.folder / "data", "--out", self.folder / "two"]
        done = subprocess.run([*command, "-m", "topklm.train", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        one, two = toy.losses(self.folder / "one"), toy.losses(self.folder / "two")
        self.assertEqual([step for step, _ in one], [step for step, _ in two])
        np.testing.assert_allclose([loss for _, loss in one], [loss for _, loss in two], atol=2e-3)


if __name__ == "__main__":
    unittest.main()
