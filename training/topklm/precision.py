"""Which number types this machine multiplies fast: measured at the start of a run, not assumed.

A CPU without bf16 instructions emulates them (1 GFLOP/s where f32 has 140), one with them is several times faster than in f32; PyTorch
says which instructions there are, but not how well they are used. So one product of each type is timed.
"""

import time
from dataclasses import dataclass

import torch

# Rows and columns of the timed product: of the size of the trainer's own, and 0.2 s a product where it is emulated.
SIZE = 512
# The types take turns, so that other work on the machine slows both; the best product of all turns counts.
TURNS, SECONDS = 5, 0.02
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
# A resumed run keeps the types that it began with (its losses are then those of an unbroken one) unless the others are this many times
# as fast here: another machine.
MUCH_FASTER = 2.0


@dataclass(frozen=True)
class Precision:
    """`products`: the type of the model's products, "f32" or "bf16"; `muon`: that of Muon's Newton–Schulz iteration."""

    products: str
    muon: str


def product_speed(device: str, dtype: torch.dtype, size: int = SIZE, seconds: float = SECONDS) -> float:
    """FLOP/s of [size, size] products of `dtype`, the best of those that fit into `seconds` (at least one)."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(size, size, generator=generator, device="cpu").to(device, dtype)

    def once() -> float:
        began = time.perf_counter()
        a @ a
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    best = once()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        best = min(best, once())
    return 2 * size**3 / best


def measure(device: str) -> dict[str, float]:
    """FLOP/s by name of type."""
    best = dict.fromkeys(DTYPES, 0.0)
    for _ in range(TURNS):
        for name, dtype in DTYPES.items():
            best[name] = max(best[name], product_speed(device.split(":")[0], dtype))
    return best


def choose(speeds: dict[str, float], wanted: str, began_with: Precision | None = None) -> Precision:
    """The types of a run. `wanted` is the config's dtype: "auto" takes the faster one (f32 where they are equal), a name is kept.

    The iteration of Muon bears bf16 (it was made for it) and takes the faster type whatever the model's own is.
    """
    fast = "bf16" if speeds["bf16"] > speeds["f32"] else "f32"
    chosen = Precision(fast if wanted == "auto" else wanted, fast)
    if began_with is None:
        return chosen

    def kept(now: str, then: str) -> str:
        return now if speeds[now] > MUCH_FASTER * speeds[then] else then

    products = kept(chosen.products, began_with.products) if wanted == "auto" else wanted
    return Precision(products, kept(chosen.muon, began_with.muon))


def describe(speeds: dict[str, float], chosen: Precision) -> str:
    measured = ", ".join(f"{name} {speed / 1e9:,.0f} GFLOP/s" for name, speed in speeds.items())
    return f"products: {measured}; the model's run in {chosen.products}, Muon's in {chosen.muon}"
