"""Shapes of operations for which torch, on the meta device, takes long to find what is plain to see."""

from __future__ import annotations

from typing import Any

import torch

aten = torch.ops.aten


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)``; of BatchNorm on the meta device in eval mode only the shapes, which are the input's.

    torch decomposes that one into a dozen operations, each checked in Python: half the time of a pass of a ResNet.

    >>> maps = torch.empty(2, 3, 4, 4, device="meta")
    >>> run(aten.native_batch_norm.default, (maps, *[None] * 4, False, 0.1, 1e-5), {})[0].shape
    torch.Size([2, 3, 4, 4])
    """
    if func is aten.native_batch_norm.default and not kwargs and _is_plain_batch_norm(*args):
        return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
    return func(*args, **kwargs)


def _is_plain_batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *rest: Any) -> bool:
    """Whether it only scales and shifts, by as many numbers as there are channels; else torch says what is wrong."""
    return (
        not training
        and x.is_meta
        and x.ndim > 1
        and all(t is None or (t.is_meta and t.shape == x.shape[1:2]) for t in (weight, bias, mean, var))
    )
