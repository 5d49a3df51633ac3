"""What sees every operation of a pass."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """A mode that is told of every operation: see ``__torch_dispatch__`` of those that inherit.

    >>> class Names(Watch):
    ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    ...         print(func)
    ...         return func(*args, **(kwargs or {}))
    >>> import torch
    >>> with Names():
    ...     _ = torch.ones(2) + 1
    aten.ones.default
    aten.add.Tensor
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Torch would keep its compiler from looking in, and to do so import it with the first operation: that takes
        # seconds. No pass of the kit's runs within what is being compiled.
        return False
