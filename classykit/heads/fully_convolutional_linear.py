"""The video classifier: pool over space and time, then a linear layer at each remaining place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from classykit.configs import Flag, PositiveInt, Probability
from classykit.features import MAP3D
from classykit.heads.classy_head import ClassyHead, InPlaneConfig, register_head


class FullyConvolutionalLinearConfig(InPlaneConfig):
    """Config of `FullyConvolutionalLinearHead`."""

    num_classes: PositiveInt = Field(description="number of outputs")
    pool_size: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)] | None = Field(
        None, description="window (T, H, W) of the average pooling, stride 1; None pools everything"
    )
    activation_func: Literal["softmax", "sigmoid", "identity"] = Field("softmax", description="in eval mode only")
    use_dropout: Flag = Field(False, description="dropout after pooling")
    dropout_ratio: Probability = Field(0.5, description="its rate")


class FullyConvolutionalLinear(nn.Module):
    """A linear layer at every place of a map; in eval mode activated and averaged over the places."""

    def __init__(self, in_plane: int, num_classes: int, activation_func: str):
        super().__init__()
        self.projection = nn.Linear(in_plane, num_classes)
        self.act = {"softmax": nn.Softmax(dim=-1), "sigmoid": nn.Sigmoid(), "identity": nn.Identity()}[activation_func]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.projection(x.permute(0, 2, 3, 4, 1))  # (N, C, T, H, W) -> (N, T, H, W, num_classes)
        if not self.training:
            x = self.act(x).mean((1, 2, 3))  # (N, num_classes)
        return x.flatten(1)


@register_head("fully_convolutional_linear")
class FullyConvolutionalLinearHead(ClassyHead):
    """Average pooling, [dropout,] then a linear layer at each place that pooling left over.

    Takes a 3-D map (N, C, T, H, W). As in ClassyVision its output depends on the mode: in training,
    logits (N, T'·H'·W'·num_classes) of every place; in eval, the activation (softmax by default: the
    output is probabilities) averaged over places, (N, num_classes). With ``pool_size=None`` one place is
    left, and both have num_classes columns.

    >>> head = FullyConvolutionalLinearHead(unique_id="cls", in_plane=64, num_classes=5).eval()
    >>> head(torch.rand(2, 64, 4, 7, 7)).sum(1).allclose(torch.ones(2))
    True
    """

    takes = (MAP3D,)
    Config = FullyConvolutionalLinearConfig

    def __init__(self, /, *args: Any, **config: Any):
        cfg = self._read(args, config)
        self.in_plane = cfg.in_plane
        if cfg.pool_size is None:
            self.final_avgpool: nn.Module = nn.AdaptiveAvgPool3d(1)
        else:
            self.final_avgpool = nn.AvgPool3d(tuple(cfg.pool_size), stride=1)
        self.dropout = nn.Dropout(cfg.dropout_ratio) if cfg.use_dropout else nn.Identity()
        self.head_fcl = FullyConvolutionalLinear(cfg.in_plane, cfg.num_classes, cfg.activation_func)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.expect(x, self.in_plane)  # (N, C, T, H, W)
        return self.head_fcl(self.dropout(self.final_avgpool(x)))
