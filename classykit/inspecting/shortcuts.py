"""Shapes of operations that torch, on the meta device, would take apart: how depends on its release, and takes long."""

from __future__ import annotations

from typing import Any

import torch

aten = torch.ops.aten
ATTENTION = aten.scaled_dot_product_attention.default


def attention_macs(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> int:
    """Multiply-accumulates of attention, which is one operation wherever it has a kernel: q·kᵀ, and weights times v.

    >>> attention_macs(*(torch.empty(2, 3, 5, 8, device="meta") for _ in "qkv"))  # 2·3 heads of 5×5×8, twice
    2400
    """
    rows = query.shape[:-1].numel()
    return rows * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)``; of BatchNorm on the meta device in eval mode, and of attention, only the shapes.

    torch decomposes BatchNorm into a dozen operations, each checked in Python: half the time of a pass of a ResNet.

    >>> maps = torch.empty(2, 3, 4, 4, device="meta")
    >>> run(aten.native_batch_norm.default, (maps, *[None] * 4, False, 0.1, 1e-5), {})[0].shape
    torch.Size([2, 3, 4, 4])
    """
    if func is ATTENTION and args[0].is_meta:
        return args[0].new_empty(*args[0].shape[:-1], args[2].shape[-1])
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
