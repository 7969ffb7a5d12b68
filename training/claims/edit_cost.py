"""What an edit costs: tokens per second of the engine with 0, 1 and 20 edits, interleaved in one run.

    python -m claims.edit_cost --binary ../target/release/topk-lm [--backend cpu] [--repeats 7] [--tokens 200]
"""

import json
import resource
import statistics
import subprocess
import time
from pathlib import Path

from . import common

COUNTS = (0, 1, 20)


def command(args, model: Path, edits: int, tokens: int, width: int, blocks: int) -> list[str]:
    """`generate` with so many edits. Which neurons they set does not matter; they are spread over blocks."""
    out = [str(args.binary), "generate", "--model", str(model), "--backend", args.backend, "--prompt", "Once upon a time"]
    out += ["--max-tokens", str(tokens), "--ignore-eos", "--json", "--seed", "1"]
    for i in range(edits):
        out += ["--edit", f"layer={i % blocks},index={(37 * i + 11) % width},action=clamp,value=1"]
    return out


def processor() -> float:
    """Processor seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(arguments) -> tuple[float, float, int]:
    """(wall seconds, processor seconds, new tokens) of one call of the command, loading included."""
    began, used = time.perf_counter(), processor()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    took, used = time.perf_counter() - began, processor() - used
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr.strip()}")
    return took, used, len(json.loads(done.stdout.strip().splitlines()[-1])["ids"])


def median_ratio(rates, n) -> float:
    return statistics.median(a / b for a, b in zip(rates[n], rates[0], strict=True))


def main():
    p = common.parser(__doc__, data=False, folders=True)
    p.add_argument("--binary", type=Path, required=True, help="the topk-lm command")
    p.add_argument("--backend", default="cpu", choices=["auto", "cpu", "gpu"])
    p.add_argument("--repeats", type=int, default=7)
    p.add_argument("--tokens", type=int, default=200)
    args = p.parse_args()
    clock = common.Clock()
    model = args.topk or args.models / common.TOPK
    config = json.loads((model / "config.json").read_text())
    width, blocks = config["hidden_size"], config["num_hidden_layers"] - config.get("n_nontopk", 0)
    wall, busy = {n: [] for n in COUNTS}, {n: [] for n in COUNTS}
    for _ in range(args.repeats):
        # Loading is the same for all: it is measured by a run of one token and taken off.
        load, load_busy, _ = seconds(command(args, model, 0, 1, width, blocks))
        for n in COUNTS:
            took, used, tokens = seconds(command(args, model, n, args.tokens, width, blocks))
            wall[n].append((tokens - 1) / max(took - load, 1e-9))
            busy[n].append((tokens - 1) / max(used - load_busy, 1e-9))
    result = {
        "model": common.subject(model).about,
        "backend": args.backend,
        "tokens": args.tokens,
        "repeats": args.repeats,
        "tokens_per_second": {str(n): statistics.median(wall[n]) for n in COUNTS},
        "tokens_per_processor_second": {str(n): statistics.median(busy[n]) for n in COUNTS},
        "speed_ratio_to_no_edit": {str(n): median_ratio(wall, n) for n in COUNTS if n},
        # On a machine that does other work too, this is the one to read (CPU backend).
        "processor_ratio_to_no_edit": {str(n): median_ratio(busy, n) for n in COUNTS if n},
        "seconds": clock(),
    }
    common.write(args.results, "edit_cost", result)


if __name__ == "__main__":
    common.run(main)
