"""A run's config: the keys of its TOML file, each checked before anything is made (../README.md, "The keys of a config")."""

from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from . import precision
from .data import read_toml
from .export import vocabulary
from .model import ModelConfig

# What a resumed run may have otherwise: how long it is, and how often something is written or measured (README, "Making a run longer").
CHANGEABLE = {"tokens", "more", "anneal", "compile", "checkpoints", "first_checkpoint", "log_every", "save_every", "eval_every", "eval_windows"}


@dataclass(frozen=True)
class Finish:
    """[train.finish]: the last `steps` steps read another mixture; `epochs` names what differs from data.toml's."""

    steps: int
    epochs: dict


@dataclass(frozen=True)
class More:
    """[[train.more]]: `steps` steps after the schedule's end and what stands before, for a run that turned out too short: the rate
    comes back to `rate` of the full one over REWARM steps and falls to 0; `epochs` as in Finish."""

    steps: int
    rate: float
    epochs: dict


@dataclass(frozen=True)
class TrainConfig:
    """The keys under [train]."""

    batch: int  # windows of n_ctx tokens that a step reads
    tokens: int  # that the run reads: tokens / (batch · n_ctx) steps
    muon_lr: float  # learning rate of Muon: the matrices of the blocks
    muon_decay: float  # their weight decay: a step takes muon_lr · muon_decay of each weight away
    adam_lr: float  # learning rate of AdamW, without decay: embedding, head, gains of the norms
    warmup: int  # steps over which both rates rise to their full size
    decay: float  # the last share of the steps, over which they fall linearly
    final_lr: float  # share of the full rates at the last step
    clip: float  # the largest norm of all gradients together; larger ones are scaled down to it
    dtype: str = "auto"  # of the products: "auto" (what is measured to be faster), "bf16" or "f32"
    checkpoints: int | list = 13  # how many, or the steps themselves (0 and the last are always among them)
    first_checkpoint: int = 4  # the step of the first after 0, where `checkpoints` is a number
    sparse: str = "dense"  # q, k, v behind a cut: "dense", "sparse" (sparse.c), or "auto" (what is measured to be faster)
    eval_every: int = 0  # steps between evaluations on the held-out texts; 0: at the end alone
    eval_windows: int = 0  # windows of n_ctx of each held-out text that are evaluated, evenly spread; 0: all
    anneal: tuple = ()  # [[share of the steps, k until then], …], ascending; afterwards topk_k
    outward: float = 0.0  # weight of the loss that makes a neuron's promoted tokens foretell what follows (TopKLM.outward)
    lasting: float = 0.0  # weight of the loss that makes them foretell the next 32 tokens
    revive: float = 0.0  # weight of the loss that brings idle neurons back among the active ones (model.below_cut)
    dropout: float = 0.0  # share of the inner activations of attention and MLP that a step leaves out (TopKLM.use_dropout)
    noise: float = 0.0  # share of the tokens read that are replaced by others of the batch; what is to be foretold stays
    log_every: int = 10  # steps between lines of log.jsonl
    save_every: int = 100  # steps between writings of state.pt
    compile: bool = True  # with torch.compile: a start of a minute or so, then faster steps
    epochs: dict | None = None  # how often a source is read, where data.toml says otherwise; the other sources by data.toml
    finish: Finish | None = None
    more: tuple = ()  # of More

    def __post_init__(self):
        if self.dtype not in ("auto", *precision.DTYPES):
            raise ValueError(f"dtype must be 'auto', 'bf16' or 'f32', not {self.dtype!r}")
        for key in ("batch", "tokens", "first_checkpoint", "log_every", "save_every"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be from 1 on, not {getattr(self, key)}")
        for key in ("muon_lr", "muon_decay", "adam_lr", "warmup", "final_lr", "eval_every", "eval_windows", "outward", "lasting", "revive"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"{key} must be from 0 on, not {getattr(self, key)}")
        for key in ("dropout", "noise"):
            if not 0 <= getattr(self, key) < 1:
                raise ValueError(f"{key} must be from 0 to below 1, not {getattr(self, key)}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay must be from 0 to 1, not {self.decay}")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0, not {self.clip}")

    def steps(self, n_ctx: int) -> int:
        """Optimiser steps of the schedule, without those of `more`."""
        return self.tokens // (self.batch * n_ctx)

    def all_steps(self, n_ctx: int) -> int:
        """Those of the whole run."""
        return self.steps(n_ctx) + sum(more.steps for more in self.more)


# How an error calls the types of a config's fields.
KINDS = {int: "a whole number", int | None: "a whole number", float: "a number", bool: "true or false", str: "a text", tuple: "a list"}
KINDS |= {dict: "a table", dict | None: "a table", int | list: "a whole number or a list"}


def fits(value, type_) -> bool:
    """Whether a value of a TOML file is of the type of a field: whole numbers are floats too, and lists tuples."""
    if isinstance(value, bool):
        return type_ is bool
    return isinstance(value, type_) or type_ is float and isinstance(value, int) or type_ is tuple and isinstance(value, list)


def made(cls, table: dict, where: str):
    """A config's dataclass from its table; an error names the key that is missing, unknown or of another type."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table, not {table!r}")
    known = {field.name: field for field in fields(cls)}
    for key, value in table.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            raise ValueError(f"{where} has no key {key}" + (f"; is {near[0]} meant?" if near else f"; there are {', '.join(known)}"))
        if not fits(value, known[key].type):
            kind = KINDS.get(known[key].type, known[key].type)
            raise ValueError(f"{key} under {where} must be {kind}, not {value!r}")
    lacking = [name for name, field in known.items() if name not in table and field.default is MISSING]
    if lacking:
        raise ValueError(f"{where} lacks {', '.join(lacking)}")
    return cls(**table)


def read_config(path: Path, dense: bool, data: Path | None = None):
    """(the file's table, ModelConfig, TrainConfig) of a TOML config; `dense` leaves the cut out and nothing else. With DATA its
    tokenizer is asked for the number of tokens, which d_vocab has to be where the config names it."""
    table = read_toml(path)
    try:
        return table, *configs_of(table, dense, data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def configs_of(table: dict, dense: bool, data: Path | None):
    """(ModelConfig, TrainConfig) of the table, each key and value of it checked."""
    unknown = set(table) - {"seed", "d_vocab", "model", "train", "name", "dense_name"}  # configs had the names once
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: there is no such key at the top; is it one of [model] or [train]?")
    lacking = [key for key in ("seed", "model", "train") if key not in table]
    if lacking:
        raise ValueError(f"there is no {', '.join(lacking)}; configs/own.toml is an example")
    shapes, train = table["model"], table["train"]
    if not isinstance(shapes, dict) or not isinstance(train, dict):
        raise ValueError("[model] and [train] must be tables")
    if "d_vocab" in shapes:
        raise ValueError("d_vocab stands at the top, not under [model]")
    d_vocab = table.get("d_vocab")
    if data is not None:
        there = len(vocabulary(data))
        d_vocab = there if d_vocab is None else d_vocab
        if d_vocab != there:
            raise ValueError(f"d_vocab is {d_vocab}, but {data / 'tokenizer.json'} has {there} tokens; both must be the same number")
    if dense:
        shapes = {k: v for k, v in shapes.items() if not k.startswith("topk_") and k != "n_nontopk"}
    for key in ("d_model", "n_layers", "n_heads", "d_head", "d_mlp", "n_ctx"):
        if isinstance(shapes.get(key), int) and shapes[key] < 1:
            raise ValueError(f"{key} must be from 1 on, not {shapes[key]}")
    model = made(ModelConfig, {"d_vocab": 0 if d_vocab is None else d_vocab} | shapes, "[model]")
    train = {key: value for key, value in train.items() if not (dense and key in ("anneal", "outward", "lasting", "revive"))}
    if "finish" in train:
        train["finish"] = made(Finish, train["finish"], "[train.finish]")
    if not isinstance(train.get("more", []), list):
        raise ValueError(f"more is written as tables [[train.more]], not as {train['more']!r}")
    train["more"] = tuple(made(More, phase, "[[train.more]]") for phase in train.get("more", ()))
    train = made(TrainConfig, train, "[train]")
    for step in train.anneal:
        if not (isinstance(step, list) and len(step) == 2 and fits(step[0], float) and fits(step[1], int) and step[1] > 0):
            raise ValueError(f"anneal must be a list of [share of the steps, k], not of {step!r}")
    if isinstance(train.checkpoints, list) and not all(fits(step, int) for step in train.checkpoints):
        raise ValueError(f"checkpoints must be a number or a list of steps, not {train.checkpoints}")
    if train.steps(model.n_ctx) < 1:
        raise ValueError(f"tokens is {train.tokens}, less than the {train.batch * model.n_ctx} of one step (batch {train.batch} · n_ctx {model.n_ctx})")
    return model, train


def changed(then: dict, now: dict, skip=frozenset()) -> str:
    """What differs, in words; keys that only one of the two has are another version's."""
    keys = [key for key in then if key in now and key not in skip and then[key] != now[key]]
    return ", ".join(f"{key} was {then[key]}, is {now[key]}" for key in keys)
