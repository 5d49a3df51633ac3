"""Which blocks add what they are given to what they make of it: their skips, seen operation by operation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_SUMS = frozenset((torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor))
_SUM = 1  # the mark of what holds such a sum


class Flow:
    """How what a block is given flows through it, while it runs.

    Every tensor that comes from an input carries a number, whose bits say from which inputs, and through which
    operations with weights (or products of such). A sum is a skip's where both sides come from the same input, one of
    them as it is, or through one projection of its own, and the other through more.
    """

    def __init__(self, given: Iterable[torch.Tensor]):
        self.before = [(t, getattr(t, "_flow", None)) for t in given]
        self.bits = 1
        self.inputs = 0
        for tensor, _ in self.before:
            bit = self._fresh()
            self.inputs |= bit
            tensor._flow = (self, bit)

    def _fresh(self) -> int:
        self.bits += 1
        return 1 << (self.bits - 1)

    def of(self, tensor: Any) -> int:
        """The number that a tensor carries; 0 where it does not come from the inputs."""
        flow = getattr(tensor, "_flow", None)
        return flow[1] if flow is not None and flow[0] is self else 0

    def put(self, tensors: Iterable[Any], mark: int) -> None:
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor):
                tensor._flow = (self, mark)

    def follow(self, func: Any, args: Iterable[Any], out: Any, weighs: bool) -> None:
        """What comes out of an operation comes from what went in."""
        marks = [self.of(t) for arg in args for t in (arg if type(arg) in (tuple, list) else (arg,))]
        mark = 0
        for each in marks:
            mark |= each
        if not mark:
            return
        if weighs:
            mark = mark & ~_SUM | self._fresh()
        elif func in _SUMS and len(marks) == 2 and self._is_skip(*marks) and len({t.shape for t in args}) == 1:
            mark |= _SUM
        self.put(out if isinstance(out, (tuple, list)) else (out,), mark)

    def _is_skip(self, one: int, other: int) -> bool:
        if not one & other & self.inputs:
            return False
        weights = ~(self.inputs | _SUM)
        light, heavy = sorted((one & weights, other & weights), key=int.bit_count)
        if not light:
            return heavy > 0
        return light.bit_count() == 1 < heavy.bit_count() and not light & heavy

    def adds(self, outputs: Iterable[torch.Tensor]) -> bool:
        """Whether one of the outputs holds such a sum."""
        return any(self.of(t) & _SUM for t in outputs)

    def end(self) -> list[torch.Tensor]:
        """Give the inputs back the marks of the block around this one; returns the inputs."""
        given = [tensor for tensor, _ in self.before]
        for tensor, flow in reversed(self.before):  # one that is given twice was marked twice
            if flow is None:
                vars(tensor).pop("_flow", None)
            else:
                tensor._flow = flow
        self.before = []
        return given
