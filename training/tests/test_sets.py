"""Sets of neurons that bring a topic, and the presets made of them, on toy models and small cases."""

import json
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from claims import common, decode, letting_go, linear, recipes, sae, scoring, searching, sets, steer, table, table_steering
from claims.curves import plain_nats, read_off, words_at
from tests.toy_claims import ToyClaims
from topklm.model import ModelConfig, TopKLM


class Sets(ToyClaims):
    def test_sets_find_and_score_lists(self):
        folder = self.folder / "lens4"
        self.call(sae, "--out", folder, "--layer", 1, "--times", 2, "--k", 4, "--positions", 4000)
        with mock.patch.object(steer, "CONFIG", self.folder / "concepts.toml"):
            result = self.call(sets, "--sae", folder)
            self.assertEqual(result["layers"], [0, 1])
            methods = result["methods"]
            self.assertEqual(set(methods), {"topk", "random", "dense", "index", "dense_index", "sae", "means", "prompt", "logits"})
            for name in ("index", "dense_index"):
                self.assertEqual(set(methods[name]), {"1"})
                for c in methods[name]["1"]["chosen"]:
                    self.assertEqual((len(set(c["index"])), len(set(c["value"]))), (1, 1))
                    self.assertIn(c["layer"], ([0, 1], [1]))
            for name in ("topk", "random", "dense", "sae"):
                self.assertEqual(set(methods[name]), {"1", "3"})
                for size, figures in methods[name].items():
                    for c in figures["chosen"]:
                        self.assertIn(len(c["index"]), [n for n in (1, 3) if n <= int(size)])
                        self.assertEqual(len(c["layer"]), len(c["value"]))
            self.assertEqual({layer for c in methods["sae"]["3"]["chosen"] for layer in c["layer"]}, {1})
            self.assertEqual([c["concept"] for c in methods["prompt"]["concepts"]], ["things", "places"])
            self.assertGreater(methods["logits"]["words"], methods["logits"]["base"])
            again = self.call(sets, "--methods", "topk", "--sizes", 2)["methods"]
            self.assertEqual(set(again["topk"]), {"1", "2", "3"})
            self.assertEqual(again["means"], methods["means"])
            nothing = {"layer": 1, "methods": {"topk": {"8": {"chosen": [{"index": [0, 1], "value": [0.0, 0.0]}] * 2}}}}
            (self.folder / "first.json").write_text(json.dumps(nothing))
            first = self.call(sets, "--methods", "--first", self.folder / "first.json")["methods"]["first"]
            self.assertEqual((first["words"], first["nll_ratio"]), (first["base"], 1))
            anew = self.call(sets, "--methods", "--again", "topk", "--sizes", 3)["methods"]
            for old, new in zip(methods["topk"]["3"]["chosen"], anew["topk"]["3"]["chosen"], strict=True):
                self.assertEqual((old["layer"], old["index"]), (new["layer"], new["index"]))
                factors = np.array(new["value"]) / np.array(old["value"])
                np.testing.assert_allclose(factors, factors[0], rtol=1e-3)
                self.assertLessEqual(factors[0], sets.FACTORS[-2] * 1.001)
            self.assertEqual((anew["topk"]["1"], anew["dense"]), (again["topk"]["1"], methods["dense"]))
            curves = self.call(sets, "--methods", "--curves", "topk", "random", "dense", "--sizes", 3)["methods"]
            for name in ("topk", "random", "dense"):
                points = curves[name]["3"]["curve"]
                self.assertEqual(curves[name]["3"]["at"], common.rounded(read_off(curves[name]["3"]["base"], points)))
                self.assertEqual([point["factor"] for point in points], list(sets.FACTORS))
                one, whole = points[sets.FACTORS.index(1.0)], curves[name]["3"]
                for key in ("words", "two", "nll_ratio", "works"):
                    self.assertAlmostEqual(one[key], whole[key], delta=1e-3 * one[key])
            self.assertNotIn("curve", curves["topk"]["1"])
            # By another judge: the same texts at other nats, and what was stored stays.
            judge = self.folder / "models" / common.TOPK
            again = self.call(sets, "--methods", "--curves", "topk", "dense", "--sizes", 3, "--judge", judge)["methods"]
            self.assertEqual(again, curves)
            by_other = common.read(self.results, "judged")["judges"][common.TOPK]["methods"]
            for name in ("topk", "dense"):
                for one, two in zip(by_other[name]["3"]["curve"], curves[name]["3"]["curve"], strict=True):
                    self.assertEqual((one["words"], one["two"]), (two["words"], two["two"]))
                    self.assertNotEqual(one["nats"], two["nats"])
            with self.assertRaises(SystemExit), mock.patch("sys.stderr"):
                self.call(sets, "--methods", "topk", "--judge", judge)
            lists = (("topk", "1"), ("topk", "3"), ("sae", "3"))
            with mock.patch.multiple(letting_go, UNTIL=3, LISTS=lists, FACTORS=(1.0, 2.0), LOGIT_FACTORS=(1.0, 2.0)):
                went_on = self.call(letting_go, "--sae", folder)["methods"]
            self.assertEqual(set(went_on), {"topk 1", "topk 3", "sae 3", "logits"})
            for own in went_on.values():
                self.assertEqual([point["factor"] for point in own["curve"]], [1.0, 2.0])
                self.assertTrue(all(0 <= point["later_base"] <= own["base"] for point in own["curve"]))
            # Raised for three tokens, words come more seldom than for all eight.
            three, eight = went_on["logits"]["curve"][0]["words"], methods["logits"]["words"]
            self.assertLessEqual(methods["logits"]["base"], three)
            self.assertLess(three, eight)
        text = table.table(self.results)
        self.assertIn("| TopK, up to 3 neurons | ", text)
        self.assertIn("### Lists that are let go", text)
        self.assertIn("### The same lists by other judges", text)


class Rules(unittest.TestCase):
    def test_the_effect_of_a_set_is_the_predicted_one(self):
        model = TopKLM(ModelConfig(50, 24, 3, 2, 8, 16, 40, topk_k=5, n_nontopk=1, topk_post="relu")).init_weights(3).eval()
        model.requires_grad_(False)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(3)
        with mock.patch.object(linear, "STEP", 0.01):
            found = linear.Effect(model, [[0, 1], [0, 2], [0, 3]], [1])
        tokens = [7, 8]
        index, amounts = linear.chosen(found.F, found.gain(tokens), 3)
        self.assertAlmostEqual(float(amounts @ found.F[index][:, index] @ amounts), 2, places=6)
        # One coordinate: the one of the largest gain for its divergence.
        order = (found.gain(tokens) ** 2 / found.F.diag()).argsort(descending=True).tolist()
        self.assertEqual([linear.chosen(found.F, found.gain(tokens), 1, rank=n)[0] for n in (0, 2)], [[order[0]], [order[2]]])
        with mock.patch.object(linear, "STEP", 0.01):
            part = linear.Effect(model, [[0, 1], [0, 2], [0, 3]], [1], keep=[3, 7, 8])
            both = linear.Effect(model, [[0, 1], [0, 2], [0, 3]], [1, 0])
            ends = [linear.Effect(model, [prompt], [1]).gain(tokens) for prompt in ([0, *range(1, 38)], [0, *range(23, 38)])]
        torch.testing.assert_close(*ends)  # a long prompt leaves BOS and its last tokens
        torch.testing.assert_close(part.gain(tokens), found.gain(tokens))
        columns = both.columns([1])
        torch.testing.assert_close(both.gain(tokens)[columns], found.gain(tokens), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(both.F[columns][:, columns], found.F, rtol=1e-5, atol=1e-5)
        self.assertEqual(both.columns([0]).tolist(), list(range(24, 48)))
        # The Jacobian foretells what a small step does, and the step raises the tokens' log-mass.
        written = [decode.generate(model, [[0, 1], [0, 2], [0, 3]], [700_000 + 100_000 * d + i for i in range(3)], 32, 0.8, stop=-1) for d in range(2)]
        ids = torch.tensor([[*p, *w][:32] for part in written for p, w in zip([[0, 1], [0, 2], [0, 3]], part, strict=True)])
        step = torch.zeros(24)
        step[index] = (0.01 * amounts).float()

        def log_p(edit):
            logits = model.lm_head(model.model.norm(model.stream(ids, edit=edit)[-1][:, linear.FIRST :: linear.EVERY]))
            return logits.flatten(0, 1).log_softmax(-1)

        before, after = log_p(None), log_p(lambda layer, x: x + step if layer == 1 else x)
        foretold = (found.J - found.mean[:, None]) @ step
        self.assertLess((after - before - foretold).norm() / foretold.norm(), 0.05)
        # So does that of two blocks at once.
        index, amounts = linear.chosen(both.F, both.gain(tokens), 4)
        rows = list(searching.Option(0, [1, 0], index, amounts).rows(24))
        self.assertEqual([24 * [1, 0].index(layer) + row for layer, row, _ in rows], index)
        steps = torch.zeros(2, 24)
        for layer, row, amount in rows:
            steps[layer, row] = 0.01 * amount
        twice = log_p(lambda layer, x: x + steps[layer] if layer < 2 else x)
        foretold = (both.J - both.mean[:, None]) @ torch.cat([steps[1], steps[0]])
        self.assertLess((twice - before - foretold).norm() / foretold.norm(), 0.05)
        mass = [lp.exp()[:, tokens].sum(1).log().mean() for lp in (before, after)]
        self.assertGreater(mass[1], mass[0])

    def test_the_strength_is_where_the_surprise_reaches_its_limit(self):
        self.assertAlmostEqual(scoring.at_surprise([1, 2, 4], [1.1, 1.2, 1.4], 1.3), 3)
        self.assertEqual(scoring.at_surprise([1, 2], [1.0, 1.1], 1.3), 2)
        self.assertAlmostEqual(scoring.at_surprise([1, 2], [1.5, 1.1], 1.25), 0.5)  # the first time counts

    def test_no_more_strength_than_brings_the_words(self):
        def result(share, ratio):
            with_words = np.arange(10) < 10 * share
            return {"expected": (np.zeros(10), 20.0 * with_words), "base": np.zeros(10), "steered": 2 * with_words, "nll_ratio": ratio}

        found, rule = [result(0.4, 1.1), result(0.8, 1.2), result(0.6, 1.4)], {"surprise": 1.3}
        for enough, expected in ((0.6, (0.6, 1.15, 1.5)), (0.2, (0.2, 1.05, 0.5)), (0.9, (0.7, 1.3, 2.5)), (0.0, (0.0, 1.0, 0.0))):
            with self.subTest(enough):
                np.testing.assert_allclose(scoring.chosen_strength(found, [1, 2, 3], rule | {"enough": enough}), expected, atol=1e-6)
        # A share that falls, and a surprise that comes first.
        np.testing.assert_allclose(scoring.chosen_strength(found, [1, 2, 3], {"surprise": 1.1, "enough": 0.6}), (0.4, 1.1, 1), atol=1e-6)

    def test_the_list_that_should_bring_two_words_at_the_surprise_is_taken(self):
        class Bench:
            """Words and surprise grow with the strength, by factors of the list; the third list of each concept stands out among few texts only."""

            subject = mock.Mock(**{"tokenizer.encode.return_value.ids": [1]})

            def run(self, trials, prompts, seeds, tokens):
                def result(concept, edit):
                    n, a = edit
                    words, surprise = [(1, 2), (5, 1), (2, 1)][n % 3]
                    words += 9 * (n % 3 == 2 and len(prompts) == 2)
                    counts = np.zeros(len(prompts)), np.full(len(prompts), words * a)
                    return {"expected": counts, "base": counts[0], "steered": counts[1], "nll_ratio": 1 + surprise * a / 2}

                return [result(*trial) for trial in trials]

        config = {"sets": {"strengths": [0.2, 0.6], "first": [0.4], "keep": 2, "surprise": 1.2, "enough": 1}, "bounds": {"max_tokens": 4}}
        config["prompts"] = {"choosing": ["a", "b"], "scoring": ["c"], "earlier": ["d"]}
        tried = [searching.Option(concept, [1], [0], torch.ones(1)) for concept in (0, 0, 0, 4, 4, 4)]
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        search = searching.Search(folder / "some" / "sets.part.json", {"of": "this"}, lambda: tried)
        taken = searching.best(Bench(), search, range(6), lambda n, a: (n, a), config)
        self.assertEqual([n for n, _ in taken], [1, 4])
        self.assertAlmostEqual(taken[0][1], 0.4)
        # Another process goes on with what is in the file: it makes no list, and writes no text.
        nothing = mock.Mock(subject=Bench.subject, run=mock.Mock(side_effect=AssertionError))
        later = searching.Search(search.path, {"of": "this"}, mock.Mock(side_effect=AssertionError))
        self.assertEqual(searching.best(nothing, later, range(6), None, config), taken)
        self.assertEqual([o.amounts.tolist() for o in later.tried], [[1.0]] * 6)
        anew = searching.Search(search.path, {"of": "that"}, lambda: tried[:2])
        self.assertEqual((len(anew.tried), anew.seen), (2, {}))
        # Other sizes keep what lists of both were found to do, under their new numbers.
        first, second = (searching.Option(0, [1], [n], torch.ones(1)) for n in (7, 8))
        path = folder / "sizes.part.json"
        small = searching.Search(path, {"of": "this", "made": [1]}, lambda: [first, second])
        small.seen |= {"few 1": [-1.0, 1.1, 0.4], "all 0": [-0.5, 1.2, 0.6]}
        small.save()
        larger = searching.Search(path, {"of": "this", "made": [1, 2]}, lambda: [second])
        self.assertEqual(larger.seen, {"few 0": [-1.0, 1.1, 0.4]})
        self.assertEqual(searching.Search(path, {"of": "other", "made": [1, 2]}, lambda: [second]).seen, {})
        # Of two that bring enough the one that surprises less.
        config["sets"]["enough"] = 0.3
        self.assertEqual([n for n, _ in searching.best(Bench(), anew, range(2), lambda n, a: (n, a), config)], [1])
        result = {"expected": (np.zeros(3), np.full(3, 1.0)), "base": np.zeros(3), "steered": np.array([2, 3, 1])}
        self.assertAlmostEqual(scoring.two(result)[1], (1 - 2 / np.e) / 2 + 1 / 3)

    def test_a_curve_is_read_at_a_surprise(self):
        points = [{"nats": 0.2, "words": 1.1, "half": 0.1}, {"nats": 0.5, "words": 2.6, "half": 0.4}]
        figures = {"base": 0.1, "concepts": [{}] * 20, "curve": points}
        self.assertEqual(table_steering.on_curve(figures), ["0.60 (1)", "1.10 (2)", "1.60 (4)", "2.10 (6)", "–"])
        self.assertAlmostEqual(words_at(figures), 2.1)
        self.assertIsNone(words_at(figures, 0.6))
        # What 1.25 times is of 2 nats are 0.5.
        self.assertAlmostEqual(plain_nats(figures | {"curve": [points[0] | {"nll_ratio": 1.1}, points[1] | {"nll_ratio": 1.25}]}), 2)

    def test_concept_and_fluency(self):
        plain, loop = list(range(20)), [1, 2, 3, 4] * 5
        self.assertEqual(scoring.harmonic([2], [1.0], 1.0, [plain], 1.3), 2)
        self.assertEqual(scoring.harmonic([5], [1.0], 1.0, [loop], 1.3), 0)
        self.assertAlmostEqual(scoring.harmonic([1, 2, 0], [1.5, 1.5, 1.0], 1.0, [plain] * 3, 1.3), (1 + 4 / 3) / 3)
        self.assertEqual(scoring.harmonic([2], [1.5], 1.0, [plain], 1.6), 2)
        self.assertEqual(scoring.harmonic([2], [2.0], 1.0, [plain], 1.3), 0)

    def test_the_shipped_recipes_are_those_of_the_results(self):
        rows = recipes.recipes(common.read(common.RESULTS, "sets"), tomllib.loads(steer.CONFIG.read_text()))
        shipped = common.ROOT / "models" / common.TOPK / "recipes.json"
        self.assertEqual(json.loads(shipped.read_text(encoding="utf-8")), common.rounded(rows))

    def test_a_recipe_is_the_list_of_at_most_eight(self):
        def figures(size, *rows):
            concepts = [{"base": 0.1, "words": 3.0, "two": two, "nll_ratio": ratio} for two, ratio in rows]
            chosen = {"layer": [3, *[4] * (size - 1)], "index": list(range(size)), "value": [2.0] * size}
            return {"concepts": concepts, "chosen": [chosen for _ in rows]}

        topk = {"1": figures(1, *[(0.6, 1.2)] * 3), "8": figures(8, (0.6, 1.304), (0.5, 1.25), (0.2, 1.2)), "32": figures(32, *[(1.0, 1.0)] * 3)}
        random = {"8": {"concepts": [{"words": 0.3}] * 3}}
        given = {"tokens": 60, "judge": {"name": "J"}, "methods": {"topk": topk, "random": random}}
        config = {"concept": [{"name": n, "words": [n]} for n in "abc"], "bounds": {"likelihood": 1.3}, "prompts": {"fresh": ["Once upon a time"]}}
        rows = recipes.recipes(given, config)
        self.assertEqual([(r["concept"], len(r["edits"]), r["success"], r["gentle"]) for r in rows], [("b", 8, 0.5, True), ("a", 8, 0.6, False)])
        self.assertEqual([r.get("control_rate") for r in rows], [0.3, 0.3])
        self.assertEqual(rows[0]["edits"][0], {"layer": 3, "index": 0, "action": "add", "value": 2.0, "site": "topk_out", "positions": "all", "propagate": "layer"})
        self.assertEqual([e["layer"] for e in rows[0]["edits"][1:]], [4] * 7)
        config["bounds"]["likelihood"] = 1.31
        self.assertEqual([(r["concept"], r["gentle"]) for r in recipes.recipes(given, config)], [("a", True), ("b", True)])
        del given["methods"]["random"]
        self.assertNotIn("control_rate", recipes.recipes(given, config)[0])
