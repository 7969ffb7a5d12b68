"""The claims on toy models: definitions on small cases, edits against the plain model, every command once."""

import argparse
import importlib
import json
import shutil
import sys
import threading
import time
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from claims import all as every
from claims import ceiling, common, compute, edit_cost, effect, markdown, meaning, quality, sae, sae_trace, steer, sweep, table, trace
from tests import toy
from tests.toy_claims import ToyClaims
from topklm import stats, train
from topklm.export import load_model, write_whole

VECTORS = Path(__file__).parents[2] / "tests" / "entropy_vectors.json"


class Definitions(unittest.TestCase):
    def test_entropy(self):
        self.assertEqual(stats.entropy([4]), 0)
        self.assertEqual(stats.entropy([1, 1, 1, 1, 0]), 2)
        self.assertAlmostEqual(stats.entropy([2, 1, 1]), 1.5)
        self.assertEqual(stats.entropy([]), 0)

    def test_the_vectors_that_rust_is_tested_on(self):
        if not VECTORS.exists():
            self.skipTest(f"{VECTORS.name} is not there")
        vectors = json.loads(VECTORS.read_text())
        for case in vectors["entropy"]:
            self.assertAlmostEqual(stats.entropy(list(stats.counts(case["tokens"]).values())), case["bits"], places=12)
        for case in vectors["distance"]:
            a, b = stats.counts(case["a"]), stats.counts(case["b"])
            self.assertAlmostEqual(stats.js_distance(a, b), case["distance"], places=12)
        for case in vectors["emergence"]:
            found = int(stats.emergence(case["distances"], case["limit"]))
            self.assertEqual(case["steps"][found] if found < len(case["steps"]) else None, case["step"])

    def test_jensen_shannon(self):
        self.assertEqual(stats.js_distance({1: 3}, {1: 5}), 0)
        self.assertEqual(stats.js_distance({1: 3}, {2: 5}), 1)
        # p = (1, 0), q = (1/2, 1/2): divergence = 3/4·log2(4/3) … = 0.3112781 bits
        self.assertAlmostEqual(stats.js_distance({1: 2}, {1: 1, 2: 1}), 0.31127812445913283**0.5)

    def test_distances_of_all_pairs(self):
        rng = np.random.default_rng(0)
        some = [stats.counts(rng.integers(0, 9, n).tolist()) for n in (0, 1, 3, 12, 30)]
        others = [*some[::2], {20: 3}]
        expected = [[stats.js_distance(a, b) for b in others] for a in some]
        np.testing.assert_allclose(sae_trace.distances(some, others), expected, atol=1e-7)

    def test_features_are_matched_by_direction_chain_and_tokens(self):
        # Three features of three SAEs: the first one turns by steps, the others change places under a new order.
        eye, turn = torch.eye(3), torch.tensor([[0.8, 0.6, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        tokens = [[{1: 30}, {3: 30}, {2: 30}], [{1: 30}, {3: 30}, {2: 30}], [{1: 30}, {2: 30}, {3: 30}]]
        found = sae_trace.matched([turn, turn, eye], tokens)
        self.assertEqual(found["by"]["cosine"]["within"], [1, 1, 1])
        self.assertEqual(found["by"]["chain"]["within"], [1, 1, 1])
        self.assertEqual(found["by"]["tokens"]["within"], [1, 1, 1])
        np.testing.assert_allclose(found["by"]["index"]["within"], [1 / 3, 1 / 3, 1])
        np.testing.assert_allclose(found["mean_max_cosine"], [(0.8 + 1 + 1) / 3] * 2 + [1], rtol=1e-6)
        self.assertEqual(found["usable_features"], 3)

    def test_top_positions_over_chunks_equal_one_sort(self):
        rng = np.random.default_rng(0)
        x = rng.integers(-3, 4, (50, 7)).astype(np.float32)  # many ties and zeros
        ids = np.stack([np.arange(50), np.arange(50) + 100], axis=1)
        whole, parts = stats.Top(7, 10), stats.Top(7, 10)
        whole.add(torch.from_numpy(x), torch.from_numpy(ids))
        for at in range(0, 50, 8):
            parts.add(torch.from_numpy(x[at : at + 8]), torch.from_numpy(ids[at : at + 8]))
        self.assertTrue((whole.active.numpy() == (x != 0).sum(0)).all())
        for top in (whole, parts):
            for neuron in range(7):
                column = x[:, neuron]
                expected = sorted(column[column != 0], reverse=True)[:10]
                self.assertEqual(top.values[neuron].tolist(), [float(v) for v in expected])
                self.assertTrue((column[top.ids[neuron, :, 0].numpy()] == top.values[neuron].numpy()).all())

    def test_table_and_better_tail(self):
        top = stats.Top(2, 100)
        x = torch.zeros(60, 2)
        x[:30, 0] = 1  # neuron 0: tokens 7 and 8 equally often; neuron 1: 5 activations, rare
        x[:5, 1] = 2
        ids = torch.stack([torch.arange(60) % 2 + 7, torch.full((60,), 3)], dim=1)
        top.add(x, ids)
        clusters = np.zeros(10, dtype=int)
        columns = top.table(clusters)
        self.assertEqual((columns["n"].tolist(), columns["token_entropy"][0]), ([30, 5], 1.0))
        self.assertEqual((columns["next_entropy"][0], columns["semantic_entropy"][0], columns["density"][0]), (0, 0, 0.5))
        self.assertEqual(meaning.summary(columns)["rare"], 0.5)
        lower = {**columns, "n": np.array([25, 30]), "token_entropy": np.array([2.0, 3.0])}
        better = stats.better_tail(columns, lower)
        self.assertEqual((better["tail"].tolist(), better["token_entropy"].tolist()), ([1, -1], [1.0, 3.0]))

    def test_emergence_is_the_first_step_from_which_it_stays(self):
        distances = np.array([[0.9, 0.2, 0.1, 0.9], [0.4, 0.8, 0.6, 0.9], [0.3, 0.4, 0.2, 0.9], [0, 0, 0, 0.6]])
        self.assertEqual(stats.emergence(distances, 0.5).tolist(), [1, 2, 2, 4])

    def test_repeats_and_names(self):
        self.assertEqual(quality.repeats([1, 2, 3, 1, 2, 3, 1, 2, 3], 3), 3)
        self.assertEqual(quality.repeats([1, 2], 3), 0)

    def test_what_is_measured_is_as_it_was_fixed(self):
        concepts = tomllib.loads(steer.CONFIG.read_text())
        self.assertEqual(len(concepts["concept"]), 20)
        self.assertEqual((len(concepts["prompts"]["scoring"]), concepts["bounds"]["seeds"]), (20, 3))
        self.assertTrue(set(concepts["prompts"]["scoring"]).isdisjoint(concepts["prompts"]["choosing"]))
        stories = tomllib.loads(quality.CONFIG.read_text())
        self.assertEqual((len(stories["prompt"]), len(stories["seeds"])), (10, 5))

    def test_short_list_takes_at_most_two_of_one_index(self):
        handles = effect.Handles("topk", [0, 1, 2], np.array([0, 1, 2, 0]), np.array([5, 5, 5, 6]), np.ones(4))
        self.assertEqual(effect.short_list(handles, np.array([4.0, 3.0, 2.0, 1.0]), 3), [0, 1, 3])


class Commands(ToyClaims):
    """Every command on a toy pair of models: results have the shape that the table reads."""

    def test_quality(self):
        config = (Path(quality.__file__).with_name("quality.toml")).read_text().replace("max_tokens = 200", "max_tokens = 12")
        (self.folder / "quality.toml").write_text(config)
        with mock.patch.object(quality, "CONFIG", self.folder / "quality.toml"):
            measure = lambda: self.call(quality, "--also", self.folder / "models" / common.DENSE)  # noqa: E731
            result = measure()
            later = self.call(quality, "--only", "shipped")
            again = measure()
        model = load_model(self.folder / "models" / common.TOPK)
        arrays = common.texts(self.folder / "data")
        windows = quality.evaluation_windows(arrays["validation.ids"], 32)
        nats, count = train.evaluate(model, windows)
        self.assertAlmostEqual(result["topk"]["validation"]["nats_per_token"], nats / count, places=2)
        self.assertEqual(result["topk"]["stories"]["count"], 50)
        self.assertEqual(result["also"][common.DENSE]["validation"], result["dense"]["validation"])
        for which in ("validation", "held_out"):
            nats, twins = (result[name][which]["nats_per_token"] for name in ("topk", "dense"))
            self.assertAlmostEqual(result["gap_percent"][which], 100 * (nats - twins) / twins, delta=0.05)
        bits, others = (result[name]["validation"]["bits_per_byte"] for name in ("topk", "dense"))
        self.assertAlmostEqual(result["also"][common.DENSE]["topk_is_lower_by_percent"], 100 * (others - bits) / others, delta=0.05)
        self.assertEqual(result["topk"]["weights"], "f16")
        files = later.pop("shipped")
        self.assertEqual(later, result)  # what was measured before stays
        self.assertEqual(again.pop("shipped"), files)  # and a whole measurement keeps what the files have
        self.assertEqual(again | {"seconds": 0}, result | {"seconds": 0})
        models = self.folder / "models"
        self.assertTrue(quality.is_shipped(files, models))
        for other in ({}, files | {"dense": {"model": {"sha256": "of other weights"}}}):
            self.assertFalse(quality.is_shipped(other, models))
        self.assertFalse(quality.is_shipped(files, self.folder))
        self.assertEqual((files["dense"]["weights"], files["dense"]["held_out"]), ("f16", result["dense"]["held_out"]))
        self.assertEqual(files["gap_percent"], result["gap_percent"])

    def test_another_tokenizer_is_measured_on_the_same_bytes(self):
        topk = common.subject(self.folder / "models" / common.TOPK)
        owner, arrays = topk.tokenizer, common.texts(self.folder / "data")
        other = common.Tokenizer.from_str(owner.to_str().replace('"add_prefix_space":false', '"add_prefix_space":false '))
        other.add_tokens(["kitchen-never-there"])
        for which in ("validation", "held_out"):
            a = quality.bits_per_byte(topk, arrays, owner, which)
            b = quality.bits_per_byte(common.Subject(topk.model, other, {}), arrays, owner, which)
            self.assertEqual(a["bytes"], b["bytes"])
            self.assertAlmostEqual(a["bits_per_byte"], b["bits_per_byte"], places=4)

    def test_sae_meaning_and_steering(self):
        weights = self.folder / "sae"
        figures = self.call(sae, "--out", weights, "--layer", 1, "--times", 1, "--positions", 20_000)["sae"]
        self.assertGreater(figures["variance_explained"], 0.3)
        self.assertLessEqual(figures["active_a_position"], 6)
        spread = self.call(meaning, "--sae", weights)
        self.assertEqual(spread["topk"]["upper_tail"]["all"]["neurons"], 64)
        self.assertEqual(spread["sae"]["better_tail"]["all"]["neurons"], 32)
        for name, end in meaning.COMPARED_END.items():
            median = markdown.number(spread[name][end]["all"]["token_entropy"]["median"])
            self.assertIn(median, next(row for row in table.meaning(spread) if row.startswith("| Token entropy")))
        self.assertIsNone(spread["topk"]["better_tail"]["all"]["semantic_entropy"])
        with mock.patch.object(steer, "CONFIG", self.folder / "concepts.toml"):
            raised = self.call(ceiling)["concepts"]
            for method in ("topk", "dense", "sae"):
                result = self.call(steer, "--method", method, "--sae", weights)
            again = self.call(steer, "--method", "topk", "--stage", "score")
            self.assertEqual(again["topk"]["score"], result["topk"]["score"])
            other = ["--method", "topk", "--stage", "score", "--topk", self.folder / "models" / common.TOPK / "step4"]
            with self.assertRaises(SystemExit), mock.patch("sys.stderr"):
                self.call(steer, *other)
        self.assertEqual(set(result), {"bounds", "search", "topk", "dense", "sae"})
        for method in ("topk", "dense", "sae"):
            concepts = result[method]["score"]["concepts"]
            self.assertEqual([c["concept"] for c in concepts], ["things", "places"])
            for c in concepts:
                self.assertEqual(c["bounded"]["works"], c["bounded"]["success"] >= 0.5 and c["bounded"]["nll_ratio"] <= 1.3)
        self.assertEqual({c["bounded"]["edit"]["action"] for c in result["sae"]["score"]["concepts"]}, {"add"})
        self.assertEqual([c["concept"] for c in raised], ["things", "places"])
        self.assertTrue(all(c["steered"] >= c["base"] for c in raised))
        self.assertRegex(table.table(self.results), r"\|  \| TopK neurons \| dense coordinates \| SAE features \|\n.*\n\| by the criterion \| \d")

    def test_agreement_with_the_commands_index(self):
        topk = common.subject(self.folder / "models" / common.TOPK)
        documents = meaning.held_out_documents(self.folder / "data", 10**6)
        tops = meaning.collect(topk.model, documents, [0, 1])
        columns = {k: np.concatenate([tops[b][0].table()[k] for b in (0, 1)]) for k in ("token_entropy", "next_entropy", "density")}
        folder = self.folder / "with-index"
        (folder / "features").mkdir(parents=True)
        given = {k: common.rounded(v.tolist()) for k, v in columns.items()}
        (folder / "features" / "index.json").write_text(json.dumps({"columns": given, "corpus": {"sha256": "x"}}))
        found = meaning.agreement(folder / "features" / "index.json", tops, [0, 1], "x", True)
        self.assertTrue(found["same_text"])
        self.assertLess(found["token_entropy"]["largest_gap"], 1e-3)
        self.assertIsNone(meaning.agreement(self.folder / "none.json", tops, [0, 1], "x", True))

    def longer_config(self) -> str:
        """Another training of the toy's shape and length: four steps with a k that comes down, then four of `more`."""
        anneal = "tokens = 512\nanneal = [[0.25, 20], [0.5, 12]]"
        return (self.folder / "toy.toml").read_text().replace("tokens = 1024", anneal) + "[[train.more]]\nsteps = 4\nrate = 0.1\nepochs = {}\n"

    def test_trace_reads_the_analysis_that_ships(self):
        features = self.folder / "models" / common.TOPK / "features"
        (features / "steps").mkdir(parents=True)
        # One block of four units: settled from step 0, from step 5, near at step 0 alone, and too rare to count.
        distances = [[0.2, 0.9, 0.3, 0.1], [0.5, 0.4, 0.8, 0.1], [0.0, 0.0, 0.0, 0.0]]
        columns = {"js_to_final": distances, "n": [[100, 100, 100, 3]] * 3}
        (features / "steps" / "columns.json").write_text(json.dumps({"steps": [0, 5, 9], "layers": [2], "columns": columns}))
        (features / "index.json").write_text(json.dumps({"emergence_js": 0.5}))
        result = self.call(trace, data=False)
        self.assertNotIn("dense", result)
        own = result["topk"]
        self.assertEqual((own["steps"], own["last_step"], own["units"]), ([0, 5], 9, 3))
        self.assertEqual(own["emerged_share"], [0.3333, 0.6667])
        self.assertEqual(own["within_share"], [0.6667, 0.6667])
        self.assertEqual((own["median_js"], own["not_settled"]), ([0.3, 0.5], 0.3333))
        self.assertEqual(own["emerged_share_by_layer"], {"2": own["emerged_share"]})
        text = table.table(self.results)
        self.assertIn("| TopK neurons | 33.3 % | 66.7 % |", text)
        self.assertIn("Step 0 is chance: 33.3 %.", text)
        self.assertNotIn("trained_with_k", own)  # the toy has another shape than configs/small.toml
        self.assertNotIn("in training k was", text)
        config = self.folder / "annealed.toml"
        config.write_text((self.folder / "toy.toml").read_text().replace("tokens = 1024", "tokens = 1024\nanneal = [[0.25, 20], [0.6, 12]]"))
        self.assertEqual(self.call(trace, "--config", config, data=False)["topk"]["trained_with_k"], [[2, 20], [5, 12], [9, 6]])
        self.assertIn("with a k of 6 at every step, but in training k was 20 until step 2 and 12 until step 5: up to step 0 these", table.table(self.results))
        (features / "steps" / "columns.json").write_text(json.dumps({"steps": [6, 8, 9], "layers": [2], "columns": columns}))
        self.assertIn("trained_with_k", self.call(trace, "--config", config, data=False)["topk"])
        self.assertNotIn("in training k was", table.table(self.results))  # at all of these steps it was the last one
        config.write_text(config.read_text().replace("tokens = 1024", "tokens = 2048"))
        self.assertNotIn("trained_with_k", self.call(trace, "--config", config, data=False)["topk"])  # it read half as much
        config.write_text(self.longer_config())  # shares of the four steps before `more`
        self.assertEqual(self.call(trace, "--config", config, data=False)["topk"]["trained_with_k"], [[1, 20], [2, 12], [9, 6]])

    def test_compute_counts_the_model_that_is_named(self):
        args = argparse.Namespace(models=self.folder / "models", topk=None, dense=None, config=self.folder / "toy.toml")
        found = compute.shipped(args)["topk"]
        c = load_model(args.models / common.TOPK).config
        self.assertEqual((found["tokens"], found["flops_a_token"]["total"]), (1024, compute.training_flops(c)["total"]))
        args.config = self.folder / "longer.toml"
        args.config.write_text(self.longer_config())
        mean_k = (20 + 12 + 6 * 6) / 8  # a step each, and six of eight
        self.assertAlmostEqual(compute.shipped(args)["topk"]["flops_a_token"]["sparse_saves"], compute.training_flops(c, mean_k)["sparse_saves"])
        args.config.write_text(args.config.read_text().replace("batch = 4\n", ""))
        self.assertRaisesRegex(ValueError, "longer.toml: .*lacks batch", compute.shipped, args)
        args.config = common.CONFIGS / "small.toml"
        self.assertRaisesRegex(ValueError, "another shape or length than .*small.toml: .*--config", compute.shipped, args)

    def test_every_sae(self):
        self.assertEqual(set(sae.every(6, 4, 48)), set(common.read(common.RESULTS, "sae")))
        folder = self.folder / "saes"
        given = ["--out", folder, "--every", "--times", 1, "--k", 4, "--positions", 600]
        found = self.call(sae, *given)
        names = set(sae.every(3, 1, 4))
        self.assertEqual(names, {path.parent.name for path in folder.glob("*/cfg.json")} & set(found))
        self.assertEqual((found["topk-k4"]["layer"], found["jumprelu-k2-block0"]["k"], found["topk-k4-seed2"]["seed"]), (1, 2, 2))
        with mock.patch.object(sae, "train", side_effect=AssertionError):  # those that are there are kept
            self.assertEqual(self.call(sae, *given), found)
            common.write(self.results, "sae", {name: e for name, e in found.items() if name != "topk-k4"})
            again, before = self.call(sae, *given)["topk-k4"], found["topk-k4"]
            self.assertEqual((set(again), again["trained_positions"]), (set(before), 600))
            self.assertAlmostEqual(again["variance_explained"], before["variance_explained"], places=3)
        shutil.rmtree(folder / "topk-k4")
        with mock.patch.object(sae, "measure", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.call(sae, *given)
        self.assertNotIn("topk-k4", common.read(self.results, "sae"))  # what is there is of earlier weights
        self.assertTrue((folder / "topk-k4" / "cfg.json").exists())
        # Cut off before it was measured, and now of other positions, or of another twin: trained anew.
        other = [*given[:-1], 900]
        again = self.call(sae, *other)
        self.assertEqual({e["trained_positions"] for e in again.values()}, {900})
        self.assertEqual(json.loads((folder / "topk-k4" / "cfg.json").read_text())["metadata"]["trained_positions"], 900)
        twin = self.folder / "models" / common.DENSE / "step4"
        earlier = self.call(sae, *other, "--dense", twin)
        self.assertEqual({e["model"]["sha256"] for e in earlier.values()}, {common.sha256(twin / "model.safetensors")})

    def test_sae_trace(self):
        common_arguments = ["--layer", 1, "--positions", 4000, "--text-positions", 10**6]
        for more in (["--run", self.folder / "runs" / common.DENSE], []):
            result = self.call(sae_trace, "--steps", 2, 4, *common_arguments, *more)
            self.assertEqual((result["steps"], result["topk_steps"]), ([2, 4, 8], [2, 4, 8]))
            features = result["sae_features"]
            self.assertAlmostEqual(features["mean_max_cosine"][-1], 1, places=3)
            self.assertEqual(features["matched_to_own_index"][-1], 1)
            self.assertLess(features["another_seed"]["mean_max_cosine"], 1)
            self.assertGreaterEqual(features["another_seed"]["within_by_tokens"], features["another_seed"]["within_by_cosine"])
            for part in (*features["by"].values(), result["topk_neurons"], result["dense_coordinates"]):
                self.assertEqual((part["within"][-1], part["emerged"][-1], part["median_js"][-1]), (1, 1, 0))
                self.assertTrue(all(e <= w for e, w in zip(part["emerged"], part["within"], strict=True)))
            by = features["by"]
            self.assertTrue(all(a >= b for a, b in zip(by["tokens"]["within"], by["cosine"]["within"], strict=True)))
        self.assertIn("### Block 1: is the final meaning already there?", table.table(self.results))
        with self.assertRaises(SystemExit), mock.patch("sys.stderr"):
            self.call(sae_trace, "--steps", 3, *common_arguments)

    def test_sweep_goes_on_where_it_stopped(self):
        base = tomllib.loads(toy.MODEL)
        for changes in sweep.settings().values():
            text = sweep.config_text(base, changes)
            (self.folder / "check.toml").write_text(text)
            train.read_config(self.folder / "check.toml", changes is None)
        arguments = ["--out", self.folder / "sweep", "--base", self.folder / "toy.toml", "--only", "dense", "k8"]
        first = self.call(sweep, *arguments)
        self.assertEqual(set(first["settings"]), {"dense", "k8"})
        self.assertEqual((first["settings"]["k8"]["k"], first["settings"]["dense"]["gap_percent"]), (8, 0))
        log = self.folder / "sweep" / "k8" / "log.jsonl"
        log.unlink()  # what the result holds is not trained again, even where its run is gone
        self.call(sweep, *arguments)
        self.assertFalse(log.exists())
        self.call(sweep, *arguments[:-2], "k8", "--again")
        self.assertIn("\n| dense | – | – | – | ", table.table(self.results))

    def test_the_rule_of_the_sweep(self):
        def entry(loss, entropy):
            return {"loss": {"validation": {"nats_per_token": loss}}, "token_entropy_median": entropy}

        found = {"k8": entry(2.2, 1.0), "k32": entry(2.1, 2.0), "dense": entry(2.0, 4.0)}
        found = sweep.compare(found)
        self.assertEqual(list(found), ["dense", "k32", "k8"])
        self.assertEqual([round(e["gap_percent"], 6) for e in found.values()], [0, 5, 10])
        self.assertEqual((found["dense"]["bits_per_percent"], round(found["k32"]["bits_per_percent"], 6)), (None, 0.4))
        self.assertEqual(sweep.best(found), "k32")  # 2 bits for 5 %, against 3 for 10
        self.assertEqual(sweep.best(sweep.compare(found | {"k64": entry(2.03, 3.9), "k16": entry(2.02, 3.95)})), "k64")
        self.assertIsNone(sweep.best(sweep.compare({name: found[name] for name in ("dense", "k8")})))
        self.assertIsNone(sweep.best(sweep.compare({"k8": entry(2.2, 1.0)})))

    def test_edit_cost_passes_the_edits_to_the_command(self):
        log, binary = self.folder / "calls", self.folder / "topk-lm"
        binary.write_text(f"#!/bin/sh\necho \"$@\" >> '{log}'\necho '{{\"ids\":[1,2,3]}}'\n")
        binary.chmod(0o755)
        result = self.call(edit_cost, "--binary", binary, "--repeats", 1, "--tokens", 3, data=False)
        calls = log.read_text().splitlines()
        self.assertEqual([call.count("--edit") for call in calls], [0, 0, 1, 20])
        self.assertTrue(all("--ignore-eos" in call for call in calls))
        self.assertEqual(set(result["processor_ratio_to_no_edit"]), {"1", "20"})

    def test_all_leaves_out_what_cannot_run(self):
        def names(*more, models=self.folder / "models"):
            given = ["all", "--data", "d", "--work", "w", "--models", str(models), *more]
            with mock.patch.object(sys, "argv", given):
                return every.commands(every.arguments())

        whole = names("--binary", "topk-lm")
        self.assertEqual(tuple(whole), tuple(name for name in every.NAMES if name != "seeds"))
        self.assertEqual(set(whole) - set(names(models=self.folder)), {"sae", "turning", "edit_cost"})
        self.assertNotIn("--sae", names(models=self.folder)["sets"])
        self.assertEqual(list(names("--other-seed", "s", "--only", "sae", "seeds")), ["sae", "seeds"])

    def test_all_gives_arguments_that_the_commands_take(self):
        given = ["all", "--data", "d", "--work", "w", "--binary", "b", "--other-seed", "s", "--threads", "1", "--only", *every.NAMES]
        with mock.patch.object(sys, "argv", given):
            runs = every.commands(every.arguments())
        self.assertEqual(tuple(runs), every.NAMES)

        class Parsed(Exception):
            pass

        def parsed(parser, *_):
            known, left = argparse.ArgumentParser.parse_known_args(parser)
            self.assertEqual(left, [], parser.description)
            raise Parsed

        for module, *arguments in runs.values():
            with (
                mock.patch.object(sys, "argv", [module, *map(str, arguments)]),
                mock.patch.object(argparse.ArgumentParser, "parse_args", parsed),
                self.assertRaises(Parsed),
            ):
                importlib.import_module(f"claims.{module}").main()

    def test_claims_run_side_by_side_after_what_they_rest_on(self):
        for jobs in (1, 4):
            done, going, most = [], set(), [0]
            full = threading.Event()

            def run(name, jobs=jobs, done=done, going=going, most=most, full=full):
                if name in every.AFTER:
                    self.assertIn(every.AFTER[name], done)
                if name in every.LAST:
                    self.assertEqual(going, set())
                going.add(name)
                most[0] = max(most[0], len(going))
                # The first stay until there are as many as may be, however late a busy machine begins the others.
                if len(going) >= jobs:
                    full.set()
                full.wait(60)
                time.sleep(0.02)
                going.discard(name)
                done.append(name)

            every.run_all(dict.fromkeys(every.NAMES, []), jobs, run)
            self.assertEqual((set(done), most[0]), (set(every.NAMES), jobs))

        begun = []

        def fails(name):
            begun.append(name)
            time.sleep(0.05)
            if name == "sae":
                raise ValueError(name)

        self.assertRaises(ValueError, every.run_all, dict.fromkeys(every.NAMES, []), 2, fails)
        self.assertFalse({*every.AFTER, *every.LAST} & set(begun))

    def test_ids_of_another_vocabulary_are_refused(self):
        model = common.subject(self.folder / "models" / common.TOPK)
        other = self.folder / "other-tokens"
        other.mkdir()
        file = json.loads((self.folder / "models" / common.TOPK / "tokenizer.json").read_text())
        (other / "tokenizer.json").write_text(json.dumps(file))
        common.same_tokens(model, other)
        file["added_tokens"] = [*file.get("added_tokens", []), dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False) | {"id": model.tokenizer.get_vocab_size(), "content": "another"}]
        (other / "tokenizer.json").write_text(json.dumps(file))
        self.assertRaisesRegex(ValueError, "was made with another tokenizer", common.same_tokens, model, other)

    def test_a_file_is_whole_or_as_it_was(self):
        path = self.folder / "whole.json"
        write_whole(path, "old", b"er")
        self.assertRaises(TypeError, write_whole, path, "new", None)
        self.assertEqual(path.read_text(), "older")


if __name__ == "__main__":
    unittest.main()
