"""Equal blocks one after another: without weights the second is copied from the first, ten times as fast as built."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class Repeats:
    """Builds blocks for a model; on the meta device, one that is asked for twice in a row is copied.

    With weights every block is built, and draws its own.

    >>> make = Repeats()
    >>> with torch.device("meta"):
    ...     a, b = make(nn.Linear, 2, 3), make(nn.Linear, 2, 3)
    >>> a.weight is b.weight, a.weight.shape == b.weight.shape
    (False, True)
    """

    def __init__(self) -> None:
        self.last: Any = None
        self.block: nn.Module | None = None

    def __call__(self, kind: Callable[..., nn.Module], *args: Any) -> nn.Module:
        if self.block is not None and self.last == (kind, args):
            with torch._C.DisableTorchFunction():  # a device's mode would look at every shape that is read
                return _copied(self.block)
        block = kind(*args)
        self.last, self.block = (kind, args), block if has_no_weights(block) else None
        return block


def has_no_weights(module: nn.Module) -> bool:
    """Whether a module of this kit has been built on the meta device, all of it or nothing."""
    first = next(module.parameters(), None)
    return first is not None and first.is_meta


def _copied(module: nn.Module) -> nn.Module:
    """A copy of a module tree that was just built on the meta device. `copy.deepcopy` takes as long as building."""
    copy = object.__new__(type(module))
    own = copy.__dict__
    for name, value in vars(module).items():
        kind = type(value)
        if kind is OrderedDict and not value:
            own[name] = OrderedDict()  # twenty times as fast as copying one
        else:
            own[name] = value.copy() if kind in (dict, OrderedDict, set, list) else value
    for held in (own["_parameters"], own["_buffers"]):
        for name, tensor in held.items():
            if tensor is not None:
                new = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
                held[name] = nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new
    children = own["_modules"]
    for name, child in children.items():
        children[name] = None if child is None else _copied(child)
    return copy
