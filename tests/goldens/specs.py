"""What models the goldens are made of, and which edits run on them.

A spec's `config` is written to config.json as it stands; `dtype` and `tensors` say how the weights are stored.
`cases` are groups of edit lists (see `EDITS_*` below) whose neurons are found by search (make.py): a name in place of
an index ("a", "b") stands for one neuron throughout its group.
"""


def llama(d, layers, heads, mlp, vocab, k=None, **more):
    """A Llama config; keys in `more` win, and one that is None there is left out."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab,
        "hidden_size": d,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": vocab - 1,
        "torch_dtype": "float32",
    }
    return _finish(config, k, more)


def gpt2(d, layers, heads, vocab, k=None, **more):
    """A GPT-2 config, `more` as for llama()."""
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": vocab,
        "n_embd": d,
        "n_layer": layers,
        "n_head": heads,
        "n_positions": 64,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": 0,
        "eos_token_id": vocab - 1,
        "torch_dtype": "float32",
    }
    return _finish(config, k, more)


def like_llama(architecture, model_type, d, layers, heads, mlp, vocab, k=None, **more):
    """A config with Llama's keys of another architecture."""
    return llama(d, layers, heads, mlp, vocab, k, **{"architectures": [architecture], "model_type": model_type} | more)


def gpt_neo(d, layers, heads, vocab, window, k=None, **more):
    """A GPT-Neo config; `layers` is even, for every other layer is local."""
    config = {
        "architectures": ["GPTNeoForCausalLM"],
        "model_type": "gpt_neo",
        "vocab_size": vocab,
        "hidden_size": d,
        "num_layers": layers,
        "num_heads": heads,
        "max_position_embeddings": 64,
        "attention_types": [[["global", "local"], layers // 2]],
        "window_size": window,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": 0,
        "eos_token_id": vocab - 1,
        "torch_dtype": "float32",
    }
    return _finish(config, k, more)


def gpt_neox(d, layers, heads, mlp, vocab, k=None, **more):
    """A GPT-NeoX config."""
    config = {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "vocab_size": vocab,
        "hidden_size": d,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": mlp,
        "max_position_embeddings": 64,
        "layer_norm_eps": 1e-5,
        "hidden_act": "gelu",
        "rotary_pct": 0.25,
        "rotary_emb_base": 10000,
        "use_parallel_residual": True,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": vocab - 1,
        "torch_dtype": "float32",
    }
    return _finish(config, k, more)


def gemma(version, d, layers, heads, mlp, vocab, k=None, **more):
    """A Gemma 2 or 3 config (text)."""
    class_name, model_type = {2: ("Gemma2ForCausalLM", "gemma2"), 3: ("Gemma3ForCausalLM", "gemma3_text")}[version]
    own = {
        "hidden_act": None,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": None,
        "rope_theta": None,
        "pad_token_id": 0,
    }
    return like_llama(class_name, model_type, d, layers, heads, mlp, vocab, k, **own | more)


def _finish(config, k, more):
    if k is not None:
        config["topk_k"] = k
    config |= more
    return {key: value for key, value in config.items() if value is not None}


def edit(layer, index, action, value=None, site="topk_out", positions="all", propagate="layer"):
    positions = {"from": positions[0], "to": positions[1]} if isinstance(positions, tuple) else positions
    out = {"layer": layer, "index": index, "action": action, "value": value}
    out |= {"site": site, "positions": positions, "propagate": propagate}
    return {key: field for key, field in out.items() if field is not None}


ALL = "from_layer"

# Four blocks of which the last is not cut (n_nontopk 1). A line is a group: a list of cases, a case a list of edits.
EDITS_FULL = [
    [[edit(1, "a", "add", 2.5)]],
    [[edit(0, "a", "add", 1.75, "topk_in")]],
    [[edit(2, "a", "clamp", 3.0, "topk_out", "prompt")]],
    [[edit(1, "a", "clamp", 2.25, "topk_in", "generated", ALL)]],
    [[edit(0, "a", "scale", -1.5, "topk_out", "generated", ALL)]],
    [[edit(1, "a", "scale", 3.0, "topk_in", "prompt")]],
    [[edit(0, "a", "ablate", None, "topk_out", (2, 11), ALL)]],
    [[edit(2, "a", "ablate", None, "topk_in", (5, 64))]],
    [[edit(0, "a", "add", 2.0, "topk_in", "prompt", ALL)]],
    [[edit(3, "a", "add", -2.0, "topk_out", "generated")]],
    [[edit(1, "a", "clamp", -2.5, "topk_out", (0, 1), ALL)]],
    [[edit(3, "a", "clamp", 3.5, "topk_in", "all", ALL)]],
    [[edit(1, "a", "scale", 0.0, "topk_in", (3, 12), ALL)]],
    [[edit(0, "a", "ablate", None, "topk_in", "generated", ALL)]],
    [[edit(1, "a", "ablate", None, "topk_out", "prompt")]],
    # Order matters: (v + 2) / 2 against v / 2 + 2.
    [
        [edit(1, "a", "add", 2.0), edit(1, "a", "scale", 0.5)],
        [edit(1, "a", "scale", 0.5), edit(1, "a", "add", 2.0)],
    ],
    [
        [edit(0, "a", "clamp", 3.0, "topk_in"), edit(0, "a", "add", -4.0, "topk_in", (4, 9))],
        [edit(0, "a", "add", -4.0, "topk_in", (4, 9)), edit(0, "a", "clamp", 3.0, "topk_in")],
    ],
    # topk_in goes first wherever it stands in the list, in a cut block and in one without a cut.
    [[edit(1, "a", "scale", 0.5), edit(1, "a", "add", 3.0, "topk_in")]],
    [[edit(3, "a", "scale", 0.5), edit(3, "a", "add", 3.0, "topk_in", "generated")]],
    # Several neurons, layers, sites and kinds of position at once.
    [
        [
            edit(0, "a", "clamp", 2.75, "topk_in", "all", ALL),
            edit(1, "a", "scale", 2.0, "topk_out", "generated"),
            edit(2, "b", "add", 2.0, "topk_in", (6, 13)),
            edit(3, "b", "ablate", None, "topk_out", "prompt"),
        ]
    ],
    [
        [
            edit(2, "a", "clamp", 1.5, "topk_out", "generated"),
            edit(0, "a", "ablate", None, "topk_in", "prompt", ALL),
            edit(0, "b", "add", 1.5, "topk_out", (0, 8), ALL),
            edit(2, "a", "add", 0.25, "topk_out", (12, 14)),
        ]
    ],
]

# Three blocks; layer 2 may or may not be cut. With every action, site, kind of position and propagation once.
EDITS_LIGHT = [
    [[edit(1, "a", "add", 2.5, "topk_in", "prompt")]],
    [[edit(0, "a", "clamp", -3.0, "topk_in", "generated", ALL)]],
    [[edit(1, "a", "clamp", -2.5, "topk_out", (3, 12))]],
    [[edit(0, "a", "scale", -2.0, "topk_out", "all", ALL)]],
    [[edit(0, "a", "ablate", None, "topk_out", "prompt", ALL)]],
    [
        [
            edit(2, "a", "scale", 1.5),
            edit(2, "a", "add", -2.0, "topk_in", (8, 16)),
            edit(0, "b", "clamp", 2.5, "topk_in"),
        ]
    ],
]

# Greedy continuations under edits (the prompt of the plain continuation).
GREEDY_FULL = [
    [[edit(1, "a", "clamp", 4.0, "topk_out", "generated", ALL)]],
    [[edit(0, "a", "add", 3.0, "topk_in", "all", ALL), edit(2, "b", "scale", 0.5, "topk_out", (4, 20))]],
]

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

MODELS = {
    "llama-gqa": {
        "config": llama(52, 4, 4, 70, 128, 9, num_key_value_heads=2, head_dim=16, n_nontopk=1),
        "hooks": "all",
        "cases": EDITS_FULL,
        "greedy_cases": GREEDY_FULL,
    },
    "gpt2": {
        "config": gpt2(60, 4, 5, 113, 11, n_inner=100, n_nontopk=1),
        "hooks": "all",
        "cases": EDITS_FULL,
        "greedy_cases": GREEDY_FULL,
    },
    "llama-dense-bias": {
        "config": llama(48, 3, 6, 64, 96, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-6),
        "cases": EDITS_LIGHT,
    },
    "llama-tied-bf16": {
        "config": llama(64, 3, 4, 96, 160, 12, tie_word_embeddings=True, torch_dtype="bfloat16"),
        "dtype": "bf16",
        "tensors": "llama_ballast",
    },
    "llama-f16-linear": {
        # Odd widths: rows of down_proj and the vocabulary do not fill whole pairs of 16-bit values.
        "config": llama(
            80, 4, 5, 63, 97, 14, num_key_value_heads=1, rope_scaling={"type": "linear", "factor": 4.0},
            torch_dtype="float16", n_nontopk=2,
        ),
        "dtype": "f16",
    },
    "llama-rope-llama3": {
        # As transformers 5 writes it.
        "config": llama(
            64, 3, 4, 80, 128, 12, num_key_value_heads=2, n_nontopk=1, rope_theta=None, torch_dtype=None,
            rope_parameters=LLAMA3, dtype="float32", transformers_version="5.23.0",
        ),
        "hooks": "all",
    },
    "gpt2-untied": {
        # n_inner and the epsilon absent, names without "transformer.", and the mask buffers that old checkpoints carry.
        "config": gpt2(36, 3, 3, 101, 7, tie_word_embeddings=False, n_nontopk=1, layer_norm_epsilon=None),
        "tensors": "gpt2_bare",
    },
    "gpt2-by-layer": {
        # As the GPT-2 models of Stanford's Mistral have it.
        "config": gpt2(36, 4, 3, 101, 7, n_nontopk=1, scale_attn_by_inverse_layer_idx=True),
    },
    "llama-abs": {
        "config": llama(48, 3, 4, 64, 112, 8, topk_select="abs", topk_post="identity", n_nontopk=0),
        "cases": EDITS_LIGHT,
    },
    "gpt2-relu": {
        # More entries are kept than are positive, so relu has kept ones to set to 0.
        "config": gpt2(44, 3, 4, 96, 28, n_inner=80, topk_select="value", topk_post="relu", n_nontopk=0),
        "cases": EDITS_LIGHT,
    },
    "llama-abs-relu": {
        "config": llama(40, 3, 2, 48, 96, 10, topk_select="abs", topk_post="relu", n_nontopk=1),
        "cases": EDITS_LIGHT,
    },
    "llama-k-wide": {
        # And what may be absent is: transformers' defaults have to stand in.
        "config": llama(
            40, 3, 4, 48, 96, 48, n_nontopk=1, num_key_value_heads=None, rms_norm_eps=None, rope_theta=None,
            hidden_act=None, tie_word_embeddings=None, torch_dtype=None,
        ),
        "cases": EDITS_LIGHT,
    },
    "llama-sharded": {
        # Two files; matrices f16, norms f32.
        "config": llama(56, 3, 4, 72, 120, 10, num_key_value_heads=2, torch_dtype="float16"),
        "dtype": "f16",
        "tensors": "sharded",
    },
    "llama-i8": {
        # Every linear weight, the head too, is I8 [out, in] with a scale per row; embedding and norms are f32.
        "config": llama(64, 3, 4, 96, 128, 12, n_nontopk=1),
        "tensors": "i8",
    },
    # 4 bits as AutoGPTQ stores them: groups with their own zeros, the last one of the MLP's output not full; embedding and head in f16.
    "llama-gptq": {
        "config": llama(
            64, 3, 4, 80, 128, 12, n_nontopk=1, torch_dtype="float16",
            quantization_config={
                "quant_method": "gptq", "bits": 4, "group_size": 32, "sym": False, "desc_act": False,
                "checkpoint_format": "gptq",
            },
        ),
        "dtype": "f16",
        "tensors": "gptq",
    },
    # The same in AutoAWQ's order; biases beside q, k and v.
    "qwen2-awq": {
        "config": like_llama(
            "Qwen2ForCausalLM", "qwen2", 64, 3, 4, 96, 128, 12, n_nontopk=1, torch_dtype="float16",
            quantization_config={
                "quant_method": "awq", "bits": 4, "group_size": 16, "zero_point": True, "version": "gemm",
            },
        ),
        "dtype": "f16",
        "tensors": "awq",
    },
    # Widths, heads and vocabulary all odd or nearly so, stored in 16 bits: every row starts off a pair somewhere.
    "llama-odd-bf16": {
        "config": llama(
            33, 3, 3, 41, 101, 6, num_key_value_heads=1, head_dim=10, tie_word_embeddings=True, torch_dtype="bfloat16",
            n_nontopk=1,
        ),
        "dtype": "bf16",
    },
    # Five more architectures: each with TopK, with all hooks or all kinds of edits, and dense. The prompt has 10 tokens and a
    # run 16, so every window below hides something.
    "neox-parallel": {
        # Rotated are 4 of a head's 16 numbers.
        "config": gpt_neox(64, 3, 4, 96, 113, 12),
        "hooks": "all",
        "cases": EDITS_LIGHT,
        "tensors": "gpt_neox_ballast",
    },
    "neox-serial": {
        # Rotated are 6 of 12. As transformers 5 writes it.
        "config": gpt_neox(
            48, 3, 4, 80, 101, 10, use_parallel_residual=False, attention_bias=False, hidden_act="relu", n_nontopk=1,
            rotary_pct=None, rotary_emb_base=None, torch_dtype=None, dtype="float32", transformers_version="5.23.0",
            rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0, "partial_rotary_factor": 0.5},
        ),
        "hooks": "all",
    },
    "neox-dense-bf16": {
        "config": gpt_neox(40, 2, 2, 64, 97, rotary_pct=0.5, torch_dtype="bfloat16"),
        "dtype": "bf16",
    },
    "gpt-neo": {
        "config": gpt_neo(44, 4, 4, 101, 6, 10, n_nontopk=1, intermediate_size=72),
        "hooks": "all",
        "cases": EDITS_LIGHT,
    },
    "gpt-neo-dense": {
        # With the buffers that old checkpoints carry.
        "config": gpt_neo(36, 2, 3, 97, 3, tie_word_embeddings=False, intermediate_size=64),
        "tensors": "gpt_neo_ballast",
    },
    "qwen2": {
        "config": like_llama(
            "Qwen2ForCausalLM", "qwen2", 48, 3, 4, 70, 113, 9, num_key_value_heads=2, tie_word_embeddings=True,
            rope_theta=1000000.0, use_sliding_window=False, sliding_window=4, max_window_layers=1, rms_norm_eps=1e-6,
        ),
        "cases": EDITS_LIGHT,
    },
    "qwen2-dense-window": {
        # The last two layers see 5 positions.
        "config": like_llama(
            "Qwen2ForCausalLM", "qwen2", 40, 3, 4, 56, 97, num_key_value_heads=1, use_sliding_window=True,
            sliding_window=5, max_window_layers=1, torch_dtype="float16",
        ),
        "dtype": "f16",
    },
    "mistral": {
        # Every layer sees 6 positions.
        "config": like_llama(
            "MistralForCausalLM", "mistral", 48, 3, 4, 70, 113, 9, num_key_value_heads=2, head_dim=16, sliding_window=6, n_nontopk=1,
        ),
        "hooks": "all",
        "cases": EDITS_LIGHT,
    },
    "mistral-dense": {
        # As transformers 5 writes it; without a key the window holds more than the context.
        "config": like_llama(
            "MistralForCausalLM", "mistral", 40, 2, 4, 56, 97, num_key_value_heads=1, sliding_window=None, torch_dtype=None, dtype="float16",
            rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, transformers_version="5.23.0",
        ),
        "dtype": "f16",
    },
    "qwen3": {
        "config": like_llama(
            "Qwen3ForCausalLM", "qwen3", 52, 3, 4, 72, 113, 10, num_key_value_heads=2, head_dim=16, n_nontopk=1,
            tie_word_embeddings=True, attention_bias=False,
        ),
        "hooks": "all",
        "cases": EDITS_LIGHT,
    },
    "qwen3-dense": {
        "config": like_llama(
            "Qwen3ForCausalLM", "qwen3", 40, 3, 4, 56, 97, head_dim=8, attention_bias=True, use_sliding_window=True,
            sliding_window=7, max_window_layers=28, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
    },
    "gemma2": {
        # Both soft-caps bite.
        "config": gemma(
            2, 48, 3, 4, 72, 113, 10, num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=24, sliding_window=6,
            attn_logit_softcapping=3.0, final_logit_softcapping=5.0, topk_select="abs", n_nontopk=1, rms_norm_eps=1e-4,
        ),
        "hooks": "all",
    },
    "gemma2-dense": {
        "config": gemma(
            2, 40, 2, 4, 56, 97, num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8, sliding_window=4,
            tie_word_embeddings=False,
        ),
    },
    "gemma3": {
        # Every other layer sees everything, by a RoPE of another base that is stretched; as transformers 4 writes it.
        "config": gemma(
            3, 48, 4, 4, 72, 113, 10, num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=24, sliding_window=5,
            sliding_window_pattern=2, rope_theta=5000.0, rope_local_base_freq=100.0, n_nontopk=1,
            rope_scaling={"rope_type": "linear", "factor": 2.0}, final_logit_softcapping=8.0, rms_norm_eps=1e-4,
        ),
        "hooks": "all",
        "cases": EDITS_LIGHT,
    },
    "gemma3-dense": {
        # As transformers 5 writes it. The window of two layers holds the whole context: only their RoPE is another.
        "config": gemma(
            3, 40, 3, 4, 56, 97, num_key_value_heads=1, head_dim=10, query_pre_attn_scalar=10, sliding_window=64,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"], torch_dtype=None, dtype="bfloat16",
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 2000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
            transformers_version="5.23.0",
        ),
        "dtype": "bf16",
    },
    "gpt2-odd-f16": {
        "config": gpt2(33, 3, 3, 101, 5, n_inner=65, torch_dtype="float16"),
        "dtype": "f16",
    },
}
