"""Texts of many rows at once, each with its own edit, against plain runs of random-weight models."""

import unittest

import numpy as np
import torch

from claims import decode, effect
from topklm import generate
from topklm.model import ModelConfig, TopKLM


class Edits(unittest.TestCase):
    def model(self, k=6, **kw):
        c = ModelConfig(d_vocab=50, d_model=24, n_layers=3, n_heads=2, d_head=8, d_mlp=16, n_ctx=32, topk_k=k, **kw)
        model = TopKLM(c).init_weights(1).eval()
        return model.requires_grad_(False)

    def by_full_forward(self, model, prompt, seed, count):
        """What is drawn where each token is computed from the whole text before it."""
        rng, ids = np.random.default_rng(seed), list(prompt)
        for _ in range(count):
            cumulative = (model(torch.tensor([ids]))[0, -1] / 0.9).softmax(-1).cumsum(-1)
            ids.append(int((cumulative < rng.random() * cumulative[-1]).sum()))
        return ids[len(prompt) :]

    def test_rows_with_prompts_of_different_lengths_equal_single_runs(self):
        model = self.model()
        prompts, seeds = [[0, 3], [0, 4, 5, 6], [0, 9, 8]], [1, 2, 3]
        together = decode.generate(model, prompts, seeds, 10, 0.9, stop=-1)
        for prompt, seed, ids in zip(prompts, seeds, together, strict=True):
            self.assertEqual(decode.generate(model, [prompt], [seed], 10, 0.9, stop=-1), [ids])
            self.assertEqual(self.by_full_forward(model, prompt, seed, 10), ids)

    def test_the_noise_is_of_the_seed(self):
        model, prompts = self.model(), [[0, 3], [0, 4]]
        once = decode.generate(model, prompts, [7, 8], 10, 0.7)
        self.assertEqual(once, decode.generate(model, prompts, [7, 8], 10, 0.7))
        self.assertNotEqual(once, decode.generate(model, prompts, [9, 10], 10, 0.7))

    def test_a_text_ends_with_the_context_or_at_the_stop(self):
        model = self.model()
        (filled,) = decode.generate(model, [[0, 3]], [1], 100, 0.9, stop=-1)
        self.assertEqual(len(filled), 31)  # of 32 positions two are the prompt's; the last one has a next token, too
        stop = filled[5]
        self.assertEqual(decode.generate(model, [[0, 3]], [1], 100, 0.9, stop=stop), [filled[: filled.index(stop)]])

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

    def test_an_edit_is_let_go_once_so_many_tokens_are_written(self):
        """The token after the prompt is written at the prompt's last position."""
        let_go = decode.Edit(0, 2, "add", 1.0, until=2)
        rows = decode.RowEdits([let_go, let_go, decode.Edit(0, 2, "add", 1.0)], [2, 3, 2], [0])
        x = rows.after(0, torch.zeros(3, 3, 5), 1)  # positions 1, 2, 3
        self.assertEqual(x[:, :, 2].tolist(), [[1, 1, 0], [1, 1, 1], [1, 1, 1]])
        self.assertEqual((let_go.table()["until"], "until" in decode.Edit(0, 2).table()), (2, False))

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


if __name__ == "__main__":
    unittest.main()
