"""What a notebook has switched on, kept away from the kit's own passes: they give the same in every context."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import overrides
from torch.utils import _python_dispatch

F = TypeVar("F", bound=Callable[..., Any])

_forked_with: int | None = None  # how many threads torch had when this process was forked


def _in_a_child() -> None:
    global _forked_with
    _forked_with = torch.get_num_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)

_ATTENTION = [  # the ways that attention may be computed: (whether it may, a function that says so)
    (getattr(torch.backends.cuda, f"{kind}_sdp_enabled"), getattr(torch.backends.cuda, f"enable_{kind}_sdp"))
    for kind in ("flash", "mem_efficient", "math", "cudnn")
    if hasattr(torch.backends.cuda, f"{kind}_sdp_enabled")
]
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


class _Undone(threading.local):
    """What is still to be put back, in this thread: the last first."""

    def __init__(self) -> None:
        self.acts: list[Callable[[], None]] = []


_undone = _Undone()


def undo_later(act: Callable[[], None]) -> None:
    """Before something is changed: what puts it back, if nobody else has by the time that the verb is over.

    ``act`` may be done several times, and when nothing was changed yet. See `undo`.
    """
    _undone.acts.append(act)


def undo(act: Callable[[], None]) -> None:
    """Put back what `undo_later` was told of, to the end: an interrupt that comes meanwhile is raised afterwards."""
    uninterrupted(act)
    if act in _undone.acts:
        _undone.acts.remove(act)


def verb(function: F) -> F:
    """Decorator of what people call: it works `as_usual`, and an interrupt at any moment leaves nothing behind.

    A block may be interrupted on the very line on which it is left, contextlib's included, and then is not: what it
    had changed is put back here (see `undo_later`), and torch's modes and random state too.
    """

    @functools.wraps(function)
    def usually(*args: Any, **kwargs: Any) -> Any:
        with as_usual():
            return function(*args, **kwargs)

    return put_back_if_interrupted(usually)  # type: ignore[return-value]


def put_back_if_interrupted(function: F) -> F:
    """Decorator of what builds where the user says: the half of `verb` that leaves nothing behind."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        held = [lock for lock in _locks_of_bars() if _is_mine(lock)]
        random = torch.random.get_rng_state()
        put_back = functools.partial(_put_back, _Settings.now(), len(_undone.acts), held, random, sys.exc_info()[1])
        try:
            try:
                return function(*args, **kwargs)
            except RuntimeError as error:
                # torch finds one of its modes gone, which an interrupt had kept it from putting back
                if isinstance(error.__context__, KeyboardInterrupt) and "mode stack" in str(error):
                    raise error.__context__ from None
                raise
            finally:
                uninterrupted(put_back)
        finally:  # once more, for an interrupt at the very line before
            uninterrupted(put_back)

    return inner  # type: ignore[return-value]


class Mode(overrides.TorchFunctionMode):
    """A mode of torch's functions, which may be left when an interrupt came while torch had taken it off its stack."""

    def __exit__(self, *error: Any) -> None:
        if self in overrides._get_current_function_mode_stack():
            super().__exit__(*error)


def _put_back(
    settings: _Settings, undone: int, held: list[Any], random: torch.Tensor, handled: BaseException | None
) -> None:
    while len(_undone.acts) > undone:
        _undone.acts[-1]()
        _undone.acts.pop()
    error = sys.exc_info()[1]
    if error is not handled:
        _end_generators(error, handled, set())
        torch.random.set_rng_state(random)
        if not settings.modes:
            _in_no_mode()
    settings.restore()
    for lock in _locks_of_bars():
        while lock not in held and _is_mine(lock):
            lock.release()


def _in_no_mode() -> None:
    """Put back what torch's dispatch modes note of themselves, and torch.compile asks for."""
    for flag in ("torch_dispatch_mode", "non_infra_torch_dispatch_mode", "any_mode_without_ignore_compile_internals"):
        if hasattr(_python_dispatch, f"_is_in_{flag}"):
            setattr(_python_dispatch, f"_is_in_{flag}", False)
    if hasattr(_python_dispatch, "set_is_in_mode_without_ignore_compile_internals"):
        _python_dispatch.set_is_in_mode_without_ignore_compile_internals(False)


def _end_generators(error: BaseException | None, handled: BaseException | None, seen: set[int]) -> None:
    """End what an interrupt cut off within contextlib, now: else it goes on whenever the traceback is forgotten.

    torch takes a mode off its stack for a while in such a generator, and would put it on again then.
    """
    if error is None or error is handled or id(error) in seen:
        return
    seen.add(id(error))
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == contextlib.__file__:
            with contextlib.suppress(RuntimeError):  # it is running still
                at.tb_frame.clear()
        at = at.tb_next
    for other in (error.__cause__, error.__context__):
        _end_generators(other, handled, seen)


def _locks_of_bars() -> list[Any]:
    """What tqdm locks, in Python, when it makes a bar or draws one: an interrupt there leaves it closed for good.

    Which class of tqdm's has the lock depends on which was used first, and on whether it was finished.
    """
    if (std := sys.modules.get("tqdm.std")) is None:
        return []
    default = vars(std.TqdmDefaultWriteLock)
    found, classes = [default.get("mp_lock"), default.get("th_lock")], [std.tqdm]
    for of in classes:
        classes += [sub for sub in of.__subclasses__() if sub not in classes]
        lock = vars(of).get("_lock")
        found += getattr(lock, "locks", [lock])
    return [lock for lock in dict.fromkeys(found) if lock is not None]


def _is_mine(lock: Any) -> bool:
    """Whether this thread holds a reentrant lock, of threads or of processes."""
    is_mine = getattr(lock, "_is_owned", None) or getattr(getattr(lock, "_semlock", None), "_is_mine", None)
    return bool(is_mine is not None and is_mine())


class _Settings(NamedTuple):
    """What of torch the kit switches for a while."""

    gradients: bool
    dtype: torch.dtype
    threads: int
    fused: bool
    attention: tuple[bool, ...]
    modes: tuple[Any, ...]
    functions: tuple[Any, ...]

    @classmethod
    def now(cls) -> _Settings:
        return cls(
            torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads(),
            torch.backends.mha.get_fastpath_enabled(), tuple(enabled() for enabled, _ in _ATTENTION),
            tuple(_python_dispatch._get_current_dispatch_mode_stack()),
            tuple(overrides._get_current_function_mode_stack()),
        )  # fmt: skip

    def restore(self) -> None:
        if (now := _Settings.now()) == self:
            return
        _restack(now.modes, self.modes, _python_dispatch)
        _restack(now.functions, self.functions, overrides)
        torch._C._set_grad_enabled(self.gradients)
        torch.set_default_dtype(self.dtype)
        if now.threads != self.threads:
            torch.set_num_threads(self.threads)
        torch.backends.mha.set_fastpath_enabled(self.fused)
        for (_, enable), was in zip(_ATTENTION, self.attention, strict=True):
            enable(was)


def _restack(now: tuple[Any, ...], then: tuple[Any, ...], of: Any) -> None:
    """Put torch's modes of one kind back: those that an interrupt left on are off, one that it took off is on."""
    if now != then:
        for _ in now:
            of._pop_mode()
        for mode in then:
            of._push_mode(mode)


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
