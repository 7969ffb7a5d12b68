"""Compares the rate of `topk-lm analyze`, including statistics, with PyTorch's forward pass of the same blocks (f32, no head), on the same
documents with the same number of threads, in turns.

    python benches/analyze.py --model models/NAME [--binary target/release/topk-lm] [--threads 2] [--documents 96] [--repeats 3] [--k 160]

--k: with another `topk_k` than the model's, which changes what is computed and not how well the model reads.
Needs torch and this project's training code. PyTorch runs the blocks that the analysis needs (in a TopK model not those after the
last TopK block) and, for comparison, all of them. Prints medians and ratios, by the clock and by CPU time; only the latter counts on a machine
that is busy with something else.
"""

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "training"))

import torch  # noqa: E402
from topklm.export import load_model  # noqa: E402


def blocks(model, ids, count):
    """The residual stream behind `count` blocks."""
    x = model.model.embed_tokens(ids).float()
    length = ids.shape[1]
    for block in model.model.layers[:count]:
        x = block(x, model.cos[:length], model.sin[:length], model.causal[:length, :length], None)
    return x


def torch_run(model, batches, count):
    """(seconds, CPU seconds) of one pass over the batches."""
    started, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
        for batch in batches:
            blocks(model, batch, count)
    return time.perf_counter() - started, time.process_time() - cpu


def our_run(options, corpus, folder):
    """(seconds of the passes, CPU seconds of them): what the command reports, and its CPU time less that of an empty shard."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [options.binary, "analyze", "--model", options.model, "--corpus", corpus, "--threads", str(options.threads), "--json"]
    report = json.loads(subprocess.run([*command, "--out", folder, "--shard", "1/1"], check=True, capture_output=True).stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    idle = [*command, "--out", f"{folder}-idle", "--shard", f"1/{10 * options.documents}"]
    subprocess.run(idle, check=True, capture_output=True)
    rest = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return report["seconds"], used - (rest.ru_utime + rest.ru_stime - after.ru_utime - after.ru_stime)


def with_k(model, k, folder):
    """A folder with the same weights, whose configuration keeps k."""
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(Path(model) / name, folder)
    config = json.loads((Path(model) / "config.json").read_text())
    config.pop("dense_twin", None)
    (folder / "config.json").write_text(json.dumps({**config, "topk_k": k}))
    return str(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--binary", default=str(ROOT / "target/release/topk-lm"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--documents", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--k", type=int, help="topk_k instead of the model's own")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.k:
            options.model = with_k(options.model, options.k, Path(folder))
        compare(options)


def compare(options):
    """Runs both in turns and prints what they took."""
    model = load_model(Path(options.model))
    config = model.config
    draw = random.Random(0)
    documents = [[draw.randrange(1, config.d_vocab) for _ in range(config.n_ctx)] for _ in range(options.documents)]
    tokens = options.documents * config.n_ctx
    batches = torch.tensor(documents).split(options.batch)
    needed = config.n_layers - (config.n_nontopk if config.topk_k else 0)
    runs = {"analyze": [], "torch": [], "torch, all blocks": []}
    with tempfile.TemporaryDirectory() as folder:
        corpus = str(Path(folder) / "corpus.jsonl")
        Path(corpus).write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in documents))
        torch_run(model, batches[:1], config.n_layers)
        for repeat in range(options.repeats):
            runs["analyze"].append(our_run(options, corpus, f"{folder}/{repeat}"))
            runs["torch"].append(torch_run(model, batches, needed))
            runs["torch, all blocks"].append(torch_run(model, batches, config.n_layers))
    median = {name: [statistics.median(column) for column in zip(*list_, strict=True)] for name, list_ in runs.items()}
    figures = {
        name: {"tokens_per_second": round(tokens / clock), "tokens_per_cpu_second": round(tokens / cpu)}
        for name, (clock, cpu) in median.items()
    }
    for other in ("torch", "torch, all blocks"):
        ratio = [median[other][i] / median["analyze"][i] for i in (0, 1)]
        figures[f"analyze / {other}"] = {"clock": round(ratio[0], 2), "cpu": round(ratio[1], 2)}
    print(json.dumps({"model": Path(options.model).name, "k": config.topk_k, "tokens": tokens, "threads": options.threads, **figures}, indent=2))


main()
