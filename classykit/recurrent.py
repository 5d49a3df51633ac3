"""Recurrent layers without their many steps: all cost the same, and give the same shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

#: steps of which the cost tells that of all: what the last adds, each adds
FEW = 3


def is_recurrent(module: nn.Module) -> bool:
    """Whether a module is torch's own LSTM, GRU or RNN, which runs step by step."""
    return type(module) in (nn.LSTM, nn.GRU, nn.RNN)


def time_dim(module: Any, x: Any) -> int | None:
    """Which dimension of a recurrent layer's input and output is time; None where there are no more steps than `FEW`.

    >>> time_dim(nn.GRU(4, 5, batch_first=True), torch.zeros(2, 10, 4)), time_dim(nn.GRU(4, 5), torch.zeros(2, 10, 4))
    (1, None)
    """
    if not isinstance(x, torch.Tensor):  # a PackedSequence
        return None
    dim = 1 if module.batch_first and x.ndim == 3 else 0
    return dim if x.shape[dim] > FEW else None


def steps(module: Any, n: int, x: torch.Tensor, *state: Any, **kwargs: Any) -> Any:
    """What the layer gives for the first ``n`` steps."""
    dim = 1 if module.batch_first and x.ndim == 3 else 0
    return type(module).forward(module, x.narrow(dim, 0, n), *state, **kwargs)


def drawn_out(module: Any, x: torch.Tensor, given: Any) -> Any:
    """The shapes of all steps, from what ``steps`` gave for a few: (output, last state), on the meta device."""
    output, state = given
    dim = 1 if module.batch_first and x.ndim == 3 else 0
    shape = [*output.shape]
    shape[dim] = x.shape[dim]
    return output.new_empty(shape), state


@contextmanager
def step_by_step() -> Iterator[None]:
    """Within the block recurrent layers run as the operations that they are made of, which can be counted."""
    kernels = (torch.backends.mkldnn, torch.backends.cudnn)
    enabled = [kernel.enabled for kernel in kernels]
    try:
        for kernel in kernels:
            kernel.enabled = False
        yield
    finally:
        for kernel, was in zip(kernels, enabled, strict=True):
            kernel.enabled = was


class Brief:
    """Stands for the forward of a recurrent layer on the meta device: a few steps tell the shapes of all.

    >>> layer = nn.LSTM(4, 5, device="meta")
    >>> Brief(layer)(torch.empty(1000, 2, 4, device="meta"))[0].shape
    torch.Size([1000, 2, 5])
    """

    def __init__(self, module: nn.Module):
        self.module = module

    def __call__(self, x: Any, *state: Any, **kwargs: Any) -> Any:
        if time_dim(self.module, x) is None or not x.is_meta:
            return type(self.module).forward(self.module, x, *state, **kwargs)
        return drawn_out(self.module, x, steps(self.module, FEW, x, *state, **kwargs))
