"""Runs all claims one after the other, each in its own process, then the recipes and the tables.

    python -m claims.all --data DATA --work DIR [--text WRITING.jsonl] [--binary TOPK-LM] [--also DIR …] [--dense-run RUN]
        [--only NAME …] [--twin]

DIR keeps the SAE's weights. --twin runs what remains once the dense twin exists and the TopK model's part has been run before
(its steering is scored again, by the twin's likelihood). The sweep is not included: it trains models.
"""

import subprocess
import sys
from pathlib import Path

from . import common

NAMES = ("quality", "consistency", "trace", "steer-topk", "ceiling", "sae", "sae-trace", "meaning", "steer-dense", "steer-sae", "edit_cost", "recipes")


def commands(args) -> dict[str, list]:
    """Name -> module and arguments; what cannot run (no twin, no binary) is left out."""
    shared = ["--models", args.models, "--results", args.results]
    for flag in ("topk", "dense", "threads"):
        if getattr(args, flag):
            shared += [f"--{flag}", getattr(args, flag)]
    data = [*shared, "--data", args.data]
    weights = args.work / "sae"
    twin = args.dense or args.models / common.DENSE / "config.json"
    runs = {
        "quality": ["quality", *data, *(["--also", *args.also] if args.also else [])],
        "consistency": ["consistency", *shared, *(["--data", args.data] if args.topk or args.dense else [])],
        "trace": ["trace", *data, *(["--run", args.run] if args.run else [])],
        "steer-topk": ["steer", *data, "--method", "topk"],
        "ceiling": ["ceiling", *data],
        "sae": ["sae", *data, "--out", weights],
        "sae-trace": ["sae_trace", *data, *(["--run", args.dense_run] if args.dense_run else [])],
        "meaning": ["meaning", *data, *(["--text", *args.text] if args.text else []), "--limit", args.limit],
        "steer-dense": ["steer", *data, "--method", "dense"],
        "steer-sae": ["steer", *data, "--method", "sae", "--sae", weights],
        "edit_cost": ["edit_cost", *shared, "--binary", args.binary],
        "recipes": ["recipes", *shared],
    }
    if args.twin:
        runs["quality"] += ["--only", "dense"]
        runs["meaning"] += ["--only", "dense"]
        runs["steer-topk"] += ["--stage", "score"]
        del runs["trace"]
    if twin.exists():
        runs["meaning"] += ["--sae", weights]
    else:
        for name in ("sae", "sae-trace", "steer-dense", "steer-sae"):
            del runs[name]
    if args.binary is None:
        del runs["edit_cost"]
    return {name: run for name, run in runs.items() if not args.only or name in args.only}


def arguments():
    p = common.parser(__doc__)
    p.add_argument("--work", type=Path, required=True, help="folder for what is not part of the repository")
    p.add_argument("--run", type=Path, help="the trainer's run folder, for the trace")
    p.add_argument("--dense-run", type=Path, help="the dense twin's run folder, for the trace of SAE features")
    p.add_argument("--text", type=Path, nargs="+", help="our models' own writing, JSON lines of ids")
    p.add_argument("--limit", type=int, default=200_000, help="tokens of that text")
    p.add_argument("--binary", type=Path, help="the topk-lm command")
    p.add_argument("--also", type=Path, nargs="*", default=[])
    p.add_argument("--only", nargs="*", choices=NAMES)
    p.add_argument("--twin", action="store_true", help="only what the dense twin adds")
    return p.parse_args()


def main():
    args = arguments()
    for name, run in commands(args).items():
        clock = common.Clock()
        print(f"{name} …", flush=True)
        subprocess.run([sys.executable, "-m", f"claims.{run[0]}", *map(str, run[1:])], check=True)
        print(f"{name}: {clock()} s", flush=True)
    subprocess.run([sys.executable, "-m", "claims.table", "--results", str(args.results)], check=True)


if __name__ == "__main__":
    main()
