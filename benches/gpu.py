"""The native engine on a GPU through Vulkan, beside PyTorch on the same GPU: TopK, a prompt, a token.

    python benches/gpu.py --binary target/release/topk-lm --work DIR [--runs 15] [--out FILE]

Models are of random weights (shapes of benches/peers/models/llama.mjs, of the shipped model and its twin, of SmolLM2-135M), f16; DIR keeps
them. Needs torch with CUDA and transformers. Prints a table; --out also writes everything as JSON, with the time of each kernel.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import torch

TOPK = [[1, 1024, 32], [1, 4096, 64], [64, 1024, 32], [512, 1024, 48], [4096, 1024, 48], [64, 4096, 64], [32, 4096, 256], [32, 4096, 1024],
        [1, 32_000, 40], [1, 32_000, 1024], [1, 128_000, 128], [4, 16_384, 512], [64, 32_000, 40], [1024, 32_000, 40]]  # fmt: skip
# d, layers, heads, KV heads, MLP, vocabulary, context, k.
SHAPES = {
    "tiny": (256, 6, 8, 8, 688, 4096, 1024, None),
    "small": (512, 8, 8, 8, 1376, 8192, 1024, None),
    "topk-model": (1024, 6, 8, 8, 384, 4096, 512, 48),
    "twin": (1024, 6, 8, 8, 384, 4096, 512, None),
    "smollm2": (576, 30, 9, 3, 1536, 49_152, 2048, None),
}
PROMPT, NEW = 128, 32


def config(d, layers, heads, kv_heads, ffn, vocab, context, k) -> dict:
    common = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": d, "num_hidden_layers": layers}
    common |= {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": 64 if d in (512, 576) else 32}
    common |= {"intermediate_size": ffn, "vocab_size": vocab, "max_position_embeddings": context, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}
    common |= {"hidden_act": "silu", "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float16"}
    return common | ({"topk_k": k, "n_nontopk": 1, "topk_select": "value", "topk_post": "relu"} if k else {})


def write_model(folder: Path, shape) -> None:
    from safetensors.torch import save_file

    c = config(*shape)
    d, ffn, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    inner, kv = c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    generator = torch.Generator().manual_seed(1)

    def matrix(rows, columns, deviation):
        return (torch.randn(rows, columns, generator=generator) * deviation).half()

    tensors = {"model.embed_tokens.weight": matrix(vocab, d, 1.0), "lm_head.weight": matrix(vocab, d, d**-0.5)}
    tensors["model.norm.weight"] = torch.ones(d).half()
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for name, rows, columns in [("self_attn.q_proj", inner, d), ("self_attn.k_proj", kv, d), ("self_attn.v_proj", kv, d), ("self_attn.o_proj", d, inner),
                                    ("mlp.gate_proj", ffn, d), ("mlp.up_proj", ffn, d), ("mlp.down_proj", d, ffn)]:  # fmt: skip
            tensors[f"{at}{name}.weight"] = matrix(rows, columns, columns**-0.5)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{name}.weight"] = torch.ones(d).half()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(c))


def ours(binary: Path, *arguments) -> dict:
    done = subprocess.run([binary, "bench", "--backend", "gpu", "--json", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr or done.stdout).strip()[-400:]}
    return json.loads(done.stdout)


def device_ms(work, runs: int) -> float:
    """Milliseconds of what `work` puts into the queue, by the device's clock: the median of `runs`, each of 20 calls."""
    for _ in range(3):
        work()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    calls, times = 20, []
    for _ in range(runs):
        torch.cuda.synchronize()
        begin.record()
        for _ in range(calls):
            work()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / calls)
    return statistics.median(times)


def wall_ms(work, runs: int) -> float:
    times = []
    for run in range(runs + 3):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if run >= 3:
            times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def topk(binary: Path, runs: int) -> list[dict]:
    figures = ours(binary, *(f"--topk={','.join(map(str, shape))}" for shape in TOPK), "--runs", runs)
    if "error" in figures:
        return [figures]
    rows = []
    for (r, n, k), mine in zip(TOPK, figures["topk"], strict=True):
        x = torch.rand(r, n, device="cuda") * 2 - 1
        y = torch.empty_like(x)
        graph = torch.cuda.CUDAGraph()  # without it, small copies cost a launch from Python
        y.copy_(x)
        with torch.cuda.graph(graph):
            for _ in range(20):
                y.copy_(x)
        rows.append({
            "shape": [r, n, k], "topk_ms": mine["topk_ms"]["median"], "kernels_ms": (mine["kernels_ms"] or {}).get("median"),
            "torch_ms": device_ms(lambda x=x, k=k: torch.topk(x, k, dim=-1), runs), "torch_wall_ms": wall_ms(lambda x=x, k=k: torch.topk(x, k, dim=-1), runs),
            "torch_sort_ms": device_ms(lambda x=x: torch.sort(x, dim=-1), max(3, runs // 3)), "copy_ms": device_ms(graph.replay, runs) / 20,
        })  # fmt: skip
    return rows


def in_transformers(folder: Path, dtype: torch.dtype, runs: int) -> dict:
    """The dense models alone; greedy, eager, as `generate` runs by default."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, dtype=dtype).cuda().eval()
    vocab = model.config.vocab_size
    ids = torch.tensor([[(i * 104_729 + 1) % vocab for i in range(PROMPT)]], device="cuda")
    with torch.inference_mode():
        prefill = wall_ms(lambda: model(ids, logits_to_keep=1).logits.argmax().item(), runs)
        generate = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        both = wall_ms(lambda: model.generate(ids, min_new_tokens=NEW, max_new_tokens=NEW, **generate), max(3, runs // 3))
    return {"prefill_ms": prefill, "decode_ms": (both - prefill) / NEW}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--only", nargs="*", choices=["topk", *SHAPES], default=["topk", *SHAPES], metavar="WHAT", help="topk, or names of models")
    parser.add_argument("--alone", action="store_true", help="without transformers")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no GPU here that PyTorch can use (CUDA)")
    if not args.binary.is_file():
        parser.error(f"--binary {args.binary} does not exist: cargo build --release --bin topk-lm makes it")
    result = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    if "topk" in args.only:
        result["topk"] = topk(args.binary, args.runs)
        for row in result["topk"]:
            print({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
    result["models"] = {}
    for name, shape in SHAPES.items():
        if name not in args.only:
            continue
        folder = args.work / name
        if not (folder / "config.json").exists():
            write_model(folder, shape)
        if not (args.work / f"{name}-int8").exists():
            subprocess.run([args.binary, "convert", folder, args.work / f"{name}-int8", "--dtype", "int8"], check=True, capture_output=True)
        entry = {}
        for kind, path in (("f16", folder), ("int8", args.work / f"{name}-int8")):
            mine = ours(args.binary, "--model", path, "--runs", args.runs, "--prompt-tokens", PROMPT, "--new-tokens", NEW)
            entry[kind] = mine
            if "error" not in mine:
                f = mine["figures"]
                entry["adapter"] = f["adapter"]
                kernels = [sum((f[f"{part}_kernels_ms"] or {}).values()) for part in ("prefill", "decode")]
                print(f"{name} {kind}: prompt {f['prefill_ms']['median']:.3f} ms (kernels {kernels[0]:.3f}), token {f['decode_ms_per_token']['median']:.3f} ms (kernels {kernels[1]:.3f})", flush=True)
            else:
                print(name, kind, mine, flush=True)
        if shape[-1] is None and not args.alone:
            for kind, dtype in (("f16", torch.float16), ("f32", torch.float32)):
                try:
                    entry[f"transformers_{kind}"] = in_transformers(folder, dtype, args.runs)
                except Exception as error:  # noqa: BLE001 (the others go on)
                    entry[f"transformers_{kind}"] = {"error": repr(error)[:300]}
                print(name, f"transformers {kind}", entry[f"transformers_{kind}"], flush=True)
        result["models"][name] = entry
        if args.out:
            args.out.write_text(json.dumps(result, indent=1))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
