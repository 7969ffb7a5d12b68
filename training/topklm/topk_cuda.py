"""The TopK mask of rows of f32 on a GPU, in Triton: one program a row, which looks for its k-th key bit by bit, in registers.

The ranking (docs/semantics.md): key descending, then index ascending. -0 equals +0; all NaN are equal and above +inf.
Twins: topk.py and topk.c beside this file, tests/goldens/topk.py, crate/src/numerics/order.rs, shaders/parts/order.wgsl.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def _mask_row(x, keep, n, k, by_magnitude: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < n
    bits = tl.load(x + row * n + at, mask=inside, other=0.0).to(tl.uint32, bitcast=True)
    magnitude = bits & 0x7FFFFFFF
    key = magnitude | 0x80000000
    if not by_magnitude:
        key = tl.where(((bits >> 31) == 1) & (magnitude != 0), ~bits, key)
    key = tl.where(magnitude > 0x7F800000, 0xFFFFFFFF, key).to(tl.uint32)
    key = tl.where(inside, key, 0).to(tl.uint32)  # no number has the key 0
    # The largest threshold that at least k keys reach is the k-th key.
    threshold = tl.zeros([1], tl.uint32)
    bit = tl.full([1], 0x80000000, tl.uint32)
    for _ in range(32):
        candidate = threshold | bit
        threshold = tl.where(tl.sum((key >= candidate).to(tl.int32)) >= k, candidate, threshold)
        bit = bit >> 1
    above = key > threshold
    equal = key == threshold
    ties = k - tl.sum(above.to(tl.int32))
    kept = above | (equal & (tl.cumsum(equal.to(tl.int32)) <= ties))
    tl.store(keep + row * n + at, kept, mask=inside)


def mask(x: torch.Tensor, k: int, select: str) -> torch.Tensor:
    """Which entries of f32 x [..., d] are among the k first of their row, bool [..., d]; 0 < k < d."""
    x = x.contiguous()
    n = x.shape[-1]
    keep = torch.empty(x.shape, dtype=torch.bool, device=x.device)
    block = triton.next_power_of_2(n)
    _mask_row[(x.numel() // n,)](x, keep, n, k, select == "abs", block, num_warps=max(1, min(8, block // 1024)))
    return keep
