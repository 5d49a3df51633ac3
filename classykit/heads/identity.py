"""The head that gives a block's features as they are."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

from classykit.heads.classy_head import ClassyHead, HeadConfig, register_head


class IdentityConfig(HeadConfig):
    """Config of `IdentityHead`."""

    unique_id: str = Field("IdentityHead", min_length=1, description="the head's name within its model")
    ignored = ("in_plane",)


@register_head("identity")
class IdentityHead(ClassyHead):
    """Returns its input: attach it to read a block's features as an output of the model.

    >>> IdentityHead(unique_id="tap")(torch.ones(1, 3)).shape
    torch.Size([1, 3])
    """

    Config = IdentityConfig
    takes_channels_last = True

    def __init__(self, /, *args: Any, **config: Any):
        self._read(args, config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
