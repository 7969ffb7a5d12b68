"""What figures are made of, against numbers that were worked out by hand: halves, conditions, means, directions."""

import random
import unittest
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from claims import common, consistency, controls, effect, letting_go, linear, meaning, paper, patches, quality, sae, scoring, seeds, sets, steer, strongest, table_reading
from topklm import stats
from topklm.model import ModelConfig, TopKLM


def toy_model(factor=4, **more):
    """Two layers, with weights large enough that edits tell."""
    config = ModelConfig(**{"d_vocab": 50, "d_model": 24, "n_layers": 2, "n_heads": 2, "d_head": 8, "d_mlp": 16, "n_ctx": 32} | more)
    model = TopKLM(config).init_weights(1).eval().requires_grad_(False)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(factor)
    return model


class Reads(unittest.TestCase):
    def test_a_label_is_scored_on_the_half_that_it_was_not_made_of(self):
        # The unit reads token 1 in one half and token 2 in the other.
        ids, half = np.array([1] * 40 + [3] * 60 + [2] * 40 + [3] * 60), np.repeat([0, 1], 100)
        x = np.where(ids < 3, 1.0, 0.0)[:, None].astype(np.float32)
        columns, _ = controls.read(x, SimpleNamespace(ids=ids, half=half), 4, False, 0)
        self.assertEqual(columns["f1"][0], 0)

    def test_where_a_unit_is_strongest_is_scored_so_too(self):
        ids, half = np.array([1] * 20 + [3] * 180 + [2] * 20 + [3] * 180), np.repeat([0, 1], 200)
        text, x = SimpleNamespace(ids=ids, half=half), np.where(ids < 3, 1.0, 0.0)[:, None]
        self.assertEqual(strongest.at_share(x, text, 4, False, 0.1)["f1"], 0)
        self.assertIsNone(strongest.at_share(x, text, 4, False, 0.2)["f1"], "it is active at a tenth alone")
        same = SimpleNamespace(ids=np.where(ids == 2, 1, ids), half=half)
        self.assertEqual(strongest.at_share(x, same, 4, False, 0.1)["f1"], 1)

    def test_a_token_foretells_by_the_other_half_alone(self):
        n = 200  # each token once in each half
        x = np.random.default_rng(0).normal(size=(n, 1)).astype(np.float32)
        text = SimpleNamespace(ids=np.arange(n) % 100, half=(np.arange(n) >= 100).astype(int))
        self.assertLess(controls.foretold(x, text, 100)[0], 0.05)

    def test_tokens_of_a_label_end_where_another_would_not_help(self):
        ids, active = np.array([1] * 4 + [2] * 20), np.array([True] * 6 + [False] * 18)
        self.assertEqual(controls.rising_tokens(active, ids, np.bincount(ids)).tolist(), [1])

    def test_entropies_at_shares_are_of_the_strongest(self):
        x, ids = np.arange(1000, 0, -1).astype(float), np.where(np.arange(1000) < 100, 5, np.arange(1000) % 4 + 6)
        bits, tokens = controls.entropies(x, ids, np.random.default_rng(0))
        self.assertTrue(np.isnan(bits[0]), "one activation has no entropy")
        self.assertEqual((bits[1], tokens), (0, {5: 100}))
        self.assertGreater(bits[2], 1)

    def test_an_index_between_layers_beside_a_random_one(self):
        tokens = {0: [{1: 1}, {2: 1}], 1: [{1: 1}, {3: 1}]}
        self.assertEqual(controls.between_layers(tokens)["same_index"], 0.5)
        tokens = {0: [{1: 1}] * 3, 1: [{1: 1}] * 3, 2: [{2: 1}] * 3}
        self.assertEqual(controls.between_layers(tokens), {"same_index": 0.5, "random_index": 0.5})

    def test_medians_leave_out_what_has_none(self):
        got = controls.medians({"density": np.array([0.1, np.nan, 0.3, 0.2]), "f1": np.array([0.5, np.nan, 0.9, np.nan])})
        self.assertEqual((got["units"], got["left_out"], got["f1"]), (4, 0.25, 0.7))
        self.assertEqual(got["counts"], {"density": 3, "f1": 2})

    def test_an_entropy_is_told_with_the_units_that_have_one(self):
        # Of two units one is active often enough for an entropy at its strongest tenth.
        often, seldom = np.arange(1, 202.0), np.r_[np.arange(1, 101.0), np.zeros(101)]
        rng = np.random.default_rng(0)
        ids = rng.integers(0, 5, 201)
        at_10 = [controls.entropies(x, ids, rng)[0][1] for x in (often, seldom)]
        self.assertEqual([bool(np.isfinite(bits)) for bits in at_10], [(x > 0).sum() > controls.more_than(0.1) for x in (often, seldom)])
        self.assertEqual([controls.more_than(share) for share in controls.SHARES], [1900, 190])
        names = ("density", "at_1", "at_10", "by_value", "f1", "f1_shuffled", "token")
        columns = {name: np.ones(2) for name in names} | {"at_1": np.full(2, np.nan), "at_10": np.array(at_10)}
        row = controls.medians(columns) | {"layers": None}
        rows = {"topk": row | {"blocks": {"4": row}}, "sae topk-k48": row | {"kind": "topk", "k": 48, "layer": 4, "blocks": {"4": row}}}
        result = {"units_a_block": 2, "text": {"tokens": 201, "drawn": 100}, "rows": rows}
        shown = "\n".join(table_reading.controls(result))
        self.assertIn(f"| – (0 % of them) | {at_10[0]:.2f} (50 % of them) | 1.00 |", shown)
        self.assertIn("Those at the strongest 1 % and 10 % are only of units that are active more than 1,900 and 190 times (in brackets", shown)
        figures = lambda *path: result[path[1]]  # noqa: E731
        self.assertIn("bits (only those count that are active more than 190 times, 50 % and 50 % of them), and 100 %", paper.as_saes(figures))
        # Results from before the counts.
        for e in (row, *rows.values()):
            e.pop("counts", None)
        self.assertNotIn("of them)", "\n".join(table_reading.controls(result)))
        self.assertIn("bits (only those count that are active more than 190 times), and", paper.as_saes(figures))

    def test_top_activations(self):
        top = stats.Top(1, 3)
        top.add(torch.tensor([[1.0], [0.0]]), torch.tensor([[7, 8], [9, 9]]))
        self.assertEqual(top.tokens(0), {7: 1})
        top = stats.Top(1, 2)
        for at in (0, 2):
            top.add(torch.ones(2, 1), torch.tensor([[at, 0], [at + 1, 0]]))
        self.assertEqual(sorted(top.ids[0, :, 0].tolist()), [0, 1], "of equal ones the earlier")
        top = stats.Top(1, 4)
        top.add(torch.ones(4, 1), torch.tensor([[0, 2], [1, 2], [0, 2], [1, 2]]))
        self.assertEqual(top.table(np.array([0, 1, 2]))["semantic_entropy"][0], 1.0, "of the token, not of the next")

    def test_summary_of_what_neurons_mean(self):
        table = {"n": np.array([0, 5, 30, 40]), "token_entropy": np.array([0, 0, 1.0, 3.0]), "semantic_entropy": None, "next_entropy": np.zeros(4)}
        got = meaning.summary(table)
        entropy = got["token_entropy"]
        self.assertEqual((got["dead"], got["rare"], entropy["share_under_2_bits"], entropy["median"]), (0.25, 0.25, 0.5, 2.0))

    def test_windows_of_documents(self):
        _, counted, following = next(meaning.batches([[0, 5, 0, 6], [0, 7]], 8))
        self.assertEqual(counted.tolist(), [[False, True, False, True], [False, True, False, False]])
        self.assertEqual(following.tolist(), [[5, 0, 6, -1], [7, -1, -1, -1]])


class Steering(unittest.TestCase):
    CONFIG = {
        "bounds": {"seeds": 2, "max_tokens": 4, "works": 0.5, "success": 3.0, "likelihood": 1.3},
        "prompts": {"fresh": ["a", "b"]},
        "concept": [{"name": "x"}, {"name": "y"}],
    }
    SEARCH = {"penalty": 6.0, "margin": 1.25, "middle_margin": 1.6}

    def bench(self):
        """One concept in half of the texts at 1.2 times the surprise, one in all at 1.5 times."""

        def row(steered, ratio):
            nll = {"nll_ratio": ratio, "nll": 2 * ratio, "base_nll": 2.0, "text_nll": np.full(4, 2 * ratio)}
            return nll | {"base": np.array([0, 0, 0, 1]), "steered": np.array(steered), "texts": [list(range(8))] * 4}

        rows = [row([2, 2, 0, 0], 1.2), row([2, 2, 2, 2], 1.5)]
        subject = mock.Mock(**{"tokenizer.encode.return_value.ids": [1], "tokenizer.decode.return_value": ""})
        run = lambda trials, *_: [dict(of, concept=concept) for (concept, _), of in zip(trials, rows, strict=True)]  # noqa: E731
        return SimpleNamespace(subject=subject, run=run)

    def test_a_concept_works_only_where_the_texts_still_read(self):
        got = scoring.scored(self.bench(), [(0, None), (1, None)], self.CONFIG)
        self.assertEqual([of["works"] for of in got["concepts"]], [True, False])
        self.assertEqual([of["works_strictly"] for of in got["concepts"]], [True, False])
        self.assertEqual([of["two"] for of in got["concepts"]], [0.5, 1.0])
        self.assertEqual((got["works"], got["words"], got["base"]), (0.5, 1.5, 0.25))

    def test_a_point_of_a_curve(self):
        got = sets.curve(self.CONFIG, lambda _: (self.bench(), [(0, None), (1, None)]), (1.0,))[0]
        self.assertEqual((got["works"], got["half"], got["two"]), (0.5, 1.0, 0.75))
        self.assertAlmostEqual(got["nats"], 0.7)

    def test_fluency_is_beside_the_unedited_texts(self):
        self.assertEqual(scoring.harmonic([2], [3.0], 2.0, [list(range(20))], 1.3), 4 / 3)

    def test_what_a_search_looks_for(self):
        result = lambda ratio, n=4.0: {"expected": (np.zeros(2), np.full(2, n)), "nll_ratio": ratio, "n": n}  # noqa: E731
        self.assertEqual(steer.gains({"steered": np.array([3]), "base": np.array([1])}).tolist(), [2.0])
        self.assertAlmostEqual(steer.utility(result(1.0), self.SEARCH, 1.25), 1.0)
        self.assertAlmostEqual(steer.utility(result(1.5), self.SEARCH, 1.25), 1 - 6 * 0.25)
        found = steer.best([result(1.0, n) for n in (0, 4, 1)], self.SEARCH, {"bounded": 1, "middle": 1, "free": 1})
        self.assertEqual([of["n"] for of in found], [4, 1, 0])

    def test_what_is_picked(self):
        def result(name, steered, ratio):
            edit = mock.Mock(**{"table.return_value": name})
            expected = (np.zeros(2), np.array(steered, float))
            return {"edit": edit, "base": np.zeros(2), "steered": np.array(steered), "expected": expected, "nll_ratio": ratio}

        results = [result("weak", [0, 2], 1.1), result("good", [2, 2], 1.2), result("loud", [9, 9], 3.0)]
        got = steer.pick(results, {"search": self.SEARCH, "bounds": {"success": 3.0}})
        self.assertEqual((got["bounded"], got["free"]), ("good", "loud"))
        self.assertEqual(got["on_choosing_prompts"]["bounded"]["success"], 1.0)

    def test_words_are_whole_and_of_any_case(self):
        subject = mock.Mock(**{"model.config.d_vocab": 3})
        subject.tokenizer.encode.return_value.ids = [1]
        subject.tokenizer.decode.side_effect = lambda text: text
        config = {"concept": [{"name": "c", "words": ["cat"]}], "bounds": {"temperature": 1}}
        self.assertEqual(steer.Bench(subject, None, None, config)._count("Cat concat cats cat.", 0), 2)

    def test_the_values_of_a_list_are_summed_by_layer_and_index(self):
        summed, _ = sets.summed([[(1, 0, 2.0), (3, 1, 5.0)]], torch.eye(2))
        self.assertEqual(summed.tolist(), [[2, 0], [0, 5]])

    def test_words_that_come_after_letting_go(self):
        bench = SimpleNamespace(base={0: ([[0] * 12 + [1, 1]], None, None)}, _count=lambda ids, _: sum(ids))
        got = letting_go.words_later(bench, [{"concept": 0, "texts": [[1] * 15]}])
        self.assertEqual((got["later"], got["later_base"]), (1.0, 2.0))


class Effects(unittest.TestCase):
    def test_the_divergence_is_that_from_the_unedited_model(self):
        model, ids = toy_model(), torch.randint(1, 50, (2, 8), generator=torch.Generator().manual_seed(0))
        handles = effect.Handles("x", [0], np.array([0]), np.array([3]), np.array([6.0]))
        _, got = effect.effects(model, handles, ids, [[1]], 1.0)

        def set_to_6(layer, x):
            if layer == 0:
                x = x.clone()
                x[..., 3] = 6.0
            return x

        def log_probabilities(edit=None):
            return model.lm_head(model.model.norm(model.stream(ids, edit=edit)[-1]))[:, -4:].log_softmax(-1)

        plain, edited = log_probabilities(), log_probabilities(set_to_6)
        there, back = ((a.exp() * (a - b)).sum(-1).mean().item() for a, b in ((plain, edited), (edited, plain)))
        self.assertGreater(abs(there - back), 1e-3)
        self.assertAlmostEqual(float(got[0]), there, places=4)

    def test_extremes_leave_out_the_first_position(self):
        stream = torch.tensor([[[9.0, -9.0], [1.0, -2.0], [3.0, -1.0]]])
        model = mock.Mock(**{"config.d_model": 2})
        model.stream = lambda _: [stream]
        top, low = effect.extremes(model, torch.zeros(1, 3), [0])
        self.assertEqual((top.tolist(), low.tolist()), ([[3, -1]], [[1, -2]]))

    def test_words_of_one_token_are_found_in_both_cases(self):
        ids = {" cat": [4], " Cat": [5], " kitten": [6, 7], " Kitten": [8, 9]}
        tokenizer = SimpleNamespace(encode=lambda text, **_: SimpleNamespace(ids=ids[text]))
        self.assertEqual(effect.token_ids(tokenizer, ["cat", "kitten"]), [4, 5])

    def test_strength_at_a_limit_where_surprise_falls_again(self):
        found, _ = effect.at_limit([1.0, 2.0], np.zeros((2, 1, 1)), np.array([[4.0], [0.0]]), np.zeros((1, 1)), 1.0)
        self.assertAlmostEqual(float(found[0]), 0.5)

    def test_a_linear_gain_is_less_the_mean_and_weighted_by_probability(self):
        of = linear.Effect.__new__(linear.Effect)
        of.p, of.J, of.rows = torch.tensor([[0.2, 0.8], [0.5, 0.5]]), torch.tensor([[[1.0], [2.0]], [[3.0], [-1.0]]]), None
        of.mean = torch.einsum("nv,nvd->nd", of.p, of.J)
        weights, gains = np.array([0.2, 0.5]) ** 0.5, np.array([1 - 1.8, 3 - 1.0])
        self.assertAlmostEqual(float(of.gain([0], 0.5)[0]), float((weights * gains).sum() / weights.sum()), places=5)

    def test_neurons_are_patched_by_what_they_do_alone(self):
        class Pair:
            def states(self, _):
                return torch.zeros(2), torch.zeros(2)

            def shares(self, _, states):
                return (states @ torch.tensor([0.1, 0.7])).numpy()

        self.assertAlmostEqual(float(patches.apart(Pair(), 0, torch.eye(2))["together"][1]), 0.7, places=5)


class Others(unittest.TestCase):
    def test_seeds_are_means_over_blocks(self):
        def block(value):
            figures = {"correlation": 0.2, "above_half": 0.1, "mutual": 0.3}
            seed = figures | {"correlation": value, "tokens": {"match": 0.4, "random": 0.1}}
            return {"seeds": seed, "rotated": figures, "untrained": figures, "same_index": {"correlation": value, "above_half": 0}}

        self.assertAlmostEqual(seeds.means({"0": block(0.2), "1": block(0.4)})["seeds"]["correlation"], 0.3)

    def test_matches_are_alike_in_their_tokens(self):
        x = torch.zeros(400, 2)
        x[:200, 0] = x[200:, 1] = torch.arange(200, 0, -1.0)
        got = seeds.alike(x, x[:, [1, 0]], torch.tensor([1, 0]), np.repeat([3, 4], 200))
        self.assertEqual(got["match"], 1.0)

    def test_an_sae_scales_its_largest_activations_back(self):
        made = sae.SAE(2, 2, 1, 0)
        made.scale.fill_(3.0)
        with torch.no_grad():
            made.decoder.copy_(torch.eye(2))
            made.encoder.copy_(torch.eye(2))
        with mock.patch.object(sae, "stream_at", lambda *_: torch.tensor([[[9.0, 9.0], [6.0, 1.0]]])):
            self.assertAlmostEqual(float(made.largest(None, torch.zeros(1, 2))[0]), 6.0)

    def test_what_an_sae_explains_and_costs(self):
        model = toy_model(5, d_vocab=30, d_model=8, n_heads=1, d_mlp=8, n_ctx=16)
        windows = np.stack([np.random.default_rng(0).integers(1, 30, (3, 16)) for _ in range(2)], 1)
        windows[:, 0, 0] = 0
        windows[2, 1, 8:] = -1
        ids, targets = torch.as_tensor(windows[:, 0]), torch.as_tensor(windows[:, 1])
        made, x = sae.SAE(8, 16, 2, 0), sae.stream_at(model, ids, 0)
        made.begin(x[:, 1:].flatten(0, 1))
        made.requires_grad_(False)
        got = sae.measure(model, made, windows)
        kept = x[:, 1:][targets[:, 1:] >= 0]  # neither BOS nor padding
        codes = made.encode(kept)
        error, variance = ((of - kept).pow(2).sum().item() for of in (made.decode(codes), made.mean))
        self.assertEqual(got["positions"], len(kept))
        self.assertAlmostEqual(got["variance_explained"], 1 - error / variance, places=4)
        self.assertAlmostEqual(got["dead_share"], float((codes == 0).all(0).float().mean()), places=6)
        self.assertAlmostEqual(got["loss_added_by_splice"], got["loss_spliced"] - got["loss"], places=6)

        def splice(layer, h):
            return torch.cat([h[:, :1], made.decode(made.encode(h[:, 1:].flatten(0, 1))).view(3, 15, 8)], 1) if layer == 0 else h

        logits = model.lm_head(model.model.norm(model.stream(ids, edit=splice)[-1])).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, targets.flatten(), ignore_index=-1)
        self.assertAlmostEqual(got["loss_spliced"], float(loss), places=4)

    def test_features_that_are_long_silent_learn_what_is_left(self):
        made = sae.SAE(3, 6, 1, 0, seed=2)
        made.begin(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
        x, silent = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(6)
        silent[5] = sae.DEAD_AFTER + 1
        total, error, codes = sae.loss(made, x, silent)
        scaled = (x - made.mean) / made.scale
        rest = codes @ made.decoder - scaled
        revived = (scaled @ made.encoder.T + made.bias)[:, 5:].relu() @ made.decoder[5:]
        self.assertAlmostEqual((total - error).item(), ((revived + rest) ** 2).sum(-1).mean().item() / 32, places=2)

    def test_what_8_bits_cost_is_asked_of_weights_in_8_bits(self):
        model = TopKLM(ModelConfig(30, 8, 1, 1, 8, 8, 16)).init_weights(1)
        narrow = quality.in_8bit(common.Subject(model, None, {})).model
        weight, found = (of.model.layers[0].mlp.up_proj.weight for of in (model, narrow))
        scale = weight.abs().amax(1, keepdim=True) / 127
        torch.testing.assert_close(found, (weight / scale).round() * scale)
        self.assertFalse(torch.equal(found, weight))
        free = TopKLM(ModelConfig(30, 8, 1, 1, 8, 8, 16, tied=False)).init_weights(1)
        head = quality.in_8bit(common.Subject(free, None, {})).model.lm_head.weight
        scale = free.lm_head.weight.abs().amax(1, keepdim=True) / 127
        torch.testing.assert_close(head, (free.lm_head.weight / scale).round() * scale)

    def test_a_name_recurs_as_a_whole_word_at_the_end(self):
        texts = {1: "Tom", 2: "x ", 3: "my"}
        tokenizer = SimpleNamespace(decode=lambda ids, **_: "".join(texts[id] for id in ids))
        self.assertFalse(quality.name_recurs("Tom", [1, 2, 2], tokenizer, 2))
        self.assertTrue(quality.name_recurs("Tom", [2, 2, 1], tokenizer, 2))
        self.assertFalse(quality.name_recurs("Tom", [2, 1, 3], tokenizer, 2))


class Consistency(unittest.TestCase):
    def test_of_a_long_text_the_end_is_kept(self):
        seen = []

        class Model:
            config = SimpleNamespace(n_ctx=4)

            def __call__(self, ids):
                seen.append(ids.tolist())
                return torch.zeros(*ids.shape, 10)

        tokenizer = SimpleNamespace(encode=lambda text, **_: SimpleNamespace(ids=[int(c) for c in text if c.isdigit()]))
        consistency.log_probability(SimpleNamespace(model=Model(), tokenizer=tokenizer), [("12345", "9")])
        self.assertEqual(seen[0], [[3, 4, 5, 9]])

    def test_a_control_changes_both_texts(self):
        seen = []
        item = consistency.Item("who", "A b", "B a", "A", "B")
        with mock.patch.object(consistency, "log_probability", lambda _, pairs: seen.extend(pairs) or np.zeros(len(pairs))):
            consistency.margins(None, [item], lambda text: text[-1])
        self.assertEqual([text for text, _ in seen], ["b", "b", "a", "a"])

    def test_the_standard_error_of_a_share(self):
        items = [consistency.Item("who", "", "", "", "")] * 4
        got = consistency.summary(items, np.array([1.0, 1, 1, -1]))["who"]
        self.assertAlmostEqual(got["error"], (0.75 * 0.25 / 4) ** 0.5)

    def test_sentences_are_shuffled(self):
        text = "One. Two. Three. Four. Five. End"
        self.assertGreater(len({consistency.shuffled(text, random.Random(seed)) for seed in range(5)}), 1)


if __name__ == "__main__":
    unittest.main()
