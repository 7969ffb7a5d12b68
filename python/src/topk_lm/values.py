"""What comes back from the page: JSON in which numbers in bulk are places in a payload of bytes, and NumPy arrays made of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ActiveRows:
    """The active neurons of each position; row t is `row_start[t] : row_start[t + 1]` of `indices` and `values`."""

    shape: tuple[int, int]
    row_start: np.ndarray
    indices: np.ndarray
    values: np.ndarray

    def dense(self) -> np.ndarray:
        """[T, d_model] f32, with zeros where a neuron is not active."""
        x = np.zeros(self.shape, dtype=np.float32)
        x[np.repeat(np.arange(self.shape[0]), np.diff(self.row_start.astype(np.int64))), self.indices] = self.values
        return x

    def row(self, position: int) -> dict[int, float]:
        """{neuron: value} at a position, highest first."""
        at = range(self.shape[0])[position]
        start, end = int(self.row_start[at]), int(self.row_start[at + 1])
        order = np.argsort(-self.values[start:end], kind="stable") + start
        return {int(self.indices[i]): float(self.values[i]) for i in order}


@dataclass(frozen=True)
class RunResult:
    """`logits` [1 or T, d_vocab] or None; `hooks`: by name an array, or `ActiveRows` for `hook_topk_out`."""

    ids: np.ndarray
    tokens: list[str] | None
    logits: np.ndarray | None
    hooks: dict[str, Any]
    evicted: list[dict]
    admitted: list[dict]


@dataclass(frozen=True)
class Step:
    """A new token. `hooks` at the position that it was drawn from; `top_logprobs`: (ids, logprobs) where asked for."""

    index: int
    id: int
    text: str
    logprob: float
    hooks: dict[str, Any]
    evicted: list[dict]
    admitted: list[dict]
    top_logprobs: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Ablation:
    """One entry an active neuron at the last position: what its ablation takes from the target's logit."""

    logit: float
    layers: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    effects: np.ndarray


@dataclass(frozen=True)
class EachSet:
    """`effects`: for each of the neurons, what setting it adds to the target's logit, which is `logit` without."""

    logit: float
    effects: np.ndarray


@dataclass(frozen=True)
class BatchResult:
    """One generation of a batch. `finish`: "length", "stop" or "context"."""

    prompt_ids: np.ndarray
    ids: np.ndarray
    text: str
    steps: list[Step]
    finish: str
    seed: int | None


def decoded(value: Any, payload: bytes) -> Any:
    """Arrays put back in their places: {"$": [dtype, offset, length]}; with a shape beside `data`, of that shape."""
    if isinstance(value, list):
        return [decoded(each, payload) for each in value]
    if not isinstance(value, dict):
        return value
    if "$" in value:
        dtype, offset, length = value["$"]
        return np.frombuffer(payload, dtype=dtype, count=length, offset=offset)
    value = {key: decoded(each, payload) for key, each in value.items()}
    if set(value) == {"data", "shape"}:
        return value["data"].reshape(value["shape"])
    if set(value) == {"shape", "rowStart", "indices", "values"}:
        return ActiveRows(tuple(value["shape"]), value["rowStart"], value["indices"], value["values"])
    return value


def run_result(value: dict) -> RunResult:
    return RunResult(**{name: value[name] for name in ("ids", "tokens", "logits", "hooks", "evicted", "admitted")})


def step(value: dict) -> Step:
    top = value.get("topLogprobs")
    fields = {name: value[name] for name in ("index", "id", "text", "logprob", "hooks", "evicted", "admitted")}
    return Step(**fields, top_logprobs=None if top is None else (top["ids"], top["logprobs"]))


def batch_result(value: dict) -> BatchResult:
    seed = None if value["seed"] is None else int(value["seed"])
    return BatchResult(value["promptIds"], value["ids"], value["text"], [step(each) for each in value["steps"]], value["finish"], seed)
