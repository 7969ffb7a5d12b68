"""The tensors of each architecture: Hugging Face name -> (shape, standard deviation, mean) of its random numbers.

The order of a table is the order in which numbers are drawn, so a change of it is another model.
"""

def llama_shapes(c):
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
    """Matrices are [in, out]."""
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


def qwen2_shapes(c):
    """Llama with biases of q, k and v."""
    out = llama_shapes(c | {"attention_bias": True})
    return {name: entry for name, entry in out.items() if not name.endswith("o_proj.bias")}


def qwen3_shapes(c):
    """Llama with a norm of each head's query and key."""
    out = llama_shapes(c)
    for i in range(c["num_hidden_layers"]):
        for name in ("q_norm", "k_norm"):
            out[f"model.layers.{i}.self_attn.{name}.weight"] = ((c["head_dim"],), 0.2, 1)
    return out


def gemma_shapes(c):
    """Gains are stored less 1; the norms behind attention and MLP are added to Llama's, and Gemma 3's of q and k.

    Embeddings are multiplied by the root of the width, and the head is theirs too: they are small, so that a token does not
    predict itself, and the last norm's gain makes up for it in the logits.
    """
    tied = c.get("tie_word_embeddings", True)
    out = llama_shapes(c | {"tie_word_embeddings": tied})
    d = c["hidden_size"]
    for name, (shape, std, mean) in out.items():
        if "norm" in name:
            out[name] = (shape, std, mean - 1)
    out["model.embed_tokens.weight"] = ((c["vocab_size"], d), (0.5 if tied else 0.05) / d**0.5, 0)
    if tied:
        out["model.norm.weight"] = ((d,), 0.6, 3)
    for i in range(c["num_hidden_layers"]):
        block = f"model.layers.{i}."
        for name in ("pre_feedforward_layernorm", "post_feedforward_layernorm"):
            out[f"{block}{name}.weight"] = ((d,), 0.2, 0)
        for name in ("q_norm", "k_norm") if c["model_type"] == "gemma3_text" else ():
            out[f"{block}self_attn.{name}.weight"] = ((c["head_dim"],), 0.2, 0)
    return out


def gpt_neo_shapes(c):
    d, vocab = c["hidden_size"], c["vocab_size"]
    mlp = c.get("intermediate_size") or 4 * d
    tied = c.get("tie_word_embeddings", True)
    out = {
        "transformer.wte.weight": ((vocab, d), 2 / d**0.5 if tied else 0.05, 0),
        "transformer.wpe.weight": ((c["max_position_embeddings"], d), 0.2 if tied else 0.03, 0),
    }
    # Scores are not scaled, so queries and keys are smaller by the fourth root of a head's width.
    narrow = (d // c["num_heads"]) ** -0.25
    for i in range(c["num_layers"]):
        block = f"transformer.h.{i}."
        linear = {
            "attn.attention.q_proj": (d, d, 1.4 * narrow),
            "attn.attention.k_proj": (d, d, 1.4 * narrow),
            "attn.attention.v_proj": (d, d, 1.0),
            "attn.attention.out_proj": (d, d, 1.0),
            "mlp.c_fc": (mlp, d, 1.4),
            "mlp.c_proj": (d, mlp, 1.2),
        }
        out |= _linear(block, linear, lambda name: name[-6:] not in ("q_proj", "k_proj", "v_proj"))
        out |= _layer_norms(block, ("ln_1", "ln_2"), d)
    out |= _layer_norms("transformer.", ("ln_f",), d)
    if not tied:
        out["lm_head.weight"] = ((vocab, d), 2 / d**0.5, 0)
    return out


def gpt_neox_shapes(c):
    d, mlp, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    tied = c.get("tie_word_embeddings", False)
    out = {"gpt_neox.embed_in.weight": ((vocab, d), 2 / d**0.5 if tied else 0.05, 0)}
    for i in range(c["num_hidden_layers"]):
        block = f"gpt_neox.layers.{i}."
        linear = {
            "attention.query_key_value": (3 * d, d, 1.3),
            "attention.dense": (d, d, 1.0),
            "mlp.dense_h_to_4h": (mlp, d, 1.4),
            "mlp.dense_4h_to_h": (d, mlp, 1.2),
        }
        out |= _linear(block, linear, lambda name: name.startswith("mlp") or c.get("attention_bias", True))
        out |= _layer_norms(block, ("input_layernorm", "post_attention_layernorm"), d)
    out |= _layer_norms("gpt_neox.", ("final_layer_norm",), d)
    if not tied:
        out["embed_out.weight"] = ((vocab, d), 2 / d**0.5, 0)
    return out


def _linear(block, linear, has_bias):
    out = {}
    for name, (rows, columns, gain) in linear.items():
        out[f"{block}{name}.weight"] = ((rows, columns), gain / columns**0.5, 0)
        if has_bias(name):
            out[f"{block}{name}.bias"] = ((rows,), 0.2, 0)
    return out


def _layer_norms(block, names, d):
    out = {}
    for name in names:
        out[f"{block}{name}.weight"] = ((d,), 0.2, 1)
        out[f"{block}{name}.bias"] = ((d,), 0.2, 0)
    return out


# By model_type.
SHAPES = {
    "llama": llama_shapes,
    "gpt2": gpt2_shapes,
    "gpt_neox": gpt_neox_shapes,
    "gpt_neo": gpt_neo_shapes,
    "mistral": llama_shapes,
    "qwen2": qwen2_shapes,
    "qwen3": qwen3_shapes,
    "gemma2": gemma_shapes,
    "gemma3_text": gemma_shapes,
}
