"""What an interruption leaves of DATA and of a run: whole as it was, or said to be broken in one sentence."""

import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from tests import toy
from topklm import data, export, train


class Interrupted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = toy.write_for(cls)
        cls.data = cls.folder / "data"

    def prepare(self, **changes):
        data.prepare([self.folder / "corpus"], tomllib.loads(toy.DATA) | changes, self.data)

    def trainer(self, run, config="toy.toml"):
        return train.Trainer(self.folder / config, self.data, self.folder / run, False)

    def test_data_made_again_are_the_earlier_or_the_new_ones(self):
        self.addCleanup(self.prepare)
        before = {name: (self.data / name).read_bytes() for name in data.FILES}
        with mock.patch.object(np, "savez", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.prepare(d_vocab=300)
        self.assertEqual({name: (self.data / name).read_bytes() for name in data.FILES}, before)
        with mock.patch.object(Path, "replace", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.prepare(d_vocab=300)
        with self.assertRaisesRegex(FileNotFoundError, "data has no report.json; .* run it again if it was interrupted"):
            self.trainer("half")
        self.prepare()
        self.assertEqual({path.name: path.read_bytes() for path in self.data.iterdir()}, before)

    def test_damaged_data_are_named(self):
        self.addCleanup(self.prepare)
        path, report = self.data / "tokens.npz", self.data / "report.json"
        whole = path.read_bytes()
        for text in (whole[: len(whole) // 2], b"", b"no archive"):
            path.write_bytes(text)
            with self.subTest(text[:20]), self.assertRaisesRegex(ValueError, "tokens.npz is damaged: run topklm.data again"):
                data.Packed(self.data, 32, 1)
        path.write_bytes(whole)
        report.write_text('{"sources":')
        with self.assertRaisesRegex(ValueError, "report.json is not valid JSON"):
            data.Packed(self.data, 32, 1)

    def test_a_line_of_the_log_that_was_cut_off_does_not_count(self):
        self.trainer("torn").run(until=3)
        log = self.folder / "torn/log.jsonl"
        with log.open("a") as file:
            file.write('{"step": 4, "lo')
        self.assertEqual([step for step, _ in export.curve(self.folder / "torn")["loss"]], [1, 2, 3])
        self.trainer("torn").run()
        self.assertEqual([step for step, _ in toy.losses(self.folder / "torn")], list(range(1, 9)))
        log.write_text('{"step": 1}\n{"ste\n{"step": 3}\n')
        with self.assertRaisesRegex(ValueError, "log.jsonl: line 2 is not valid JSON"):
            export.curve(self.folder / "torn")

    def test_a_config_that_ends_before_the_state_is_refused(self):
        self.trainer("long").run(until=6)
        (self.folder / "short.toml").write_text(toy.MODEL.replace("tokens = 1024", "tokens = 512"))
        with self.assertRaisesRegex(ValueError, "state.pt stands at step 6, but the config has 4 steps"):
            self.trainer("long", "short.toml")

    def test_a_config_json_that_is_none_is_named(self):
        folder = self.folder / "model"
        folder.mkdir()
        for text, said in (('{"topk_k": ', "is not valid JSON"), ('{"n_head": 12, "vocab_size": 9}', "hidden_size, .* must be there"), ("[]", "vocab_size, ")):
            (folder / "config.json").write_text(text)
            with self.subTest(text), self.assertRaisesRegex(ValueError, f"model/config.json:? {said}"):
                export.load_model(folder)


if __name__ == "__main__":
    unittest.main()
