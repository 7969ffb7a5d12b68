"""What the claims say where a path, a text or a model is not what they need, and that DATA of other kinds is taken, on toy models."""

import contextlib
import json
import shutil
import sys
import types
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from claims import all as every
from claims import common, copies, letting_go, patches, proxy_meaning, quality, sae_trace, sets, steer, switches, table
from tests import test_patches, toy
from tests.toy_claims import ToyClaims


class Refuse(ToyClaims):
    def refuses(self, words, module, *arguments, data=None):
        """The command ends with one sentence that has these words."""
        command = types.SimpleNamespace(__name__=module.__name__, main=lambda: common.run(module.main))
        given = ["--models", self.folder / "models", "--results", self.results, *(["--data", data] if data else [])]
        self.assertIn(words, toy.refusal(self, command, *given, *arguments))

    @property
    def checkpoint(self) -> Path:
        return self.folder / "runs" / common.TOPK / "checkpoints" / "step8.safetensors"

    def other_data(self, name, change) -> Path:
        """DATA with its arrays changed."""
        folder = self.folder / name
        shutil.copytree(self.folder / "data", folder)
        arrays = common.texts(folder)
        np.savez(folder / "tokens.npz", **change(arrays))
        return folder

    def quality(self, *arguments, results="results", data="data"):
        config = Path(quality.__file__).with_name("quality.toml").read_text().replace("max_tokens = 200", "max_tokens = 4")
        (self.folder / "quality.toml").write_text(config)
        given = ["quality", "--models", self.folder / "models", "--results", self.folder / results, "--data", self.folder / data]
        with mock.patch.object(quality, "CONFIG", self.folder / "quality.toml"), mock.patch.object(sys, "argv", [*map(str, given), *map(str, arguments)]):
            quality.main()
        return common.read(self.folder / results, "quality")

    def test_paths_that_are_not_there(self):
        self.refuses("nowhere has no tokenizer.json; name the folder that topklm.data wrote", quality, data=self.folder / "nowhere")
        self.refuses("nowhere does not exist: train and export the model first", switches, "--topk", self.folder / "nowhere")
        self.refuses("is a checkpoint without a tokenizer; use --data", patches, "--topk", self.checkpoint)
        self.refuses("step8.safetensors is a file; name the model's folder", switches, "--topk", self.checkpoint)
        self.refuses("no lists yet; run claims.sets first", letting_go, "--results", self.folder / "none", data=self.folder / "data")

    def test_damaged_data(self):
        shutil.copytree(self.folder / "data", self.folder / "torn")
        (self.folder / "torn/tokens.npz").write_bytes(b"PK")
        self.refuses("tokens.npz is damaged: run topklm.data again", quality, data=self.folder / "torn")

    def test_every_command_tells_what_is_wrong(self):
        commands = [path.read_text() for path in Path(common.__file__).parent.glob("*.py") if "\ndef main():" in path.read_text()]
        self.assertGreater(len(commands), 20)
        self.assertTrue(all(text.endswith('if __name__ == "__main__":\n    common.run(main)\n') for text in commands))

    def test_a_checkpoint_is_named_from_its_own_folder_too(self):
        with contextlib.chdir(self.checkpoint.parent):
            about = common.subject(Path("step8.safetensors"), self.folder / "data").about
        self.assertEqual((about["name"], about["training_step"]), (f"{common.TOPK}/step8", 8))

    def test_a_checkpoint_is_patched_with_the_tokenizer_of_data(self):
        (self.folder / "patches.toml").write_text(test_patches.PAIRS)
        with mock.patch.object(patches, "PAIRS", self.folder / "patches.toml"):
            models = self.call(patches, "--topk", self.checkpoint)["models"]
        self.assertEqual(models["topk"]["name"], f"{common.TOPK}/step8")

    def test_all_gives_a_checkpoint_to_those_that_take_one(self):
        given = ["all", "--data", "d", "--work", "w", "--binary", "b", "--models", self.folder / "models", "--topk", self.checkpoint]
        with mock.patch.object(sys, "argv", [*map(str, given)]):
            runs = every.commands(every.arguments())
        self.assertEqual(set(runs), set(every.NAMES) - {"seeds", *every.FOLDERS})
        self.assertIn("--data", runs["patches"])

    def test_ids_of_another_tokenizer_are_refused(self):
        other = self.folder / "other"
        shutil.copytree(self.folder / "data", other)
        path = other / "tokenizer.json"
        file = json.loads(path.read_text())
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        file["added_tokens"] = [*file["added_tokens"], flags | {"id": 320, "content": "another"}]
        path.write_text(json.dumps(file))
        said = "was made with another tokenizer"
        with mock.patch.object(steer, "CONFIG", self.folder / "concepts.toml"):
            self.refuses(said, sets, "--methods", "means", data=other)
        self.refuses(said, sae_trace, "--steps", 2, data=other)

    def test_data_without_a_validation_text(self):
        self.other_data("unvalidated", lambda arrays: {name: ids for name, ids in arrays.items() if name != "validation.ids"})
        result = self.quality(results="unvalidated-results", data="unvalidated")
        self.assertEqual(set(result["gap_percent"]), {"held_out"})
        self.assertIn("| TinyStories validation text, bits per byte | – | – |", list(table.quality(result)))
        self.assertEqual(set(self.quality("--only", "shipped", results="unvalidated-results", data="unvalidated")["shipped"]["gap_percent"]), {"held_out"})
        also = ["--also", self.folder / "models" / common.DENSE]
        self.refuses("--also is measured on the validation text", quality, *also, data=self.folder / "unvalidated")

    def test_another_model_is_measured_before_these(self):
        also = ["--only", "also", "--also", self.checkpoint]
        name = f"{common.TOPK}/step8"
        found = self.quality(*also, results="fresh")["also"][name]
        self.assertEqual(set(found), {"model", "validation"})
        self.quality("--only", "topk", results="fresh")
        compared = self.quality(*also, results="fresh")
        self.assertAlmostEqual(compared["also"][name]["topk_is_lower_by_percent"], 0, delta=0.1)  # the same weights, but for f16
        self.assertIn(f"fewer bits per byte than `{name}`", "\n".join(table.quality(compared)))
        del compared["also"][name]["topk_is_lower_by_percent"]
        self.assertNotIn(name, "\n".join(table.quality(compared)))

    def test_sources_may_have_any_name(self):
        renamed = {f"{name}.{kind}": f"{name[0]}.{kind}" for name in ("a.txt", "b.txt") for kind in ("ids", "starts")}
        plain = self.other_data("plain", lambda arrays: {renamed.get(name, name): ids for name, ids in arrays.items()})
        self.assertEqual(common.sources(common.texts(plain)), ["a", "b"])
        self.assertEqual(common.sources(common.texts(self.folder / "data")), ["a.txt", "b.txt"])
        known = [self.call(copies, "--documents", 1, "--data", data, data=False)["known_runs"] for data in (plain, self.folder / "data")]
        self.assertEqual(known[0], known[1])

    def test_neighbors_are_those_of_the_tokens_that_are_there(self):
        data = self.other_data("neighbors", dict)
        first = proxy_meaning.space(data, 320)
        with mock.patch.object(proxy_meaning.torch, "svd_lowrank", side_effect=AssertionError):
            np.testing.assert_array_equal(proxy_meaning.space(data, 320), first)
        arrays = common.texts(data)
        np.savez(data / "tokens.npz", **arrays | {"a.txt.ids": arrays["a.txt.ids"][::-1]})
        self.assertFalse(np.array_equal(proxy_meaning.space(data, 320), first))
        self.assertEqual([path.name for path in data.glob("neighbors*")], ["neighbors.npz"])


if __name__ == "__main__":
    unittest.main()
