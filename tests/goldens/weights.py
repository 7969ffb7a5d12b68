"""Random weights from a seed, and how each model folder stores them.

Numbers come from numpy's RandomState, whose streams are frozen: a seed means the same weights anywhere. Scales are such
that nothing is degenerate: logits spread by about 2 and attention is far from uniform. Embeddings of an untied
head are small, as trained ones are, so that a wrong epsilon in the first norm shows.
"""

import json

import numpy as np
import torch
from safetensors.torch import save_file

from shapes import SHAPES

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def random_weights(config, seed):
    """f32 tensors by their Hugging Face names, with the prefix that some writers leave out."""
    rng = np.random.RandomState(seed)
    weights = {}
    for name, (shape, std, mean) in SHAPES[config["model_type"]](config).items():
        weights[name] = torch.from_numpy((mean + std * rng.standard_normal(shape)).astype(np.float32))
    return weights


def write_folder(folder, spec, seed):
    """Writes config.json and the weights; returns the f32 tensors that the stored ones mean exactly."""
    config = spec["config"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    dtype = DTYPES[spec.get("dtype", "f32")]
    stored = {name: tensor.to(dtype) for name, tensor in random_weights(config, seed).items()}
    layout = spec.get("tensors", "plain")
    if layout == "sharded":
        norms = {name: tensor.float() for name, tensor in stored.items() if "norm" in name}
        _save_shards(folder, stored | norms)
    elif layout == "i8":
        stored = _quantized(stored)
        save_file(stored, folder / "model.safetensors")
        return {
            name: stored[name].float() * stored[name + ".scale"][:, None] if name + ".scale" in stored else tensor
            for name, tensor in stored.items()
            if not name.endswith(".scale")
        }
    elif layout in ("gptq", "awq"):
        stored, weights = _four_bits(stored, layout, config["quantization_config"])
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return weights
    else:
        save_file(_with_ballast(stored, layout, config), folder / "model.safetensors", metadata={"format": "pt"})
    return {name: tensor.float() for name, tensor in stored.items()}


def _with_ballast(stored, layout, config):
    """What a loader has to ignore, as real checkpoints carry it."""
    out = dict(stored)
    if layout == "llama_ballast":
        head = config["hidden_size"] // config["num_attention_heads"]
        inv_freq = 1 / config["rope_theta"] ** (torch.arange(0, head, 2).float() / head)
        for i in range(config["num_hidden_layers"]):
            out[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = inv_freq.clone()
        out["lm_head.weight"] = stored["model.embed_tokens.weight"].clone()
    if layout == "gpt2_bare":
        out = {name.removeprefix("transformer."): tensor for name, tensor in out.items()}
        n = config["n_positions"]
        for i in range(config["n_layer"]):
            out[f"h.{i}.attn.bias"] = torch.tril(torch.ones(1, 1, n, n, dtype=torch.uint8))
            out[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    if layout == "gpt_neo_ballast":
        n = config["max_position_embeddings"]
        for i in range(config["num_layers"]):
            out[f"transformer.h.{i}.attn.attention.bias"] = torch.tril(torch.ones(1, 1, n, n, dtype=torch.uint8))
            out[f"transformer.h.{i}.attn.attention.masked_bias"] = torch.tensor(-1e9)
    if layout == "gpt_neox_ballast":
        for i in range(config["num_hidden_layers"]):
            block = f"gpt_neox.layers.{i}.attention."
            out[block + "bias"] = torch.tril(torch.ones(1, 1, 8, 8, dtype=torch.bool)).to(torch.uint8)
            out[block + "masked_bias"] = torch.tensor(-1e9)
            out[block + "rotary_emb.inv_freq"] = torch.ones(2)
    return out


def _save_shards(folder, tensors):
    """Two shards and their index, cut in the middle of the second block."""
    names = sorted(tensors)
    half = len(names) // 2
    weight_map = {}
    for i, part in enumerate((names[:half], names[half:]), start=1):
        file = f"model-{i:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _quantized(tensors):
    """Linear weights as I8 with an f32 scale a row: value = q * scale, the largest of a row at 127."""
    out = {}
    for name, tensor in tensors.items():
        if tensor.dim() == 2 and "embed" not in name:
            scale = tensor.abs().amax(dim=1) / 127
            out[name] = torch.round(tensor / scale[:, None]).to(torch.int8)
            out[name + ".scale"] = scale
        else:
            out[name] = tensor
    return out


# AutoAWQ packs eight outputs into a word in this order, from the lowest bits on.
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def _four_bits(tensors, method, quantization):
    """Linear weights but the head in 4 bits, as AutoGPTQ or AutoAWQ stores them; and what all of them mean in f32.

    A group of inputs has a scale and a zero for each output: value = (q - zero) * scale.
    """
    out, weights = {}, {}
    for name, tensor in tensors.items():
        weights[name] = tensor.float()
        if tensor.dim() != 2 or "embed" in name or "lm_head" in name:
            out[name] = tensor
            continue
        w = tensor.float().T  # [inputs, outputs]
        group = w.shape[0] if quantization["group_size"] == -1 else quantization["group_size"]
        of = torch.arange(w.shape[0]) // group
        groups = int(of.max()) + 1
        low = torch.stack([w[of == g].amin(0) for g in range(groups)])
        high = torch.stack([w[of == g].amax(0) for g in range(groups)])
        scale = ((high - low) / 15).half()
        # From 1 to 15, so that a zero less 1 has four bits.
        zero = torch.round(-low / scale.float()).clamp(1, 15)
        q = torch.round(w / scale.float()[of] + zero[of]).clamp(0, 15)
        weights[name] = ((q - zero[of]) * scale.float()[of]).T.contiguous()
        stem = name.removesuffix(".weight")
        if method == "gptq":
            less = 0 if quantization.get("checkpoint_format") == "gptq_v2" else 1
            out[stem + ".qweight"] = _packed(q.T).T.contiguous()
            out[stem + ".qzeros"] = _packed(zero - less)
            out[stem + ".g_idx"] = of.to(torch.int32)
        else:
            out[stem + ".qweight"] = _packed(q, AWQ_ORDER)
            out[stem + ".qzeros"] = _packed(zero, AWQ_ORDER)
        out[stem + ".scales"] = scale
    return out, weights


def _packed(numbers, order=range(8)):
    """Rows of numbers from 0 to 15 as words of eight."""
    eights = numbers.to(torch.int64).reshape(len(numbers), -1, 8)
    words = sum(eights[:, :, o] << (4 * place) for place, o in enumerate(order))
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32).contiguous()
