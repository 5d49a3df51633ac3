"""A thread for what people ask for in an app, so that the kernel can be told meanwhile to stop it."""

from __future__ import annotations

import _imp
import asyncio
import atexit
import contextlib
import ctypes
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

Act = Callable[[], Any]

SOON = 0.1  # seconds within which most is done, and that a message waits for
IDLE = 60.0  # seconds after which a thread with nothing to do ends
DELIVERED = 0.2  # seconds that an exception may take to reach a thread that waits for it
ALONE = 0.05  # seconds that a thread has for itself to raise something in another
LEAVING = 2.0  # seconds that work which was told to stop has to do so when Python ends

_LOCKING = ("importlib._bootstrap>", "threading.py", "queue.py")

_all: weakref.WeakSet[Worker] = weakref.WeakSet()


class Cancelled(KeyboardInterrupt):
    """Raised where the work was when a person told it to stop."""


class Worker:
    """Does one thing after the other, in a thread of its own.

    What is asked for while something is under way waits for it; of several of one kind only the newest is done.
    Where no event loop runs nobody could ask for more meanwhile: then `do` waits until all is done.

    >>> worker, done = Worker(), []
    >>> worker.do("select", lambda: done.append(1))
    >>> done
    [1]
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._waiting: list[tuple[str, Act]] = []
        self._thread: threading.Thread | None = None
        self._current: str | None = None
        # Whoever takes what is in it decides how the work ends: by itself, or by being told to. No lock, which an
        # exception from outside could leave closed.
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()
        _all.add(self)

    @property
    def current(self) -> str | None:
        """The kind of what is under way; None for nothing."""
        return self._current

    def do(self, kind: str, act: Act) -> None:
        """Have something done. ``act`` takes what goes wrong within it upon itself, but lets `Cancelled` through."""
        if threading.current_thread() is self._thread:
            return act()  # it is part of what is under way
        _open_imports()
        with self._change:
            self._waiting = [(other, what) for other, what in self._waiting if other != kind]
            self._waiting.append((kind, act))
            if self._thread is None:
                self._thread = _thread(self._work)
                self._thread.start()
            self._change.notify_all()
            try:
                self._change.wait_for(self._is_idle, SOON if _is_served() else None)
            except KeyboardInterrupt:  # of the kernel: it was meant for what it waits for
                self.cancel()
                raise

    def cancel(self) -> None:
        """Stop what is under way, wherever it is."""
        with self._change:
            thread = self._thread
            if self._current is None or thread is None or thread is threading.current_thread():
                return
            try:
                self._end.get_nowait()
            except queue.Empty:
                return  # it is ending
        _raise_in(thread, Cancelled)

    def _is_idle(self) -> bool:
        return not self._waiting and self._current is None

    def _work(self) -> None:
        while True:
            with self._change:
                if not self._change.wait_for(lambda: bool(self._waiting), IDLE):
                    self._thread = None
                    return
                self._current, act = self._waiting.pop(0)
                self._end = queue.SimpleQueue()
                self._end.put(None)
            try:
                act()
                self._end.get_nowait()
            except Cancelled:
                pass
            except queue.Empty:  # it was told to stop when it had just ended
                _await_cancelled()
            del act  # which holds the app that it is of: nothing is kept alive by a thread that waits
            with self._change:
                self._current = None
                self._change.notify_all()


@atexit.register
def _stop_all() -> None:
    """Python must not end while a thread is within torch, which would end it the hard way."""
    for worker in list(_all):
        worker._waiting.clear()
        worker.cancel()
        until = time.monotonic() + LEAVING
        while worker.current is not None and time.monotonic() < until:
            time.sleep(0.005)


def _await_cancelled() -> None:
    try:
        until = time.monotonic() + DELIVERED
        while time.monotonic() < until:
            time.sleep(0.001)
    except Cancelled:
        pass


def _open_imports() -> None:
    """Take back a lock of Python's imports that this thread holds by mistake.

    An interrupt between two lines of an import leaves it closed. The interrupted thread can still import, so nobody
    notices, but every other would wait for ever.
    """
    with contextlib.suppress(RuntimeError):  # which says that another thread holds it, and is within an import
        while _imp.lock_held():
            _imp.release_lock()


def _is_served() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _thread(target: Act) -> threading.Thread:
    """A thread whose widgets reach the page: in a notebook of marimo's, one of marimo's kind."""
    marimo = sys.modules.get("marimo")
    kind = marimo.Thread if marimo is not None and marimo.running_in_notebook() else threading.Thread
    thread: threading.Thread = kind(target=target, name="classykit app", daemon=True)
    return thread


def _raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise an error in another thread, at a place where it leaves no lock closed.

    Python's own modules for imports and threads take locks line by line: an error between two lines would leave the
    whole process without imports.
    """
    until = time.monotonic() + DELIVERED
    interval = sys.getswitchinterval()
    while True:
        try:
            # Nothing else runs between the look and the word. No longer: a thread that begins to wait for its turn just
            # then waits so long, and for ever beside one that never pauses.
            sys.setswitchinterval(ALONE)
            frame = sys._current_frames().get(thread.ident or 0)
            where = "" if frame is None else frame.f_code.co_filename
            if not where.endswith(_LOCKING) or time.monotonic() > until:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error))
                return
        finally:
            sys.setswitchinterval(interval)
        time.sleep(0.0005)
