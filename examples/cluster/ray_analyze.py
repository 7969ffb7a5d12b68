"""`topk-lm analyze` over a Ray cluster: the shards on its workers, then `topk-lm merge`. The result is byte for byte that of one machine.

    python examples/cluster/ray_analyze.py --model DIR --corpus FILE --out DIR --shards 64 [--address auto] [--threads 4] [--binary topk-lm] [-- --checkpoints …]

Every machine must see the same paths (a shared file system) and have the command. Shards lie in OUT.shards/: started again, the script keeps those that are done and continues
the others where they stopped. A shard whose worker or machine is lost runs again elsewhere. What comes after `--` is passed on to `topk-lm analyze`.
"""

import argparse
import ctypes
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ray


def end_with_parent():
    """On Linux the command ends with the worker that started it, so that no two ever write the same shard."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run_shard(command: list[str], done: str) -> None:
    """One shard, in a worker. Its last line, `done`, is written when everything else is."""
    result = subprocess.run(command, capture_output=True, text=True, preexec_fn=end_with_parent)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    Path(done).write_text(json.dumps(command))


def is_done(marker: Path, command: list[str]) -> bool:
    if not marker.exists():
        return False
    if json.loads(marker.read_text()) != command:
        sys.exit(f"error: {marker.parent} was made by another command; give another --out, or delete it.")
    return True


def main():
    own, passed = sys.argv[1:], []
    if "--" in own:
        own, passed = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, required=True, help="more than there are workers, so that a lost one costs little")
    parser.add_argument("--threads", type=int, default=1, help="threads of a shard, and the CPUs that Ray reserves for it")
    parser.add_argument("--address", help="of the cluster (auto: the one of this machine); without it Ray starts one here")
    parser.add_argument("--workers", type=int, help="without --address: how many CPUs of this machine to use")
    parser.add_argument("--binary", default="topk-lm")
    args = parser.parse_args(own)
    binary = shutil.which(args.binary)
    if binary is None:
        sys.exit(f"error: --binary {args.binary} is not a command; install it (python/README.md), or give its path.")
    if args.shards < 1:
        sys.exit("error: --shards must be at least 1.")

    folder = args.out.resolve().with_name(f"{args.out.name}.shards")
    corpus = [str(path.resolve()) for path in args.corpus]
    shards, waiting = [], []
    for i in range(1, args.shards + 1):
        out = folder / f"{i}-of-{args.shards}"
        out.mkdir(parents=True, exist_ok=True)
        command = [binary, "analyze", "--model", str(args.model.resolve()), "--corpus", *corpus, "--out", str(out)]
        command += ["--shard", f"{i}/{args.shards}", "--threads", str(args.threads), *passed]
        marker = folder / f"{out.name}.done"
        shards.append(str(out))
        if not is_done(marker, command):
            waiting.append((command, str(marker)))

    ray.init(address=args.address, num_cpus=None if args.address else args.workers, log_to_driver=False, include_dashboard=False)
    # A lost worker or machine counts as a retry; an error of the command itself does not, and ends everything.
    task = ray.remote(run_shard).options(num_cpus=args.threads, max_retries=10, retry_exceptions=False)
    pending = [task.remote(*shard) for shard in waiting]
    finished, began = args.shards - len(pending), time.time()
    print(f"{finished} of {args.shards} shards are done", flush=True)
    while pending:
        ready, pending = ray.wait(pending)
        try:
            ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            sys.exit(f"error: {error.cause}")
        finished += len(ready)
        print(f"{finished} of {args.shards} shards are done ({time.time() - began:.0f} s)", flush=True)
    ray.shutdown()
    merged = subprocess.run([binary, "merge", "--out", str(args.out), *shards])
    sys.exit(merged.returncode)


if __name__ == "__main__":
    main()
