"""modeling_topk.py, which runs our models in transformers: against the goldens, our own PyTorch model, the engine's command (where it is
built, or its path in TOPK_LM), and examples/python/hooks.py on top of it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_model

from topklm.export import MODELING, hf_config, load_model
from topklm.model import ModelConfig, TopKLM

os.environ["HF_HUB_OFFLINE"] = "1"  # folders only

try:
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
except ImportError:
    transformers = None

ROOT = Path(__file__).parents[2]
GOLDENS = ROOT / "tests/goldens"
SHIPPED = json.loads((GOLDENS / "shipped/shipped.json").read_text())
EDIT = {"layer": 1, "index": 296, "value": 18}


def binary():
    """The command: the newest that is built."""
    built = [path for path in (ROOT / "target" / kind / "topk-lm" for kind in ("release", "debug")) if path.exists()]
    return Path(os.environ["TOPK_LM"]) if "TOPK_LM" in os.environ else max(built, key=lambda path: path.stat().st_mtime, default=None)


def shipped_folders():
    """The model folders of the repository."""
    return [path.parent for path in sorted(ROOT.glob("models/*/config.json"))]


def load(folder, **options):
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, **options).eval()


def runs(folder, config):
    """The folder gets modeling_topk.py and a config.json that names its class."""
    config = config | {"auto_map": {"AutoModelForCausalLM": f"modeling_topk.TopK{config['architectures'][0]}"}}
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copyfile(MODELING, folder / MODELING.name)


def example():
    spec = importlib.util.spec_from_file_location("hooks_example", ROOT / "examples/python/hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@unittest.skipIf(transformers is None, "transformers is not installed")
class Modeling(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # transformers copies the code of a model folder into its cache.
        patch = mock.patch("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(self.folder / "cache"))
        patch.start()
        self.addCleanup(patch.stop)
        path = list(sys.path)
        self.addCleanup(lambda: sys.path.__setitem__(slice(None), path))
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()

    def golden(self, name):
        source, folder = GOLDENS / "models" / name, self.folder / name.replace("-", "_")
        shutil.copytree(source, folder)
        runs(folder, json.loads((source / "config.json").read_text()))
        return load(folder, dtype=torch.float32), json.loads((source / "golden.json").read_text())["runs"][0]

    def test_shipped_folders_hold_the_same_file(self):
        self.assertGreater(len(shipped_folders()), 0)
        for folder in shipped_folders():
            self.assertEqual((folder / MODELING.name).read_bytes(), MODELING.read_bytes(), f"copy {MODELING} into {folder}")
            config = json.loads((folder / "config.json").read_text())
            self.assertEqual(config["auto_map"], {"AutoModelForCausalLM": f"modeling_topk.TopK{config['architectures'][0]}"})

    def test_ranking(self):
        spec = importlib.util.spec_from_file_location("modeling_topk", MODELING)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        checked = 0
        for case in json.loads((GOLDENS / "topk_vectors.json").read_text())["cases"]:
            x = torch.from_numpy(np.array(case["input"], dtype=np.uint32).view(np.float32))
            if 0 < case["k"] <= len(x):
                indices = module.topk_select(x, case["k"], case["select"]).tolist()
                self.assertEqual(indices, case["indices"], case["name"])
                self.assertEqual(module.topk_select(x.double(), case["k"], case["select"]).tolist(), indices, case["name"])
                checked += 1
        self.assertGreater(checked, 20)
        half = torch.tensor([[1.0, -0.0, 0.0, float("nan"), 1.0, -7.0]], dtype=torch.bfloat16)
        self.assertEqual(module.topk_select(half, 5).tolist(), [[3, 0, 4, 1, 2]])
        self.assertEqual(module.topk_select(half.half(), 5, "abs").tolist(), [[3, 5, 0, 4, 1]])
        x = torch.tensor([[3.0, -1.0, 2.0, -5.0]], requires_grad=True)
        module.TopK(3, "value", "relu")(x).sum().backward()
        self.assertEqual(x.grad.tolist(), [[1.0, 0.0, 1.0, 0.0]])

    def test_goldens_of_every_architecture(self):
        seen = set()
        for source in sorted((GOLDENS / "models").iterdir()):
            # 8-bit rows with scales are our own format; for 4 bits transformers needs packages that we do not install.
            if source.name in ("llama-i8", "llama-gptq", "qwen2-awq"):
                continue
            model, base = self.golden(source.name)
            seen.add(model.config.model_type)
            tensors = load_file(source / "golden.safetensors")
            with torch.no_grad():
                out = model(torch.tensor([base["ids"]]), output_hidden_states=True)
            np.testing.assert_allclose(out.logits[0, base["logits_from"] :], tensors["base/logits"], atol=1e-4, err_msg=source.name)
            for layer, x in enumerate(out.hidden_states[1:-1]):  # the last one is behind the final norm
                expected = tensors[f"base/blocks.{layer}.hook_resid_post"]
                np.testing.assert_allclose(x[0], expected, atol=1e-4, err_msg=f"{source.name} layer {layer}")
        self.assertEqual(len(seen), 9, seen)

    def test_our_own_model(self):
        shape = {"d_vocab": 50, "d_model": 24, "n_layers": 3, "n_heads": 2, "d_head": 8, "d_mlp": 16, "n_ctx": 20, "topk_k": 5}
        base = ModelConfig(**shape, n_nontopk=1)
        ids = torch.arange(10)[None]
        for name, config in (("plain", base), ("embed", replace(base, topk_embed=True, topk_post="relu", topk_select="abs", tied=False))):
            own = TopKLM(config).init_weights(3).eval()
            folder = self.folder / name
            folder.mkdir()
            runs(folder, hf_config(config))
            save_model(own, str(folder / "model.safetensors"), metadata={"format": "pt"})
            model = load(folder)
            with torch.no_grad():
                torch.testing.assert_close(model(ids).logits, own(ids), atol=1e-4, rtol=1e-4)
            model.save_pretrained(self.folder / f"{name}_again")  # with its code
            with torch.no_grad():
                self.assertTrue(torch.equal(load(self.folder / f"{name}_again")(ids).logits, model(ids).logits))

    def test_8_bit_weights_are_widened(self):
        stored = [folder for folder in shipped_folders() if any(name.endswith(".scale") for name in load_file(folder / "model.safetensors"))]
        if not stored:
            self.skipTest("no model in models/ has 8-bit weights")
        for folder in stored:
            ids = torch.arange(1, 41)[None]
            with torch.no_grad():
                ours = load_model(folder)(ids)
                torch.testing.assert_close(load(folder)(ids).logits, ours, atol=1e-3, rtol=0)
            told = json.loads((folder / "generation_config.json").read_text())
            generation = load(folder).generation_config
            self.assertEqual((generation.do_sample, generation.temperature), (told["do_sample"], told["temperature"]))

    def test_8_bit_weights_that_are_not_widened_are_refused(self):
        """As by the name of a hub, what transformers looks up by itself."""
        spec = importlib.util.spec_from_file_location("modeling_topk", MODELING)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        shutil.copytree(GOLDENS / "models/llama-i8", self.folder / "all/llama")
        self.assertRaisesRegex(ValueError, "8-bit weights.* download it", module.TopKLlamaForCausalLM.from_pretrained, self.folder / "all", subfolder="llama")
        shutil.copytree(GOLDENS / "models/llama-gqa", self.folder / "all/wide")
        _, info = module.TopKLlamaForCausalLM.from_pretrained(self.folder / "all", subfolder="wide", output_loading_info=True)
        self.assertEqual(len(info["unexpected_keys"]), 0)

    def test_8_bit_weights_as_each_architecture_stores_them(self):
        """GPT-2 stores what is in its blocks as [in, out], all else is [out, in]: the scales are of the outputs."""
        for source in (GOLDENS / "models" / name for name in ("gpt2", "gpt-neo", "llama-gqa")):
            folder, stored, meant = self.folder / f"{source.name}-int8".replace("-", "_"), {}, {}
            shutil.copytree(source, folder)
            runs(folder, json.loads((source / "config.json").read_text()))
            for name, x in load_file(source / "model.safetensors").items():
                stored[name] = meant[name] = x
                if x.ndim == 2 and ("c_attn" in name or "mlp" in name):
                    inputs = 0 if source.name == "gpt2" else 1
                    scale = np.abs(x).max(axis=inputs) / 127
                    wide = np.expand_dims(scale, inputs)
                    stored |= {name: np.round(x / wide).astype(np.int8), f"{name}.scale": scale}
                    meant[name] = stored[name] * wide
            self.assertTrue(any(x.dtype == np.int8 and x.shape[0] != x.shape[1] for x in stored.values()), source.name)
            save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
            own = load(folder).state_dict()
            for name, x in meant.items():
                if name in own:
                    np.testing.assert_array_equal(own[name], x.astype(np.float32), err_msg=name)

    def test_a_config_that_means_nothing_is_refused(self):
        source = GOLDENS / "models/llama-gqa"
        config = json.loads((source / "config.json").read_text())
        wrong = {"topk_k": (0, "5", True), "n_nontopk": (-1, 5), "topk_select": ("top",), "topk_post": ("gelu",)}
        shutil.copytree(source, self.folder / "wrong")
        for key, values in wrong.items():
            for value in values:
                runs(self.folder / "wrong", config | {key: value})
                with self.assertRaisesRegex(ValueError, f"config.json: {key} must be .* not {value!r}"):
                    load(self.folder / "wrong")

    def test_the_shipped_model_writes_what_the_engine_writes(self):
        folder = ROOT / "models/Llama-TopK-Stories-16M"  # whose goldens shipped.json holds
        if not folder.exists():
            self.skipTest(f"models/{folder.name} is not there")
        model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
        self.assertEqual(model.dtype, torch.float32)
        self.assertEqual((tokenizer.bos_token_id, tokenizer.eos_token_id), (0, 0))
        self.assertEqual(tokenizer.decode(tokenizer("A dog , he said").input_ids, skip_special_tokens=True), "A dog , he said")
        greedy = [case for case in SHIPPED["greedy"] if case["prompt"]][0]
        inputs = tokenizer(greedy["prompt"], return_tensors="pt")
        self.assertEqual(inputs.input_ids[0].tolist(), greedy["prompt_ids"])
        # Without a stop at eos, as the golden was made; the last token would be behind the context.
        wanted = greedy["ids"][:64]
        for cached in (True, False):
            settings = GenerationConfig(do_sample=False, max_new_tokens=len(wanted), use_cache=cached, pad_token_id=0)
            ids = model.generate(**inputs, generation_config=settings)[0].tolist()
            self.assertEqual(ids, greedy["prompt_ids"] + wanted)

        hooks = example()
        logits, cache = hooks.run_with_cache(model, **inputs)
        k, last = model.config.topk_k, model.config.num_hidden_layers - 1
        for layer in range(last):
            state = cache[f"blocks.{layer}.hook_resid_post"]
            active = (state != 0).sum(-1)  # ReLU behind TopK may leave fewer than k
            self.assertTrue(0 < active.min() and active.max() <= k, active)
            self.assertTrue(torch.equal(state, cache[f"blocks.{layer}.hook_topk_out"]))
            self.assertGreater((cache[f"blocks.{layer}.hook_topk_in"] != 0).sum(-1).min(), k)
        self.assertGreater((cache[f"blocks.{last}.hook_resid_post"] != 0).sum(-1).min(), k)

        if binary() is None:
            self.skipTest("the logits were not compared with the engine's: build it (cargo build --release --bin topk-lm)")
        for edit, site in ((None, None), (EDIT, "topk_out"), (EDIT, "topk_in")):
            found, kept = hooks.run_with_cache(model, **inputs) if edit is None else self.edited(hooks, model, inputs, site)
            engine = self.engine(folder, greedy["prompt_ids"], edit, site)
            # The engine's CPU rounds what meets 8-bit weights to 15 bits. A neuron that this lets in moves the logits by more; these texts have none.
            np.testing.assert_allclose(found[0], engine["logits"], atol=2e-2)
            name = f"blocks.{EDIT['layer']}.hook_resid_post"
            np.testing.assert_allclose(kept[name][0], engine[name], atol=5e-3)

    def edited(self, hooks, model, inputs, site):
        with hooks.edited(model, **EDIT, site=site):
            return hooks.run_with_cache(model, **inputs)

    def engine(self, folder, ids, edit, site):
        out = self.folder / "run.safetensors"
        arguments = ["--backend", "cpu", "--model", folder, "--ids", ",".join(map(str, ids)), "--out", out]
        arguments += ["--hook", f"blocks.{EDIT['layer']}.hook_resid_post"]
        if edit is not None:
            fields = {**edit, "action": "clamp", "site": site}
            arguments += ["--edit", ",".join(f"{key}={value}" for key, value in fields.items())]
        subprocess.run([binary(), "run", *map(str, arguments)], check=True, capture_output=True)
        return load_file(out)


if __name__ == "__main__":
    unittest.main()
