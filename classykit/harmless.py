"""Run a user's model and leave no trace: mode, buffers, hooks and random state are put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def harmless(model: nn.Module) -> Iterator[None]:
    """Within the block ``model`` is in eval mode; afterwards all is as it was, also after an exception.

    Put back are every module's mode, the buffers (where they were written to or replaced) and the random
    state of the CPU and of the CUDA device that the model lives on. Weights, gradients and hooks are not
    touched by a pass in the first place.
    """
    modes = [(m, m.training) for m in model.modules()]
    buffers = [(m, name, b, b._version, b.clone()) for m in model.modules() for name, b in m._buffers.items()
               if b is not None]  # fmt: skip
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=devices))
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training
            for module, name, buffer, version, before in buffers:
                if buffer._version != version:
                    with torch.no_grad():
                        buffer.copy_(before)
                module._buffers[name] = buffer
