"""`attends`: whether a model has attention, read off the code of its layers, without a pass."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import cache
from types import FunctionType
from typing import Any

from torch import nn

_OUTRIGHT = {"scaled_dot_product_attention", "multi_head_attention_forward"}
_PRODUCTS = {"matmul", "bmm", "baddbmm", "einsum"}
_DEEP = 4  # calls from a layer's forward, the functions of which are read


def attends(model: nn.Module) -> bool:
    """Whether there is a layer in ``model`` whose attention `classykit.attention` would see.

    Told by what the functions call that its layers' ``forward`` reaches: torch's attention, or a softmax beside
    products of matrices. Cheap, as each class of layers is read once; that a layer runs is another matter, and scripted
    layers cannot be read.

    >>> attends(nn.TransformerEncoderLayer(8, 2)), attends(nn.Conv2d(3, 8, 3))
    (True, False)
    """
    kinds: set[Any] = {(type(layer), _has_softmax(layer)) for layer in model.modules()}
    return any(_attends(*kind) for kind in kinds)


def _has_softmax(layer: nn.Module) -> bool:
    return any(isinstance(part, nn.Softmax) for part in layer.children())


@cache
def _attends(kind: type, has_softmax: bool) -> bool:
    if issubclass(kind, nn.MultiheadAttention):
        return True
    if kind.__module__.startswith("torch."):
        return False
    called = set(_calls(kind, getattr(kind, "forward", None), _DEEP, set()))
    return bool(called & _OUTRIGHT) or (bool(called & _PRODUCTS) and (has_softmax or "softmax" in called))


def _calls(kind: type, function: Any, deep: int, seen: set[Any]) -> Iterator[str]:
    """Names that a function mentions, and those that it calls in turn; products by ``@`` as "matmul"."""
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function in seen or function.__module__.startswith("torch."):
        return
    seen.add(function)
    for step in dis.get_instructions(function):
        if step.opname == "BINARY_MATRIX_MULTIPLY" or (step.opname == "BINARY_OP" and step.argrepr.startswith("@")):
            yield "matmul"
        if step.opname.startswith(("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD")) and isinstance(step.argval, str):
            yield step.argval
            if deep and not step.argval.startswith("__"):
                for found in (function.__globals__.get(step.argval), getattr(kind, step.argval, None)):
                    yield from _calls(kind, found, deep - 1, seen)
