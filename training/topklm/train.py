"""Trains one model of a config file, resumably.

    python -m topklm.train --config configs/small.toml --data DATA --out RUN [--dense] [--seed N] [--from FOLDER --step N]
    torchrun --nproc_per_node N -m topklm.train …            # more devices: DistributedDataParallel

RUN/log.jsonl: one line a logged step. RUN/checkpoints/step{N}.safetensors: the trail, f32. RUN/state.pt: everything a
resumed run needs; the same command goes on where it stopped, and gives the losses it would have given. --from begins at step N
with stored weights (an exported model's folder, its step{N}/, or a trainer's checkpoint) and fresh optimisers.
The types of its products are measured and chosen at the start (precision.py) and printed with the tokens per second.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors import SafetensorError

from . import precision, sparse
from .config import CHANGEABLE, TrainConfig, changed, read_config
from .data import BOS, Packed, check_folder, evaluation_windows, read_json, said
from .export import load_model, owner_of, state_of, vocabulary, write_tensors
from .model import TopKLM
from .muon import Muon

# After --from the optimisers know nothing of the gradients' size: the rate comes back over this many steps.
REWARM = 20


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cut_torn_line(log: Path):
    """Cuts off a last line that an interruption left without its end: the next one would be written behind it."""
    if log.exists():
        text = log.read_bytes()
        if not text.endswith(b"\n"):
            os.truncate(log, text.rfind(b"\n") + 1)


def checkpoint_steps(checkpoints: int | list, first: int, last: int) -> list[int]:
    """0, the last, and the steps of a list that the run reaches; a number: as many in all (at least those two), from `first` on evenly
    spaced in their logarithm."""
    if isinstance(checkpoints, int):
        checkpoints = [round(s) for s in np.geomspace(min(first, last), last, checkpoints - 1)] if checkpoints > 2 else []
    return sorted({0, last} | {s for s in checkpoints if s < last})


def rate(step: int, steps: int, c: TrainConfig) -> float:
    """The share of the full learning rate at a step: warm-up, constant, linear decay to `final_lr`."""
    decay_from = steps * (1 - c.decay)
    if step < c.warmup:
        return (step + 1) / c.warmup
    if step < decay_from:
        return 1.0
    return 1.0 + (c.final_lr - 1.0) * (step + 1 - decay_from) / (steps - decay_from)


def annealed_k(step: int, steps: int, c: TrainConfig) -> int | None:
    """The k in force at a step while it is annealed; None: the config's own."""
    return next((k for share, k in c.anneal if step < share * steps), None)


def optimisers(model: TopKLM, c: TrainConfig, muon_dtype: torch.dtype = torch.float32):
    """Muon for the blocks' matrices, each projection by itself; AdamW for embeddings, head and norms."""
    blocks = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in blocks}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = Muon(blocks, lr=c.muon_lr, weight_decay=c.muon_decay, dtype=muon_dtype)
    adam = torch.optim.AdamW(rest, lr=c.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return [(muon, c.muon_lr), (adam, c.adam_lr)]


def autocast(device: str, dtype: str):
    """bf16 products with f32 sums and an f32 residual stream; nothing where dtype is f32."""
    return torch.autocast(device, torch.bfloat16) if dtype == "bf16" else nullcontext()


def replaced(ids: torch.Tensor, share: float) -> torch.Tensor:
    """ids [B, T], of which a share is replaced by ids from elsewhere in the batch; the first of a document (BOS) stays, and none comes."""
    others = ids.flatten()[torch.randint(ids.numel(), ids.shape, device=ids.device)]
    which = (torch.rand(ids.shape, device=ids.device) < share) & (ids != BOS) & (others != BOS)
    return torch.where(which, others, ids)


@torch.no_grad()
def evaluate(model: TopKLM, windows: np.ndarray, batch: int = 64, dtype: str = "f32") -> tuple[float, int]:
    """(total loss in nats, number of targets) over windows of `evaluation_windows`."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    for at in range(0, len(windows), batch):
        part = torch.from_numpy(windows[at : at + batch]).to(device)
        # Compiled blocks would be compiled again for these shapes.
        with torch.compiler.set_stance("force_eager"), autocast(device.type, dtype):
            logits = model(part[:, 0]).float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1].flatten(), ignore_index=-1, reduction="sum")
        total, count = total + loss.item(), count + int((part[:, 1] >= 0).sum())
    model.train(was_training)
    return total, count


class Trainer:
    """One run: model, optimisers, data position, log."""

    def __init__(self, config: Path, data: Path, out: Path, dense: bool, begin: tuple[Path, int] | None = None, seed: int | None = None):
        self.table, self.model_config, self.c = read_config(config, dense, data)
        if seed is not None:
            self.table["seed"] = seed
        seed = self.table["seed"]
        if type(seed) is not int or not 0 <= seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 on, not {seed!r}")
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
        if self.device != "cpu":
            torch.cuda.set_device(self.device)  # else NCCL takes the first GPU in every process
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if self.device != "cpu" else "gloo")
        if self.c.batch % self.world:
            raise ValueError(f"batch {self.c.batch} must be a multiple of the number of processes {self.world}")
        shape = self.model_config
        if self.rank == 0 and shape.topk_k is not None and shape.topk_k >= shape.d_model:
            print(f"warning: topk_k {shape.topk_k} is not below d_model {shape.d_model}: nothing is cut", file=sys.stderr)
        self.out, self.data = out, data
        self.reads = self.what_it_reads()
        state = self.stored()
        torch.manual_seed(seed)
        self.model = TopKLM(self.model_config).init_weights(seed).to(self.device)
        self.packed = Packed(data, self.model_config.n_ctx, seed, self.c.epochs)
        if self.c.outward or self.c.lasting or self.c.revive:
            if self.model_config.topk_k is None or self.model_config.n_nontopk == self.model_config.n_layers:
                raise ValueError("outward, lasting and revive need a model with a TopK block: there are no neurons without")
            self.model.unigram.copy_(self.packed.unigram(self.model_config.d_vocab))
        # `mixtures`: (the step from which it is read, its windows), the last first.
        self.planned = self.steps = self.c.steps(self.model_config.n_ctx)
        self.mixtures = [(0, self.packed)]
        if self.c.finish is not None:
            if not 0 < self.c.finish.steps <= self.planned:
                raise ValueError(f"finish.steps must be from 1 to the run's {self.planned}, not {self.c.finish.steps}")
            finish = Packed(data, self.model_config.n_ctx, seed + 1, self.c.finish.epochs)
            self.mixtures.insert(0, (self.planned - self.c.finish.steps, finish))
        for number, more in enumerate(self.c.more):
            if more.steps < 1:
                raise ValueError(f"more.steps must be positive, not {more.steps}")
            packed = Packed(data, self.model_config.n_ctx, seed + 2 + number, more.epochs)
            self.mixtures.insert(0, (self.steps, packed))
            self.steps += more.steps
        self.trail = checkpoint_steps(self.c.checkpoints, self.c.first_checkpoint, self.steps)
        self.step, self.seconds, self.began_at = 0, 0.0, 0
        self.precision = self.choose_precision(state)
        self.model.use_sparse(self.choose_sparse(state)).use_dropout(self.c.dropout)
        self.optimisers = optimisers(self.model, self.c, precision.DTYPES[self.precision.muon])
        if state is not None:
            self.load(state)
        elif begin is not None:
            self.begin(*begin)
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        runner = self.model
        if self.world > 1:
            ids = None if self.device == "cpu" else [torch.device(self.device).index]
            runner = torch.nn.parallel.DistributedDataParallel(runner, device_ids=ids)
        self.runner = runner
        if self.c.compile and self.device == "cpu":
            self.runner = torch.compile(runner)
        elif self.c.compile:
            # On a GPU the blocks share one compilation: of the whole model it takes as long as the training of a small one.
            for block in self.model.model.layers:
                block.compile()

    def begin(self, weights: Path, step: int):
        """Goes on from stored weights at `step`, with fresh optimisers. Their k may be another one, since it may be annealed."""
        if not 0 <= step < self.steps:
            raise ValueError(f"--step must be from 0 to {self.steps - 1}, not {step}")
        stored = load_model(weights)
        ours, theirs = self.model_config, stored.config
        if theirs != ours and (None in (ours.topk_k, theirs.topk_k) or replace(theirs, topk_k=ours.topk_k) != ours):
            raise ValueError(f"{weights}: its shapes or cut are not those of the config: {theirs}")
        owner = owner_of(weights)
        # A trainer's checkpoint has no tokenizer beside it.
        if weights.is_dir() and (owner / "tokenizer.json").is_file() and vocabulary(owner) != vocabulary(self.data):
            its, read = owner / "tokenizer.json", self.data / "tokenizer.json"
            raise ValueError(f"{its} has other tokens than {read}: make DATA with topklm.data --tokenizer {its}")
        self.model.load_state_dict(stored.state_dict())
        self.step = self.began_at = step

    def choose_precision(self, state: dict | None) -> precision.Precision:
        """The types of this run's products, the same in all processes; printed."""
        speeds = [precision.measure(self.device) if self.rank == 0 else None]
        if self.world > 1:
            dist.broadcast_object_list(speeds)
        began_with = precision.Precision(**state["precision"]) if state and "precision" in state else None
        chosen = precision.choose(speeds[0], self.c.dtype, began_with)
        if self.rank == 0:
            print(precision.describe(speeds[0], chosen), flush=True)
        return chosen

    def choose_sparse(self, state: dict | None) -> bool:
        """Whether the products behind a cut are sparse; a resumed run keeps what it began with."""
        c, wanted = self.model_config, self.c.sparse
        if wanted not in ("dense", "sparse", "auto"):
            raise ValueError(f"sparse must be 'dense', 'sparse' or 'auto', not {wanted!r}")
        if c.topk_k is None or wanted == "dense":
            return False
        if self.device != "cpu" or not sparse.available():
            if wanted == "sparse":
                raise ValueError(sparse.CAN)
            return False
        if wanted == "sparse" or state and "sparse" in state:
            return wanted == "sparse" or state["sparse"]
        found = [sparse.seconds(c.d_model, c.topk_k, 3 * c.n_heads * c.d_head, 2048, self.precision.products) if self.rank == 0 else None]
        if self.world > 1:
            dist.broadcast_object_list(found)
        chosen = found[0]["sparse"] < found[0]["dense"]
        if self.rank == 0:
            times = ", ".join(f"{name} {1000 * s:.1f} ms" for name, s in found[0].items())
            print(f"q, k, v behind a cut: {times}; {'sparse' if chosen else 'dense'}", flush=True)
        return chosen

    def of(self) -> dict:
        """Whose state this run's is."""
        return {"model": asdict(self.model_config), "seed": self.table["seed"]}

    def what_it_reads(self) -> dict:
        """The files of DATA, and how often each source is read."""
        check_folder(self.data)
        sources = read_json(self.data / "report.json")["sources"]
        files = {name: digest(self.data / name) for name in ("tokens.npz", "tokenizer.json")}
        return files | {"epochs": {source["file"]: source["epochs"] for source in sources}}

    def stored(self) -> dict | None:
        """The state that this run goes on from, which has to be its own; None where the folder holds no run."""
        path, instead = self.out / "state.pt", f"give another --out, or remove the whole folder {self.out}"
        if not path.exists():
            if (self.out / "log.jsonl").exists() or any((self.out / "checkpoints").glob("step*")):
                raise ValueError(f"{self.out} holds checkpoints or a log of an earlier run, but no state.pt to go on from; {instead}")
            return None
        state = state_of(self.out, self.device)
        # States from before these were stored have none.
        of, now = state.get("of", self.of()), self.of()
        if of != now:
            what = changed(of["model"] | {"seed": of["seed"]}, now["model"] | {"seed": now["seed"]})
            raise ValueError(f"{path} is of another model or seed than this run's ({what}); {instead}")
        what = changed(state.get("train", {}), asdict(self.c), CHANGEABLE)
        if what:
            raise ValueError(f"{path} is of a run with another schedule ({what}); only {', '.join(sorted(CHANGEABLE))} may change; {instead}")
        other = [name for name, then in state.get("read", {}).items() if then != self.reads.get(name)]
        if other:
            raise ValueError(f"{path} is of a run on other data than {self.data} ({', '.join(other)}); give its --data, or another --out")
        return state

    def load(self, state: dict):
        if state["step"] > self.steps:
            path, keys = self.out / "state.pt", "tokens and [[train.more]]"
            raise ValueError(f"{path} stands at step {state['step']}, but the config has {self.steps} steps: give more {keys}, or another --out")
        if self.rank == 0:
            cut_torn_line(self.out / "log.jsonl")
        self.model.load_state_dict(state["model"])
        for (optimiser, _), saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds, self.began_at = state["step"], state["seconds"], state.get("began_at", 0)

    def save(self):
        """The state of the run, written beside and moved into place, so that an interruption leaves a whole one."""
        if self.rank:
            return
        state = {
            "of": self.of(),
            "train": asdict(self.c),
            "read": self.reads,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser, _ in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
            "began_at": self.began_at,
            "precision": asdict(self.precision),
            "sparse": self.model.model.layers[0].sparse,
        }
        part = self.out / "state.pt.part"
        with part.open("wb") as file:
            torch.save(state, file)
        part.replace(self.out / "state.pt")

    def save_checkpoint(self):
        """The weights at this step, if it is one of the trail, with what the export has to know."""
        if self.rank or self.step not in self.trail:
            return
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}
        if self.model_config.tied:
            tensors.pop("lm_head.weight")
        meta = {"config": json.dumps(asdict(self.model_config)), "step": str(self.step), "tokens": str(self.tokens_seen())}
        write_tensors(tensors, self.out / "checkpoints" / f"step{self.step}.safetensors", meta)

    def tokens_seen(self) -> int:
        return self.step * self.c.batch * self.model_config.n_ctx

    def log(self, **entry):
        if self.rank == 0:
            with (self.out / "log.jsonl").open("a") as file:
                file.write(json.dumps({"step": self.step, "tokens": self.tokens_seen(), **entry}) + "\n")

    def windows(self, count: int) -> np.ndarray:
        """This process's `count` windows of the current step, of the mixture that it reads."""
        first, packed = next((first, packed) for first, packed in self.mixtures if self.step >= first)
        return packed.windows((self.step - first) * self.c.batch + self.rank * count, count)

    def rate(self) -> float:
        """The share of the full learning rate at the current step."""
        first = self.planned
        for more in self.c.more:
            done, first = self.step - first, first + more.steps
            if 0 <= done < more.steps:
                return more.rate * (1 - done / more.steps) * min(1.0, (done + 1) / REWARM)
        rewarm = min(1.0, (self.step + 1 - self.began_at) / REWARM) if self.began_at else 1.0
        return rewarm * rate(self.step, self.planned, self.c)

    def one_step(self) -> torch.Tensor:
        """One optimiser step; the mean loss of its batch in nats a token (with the terms of `outward`, `lasting` and `revive`, if there are any), on the device."""
        c = self.c
        windows = self.windows(c.batch // self.world)
        ids = torch.from_numpy(windows).to(self.device)
        if c.dropout or c.noise:
            # What is left out depends on the step alone, as the windows do, so that a resumed run goes on as it would have.
            torch.manual_seed(hash((self.table["seed"], self.step, self.rank)))
        read = replaced(ids[:, :-1], c.noise) if c.noise else ids[:, :-1]
        # A k that is always given is compiled once for all values.
        k = annealed_k(self.step, self.planned, c) or (self.model_config.topk_k if c.anneal else None)
        with autocast(self.device.split(":")[0], self.precision.products):
            loss = self.runner(read, ids[:, 1:], k, c.outward, c.lasting, c.revive)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        for optimiser, lr in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr * self.rate()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        loss = loss.detach()
        if self.world > 1:
            dist.all_reduce(loss, dist.ReduceOp.AVG if self.device != "cpu" else dist.ReduceOp.SUM)
            loss = loss if self.device != "cpu" else loss / self.world
        self.step += 1
        return loss

    def evaluate(self) -> dict:
        """Bits a byte and nats a token on the held-out documents and on the validation file, as far as there are such."""
        report = read_json(self.data / "report.json")
        arrays, n_ctx, result = self.packed.arrays, self.model_config.n_ctx, {}
        for name, starts in (("held_out", arrays["held_out.starts"]), ("validation", None)):
            if report.get(name, {}).get("tokens", 0) == 0:
                continue
            ids = arrays[f"{name}.ids"]
            windows = evaluation_windows(ids, n_ctx, starts)
            targets = (windows[:, 1] >= 0).sum()
            if 0 < self.c.eval_windows < len(windows):
                windows = windows[np.linspace(0, len(windows) - 1, self.c.eval_windows).round().astype(int)]
            nats, count = evaluate(self.model, windows, dtype=self.precision.products)
            bytes_per_token = report[name]["bytes"] / targets
            result[name] = {"nats_per_token": nats / count, "bits_per_byte": nats / count / np.log(2) / bytes_per_token}
        return result

    def run(self, until: int | None = None):
        """Trains to the end, or to step `until`."""
        until = self.steps if until is None else min(self.steps, until)
        if self.step == 0:
            self.save_checkpoint()
        if self.step == self.began_at:
            self.save()  # from here on the folder is this run's
        began, first, losses = time.monotonic(), self.step, []
        spent = self.seconds
        while self.step < until:
            losses.append(self.one_step())
            self.seconds = spent + time.monotonic() - began
            if self.step % self.c.log_every == 0 or self.step == until:
                speed = (self.step - first) * self.c.batch * self.model_config.n_ctx / (time.monotonic() - began)
                left = (self.steps - self.step) * self.c.batch * self.model_config.n_ctx / speed
                mean = torch.stack(losses).mean().item()  # here alone a GPU is waited for
                self.log(loss=round(mean, 5), seconds=round(self.seconds, 1))
                if self.rank == 0:
                    where = f"step {self.step}/{self.steps}  loss {mean:.3f}  {speed:,.0f} tokens/s"
                    print(f"{where}  {left / 60:.1f} min left", flush=True)
                losses = []
            if self.step in self.trail:
                self.save_checkpoint()
            if self.step % self.c.save_every == 0 or self.step == until:
                self.save()
            if self.c.eval_every and self.step % self.c.eval_every == 0:
                self.log(eval=self.evaluate())
        if self.step == self.steps and self.rank == 0:
            result = self.evaluate()
            self.log(eval=result)
            print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dense", action="store_true", help="train the dense twin: the same config without the cut")
    parser.add_argument("--seed", type=int, help="in place of the config's, for another training of the same setting")
    parser.add_argument("--until", type=int, help="stop after this step; a later call goes on")
    parser.add_argument("--from", dest="begin", type=Path, metavar="FOLDER", help="begin with these weights, at --step")
    parser.add_argument("--step", type=int, help="the step that the weights of --from stand at")
    args = parser.parse_args()
    if (args.begin is None) != (args.step is None):
        parser.error("--from and --step belong together")
    begin = None if args.begin is None else (args.begin, args.step)
    try:
        Trainer(args.config, args.data, args.out, args.dense, begin, args.seed).run(args.until)
    except (OSError, ValueError, SafetensorError) as error:
        parser.error(said(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        parser.error(f"{args.config} needs more memory than there is: take a smaller batch, n_ctx or model")
    if dist.is_initialized():
        dist.barrier()  # the first process evaluates after the last step; the others wait for it
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
