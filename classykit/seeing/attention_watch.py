"""Attention weights as a pass computes them: from the fused kernels, nn.MultiheadAttention, or a softmax of a product.

Each layer is checked on the spot. What weights × values give is sent, beside the real thing, through whatever the layer
makes of it (heads joined, the output projection, a residual), and compared with what the layer gave in the end.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from classykit.nested import mapped, tensors_in
from classykit.seeing.watching import Watch

_PRODUCTS = {"matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm", "einsum"}
_SOFTMAX = {"softmax", "special_softmax"}
_HEADS = ("num_heads", "num_attention_heads", "n_heads", "heads", "nhead")  # what modules call the number of heads
_SIGNATURE = inspect.signature(F.multi_head_attention_forward)


@dataclass(eq=False)
class Caught:
    """The attention of one layer in one pass.

    Attributes:
        path: of the module in which it happens.
        weights: after the softmax, as the layer has them; the last two dimensions are queries and keys.
        heads: how many there are; None where the layer does not say.
        tokens, channels: of what the layer was given; None where that is no (N, L, C) or (N, H, W, C).
        maps: (height, width) of the maps that convolutions have given until then, the last first.
        shift: by how many places its windows are shifted, (down, right); (0, 0) where nothing says so.
        mixed: whether something other than the weights meets the values, as where heads talk to each other.
        error: relative difference of what the layer gave and what weights × values make of it; infinite where that
            could not be followed to the end of the layer.
    """

    path: str
    weights: torch.Tensor
    heads: int | None
    tokens: int | None
    channels: int | None
    maps: tuple[tuple[int, int], ...]
    mixed: bool = False
    shift: tuple[int, int] = (0, 0)
    error: float = math.inf


@dataclass(eq=False)
class _Open:
    """A module that is running: what it was given, and the attention in it that is still to be checked."""

    path: str
    module: nn.Module
    given: torch.Tensor | None
    caught: list[Caught] = field(default_factory=list)


class _Mark:
    """What is known of a tensor of the pass; it lies in an attribute, and goes with the tensor."""

    NAME = "_classykit_mark"

    def __init__(
        self, scores: bool = False, weights: torch.Tensor | None = None, shadow: Any = None, of: _Open | None = None
    ):
        # scores: a product of matrices; weights: a softmax of one; shadow: what weights × values make of the tensor
        self.scores, self.weights, self.shadow, self.of = scores, weights, shadow, of


def _mark(value: Any) -> _Mark | None:
    return getattr(value, _Mark.NAME, None) if isinstance(value, torch.Tensor) else None


class AttentionWatch(Watch):
    """Catches the attention of a pass; ``caught`` has it in the order in which it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.caught: list[Caught] = []
        self._open: list[_Open] = []
        self._maps: list[tuple[int, int]] = []

    # ---- modules ----

    def entered(self, path: str, module: nn.Module, args: Any) -> None:
        given = next((t for t in tensors_in(args) if t.ndim > 2), None)
        self._open.append(_Open(path, module, given))

    def left(self, path: str, module: nn.Module, output: Any) -> None:
        while self._open:
            layer = self._open.pop()
            if layer.path == path:
                break
        else:
            return
        for one in tensors_in(output):
            mark = _mark(one)
            if mark is not None and mark.of is layer and mark.shadow is not None:
                for caught in layer.caught:
                    caught.error = _difference(mark.shadow, one)
                break

    # ---- functions ----

    def seen(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            return self._fused(func, args, kwargs)
        if name == "multi_head_attention_forward":
            return self._multi_head(func, args, kwargs)
        marks = [m for m in map(_mark, _flat(args, kwargs)) if m is not None]
        if not marks and name not in _PRODUCTS and name != "conv2d":
            return func(*args, **kwargs)
        shadows = any(m.shadow is not None and m.of in self._open for m in marks)
        inputs = _shadowed(name, args, kwargs) if shadows else None
        output = func(*args, **kwargs)
        if name == "conv2d" and output.ndim == 4:
            size = (output.shape[-2], output.shape[-1])
            self._maps = [size, *(other for other in self._maps if other != size)]
        if inputs is not None:
            self._follow(func, inputs, output, next(m.of for m in marks if m.shadow is not None))
        elif name in _PRODUCTS:
            self._product(func, args, kwargs, output)
        elif isinstance(output, torch.Tensor):
            self._carry(name, args, kwargs, output, marks)
        return output

    def _fused(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        weights, values = weights_of_fused(*args, **kwargs)
        heads = weights.shape[1] if weights.ndim == 4 else _number_of_heads(self._open)
        caught = self._catch(weights, heads)
        self._shadow(caught, output, weights.to(values.dtype) @ values)
        return output

    def _multi_head(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = _SIGNATURE.bind(*args, **kwargs)
        given.apply_defaults()
        of = given.arguments
        wants, averaged = of["need_weights"], of["average_attn_weights"]
        of["need_weights"], of["average_attn_weights"] = True, False
        output, weights = func(*given.args, **given.kwargs)  # (L, N, C), (N, heads, L, S)
        caught = self._catch(weights, of["num_heads"])
        self._shadow(caught, output, _projected(weights, of))
        if not wants:
            return output, None
        return output, weights.mean(-3) if averaged else weights

    def _product(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], output: torch.Tensor) -> None:
        """A product of matrices: scores, or attention weights that meet the values."""
        operands = [t for t in _flat(args, kwargs) if isinstance(t, torch.Tensor)]
        for operand in operands:
            mark = _mark(operand)
            if mark is not None and mark.weights is not None and len(operands) > 1:
                weights, mark.weights = mark.weights, None  # they are used once
                mixed = not _alike(operand, weights)
                used = operand if mixed else weights.to(operand.dtype).reshape(operand.shape)
                again = func(*_replaced(args, operand, used), **_replaced(kwargs, operand, used))
                self._shadow(self._catch(weights, _number_of_heads(self._open), mixed), output, again)
                return
        if output.ndim > 2:
            setattr(output, _Mark.NAME, _Mark(scores=True))

    def _carry(self, name: str, args: Any, kwargs: Any, output: torch.Tensor, marks: list[_Mark]) -> None:
        """What is still scores, or attention weights, after a function that keeps the number of entries."""
        before = [t for t in _flat(args, kwargs) if _mark(t) is not None]
        if _mark(output) is not None or all(t.numel() != output.numel() for t in before):
            return
        mark = next(m for t in before if t.numel() == output.numel() and (m := _mark(t)) is not None)
        if mark.scores and name in _SOFTMAX:
            if _dimension(args, kwargs) in (-1, output.ndim - 1):
                setattr(output, _Mark.NAME, _Mark(weights=output.detach()))
        else:
            setattr(output, _Mark.NAME, _Mark(scores=mark.scores, weights=mark.weights))

    # ---- what was caught ----

    def _catch(self, weights: torch.Tensor, heads: int | None, mixed: bool = False) -> Caught:
        layer = self._open[-1]
        tokens = channels = None
        if layer.given is not None and layer.given.ndim in (3, 4):
            tokens, channels = math.prod(layer.given.shape[1:-1]), layer.given.shape[-1]
        caught = Caught(
            layer.path, weights.detach(), heads, tokens, channels, tuple(self._maps), mixed, _shift(self._open)
        )
        self.caught.append(caught)
        layer.caught.append(caught)
        return caught

    def _shadow(self, caught: Caught, output: torch.Tensor, again: torch.Tensor) -> None:
        """From here on what weights × values give goes along with the real thing, to the end of the layer."""
        if again.shape == output.shape:
            setattr(output, _Mark.NAME, _Mark(shadow=again, of=self._open[-1]))

    def _follow(self, func: Callable[..., Any], inputs: Any, output: Any, layer: _Open | None) -> None:
        args, kwargs = inputs
        again = func(*args, **kwargs)
        pairs = zip(tensors_in(output), tensors_in(again), strict=False)
        for real, shadow in pairs:
            if real is not shadow and real.shape == shadow.shape:
                setattr(real, _Mark.NAME, _Mark(shadow=shadow, of=layer))


def weights_of_fused(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """(the weights that torch's fused attention uses, (..., L, S); the values), as its documentation defines them.

    >>> q = k = v = torch.eye(4)[None, None]
    >>> weights, _ = weights_of_fused(q, k, v)
    >>> torch.allclose(weights @ v, F.scaled_dot_product_attention(q, k, v))
    True
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    dtype = torch.promote_types(query.dtype, torch.float32)
    scores = (query.to(dtype) * scale) @ key.to(dtype).transpose(-2, -1)  # (..., L, S)
    if is_causal:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        else:
            scores += attn_mask
    return scores.softmax(-1), value


def _projected(weights: torch.Tensor, of: dict[str, Any]) -> torch.Tensor:
    """What nn.MultiheadAttention makes of attention weights (N, heads, L, S): weights × values, and the projection."""
    value, channels, heads = of["value"], of["embed_dim_to_check"], of["num_heads"]  # (S, N, C)
    if value.ndim == 2:  # without a batch
        value, weights = value.unsqueeze(1), weights.unsqueeze(0)
    weight = of["v_proj_weight"] if of["use_separate_proj_weight"] else of["in_proj_weight"][2 * channels :]
    bias = None if of["in_proj_bias"] is None else of["in_proj_bias"][2 * channels :]
    values = F.linear(value, weight, bias)  # (S, N, C)
    if of["bias_v"] is not None:
        values = torch.cat([values, of["bias_v"].expand(1, *values.shape[1:])])
    if of["static_v"] is not None:
        values = of["static_v"].transpose(0, 1).reshape(-1, *values.shape[1:])
    if of["add_zero_attn"]:
        values = torch.cat([values, values.new_zeros(1, *values.shape[1:])])
    s, n, _ = values.shape
    values = values.reshape(s, n, heads, -1).permute(1, 2, 0, 3)  # (N, heads, S, C/heads)
    mean = (weights @ values).permute(2, 0, 1, 3).reshape(-1, n, channels)  # (L, N, C)
    again = F.linear(mean, of["out_proj_weight"], of["out_proj_bias"])
    return again.squeeze(1) if of["value"].ndim == 2 else again


def _flat(args: Any, kwargs: dict[str, Any]) -> list[Any]:
    """Arguments, with those in lists and tuples, such as the tensors that are joined."""
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += value if isinstance(value, (list, tuple)) else (value,)
    return found


def _shadowed(name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments with shadows in place of what has one; what the function writes to is a copy."""

    def shadow(t: torch.Tensor) -> torch.Tensor:
        mark = _mark(t)
        return t if mark is None or mark.shadow is None else mark.shadow

    new = mapped(shadow, tuple(args)), mapped(shadow, kwargs)
    writes = (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")
    if writes and new[0] and isinstance(new[0][0], torch.Tensor) and new[0][0] is args[0]:
        new = (args[0].clone(), *new[0][1:]), new[1]
    return new


def _replaced(value: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    return mapped(lambda t: new if t is old else t, value)


def _dimension(args: Any, kwargs: dict[str, Any]) -> Any:
    return kwargs.get("dim", args[1] if len(args) > 1 else None)


def _number_of_heads(layers: list[_Open]) -> int | None:
    """How many heads the layer says that it has, or the one that it is a part of."""
    for layer in reversed(layers[-2:]):
        for name in _HEADS:
            heads = getattr(layer.module, name, None)
            if isinstance(heads, int) and heads > 0:
                return heads
    return None


def _shift(layers: list[_Open]) -> tuple[int, int]:
    """By how much the layer says that its windows are shifted, or one of those that it is a part of."""
    for layer in reversed(layers[-4:]):
        shift = getattr(layer.module, "shift_size", None)
        down, right = shift if isinstance(shift, (list, tuple)) and len(shift) == 2 else (shift, shift)
        if type(down) is type(right) is int:
            return down, right
    return 0, 0


def _alike(used: torch.Tensor, weights: torch.Tensor) -> bool:
    """Whether it is the weights themselves that meet the values, in whatever number type."""
    if used.numel() != weights.numel() or used.shape[-2:] != weights.shape[-2:]:
        return False
    used = used.reshape(weights.shape)
    return used.data_ptr() == weights.data_ptr() or torch.allclose(used, weights.to(used.dtype))


def _difference(again: torch.Tensor, real: torch.Tensor) -> float:
    """Relative to the size of the real thing; infinite where they cannot be compared."""
    if again.shape != real.shape:
        return math.inf
    real = real.detach().float()
    size = real.norm()
    return float((again.detach().float() - real).norm() / size) if size > 0 else float(again.abs().max() > 0)
