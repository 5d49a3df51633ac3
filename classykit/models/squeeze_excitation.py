"""Squeeze-and-excitation (Hu et al., 2017, arXiv 1709.01507): channels weighted by what the whole map says."""

from __future__ import annotations

import torch
from torch import nn


class SqueezeAndExcitation(nn.Module):
    """Pool the map, two 1×1 convolutions, a sigmoid; the result scales the channels."""

    def __init__(self, channels: int, reduced: int, activation: type[nn.Module] = nn.ReLU):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.excitation = nn.Sequential(
            nn.Conv2d(channels, reduced, 1), activation(), nn.Conv2d(reduced, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.excitation(self.avgpool(x))  # (N, C, H, W) * (N, C, 1, 1)
