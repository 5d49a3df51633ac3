"""Values that hold tensors (lists, tuples, dicts, dataclasses of them), and what a model is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from classykit.errors import quoted


class Inputs:
    """What a model is called with: ``Inputs(ids, mask=mask)`` stands for the call ``model(ids, mask=mask)``.

    Any verb that takes an input takes one of these in its place; a bare tensor is the short form for a model that
    takes one. Neither it nor its tensors are changed by anything.

    Args:
        args, kwargs: the arguments of the call: tensors, or lists, tuples and dicts of them, and whatever else the
            model takes. The batch is the first dimension of the first tensor; tensors with another first dimension
            are not part of it. A list of pictures (C, H, W), as detection models take, is a batch of its length.

    >>> example = Inputs(torch.zeros(2, 5, dtype=torch.long), mask=torch.ones(2, 5))
    >>> example, example.batch_size
    (Inputs((2, 5) int64, mask=(2, 5) float32), 2)
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self.args, self.kwargs = args, kwargs

    @classmethod
    def of(cls, x: Any) -> Inputs:
        """``x`` itself where it is one, else the call with ``x`` alone."""
        return x if isinstance(x, cls) else cls(x)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors, in order."""
        return tensors_in(self)

    @property
    def pictures(self) -> list[torch.Tensor]:
        """The list of pictures (C, H, W) that is the first argument; [] where it is something else."""
        first = next(iter((*self.args, *self.kwargs.values())), None)
        if not isinstance(first, (list, tuple)) or not all(isinstance(t, torch.Tensor) for t in first):
            return []
        return list(first) if all(t.ndim == 3 and t.shape[0] in (1, 3, 4) for t in first) else []

    @property
    def batch_size(self) -> int:
        """How many inputs there are: the first dimension of the first tensor; 1 without one."""
        return len(self.pictures) or next((t.shape[0] for t in self.tensors if t.ndim), 1)

    @property
    def shape_of_one(self) -> tuple[int, ...]:
        """The shape of the `main` tensor, without the batch; () without one."""
        if self.main is None:
            return ()
        return tuple(self.main.shape if self.pictures else self.main.shape[1:])

    @property
    def main(self) -> torch.Tensor | None:
        """The tensor that is shown for all: the first map or sequence of numbers, else the first; None without one."""
        of_numbers = (t for t in self.tensors if t.is_floating_point() and t.ndim > 2)
        return next(of_numbers, next(iter(self.tensors), None))

    @property
    def alone(self) -> Any:
        """The argument of a call that has no other; else this object itself."""
        return self.args[0] if len(self.args) == 1 and not self.kwargs else self

    def call(self, function: Callable[..., Any]) -> Any:
        """``function`` called with these."""
        return function(*self.args, **self.kwargs)

    def sized(self, n: int) -> Inputs:
        """With a batch of ``n``: as many of the inputs, from the first again after the last."""
        here = self.batch_size
        if pictures := self.pictures:
            several = [pictures[i % here] for i in range(n)]
            if self.args:
                return Inputs(several, *self.args[1:], **self.kwargs)
            return Inputs(**{**self.kwargs, next(iter(self.kwargs)): several})

        def resized(t: torch.Tensor) -> torch.Tensor:
            if not t.ndim or t.shape[0] != here or here in (0, n):
                return t
            return t[:n] if n < here else t[torch.arange(n, device=t.device) % here]

        return mapped(resized, self)

    def __repr__(self) -> str:
        named = (f"{name}={_words(value)}" for name, value in self.kwargs.items())
        return f"Inputs({', '.join([*map(_words, self.args), *named])})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Inputs:
        return self  # nothing changes it


def call(model: Callable[..., Any], x: Any) -> Any:
    """``model`` on an input: what `Inputs` hold, or the one argument that anything else is."""
    return x.call(model) if isinstance(x, Inputs) else model(x)


def tensors_in(value: object) -> list[torch.Tensor]:
    """The tensors in a tensor, or in nested lists, tuples and dicts of them, or `Inputs`."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Inputs):
        value = (*value.args, *value.kwargs.values())
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return [t for v in value for t in tensors_in(v)] if isinstance(value, (tuple, list)) else []


def mapped(function: Callable[[torch.Tensor], Any], value: Any) -> Any:
    """``value`` with every tensor in it replaced by what ``function`` makes of it.

    >>> mapped(torch.numel, {"a": torch.zeros(2, 3), "b": [torch.zeros(4), "c"]})
    {'a': 6, 'b': [4, 'c']}
    """
    if isinstance(value, torch.Tensor):
        return function(value)
    parts = parts_of(value)
    return value if parts is None else rebuilt(value, {key: mapped(function, part) for key, part in parts.items()})


def parts_of(value: Any) -> dict[Any, Any] | None:
    """{key: part} of a dict, list, tuple, dataclass or `Inputs`; None for anything else."""
    if isinstance(value, Inputs):
        return {**dict(enumerate(value.args)), **value.kwargs}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return None


def rebuilt(value: Any, parts: Mapping[Any, Any]) -> Any:
    """The parts put together as ``value`` is: named tuples and dataclasses with their names; else a dict or a list."""
    kind: Any = type(value)
    if isinstance(value, Inputs):
        return Inputs(*(p for k, p in parts.items() if isinstance(k, int)), **{k: parts[k] for k in value.kwargs})
    if is_dataclass(value):  # transformers' outputs, which are dicts too, among them
        return kind(**parts)
    if isinstance(value, tuple):
        return kind(*parts.values()) if hasattr(value, "_fields") else tuple(parts.values())
    return dict(parts) if isinstance(value, Mapping) else list(parts.values())


def random_like(value: Any) -> Any:
    """Tensors of the same shapes with random numbers; those of whole numbers stay, their values may be addresses."""
    # on zeros a GPU draws less power, and may be faster than it is on pictures
    return mapped(
        lambda t: t if not t.is_floating_point() else
        torch.randn(t.shape, generator=torch.Generator().manual_seed(0)).to(t.device, t.dtype),
        value,
    )  # fmt: skip


def other_way(x: Any) -> str:
    """How else an input can be meant that a model does not take: what is in a dict or list is one argument.

    >>> other_way({"ids": torch.zeros(2, 5)})
    ' A dict is one argument; as keywords: classykit.Inputs(**batch).'
    """
    x = x.alone if isinstance(x, Inputs) else x
    if isinstance(x, Mapping):
        return " A dict is one argument; as keywords: classykit.Inputs(**batch)."
    if isinstance(x, (list, tuple)):
        return " A list is one argument; as several: classykit.Inputs(*batch)."
    return ""


def shapes(value: Any) -> Any:
    """Shapes in place of tensors, types in place of all else that is no list or dict."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, Mapping):
        return {key: shapes(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [shapes(v) for v in value]
    return repr(value) if isinstance(value, Inputs) else type(value).__name__


def _words(value: Any) -> str:
    """An argument in words: tensors by shape and number type."""
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_words(v)}' for key, v in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_words, value))}]"
    return quoted(value, 40)
