"""Run a user's model and leave no trace: mode, buffers and random state are put back."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from classykit.scripted import is_scripted


@dataclass
class _Visit:
    """One model that is being run, by one thread or several, and what it was like before the first."""

    before: _Before
    guests: int = 1


_visits: weakref.WeakKeyDictionary[nn.Module, _Visit] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


@contextmanager
def harmless(model: nn.Module) -> Iterator[None]:
    """Within the block ``model`` is in eval mode; afterwards all is as it was, also after an exception.

    Modules that were compiled in place run as they were written. Put back are every module's mode, the buffers (where
    they were written to or replaced) and the random state of the CPU and of the CUDA devices that the model lives on.
    Weights, gradients and hooks are not touched by a pass in the first place. Where several threads run one model, the
    last to leave puts things back.
    """
    with _lock:
        visit = _visits.get(model)
        if visit is None:
            before = _Before(model)
            _visits[model] = _Visit(before)
            for attributes, _ in before.modes:
                attributes["training"] = False
            for script, _ in before.scripts:
                script.training = False
            for attributes, _ in before.compiled:
                attributes["_compiled_call_impl"] = None
        else:
            visit.guests += 1
    try:
        yield
    finally:
        with _lock:
            visit = _visits[model]
            visit.guests -= 1
            if visit.guests == 0:
                visit.before.restore()
                del _visits[model]


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
