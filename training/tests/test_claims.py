"""The claims on toy models: definitions on small cases, edits against the plain model, every command once."""

import json
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file

from claims import all as every
from claims import ceiling, common, controls, decode, edit_cost, effect, meaning, quality, recipes, sae, sae_trace, seeds, sets, steer, sweep, table, trace
from tests import toy
from topklm import generate, stats, train
from topklm.export import export, load_model
from topklm.model import ModelConfig, TopKLM

VECTORS = Path(__file__).parents[2] / "tests" / "entropy_vectors.json"
CONCEPTS = """
[bounds]
max_tokens = 8
temperature = 0.8
seeds = 2
success = 5.0
relaxed_success = 3.0
works = 0.5
likelihood = 1.3
[search]
effect_prompts = 2
effect_length = 10
effect_strengths = [0.5, 1.0]
divergence = 0.1
short_list = 2
penalty = 6.0
margin = 1.25
strengths = {layer = [1.0], from_layer = [1.0]}
middle_margin = 1.6
round = [{texts = 2, tokens = 4}, {texts = 2, tokens = 6, keep = {bounded = 1, middle = 1, free = 1}}]
[sets]
sizes = [1, 3]
strengths = [0.3, 1.0]
surprise = 1.2
[prompts]
choosing = ["One day Mia", "Then Ben went"]
scoring = ["One day Omar", "One day"]
fresh = ["Then Omar", "One day"]
[[concept]]
name = "things"
words = ["kite", "stone", "cake"]
[[concept]]
name = "places"
words = ["hill", "river"]
"""


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


class Edits(unittest.TestCase):
    """Against plain runs of random-weight models."""

    def model(self, k=6, **kw):
        c = ModelConfig(d_vocab=50, d_model=24, n_layers=3, n_heads=2, d_head=8, d_mlp=16, n_ctx=32, topk_k=k, **kw)
        model = TopKLM(c).init_weights(1).eval()
        return model.requires_grad_(False)

    def test_rows_with_prompts_of_different_lengths_equal_single_runs(self):
        model = self.model()
        prompts, seeds = [[0, 3], [0, 4, 5, 6], [0, 9, 8]], [1, 2, 3]
        together = decode.generate(model, prompts, seeds, 10, 0.9, stop=-1)
        for prompt, seed, ids in zip(prompts, seeds, together, strict=True):
            self.assertEqual(decode.generate(model, [prompt], [seed], 10, 0.9, stop=-1), [ids])
            self.assertEqual(generate.sample(model, [prompt], [seed], 10, 0.9, stop=-1), [ids])

    def test_every_kind_of_edit_shows_in_the_stream(self):
        model, prompt = self.model(n_nontopk=1), [0, 3, 4, 5]
        for edit, expected in (
            (decode.Edit(0, 7, "clamp", 5.0), {0: [5, 5, 5, 5]}),
            (decode.Edit(0, 7, "clamp", 5.0, propagate="from_layer"), {0: [5, 5, 5, 5], 1: [5, 5, 5, 5]}),
            (decode.Edit(1, 7, "clamp", 5.0, site="topk_in"), {1: [5, 5, 5, 5]}),
            (decode.Edit(1, 7, "clamp", -9.0, site="topk_in"), {1: [0, 0, 0, 0]}),
            (decode.Edit(0, 7, "clamp", 5.0, positions="generated"), {0: [None] * 3 + [None]}),
        ):
            edits = decode.RowEdits([edit], [4], [0, 1])
            seen = {}

            def after(layer, x, start, edits=edits, seen=seen):
                x = edits.after(layer, x, start)
                seen[layer] = x[0, :, 7].tolist()
                return x

            generate.Decoder(model, 1).feed(torch.tensor([prompt]), after, edits.before)
            for layer, values in expected.items():
                for got, want in zip(seen[layer], values, strict=True):
                    self.assertEqual(got, want) if want is not None else self.assertNotEqual(got, 5)

    def test_generated_positions_begin_after_each_rows_own_prompt(self):
        edit = decode.Edit(0, 2, "add", 1.0, positions="generated")
        rows = decode.RowEdits([edit, edit, None], [2, 4, 2], [0])
        x = rows.after(0, torch.zeros(3, 3, 5), 1)  # positions 1, 2, 3
        self.assertEqual(x[:, :, 2].tolist(), [[0, 1, 1], [0, 0, 0], [0, 0, 0]])

    def test_a_direction_is_added(self):
        directions = torch.eye(4)[:2] * 3
        rows = decode.RowEdits([decode.Edit(1, 1, "add", 2.0)], [1], [0, 1], directions)
        self.assertEqual(rows.after(1, torch.zeros(1, 1, 4), 0).tolist(), [[[0, 6, 0, 0]]])
        with self.assertRaises(ValueError):
            decode.RowEdits([decode.Edit(1, 1, "clamp", 2.0)], [1], [0, 1], directions)

    def test_likelihood(self):
        model = self.model()
        nats, counts = decode.nll(model, [[0, 1], [0]], [[2, 3], [4]])
        log_p = model(torch.tensor([[0, 1, 2]])).log_softmax(-1)[0]
        self.assertAlmostEqual(nats[0], -(log_p[1, 2] + log_p[2, 3]).item(), places=4)
        self.assertEqual(counts.tolist(), [2, 1])

    def test_effects_equal_a_run_with_the_edit(self):
        for k, tails in ((6, False), (None, True)):
            model = self.model(k)
            windows = torch.randint(1, 50, (4, 12), generator=torch.Generator().manual_seed(0))
            handles = effect.coordinate_handles("x", model, windows, [0, 1], tails)
            ids, words = windows[:2], [[3, 4], [7]]
            found, divergence = effect.effects(model, handles, ids, words, 0.5, rows=6)
            self.assertGreater(divergence.min(), -1e-5)

            def mass(edit=None, ids=ids, model=model):
                logits = model.lm_head(model.model.norm(model.stream(ids, edit=edit)[-1]))
                p = logits.softmax(-1)[:, -4:]
                return [p[..., w].sum(-1).mean().log().item() for w in words]

            unedited, _ = effect.effects(model, handles, ids, words, 0)
            np.testing.assert_allclose(unedited[:, 0], mass(), atol=1e-4)
            for h in (0, len(handles.layer) // 2, len(handles.layer) - 1):
                layer, index, value = int(handles.layer[h]), int(handles.index[h]), 0.5 * float(handles.top[h])

                def edit(at, x, layer=layer, index=index, value=value):
                    if at == layer:
                        x = x.clone()
                        x[..., index] = value
                    return x

                np.testing.assert_allclose(found[:, h], mass(edit), atol=1e-4)

    def test_the_strength_at_which_the_divergence_reaches_a_limit(self):
        # handle 0: divergence = strength² (limit 1 at strength 1, between 0.5 and 2); handle 1 stays below the limit
        strengths = [0.5, 2.0]
        divergence = np.array([[0.25, 0.01], [4.0, 0.04]])
        log_mass = np.array([[[-4.0, -5.0]], [[-1.0, -4.0]]])
        found, reached = effect.at_limit(strengths, log_mass, divergence, np.array([[-5.0]]), 1.0)
        np.testing.assert_allclose(found, [1.0, 2.0])
        np.testing.assert_allclose(reached, [[-3.0, -4.0]])
        found, reached = effect.at_limit(strengths, log_mass, divergence, np.array([[-5.0]]), 0.0625)
        np.testing.assert_allclose((found[0], reached[0, 0]), (0.25, -4.5))


class Commands(unittest.TestCase):
    """Every command on a toy pair of models: results have the shape that the table reads."""

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.folder = Path(cls._folder.name)
        toy.write(cls.folder)
        for name, dense in ((common.TOPK, False), (common.DENSE, True)):
            run = cls.folder / "runs" / name
            train.Trainer(cls.folder / "toy.toml", cls.folder / "data", run, dense).run()
            export(run, cls.folder / "data", cls.folder / "models" / name, True, None)
        (cls.folder / "concepts.toml").write_text(CONCEPTS)
        cls.results = cls.folder / "results"

    @classmethod
    def tearDownClass(cls):
        cls._folder.cleanup()

    def call(self, module, *arguments, data=True):
        shared = ["--models", self.folder / "models", "--results", self.results]
        shared += ["--data", self.folder / "data"] if data else []
        with mock.patch.object(sys, "argv", ["claim", *map(str, [*shared, *arguments])]), mock.patch("builtins.print"):
            module.main()
        return json.loads((self.results / f"{self.name(module)}.json").read_text())

    def name(self, module):
        return {"steer": "steering"}.get(module.__name__.split(".")[1], module.__name__.split(".")[1])

    def test_quality(self):
        config = (Path(quality.__file__).with_name("quality.toml")).read_text().replace("max_tokens = 200", "max_tokens = 12")
        (self.folder / "quality.toml").write_text(config)
        with mock.patch.object(quality, "CONFIG", self.folder / "quality.toml"):
            result = self.call(quality, "--also", self.folder / "models" / common.DENSE)
        model = load_model(self.folder / "models" / common.TOPK)
        arrays = common.texts(self.folder / "data")
        windows = quality.evaluation_windows(arrays["validation.ids"], 32)
        nats, count = train.evaluate(model, windows)
        self.assertAlmostEqual(result["topk"]["validation"]["nats_per_token"], nats / count, places=2)
        self.assertEqual(result["topk"]["stories"]["count"], 50)
        self.assertEqual(result["also"][common.DENSE]["validation"], result["dense"]["validation"])

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
            median = table.number(spread[name][end]["all"]["token_entropy"]["median"])
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

    def test_saes_and_controls(self):
        folders = []
        for kind in sae.KINDS:
            folders.append(self.folder / "saes" / kind)
            more = ["--layer", 1, "--times", 4, "--k", 4, "--kind", kind, "--positions", 40_000]
            figures = self.call(sae, "--out", folders[-1], *more)[kind]
            self.assertEqual((figures["width"], figures["k"], figures["kind"]), (128, 4, kind))
            self.assertGreater(figures["variance_explained"], 0.3)
            self.assertTrue(1 < figures["active_a_position"] < 12, figures["active_a_position"])
        result = self.call(controls, "--sae", *folders, "--units", 16)
        rows = result["rows"]
        self.assertEqual(
            set(rows), {"topk", "topk_rotated", "untrained", "embedding", "dense", "dense_rotated", "sae topk", "sae jumprelu"}
        )
        # A table of tokens is foretold by the token; a rotation is dense where the neurons are sparse.
        self.assertGreater(rows["embedding"]["token"], 0.9)
        self.assertLess(rows["topk"]["density"], rows["topk_rotated"]["density"])
        told = {name: row for name, row in rows.items() if row["f1"] is not None}
        self.assertLessEqual({"topk", "topk_rotated", "dense", "dense_rotated", "embedding"}, set(told))
        self.assertTrue(all(row["f1"] > (row["f1_shuffled"] or 0) for row in told.values()))
        self.assertIsNone(rows["embedding"]["layers"])
        again = self.call(controls, "--units", 16, "--only", "topk")
        self.assertEqual(again["rows"], rows)
        written = table.table(self.results)
        self.assertIn("| TopK neurons | ", written)
        self.assertIn("| JumpReLU | 1 | 128 | 4 | 1 | ", written)

    def test_an_sae_is_saved_as_sae_lens_reads_it(self):
        for kind in sae.KINDS:
            made = sae.SAE(8, 24, 3, 1, seed=4, kind=kind)
            x = 2 + 3 * torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
            made.begin(x)
            made.requires_grad_(False)
            made.save(self.folder / "lens")
            config = json.loads((self.folder / "lens" / "cfg.json").read_text())
            w = load_file(self.folder / "lens" / "sae_weights.safetensors")
            pre = (x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]
            if kind == "topk":
                codes = torch.zeros_like(pre).scatter(1, pre.topk(config["k"]).indices, pre.topk(config["k"]).values.relu())
            else:
                codes = pre * (pre > w["threshold"])
            torch.testing.assert_close(codes, made.encode(x), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(codes @ w["W_dec"] + w["b_dec"], made.decode(codes), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(sae.SAE.load(self.folder / "lens").encode(x), made.encode(x), atol=1e-4, rtol=1e-4)

    def test_thresholds_learn_the_number_of_features(self):
        made = sae.SAE(4, 6, 2, 0, kind="jumprelu")
        x = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
        made.begin(x)
        with torch.no_grad():
            made.threshold.fill_(0.2)  # too many are active: the penalty raises the thresholds
        total, error, codes = sae.loss(made, x, torch.zeros(6))
        self.assertGreater((codes != 0).sum(-1).float().mean(), made.k)
        (total - error).backward()
        self.assertTrue((made.threshold.grad < 0).all())
        self.assertEqual(made.encoder.grad.abs().max(), 0)

    def test_the_best_tokens_end_where_f1_falls(self):
        ids = np.array([1] * 4 + [2] * 4 + [3] * 8)
        active = np.array([True] * 4 + [True] * 3 + [False] + [True] * 2 + [False] * 6)
        frequency = np.bincount(ids, minlength=5)
        rule = controls.best_tokens(active, ids, frequency)
        self.assertEqual(rule.tolist(), [1, 2])
        self.assertAlmostEqual(controls.f1_of(rule, active, ids, frequency), 2 * 7 / (8 + 9))
        self.assertEqual(controls.f1_of(np.array([4]), active, ids, frequency), 0)

    def test_what_the_token_foretells(self):
        text = mock.Mock(ids=np.array([0, 1, 2] * 40), half=np.arange(120) % 2)
        values = np.random.default_rng(0).normal(size=(120, 1)).astype(np.float32)
        told = controls.foretold(np.concatenate([np.array([[5.0], [1], [0]] * 40), values], axis=1).astype(np.float32), text, 3)
        self.assertAlmostEqual(told[0], 1, places=5)
        self.assertLess(told[1], 0.1)

    def test_another_seed(self):
        base = tomllib.loads(toy.MODEL)
        base["model"] |= {"d_model": 64, "topk_k": 8}
        (self.folder / "seeds.toml").write_text(sweep.config_text(base, {}))
        setting = {"why": "", "model": {"tied": False}, "train": {}}
        with mock.patch.object(seeds.sweep_wide, "settings", lambda: {seeds.SETTING: setting}):
            result = self.call(seeds, "--out", self.folder / "seeds", "--base", self.folder / "seeds.toml", "--positions", 4000)
        self.assertEqual(len(result["held_out_nats"]), 2)
        self.assertNotEqual(*result["held_out_nats"])
        self.assertIn("| neurons of the other seed | ", table.table(self.results))

    def test_neurons_are_matched_whatever_their_number(self):
        x = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)).relu()
        order = torch.tensor([3, 0, 5, 1, 2, 4])
        found = seeds.matched(x, 2 * x[:, order])
        self.assertAlmostEqual(found["correlation"], 1, places=5)
        self.assertEqual((found["above_half"], found["mutual"]), (1, 1))
        other = torch.randn(300, 6, generator=torch.Generator().manual_seed(9)).relu()
        self.assertLess(seeds.matched(x, other)["correlation"], 0.3)

    def test_sets_find_and_score_lists(self):
        folder = self.folder / "lens4"
        self.call(sae, "--out", folder, "--layer", 1, "--times", 2, "--k", 4, "--positions", 4000)
        with mock.patch.object(steer, "CONFIG", self.folder / "concepts.toml"):
            result = self.call(sets, "--sae", folder)
            self.assertEqual(result["layer"], 1)
            methods = result["methods"]
            self.assertEqual(set(methods), {"topk", "random", "dense", "sae", "means", "prompt", "logits"})
            for name in ("topk", "random", "dense", "sae"):
                self.assertEqual(set(methods[name]), {"1", "3"})
                for size, figures in methods[name].items():
                    self.assertEqual([len(c["index"]) for c in figures["chosen"]], [int(size)] * 2)
            self.assertEqual([c["concept"] for c in methods["prompt"]["concepts"]], ["things", "places"])
            self.assertGreater(methods["logits"]["words"], methods["logits"]["base"])
            again = self.call(sets, "--methods", "topk", "--sizes", 2)["methods"]
            self.assertEqual(set(again["topk"]), {"1", "2", "3"})
            self.assertEqual(again["means"], methods["means"])
        self.assertIn("| TopK, 3 neurons | ", table.table(self.results))

    def test_the_effect_of_a_set_is_the_predicted_one(self):
        model = TopKLM(ModelConfig(50, 24, 3, 2, 8, 16, 40, topk_k=5, n_nontopk=1, topk_post="relu")).init_weights(3).eval()
        model.requires_grad_(False)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(3)
        with mock.patch.object(sets, "STEP", 0.01):
            found = sets.Effect(model, [[0, 1], [0, 2], [0, 3]], 1)
        tokens = [7, 8]
        index, amounts = sets.chosen(found.F, found.gain(tokens), 3)
        self.assertAlmostEqual(float(amounts @ found.F[index][:, index] @ amounts), 2, places=6)
        # One coordinate: the one of the largest gain for its divergence.
        one, _ = sets.chosen(found.F, found.gain(tokens), 1)
        self.assertEqual(one, [int((found.gain(tokens) ** 2 / found.F.diag()).argmax())])
        # The Jacobian foretells what a small step does, and the step raises the tokens' log-mass.
        written = [decode.generate(model, [[0, 1], [0, 2], [0, 3]], [700_000 + 100_000 * d + i for i in range(3)], 32, 0.8, stop=-1) for d in range(2)]
        ids = torch.tensor([[*p, *w][:32] for part in written for p, w in zip([[0, 1], [0, 2], [0, 3]], part, strict=True)])
        step = torch.zeros(24)
        step[index] = (0.01 * amounts).float()

        def log_p(edit):
            logits = model.lm_head(model.model.norm(model.stream(ids, edit=edit)[-1][:, sets.FIRST :: sets.EVERY]))
            return logits.flatten(0, 1).log_softmax(-1)

        before, after = log_p(None), log_p(lambda layer, x: x + step if layer == 1 else x)
        foretold = (found.J - found.mean[:, None]) @ step
        self.assertLess((after - before - foretold).norm() / foretold.norm(), 0.05)
        mass = [lp.exp()[:, tokens].sum(1).log().mean() for lp in (before, after)]
        self.assertGreater(mass[1], mass[0])

    def test_the_strength_is_where_the_surprise_reaches_its_limit(self):
        self.assertAlmostEqual(sets.at_surprise([1, 2, 4], [1.1, 1.2, 1.4], 1.3), 3)
        self.assertEqual(sets.at_surprise([1, 2], [1.0, 1.1], 1.3), 2)
        self.assertAlmostEqual(sets.at_surprise([1, 2], [1.5, 1.1], 1.25), 0.5)  # the first time counts

    def test_concept_and_fluency(self):
        plain, loop = list(range(20)), [1, 2, 3, 4] * 5
        self.assertEqual(sets.harmonic([2], [1.0], 1.0, [plain]), 2)
        self.assertEqual(sets.harmonic([5], [1.0], 1.0, [loop]), 0)
        self.assertAlmostEqual(sets.harmonic([1, 2, 0], [1.5, 1.5, 1.0], 1.0, [plain] * 3), (1 + 4 / 3) / 3)
        self.assertEqual(sets.harmonic([2], [2.0], 1.0, [plain]), 0)

    def test_a_recipe_is_the_smallest_set_that_works(self):
        def figures(size, *rows):
            concepts = [{"base": 0.1, "words": 3.0, "two": two, "nll_ratio": ratio, "works": two >= 0.5 and ratio <= 1.3} for two, ratio in rows]
            return {"concepts": concepts, "chosen": [{"index": list(range(size)), "value": [2.0] * size} for _ in rows]}

        topk = {"1": figures(1, (0.6, 1.2), (0.1, 1.2), (0.1, 1.2)), "8": figures(8, (0.9, 1.2), (0.7, 1.25), (0.2, 1.2)), "32": figures(32, *[(1.0, 1.0)] * 3)}
        random = {"8": {"concepts": [{"words": 0.3}] * 3}}
        given = {"layer": 4, "tokens": 60, "judge": {"name": "J"}, "methods": {"topk": topk, "random": random}}
        config = {"concept": [{"name": n, "words": [n]} for n in "abc"], "prompts": {"fresh": ["Once upon a time"]}}
        rows = recipes.recipes(given, config)
        self.assertEqual([(r["concept"], len(r["edits"]), r["about"]) for r in rows], [("b", 8, 0.7), ("a", 1, 0.6)])
        self.assertTrue(all(r["gentle"] for r in rows))
        self.assertEqual([r.get("control_rate") for r in rows], [0.3, None])
        self.assertEqual(rows[0]["edits"][0] | {"index": 0}, {"layer": 4, "index": 0, "action": "add", "value": 2.0, "site": "topk_out", "positions": "all", "propagate": "layer"})

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

    def test_trace(self):
        for arguments in (["--run", self.folder / "runs" / common.TOPK], []):
            result = self.call(trace, *arguments)
            self.assertEqual(result["steps"], [0, 2, 4, 8])
            self.assertEqual(result["emerged_share"][-1], 1)
            self.assertEqual(result["emerged_share"], sorted(result["emerged_share"]))

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
        losses = toy.losses(log.parent)
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
        self.assertEqual(tuple(whole), every.NAMES)
        self.assertEqual(set(every.NAMES) - set(names(models=self.folder)), {"sae", "sae-trace", "steer-dense", "steer-sae", "edit_cost"})
        later = names("--twin")
        self.assertEqual(later["steer-topk"][-2:], ["--stage", "score"])
        self.assertNotIn("trace", later)
        self.assertEqual(list(names("--only", "sae")), ["sae"])

    def test_table_check(self):
        readme, headline = self.folder / "README.md", self.folder / "HEADLINE.md"
        for path in (readme, headline):
            path.write_text(f"# x\n\n{table.BEGIN}\nold\n{table.END}\nrest\n")
        results = self.folder / "nothing"
        common.write(results, "edit_cost", {"backend": "cpu", "processor_ratio_to_no_edit": {"1": 1.01, "20": 0.98}})
        common.write(results, "quality", {"gap_percent": {"validation": 3.04, "held_out": -1.0}})
        arguments = ["table", "--results", str(results), "--readme", str(readme), "--headline", str(headline)]

        def run(*more):
            with mock.patch.object(sys, "argv", [*arguments, *more]):
                table.main()

        self.assertRaises(SystemExit, run, "--check")
        run()
        run("--check")
        self.assertIn("1 edit 1.01 × · 20 edits 0.98 ×", readme.read_text())
        self.assertIn("+3.0 % on the validation text and -1.0 % on held-out documents", headline.read_text())
        self.assertTrue(all(path.read_text().endswith("\nrest\n") for path in (readme, headline)))
        headline.write_text(headline.read_text().replace("+3.0 %", "+2.0 %"))
        self.assertRaises(SystemExit, run, "--check")

    def test_the_readmes_match_the_results(self):
        with mock.patch.object(sys, "argv", ["table", "--check"]):
            table.main()


if __name__ == "__main__":
    unittest.main()
