"""The head that gives a block's features as they are."""

from __future__ import annotations

from typing import Any

import torch

from classykit.heads.classy_head import ClassyHead, HeadConfig, register_head


@register_head("identity")
class IdentityHead(ClassyHead):
    """Returns its input: attach it to read a block's features as an output of the model.

    >>> IdentityHead(unique_id="tap")(torch.ones(1, 3)).shape
    torch.Size([1, 3])
    """

    Config = HeadConfig
    takes_channels_last = True

    def __init__(self, /, **config: Any):
        self._read(config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
