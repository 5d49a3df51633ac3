"""Whether two blocks do the same to two inputs, told without running them, and outputs drawn from memory."""

from __future__ import annotations

from collections.abc import Container, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from classykit.nested import tensors_in
from classykit.recurrent import Brief

_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype, torch.device, torch.memory_format, type)

_SCALARS = frozenset((bool, int, float, str, type(None)))
_HELD = frozenset(("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"))


@dataclass(frozen=True)
class Outline:
    """All of a tensor but its numbers."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def draw(self) -> torch.Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


def structure_key(module: nn.Module, other_than: Container[int] = ()) -> Hashable | None:
    """Equal for modules of the same class, settings and shapes of parameters, whatever their numbers.

    None for a module with hooks inside, which may do anything, or with one inside whose id is in ``other_than``.
    Objects that are no plain values are the same only when they are one and the same, so a doubt makes two modules
    different, never equal.

    >>> structure_key(nn.Linear(2, 3)) == structure_key(nn.Linear(2, 3)) != structure_key(nn.Linear(2, 4))
    True
    """
    return _look(module, other_than, outermost=True)


def _look(module: nn.Module, other_than: Container[int], outermost: bool = False) -> Hashable | None:
    if not outermost and id(module) in other_than:
        return None
    parts: list[Any] = [type(module)]  # flat: a thousand small tuples would keep the garbage collector busy
    own = vars(module)
    for held in (own["_parameters"], own["_buffers"]):
        parts.append(len(held))
        for name, tensor in held.items():
            parts += (name, None, None) if tensor is None else (name, tensor.shape, tensor.dtype)
    for name, child in own["_modules"].items():
        look = None if child is None else _look(child, other_than)
        if look is None and child is not None:
            return None
        parts += name, look
    for name, value in own.items():
        kind = type(value)
        if kind in _SCALARS:  # most of them, by far
            parts += name, kind, value
        elif name in _HELD:
            continue
        elif "_hooks" in name:
            if value and not outermost:
                return None
        else:
            parts += name, dict, _freeze(value)
    return tuple(parts)


def _freeze(value: Any) -> Hashable:
    if type(value) in (tuple, list) and _SCALARS.issuperset(kinds := tuple(map(type, value))):
        return type(value), tuple(value), kinds  # 1 == True == 1.0
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, (tuple, list)):
        return type(value), tuple(_freeze(v) for v in value)
    if isinstance(value, dict):
        return dict, tuple((_freeze(k), _freeze(v)) for k, v in value.items())
    if isinstance(value, (set, frozenset)):
        return type(value), frozenset(map(_freeze, value))
    return Brief if isinstance(value, Brief) else id(value)


def outline(value: Any, other_than: Any = ()) -> Any:
    """``value`` with an `Outline` for each tensor, hashable; None when that does not say all there is to say.

    That is so for objects that are neither tensors nor plain values, and for tensors that share memory with each
    other or with those in ``other_than``: a block that gives on its own input, say.
    """
    taken = {t.untyped_storage()._cdata for t in tensors_in(other_than)}
    tensors = list(tensors_in(value))
    storages = {t.untyped_storage()._cdata for t in tensors}
    if len(storages) < len(tensors) or storages & taken:
        return None
    try:
        return _outline(value)
    except TypeError:
        return None


def _outline(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        if type(value) not in (torch.Tensor, nn.Parameter) or not value.is_meta:
            raise TypeError
        return Outline(tuple(value.shape), value.stride(), value.dtype)
    if type(value) in (tuple, list):
        return (type(value), tuple(_outline(v) for v in value))
    if type(value) is dict:
        return (dict, tuple((k, _outline(v)) for k, v in value.items()))
    if type(value) is torch.Size or isinstance(value, _PLAIN):
        return (None, value)
    raise TypeError


def redraw(drawn: Any) -> Any:
    """What `outline` was made of, with new tensors."""
    if isinstance(drawn, Outline):
        return drawn.draw()
    kind, content = drawn
    if kind in (tuple, list):
        return kind(redraw(v) for v in content)
    if kind is dict:
        return {k: redraw(v) for k, v in content}
    return content
