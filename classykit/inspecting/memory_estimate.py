"""How much memory a pass takes at most: from the lifetimes of its tensors, watched on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from classykit import formats, shortcuts
from classykit.errors import ConfigError, quoted
from classykit.nested import Inputs, call, tensors_in
from classykit.watch import Watch

OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2}  # numbers kept for each parameter


@dataclass(frozen=True)
class PeakMemory:
    """Bytes held when most are held. Estimated.

    Attributes:
        weights: parameters and buffers.
        gradients: of the parameters; 0 for inference.
        optimizer_state: what the optimizer keeps for each parameter; 0 for inference.
        activations: the most that the input and everything computed from it hold at a time, besides the above. For
            training that includes what is kept for the backward pass.
    """

    weights: int
    gradients: int
    optimizer_state: int
    activations: int
    mode: str
    batch_size: int

    @property
    def total(self) -> int:
        """All of them together."""
        return self.weights + self.gradients + self.optimizer_state + self.activations

    def __str__(self) -> str:
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimizer state": self.optimizer_state,
            "activations": self.activations,
        }
        text = " + ".join(f"{formats.size(n)} {what}" for what, n in parts.items() if n)
        what = f"{self.mode} with a batch of {self.batch_size}"
        return f"{formats.size(self.total)} at most for {what} ({text}), estimated"


class LiveBytes(Watch):
    """Adds up the memory of the tensors that are alive after each operation within the block.

    ``peak`` is the most that was held at a time by what was made in the block, bytes of ``apart`` left out.
    """

    def __init__(self, apart: list[torch.Tensor]):
        super().__init__()
        self.apart = {t.untyped_storage()._cdata for t in apart}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = shortcuts.run(func, args, kwargs or {})
        self.note(out)
        return out

    def note(self, value: Any) -> None:
        """Look at what is alive now, with the tensors in ``value`` besides."""
        for address in [a for a, (reference, _) in self.live.items() if reference.expired()]:
            self.now -= self.live.pop(address)[1]
        for tensor in tensors_in(value):
            storage = tensor.untyped_storage()
            address = storage._cdata
            if address not in self.live and address not in self.apart:
                self.live[address] = StorageWeakRef(storage), storage.nbytes()
                self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)


def estimate(twin: nn.Module, x: Any, mode: str = "inference", optimizer: str = "adam") -> PeakMemory:
    """The most memory of one pass of ``twin``, which is on the meta device and may be changed, on the meta input x.

    Raises ConfigError for a mode or optimizer that is not known.
    """
    if mode not in ("inference", "training"):
        raise ConfigError(f"mode is 'inference' or 'training', not {quoted(mode)}.")
    if optimizer not in OPTIMIZERS:
        raise ConfigError(f"optimizer is one of {', '.join(map(repr, OPTIMIZERS))}, not {quoted(optimizer)}.")
    parameters = list({id(p): p for p in twin.parameters()}.values())
    buffers = list({id(b): b for b in twin.buffers()}.values())
    weights = _bytes([*parameters, *buffers])
    batch_size = Inputs.of(x).batch_size
    if mode == "inference":
        live = LiveBytes(apart=[*parameters, *buffers])
        with torch.random.fork_rng(devices=[]), torch.no_grad(), live:
            live.note(x)
            call(twin.eval(), x)
        return PeakMemory(weights, 0, 0, live.peak, mode, batch_size)
    trained = [p for p in parameters if p.requires_grad]
    for p in trained:  # gradients are there from the first step on: held apart, and added to in place
        p.grad = torch.empty_like(p)
    live = LiveBytes(apart=[*parameters, *buffers, *(p.grad for p in trained)])
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), live:
        live.note(x)
        outputs = [t for t in tensors_in(call(twin.train(), x)) if t.requires_grad]
        torch.autograd.backward([t.float().mean() for t in outputs])
    gradients = _bytes(trained)
    return PeakMemory(weights, gradients, OPTIMIZERS[optimizer] * gradients, live.peak, mode, batch_size)


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def largest_batch(needed: Callable[[int], int], memory: int) -> int:
    """The largest n for which ``needed(n)``, which grows with n, is at most ``memory``; 0 when there is none.

    >>> largest_batch(lambda n: 10 + 3 * n, 100)
    30
    """
    first = needed(1)
    if first > memory:
        return 0
    growth = max(1, needed(2) - first)
    low = 1
    high = 2 + (memory - first) // growth  # too large by one where memory grows in proportion
    while needed(high) <= memory:
        low, high = high, 2 * high
    if high - low > 1 and needed(high - 1) <= memory:
        return high - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if needed(middle) <= memory else (low, middle)
    return low
