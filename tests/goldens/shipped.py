"""Makes shipped/, expected results on the shipped model: `python shipped.py [MODEL_FOLDER]`.

On a trained model of this width some of a thousand rows always come close to another choice of active neurons, so
margins like those of make.py do not exist. Instead a continuation is kept only if its tokens stand whatever the
rounding: f32 with a cache, f32 and f64 in one pass, and 16 passes with noise of 1e-5 (more than another order of
summation makes) on every sum before its cut all give the same tokens, each by at least 1e-3. The first
of those that do are kept.

The weights are 8-bit, and the engine's CPU backend rounds the inputs of their products to 15 bits (docs/files.md); behind a TopK block it
computes gate and up from the sparse stream and from the attention's heads apart (crate/src/ops/mlp_in.rs). So everything is
computed twice: with inputs as they are (the GPU) and as the CPU takes them. A continuation has to stand in both.

`shipped.json`
    format          1
    weights_sha256  of the model.safetensors this was made with
    greedy          list of continuations to the context's end (P prompt ids give n_ctx - P + 1 new ones; eos is not
                    heeded):
      prompt        text, or null where the prompt is a single id and not a text ("--ids")
      prompt_ids    with the beginning-of-text id that tokenizer.json puts in front of a text
      ids           the new tokens by argmax
      top2_gap      top-1 minus top-2 logit for each new token, f32
      topk_gap      smallest TopK gap of all blocks for each position, n_ctx of them
      lead          the smallest lead of any of these tokens over its runner-up in all those passes
    forced          about forced.safetensors: tokens, chunks, sampling seed, and the share of the top-1 ids that
                    PyTorch keeps in f64 and with that noise: what another correct implementation can expect to reach;
                    and with rounded inputs
`forced.safetensors`: 10,000 tokens sampled from the model itself, each chunk beginning with id 0
    starts          u32 [chunks + 1]: chunk i is ids[starts[i]..starts[i + 1]], run by itself from position 0
    ids, top1       u32 [10000]: the tokens, and the argmax of the logits at each
    top2_gap, topk_gap  f32 [10000]: as above
    rounded.top1, rounded.top2_gap, rounded.topk_gap  the same with rounded inputs
    rounded.other   u32 [10000]: the argmax that most of those of 24 passes with noise give that do not give rounded.top1; that one, where all
                    do. A sum that lies next to half a step is rounded to either side: that moves the logits by 2e-3 and now and then a neuron.
"""

import hashlib
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from reference import Reference

HERE = Path(__file__).parent
NOISE, NOISE_SEEDS, MIN_LEAD, KEEP, SEED, TOKENS = 1e-5, 16, 1e-3, 4, 7, 10_000
ROUNDED_SEEDS = 24
# Beginnings that are tried, in this order, until KEEP of them are stable. A text has the beginning-of-text id in front of it; a
# prompt of one id, which leaves room for n_ctx new tokens, is therefore given as that id.
PROMPTS = [
    "In a small house",
    "The wind blew",
    "Two little birds",
    "Sara and her brother",
    "The happy duck",
    "Tim went to the park",
    "Once upon a time",
    "One day, a boy named Leo",
    "The old man",
    "Lily had a red ball",
    "There was a cat",
    "It was a sunny day",
    "Ben and Mia",
    "The king",
    "A big dog",
    "In the forest",
]
SINGLE_IDS = range(257, 277)


class Noisy(Reference):
    """The reference with noise on every sum before its cut."""

    rng = None

    def _after_block(self, layer, out):
        if self.rng is not None and layer < self.n_cut:
            out = out + NOISE * torch.from_numpy(self.rng.standard_normal(out.shape).astype(np.float32))
        return super()._after_block(layer, out)

    def noisy(self, seed, ids):
        self.rng = np.random.RandomState(seed)
        run = self.run(ids, hooks="none")
        self.rng = None
        return run


LARGEST = 16_383.0


def rounded(x):
    """Inputs [..., n] of a product with 8-bit weights, each row rounded to 15 bits, as crate/src/numerics/int8.rs does it."""
    scale = LARGEST / x.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return (x * scale).round() / scale


def shipped(folder):
    """The model in f32, and the names of its 8-bit matrices."""
    raw = load_file(folder / "model.safetensors")
    stored = {name for name in raw if f"{name}.scale" in raw}
    tensors = {
        name: torch.from_numpy(value.astype(np.float32) * (raw[f"{name}.scale"][:, None] if name in stored else np.float32(1)))
        for name, value in raw.items()
        if not name.endswith(".scale")
    }
    config = LlamaConfig.from_pretrained(folder, attn_implementation="eager")
    model = LlamaForCausalLM(config).float()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and (not missing or (missing == ["lm_head.weight"] and config.tie_word_embeddings)), (missing, unexpected)
    return model, stored


def split_mlp(layer):
    """Lets gate and up of a layer be computed as mlp_in.rs does: from its sparse input x and from the heads a, not from norm(x + a·O)."""
    seen, norm, out = {}, layer.post_attention_layernorm, layer.self_attn.o_proj

    def see(name, of=lambda value: value):
        return lambda _module, args, kwargs: seen.__setitem__(name, of(args[0] if args else kwargs["hidden_states"]))

    layer.register_forward_pre_hook(see("x"), with_kwargs=True)
    out.register_forward_pre_hook(see("a"), with_kwargs=True)
    scale = see("scale", lambda mid: torch.rsqrt(mid.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon))
    norm.register_forward_pre_hook(scale, with_kwargs=True)
    small = rounded(out.weight.T * norm.weight)
    for module in (layer.mlp.gate_proj, layer.mlp.up_proj):
        product = small @ module.weight.T

        def split(module, _args, _output, product=product):
            gathered = rounded(norm.weight * (seen["x"] * seen["scale"])) @ module.weight.T
            return gathered + seen["scale"] * (seen["a"] @ product)

        module.register_forward_hook(split)


def with_rounded_inputs(model, stored, n_topk):
    """A copy whose 8-bit matrices take rounded inputs; the blocks behind the first `n_topk` have a sparse input."""
    copy = LlamaForCausalLM(model.config).float().requires_grad_(False)
    copy.load_state_dict(model.state_dict())
    for layer in copy.model.layers[1 : 1 + n_topk]:
        split_mlp(layer)
    for name, module in copy.named_modules():
        if isinstance(module, torch.nn.Linear) and f"{name}.weight" in stored:
            module.register_forward_pre_hook(lambda _m, args: (rounded(args[0]),))
    return copy


def lead(logits, ids):
    """The smallest lead of ids [T] over the best other token of each row of logits [T, V]; negative where they lose."""
    rows = np.arange(len(ids))
    others = logits.copy()
    others[rows, ids] = -np.inf
    return float((logits[rows, ids] - others.max(axis=-1)).min())


def row_gaps(run):
    """The smallest TopK gap over the blocks, [T]."""
    return np.minimum.reduce(list(run.gaps.values()))


def numbers(xs):
    return [float(f"{x:.4g}") for x in xs]


def continuation(reference, twin, on_cpu, prompt, prompt_ids, n_ctx):
    """The record of one prompt, or None where the tokens depend on rounding."""
    new, _, _ = reference.greedy(prompt_ids, n_ctx - len(prompt_ids) + 1)
    ids, first = prompt_ids + new[:-1], len(prompt_ids) - 1
    whole = reference.run(ids, hooks="none")
    worst = np.inf
    first_run = (lambda: whole, lambda: twin.run(ids, hooks="none"), lambda: on_cpu.run(ids, hooks="none"))
    for run in (*first_run, *noisy_runs(reference, ids), *noisy_runs(on_cpu, ids)):
        worst = min(worst, lead(run().logits[first:], new))
        if worst < MIN_LEAD:
            return None
    return {
        "prompt": prompt,
        "prompt_ids": prompt_ids,
        "ids": new,
        "top2_gap": numbers(whole.top2_gap()[first:]),
        "topk_gap": numbers(row_gaps(whole)),
        "lead": worst,
    }


def noisy_runs(reference, ids):
    return [lambda seed=seed: reference.noisy(seed, ids) for seed in range(NOISE_SEEDS)]


def sample(reference, n, rng):
    """n tokens, the first id 0, the others drawn at temperature 1."""
    ids, cache = [0], DynamicCache()
    while len(ids) < n:
        logits = reference.run(ids[-1:], hooks="none", cache=cache).logits[-1].astype(np.float64)
        p = np.exp(logits - logits.max())
        ids.append(int(np.searchsorted(np.cumsum(p), rng.random_sample() * p.sum())))
    return ids


def other_best(on_cpu, ids, best):
    """The argmax [T] that passes with noise give where they do not give `best`, the most frequent one."""
    others = [Counter() for _ in ids]
    for seed in range(ROUNDED_SEEDS):
        for count, one in zip(others, on_cpu.noisy(seed, ids).logits.argmax(-1)):
            count[int(one)] += 1
    for count, one in zip(others, best):
        del count[int(one)]
    return np.array([max(count, key=count.get, default=one) for count, one in zip(others, best)], dtype=np.uint32)


def forced(reference, twin, on_cpu, n_ctx):
    """The teacher-forced set: (about, tensors)."""
    rng, starts, chunks = np.random.RandomState(SEED), [0], []
    while starts[-1] < TOKENS:
        chunks.append(sample(reference, min(n_ctx, TOKENS - starts[-1]), rng))
        starts.append(starts[-1] + len(chunks[-1]))
    found, same = defaultdict(list), Counter()
    for i, ids in enumerate(chunks):
        run = reference.run(ids, hooks="none")
        best = run.logits.argmax(-1)
        others = {"f64": twin.run(ids, hooks="none"), "noise": reference.noisy(i, ids), "rounded": on_cpu.run(ids, hooks="none")}
        for name, other in others.items():
            same[name] += int((other.logits.argmax(-1) == best).sum())
        for prefix, one in (("", run), ("rounded.", others["rounded"])):
            found[f"{prefix}top1"].append(one.logits.argmax(-1).astype(np.uint32))
            found[f"{prefix}top2_gap"].append(one.top2_gap())
            found[f"{prefix}topk_gap"].append(row_gaps(one))
        found["rounded.other"].append(other_best(on_cpu, ids, found["rounded.top1"][-1]))
    tensors = {"starts": np.array(starts, dtype=np.uint32), "ids": np.concatenate(chunks).astype(np.uint32)}
    tensors |= {name: np.concatenate(parts) for name, parts in found.items()}
    about = {"tokens": TOKENS, "chunks": len(chunks), "seed": SEED}
    return about | {f"{name}_agreement": count / TOKENS for name, count in same.items()}, tensors


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "models" / "Llama-TopK-Stories-16M"
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    config = json.loads((folder / "config.json").read_text())
    model, stored = shipped(folder)
    reference, n_ctx = Noisy(model, config), config["max_position_embeddings"]
    on_cpu = Noisy(with_rounded_inputs(model, stored, config["num_hidden_layers"] - config["n_nontopk"]), config)
    twin = reference.in_float64()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    greedy = []
    for candidates in (
        [(text, tokenizer.encode(text).ids) for text in PROMPTS],
        [(None, [single]) for single in SINGLE_IDS],
    ):
        records = []
        for prompt, ids in candidates:
            result = continuation(reference, twin, on_cpu, prompt, ids, n_ctx)
            print(f"{prompt!r} {ids[-1]}: " + (f"lead {result['lead']:.2g}" if result else "unstable"), flush=True)
            records += [result] if result else []
            if len(records) == KEEP:
                break
        greedy += sorted(records, key=lambda r: -r["lead"])
    about, tensors = forced(reference, twin, on_cpu, n_ctx)
    out = HERE / "shipped"
    out.mkdir(exist_ok=True)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    text = json.dumps({"format": 1, "weights_sha256": digest, "greedy": greedy, "forced": about}, separators=(",", ":"))
    (out / "shipped.json").write_text(text.replace('{"prompt":', '\n{"prompt":') + "\n")
    save_file(tensors, out / "forced.safetensors")
    print(f"{len(greedy)} continuations; forced: {about}")


if __name__ == "__main__":
    main()
