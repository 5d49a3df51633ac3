"""What a device can do at best: how fast it multiplies matrices, and how fast it copies memory. Measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from classykit.measuring.matmul_peak import matmul_peak
from classykit.measuring.timing import timer_of
from classykit.running.memory_fit import is_out_of_memory

_BYTES = {"cpu": 2**27, "cuda": 2**30, "mps": 2**28}  # far more than caches hold
_SECONDS = 0.2  # of measuring

_known: dict[Any, float] = {}


@dataclass(frozen=True)
class Roofs:
    """The two limits of the roofline model.

    Attributes:
        flops_per_s: of the quickest matrix product.
        bytes_per_s: of the quickest copy, read and written bytes both counted.
    """

    flops_per_s: float
    bytes_per_s: float

    @property
    def ridge(self) -> float:
        """FLOPs a byte from which on computing is the limit."""
        return self.flops_per_s / self.bytes_per_s

    def at(self, flops_per_byte: float) -> float:
        """FLOPs a second that can be had at so many FLOPs a byte."""
        return min(self.flops_per_s, flops_per_byte * self.bytes_per_s)


def roofs(device: torch.device, dtype: torch.dtype) -> Roofs:
    """Both limits of a device, measured once and then remembered until the process ends."""
    return Roofs(matmul_peak(device, dtype), copy_peak(device))


def copy_peak(device: torch.device) -> float:
    """Bytes a second, read and written, of the quickest copy within a device's memory.

    >>> copy_peak(torch.device("cpu")) > 1e6
    True
    """
    key = device, torch.get_num_threads()
    if key not in _known:
        size = _BYTES.get(device.type, _BYTES["cpu"])
        while True:
            try:
                a, b = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
                break
            except (RuntimeError, MemoryError) as error:
                if size <= 2**20 or not is_out_of_memory(error):
                    raise
                size //= 4
        seconds = min(timer_of("b.copy_(a)", {"a": a, "b": b}).blocked_autorange(min_run_time=_SECONDS).times)
        _known[key] = 2 * size / seconds
    return _known[key]
