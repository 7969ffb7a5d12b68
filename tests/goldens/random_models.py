"""Random models in the command and in transformers: `python tests/goldens/random_models.py --command target/debug/topk-lm`.

Each seed is a configuration of one of the architectures (sizes, RoPE, windows, norms, activations, keys that are absent), weights as `weights.py` draws
them, ids, edits and, in a third of the cases, sparse autoencoders. Logits and hooks of `topk-lm run` are compared with the reference in f64. A seed that differs is
printed with all that makes it; `--seed N --count 1` runs it again. Ends with 1 if there was one.

Weights are in floating point: with 8 and 4 bits the CPU rounds the inputs of products too (docs/semantics.md, "What is exact, what is near").
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers.utils import logging

from make import load_reference
from sae import Attached, Sae
from sae_specs import sae, write_sae
from specs import edit, gemma, gpt2, gpt_neo, gpt_neox, like_llama, llama
from weights import write_folder

ACTIVATIONS = ["silu", "swish", "gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu"]
KINDS = ["full_attention", "sliding_attention"]
WINDOWS = [1, 2, 3, 5, 9, 16, 40, 1000]
# Relative to the root mean square of what is compared.
TOLERANCE = 3e-4
# Two sums so near at the cut may change places by rounding.
NEAR = 1e-3


class Draw(random.Random):
    """Random choices of one seed."""

    def often(self, share, **keys):
        """The keys, each with one of its values, in so many cases; else none of them."""
        return {key: self.choice(values) for key, values in keys.items()} if self.random() < share else {}

    def sizes(self):
        heads, d_head = 1, 2
        while heads * d_head < 8:  # norms of a few numbers magnify every rounding
            heads, d_head = self.choice([1, 2, 3, 4, 5, 8]), self.choice([2, 4, 6, 8, 10, 16, 24, 32])
        return {
            "heads": heads,
            "d_head": d_head,
            "d": heads * d_head,
            "layers": self.randint(1, 5),
            "mlp": self.choice([8, 33, 64, 71, 128, 200]),
            "vocab": self.choice([17, 64, 97, 128, 300, 513]),
            "ctx": self.choice([16, 24, 40, 64, 100, 130, 600]),
        }

    def topk(self, d, layers):
        """k, or None for a dense model, and the keys beside it."""
        if self.random() < 0.4:
            return None, {}
        k = self.randint(1, d) if self.random() < 0.9 else d + 3
        keys = {"n_nontopk": self.randint(0, layers)}
        return k, keys | self.often(0.5, topk_select=["value", "abs"]) | self.often(0.5, topk_post=["identity", "relu"])

    def rope(self):
        """RoPE as transformers 4 or 5 writes it."""
        theta = self.choice([None, 37.5, 100.0, 500.0, 10000.0, 1000000.0])
        kind = self.choice([None, "default", "linear", "llama3"])
        scaling = {} if kind is None else {"rope_type": kind}
        if kind == "linear":
            scaling["factor"] = self.choice([0.5, 1.5, 2.0, 8.0])
        if kind == "llama3":
            scaling |= {
                "factor": self.choice([2.0, 8.0, 32.0]),
                "low_freq_factor": self.choice([0.5, 1.0]),
                "high_freq_factor": self.choice([2.0, 4.0]),
                "original_max_position_embeddings": self.choice([8, 16, 32, 64, 8192]),
            }
        if self.random() < 0.5:
            return {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": theta or 10000.0} | scaling}
        if scaling and self.random() < 0.3:
            scaling["type"] = scaling.pop("rope_type")
        return {"rope_theta": theta, "rope_scaling": scaling or None}

    def layer_types(self, layers):
        return [self.choice(KINDS) for _ in range(layers)]

    def config(self):
        return self.choice([self.llama, self.mistral, self.qwen, self.gemma, self.gpt2, self.gpt_neo, self.gpt_neox])()

    def llama_sizes(self, d_of_its_own):
        s = self.sizes()
        own = {
            "max_position_embeddings": s["ctx"],
            "num_key_value_heads": self.choice([n for n in range(1, s["heads"] + 1) if s["heads"] % n == 0]),
            "rms_norm_eps": self.choice([1e-3, 1e-5, 1e-6, 1e-8, 1e-12]),
            "tie_word_embeddings": self.choice([True, False]),
        }
        if d_of_its_own:
            # transformers wants a width that the heads divide, and does not use that.
            own["head_dim"] = self.choice([2, 4, 6, 8, 10, 16, 24, 32, 40])
            s["d"] = s["heads"] * self.choice([8, 11, 16, 21])
        return s, own

    def llama(self):
        s, own = self.llama_sizes(self.random() < 0.5)
        k, topk = self.topk(s["d"], s["layers"])
        own |= self.rope() | topk | {"hidden_act": self.choice([None, *ACTIVATIONS])}
        own |= self.often(0.5, attention_bias=[True, False]) | self.often(0.5, mlp_bias=[True, False])
        return llama(s["d"], s["layers"], s["heads"], s["mlp"], s["vocab"], k, **own)

    def mistral(self):
        s, own = self.llama_sizes(self.random() < 0.5)
        k, topk = self.topk(s["d"], s["layers"])
        own |= self.rope() | topk | {"hidden_act": self.choice([None, *ACTIVATIONS]), "sliding_window": self.choice([None, *WINDOWS])}
        own |= self.often(0.2, layer_types=[self.layer_types(s["layers"])])  # not heeded
        return like_llama("MistralForCausalLM", "mistral", s["d"], s["layers"], s["heads"], s["mlp"], s["vocab"], k, **own)

    def qwen(self):
        version = self.choice([2, 3])
        s, own = self.llama_sizes(version == 3)
        k, topk = self.topk(s["d"], s["layers"])
        own |= self.rope() | topk | {"hidden_act": self.choice(ACTIVATIONS)}
        if self.random() < 0.6:
            own |= {
                "use_sliding_window": self.random() < 0.7,
                "sliding_window": self.choice(WINDOWS),
                "max_window_layers": self.randint(0, s["layers"] + 1),
            }
            if own["use_sliding_window"] and self.random() < 0.5:
                own["layer_types"] = self.layer_types(s["layers"])
        if version == 3:
            own |= self.often(0.5, attention_bias=[True, False])
        return like_llama(f"Qwen{version}ForCausalLM", f"qwen{version}", s["d"], s["layers"], s["heads"], s["mlp"], s["vocab"], k, **own)

    def gemma(self):
        version = self.choice([2, 3])
        s, own = self.llama_sizes(True)
        k, topk = self.topk(s["d"], s["layers"])
        own |= topk | {
            "query_pre_attn_scalar": self.choice([1, 8, 24, 100, 256]),
            "sliding_window": self.choice(WINDOWS),
            "hidden_activation": self.choice(ACTIVATIONS),
        }
        own |= self.often(0.5, final_logit_softcapping=[2.0, 8.0, 30.0]) | self.often(0.4, attention_bias=[True, False])
        if self.random() < 0.4:
            own["layer_types"] = self.layer_types(s["layers"])
        if version == 2:
            own |= self.rope() | self.often(0.5, attn_logit_softcapping=[1.0, 3.0, 50.0])
        elif self.random() < 0.5:
            full = self.choice([{"rope_type": "default"}, {"rope_type": "linear", "factor": 2.0}])
            own["rope_parameters"] = {
                "full_attention": full | {"rope_theta": self.choice([200.0, 1e6])},
                "sliding_attention": {"rope_type": "default", "rope_theta": self.choice([50.0, 10000.0])},
            }
        else:
            own |= self.often(0.5, rope_theta=[77.0, 5000.0]) | self.often(0.5, rope_local_base_freq=[100.0, 1000.0])
            own |= self.often(0.5, rope_scaling=[{"rope_type": "linear", "factor": factor} for factor in (2.0, 8.0)])
            if "layer_types" not in own:
                own |= self.often(0.6, sliding_window_pattern=[1, 2, 3, 4])
        return gemma(version, s["d"], s["layers"], s["heads"], s["mlp"], s["vocab"], k, **own)

    def gpt_keys(self, eps):
        s = self.sizes()
        k, topk = self.topk(s["d"], s["layers"])
        own = topk | {"tie_word_embeddings": self.choice([True, False]), eps: self.choice([1e-3, 1e-5, 1e-8, 1e-12])}
        return s, k, own

    def gpt2(self):
        s, k, own = self.gpt_keys("layer_norm_epsilon")
        own |= {"n_positions": s["ctx"], "activation_function": self.choice(ACTIVATIONS)} | self.often(0.7, n_inner=[s["mlp"]])
        for key in ("scale_attn_by_inverse_layer_idx", "scale_attn_weights", "reorder_and_upcast_attn"):
            own |= self.often(0.4, **{key: [True, False]})
        return gpt2(s["d"], s["layers"], s["heads"], s["vocab"], k, **own)

    def gpt_neo(self):
        s, k, own = self.gpt_keys("layer_norm_epsilon")
        own |= {"max_position_embeddings": s["ctx"], "activation_function": self.choice(ACTIVATIONS)}
        own |= self.often(0.7, intermediate_size=[s["mlp"]])
        types, left = [], s["layers"]
        while left > 0:
            kinds = [self.choice(["global", "local"]) for _ in range(self.randint(1, min(2, left)))]
            times = self.randint(1, left // len(kinds))
            types.append([kinds, times])
            left -= times * len(kinds)
        own["attention_types"] = types
        return gpt_neo(s["d"], s["layers"], s["heads"], s["vocab"], self.choice(WINDOWS), k, **own)

    def gpt_neox(self):
        s, k, own = self.gpt_keys("layer_norm_eps")
        own |= {"max_position_embeddings": s["ctx"], "hidden_act": self.choice(ACTIVATIONS)}
        own |= {"use_parallel_residual": self.choice([True, False, None])} | self.often(0.4, attention_bias=[True, False])
        rotated = [share for share in (0.25, 0.3, 0.5, 0.75, 1.0) if int(s["d_head"] * share) in range(2, 64, 2)]
        if self.random() < 0.5:
            own |= {"rotary_pct": self.choice(rotated), "rotary_emb_base": self.choice([100, 500, 10000])}
            own |= self.often(0.4, rope_scaling=[{"type": "linear", "factor": factor} for factor in (0.5, 2.0)])
        else:
            rope = {"rope_type": "default", "rope_theta": self.choice([100.0, 10000.0]), "partial_rotary_factor": self.choice(rotated)}
            own |= {"rotary_pct": None, "rotary_emb_base": None, "rope_parameters": rope}
        return gpt_neox(s["d"], s["layers"], s["heads"], s["mlp"], s["vocab"], k, **own)

    def edits(self, d, layers, ctx):
        return [self.edit(d, layers, ctx) for _ in range(self.choice([0, 0, 1, 2, 4]))]

    def edit(self, d, layers, ctx):
        action = self.choice(["add", "scale", "clamp", "ablate"])
        value = None if action == "ablate" else self.choice([-2.0, 0.0, 0.5, 1.25, 3.0])
        start = self.randrange(ctx)
        positions = self.choice(["all", "prompt", "generated", (start, self.randint(start + 1, ctx))])
        site, propagate = self.choice(["topk_in", "topk_out"]), self.choice(["layer", "from_layer"])
        return edit(self.randrange(layers), self.randrange(d), action, value, site, positions, propagate)

    def saes(self, layers, parallel):
        """By hook, the spec of an autoencoder and whether its error is kept."""
        if self.random() < 2 / 3:
            return {}
        parts = ["hook_resid_pre", "hook_resid_post", "hook_mlp_out", "attn.hook_z"] + ([] if parallel else ["hook_resid_mid"])
        # The stream in front of a block is the one behind the last: one place, and one autoencoder in it.
        places = {}
        for _ in range(self.randint(1, 3)):
            layer, part = self.randrange(layers), self.choice(parts)
            places[(layer - 1, "hook_resid_post") if part == "hook_resid_pre" else (layer, part)] = f"blocks.{layer}.{part}"
        return {hook: (self.sae(hook), self.random() < 0.5) for hook in sorted(places.values())}

    def sae(self, hook):
        architecture, d_sae = self.choice(["standard", "topk", "jumprelu", "matching_pursuit"]), self.choice([3, 16, 40, 77, 130])
        threshold = self.choice(["one", "each"]) if architecture == "jumprelu" else None
        cfg = {"apply_b_dec_to_input": self.random() < 0.6, "normalize_activations": self.choice(["none", "none", "layer_norm", "constant_norm_rescale"])}
        if hook.endswith("hook_z"):
            cfg["reshape_activations"] = "hook_z"
        if architecture == "topk":
            cfg |= {"k": self.randint(1, d_sae - 1)} | self.often(0.5, rescale_acts_by_decoder_norm=[True, False])
        if architecture == "matching_pursuit":
            cfg |= {"residual_threshold": self.choice([0.0, 0.5, 1.5]), "max_iterations": self.randint(1, min(8, d_sae))}
            cfg["stop_on_duplicate_support"] = self.random() < 0.5
        return sae("random", hook, architecture, d_sae, threshold=threshold, **cfg)


def with_saes(draw, reference, folder, ids, seed):
    """By hook: the autoencoder, the word that attaches it to the command, whether its error is kept, and an edit of one of its features or none."""
    specs, values, found = draw.saes(len(reference.blocks), reference.parallel), {}, {}

    def keep(hook):
        def splice(x):
            values[hook] = x.copy()
            return x

        return splice

    if specs:
        reference.run(ids, splices={hook: keep(hook) for hook in specs})
    for number, (hook, (spec, error_term)) in enumerate(specs.items()):
        path = folder / f"sae{number}"
        path.mkdir()
        write_sae(path, spec, (seed + number) % 2**31, values[hook])
        changed = draw.edit(spec["d_sae"], 1, len(ids))
        changed = {"sae": hook} | {key: changed[key] for key in ("index", "action", "value", "positions") if key in changed}
        found[hook] = Sae(path), f"{path},error=keep" if error_term else path, error_term, [changed] if draw.random() < 0.5 else []
    return found


def run_of(model, ids, prompt_len, edits, saes, hooks="none"):
    splices = {hook: Attached(found, own, error_term, prompt_len) for hook, (found, _, error_term, own) in saes.items()}
    run = model.run(ids, edits, prompt_len, hooks, splices=splices)
    for hook, splice in splices.items():
        run.hooks |= {name: value for name, value in splice.hooks.items() if name.endswith(("acts_post", "recons"))}
        if hook.endswith("hook_resid_pre"):
            run.hooks.pop(f"blocks.{int(hook.split('.')[1]) - 1}.hook_resid_post", None)  # the command gives the same place's, behind the autoencoder
    return run


def spelled(an_edit):
    """An edit as the command takes it."""
    parts = [f"{key}={value}" for key, value in an_edit.items() if key != "positions"]
    positions = an_edit["positions"]
    return ",".join([*parts, f"positions={positions}" if isinstance(positions, str) else f"positions={positions['from']}..{positions['to']}"])


def distance(ours, theirs):
    """The largest difference, in root mean squares of theirs."""
    theirs = theirs.astype(np.float64)
    return float(np.abs(ours - theirs).max() / max(np.sqrt(np.mean(theirs**2)), 1e-9))


def compared(seed, args, folder):
    """None where command and reference agree; else what is wrong, in one line."""
    draw = Draw(seed)
    spec = {"config": draw.config(), "dtype": draw.choice(["f32", "f32", "f16", "bf16"])}
    config = spec["config"]
    if config["model_type"] == "llama" and draw.random() < 0.15:
        spec["tensors"] = "sharded"
    reference = load_reference(folder, spec, write_folder(folder, spec, seed % 2**31))
    theirs = reference.model.config
    layers, ctx = theirs.num_hidden_layers, theirs.max_position_embeddings
    length = draw.choice([1, 2, draw.randint(1, min(ctx, 40)), min(ctx, 140)])
    ids = [draw.randrange(theirs.vocab_size) for _ in range(length)]
    prompt_len, edits = draw.randint(1, length), draw.edits(theirs.hidden_size, layers, ctx)
    saes = with_saes(draw, reference, folder, ids, seed)
    hooks = "all" if draw.random() < 0.25 and not saes else "resid_post"
    run = run_of(reference, ids, prompt_len, edits, saes, hooks)
    twin = reference.in_float64()
    for module in twin.model.modules():
        if hasattr(module, "reorder_and_upcast_attn"):
            module.reorder_and_upcast_attn = False  # the same sums, which transformers cannot do in f64
    exact = run_of(twin, ids, prompt_len, edits, saes, hooks)
    if not all(np.isfinite(value).all() for value in (exact.logits, *exact.hooks.values())):
        return None  # an autoencoder that divides by the length of an empty row

    out = folder / "out.safetensors"
    command = [args.command, "run", "--model", folder, "--backend", args.backend, "--threads", draw.choice([1, 2]), "--out", out]
    command += ["--ids", ",".join(map(str, ids)), "--prompt-len", prompt_len]
    command += [word for _, attached, _, _ in saes.values() for word in ("--sae", attached)]
    edits = edits + [an_edit for *_, own in saes.values() for an_edit in own]
    command += [word for an_edit in edits for word in ("--edit", spelled(an_edit))]
    command += [word for hook in run.hooks for word in ("--hook", hook)]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ | {"NODEVICE_SELECT": "1"})
    facts = f"{json.dumps(config)} {spec['dtype']} ids {ids} prompt {prompt_len} edits {json.dumps(edits)}"
    facts += "".join(f" {found.cfg}" for found, *_ in saes.values())
    if result.returncode != 0:
        return f"{result.stderr.strip()} · {facts}"
    ours = load_file(out)
    if min(run.min_gap(), *(found.margin for found, *_ in saes.values()), 1) < NEAR and distance(ours["logits"], exact.logits) > TOLERANCE:
        return None  # another neuron at the cut may be as right
    far = {"logits": (ours["logits"], run.logits, exact.logits)} | {name: (ours[name], value, exact.hooks[name]) for name, value in run.hooks.items()}
    far = {name: (distance(mine, theirs), distance(plain, theirs)) for name, (mine, plain, theirs) in far.items()}
    far = {name: pair for name, pair in far.items() if not pair[0] <= TOLERANCE + 10 * pair[1]}
    first = ", ".join(f"{name} by {mine:.1e} (the reference in f32 by {plain:.1e})" for name, (mine, plain) in list(far.items())[:4])
    return f"differs in {first} · {facts}" if far else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--command", default="target/debug/topk-lm", metavar="FILE", help="the command topk-lm (default: %(default)s)")
    parser.add_argument("--backend", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the first (default: %(default)s)")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="how many models (default: %(default)s)")
    args = parser.parse_args()
    if not Path(args.command).is_file():
        parser.error(f"--command: there is no file {args.command}; `cargo build` makes target/debug/topk-lm")
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    bad = 0
    for seed in range(args.seed, args.seed + args.count):
        with tempfile.TemporaryDirectory() as folder:
            wrong = compared(seed, args, Path(folder))
        if wrong is not None:
            bad += 1
            print(f"seed {seed}: {wrong}", flush=True)
    print(f"{args.count} random models, of which {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
