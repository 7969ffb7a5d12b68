"""What topklm.data, topklm.train and topklm.export say where a path, a key, a value or a folder is wrong: one sentence, no traceback."""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from tests import toy
from topklm import data, export, train


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = toy.write_for(cls)
        (cls.folder / "data.toml").write_text(toy.DATA)
        cls.call(train, "--config", cls.folder / "toy.toml", "--data", cls.folder / "data", "--out", cls.folder / "run")

    @classmethod
    def call(cls, module, *arguments) -> str:
        """What `python -m topklm.MODULE` writes."""
        out = io.StringIO()
        with mock.patch.object(sys, "argv", [module.__name__, *map(str, arguments)]):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                module.main()
        return out.getvalue()

    def refuses(self, words, module, *arguments):
        """It ends with one sentence that has these words."""
        self.assertIn(words, toy.refusal(self, module, *arguments))

    def trains(self, *changes, run="other", data="data", more=()):
        """Arguments of a training under the toy config with texts replaced."""
        text = toy.MODEL
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        config = self.folder / "changed.toml"
        config.write_text(text)
        return ["--config", config, "--data", self.folder / data, "--out", self.folder / run, *more]

    def other_data(self, name, **changes):
        """DATA of the same texts under other keys."""
        with contextlib.redirect_stdout(io.StringIO()):
            data.prepare([self.folder / "corpus"], tomllib.loads(toy.DATA) | changes, self.folder / name)
        return name

    def test_a_wrong_key_or_value_of_a_config_is_named(self):
        none = ("", "")
        for old, new, said in (
            ("d_model = 32", "d_modell = 32", "changed.toml: [model] has no key d_modell; is d_model meant?"),
            ("warmup = 2", "warmpu = 2", "[train] has no key warmpu; is warmup meant?"),
            ("warmup = 2\n", "", "[train] lacks warmup"),
            ("[train]", "[trian]", "trian: there is no such key at the top"),
            ("seed = 3\n", "", "there is no seed"),
            ("seed = 3", "seed = -1", "seed must be a whole number from 0 on, not -1"),
            ("seed = 3", "seed = 1.5", "seed must be a whole number from 0 on, not 1.5"),
            ("tokens = 1024", "tokens = 100", "tokens is 100, less than the 128 of one step (batch 4 · n_ctx 32)"),
            ("batch = 4", "batch = 4_000_000", "tokens is 1024, less than the 128000000 of one step"),
            ("batch = 4", "batch = 0", "batch must be from 1 on, not 0"),
            ("save_every = 1", "save_every = 0", "save_every must be from 1 on, not 0"),
            ("log_every = 1", "log_every = 0", "log_every must be from 1 on, not 0"),
            ("topk_k = 6", "topk_k = 16.5", "topk_k under [model] must be a whole number, not 16.5"),
            ("topk_k = 6", "topk_k = 0", "topk_k must be positive or absent, not 0"),
            ("n_layers = 3", "n_layers = 0", "n_layers must be from 1 on, not 0"),
            ("clip = 1.0", 'clip = "1"', "clip under [train] must be a number, not '1'"),
            ("compile = false", "compile = 0", "compile under [train] must be true or false, not 0"),
            ("checkpoints = 4", 'checkpoints = ["last"]', "checkpoints must be a number or a list of steps"),
            ("warmup = 2", "warmup = 2\nanneal = [0.5, 8]", "anneal must be a list of [share of the steps, k], not of 0.5"),
            ("save_every = 1", 'save_every = 1\nepochs = {"a.txt" = -1}', "epochs of a.txt must be a number from 0 on, not -1"),
            ("save_every = 1", 'save_every = 1\nepochs = {"a.txt" = 1e-9, "b.txt" = 1e-9}', "has 0 tokens to train on, but a window takes 33"),
            ("warmup = 2", "warmup = 2\nmore = 3", "more is written as tables [[train.more]], not as 3"),
            ("d_mlp = 24", "d_mlp = 24\nrope_theta = -1.0", "rope_theta must be above 0, not -1.0"),
            ("seed = 3", "seed = ", "changed.toml is not valid TOML"),
        ):
            with self.subTest(new):
                self.refuses(said, train, *self.trains((old, new), none))
        self.refuses("seed must be a whole number from 0 on, not -2", train, *self.trains(more=["--seed", -2]))
        self.assertFalse((self.folder / "other").exists())

    def test_only_types_that_there_are_may_be_named(self):
        for dtype in ("fp16", "F32"):
            said = f"dtype must be 'auto', 'bf16' or 'f32', not '{dtype}'"
            self.refuses(said, train, *self.trains(('dtype = "f32"', f'dtype = "{dtype}"')))

    def test_the_vocabulary_is_the_tokenizers(self):
        said = f"d_vocab is 1024, but {self.folder}/data/tokenizer.json has 320 tokens; both must be the same number"
        self.refuses(said, train, *self.trains(("d_vocab = 320", "d_vocab = 1024")))
        self.refuses("d_vocab stands at the top, not under [model]", train, *self.trains(("[model]", "[model]\nd_vocab = 320")))
        self.call(train, *self.trains(("d_vocab = 320\n", ""), run="no-vocabulary", more=["--until", 0]))
        self.assertEqual(export.read_checkpoint(self.folder / "no-vocabulary/checkpoints/step0.safetensors")[0].d_vocab, 320)

    def test_a_k_that_cuts_nothing_is_warned_of(self):
        said = self.call(train, *self.trains(("topk_k = 6", "topk_k = 32"), run="uncut", more=["--until", 0]))
        self.assertIn("warning: topk_k 32 is not below d_model 32: nothing is cut", said)

    def test_wrong_paths_are_named(self):
        there = self.trains()
        self.refuses("nowhere.toml: No such file or directory", train, "--config", self.folder / "nowhere.toml", *there[2:])
        self.refuses(f"{self.folder}: Is a directory", train, "--config", self.folder, *there[2:])
        self.refuses("nowhere has no tokenizer.json; name the folder that topklm.data wrote", train, *self.trains(data="nowhere"))
        self.refuses("toy.toml", train, *self.trains(run="toy.toml/run"))
        self.refuses("nowhere", train, *self.trains(more=["--from", self.folder / "nowhere", "--step", 1]))
        self.refuses("nowhere.toml: No such file or directory", data, "--corpus", self.folder / "corpus", "--out", self.folder / "x", "--config", "nowhere.toml")
        self.refuses("toy.toml", data, "--corpus", self.folder / "corpus", "--out", self.folder / "toy.toml/x", "--config", self.folder / "data.toml")

    def test_a_value_of_the_datas_config_is_named(self):
        config = self.folder / "wrong-data.toml"
        for old, new, said in (
            ("held_out_every = 10", "held_out_every = 0", "held_out_every must be a whole number from 1 on, not 0"),
            ("epochs = 1.5", "epochs = -1", "epochs of b.txt must be a number from 0 on, not -1"),
            ("d_vocab = 320", "d_vocab = 70_000", "d_vocab must be a whole number from 257 to 65536, not 70000"),
            ("opening = 12", "openning = 12", "openning: there is no such key"),
            ("[[source]]\nfile = \"a.txt\"\nepochs = 1\n[[source]]", "[source]", "sources are written as tables [[source]]"),
            ("held_out_every = 10\n", "", "wrong-data.toml lacks held_out_every"),
            ('[validation]\nfile = "validation.txt"', 'validation = "x.txt"', "validation is written as a table [validation] with file, not as 'x.txt'"),
            ("test_bytes = 900", 'test_bytes = "900"', "test_bytes must be a number from 0 on, not '900'"),
            ("test_bytes = 900", "test_bytes = -5", "test_bytes must be a number from 0 on, not -5"),
            ('file = "b.txt"', "file = 3", "file must be the name of a text file, not 3"),
            ('file = "b.txt"', 'file = "a.txt"', "a.txt is named as a source twice"),
            ('file = "b.txt"', 'file = "test"', "test is what a part of tokens.npz is called: give the file another name"),
            ("epochs = 1.5", 'epochs = 1.5\nset_aside = "false"', "set_aside of b.txt must be true or false, not 'false'"),
            (toy.DATA[toy.DATA.index("[validation]"):], "source = 3", "sources are written as tables [[source]]"),
        ):
            with self.subTest(new):
                self.assertIn(old, toy.DATA)
                config.write_text(toy.DATA.replace(old, new))
                self.refuses(said, data, "--corpus", self.folder / "corpus", "--out", self.folder / "x", "--config", config)

    def test_a_file_that_is_added_twice_is_named(self):
        arguments = ["--corpus", self.folder / "corpus", "--out", self.folder / "x", "--config", self.folder / "data.toml"]
        self.refuses("a.txt is named as a source twice", data, *arguments, "--add", "a.txt", 2)

    def test_weights_are_gone_on_with_by_their_own_tokenizer_alone(self):
        out, other = self.folder / "begun-from", self.folder / "other-tokens"
        self.call(export, "--run", self.folder / "run", "--data", self.folder / "data", "--out", out, "--steps")
        shutil.copytree(self.folder / "data", other)
        tokenizer = json.loads((other / "tokenizer.json").read_text())
        tokens = tokenizer["model"]["vocab"]
        tokens["a"], tokens["b"] = tokens["b"], tokens["a"]
        (other / "tokenizer.json").write_text(json.dumps(tokenizer))
        said = f"{out}/tokenizer.json has other tokens than {other}/tokenizer.json: make DATA with topklm.data --tokenizer"
        for folder in (out, out / "step2"):
            self.refuses(said, train, *self.trains(run="begins", data="other-tokens", more=["--from", folder, "--step", 2]))
        self.call(train, *self.trains(run="begins", more=["--from", out / "step2", "--step", 2, "--until", 2]))

    def test_an_export_that_is_refused_leaves_nothing(self):
        out = self.folder / "exported"

        def arguments(run="run", data="data"):
            return ["--run", self.folder / run, "--data", self.folder / data, "--out", out]

        self.refuses("nowhere has no tokenizer.json", export, *arguments(data="nowhere"))
        self.refuses("holds no step*.safetensors: train first", export, *arguments(run="nowhere"))
        fewer = self.other_data("fewer", source=[{"file": "a.txt", "epochs": 1}])
        self.refuses("fewer/tokenizer.json is not the tokenizer that", export, *arguments(data=fewer))
        self.assertFalse(out.exists())
        self.call(export, *arguments())
        self.assertEqual(json.loads((out / "config.json").read_text())["training_step"], 8)

    def test_a_run_begins_in_an_empty_folder(self):
        left = self.folder / "left"
        shutil.copytree(self.folder / "run", left)
        self.refuses(f"give another --out, or remove the whole folder {left}", train, *self.trains(run="left", more=["--seed", 9]))
        (left / "state.pt").unlink()
        for kept in ("checkpoints", "log.jsonl"):
            self.refuses("but no state.pt to go on from; give another --out", train, *self.trains(run="left", more=["--seed", 9]))
            shutil.rmtree(left / kept) if kept == "checkpoints" else (left / kept).unlink()
        self.call(train, *self.trains(run="left", more=["--until", 1]))
        (left / "state.pt").write_bytes(b"PK half")
        self.refuses("state.pt is not a whole state of a run", train, *self.trains(run="left"))

    def test_an_export_takes_no_checkpoint_from_beyond_the_state(self):
        short = self.folder / "short"
        self.call(train, *self.trains(run="short", more=["--until", 3]))
        shutil.copyfile(self.folder / "run/checkpoints/step8.safetensors", short / "checkpoints/step8.safetensors")
        self.call(export, "--run", short, "--data", self.folder / "data", "--out", self.folder / "short-out", "--steps")
        self.assertEqual(json.loads((self.folder / "short-out/config.json").read_text())["training_step"], 2)

    def test_a_run_that_was_stopped_before_its_first_state_goes_on(self):
        arguments = self.trains(("save_every = 1", "save_every = 1000"), run="early")
        with mock.patch.object(train.Trainer, "one_step", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.call(train, *arguments)
        self.call(train, *arguments)
        self.assertEqual(toy.losses(self.folder / "early"), toy.losses(self.folder / "run"))

    def test_a_run_goes_on_with_its_own_schedule_and_data_alone(self):
        self.call(train, *self.trains(run="own", more=["--until", 2]))
        changes = [("warmup = 2", "warmup = 3"), ("batch = 4", "batch = 2")]
        said = "is of a run with another schedule (batch was 4, is 2, warmup was 2, is 3)"
        self.refuses(said, train, *self.trains(*changes, run="own"))
        self.refuses("(d_mlp was 24, is 32)", train, *self.trains(("d_mlp = 24", "d_mlp = 32"), run="own"))
        seed = self.other_data("seed", seed=2)
        self.refuses("is of a run on other data than", train, *self.trains(run="own", data=seed))
        often = self.other_data("often", source=[{"file": "a.txt", "epochs": 1}, {"file": "b.txt", "epochs": 1.6}], test_bytes=0)
        self.refuses("epochs", train, *self.trains(run="own", data=often))
        same = self.other_data("same")
        longer = [("tokens = 1024", "tokens = 2048"), ("log_every = 1", "log_every = 2"), ("save_every = 1", "save_every = 5"), ("checkpoints = 4", "checkpoints = [3]")]
        self.call(train, *self.trains(*longer, run="own", data=same, more=["--until", 4]))
        self.assertEqual(torch.load(self.folder / "own/state.pt", weights_only=True)["step"], 4)

    def test_a_state_from_before_these_were_kept_goes_on(self):
        self.call(train, *self.trains(run="earlier", more=["--until", 2]))
        path = self.folder / "earlier/state.pt"
        state = torch.load(path, weights_only=True)
        torch.save({key: value for key, value in state.items() if key not in ("read", "train")}, path)
        self.call(train, *self.trains(run="earlier"))
        self.assertEqual(toy.losses(self.folder / "earlier"), toy.losses(self.folder / "run"))

    def test_equal_weights_are_equal_files(self):
        tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.int8)}
        metadata = {key: f"„{key}“" for key in "config step tokens dtype more of it".split()}
        written = []
        for keys in (list(metadata), list(metadata)[::-1]):
            path = self.folder / "tensors.safetensors"
            export.write_tensors(tensors, path, {key: metadata[key] for key in keys})
            written.append(path.read_bytes())
        self.assertEqual(*written)
        self.assertTrue(all(torch.equal(tensors[name], x) for name, x in load_file(path).items()))
        self.call(train, *self.trains(run="again"))
        for name in ("step0", "step8"):
            one, other = (self.folder / run / "checkpoints" / f"{name}.safetensors" for run in ("run", "again"))
            self.assertEqual(one.read_bytes(), other.read_bytes())
        with self.assertRaisesRegex(OSError, "nowhere/x.safetensors"):
            export.write_tensors(tensors, self.folder / "nowhere/x.safetensors", metadata)


class SetAside(unittest.TestCase):
    """What is held out, in texts of any script and of any length."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def prepared(self, documents, **changes):
        (self.folder / "mine.txt").write_text("\n<|endoftext|>\n".join(documents), encoding="utf-8")
        config = {"seed": 1, "d_vocab": 300, "held_out_every": 2, "ngram": 3, "ngram_set_aside": 3, "source": [{"file": "mine.txt", "epochs": 1}]}
        return data.prepare([self.folder], config | changes, self.folder / "data")

    def test_words_of_any_script(self):
        self.assertEqual(data.words("Don’t 'tis_x2 A-b"), ["don't", "'tis", "x2", "a", "b"])
        self.assertEqual(data.words("Привет, мир! Café हिन्दी"), ["привет", "мир", "café", "हिन्दी"])
        self.assertEqual(data.words("你好, カナ・x"), ["你", "好", "カ", "ナ", "x"])
        self.assertEqual(len(data.words("ภาษา")), 4)

    def trained(self):
        """The documents that are trained on."""
        arrays, tokenizer = np.load(self.folder / "data/tokens.npz"), Tokenizer.from_file(str(self.folder / "data/tokenizer.json"))
        ids, starts = arrays["mine.txt.ids"], arrays["mine.txt.starts"]
        return [tokenizer.decode(ids[a:b].tolist()) for a, b in zip(starts[:-1], starts[1:], strict=True)]

    def test_copies_in_other_scripts_are_left_out(self):
        for same in ("кот сидел на окне", "猫坐在窗前"):
            report = self.prepared([f"{same} {i}" for i in range(10)] + [f"a{i} b{i} c{i} d{i}" for i in range(10)])
            self.assertGreater(report["sources"][0]["dropped_set_aside"], 0)
            self.assertEqual(report["held_out"]["too_short_to_compare"], 0)
            self.assertFalse([document for document in self.trained() if same in document])

    def test_short_copies_are_left_out_and_counted(self):
        report = self.prepared(["Hello."] * 10 + [f"Number {i}" for i in range(10)])
        self.assertGreater(report["sources"][0]["dropped_set_aside"], 0)
        self.assertEqual(report["held_out"]["too_short_to_compare"], 10)
        self.assertTrue(self.trained() and "Hello." not in self.trained())

    def test_a_byte_order_mark_is_no_text(self):
        (self.folder / "marked.txt").write_text("\ufeffOnce.\n<|endoftext|>\nTwice.", encoding="utf-8")
        self.assertEqual(data.read_documents(self.folder / "marked.txt"), ["Once.", "Twice."])

    def test_documents_are_those_that_the_command_reads(self):
        """Windows' line ends are `\\n`, and a separator may have spaces around it: the vector of crate/src/offline/documents.rs."""
        path = self.folder / "lines.txt"
        path.write_bytes(b"One.\r\nTwo <|endoftext|> inside.\r\n<|endoftext|>\r\n\r\n <|endoftext|> \r\nThree.")
        self.assertEqual(data.read_documents(path), ["One.\nTwo <|endoftext|> inside.", "Three."])
        # U+001C to U+001F are no white space to Unicode and Rust.
        path.write_text("\x1fOne.\n\x1c<|endoftext|>\nTwo.\n\u2003<|endoftext|>\x0b\u3000\nThree.\x1e\x85", encoding="utf-8", newline="\n")
        self.assertEqual(data.read_documents(path), ["\x1fOne.\n\x1c<|endoftext|>\nTwo.", "Three.\x1e"])
        path.write_text("\x1d One.\n", encoding="utf-8", newline="\n")
        self.assertEqual(data.read_documents(path), ["\x1d One."])
        path.write_bytes(b"One.\r\n\r\n" + b"a" * 1000 + b"\r\n\r\nb")
        self.assertEqual(data.read_documents(path), ["One.\n\n" + "a" * 1000, "b"])

    def test_a_text_of_which_nothing_is_held_out_is_named(self):
        (self.folder / "mine.txt").write_text("One short text with some words.")
        config = self.folder / "data.toml"
        config.write_text('seed = 1\nd_vocab = 300\nheld_out_every = 20\nngram = 13\nngram_set_aside = 26\n[[source]]\nfile = "mine.txt"\nepochs = 1\n')
        said = Refusals.call(data, "--corpus", self.folder, "--out", self.folder / "data", "--config", config)
        self.assertIn("no document was held out: the text has 1 (held_out_every 20)", said)


if __name__ == "__main__":
    unittest.main()
