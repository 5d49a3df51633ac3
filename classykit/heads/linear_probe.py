"""A linear probe for any kind of features: pool to a vector, then one linear layer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from classykit.configs import Flag, PositiveInt
from classykit.features import SEQUENCE, TOKENS, Features
from classykit.heads.classy_head import ClassyHead, InPlaneConfig, register_head


class LinearProbeConfig(InPlaneConfig):
    """Config of `LinearProbe`."""

    num_classes: PositiveInt = Field(description="number of outputs")
    tokens: Literal["batch_first", "sequence_first", "channels_first"] = Field(
        "batch_first",
        description="order of features of three dimensions: tokens (N, L, C) or (L, N, C), or a sequence (N, C, L); "
        "inferred when attached",
    )
    channels_last: Flag = Field(False, description="2-D maps come as (N, H, W, C); inferred when attached")
    pool: Literal["mean", "class"] = Field(
        "mean", description="of tokens: the mean over those that are patches, or the first, the class token, alone"
    )
    before: Annotated[int, Field(strict=True, ge=0)] = Field(
        0, description="class, register and distillation tokens before the patches; inferred when attached"
    )


@register_head("linear_probe")
class LinearProbe(ClassyHead):
    """Mean over space, time or patches, then a linear layer (Alain and Bengio, 2016, arXiv 1610.01644).

    Takes a 2-D map (N, C, H, W) or (N, H, W, C), a 3-D map (N, C, T, H, W), a sequence (N, C, L), tokens (N, L, C) or
    (L, N, C), or a vector (N, C); gives logits (N, num_classes). Of tokens those that are no patches are left out of
    the mean; with ``pool="class"`` the class token alone is read.

    >>> probe = LinearProbe(unique_id="probe", in_plane=192, num_classes=10)
    >>> probe(torch.zeros(2, 197, 192)).shape, probe(torch.zeros(2, 192, 14, 14)).shape
    (torch.Size([2, 10]), torch.Size([2, 10]))
    """

    Config = LinearProbeConfig
    takes_channels_last = True

    def __init__(self, /, *args: Any, **config: Any):
        cfg = self._read(args, config)
        self.in_plane = cfg.in_plane
        self.channels_last = cfg.channels_last
        self.only = slice(0, 1) if cfg.pool == "class" else slice(cfg.before, None)
        self.token_dim = {"sequence_first": 0, "batch_first": 1, "channels_first": 2}[cfg.tokens]
        self.fc = nn.Linear(cfg.in_plane, cfg.num_classes)

    @classmethod
    def keys_for(cls, features: Features) -> dict[str, Any]:
        keys = super().keys_for(features)
        if features.kind == TOKENS and features.batch_dim == 1:
            keys["tokens"] = "sequence_first"
        if features.kind == SEQUENCE:
            keys["tokens"] = "channels_first"
        if features.channels_last:
            keys["channels_last"] = True
        return keys

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.expect(x, self.in_plane, self.channels_last or (x.ndim == 3 and self.token_dim < 2))
        if self.channels_last:
            x = x.flatten(1, -2).mean(1)  # (N, H, W, C) -> (N, C)
        elif x.ndim == 3 and self.token_dim == 2:
            x = x.mean(2)  # (N, C, L) -> (N, C)
        elif x.ndim == 3:
            x = (x[:, self.only] if self.token_dim else x[self.only]).mean(self.token_dim)  # (N, L, C), (L, N, C)
        elif x.ndim > 3:
            x = x.flatten(2).mean(2)  # (N, C, ...) -> (N, C)
        return self.fc(x)  # (N, num_classes)
