"""Random weights from a seed, and how each model folder stores them.

Numbers come from numpy's RandomState, whose streams are frozen: a seed means the same weights anywhere. Scales are such
that nothing is degenerate: logits spread by about 2 and attention is far from uniform. Embeddings of an untied
head are small, as trained ones are, so that a wrong epsilon in the first norm shows.
"""

import json

import numpy as np
import torch
from safetensors.torch import save_file

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def random_weights(config, seed):
    """f32 tensors by their Hugging Face names (with `transformer.` for GPT-2)."""
    rng = np.random.RandomState(seed)
    shapes = (llama_shapes if config["model_type"] == "llama" else gpt2_shapes)(config)
    weights = {}
    for name, (shape, std, mean) in shapes.items():
        weights[name] = torch.from_numpy((mean + std * rng.standard_normal(shape)).astype(np.float32))
    return weights


def llama_shapes(c):
    """Name -> (shape, standard deviation, mean)."""
    d, mlp, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    head = c.get("head_dim") or d // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * head, c.get("num_key_value_heads", c["num_attention_heads"]) * head
    tied = c.get("tie_word_embeddings", False)
    out = {"model.embed_tokens.weight": ((vocab, d), 2 / d**0.5 if tied else 0.05, 0)}
    for i in range(c["num_hidden_layers"]):
        block = f"model.layers.{i}."
        linear = {
            "self_attn.q_proj": (q, d, 1.4),
            "self_attn.k_proj": (kv, d, 1.4),
            "self_attn.v_proj": (kv, d, 1.0),
            "self_attn.o_proj": (d, q, 1.0),
            "mlp.gate_proj": (mlp, d, 1.4),
            "mlp.up_proj": (mlp, d, 1.2),
            "mlp.down_proj": (d, mlp, 1.0),
        }
        for name, (rows, columns, gain) in linear.items():
            out[f"{block}{name}.weight"] = ((rows, columns), gain / columns**0.5, 0)
            if c.get("mlp_bias" if name.startswith("mlp") else "attention_bias"):
                out[f"{block}{name}.bias"] = ((rows,), 0.2, 0)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{block}{name}.weight"] = ((d,), 0.2, 1)
    out["model.norm.weight"] = ((d,), 0.2, 1)
    if not tied:
        out["lm_head.weight"] = ((vocab, d), 2 / d**0.5, 0)
    return out


def gpt2_shapes(c):
    """Name -> (shape, standard deviation, mean); matrices are [in, out]."""
    d, vocab = c["n_embd"], c["vocab_size"]
    mlp = c.get("n_inner") or 4 * d
    tied = c.get("tie_word_embeddings", True)
    out = {
        "transformer.wte.weight": ((vocab, d), 2 / d**0.5 if tied else 0.05, 0),
        "transformer.wpe.weight": ((c["n_positions"], d), 0.2 if tied else 0.03, 0),
    }
    for i in range(c["n_layer"]):
        block = f"transformer.h.{i}."
        conv = {
            "attn.c_attn": (d, 3 * d, 1.3),
            "attn.c_proj": (d, d, 1.0),
            "mlp.c_fc": (d, mlp, 1.4),
            "mlp.c_proj": (mlp, d, 1.2),
        }
        for name, (rows, columns, gain) in conv.items():
            out[f"{block}{name}.weight"] = ((rows, columns), gain / rows**0.5, 0)
            out[f"{block}{name}.bias"] = ((columns,), 0.2, 0)
        for name in ("ln_1", "ln_2"):
            out[f"{block}{name}.weight"] = ((d,), 0.2, 1)
            out[f"{block}{name}.bias"] = ((d,), 0.2, 0)
    out["transformer.ln_f.weight"] = ((d,), 0.2, 1)
    out["transformer.ln_f.bias"] = ((d,), 0.2, 0)
    if not tied:
        out["lm_head.weight"] = ((vocab, d), 2 / d**0.5, 0)
    return out


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
