"""TopK language models in a notebook. The model runs in the page; Python gets NumPy arrays. See python/README.md."""

from .calls import Call, Generation
from .errors import (
    TopKAbortError,
    TopKArgumentError,
    TopKDeviceError,
    TopKDisposedError,
    TopKDownloadError,
    TopKError,
    TopKModelError,
    TopKWorkerError,
)
from .model import Model, load
from .values import Ablation, ActiveRows, BatchResult, EachSet, RunResult, Step

__all__ = [
    "Ablation",
    "ActiveRows",
    "BatchResult",
    "Call",
    "EachSet",
    "Generation",
    "Model",
    "RunResult",
    "Step",
    "TopKAbortError",
    "TopKArgumentError",
    "TopKDeviceError",
    "TopKDisposedError",
    "TopKDownloadError",
    "TopKError",
    "TopKModelError",
    "TopKWorkerError",
    "load",
]
