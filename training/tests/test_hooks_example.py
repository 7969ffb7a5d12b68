"""examples/python/hooks.py on models that are not the site's: dense, narrow, with few blocks, or not there."""

import contextlib
import io
import sys
import unittest
from unittest import mock

import torch

from tests import toy
from topklm import train
from topklm.export import export

from .test_modeling import example, load, transformers


@unittest.skipIf(transformers is None, "transformers is not installed")
class Hooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = toy.write_for(cls)
        short = toy.MODEL.replace("n_layers = 3", "n_layers = 2").replace("n_ctx = 32", "n_ctx = 64")
        (cls.folder / "short.toml").write_text(short)
        cls.enterClassContext(contextlib.redirect_stdout(io.StringIO()))
        for name, dense in (("topk", False), ("dense", True)):
            train.Trainer(cls.folder / "short.toml", cls.folder / "data", cls.folder / f"run-{name}", dense).run(until=1)
            export(cls.folder / f"run-{name}", cls.folder / "data", cls.folder / name, False, None)
        # transformers copies the code of a model folder into its cache.
        cls.enterClassContext(mock.patch("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(cls.folder / "cache")))
        path = list(sys.path)
        cls.addClassCleanup(lambda: sys.path.__setitem__(slice(None), path))

    def test_the_command_runs_on_any_model(self):
        for name in ("topk", "dense"):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                example().main(str(self.folder / name))
            self.assertIn("of 32 neurons are active in block 1", out.getvalue())
            self.assertIn("edited:", out.getvalue())

    def test_a_path_without_a_model_is_named(self):
        with self.assertRaisesRegex(SystemExit, "nowhere is not the folder of a model: there is no config.json in it"):
            example().main(str(self.folder / "nowhere"))

    def test_what_comes_in_is_the_value_before_an_edit(self):
        hooks, ids = example(), torch.arange(1, 9)[None]
        model = load(self.folder / "topk")
        before = hooks.run_with_cache(model, input_ids=ids)[1]
        value = 2 * before["blocks.0.hook_topk_in"].max().item()
        for site in ("topk_in", "topk_out"):
            with hooks.edited(model, 0, 3, value, site):
                cache = hooks.run_with_cache(model, input_ids=ids)[1]
            self.assertTrue(torch.equal(cache["blocks.0.hook_topk_in"], before["blocks.0.hook_topk_in"]), site)
            self.assertTrue((cache["blocks.0.hook_topk_out"][..., 3] == value).all())
            self.assertTrue(torch.equal(cache["blocks.0.hook_resid_post"], cache["blocks.0.hook_topk_out"]))
            self.assertEqual((cache["blocks.0.hook_topk_out"] != 0).sum(-1).max(), 6 if site == "topk_in" else 7)

    def test_a_block_without_topk_is_edited_behind_it(self):
        hooks, ids = example(), torch.arange(1, 9)[None]
        for name, layer in (("dense", 0), ("topk", 1)):
            model = load(self.folder / name)
            for site in ("topk_in", "topk_out"):
                with hooks.edited(model, layer, 3, 5.0, site):
                    cache = hooks.run_with_cache(model, input_ids=ids)[1]
                self.assertTrue((cache[f"blocks.{layer}.hook_resid_post"][..., 3] == 5).all())

    def test_a_neuron_that_is_not_there_is_named(self):
        model = load(self.folder / "topk")
        for layer, index in ((0, 296), (5, 0)):
            said = f"there is no neuron {index} in block {layer}: the model has 2 blocks with 32 neurons each"
            with self.assertRaisesRegex(ValueError, said), example().edited(model, layer, index, 1.0):
                pass


if __name__ == "__main__":
    unittest.main()
