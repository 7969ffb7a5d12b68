"""What a training reckons with: its rate, its losses, its bytes, what it sets aside; and the true states of the stories it reads."""

import json
import random
import tempfile
import unittest
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from claims import consistency
from storyworlds import states
from storyworlds.__main__ import stories
from storyworlds.moves import World
from tests import toy
from topklm import data, train
from topklm.model import ModelConfig, TopKLM


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = toy.write_for(cls)

    def run_of(self, name, config="toy.toml"):
        return train.Trainer(self.folder / config, self.folder / "data", self.folder / name, False)

    def test_the_rate_of_a_step_is_applied(self):
        run = self.run_of("rate")
        for step, share in ((0, 0.5), (7, 0.05)):
            run.step = step
            run.one_step()
            rates = [group["lr"] for optimiser, _ in run.optimisers for group in optimiser.param_groups]
            for rate, full in zip(rates, (0.02, 3e-3), strict=True):
                self.assertAlmostEqual(rate, full * share)

    def test_bits_are_of_the_bytes_of_the_same_text(self):
        run = self.run_of("evaluated")
        found, arrays = run.evaluate(), np.load(self.folder / "data" / "tokens.npz")
        report = json.loads((self.folder / "data" / "report.json").read_text())
        for name, starts in (("held_out", arrays["held_out.starts"]), ("validation", None)):
            nats, count = train.evaluate(run.model, data.evaluation_windows(arrays[f"{name}.ids"], 32, starts))
            self.assertAlmostEqual(found[name]["nats_per_token"], nats / count, places=5)
            self.assertAlmostEqual(found[name]["bits_per_byte"], nats / np.log(2) / report[name]["bytes"], places=5)

    def test_the_loss_that_is_logged_is_the_mean_since_the_last(self):
        config = (self.folder / "toy.toml").read_text()
        (self.folder / "four.toml").write_text(config.replace("log_every = 1", "log_every = 4"))
        for name, file in (("one", "toy.toml"), ("four", "four.toml")):
            self.run_of(name, file).run()
        each, of_four = ([loss for _, loss in toy.losses(self.folder / name)] for name in ("one", "four"))
        np.testing.assert_allclose(of_four, [np.mean(each[:4]), np.mean(each[4:])], atol=2e-5)

    def test_what_adds_to_the_stream_begins_smaller_in_deeper_models(self):
        mlp = TopKLM(ModelConfig(100, 64, 8, 4, 16, 256, 16)).init_weights(0).model.layers[0].mlp
        self.assertAlmostEqual(mlp.down_proj.weight.detach().std().item(), 0.02 / 4, delta=2e-4)
        self.assertAlmostEqual(mlp.up_proj.weight.detach().std().item(), 0.02, delta=5e-4)

    def test_a_k_on_its_way_down_leaves_uncut_blocks_alone(self):
        model = TopKLM(ModelConfig(50, 24, 2, 2, 8, 16, 32, topk_k=4, n_nontopk=1)).init_weights(0)
        cut, uncut = model.stream(torch.arange(1, 9)[None], k=6)
        self.assertEqual((cut != 0).sum(-1).unique().tolist(), [6])
        self.assertEqual((uncut != 0).sum(-1).min().item(), 24)


class Texts(unittest.TestCase):
    def prepared(self, files, **more):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, documents in files.items():
            (folder / name).write_text("\n<|endoftext|>\n".join(documents))
        config = {"seed": 1, "d_vocab": 300, "held_out_every": 1000, "ngram": 13, "ngram_set_aside": 16, "test_bytes": 0}
        return data.prepare([folder], config | more, folder / "out"), folder / "out"

    def test_copies_of_test_stories_are_dropped_and_half_an_epoch_is_half(self):
        documents = [" ".join(f"w{i}" for i in range(20 * n, 20 * n + 20)) for n in range(20)]
        sources = [{"file": "a.txt", "epochs": 1}, {"file": "b.txt", "epochs": 0.5, "set_aside": False}]
        files = {"a.txt": documents, "b.txt": [f"{document} end" for document in documents]}
        report, out = self.prepared(files, test_bytes=200, source=sources)
        tested = report["sources"][0]["test"]
        self.assertGreater(tested, 0)
        self.assertEqual(report["sources"][1]["dropped_set_aside"], tested)
        packed = data.Packed(out, 8, 1, {"a.txt": 0, "b.txt": 0.5})
        read = [int((packed._build(epoch)[0] == 0).sum()) for epoch in range(40)]
        self.assertTrue(0.35 < np.mean(read) / (20 - tested) < 0.65, np.mean(read))

    def test_fewer_words_in_common_than_the_config_says_are_no_copy(self):
        shared = " ".join(f"s{i}" for i in range(14))
        files = {"a.txt": [f"{shared} x{i} y{i}" for i in range(10)]}
        report, _ = self.prepared(files, held_out_every=5, source=[{"file": "a.txt", "epochs": 1}])
        self.assertEqual(report["sources"][0]["dropped_set_aside"], 0)

    def test_bytes_are_no_characters(self):
        files = {"a.txt": [f"ä{i} ö ü ß" for i in range(10)], "v.txt": ["äöü"]}
        sources = [{"file": "a.txt", "epochs": 1}]
        report, _ = self.prepared(files, held_out_every=5, validation={"file": "v.txt"}, source=sources)
        self.assertEqual((report["validation"]["bytes"], report["held_out"]["bytes"]), (6, 2 * 12))


class TrueStates(unittest.TestCase):
    def test_what_happens_is_recorded(self):
        world = World("x")
        world.kid("a")
        world.thing("x", "toy")
        world.spot("p")
        world.be("a", "p")
        world.set_feeling("a", "sad")
        world.lay("x", "p")
        tracks = world.tracks
        self.assertEqual([tracks["place"]["a"][-1][1], tracks["feeling"]["a"][-1][1], tracks["holder"]["x"][-1][1]], ["p", "sad", "p"])
        world.gone("x")
        self.assertIsNone(tracks["holder"]["x"][-1][1])

    def test_the_state_at_each_word(self):
        cast = {
            "a": {"type": "character", "number": "singular", "gender": "feminine"},
            "b": {"type": "character", "number": "singular", "gender": "masculine"},
            "g": {"type": "group", "members": ["a", "b"], "number": "plural", "gender": "none"},
            "x": {"type": "thing"},
            "p": {"type": "place", "outdoors": True},
            "q": {"type": "place", "outdoors": False},
        }
        tracks = {
            "place": {"a": [[0, "p"]], "b": [[0, "q"], [3, "p"]]},
            "feeling": {"a": [[0, "sad"]], "b": [[0, "sad"]]},
            "holder": {"x": [[0, "b"]]},
            "weather": {"": [[0, "rainy"]]},
            "time": {"": [[0, "noon"]]},
        }
        story = {
            "words": [[0, 1]] * 4,
            "tense": "past",
            "cast": cast,
            "quote": [[2, 1]],
            "speaker": [[2, "a"]],
            "subject": [[0, "a"], [1, "g"]],
            "mentions": [[0, 2, "g", "noun", 1], [0, 1, "a", "name", 0]],
            "verbs": [[1, "past"]],
            "tracks": tracks,
        }
        expected = {
            "place": ["p", None, None, "p"],
            "outdoors": [True, None, None, True],
            "feeling": ["sad"] * 4,
            "held": [[], ["x"], ["x"], ["x"]],
            "tense": ["past", "past", None, None],
            "verb": [None, "past", None, None],
            "mention": ["a", "g", None, None],
            "plural": [0, 1, 0, 0],
            "weather": ["rainy"] * 4,
            "time": ["noon"] * 4,
            "gender": ["feminine", "none", "none", "none"],
        }
        found = states.expand(story)
        for name, column in expected.items():
            self.assertEqual(found[name], column, name)

    def test_questions_ask_for_the_last_holder(self):
        asked = 0
        for story in islice(stories(4), 60):
            cast, holders = story.states["cast"], story.states["tracks"]["holder"]
            for item in consistency.items_of(story, random.Random(1)):
                if item.kind != "holder":
                    continue
                noun = item.before.split(" was in the hands of")[0].rsplit("the day, the ", 1)[1]
                things = [key for key, entry in cast.items() if entry["type"] == "thing" and entry["noun"] == noun]
                last = [holders[key][-1][1] for key in things if holders.get(key)]
                self.assertIn(item.right, [cast[key].get("name") for key in last if key])
                asked += 1
        self.assertGreater(asked, 3)


if __name__ == "__main__":
    unittest.main()
