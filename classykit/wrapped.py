"""The module inside what people wrap around it."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel


def unwrapped(module: nn.Module) -> nn.Module:
    """What ``torch.compile``, ``DataParallel``, ``DistributedDataParallel`` and ``AveragedModel`` hold, one inside the
    other or not.

    Hooks of a compiled model's parts do not run, and a wrapper's blocks have other names: it is the model itself that
    is looked at and run. Any other module is given back as it is.

    >>> import torch
    >>> layer = nn.Linear(2, 3)
    >>> unwrapped(nn.DataParallel(torch.compile(layer))) is layer
    True
    """
    while True:
        inner = getattr(module, "_orig_mod", None)  # of a compiled one, whose class lies in a part that is slow to load
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner
