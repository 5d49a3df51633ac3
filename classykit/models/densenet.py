"""DenseNet (Huang et al., 2016, arXiv 1608.06993): every layer sees what all layers before it made."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Depths, Flag, PictureConfig, PositiveInt
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model
from classykit.models.initialisation import init_convolutions
from classykit.models.squeeze_excitation import SqueezeAndExcitation


class DenseNetConfig(PictureConfig):
    """Config of `DenseNet`."""

    num_blocks: Depths = Field(description="dense layers at each resolution, e.g. [6, 12, 24, 16]")
    init_planes: PositiveInt = Field(64, description="channels of the stem")
    growth_rate: PositiveInt = Field(32, description="channels that each dense layer adds to those it was given")
    expansion: PositiveInt = Field(4, description="a dense layer's inner channels, in growth rates")
    small_input: Flag = Field(False, description="a 3×3 stem without stride or pooling, for 32×32 pictures")
    final_bn_relu: Flag = Field(True, description="end the trunk with BatchNorm and ReLU")
    use_se: Flag = Field(False, description="squeeze-and-excitation in every dense layer")
    se_reduction_ratio: PositiveInt = Field(16, description="its reduction of channels")

    @property
    def follows(self) -> dict[str, Any]:
        channels, stages = self.init_planes, []
        for i, layers in enumerate(self.num_blocks):
            channels += layers * self.growth_rate
            stages.append(channels)  # at the end of the stage, before the transition halves them
            channels = channels // 2 if i < len(self.num_blocks) - 1 else channels
        return {"channels": stages, "depths": list(self.num_blocks)}

    @model_validator(mode="after")
    def _fits(self) -> DenseNetConfig:
        if self.use_se and self.growth_rate // self.se_reduction_ratio < 1:
            raise ValueError(
                f"se_reduction_ratio = {self.se_reduction_ratio} leaves no channel of growth_rate = "
                f"{self.growth_rate}; use at most {self.growth_rate}, or use_se=False"
            )
        return self


class DenseLayer(nn.Sequential):
    """[BN, ReLU, 1×1 conv,] [BN, ReLU, 3×3 conv]; what they make is appended to the channels of the input."""

    def __init__(self, cfg: DenseNetConfig, in_planes: int):
        inner, growth = cfg.expansion * cfg.growth_rate, cfg.growth_rate
        layers: dict[str, nn.Module] = {
            "norm-1": nn.BatchNorm2d(in_planes),
            "relu-1": nn.ReLU(inplace=True),
            "conv-1": nn.Conv2d(in_planes, inner, 1, bias=False),
            "norm-2": nn.BatchNorm2d(inner),
            "relu-2": nn.ReLU(inplace=True),
            "conv-2": nn.Conv2d(inner, growth, 3, padding=1, bias=False),
        }
        if cfg.use_se:
            layers["se"] = SqueezeAndExcitation(growth, growth // cfg.se_reduction_ratio)
        super().__init__(OrderedDict(layers))
        self.block_type = f"dense layer, {growth} more channels" + (", SE" if cfg.use_se else "")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, super().forward(x)], 1)  # (N, in_planes + growth_rate, H, W)


class Transition(nn.Sequential):
    """BN, ReLU, a 1×1 convolution that halves the channels, pooling that halves the resolution."""

    block_type = "transition 1×1, average pooling 2×2"

    def __init__(self, in_planes: int, planes: int):
        super().__init__(
            OrderedDict(
                {
                    "pool-norm": nn.BatchNorm2d(in_planes),
                    "pool-relu": nn.ReLU(inplace=True),
                    "pool-conv": nn.Conv2d(in_planes, planes, 1, bias=False),
                    "pool-pool": nn.AvgPool2d(2),
                }
            )
        )


def _stem(in_channels: int, planes: int, small_input: bool) -> nn.Sequential:
    kernel, stride = (3, 1) if small_input else (7, 2)
    stem = nn.Sequential(
        nn.Conv2d(in_channels, planes, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(planes),
        nn.ReLU(inplace=True),
    )
    if not small_input:
        stem.append(nn.MaxPool2d(3, stride=2, padding=1))
    stem.block_type = f"stem {kernel}×{kernel}"
    return stem


@register_model("densenet201", num_blocks=[6, 12, 48, 32])
@register_model("densenet169", num_blocks=[6, 12, 32, 32])
@register_model("densenet161", num_blocks=[6, 12, 36, 24], init_planes=96, growth_rate=48)
@register_model("densenet121", num_blocks=[6, 12, 24, 16])
@register_model("densenet")
class DenseNet(ClassyModel):
    """A stem, then dense layers; between resolutions a transition that halves channels and size.

    Takes pictures (N, 3, H, W), gives the last map (N, C, H/32, W/32) with four resolutions. Its keys are
    those of `DenseNetConfig`. Blocks: ``initial_block``, ``block<stage>-<index>`` (a dense layer: its input's
    channels and its own), ``transition-<stage>``, ``trunk_output``.

    >>> DenseNet(num_blocks=[2, 2], init_planes=8, growth_rate=4)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 16, 8, 8])
    """

    Config = DenseNetConfig
    channels_first = True
    short_names = (("initial_block", "stem"), ("trunk_output", "out"))

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.in_channels, self.small_input = cfg.in_channels, cfg.small_input
        self.initial_block = _stem(cfg.in_channels, cfg.init_planes, cfg.small_input)
        self.features = nn.Sequential()
        planes = cfg.init_planes
        for stage, depth in enumerate(cfg.num_blocks):
            layers = nn.Sequential()
            for index in range(depth):
                layers.add_module(f"block{stage}-{index}", DenseLayer(cfg, planes))
                planes += cfg.growth_rate
            layers.block_type = f"dense block {stage}"
            self.features.add_module(f"block_{stage}", layers)
            if stage < len(cfg.num_blocks) - 1:
                self.features.add_module(f"transition-{stage}", Transition(planes, planes // 2))
                planes //= 2
        trunk_output = nn.Sequential()  # empty without the final layers: a place for heads
        if cfg.final_bn_relu:
            trunk_output.add_module("norm-final", nn.BatchNorm2d(planes))
            trunk_output.add_module("relu-final", nn.ReLU(inplace=True))
        trunk_output.block_type = "BatchNorm, ReLU" if cfg.final_bn_relu else "end of the trunk"
        self.features.add_module("trunk_output", trunk_output)
        init_convolutions(self)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.in_channels, *((32, 32) if self.small_input else (224, 224)))

    def block_paths(self) -> dict[str, str]:
        paths = {"initial_block": "initial_block"}
        for part, module in self.features.named_children():
            if part.startswith("block_"):
                paths |= {name: f"features.{part}.{name}" for name, _ in module.named_children()}
            else:
                paths[part] = f"features.{part}"
        return paths

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.initial_block(x)  # (N, init_planes, H/4, W/4)
        return self.features(x)  # (N, C, H/32, W/32)

    def convert_trunk_state(self, trunk: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        """Old states write ``norm.1`` and ``conv.2`` in a dense layer instead of ``norm-1`` and ``conv-2``."""
        old = re.compile(r"^(features\.block_\d+\.block\d+-\d+\.(?:norm|conv))\.(?=[12]\.)")
        renamed = {key: old.sub(r"\1-", key) for key in trunk}
        if len(set(renamed.values())) < len(renamed):  # both forms of one key: left for the check to refuse
            return trunk
        return {renamed[key]: value for key, value in trunk.items()}
