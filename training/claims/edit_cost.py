"""What an edit costs: tokens a second of the engine's generation with 0, 1 and 20 edits, interleaved in one run.

    python -m claims.edit_cost --binary target/release/topk-lm [--backend cpu] [--repeats 7] [--tokens 200]
"""

import json
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


def seconds(arguments) -> tuple[float, int]:
    """(wall seconds, new tokens) of one call of the command, loading included."""
    began = time.perf_counter()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr.strip()}")
    return took, len(json.loads(done.stdout.strip().splitlines()[-1])["ids"])


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--binary", type=Path, required=True, help="the topk-lm command")
    p.add_argument("--backend", default="cpu", choices=["auto", "cpu", "gpu"])
    p.add_argument("--repeats", type=int, default=7)
    p.add_argument("--tokens", type=int, default=200)
    args = p.parse_args()
    clock = common.Clock()
    model = args.topk or args.models / common.TOPK
    config = json.loads((model / "config.json").read_text())
    width, blocks = config["hidden_size"], config["num_hidden_layers"] - config.get("n_nontopk", 0)
    rates = {n: [] for n in COUNTS}
    for _ in range(args.repeats):
        # Loading is the same for all: it is measured by a run of one token and taken off.
        load, _ = seconds(command(args, model, 0, 1, width, blocks))
        for n in COUNTS:
            took, tokens = seconds(command(args, model, n, args.tokens, width, blocks))
            rates[n].append((tokens - 1) / (took - load))
    ratios = {n: [a / b for a, b in zip(rates[n], rates[0], strict=True)] for n in COUNTS}
    result = {
        "model": common.subject(model).about,
        "backend": args.backend,
        "tokens": args.tokens,
        "repeats": args.repeats,
        "tokens_per_second": {str(n): statistics.median(rates[n]) for n in COUNTS},
        "speed_ratio_to_no_edit": {str(n): statistics.median(ratios[n]) for n in COUNTS if n},
        "seconds": clock(),
    }
    common.write(args.results, "edit_cost", result)


if __name__ == "__main__":
    main()
