"""The TopK activation in PyTorch.

The ranking (docs/semantics.md): selection key descending (the value, or its magnitude for `abs`), then index ascending; -0 equals +0; every
NaN is equal to every other and above +inf. Twins: topk.c and topk_cuda.py beside this file (fast, for training on a CPU and on a GPU),
tests/goldens/topk.py, crate/src/numerics/order.rs, shaders/parts/order.wgsl; all are tested on tests/goldens/topk_vectors.json.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import torch


def keys(x: torch.Tensor, select: str) -> torch.Tensor:
    """int64 keys of f32 `x` that order as the selection does."""
    bits = x.detach().contiguous().view(torch.int32).to(torch.int64) & 0xFFFF_FFFF
    magnitude = bits & 0x7FFF_FFFF
    negative = (bits >> 31 == 1) & (magnitude != 0) & (select == "value")
    key = torch.where(negative, ~bits & 0xFFFF_FFFF, magnitude | 0x8000_0000)
    return torch.where(magnitude > 0x7F80_0000, 0xFFFF_FFFF, key)


def mask_by_sort(x: torch.Tensor, k: int, select: str) -> torch.Tensor:
    """The rule as a stable sort: which entries of f32 x [..., d] are kept, bool [..., d]."""
    order = torch.sort(keys(x, select), dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.zeros_like(x, dtype=torch.bool).scatter_(-1, order, True)


@lru_cache(maxsize=None)
def compiled(name: str):
    """A C file beside this one, compiled once per version of it and machine; None where there is no C compiler."""
    source = Path(__file__).with_name(name)
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    tag = hashlib.sha256(source.read_bytes() + platform.node().encode()).hexdigest()[:16]
    # A folder of one's own: what lies in a shared one may be somebody else's code.
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "topklm"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="topklm-"))
    target = folder / f"{tag}.so"
    if not target.exists():
        part = target.with_suffix(f".{os.getpid()}.so")
        flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]
        try:
            command = [compiler] if shutil.which(compiler) else shlex.split(compiler)  # CC may be "ccache gcc"
            subprocess.run([*command, *flags, str(source), "-o", str(part)], check=True, capture_output=True)
        except (OSError, ValueError, subprocess.CalledProcessError):  # it is not there, its quotes are not closed, or it cannot
            return None
        part.replace(target)
    return ctypes.CDLL(str(target))


def _library():
    library = compiled("topk.c")
    if library is None:
        return None
    pointer, i64, i32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    library.topk_mask.argtypes = [pointer, i64, i64, i64, i32, pointer, pointer, i32]
    library.topk_mask.restype = None
    return library


@lru_cache(maxsize=None)
def _cuda():
    """topk_cuda.py; None where there is no Triton (it comes with PyTorch for GPUs)."""
    try:
        from . import topk_cuda
    except ImportError:
        return None
    return topk_cuda


@torch.library.custom_op("topklm::topk_mask", mutates_args=())
def topk_mask(x: torch.Tensor, k: int, select: str) -> torch.Tensor:
    """Which entries of f32 x [..., d] are among the k first of their row, bool [..., d]; 0 < k < d."""
    if x.device.type == "cuda":
        cuda = _cuda()
        return mask_by_sort(x, k, select) if cuda is None else cuda.mask(x, k, select)
    library = _library() if x.device.type == "cpu" else None
    if library is None:
        return mask_by_sort(x, k, select)
    x = x.contiguous()
    n, threads = x.shape[-1], torch.get_num_threads()
    keep = torch.empty(x.shape, dtype=torch.bool)
    scratch = torch.empty(threads * n, dtype=torch.int32)
    rows = x.numel() // n
    library.topk_mask(x.data_ptr(), rows, n, k, int(select == "abs"), keep.data_ptr(), scratch.data_ptr(), threads)
    return keep


@topk_mask.register_fake
def _(x, k, select):
    return torch.empty_like(x, dtype=torch.bool)


def topk_cut(x: torch.Tensor, k: int | None, select: str = "value", post: str = "identity") -> torch.Tensor:
    """The activation: f32 x [..., d] with all but the k selected entries of a row set to 0.

    The identity where k is None or k >= d. `post="relu"` then sets kept entries below zero to 0; they have counted
    towards k. Gradients flow through the kept entries alone.
    """
    if k is None or k >= x.shape[-1]:
        return x
    x = torch.where(topk_mask(x.detach(), k, select), x, 0.0)
    return x.relu() if post == "relu" else x
