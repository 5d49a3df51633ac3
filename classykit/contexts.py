"""What a notebook has switched on, kept away from the kit's own passes: they give the same in every context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_AUTOCAST = ("cpu", "cuda", "mps")


@contextmanager
def as_usual() -> Iterator[None]:
    """Within the block there is no inference mode, autocast, default device or default number type of the user's.

    As a decorator it does the same for a function. Gradients stay as they are: off where they were.

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
        if torch.get_default_dtype() != torch.float32:
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        yield


def _autocasts(device: str) -> bool:
    try:
        return torch.is_autocast_enabled(device)
    except RuntimeError:  # a kind of device that this torch does not know
        return False
