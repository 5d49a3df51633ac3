"""ResNet (He et al., 2015, arXiv 1512.03385) and ResNeXt (Xie et al., 2016, arXiv 1611.05431)."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Depths, Flag, PictureConfig, PositiveInt
from classykit.errors import StateError
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model
from classykit.models.initialisation import init_convolutions
from classykit.models.repeats import Repeats
from classykit.models.squeeze_excitation import SqueezeAndExcitation

STATE_VERSION = 0.2  # of ClassyVision's ResNeXt states; those without a version name their blocks otherwise


class ResNeXtConfig(PictureConfig):
    """Config of `ResNeXt`."""

    num_blocks: Depths = Field(description="residual blocks in each stage, e.g. [3, 4, 6, 3]")
    init_planes: PositiveInt = Field(64, description="channels of the stem")
    reduction: PositiveInt | None = Field(
        None, description="a bottleneck's channels are its output's divided by this; 4, or 1 with basic_layer"
    )
    base_width_and_cardinality: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="width of a group in the first stage and number of groups, e.g. [4, 32] for 32x4d"
    )
    small_input: Flag = Field(False, description="a 3×3 stem without stride or pooling, for 32×32 pictures")
    basic_layer: Flag | None = Field(
        None, description="two 3×3 convolutions a block instead of a bottleneck; left out: as small_input"
    )
    final_bn_relu: Flag = Field(True, description="end the last block with BatchNorm and ReLU")
    zero_init_bn_residuals: Flag = Field(False, description="start each residual branch at zero")
    use_se: Flag = Field(False, description="squeeze-and-excitation in every block")
    se_reduction_ratio: PositiveInt = Field(16, description="its reduction of channels")

    @property
    def basic(self) -> bool:
        """Which kind of block is built."""
        return self.small_input if self.basic_layer is None else self.basic_layer

    @property
    def reduction_in_use(self) -> int:
        """``reduction`` with its default filled in."""
        return self.reduction or (1 if self.basic_layer else 4)

    def completed(self) -> dict[str, Any]:
        return super().completed() | {"basic_layer": self.basic, "reduction": self.reduction_in_use}

    @property
    def follows(self) -> dict[str, Any]:
        widths = [self.init_planes * self.reduction_in_use * 2**s for s in range(len(self.num_blocks))]
        return {"widths": widths, "depths": list(self.num_blocks)}

    @model_validator(mode="after")
    def _se_fits(self) -> ResNeXtConfig:
        first = self.init_planes * self.reduction_in_use
        if self.use_se and first // self.se_reduction_ratio < 1:
            raise ValueError(
                f"se_reduction_ratio = {self.se_reduction_ratio} leaves no channel of the first stage's {first}; "
                f"use at most {first}, or use_se=False"
            )
        return self


class ResidualBlock(nn.Module):
    """``relu(bn(convolutional_block(x)) + shortcut(x))``; the last BN and ReLU can be left out."""

    def __init__(self, cfg: ResNeXtConfig, convolutional_block: nn.Module, planes: int, stride: int,
                 in_planes: int, final_bn_relu: bool):  # fmt: skip
        super().__init__()
        self.convolutional_block = convolutional_block
        self.bn = nn.BatchNorm2d(planes) if final_bn_relu else None
        self.relu = nn.ReLU(inplace=True) if final_bn_relu else None
        self.downsample = None
        if stride != 1 or in_planes != planes:
            self.downsample = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        self.se = SqueezeAndExcitation(planes, planes // cfg.se_reduction_ratio) if cfg.use_se else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)  # (N, planes, H/stride, W/stride)
        out = self.convolutional_block(x)
        if self.bn is not None:
            out = self.bn(out)
        if self.se is not None:
            out = self.se(out)
        out += shortcut
        return out if self.relu is None else self.relu(out)


class BasicBlock(ResidualBlock):
    """Two 3×3 convolutions."""

    block_type = "basic block 3×3, 3×3"

    def __init__(self, cfg: ResNeXtConfig, stage: int, in_planes: int, planes: int, stride: int, final: bool):
        layers = nn.Sequential(
            nn.Conv2d(in_planes, planes, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            nn.Conv2d(planes, planes, 3, padding=1, bias=False),
        )
        super().__init__(cfg, layers, planes, stride, in_planes, final)


class BottleneckBlock(ResidualBlock):
    """1×1 down, 3×3 (grouped in a ResNeXt), 1×1 up."""

    def __init__(self, cfg: ResNeXtConfig, stage: int, in_planes: int, planes: int, stride: int, final: bool):
        if cfg.base_width_and_cardinality is None:
            mid, groups = math.ceil(planes / cfg.reduction_in_use), 1
        else:
            width, groups = cfg.base_width_and_cardinality
            mid = width * 2**stage * groups
        layers = nn.Sequential(
            nn.Conv2d(in_planes, mid, 1, bias=False),
            nn.BatchNorm2d(mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, mid, 3, stride, padding=1, groups=groups, bias=False),
            nn.BatchNorm2d(mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, planes, 1, bias=False),
        )
        super().__init__(cfg, layers, planes, stride, in_planes, final)
        self.block_type = f"bottleneck to {mid}" + (f", {groups} groups" if groups > 1 else "")


class ResNeXtStem(nn.Module):
    """7×7 with stride 2 and pooling (resolution / 4), or one 3×3 for small pictures."""

    def __init__(self, in_channels: int, planes: int, small_input: bool):
        super().__init__()
        kernel, stride = (3, 1) if small_input else (7, 2)
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, planes, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
        ]
        if not small_input:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        self._module = nn.Sequential(*layers)
        self.block_type = f"stem {kernel}×{kernel}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._module(x)


@register_model("resnet152", num_blocks=[3, 8, 36, 3], basic_layer=False, zero_init_bn_residuals=True)
@register_model("resnet101", num_blocks=[3, 4, 23, 3], basic_layer=False, zero_init_bn_residuals=True)
@register_model("resnet50", num_blocks=[3, 4, 6, 3], basic_layer=False, zero_init_bn_residuals=True)
@register_model("resnet34", num_blocks=[3, 4, 6, 3], basic_layer=True, zero_init_bn_residuals=True)
@register_model("resnet18", num_blocks=[2, 2, 2, 2], basic_layer=True, zero_init_bn_residuals=True)
@register_model(
    "resnext152_32x4d", num_blocks=[3, 8, 36, 3], basic_layer=False, zero_init_bn_residuals=True,
    base_width_and_cardinality=(4, 32),
)  # fmt: skip
@register_model(
    "resnext101_32x4d", num_blocks=[3, 4, 23, 3], basic_layer=False, zero_init_bn_residuals=True,
    base_width_and_cardinality=(4, 32),
)  # fmt: skip
@register_model(
    "resnext50_32x4d", num_blocks=[3, 4, 6, 3], basic_layer=False, zero_init_bn_residuals=True,
    base_width_and_cardinality=(4, 32),
)  # fmt: skip
@register_model("resnext")
class ResNeXt(ClassyModel):
    """A stem and stages of residual blocks; every stage after the first halves the resolution.

    Takes pictures (N, 3, H, W), gives the last map (N, C, H/32, W/32) with four stages. Its keys are those
    of `ResNeXtConfig`. Blocks: ``initial_block``, then ``block<stage>-<index>``.

    >>> ResNeXt(num_blocks=[1, 1], init_planes=8)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 64, 8, 8])
    """

    Config = ResNeXtConfig
    channels_first = True
    short_names = (("initial_block", "stem"),)

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.in_channels, self.small_input = cfg.in_channels, cfg.small_input
        self.initial_block = ResNeXtStem(cfg.in_channels, cfg.init_planes, cfg.small_input)
        block = BasicBlock if cfg.basic else BottleneckBlock
        stages, in_planes, make = [], cfg.init_planes, Repeats()
        for stage, depth in enumerate(cfg.num_blocks):
            planes = cfg.init_planes * 2**stage * cfg.reduction_in_use
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for index in range(depth):
                last = stage == len(cfg.num_blocks) - 1 and index == depth - 1
                stride = 2 if stage > 0 and index == 0 else 1
                final = cfg.final_bn_relu or not last
                blocks[f"block{stage}-{index}"] = make(block, cfg, stage, in_planes, planes, stride, final)
                in_planes = planes
            stages.append(nn.Sequential(blocks))
        self.blocks = nn.Sequential(*stages)
        init_convolutions(self)
        if cfg.zero_init_bn_residuals:
            for m in self.modules():
                if isinstance(m, ResidualBlock) and m.bn is not None:
                    nn.init.zeros_(m.bn.weight)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.in_channels, *((32, 32) if self.small_input else (224, 224)))

    def block_paths(self) -> dict[str, str]:
        paths = {"initial_block": "initial_block"}
        for stage, blocks in self.blocks.named_children():
            paths |= {name: f"blocks.{stage}.{name}" for name, _ in blocks.named_children()}
        return paths

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.initial_block(x)  # (N, init_planes, H/4, W/4)
        return self.blocks(x)  # (N, C, H/32, W/32)

    def get_classy_state(self, deep_copy: bool = False) -> dict[str, Any]:
        return {**super().get_classy_state(deep_copy), "version": STATE_VERSION}

    def convert_trunk_state(self, trunk: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        """States without a version name their blocks ``blocks.0.1._module.`` instead of ``blocks.0.block0-1.``"""
        version = state.get("version")
        if isinstance(version, float) and version == STATE_VERSION:
            return trunk
        if version is not None:
            raise StateError(
                f"ResNeXt states of version {version} are not known; {STATE_VERSION} is, and those without a version."
            )
        old = re.compile(r"^blocks\.(\d+)\.(\d+)\._module\.")
        return {old.sub(r"blocks.\1.block\1-\2.", key): value for key, value in trunk.items()}


@register_model("resnet")
class ResNet(ResNeXt):
    """A ResNeXt without groups.

    >>> ResNet(num_blocks=[1, 1], init_planes=8, basic_layer=True)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 16, 8, 8])
    """

    class Config(ResNeXtConfig):
        """Config of `ResNet`: that of ResNeXt, without groups."""

        base_width_and_cardinality: None = Field(None, description="always None: groups make it a resnext")
