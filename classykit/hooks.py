"""Hooks on a user's model: they act in the thread that put them on, and are off again whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from classykit.contexts import undo, undo_later


class Hooks:
    """Hooks of one pass. One that an interrupt leaves behind does nothing once they are `off`."""

    def __init__(self) -> None:
        self._on, self._thread = True, threading.get_ident()
        self._modules: list[nn.Module] = []

    def before(self, module: nn.Module, act: Callable[..., Any], first: bool = False) -> None:
        """Have ``act(module, args)`` called before a module runs; before the user's hooks if it is to be ``first``."""
        self._modules.append(module)
        module.register_forward_pre_hook(_Hook(self, act), prepend=first)

    def after(self, module: nn.Module, act: Callable[..., Any], first: bool = False) -> None:
        """Have ``act(module, args, output)`` called after a module has run; what it returns is the output then."""
        self._modules.append(module)
        module.register_forward_hook(_Hook(self, act), prepend=first)

    @property
    def act(self) -> bool:
        """Whether a hook that is called now is to do something: another thread may be using the same model."""
        return self._on and threading.get_ident() == self._thread

    def off(self) -> None:
        """Take them off; as often as one likes."""
        self._on = False
        for module in self._modules:
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                for number in [n for n, hook in hooks.items() if isinstance(hook, _Hook) and hook.of is self]:
                    hooks.pop(number, None)


class _Hook:
    def __init__(self, of: Hooks, act: Callable[..., Any]):
        self.of, self._act = of, act

    def __call__(self, *args: Any) -> Any:
        return self._act(*args) if self.of.act else None


@contextmanager
def hooks() -> Iterator[Hooks]:
    """Hooks that are on within the block only.

    >>> layer, seen = nn.ReLU(), []
    >>> with hooks() as on:
    ...     on.after(layer, lambda module, args, output: seen.append(output))
    ...     _ = layer(nn.Parameter().data)
    >>> len(seen), len(layer._forward_hooks)
    (1, 0)
    """
    on = Hooks()
    undo_later(on.off)
    try:
        try:
            yield on
        finally:
            undo(on.off)
    finally:  # once more, for an interrupt at the very line before
        undo(on.off)
