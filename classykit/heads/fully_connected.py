"""The usual image classifier: average over the map, then one linear layer."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from classykit.configs import Flag, PositiveInt
from classykit.features import MAP2D
from classykit.heads.classy_head import ClassyHead, InPlaneConfig, register_head


class FullyConnectedConfig(InPlaneConfig):
    """Config of `FullyConnectedHead`."""

    conv_planes: PositiveInt | None = Field(None, description="channels of a 1×1 convolution before pooling")
    activation: Literal["relu", "silu"] = Field("relu", description="after that convolution")
    zero_init_bias: Flag = Field(False, description="start the classifier's bias at zero")
    normalize_inputs: Literal["l2"] | None = Field(None, description="scale the pooled vector to unit length")


@register_head("fully_connected")
class FullyConnectedHead(ClassyHead):
    """[1×1 conv, BN, activation,] average pooling, [L2 normalisation,] linear layer.

    Takes a 2-D map (N, C, H, W), gives logits (N, num_classes), or the pooled vector (N, C) when
    ``num_classes`` is None.

    >>> head = FullyConnectedHead(unique_id="cls", in_plane=512, num_classes=10)
    >>> head(torch.zeros(2, 512, 7, 7)).shape
    torch.Size([2, 10])
    """

    takes = (MAP2D,)
    Config = FullyConnectedConfig

    def __init__(self, /, *args: Any, **config: Any):
        cfg = self._read(args, config)
        self.in_plane, planes = cfg.in_plane, cfg.conv_planes or cfg.in_plane
        self.conv = nn.Conv2d(cfg.in_plane, planes, 1, bias=False) if cfg.conv_planes else None
        self.bn = nn.BatchNorm2d(planes) if cfg.conv_planes else None
        self.activation = nn.SiLU() if cfg.activation == "silu" else nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.normalize_inputs = cfg.normalize_inputs
        self.fc = nn.Linear(planes, cfg.num_classes) if cfg.num_classes else None
        if cfg.zero_init_bias and self.fc is not None:
            nn.init.zeros_(self.fc.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.expect(x, self.in_plane)  # (N, C, H, W)
        if self.conv is not None:
            x = self.activation(self.bn(self.conv(x)))  # (N, conv_planes, H, W)
        x = self.avgpool(x).flatten(1)  # (N, C)
        if self.normalize_inputs == "l2":
            x = F.normalize(x, dim=1)
        return x if self.fc is None else self.fc(x)  # (N, num_classes)
