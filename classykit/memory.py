"""How much memory a device has to give, and refusing in time what it cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil
import torch
from torch import nn

from classykit import formats
from classykit.contexts import put_back_if_interrupted
from classykit.errors import ClassyKitError, ConfigError, DeviceError, first_line
from classykit.meta import weightless


def free_memory(device: str | torch.device) -> int:
    """Bytes that can be had on a device now (of the machine's memory, for anything that is no CUDA device)."""
    device = torch.device(device)
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


@put_back_if_interrupted
def refuse_what_cannot_fit(build: Callable[[], nn.Module], what: str) -> None:
    """Raise DeviceError, before a byte is allocated, when ``build()`` makes more weights than the device on which
    tensors are made now can hold, ConfigError when no device could. ``what`` names them.

    >>> refuse_what_cannot_fit(lambda: nn.Linear(2**22, 2**22), "this layer")
    Traceback (most recent call last):
    classykit.errors.DeviceError: this layer: its weights need 70.4 TB, and cpu has ... free. ...
    """
    device = torch.empty(0).device
    if device.type == "meta":
        return
    try:
        with weightless():
            described = build()
    except (RuntimeError, MemoryError, OverflowError) as error:
        if isinstance(error, ClassyKitError):
            raise
        raise ConfigError(f"{what}: weights of these sizes cannot be allocated: {first_line(error)}") from None
    refuse_weights_of([described], device, what)


def refuse_weights_of(described: Iterable[nn.Module], device: str | torch.device, what: str) -> None:
    """Raise DeviceError when the device cannot hold the weights of these modules, which have none themselves."""
    needed = sum(p.numel() * p.element_size() for module in described for p in module.parameters())
    free = free_memory(device)
    if needed > free:
        raise DeviceError(
            f"{what}: its weights need {formats.size(needed)}, and {device} has {formats.size(free)} free. "
            f'With device="meta" it is described without them: inspect it, and make it smaller.'
        )
