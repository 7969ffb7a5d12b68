"""Runs all claims, each in its own process, then the recipes and the tables.

    python -m claims.all --data DATA --work DIR [--binary TOPK-LM] [--other-seed FILE] [--also DIR …] [--only NAME …] [--jobs N] [--device cuda]

DIR keeps what is no part of the repository: the SAE, the proxy's runs. A search (`sets`) that is cut off goes on when it is called again; the SAE is
trained anew each time (`--only` without `sae` keeps it). Of a trainer's checkpoint in place of a model's folder only what reads nothing but weights is
measured. `seeds` needs another training of the TopK model (`--other-seed`). The sweeps and the older commands (README.md) are not included.
"""

import subprocess
import sys
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from . import common

NAMES = ("quality", "copies", "consistency", "trace", "sae", "controls", "strongest", "patches", "switches", "sets", "seeds", "turning", "compute", "edit_cost", "recipes")
# The SAE that stands beside neurons and coordinates: name of its folder, block.
SAE, BLOCK = "topk-k48", 4
# What it reads: two hours of a core, a minute of a GPU. With a tenth of it an SAE is no rival (README.md, "Reading the sets").
POSITIONS = 4_000_000
# What reads more of a model than its weights.
FOLDERS = ("trace", "switches", "turning", "compute", "edit_cost", "recipes")
# What waits for another; and what is left until all else has ended: it needs the machine to itself, or what the others wrote.
AFTER = {"controls": "sae", "strongest": "sae", "patches": "sae", "sets": "sae"}
LAST = ("turning", "compute", "edit_cost", "recipes")


def commands(args) -> dict[str, list]:
    """Name -> module and arguments; what cannot run (no twin, no binary, a checkpoint in place of a folder) is left out."""
    shared = ["--models", args.models, "--results", args.results]
    for flag in ("topk", "dense", "threads", "device"):
        if getattr(args, flag):
            shared += [f"--{flag}", getattr(args, flag)]
    data = [*shared, "--data", args.data]
    tokenizer = ["--data", args.data] if args.topk or args.dense else []
    sae = args.work / SAE
    has_twin = bool(args.dense) or (args.models / common.DENSE / "config.json").exists()
    beside = ["--sae", sae] if has_twin else []
    runs = {
        "quality": ["quality", *data, *(["--also", *args.also] if args.also else [])],
        "copies": ["copies", *data],
        "consistency": ["consistency", *shared, *tokenizer],
        "trace": ["trace", *shared, "--config", args.config],
        "sae": ["sae", *data, "--out", sae, "--layer", BLOCK, "--k", 48, "--positions", POSITIONS],
        "controls": ["controls", *data, *beside],
        "strongest": ["strongest", *data, *beside],
        "patches": ["patches", *shared, *tokenizer, *beside],
        "switches": ["switches", *shared],
        "sets": ["sets", *data, *beside],
        "seeds": ["seeds", *data, "--other", args.other_seed],
        "turning": ["turning", *shared, "--binary", args.binary],
        "compute": ["compute", *shared, "--config", args.config, "--runs", args.work / "wide", *(["--binary", args.binary] if args.binary else [])],
        "edit_cost": ["edit_cost", *shared, "--binary", args.binary],
        "recipes": ["recipes", *shared],
    }
    if not has_twin:
        del runs["sae"]
    if args.binary is None:
        del runs["turning"], runs["edit_cost"]
    if args.other_seed is None:
        del runs["seeds"]
    checkpoints = any(path and path.is_file() for path in (args.topk, args.dense))
    return {name: run for name, run in runs.items() if (not args.only or name in args.only) and not (checkpoints and name in FOLDERS)}


def arguments():
    p = common.parser(__doc__)
    common.takes_config(p)
    p.add_argument("--work", type=Path, required=True, help="folder for what is not part of the repository")
    p.add_argument("--binary", type=Path, help="the topk-lm command")
    p.add_argument("--other-seed", type=Path, help="a trainer's checkpoint of the TopK model from another seed")
    p.add_argument("--also", type=Path, nargs="*", default=[])
    p.add_argument("--only", nargs="*", choices=NAMES)
    p.add_argument("--jobs", type=int, default=1, help="claims at a time, as where a GPU is shared")
    return p.parse_args()


def run_all(runs: dict[str, list], jobs: int, run):
    """`run(name)` for each of `commands`, at most `jobs` at a time, each after what it rests on. After an error none is begun."""
    with ThreadPoolExecutor(jobs) as pool:
        going = {}

        def in_turn(name):
            if AFTER.get(name) in going:
                going[AFTER[name]].result()
            run(name)

        # What others wait for comes first, so that no thread waits for one that has none.
        for name in sorted((n for n in runs if n not in LAST), key=lambda n: n not in AFTER.values()):
            going[name] = pool.submit(in_turn, name)
        done, _ = wait(going.values(), return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            pool.shutdown(wait=False, cancel_futures=True)
        for future in done:
            future.result()
    for name in LAST:
        if name in runs:
            run(name)


def main():
    args = arguments()
    runs = commands(args)

    def run(name):
        clock, (module, *rest) = common.Clock(), runs[name]
        print(f"{name} …", flush=True)
        if subprocess.run([sys.executable, "-m", f"claims.{module}", *map(str, rest)], check=False).returncode:
            raise ValueError(f"claims.{module} failed: what it said stands above")
        print(f"{name}: {clock()} s", flush=True)

    run_all(runs, args.jobs, run)
    subprocess.run([sys.executable, "-m", "claims.table", "--results", str(args.results)], check=True)


if __name__ == "__main__":
    common.run(main)
