"""Every function of torch that a pass calls, and within which module: seen without a change to the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from classykit.contexts import Mode
from classykit.harmless import harmless
from classykit.hooks import hooks
from classykit.scripted import is_scripted


class Watch(Mode):
    """Sees the functions of a pass; what a subclass makes of them is in `seen`, `entered` and `left`."""

    def __init__(self) -> None:
        super().__init__()
        self.within: list[str] = []  # paths of the modules that are running, the innermost last

    def seen(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A function that is called; what this returns is its result."""
        return func(*args, **kwargs)

    def entered(self, path: str, module: nn.Module, args: Any) -> None:
        """A module begins to run."""

    def left(self, path: str, module: nn.Module, output: Any) -> None:
        """A module has run."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self.seen(func, args, dict(kwargs or {}))


@contextmanager
def watching(watch: Watch, model: nn.Module) -> Iterator[None]:
    """Within the block passes of ``model``, in eval mode, are seen by ``watch``."""

    def before(path: str, module: nn.Module, args: Any) -> None:
        watch.within.append(path)
        watch.entered(path, module, args)

    def after(path: str, module: nn.Module, args: Any, output: Any) -> None:
        watch.left(path, module, output)
        while watch.within.pop() != path:  # those that raised what the model caught
            pass

    with harmless(model), hooks() as on:
        for path, module in model.named_modules():
            if not is_scripted(module):
                on.before(module, partial(before, path))
                on.after(module, partial(after, path))
        with watch:
            yield
