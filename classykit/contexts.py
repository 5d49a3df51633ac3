"""What a notebook has switched on, kept away from the kit's own passes: they give the same in every context."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch.utils import _python_dispatch

F = TypeVar("F", bound=Callable[..., Any])

_forked_with: int | None = None  # how many threads torch had when this process was forked


def _in_a_child() -> None:
    global _forked_with
    _forked_with = torch.get_num_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)

_AUTOCAST = ("cpu", "cuda", "mps")


@contextmanager
def as_usual() -> Iterator[None]:
    """Within the block there is no inference mode, autocast, default device or default number type of the user's.

    Gradients stay as they are: off where they were. In a process that was forked, torch works in one thread, unless the
    number was set there.

    >>> with torch.inference_mode(), torch.device("meta"), as_usual():
    ...     x = torch.zeros(2)
    >>> x.device.type, x.is_inference(), torch.is_grad_enabled()
    ('cpu', False, True)
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        for device in _AUTOCAST:
            if _autocasts(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if _forked_with is not None and torch.get_num_threads() == _forked_with > 1:
            # the threads that torch had shared its work with are not here: it would wait for them for ever
            stack.callback(torch.set_num_threads, _forked_with)
            torch.set_num_threads(1)
        if torch.get_default_dtype() != torch.float32:
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        yield


def _autocasts(device: str) -> bool:
    try:
        return torch.is_autocast_enabled(device)
    except RuntimeError:  # a kind of device that this torch does not know
        return False


def verb(function: F) -> F:
    """Decorator of what people call: it works `as_usual`, and an interrupt leaves none of torch's modes switched.

    A block may be interrupted on the very line on which it is left, and then is not: what it had switched is put back
    here.
    """

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        gradients, modes = torch.is_grad_enabled(), len(_python_dispatch._get_current_dispatch_mode_stack())
        put_back = functools.partial(_put_back, gradients, modes)
        try:
            try:
                with as_usual():
                    return function(*args, **kwargs)
            finally:
                uninterrupted(put_back)
        finally:  # once more, for an interrupt at the very line before
            uninterrupted(put_back)

    return inner  # type: ignore[return-value]


def _put_back(gradients: bool, modes: int) -> None:
    while len(_python_dispatch._get_current_dispatch_mode_stack()) > modes:
        _python_dispatch._pop_mode()
    torch._C._set_grad_enabled(gradients)


def uninterrupted(act: Callable[[], None]) -> None:
    """Do something that may be done twice to its end, and raise an interrupt that came meanwhile afterwards."""
    interrupt = None
    while True:
        try:
            act()
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
