"""Shapes of operations that torch, on the meta device, would take apart: how depends on its release, and takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from classykit.watch import Watch

aten = torch.ops.aten
ATTENTION = aten.scaled_dot_product_attention.default
CONVOLUTION = aten.convolution.default
CAT = aten.cat.default
_TENSORS = (torch.Tensor, torch.nn.Parameter)  # whose operations are none but torch's


def attention_macs(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> int:
    """Multiply-accumulates of attention, which is one operation wherever it has a kernel: q·kᵀ, and weights times v.

    >>> attention_macs(*(torch.empty(2, 3, 5, 8, device="meta") for _ in "qkv"))  # 2·3 heads of 5×5×8, twice
    2400
    """
    rows = query.shape[:-1].numel()
    return rows * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def convolution_macs(
    input: torch.Tensor, weight: torch.Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    *rest: Any, out: torch.Tensor, **kwargs: Any,
) -> int:  # fmt: skip
    """Multiply-accumulates of a convolution: every weight once at each place of the output; transposed, of the input.

    >>> maps, kernels, out = (torch.empty(s, device="meta") for s in ((1, 4, 9, 9), (8, 2, 3, 3), (1, 8, 9, 9)))
    >>> convolution_macs(maps, kernels, None, 1, 1, 1, False, out=out)  # 8·2·3·3 weights at 81 places
    11664
    """
    places = input if transposed else out
    return weight.numel() * out.shape[0] * places.shape[2:].numel()


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)``; on the meta device, of what networks are mostly made of, only the shapes.

    torch decomposes BatchNorm into a dozen operations, each checked in Python, which is half the time of a pass of a
    ResNet, and finds the shapes of most others in Python, too. What is in any way unusual is left to torch.

    >>> maps = torch.empty(2, 3, 4, 4, device="meta")
    >>> run(aten.native_batch_norm.default, (maps, *[None] * 4, False, 0.1, 1e-5), {})[0].shape
    torch.Size([2, 3, 4, 4])
    """
    short = _SHORT.get(func)
    first = args[0] if args else None
    first = first[0] if func is CAT and type(first) is list and first else first
    if short is not None and isinstance(first, torch.Tensor) and type(first) in _TENSORS and first.is_meta:
        out = short(*args, **kwargs)
        if out is not None:
            return out
    return func(*args, **kwargs)


class Shortened(Watch):
    """Passes on the meta device take these shortcuts.

    >>> with Shortened():
    ...     torch.empty(2, 3, 4, 4, device="meta").mean((2, 3)).shape
    torch.Size([2, 3])
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def made_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...], Any] | None:
    """The one operation that a composite one comes to, its arguments and result; None where that is for torch to tell.

    >>> maps, kernels = torch.empty(2, 3, 4, 4, device="meta"), torch.empty(5, 3, 1, 1, device="meta")
    >>> made_of(aten.conv2d.default, (maps, kernels), {})[0]
    <OpOverload(op='aten.convolution', overload='default')>
    """
    told = _MADE_OF.get(func)
    if told is None or kwargs or type(args[0]) is not torch.Tensor or not args[0].is_meta or args[0].ndim != 4:
        return None
    primitive, arguments = told(*args)
    out = _SHORT[primitive](*arguments)
    return None if out is None else (primitive, arguments, out)


def _of_conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = (1, 1), padding: Any = (0, 0), dilation: Any = (1, 1),
    groups: int = 1,
) -> Any:  # fmt: skip
    return CONVOLUTION, (x, weight, bias, list(stride), list(padding), list(dilation), False, [0, 0], groups)


def _of_batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *rest: Any) -> Any:
    return aten.native_batch_norm.default, (x, weight, bias, mean, var, training, *rest[:2])


def _of_average(x: torch.Tensor, size: Any) -> Any:
    return aten.mean.dim, (x, [-1, -2] if list(size) == [1, 1] else [], True)


_MADE_OF: dict[Any, Callable[..., Any]] = {
    aten.conv2d.default: _of_conv2d, aten.batch_norm.default: _of_batch_norm,
    aten.adaptive_avg_pool2d.default: _of_average,
}  # fmt: skip


# ---- of each of them: the result, or None where it is unusual ----


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **kwargs: Any) -> Any:
    return query.new_empty(*query.shape[:-1], value.shape[-1])


def _batch_norm(
    x: torch.Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    *rest: Any, **kwargs: Any,
) -> Any:  # fmt: skip
    """In eval mode, with as many numbers as there are channels."""
    if training or x.ndim < 2:
        return None
    channels = x.shape[1:2]
    if not all(t is None or (t.is_meta and t.shape == channels) for t in (weight, bias, running_mean, running_var)):
        return None
    return _like(x), x.new_empty(0), x.new_empty(0)


def _layer_norm(x: torch.Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    own = list(shape)
    if not _plain(x, *(t for t in (weight, bias) if t is not None)) or not own or list(x.shape[-len(own) :]) != own:
        return None
    if any(t is not None and list(t.shape) != own for t in (weight, bias)) or not x.numel():
        return None
    exact = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    told = x.new_empty(*x.shape[: -len(own)], *[1] * len(own), dtype=exact)
    return x.new_empty(x.shape), told, torch.empty_like(told)


def _mean(x: torch.Tensor, dim: Any, keepdim: bool = False, **kwargs: Any) -> Any:
    """Of all places of a map, as global pooling takes it."""
    if kwargs or not keepdim or x.ndim != 4 or not _plain(x) or not x.is_floating_point() or not x.numel():
        return None
    return x.new_empty(*x.shape[:2], 1, 1) if list(dim) in ([-1, -2], [-2, -1], [2, 3], [3, 2]) else None


def _convolution(
    x: torch.Tensor, weight: torch.Tensor, bias: Any, stride: list[int], padding: list[int], dilation: list[int],
    transposed: bool, output_padding: list[int], groups: int,
) -> Any:  # fmt: skip
    spatial = x.ndim - 2
    if transposed or spatial < 1 or not _plain(x, weight, *(() if bias is None else (bias,))):
        return None
    out, into, *kernel = weight.shape
    lists = stride, padding, dilation
    if (
        weight.ndim != x.ndim
        or any(len(values) != spatial for values in lists)
        or x.shape[1] != into * groups
        or out % groups
        or (bias is not None and bias.shape != (out,))
        or min(*stride, *dilation) < 1
    ):
        return None
    size = [
        (n + 2 * pad - far * (k - 1) - 1) // step + 1
        for n, k, step, pad, far in zip(x.shape[2:], kernel, *lists, strict=True)
    ]
    return x.new_empty(x.shape[0], out, *size) if min(size) > 0 and min(x.shape) > 0 and out else None


def _matrices(x: torch.Tensor, other: Any, **kwargs: Any) -> Any:
    if not isinstance(other, torch.Tensor) or not other.is_meta or x.ndim != 2 or other.ndim != 2:
        return None
    return x.new_empty(x.shape[0], other.shape[1]) if x.shape[1] == other.shape[0] and x.dtype == other.dtype else None


def _matrices_and_bias(bias: Any, x: Any, other: Any, **kwargs: Any) -> Any:
    """With one number a column: as a linear layer has it."""
    if kwargs or not isinstance(x, torch.Tensor) or not x.is_meta or bias.dtype != x.dtype:
        return None
    out = _matrices(x, other)
    return out if out is not None and bias.shape == out.shape[1:] else None


def _cat(parts: list[torch.Tensor], dim: int = 0, **kwargs: Any) -> Any:
    """Of parts that differ along that dimension alone."""
    first = parts[0]
    # the result's strides hang on those of the parts where there are maps, which may have channels last
    alike = _plain(*parts) or (first.ndim < 4 and all(part.is_meta and part.dtype == first.dtype for part in parts))
    if kwargs or not alike or not -first.ndim <= dim < first.ndim:
        return None
    dim %= first.ndim
    around = {(*part.shape[:dim], *part.shape[dim + 1 :]) for part in parts}
    if len(around) > 1 or any(part.ndim != first.ndim for part in parts):
        return None
    return first.new_empty(*first.shape[:dim], sum(part.shape[dim] for part in parts), *first.shape[dim + 1 :])


def _unary(x: torch.Tensor, *rest: Any, **kwargs: Any) -> Any:
    return _like(x) if _plain(x) and x.is_floating_point() else None


def _unary_in_place(x: torch.Tensor, *rest: Any, **kwargs: Any) -> Any:
    return x if x.is_floating_point() else None


def _binary(x: torch.Tensor, other: Any, **kwargs: Any) -> Any:
    if _is_of_the_first(x, other):
        return _like(x)
    return _like(other) if isinstance(other, torch.Tensor) and _is_of_the_first(other, x) else None


def _binary_in_place(x: torch.Tensor, other: Any, **kwargs: Any) -> Any:
    return x if _is_of_the_first(x, other) else None


def _is_of_the_first(x: torch.Tensor, other: Any) -> bool:
    """Whether the result has the shape and type of the first of two."""
    if not x.is_floating_point() or not isinstance(other, torch.Tensor) or not _plain(x, other):
        return False
    return other.shape == x.shape or (
        other.ndim == x.ndim > 0 and all(m in (1, n) for m, n in zip(other.shape, x.shape, strict=True))
    )


def _like(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(x.shape) if x.is_contiguous() else torch.empty_like(x)  # which takes ten times as long


def _plain(x: torch.Tensor, *others: torch.Tensor) -> bool:
    """Whether all are on the meta device, of one type, and their entries in order."""
    return x.is_contiguous() and all(t.is_meta and t.dtype == x.dtype and t.is_contiguous() for t in others)


_SHORT: dict[Any, Callable[..., Any]] = {
    ATTENTION: _attention, aten.native_batch_norm.default: _batch_norm, CONVOLUTION: _convolution,
    aten.mean.dim: _mean, CAT: _cat, aten.native_layer_norm.default: _layer_norm,
    aten.mm.default: _matrices, aten.addmm.default: _matrices_and_bias,
    **{getattr(aten, name).default: _unary for name in ("relu", "silu", "sigmoid", "gelu", "hardtanh", "hardswish")},
    **{getattr(aten, name).default: _unary_in_place for name in ("relu_", "silu_", "hardtanh_", "hardswish_")},
    **{getattr(aten, name).Tensor: _binary for name in ("add", "mul")},
    **{getattr(aten, name).Tensor: _binary_in_place for name in ("add_", "mul_")},
}  # fmt: skip
