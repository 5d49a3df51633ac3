"""Whether two blocks do the same to two inputs, told without running them, and outputs drawn from memory."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from classykit.nested import tensors_in
from classykit.recurrent import Brief

_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype, torch.device, torch.memory_format, type)

_SCALARS = frozenset((bool, int, float, str, type(None)))


@dataclass(frozen=True)
class Outline:
    """All of a tensor but its numbers."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def draw(self) -> torch.Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


def structure_key(module: nn.Module) -> Hashable | None:
    """Equal for modules of the same class, settings and shapes of parameters, whatever their numbers.

    None for a module with hooks inside, which may do anything. Objects that are no plain values are the same only
    when they are one and the same, so a doubt makes two modules different, never equal.

    >>> structure_key(nn.Linear(2, 3)) == structure_key(nn.Linear(2, 3)) != structure_key(nn.Linear(2, 4))
    True
    """
    return _look(module, outermost=True)


def _look(module: nn.Module, outermost: bool = False) -> Hashable | None:
    parts: list[Hashable] = []
    for name, value in vars(module).items():
        if type(value) in _SCALARS:  # most of them, by far
            parts.append((name, type(value), value))
        elif name in ("_parameters", "_buffers"):
            parts.append(tuple((n, None if t is None else (tuple(t.shape), t.dtype)) for n, t in value.items()))
        elif name == "_modules":
            for child_name, child in value.items():
                look = None if child is None else _look(child)
                if look is None and child is not None:
                    return None
                parts.append((child_name, look))
        elif "_hooks" in name:
            if value and not outermost:
                return None
        else:
            parts.append((name, _freeze(value)))
    return type(module), *parts


def _freeze(value: Any) -> Hashable:
    if isinstance(value, _PLAIN):
        return (type(value), value)  # 1 == True == 1.0
    if isinstance(value, (tuple, list)):
        return (type(value), tuple(_freeze(v) for v in value))
    if isinstance(value, dict):
        return (dict, tuple((_freeze(k), _freeze(v)) for k, v in value.items()))
    if isinstance(value, (set, frozenset)):
        return (type(value), frozenset(map(_freeze, value)))
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
