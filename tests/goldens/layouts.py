"""Where transformers keeps what the hooks read, for each `model_type`: names of modules, from the model or from a block."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    core: str
    blocks: str
    embed: str
    final_norm: str
    # The module of a block whose forward gives (output, pattern).
    attn: str
    # In it: one module for each of q, k and v, or one for all.
    qkv: tuple
    attn_out: str
    mlp: str
    mlp_out: str
    # In the MLP: gate and up, or one.
    mlp_in: tuple
    norm2: str
    # What is added to the stream, where that is not the output of attention and MLP themselves.
    post_norms: tuple = ()
    positions: str | None = None
    qk_norms: tuple = ()
    # Of one module for q, k and v: their parts of each head side by side, not all q, all k, all v.
    by_head: bool = False


_LLAMA = {
    "core": "model",
    "blocks": "layers",
    "embed": "embed_tokens",
    "final_norm": "norm",
    "attn": "self_attn",
    "qkv": ("q_proj", "k_proj", "v_proj"),
    "attn_out": "o_proj",
    "mlp": "mlp",
    "mlp_in": ("gate_proj", "up_proj"),
    "mlp_out": "down_proj",
    "norm2": "post_attention_layernorm",
}
_QK_NORMS = {"qk_norms": ("q_norm", "k_norm")}
_GEMMA = _LLAMA | {
    "norm2": "pre_feedforward_layernorm",
    "post_norms": ("post_attention_layernorm", "post_feedforward_layernorm"),
}
_GPT2 = {
    "core": "transformer",
    "blocks": "h",
    "embed": "wte",
    "positions": "wpe",
    "final_norm": "ln_f",
    "attn": "attn",
    "qkv": ("c_attn",),
    "attn_out": "c_proj",
    "mlp": "mlp",
    "mlp_in": ("c_fc",),
    "mlp_out": "c_proj",
    "norm2": "ln_2",
}
_GPT_NEO = {"attn": "attn.attention", "qkv": ("q_proj", "k_proj", "v_proj"), "attn_out": "out_proj"}

LAYOUTS = {
    "llama": Layout(**_LLAMA),
    "gpt2": Layout(**_GPT2),
    "gpt_neo": Layout(**_GPT2 | _GPT_NEO),
    "gpt_neox": Layout(
        core="gpt_neox",
        blocks="layers",
        embed="embed_in",
        final_norm="final_layer_norm",
        attn="attention",
        qkv=("query_key_value",),
        by_head=True,
        attn_out="dense",
        mlp="mlp",
        mlp_in=("dense_h_to_4h",),
        mlp_out="dense_4h_to_h",
        norm2="post_attention_layernorm",
    ),
    "mistral": Layout(**_LLAMA),
    "qwen2": Layout(**_LLAMA),
    "qwen3": Layout(**_LLAMA | _QK_NORMS),
    "gemma2": Layout(**_GEMMA),
    "gemma3_text": Layout(**_GEMMA | _QK_NORMS),
}
