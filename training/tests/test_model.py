"""The model against what transformers computed (the committed goldens), its export, and cached decoding."""

import json
import math
import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from claims import sae
from topklm.data import BOS
from topklm.export import config_of, hf_config, load_model, read_weights, to_8bit, to_f16
from topklm.generate import Decoder
from topklm.model import IDLE, LASTING, NEAREST, ModelConfig, TopKLM, below_cut
from topklm.topk import topk_cut

GOLDENS = Path(__file__).parents[2] / "tests" / "goldens" / "models"
CONFIG = ModelConfig(d_vocab=50, d_model=24, n_layers=3, n_heads=2, d_head=8, d_mlp=16, n_ctx=20, topk_k=5, n_nontopk=1)


class Model(unittest.TestCase):
    def test_goldens(self):
        for name in ("llama-abs", "llama-abs-relu", "llama-tied-bf16"):
            model = load_model(GOLDENS / name)
            golden = load_file(GOLDENS / name / "golden.safetensors")
            base = json.loads((GOLDENS / name / "golden.json").read_text())["runs"][0]
            with torch.no_grad():
                ids = torch.tensor([base["ids"]])
                stream, logits = model.stream(ids), model(ids)[0]
            for layer, x in enumerate(stream):
                expected = golden[f"base/blocks.{layer}.hook_resid_post"]
                np.testing.assert_allclose(x[0].numpy(), expected, atol=1e-4, err_msg=f"{name} layer {layer}")
            np.testing.assert_allclose(logits.numpy()[base["logits_from"] :], golden["base/logits"], atol=1e-4)

    def test_dense_twin_has_the_same_code_and_initial_weights(self):
        sparse = TopKLM(CONFIG).init_weights(3)
        dense = TopKLM(replace(CONFIG, topk_k=None, n_nontopk=0)).init_weights(3)
        for (name, a), (_, b) in zip(sparse.named_parameters(), dense.named_parameters(), strict=True):
            self.assertTrue(torch.equal(a, b), name)
        ids = torch.arange(10)[None]
        self.assertTrue(all((x != 0).sum(-1).max() == 5 for x in sparse.stream(ids)[:-1]))
        self.assertGreater((dense.stream(ids)[0] != 0).sum(-1).min(), 5)

    def test_the_blocks_go_on_from_a_state(self):
        model, ids = TopKLM(replace(CONFIG, topk_embed=True)).init_weights(3), torch.arange(10)[None]
        streams = model.stream(ids)
        self.assertTrue(torch.equal(model.onward(streams[0], 1), streams[-1]))
        self.assertTrue(torch.equal(model.onward(streams[-1], CONFIG.n_layers), streams[-1]))
        self.assertTrue(torch.equal(sae.stream_at(model, ids, 1), streams[1]))
        self.assertTrue(torch.equal(model.logits(streams[-1]), model(ids)))

    def test_which_blocks_are_cut(self):
        self.assertEqual(CONFIG.cut_blocks, [0, 1])
        self.assertEqual(replace(CONFIG, topk_k=None, n_nontopk=0).cut_blocks, [0, 1, 2])

    def test_an_untied_head_begins_as_the_embedding(self):
        tied, free = (TopKLM(replace(CONFIG, tied=tied)).init_weights(3) for tied in (True, False))
        ids = torch.arange(10)[None]
        self.assertTrue(torch.equal(tied(ids), free(ids)))
        self.assertIsNot(free.lm_head.weight, free.model.embed_tokens.weight)

    def test_outward_asks_the_neuron_nearest_its_largest_value(self):
        """About the next token, and about the next LASTING ones of the document."""
        model = TopKLM(replace(CONFIG, tied=False, topk_post="relu")).init_weights(3)
        generator = torch.Generator().manual_seed(4)
        ids = torch.randint(CONFIG.d_vocab, (2, 17), generator=generator)
        ids[0, 12] = ids[1, 9] = BOS  # row 1 is asked where its document ends, too
        ids, targets = ids[:, :-1], ids[:, 1:]
        model.unigram.copy_(torch.rand(CONFIG.d_vocab, generator=generator).log_softmax(-1))
        with torch.no_grad():
            model.model.norm.weight.copy_(torch.rand(CONFIG.d_model, generator=generator) + 0.5)
            streams, expected, lasting = model.stream(ids), [], []
            for x in streams[: CONFIG.n_layers - CONFIG.n_nontopk]:
                x = x.flatten(0, 1)
                for at in range(0, len(x), 8):
                    i = max(range(CONFIG.d_model), key=lambda i, x=x, at=at: x[at, i] / max(x[:, i].max(), 1e-6))
                    alone = torch.zeros(CONFIG.d_model)
                    alone[i] = x[at, i] * (x[at].pow(2).mean() + CONFIG.norm_eps) ** -0.5 * model.model.norm.weight[i]
                    p = (model.unigram + model.lm_head(alone)).log_softmax(-1)
                    row, column = divmod(at, ids.shape[1])
                    after = targets[row, column : column + LASTING].tolist()
                    if BOS in after:
                        after = after[: max(after.index(BOS), 1)]
                    expected.append(-p[after[0]])
                    lasting.append(-p[after].mean())
            outward = model.outward(streams, targets)
            torch.testing.assert_close(outward, torch.stack([torch.stack(expected).mean(), torch.stack(lasting).mean()]))
            together = model(ids, targets) + 0.5 * outward[0] + 0.25 * outward[1]
            torch.testing.assert_close(model(ids, targets, outward=0.5, lasting=0.25), together)

    def test_idle_neurons_are_told_how_far_below_the_cut_they_are(self):
        """At the positions where they are nearest to it; nothing else has a gradient."""
        generator = torch.Generator().manual_seed(5)
        x = torch.randn((2, 12, 6), generator=generator)
        x[..., 4], x[..., 5] = x[..., 4] - 20, x[..., 5] - 30
        x[0, 0] = -1.0  # nothing above 0 there: no bound, so the other positions of this part are asked,
        x[1, 9:] = -1.0  # and of the last part none
        x.requires_grad_()
        kept = topk_cut(x, 2, post="relu")
        loss = below_cut(x, kept)
        expected, at = 0.0, []
        rows, left = x.detach().flatten(0, 1), kept.detach().flatten(0, 1)
        for i in range(6):
            if (left[:, i] > 0).sum() > len(rows) / IDLE:
                continue
            for part in range(NEAREST):
                some = range(part * len(rows) // NEAREST, (part + 1) * len(rows) // NEAREST)
                gaps = {n: float((min(v for v in left[n] if v > 0) - rows[n, i]) / rows[n].pow(2).mean().sqrt()) if (left[n] > 0).any() else math.inf for n in some}
                nearest = min(gaps, key=gaps.get)
                if 0 < gaps[nearest] < math.inf:
                    expected += gaps[nearest] / NEAREST / 6
                    at.append((nearest, i))
        self.assertEqual({i for _, i in at}, {4, 5})
        self.assertEqual({n // 3 for n, _ in at}, set(range(NEAREST - 1)))
        self.assertAlmostEqual(float(loss.detach()), expected, places=5)
        loss.backward()
        self.assertEqual({tuple(n) for n in x.grad.flatten(0, 1).nonzero().tolist()}, set(at))
        self.assertLess(float(x.grad.max()), 1e-9)  # downhill is up
        model = TopKLM(CONFIG).init_weights(3)
        ids = torch.arange(16).view(2, 8)
        below = []
        model.stream(ids[:, :-1], idle=below)
        self.assertEqual([bool(b > 0) for b in below], [True, True, False])
        together = model(ids[:, :-1], ids[:, 1:]) + 0.5 * sum(below)
        torch.testing.assert_close(model(ids[:, :-1], ids[:, 1:], revive=0.5), together)

    def test_the_embedding_may_be_cut_too(self):
        cut = TopKLM(replace(CONFIG, topk_embed=True, topk_post="relu")).init_weights(3).eval()
        ids = torch.arange(10)[None]
        x = cut.embed(ids)
        self.assertEqual((x != 0).sum(-1).max(), 5)
        self.assertGreaterEqual(x.min(), 0)
        self.assertTrue(torch.equal(x, cut.model.embed_tokens(ids).relu() * (x != 0)))
        torch.testing.assert_close(Decoder(cut, 1).feed(ids), cut(ids)[:, -1], atol=1e-5, rtol=1e-4)
        self.assertEqual(config_of(hf_config(cut.config)), cut.config)
        with self.assertRaisesRegex(ValueError, "topk_embed needs topk_k"):
            replace(cut.config, topk_k=None)

    def test_config_round_trip(self):
        self.assertEqual(config_of(hf_config(CONFIG)), CONFIG)
        dense = replace(CONFIG, topk_k=None, n_nontopk=0)
        self.assertEqual(config_of(hf_config(dense)), dense)

    def test_a_config_json_that_this_code_does_not_compute_is_refused(self):
        table = hf_config(CONFIG)
        new = {key: value for key, value in table.items() if key != "rope_theta"}  # as transformers 5 writes it
        self.assertEqual(config_of(new | {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}).rope_theta, 500)
        for change, said in (
            ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": 500.0}}, "rope_parameters is {'rope_type': 'yarn'"),
            ({"rope_parameters": {"rope_theta": 500.0, "partial_rotary_factor": 0.5}}, "rope_parameters is"),
            ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is {'type': 'linear'"),
            ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
            ({"rope_theta": -1.0}, "rope_theta must be above 0"),
            ({"num_attention_heads": None}, "num_attention_heads must be there, as whole numbers from 1 on"),
        ):
            with self.subTest(said), self.assertRaisesRegex(ValueError, f"^x/config.json: .*{re.escape(said)}"):
                config_of(table | change, "x/config.json")

    def test_stored_weights(self):
        tensors = {"m": torch.randn(7, 9) * torch.logspace(-3, 2, 7)[:, None], "zero": torch.zeros(2, 3), "norm": torch.ones(4)}
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "w.safetensors"
            save_file(to_8bit(tensors), path)
            back = read_weights(path)
            half_step = tensors["m"].abs().amax(1) / 127 / 2
            self.assertTrue(((back["m"] - tensors["m"]).abs() <= half_step[:, None] * 1.001).all())
            self.assertTrue(torch.equal(back["zero"], tensors["zero"]) and torch.equal(back["norm"], tensors["norm"]))
            save_file(to_f16(tensors), path)
            self.assertTrue(torch.equal(read_weights(path)["m"], tensors["m"].half().float()))
        with self.assertRaisesRegex(ValueError, "m: a value does not fit"):
            to_f16({"m": torch.tensor([[1e6]])})

    def test_cached_decoding_equals_the_full_forward(self):
        model = TopKLM(CONFIG).init_weights(4).eval()
        ids = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            full = model(ids)
        decoder = Decoder(model, 3)
        decoder.feed(ids[:, :5])
        for at in range(5, 12):
            logits = decoder.feed(ids[:, at : at + 1])
            torch.testing.assert_close(logits, full[:, at], atol=1e-5, rtol=1e-4)

    def test_impossible_configs(self):
        for field, value in (("topk_k", 0), ("n_nontopk", 4), ("topk_select", "max"), ("topk_post", "gelu"), ("d_head", 7)):
            with self.assertRaisesRegex(ValueError, field):
                replace(CONFIG, **{field: value})


if __name__ == "__main__":
    unittest.main()
