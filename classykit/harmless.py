"""Run a user's model and leave no trace: mode, buffers and random state are put back."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit.contexts import undo, undo_later
from classykit.scripted import is_scripted


@dataclass
class _Visit:
    """One model that is being run, what it was like before, and who runs it: {token of a call: its thread}."""

    before: _Before
    guests: dict[object, int] = field(default_factory=dict)


_visits: weakref.WeakKeyDictionary[nn.Module, _Visit] = weakref.WeakKeyDictionary()
_lock = threading.RLock()  # a signal's handler may run a model while another is being entered


class _Calls(threading.local):
    """The tokens of this thread's calls."""

    def __init__(self) -> None:
        self.tokens: set[object] = set()


_calls = _Calls()


def _in_a_child() -> None:
    global _lock
    _lock = threading.RLock()  # another thread, which is not in the child, may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)


@contextmanager
def harmless(model: nn.Module) -> Iterator[None]:
    """Within the block ``model`` is in eval mode; afterwards all is as it was, also after an exception.

    Modules that were compiled in place run as they were written. Put back are every module's mode, the buffers (where
    they were written to or replaced) and the random state of the CPU and of the CUDA devices that the model lives on.
    Weights, gradients and hooks are not touched by a pass in the first place. Where several threads run one model, the
    last to leave puts things back. An interrupt at any moment, while things are put back too, changes nothing of that.
    """
    token = object()
    leave = partial(_leave, model, token)
    undo_later(leave)
    try:
        try:
            _calls.tokens.add(token)
            _enter(model, token)
            yield
        finally:
            undo(leave)
    finally:  # once more, for an interrupt at the very line before
        undo(leave)


def _enter(model: nn.Module, token: object) -> None:
    with _lock:
        visit = _visits.get(model)
        if visit is not None:  # those of threads that have died do not count
            alive = {thread.ident for thread in threading.enumerate()}
            visit.guests = {guest: thread for guest, thread in visit.guests.items() if thread in alive}
            if not visit.guests:
                visit.before.restore()
                visit = None
        if visit is None:
            visit = _Visit(_Before(model))
        visit.guests[token] = threading.get_ident()
        _visits[model] = visit  # from here on there is something to put back
        visit.before.change()


def _leave(model: nn.Module, token: object) -> None:
    with _lock:
        visit = _visits.get(model)
        if visit is not None and (token in visit.guests or not visit.guests):  # else it never entered
            visit.guests.pop(token, None)
            if not visit.guests:
                visit.before.restore()
                _visits.pop(model, None)
    _calls.tokens.discard(token)
    while not _calls.tokens and _lock._is_owned():  # type: ignore[attr-defined]
        _lock.release()  # for an interrupt on the very line on which the lock was to be released


class _Before:
    """What a model and the random state are like now."""

    def __init__(self, model: nn.Module):
        modules = list(model.modules())
        # past nn.Module.__setattr__, which for all modules of a model takes longer than some blocks take to run
        self.modes = [(vars(m), m.training) for m in modules if not is_scripted(m)]
        self.scripts = [(m, m.training) for m in modules if is_scripted(m)]  # which keep their mode elsewhere
        # of a module compiled in place, whose compiled code does not know the hooks that it was given later
        self.compiled = [(vars(m), vars(m)["_compiled_call_impl"]) for m in modules if "_compiled_call_impl" in vars(m)]
        self.buffers = [
            (m, name, b, _version(b), b.clone())
            for m in modules
            if not type(m).__module__.startswith("torch.nn.modules.")  # torch's own write in training mode only
            for name, b in m._buffers.items()
            if b is not None
        ]
        self.random = torch.random.get_rng_state()
        self.cuda: dict[int, torch.Tensor] = {}
        if torch.cuda.is_initialized():
            for device in {p.device.index for p in model.parameters() if p.is_cuda}:
                self.cuda[device] = torch.cuda.get_rng_state(device)

    def change(self) -> None:
        """Eval mode, and code as it was written."""
        for attributes, _ in self.modes:
            attributes["training"] = False
        for script, _ in self.scripts:
            script.training = False
        for attributes, _ in self.compiled:
            attributes["_compiled_call_impl"] = None

    def restore(self) -> None:
        for attributes, training in self.modes:
            attributes["training"] = training
        for script, training in self.scripts:
            script.training = training
        for attributes, compiled in self.compiled:
            attributes["_compiled_call_impl"] = compiled
        for module, name, buffer, version, value in self.buffers:
            if _version(buffer) != version:
                with torch.no_grad():
                    buffer.copy_(value)
            module._buffers[name] = buffer
        torch.random.set_rng_state(self.random)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)


def _version(tensor: Any) -> int | None:
    """How often a tensor was written to; inference tensors do not know."""
    return None if tensor.is_inference() else tensor._version
