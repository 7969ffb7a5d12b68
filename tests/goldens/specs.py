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
    # Widths, heads and vocabulary all odd or nearly so, stored in 16 bits: every row starts off a pair somewhere.
    "llama-odd-bf16": {
        "config": llama(
            33, 3, 3, 41, 101, 6, num_key_value_heads=1, head_dim=10, tie_word_embeddings=True, torch_dtype="bfloat16",
            n_nontopk=1,
        ),
        "dtype": "bf16",
    },
    "gpt2-odd-f16": {
        "config": gpt2(33, 3, 3, 101, 5, n_inner=65, torch_dtype="float16"),
        "dtype": "f16",
    },
}
