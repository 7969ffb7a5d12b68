"""Makes gguf/: `python make_gguf.py`; `--check` compares instead.

`blocks.json`   for each of ggml's types some blocks of random bytes in hexadecimal digits, and the numbers that the format's own Python package reads there
`NAME.gguf`     a small model with random weights, written as llama.cpp's converter writes it
`NAME.json`     `ids`, and the `logits` [2, d_vocab] of the last two by transformers, with the numbers that the file holds; `texts`: what the
                tokenizer that the file was made from says of some texts (empty where the file has none that is converted)
"""

import argparse
import io
import json
import math
import tempfile
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import torch
import transformers
from gguf import GGMLQuantizationType as Q
from gguf.quants import dequantize, quantize
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent / "gguf"
# Where a block has f16 numbers.
HALVES = {
    Q.F16: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0],
    Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.IQ4_NL: [0], Q.IQ4_XS: [0],
}  # fmt: skip
TEXT = """The red kite pulled at its string, and 12 birds flew up. "Don't let go!" said Mia.
She held on.  The wind was strong; it blew for 345 minutes, and they'd laugh  and run.

Then the kite came down in Grandpa's garden. He'll keep it till 2031.
"""
VOCAB = {"spm": 400}
PIECES = ["The kite's 1234 strings", "  two spaces, then   three ", "Café naïve über 7 — 鳥", "kitekitekite flew\n\nand it blew", ""]
TEXTS = ["The kite's 1234 strings", 'She said "Don\'t!"\n\n  and ran', "Café naïve  über 7", "<|end|>then it blew"]
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def random_blocks(rng, kind, count, scale):
    """Bytes `[count, bytes of a block]`, their f16 numbers within `scale`."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES.get(kind, []):
        blocks[:, at : at + 2] = (rng.standard_normal((count, 1)) * scale).astype(np.float16).view(np.uint8)
    if kind in (Q.F32, Q.BF16):
        blocks = quantize(rng.standard_normal((count, 1)).astype(np.float32), kind).view(np.uint8).reshape(count, size)
    return blocks


def numbers(values):
    return [float(f"{value:.9g}") for value in values]


def block_vectors():
    rng = np.random.default_rng(1)
    vectors = {}
    whole, small, k, nonlinear = [Q.F32, Q.F16], [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0], [Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K], [Q.IQ4_NL, Q.IQ4_XS]
    for kind in [*whole, *small, *k, Q.BF16, *nonlinear]:
        per_block, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random_blocks(rng, kind, 2 if per_block > 1 else 8, 0.1)
        values = dequantize(blocks.reshape(1, -1).view(np.float32) if kind == Q.F32 else blocks.reshape(1, -1), kind)
        if kind == Q.F16:
            values = blocks.reshape(-1).view(np.float16).astype(np.float32)
        vectors[kind.name] = {
            "number": int(kind), "block": per_block, "hex": blocks.tobytes().hex(), "values": numbers(values.reshape(-1)),
        }  # fmt: skip
    return json.dumps(vectors, indent=1) + "\n"


def tokenizer(pre):
    """A byte-level BPE that cuts text in this way, learnt from TEXT."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre in ("gpt-2", "smollm"))
    words = WORDS.replace("DIGITS", "{1,3}" if pre == "llama-bpe" else "")
    first = {
        "gpt-2": [],
        "smollm": [pre_tokenizers.Digits(individual_digits=True)],
        "llama-bpe": [pre_tokenizers.Split(Regex(words), "isolated")],
        "qwen2": [pre_tokenizers.Split(Regex(words), "isolated")],
    }[pre]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*first, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    if pre == "llama-bpe":
        tokenizer.post_processor = processors.TemplateProcessing(single="<|end|> $A", special_tokens=[("<|end|>", 0)])
    return tokenizer


class Pieces:
    """SentencePiece's BPE learnt from TEXT, with bytes for what it has no piece of."""

    def __init__(self, prefix):
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.splitlines()), model_writer=file, model_type="bpe", vocab_size=VOCAB["spm"], byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, num_threads=1, minloglevel=2,
            allow_whitespace_only_pieces=True, add_dummy_prefix=prefix,
        )  # fmt: skip
        self.model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())

    def ids(self, text):
        return self.model.encode(text, add_bos=True)

    def write(self, writer):
        model, size = self.model, self.model.vocab_size()
        kinds = {"is_unknown": 2, "is_control": 3, "is_byte": 6}
        writer.add_tokenizer_model("llama")
        writer.add_token_list([model.id_to_piece(i) for i in range(size)])
        writer.add_token_scores([model.get_score(i) for i in range(size)])
        writer.add_token_types([next((n for name, n in kinds.items() if getattr(model, name)(i)), 1) for i in range(size)])
        writer.add_bos_token_id(model.bos_id())
        writer.add_eos_token_id(model.eos_id())
        writer.add_unk_token_id(model.unk_id())


def write_tokenizer(writer, tokenizer, pre):
    vocab = tokenizer.get_vocab()
    tokens = sorted(vocab, key=vocab.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<|end|>" else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(pre == "llama-bpe")


def in_pairs(weight, n_heads):
    """As llama.cpp's converter has the rows of Llama's queries and keys."""
    shape = weight.shape
    return weight.reshape(n_heads, 2, shape[0] // n_heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
GEMMA_NAMES = {
    **NAMES, "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip


def gguf_name(name, arch):
    names = GEMMA_NAMES if arch.startswith("gemma") else NAMES
    part, ending = name.rsplit(".", 1)
    if part.startswith("model.layers."):
        _, _, layer, part = part.split(".", 3)
        return f"blk.{layer}.{names[part]}.{ending}"
    return f"{names[part]}.{ending}"


def make(folder, name, arch, config, kinds, pre, scaling=None):
    """Writes NAME.gguf and NAME.json. `kinds`: a type for names that end so, the first that fits."""
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    classes = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma2": "Gemma2", "gemma3": "Gemma3Text"}
    config = getattr(transformers, classes[arch] + "Config")(
        bos_token_id=0, eos_token_id=0, rms_norm_eps=1e-5, max_position_embeddings=128, attn_implementation="eager",
        **config, **({"rope_scaling": scaling} if scaling else {}),
    )  # fmt: skip
    model = getattr(transformers, classes[arch].removesuffix("Text") + "ForCausalLM")(config).eval()
    path = folder / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    gemma = arch.startswith("gemma")
    if arch == "qwen3" or gemma:
        writer.add_key_length(config.head_dim)
    if gemma:
        writer.add_value_length(config.head_dim)
        writer.add_sliding_window(config.sliding_window)
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if arch == "gemma3":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(8.0)
    texts = []
    if pre == "spm":
        spoken = Pieces(prefix=not gemma)
        spoken.write(writer)
        if gemma:
            writer.add_add_space_prefix(False)
        texts = [{"text": text, "ids": spoken.ids(text)} for text in PIECES]
    elif pre:
        spoken = tokenizer(pre)
        write_tokenizer(writer, spoken, pre)
        texts = [{"text": text, "ids": spoken.encode(text).ids} for text in TEXTS]
    else:
        writer.add_tokenizer_model("t5")
    if scaling:
        writer.add_tensor("rope_freqs.weight", divisors(config, scaling))
    state = {}
    for key, weight in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        weight = weight.numpy()
        if weight.ndim == 1:
            weight = (1 + 0.2 * rng.standard_normal(weight.shape) if "norm" in key else 0.3 * rng.standard_normal(weight.shape)).astype(np.float32)
        else:
            weight = (rng.standard_normal(weight.shape) / math.sqrt(weight.shape[1])).astype(np.float32)
        kind = Q.F32 if weight.ndim == 1 else next(kind for ending, kind in kinds if key.endswith(ending))
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(key.split(".")[-2])
        heads = heads if arch == "llama" else None
        if kind in (Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K):
            # The package reads these and does not write them.
            block, size = gguf.GGML_QUANT_SIZES[kind]
            scale = {Q.Q2_K: 0.002, Q.Q3_K: 0.0004, Q.Q4_K: 0.0001, Q.Q5_K: 0.00005, Q.Q6_K: 0.00003}[kind]
            stored = random_blocks(rng, kind, weight.size // block, scale).reshape(weight.shape[0], -1)
            read = dequantize(stored, kind)
        else:
            stored = quantize(in_pairs(weight, heads) if heads else weight, kind)
            read = dequantize(stored, kind)
        if gemma and key.endswith("norm.weight"):
            read = read - 1  # the file has what transformers adds
        writer.add_tensor(gguf_name(key, arch), stored, raw_dtype=kind)
        if heads:
            rows = np.arange(weight.shape[0])
            order = in_pairs(rows, heads)
            read = read[np.argsort(order)]
        state[key] = torch.tensor(np.ascontiguousarray(read))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("lm_head" in key for key in missing.missing_keys), missing
    model.tie_weights()
    ids = [int(i) for i in rng.integers(1, config.vocab_size, 12)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -2:]
    record = {"ids": ids, "logits": [numbers(float(f"{x:.6g}") for x in row) for row in logits.tolist()], "texts": texts}
    (folder / f"{name}.json").write_text(json.dumps(record, ensure_ascii=False) + "\n")


def divisors(config, scaling):
    """What Llama 3's scaling divides frequencies by."""
    d_head = config.hidden_size // config.num_attention_heads
    frequencies = 10000.0 ** (-np.arange(0, d_head, 2) / d_head)
    low, high, original = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["original_max_position_embeddings"]
    result = []
    for frequency in frequencies:
        wave = 2 * math.pi / frequency
        if wave < original / high:
            result.append(1.0)
        elif wave > original / low:
            result.append(scaling["factor"])
        else:
            smooth = (original / wave - low) / (high - low)
            result.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(result, dtype=np.float32)


def sizes(d_model, d_mlp, heads, kv, layers, tied, vocab=300, **more):
    return {
        "hidden_size": d_model, "intermediate_size": d_mlp, "num_attention_heads": heads, "num_key_value_heads": kv,
        "num_hidden_layers": layers, "vocab_size": vocab, "tie_word_embeddings": tied, **more,
    }  # fmt: skip


def make_all(folder):
    folder.mkdir(exist_ok=True)
    (folder / "blocks.json").write_text(block_vectors())
    tables = [("embed_tokens.weight", Q.F16), ("lm_head.weight", Q.Q8_0)]
    make(folder, "llama-q4_0", "llama", sizes(64, 96, 4, 2, 2, False), [*tables, ("", Q.Q4_0)], "llama-bpe")
    k_types = [("q_proj.weight", Q.Q6_K), ("k_proj.weight", Q.Q5_K), ("gate_proj.weight", Q.Q3_K), ("up_proj.weight", Q.Q2_K), ("", Q.Q4_K)]
    llama3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    make(folder, "llama-k", "llama", sizes(256, 256, 4, 1, 1, False), [*tables, *k_types], "smollm", llama3)
    mixed = [("embed_tokens.weight", Q.Q8_0), ("q_proj.weight", Q.Q5_0), ("v_proj.weight", Q.Q4_1), ("up_proj.weight", Q.BF16), ("", Q.Q5_1)]
    make(folder, "qwen2", "qwen2", sizes(64, 96, 4, 2, 2, True), mixed, "qwen2")
    make(folder, "llama-spm", "llama", sizes(32, 32, 2, 2, 1, True, VOCAB["spm"]), [("", Q.F16)], "spm")
    windows = {"sliding_window": 5, "head_dim": 32}
    gemma2 = sizes(64, 96, 4, 2, 3, True, VOCAB["spm"], query_pre_attn_scalar=32, **windows)
    make(folder, "gemma2", "gemma2", gemma2, [("embed_tokens.weight", Q.Q8_0), ("", Q.F16)], "spm")
    angles = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    gemma3 = sizes(64, 96, 2, 1, 7, True, VOCAB["spm"], query_pre_attn_scalar=32, rope_parameters=angles, **windows)
    make(folder, "gemma3", "gemma3", gemma3, [("embed_tokens.weight", Q.F16), ("", Q.Q4_0)], "spm")
    make(folder, "qwen3", "qwen3", sizes(64, 96, 2, 1, 2, True, head_dim=64), [("", Q.F16)], None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        return make_all(HERE)
    with tempfile.TemporaryDirectory() as folder:
        make_all(Path(folder))
        different = [path.name for path in sorted(HERE.iterdir()) if path.read_bytes() != (Path(folder) / path.name).read_bytes()]
    if different:
        raise SystemExit(f"different: {', '.join(different)}")
    print("the same")


if __name__ == "__main__":
    main()
