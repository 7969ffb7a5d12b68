"""Data, schedule, and the trainer on the toy corpus: exact resume, twins, more processes."""

import io
import json
import random
import socket
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from tokenizers import Tokenizer

from tests import toy
from topklm import data, train
from topklm import export as export_module
from topklm.export import export, load_model

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that is free now, below those that systems give to connections, of which another may get one meanwhile."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) != 0:
                return port


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.folder = Path(cls._folder.name)
        cls.report = toy.write(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls._folder.cleanup()

    def trainer(self, run, dense=False, begin=None, config="toy.toml", seed=None):
        return train.Trainer(self.folder / config, self.folder / "data", self.folder / run, dense, begin, seed)

    def config(self, name, checkpoints=None, finish=None, more=(), k=6, d_mlp=24, train=""):
        """The toy config with other checkpoints, a last phase {steps, epochs} and further ones {steps, rate, epochs}, another k or
        d_mlp, more lines under [train], under a name of its own."""
        text = toy.MODEL.replace("topk_k = 6", f"topk_k = {k}").replace("d_mlp = 24", f"d_mlp = {d_mlp}")
        text = text.replace("checkpoints = 4", f"{train}\ncheckpoints = 4")
        if checkpoints is not None:
            text = text.replace("checkpoints = 4", f"checkpoints = {checkpoints}")
        if finish is not None:
            epochs = "".join(f'"{file}" = {e}\n' for file, e in finish["epochs"].items())
            text += f"[train.finish]\nsteps = {finish['steps']}\n[train.finish.epochs]\n{epochs}"
        for phase in more:
            epochs = "".join(f'"{file}" = {e}\n' for file, e in phase["epochs"].items())
            text += f"[[train.more]]\nsteps = {phase['steps']}\nrate = {phase['rate']}\n[train.more.epochs]\n{epochs}"
        (self.folder / name).write_text(text)
        return name

    def documents(self, name):
        """The documents of one of the arrays, as tuples of ids."""
        arrays = np.load(self.folder / "data" / "tokens.npz")
        ids, starts = arrays[f"{name}.ids"], arrays[f"{name}.starts"]
        return [tuple(ids[a:b].tolist()) for a, b in zip(starts[:-1], starts[1:], strict=True)]

    def test_documents_that_share_a_13_gram_beyond_an_opening_are_dropped(self):
        self.assertEqual(data.ngrams("a b c d e", 3, opening=1), {("b", "c", "d"), ("c", "d", "e")})
        for source in self.report["sources"]:
            self.assertEqual(source["dropped_validation"], 1)
            parts = ("held_out", "test", "train", "dropped_validation", "dropped_set_aside")
            self.assertEqual(source["documents"], sum(source[part] for part in parts))

    def test_stories_that_are_set_aside_are_not_trained_on(self):
        held, test = self.documents("held_out"), self.documents("test")
        self.assertEqual(len(held), sum(s["held_out"] for s in self.report["sources"]))
        self.assertEqual(len(test), sum(s["test"] for s in self.report["sources"]))
        self.assertTrue(all(d[0] == data.BOS for d in held + test))
        self.assertTrue(900 <= self.report["test"]["bytes"] < 900 + 2 * 200)
        decode = Tokenizer.from_file(str(self.folder / "data" / "tokenizer.json")).decode
        aside = set().union(*(data.ngrams(decode(d), 16, 12) for d in held + test))
        trained = [d for file in ("a.txt", "b.txt") for d in self.documents(file)]
        self.assertGreater(sum(s["dropped_set_aside"] for s in self.report["sources"]), 0)
        self.assertTrue(all(aside.isdisjoint(data.ngrams(decode(d), 16, 12)) for d in trained))

    def test_an_added_source_leaves_what_is_set_aside_as_it_was(self):
        config = tomllib.loads(toy.DATA)
        rng = np.random.default_rng(9)
        (self.folder / "corpus" / "made.txt").write_text("\n<|endoftext|>\n".join(toy.story(rng) for _ in range(30)) + "\n")
        config["source"].append({"file": "made.txt", "epochs": 2, "set_aside": False})
        report = data.prepare([self.folder / "corpus"], config, self.folder / "added")
        entry = report["sources"][-1]
        self.assertEqual((entry["held_out"], entry["test"], entry["documents"]), (0, 0, 30))
        for name in ("held_out", "test"):
            self.assertEqual(report[name]["bytes"], self.report[name]["bytes"])

    def test_a_given_tokenizer_stays(self):
        config, given = tomllib.loads(toy.DATA), self.folder / "data" / "tokenizer.json"
        less = config | {"source": config["source"][:1]}
        data.prepare([self.folder / "corpus"], less, self.folder / "retold", given)
        again, vocabularies = self.folder / "again", []
        data.prepare([self.folder / "corpus"], less, again)
        for path in (given, self.folder / "retold" / "tokenizer.json", again / "tokenizer.json"):
            vocabularies.append(Tokenizer.from_file(str(path)).get_vocab())
        self.assertEqual(vocabularies[0], vocabularies[1])
        self.assertNotEqual(vocabularies[0], vocabularies[2])
        (self.folder / "none.json").write_text("{}")
        with self.assertRaisesRegex(ValueError, "none.json is no tokenizer.json"):
            data.prepare([self.folder / "corpus"], config, self.folder / "x", self.folder / "none.json")
        with self.assertRaisesRegex(ValueError, r"has to have 321 tokens \(d_vocab\)"):
            data.prepare([self.folder / "corpus"], config | {"d_vocab": 321}, self.folder / "x", given)

    def test_a_split_depends_on_the_source_alone(self):
        documents = [f"story {i}" for i in range(40)]
        train_part, held, test = data.split(documents, 10, 50, [1, 2])
        self.assertEqual((len(held), len(test)), (4, 7))
        self.assertEqual(sorted(train_part + held + test), sorted(documents))
        self.assertEqual(data.split(documents, 10, 50, [1, 2]), (train_part, held, test))
        self.assertNotEqual(data.split(documents, 10, 50, [1, 3])[2], test)
        with self.assertRaisesRegex(FileNotFoundError, "c.txt is in none of the folders"):
            data.found([self.folder / "corpus"], "c.txt")

    def test_packing_depends_on_seed_and_index_alone(self):
        packed = data.Packed(self.folder / "data", 32, seed=3)
        straight = packed.windows(0, 400)
        self.assertEqual(straight.shape, (400, 33))
        again = data.Packed(self.folder / "data", 32, seed=3)
        self.assertTrue((again.windows(390, 10) == straight[390:]).all())
        self.assertTrue((again.windows(5, 10) == straight[5:15]).all())
        self.assertFalse((data.Packed(self.folder / "data", 32, seed=4).windows(0, 10) == straight[:10]).all())
        # The last target of a window is the first input of the next: no token of an epoch is left out as a target.
        self.assertTrue((straight[:3, -1] == straight[1:4, 0]).all())

    def test_a_text_that_fills_no_window_is_refused(self):
        one = {"epochs": {"a.txt": 1, "b.txt": 0}}
        tokens = len(np.load(self.folder / "data/tokens.npz")["a.txt.ids"])
        with self.assertRaisesRegex(ValueError, f"{tokens} tokens to train on, but a window takes {tokens + 1}"):
            data.Packed(self.folder / "data", tokens, seed=3, **one)
        self.assertEqual(data.Packed(self.folder / "data", tokens - 1, seed=3, **one).windows(0, 1).shape, (1, tokens))

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
        self.assertEqual([train.checkpoint_steps(count, 4, 16) for count in (1, 2, 3)], [[0, 16], [0, 16], [0, 4, 16]])
        config = train.read_config(self.folder / "toy.toml", False)[2]
        rates = [train.rate(step, 100, config) for step in range(100)]
        self.assertEqual((rates[0], rates[30]), (0.5, 1.0))
        self.assertAlmostEqual(rates[-1], 0.05)
        annealed = train.TrainConfig(**{**config.__dict__, "anneal": ((0.25, 16), (0.5, 8))})
        self.assertEqual([train.annealed_k(step, 8, annealed) for step in range(8)], [16, 16, 8, 8, None, None, None, None])

    def test_until_zero_trains_nothing(self):
        trainer = self.trainer("nothing")
        trainer.run(until=0)
        self.assertEqual([path.name for path in (self.folder / "nothing/checkpoints").iterdir()], ["step0.safetensors"])
        self.assertEqual(trainer.step, 0)

    def test_an_interrupted_run_goes_on_with_the_same_losses(self):
        self.trainer("straight").run()
        self.trainer("halves").run(until=3)
        self.trainer("halves").run()
        self.assertEqual(toy.losses(self.folder / "straight"), toy.losses(self.folder / "halves"))
        steps = sorted(int(p.stem.removeprefix("step")) for p in (self.folder / "straight/checkpoints").iterdir())
        self.assertEqual(steps, [0, 2, 4, 8])

    def test_the_state_of_another_model_or_seed_is_not_gone_on_with(self):
        self.trainer("whose").run(until=1)
        for dense, seed in ((True, None), (False, 4)):
            with self.assertRaisesRegex(ValueError, "state.pt is of another model or seed"):
                self.trainer("whose", dense, seed=seed)
        self.assertEqual(self.trainer("whose").step, 1)

    def test_checkpoints_may_be_a_list(self):
        self.assertEqual(train.checkpoint_steps([5, 2, 40], 4, 16), [0, 2, 5, 16])
        config = self.config("list.toml", checkpoints=[0, 3, 5])
        self.trainer("list", config=config).run()
        steps = sorted(int(p.stem.removeprefix("step")) for p in (self.folder / "list/checkpoints").iterdir())
        self.assertEqual(steps, [0, 3, 5, 8])

    def test_a_twin_begins_with_the_same_weights(self):
        one, twin = (self.trainer(f"begins-{dense}", dense).model for dense in (False, True))
        self.assertIsNone(twin.config.topk_k)
        for (name, a), (other, b) in zip(one.state_dict().items(), twin.state_dict().items(), strict=True):
            self.assertEqual(name, other)
            self.assertTrue(torch.equal(a, b), name)

    def test_neurons_trained_to_speak_for_themselves_foretell_more(self):
        found = {}
        for weights in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
            name = "outward-{}-{}.toml".format(*weights)
            text = toy.MODEL.replace("tokens = 1024", "tokens = 7680\noutward = {}\nlasting = {}".format(*weights)).replace("topk_k = 6", "topk_k = 6\ntied = false")
            (self.folder / name).write_text(text.replace("save_every = 1", "save_every = 1000"))
            run = self.trainer(name.removesuffix(".toml"), config=name)
            run.run()
            ids = torch.from_numpy(run.windows(16))
            run.model.unigram.copy_(run.packed.unigram(run.model_config.d_vocab))
            with torch.no_grad():
                found[weights] = run.model.outward(run.model.stream(ids[:, :-1]), ids[:, 1:]).tolist()
        self.assertLess(found[1.0, 0.0][0], found[0.0, 0.0][0] - 0.05)
        self.assertLess(found[0.0, 1.0][1], found[0.0, 0.0][1] - 0.05)
        for weight in ("outward", "lasting", "revive"):
            with self.assertRaisesRegex(ValueError, "outward, lasting and revive need a model with a TopK block"):
                text = toy.MODEL.replace("n_nontopk = 1", "n_nontopk = 3").replace("tokens =", f"{weight} = 0.1\ntokens =")
                (self.folder / "all.toml").write_text(text)
                self.trainer("all", config="all.toml")

    def test_idle_neurons_come_back(self):
        idle = []
        for weight in (0.0, 2.0):
            text = toy.MODEL.replace("d_model = 32", "d_model = 128").replace("topk_k = 6", "topk_k = 2\ntopk_post = \"relu\"").replace("tokens = 1024", f"tokens = 5120\nrevive = {weight}")
            (self.folder / "idle.toml").write_text(text.replace("save_every = 1", "save_every = 1000"))
            run = self.trainer(f"idle-{weight}", config="idle.toml")
            run.run()
            with torch.no_grad():
                states = run.model.stream(torch.from_numpy(run.windows(16))[:, :-1])
            cut = [x.flatten(0, 1) for layer, x in enumerate(states) if run.model_config.k_at(layer) is not None]
            idle.append(sum(int((x > 0).sum(0).eq(0).sum()) for x in cut))
        self.assertGreater(idle[0], 10)
        self.assertLess(idle[1], 0.85 * idle[0])

    def test_another_seed_is_another_training(self):
        first, second = self.trainer("seed").model, self.trainer("seed-2", seed=2).model
        self.assertFalse(torch.equal(first.lm_head.weight, second.lm_head.weight))

    def test_a_run_may_begin_with_stored_weights(self):
        config = self.config("whole.toml", checkpoints=[0, 4])
        self.trainer("whole", config=config).run()
        weights = self.folder / "whole/checkpoints/step4.safetensors"
        begun = self.trainer("begun", begin=(weights, 4), config=config)
        stored = load_model(weights).state_dict()
        self.assertTrue(all(torch.equal(stored[name], p) for name, p in begun.model.state_dict().items()))
        self.assertTrue(all(not optimiser.state for optimiser, _ in begun.optimisers))
        # The windows are those that the whole run reads from there on; the rate comes back over REWARM steps.
        self.assertTrue((begun.windows(4) == data.Packed(self.folder / "data", 32, seed=3).windows(16, 4)).all())
        for step in (4, 5, 7):
            begun.step = step
            self.assertAlmostEqual(begun.rate(), (step - 3) / train.REWARM * train.rate(step, 8, begun.c))
        begun.planned, begun.step = 1000, 4 + train.REWARM
        self.assertEqual(begun.rate(), train.rate(begun.step, 1000, begun.c))
        # Straight or in two pieces (the state of the run then wins over --from): the same losses.
        self.trainer("begun-straight", begin=(weights, 4), config=config).run()
        self.trainer("begun-halves", begin=(weights, 4), config=config).run(until=6)
        again = self.trainer("begun-halves", begin=(weights, 4), config=config)
        self.assertEqual((again.step, again.began_at), (6, 4))
        again.run()
        losses = toy.losses(self.folder / "begun-straight")
        self.assertEqual([step for step, _ in losses], [5, 6, 7, 8])
        self.assertEqual(losses, toy.losses(self.folder / "begun-halves"))

    def test_weights_that_cannot_be_begun_with_are_named(self):
        weights = self.folder / "begun-with/checkpoints/step0.safetensors"
        self.trainer("begun-with").run(until=1)
        with self.assertRaisesRegex(ValueError, "--step must be from 0 to 7, not 8"):
            self.trainer("late", begin=(weights, 8))
        with self.assertRaisesRegex(ValueError, "step0.safetensors: its shapes or cut"):
            self.trainer("other-cut", dense=True, begin=(weights, 2))
        with self.assertRaisesRegex(ValueError, "step0.safetensors: its shapes or cut"):
            self.trainer("other-shape", begin=(weights, 2), config=self.config("wide.toml", d_mlp=32))

    def test_stored_weights_may_have_another_k(self):
        weights = self.folder / "of-k6/checkpoints/step0.safetensors"
        self.trainer("of-k6").run(until=1)
        begun = self.trainer("of-k9", begin=(weights, 2), config=self.config("k9.toml", k=9))
        self.assertEqual(begun.model.config.topk_k, 9)
        self.assertTrue(all(torch.equal(load_model(weights).state_dict()[n], p) for n, p in begun.model.state_dict().items()))

    def test_the_main_part_reads_its_own_mixture(self):
        name = self.config("epochs.toml", finish={"steps": 3, "epochs": {"b.txt": 0}})
        with (self.folder / name).open("a") as file:
            file.write('[train.epochs]\n"a.txt" = 0\n')
        trainer = self.trainer("epochs", config=name)
        here, elsewhere = (data.Packed(self.folder / "data", 32, seed=3, epochs=epochs) for epochs in ({"a.txt": 0}, None))
        self.assertTrue((trainer.windows(4) == here.windows(0, 4)).all())
        self.assertFalse((trainer.windows(4) == elsewhere.windows(0, 4)).all())
        trainer.step = 5
        last = data.Packed(self.folder / "data", 32, seed=4, epochs={"b.txt": 0})
        self.assertTrue((trainer.windows(4) == last.windows(0, 4)).all())

    def test_the_last_phase_reads_another_mixture(self):
        config = self.config("finish.toml", checkpoints=[0, 2], finish={"steps": 3, "epochs": {"a.txt": 0}})
        trainer = self.trainer("finish", config=config)
        first = data.Packed(self.folder / "data", 32, seed=3)
        last = data.Packed(self.folder / "data", 32, seed=4, epochs={"a.txt": 0})
        for step in range(8):
            trainer.step = step
            expected = first.windows(step * 4, 4) if step < 5 else last.windows((step - 5) * 4, 4)
            self.assertTrue((trainer.windows(4) == expected).all(), step)
        arrays = np.load(self.folder / "data" / "tokens.npz")
        starts, ids = arrays["a.txt.starts"], arrays["a.txt.ids"]
        absent = {tuple(ids[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)}
        starts, ids = arrays["b.txt.starts"], arrays["b.txt.ids"]
        absent -= {tuple(ids[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)}
        stream = last.windows(0, 40)[:, :-1].ravel()
        at = np.flatnonzero(stream == data.BOS)
        read = {tuple(stream[a:b]) for a, b in zip(at[:-1], at[1:], strict=True)}
        self.assertTrue(read)
        self.assertFalse(read & absent)

    def test_a_run_interrupted_about_its_last_phase_goes_on_with_the_same_losses(self):
        config = self.config("finish-resume.toml", checkpoints=[0, 2], finish={"steps": 3, "epochs": {"a.txt": 0}})
        self.trainer("finish-straight", config=config).run()
        for until in (4, 5, 6, None):
            self.trainer("finish-pieces", config=config).run(until=until)
        losses = toy.losses(self.folder / "finish-straight")
        self.assertEqual(losses, toy.losses(self.folder / "finish-pieces"))
        self.trainer("no-finish").run()
        plain = toy.losses(self.folder / "no-finish")
        self.assertEqual(losses[:5], plain[:5])
        self.assertNotEqual(losses[5:], plain[5:])

    def test_what_a_step_leaves_out_depends_on_the_step_alone(self):
        config = self.config("dropped.toml", train="dropout = 0.2\nnoise = 0.1")
        self.trainer("dropped-straight", config=config).run()
        for until in (3, None):
            self.trainer("dropped-pieces", config=config).run(until=until)
        losses = toy.losses(self.folder / "dropped-straight")
        self.assertEqual(losses, toy.losses(self.folder / "dropped-pieces"))
        self.trainer("nothing-dropped").run()
        self.assertFalse(set(losses) & set(toy.losses(self.folder / "nothing-dropped")))
        trainer = self.trainer("dropped-straight", config=config)
        ids = torch.from_numpy(trainer.windows(4))[:, :-1]
        model = trainer.model
        self.assertFalse(torch.equal(model(ids), model(ids)))
        self.assertEqual(trainer.evaluate(), trainer.evaluate())  # nothing is left out there
        self.assertTrue(model.training)

    def test_noise_replaces_so_many_tokens_and_no_beginning(self):
        ids = torch.from_numpy(np.random.default_rng(3).integers(0, 40, (50, 200)))
        read = train.replaced(ids, 0.25)
        self.assertTrue(torch.equal(read == data.BOS, ids == data.BOS))
        self.assertLess(abs((read != ids).float().mean().item() - 0.25 * (39 / 40) ** 3), 0.02)
        for key, value in (("dropout", 1.0), ("noise", -0.1)):
            config = self.config("wrong-share.toml", train=f"{key} = {value}")
            with self.assertRaisesRegex(ValueError, f"{key} must be from 0 to below 1, not {value}"):
                self.trainer("wrong", config=config)

    def test_more_steps_after_the_schedule_change_nothing_before_them(self):
        finish = {"steps": 3, "epochs": {"a.txt": 0}}
        self.trainer("more-planned", config=self.config("more-planned.toml", finish=finish)).run()
        more = [{"steps": 4, "rate": 0.5, "epochs": {"b.txt": 0}}, {"steps": 2, "rate": 0.2, "epochs": {}}]
        config = self.config("more.toml", finish=finish, more=more)
        trainer = self.trainer("more-rates", config=config)
        rates = []
        for trainer.step in range(14):
            rates.append(trainer.rate())
        self.assertEqual(rates[7], train.rate(7, 8, trainer.c))
        falling = [(0.5, 1, 1.0), (0.5, 2, 0.75), (0.5, 3, 0.5), (0.5, 4, 0.25), (0.2, 1, 1.0), (0.2, 2, 0.5)]
        self.assertEqual(rates[8:], [full * left * (step / train.REWARM) for full, step, left in falling])
        expected = data.Packed(self.folder / "data", 32, seed=5, epochs={"b.txt": 0}).windows(4, 4)
        trainer.step = 9
        self.assertTrue((trainer.windows(4) == expected).all())
        self.trainer("more-whole", config=config).run()
        losses = toy.losses(self.folder / "more-whole")
        self.assertEqual(losses[:8], toy.losses(self.folder / "more-planned"))
        self.assertEqual(len(losses), 14)
        self.trainer("more-planned", config=config).run()  # a finished run goes on under the longer config
        self.assertEqual(losses, toy.losses(self.folder / "more-planned"))
        with self.assertRaisesRegex(ValueError, "more.steps must be positive, not 0"):
            self.trainer("wrong", config=self.config("none.toml", more=[more[0] | {"steps": 0}]))

    def test_a_wrong_last_phase_is_one_clear_error(self):
        config = self.config("wrong-file.toml", finish={"steps": 3, "epochs": {"c.txt": 1}})
        with self.assertRaisesRegex(ValueError, "epochs: c.txt is not among the sources of .*report.json"):
            self.trainer("wrong", config=config)
        for steps in (0, 9):
            config = self.config("wrong-steps.toml", finish={"steps": steps, "epochs": {}})
            with self.assertRaisesRegex(ValueError, f"finish.steps must be from 1 to the run's 8, not {steps}"):
                self.trainer("wrong", config=config)

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

    def test_an_export_takes_the_steps_that_are_named(self):
        run, out = self.folder / "steps", self.folder / "out"
        self.trainer("steps").run()

        def exported(name, *steps):
            arguments = ["--run", run, "--data", self.folder / "data", "--out", out / name, *steps]
            with mock.patch.object(sys, "argv", ["export", *map(str, arguments)]):
                export_module.main()
            return sorted(p.name for p in (out / name).iterdir() if p.is_dir())

        self.assertEqual(exported("none"), [])
        self.assertEqual(exported("all", "--steps"), ["step0", "step2", "step4"])
        self.assertEqual(exported("some", "--steps", 4, 0), ["step0", "step4"])
        for step in (3, 8):
            with self.assertRaises(SystemExit), mock.patch("sys.stderr", io.StringIO()) as err:
                exported("wrong", "--steps", 2, step)
            self.assertRegex(err.getvalue(), f"--steps: {step} is no checkpoint beside the last one in .*; there: 0, 2, 4")
        self.assertFalse((out / "wrong").exists())
        # Again over the same folder: what isn't written now goes, but for what is no step{N}/.
        (out / "all" / "step-notes").mkdir()
        self.assertEqual(exported("all", "--steps", 2), ["step-notes", "step2"])
        self.assertEqual(exported("all"), ["step-notes"])

    def test_the_loss_curve_of_a_run_that_was_begun_stays_whole(self):
        folder, out = self.folder, self.folder / "out" / "joined"
        self.trainer("short").run()
        export(folder / "short", folder / "data", out, True, None)
        before = json.loads((out / "training.json").read_text())
        self.assertNotIn("begun_at", before)
        before["seconds"] = 80  # ten a step
        (out / "training.json").write_text(json.dumps(before))
        config = self.config("longer.toml", checkpoints=[0, 2, 6])
        text = (folder / config).read_text().replace("tokens = 1024", "tokens = 1280")
        (folder / config).write_text(text)
        self.trainer("long", begin=(out / "step4", 4), config=config).run()
        for _ in range(2):  # a second export over the folder changes nothing
            export(folder / "long", folder / "data", out, True, None)
            after = json.loads((out / "training.json").read_text())
            own = [[step, round(loss, 3)] for step, loss in toy.losses(folder / "long")]
            self.assertEqual(after["loss"], before["loss"][:4] + own)
            self.assertEqual([step for step, _ in after["loss"]], list(range(1, 11)))
            self.assertEqual(after["begun_at"], {"step": 4, "seconds": 40})
            lines = (folder / "long" / "log.jsonl").read_text().splitlines()
            took = max(line["seconds"] for line in map(json.loads, lines) if "loss" in line)
            self.assertEqual(after["seconds"], round(40 + took))
        self.assertEqual(sorted(p.name for p in out.iterdir() if p.is_dir()), ["step0", "step2", "step4", "step6"])
        self.assertEqual(json.loads((out / "config.json").read_text())["training_step"], 10)
        export(folder / "long", folder / "data", out, False, None)  # step6/ is of this run, the others of what it began from
        self.assertEqual(sorted(p.name for p in out.iterdir() if p.is_dir()), ["step0", "step2", "step4"])

    def test_each_process_takes_a_gpu_of_its_own(self):
        where, order = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}, mock.Mock()
        order.begin.side_effect = InterruptedError
        with (
            mock.patch.dict("os.environ", where),
            mock.patch.object(torch.cuda, "is_available", return_value=True),
            mock.patch.object(torch.cuda, "set_device", order.choose),
            mock.patch.object(train.dist, "init_process_group", order.begin),
            self.assertRaises(InterruptedError),
        ):
            self.trainer("second")
        self.assertEqual(order.mock_calls, [mock.call.choose("cuda:1"), mock.call.begin("nccl")])

    def test_two_processes_equal_one(self):
        self.trainer("one").run()
        torchrun = [sys.executable, "-m", "torch.distributed.run"]
        machines = ["--nnodes", "2", "--nproc_per_node", "1", "--rdzv_backend", "c10d", "--rdzv_endpoint", f"localhost:{free_port()}"]
        # Two processes of one machine; and two machines with one each, both of them this one.
        for out, each in (("two", [["--nproc_per_node", "2", "--master_port", str(free_port())]]), ("machines", [machines, machines])):
            arguments = ["--config", self.folder / "toy.toml", "--data", self.folder / "data", "--out", self.folder / out]
            command = ["-m", "topklm.train", *map(str, arguments)]
            runs = [subprocess.Popen([*torchrun, *flags, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True) for flags in each]
            for run in runs:
                _, stderr = run.communicate(timeout=3600)
                self.assertEqual(run.returncode, 0, stderr)
            one, two = toy.losses(self.folder / "one"), toy.losses(self.folder / out)
            self.assertEqual([step for step, _ in one], [step for step, _ in two])
            np.testing.assert_allclose([loss for _, loss in one], [loss for _, loss in two], atol=2e-3)


if __name__ == "__main__":
    unittest.main()
