"""How fast a device multiplies matrices at best: measured, as the measure of everything else that runs on it."""

from __future__ import annotations

from typing import Any

import torch

from classykit.measuring.timing import timer_of
from classykit.running.memory_fit import is_out_of_memory

_SIZES = {"cpu": (256, 512, 1024, 2048), "cuda": (2048, 4096, 8192), "mps": (1024, 2048, 4096)}
_SLOW = 0.05  # seconds of a product above which larger ones are not tried
_SECONDS = 0.1  # of measuring each size

_known: dict[Any, float] = {}


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs a second (two a multiply-add) of the quickest product of two square matrices found on a device.

    Measured once for a device, type, number of threads and precision, then remembered until the process ends. The
    best of several sizes and repeats counts: a peak, which models come near to, but for types or layouts for which
    the device has something faster than it has for this product.
    """
    precision = torch.get_float32_matmul_precision() if dtype == torch.float32 else ""
    key = device, dtype, torch.get_num_threads(), precision
    if key not in _known:
        _known[key] = _measure(device, dtype)
    return _known[key]


def _measure(device: torch.device, dtype: torch.dtype) -> float:
    best = 0.0
    for n in _SIZES.get(device.type, _SIZES["cpu"]):
        try:
            seconds = _seconds(n, device, dtype)
        except (RuntimeError, MemoryError) as error:
            if best and is_out_of_memory(error):
                break
            raise
        best = max(best, 2 * n**3 / seconds)
        if seconds > _SLOW:
            break
    return best


def _seconds(n: int, device: torch.device, dtype: torch.dtype) -> float:
    # random, because a GPU is faster on zeros than on numbers; not from the global generator, which is the user's
    numbers = torch.rand(n, n, generator=torch.Generator().manual_seed(0))
    a = numbers.to(device, dtype)
    values = {"a": a, "b": a.t().contiguous(), "out": torch.empty_like(a)}
    with torch.no_grad():
        return min(timer_of("torch.mm(a, b, out=out)", values).blocked_autorange(min_run_time=_SECONDS).times)
