"""AnyNet (Radosavovic et al., 2020, arXiv 2003.13678): stages of equal blocks, each stage as wide as one likes."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Depth, Flag, PictureConfig, PositiveFloat, PositiveInt, Probability
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model
from classykit.models.initialisation import init_convolutions
from classykit.models.repeats import Repeats
from classykit.models.squeeze_excitation import SqueezeAndExcitation

MAX_BLOCKS = 1024

Multiplier = Annotated[float, Field(strict=True, gt=0, le=100)]
Stride = Annotated[int, Field(strict=True, gt=0, le=64)]


def least_share(channels: int) -> float:
    """A round number that still leaves one channel of so many when they are multiplied by it.

    >>> least_share(8)
    0.13
    """
    return math.ceil(100 / channels) / 100


class StageSpec(NamedTuple):
    """What makes one stage."""

    depth: int
    width: int
    group_width: int
    bottleneck_multiplier: float
    stride: int

    @property
    def inner(self) -> int:
        """Channels of a bottleneck's 3×3 convolution."""
        return round(self.width * self.bottleneck_multiplier)

    @property
    def groups(self) -> int:
        """Groups of that convolution."""
        return self.inner // self.group_width


class AnyNetOptions(PictureConfig):
    """The keys that `AnyNet` and `RegNet` share."""

    ignored = ("bot_mul",)

    stem_type: Literal["simple_stem_in", "res_stem_in", "res_stem_cifar"] = Field(
        "simple_stem_in",
        description="3×3 with stride 2; ResNet's 7×7 with stride 2 and pooling; 3×3 with stride 1 for 32×32 pictures",
    )
    stem_width: PositiveInt = Field(32, description="channels of the stem")
    block_type: Literal["res_bottleneck_block", "res_bottleneck_linear_block", "res_basic_block", "vanilla_block"] = (
        Field(
            "res_bottleneck_block",
            description="1×1, 3×3 in groups, 1×1 with a shortcut; the same without the last activation (RegNetZ); two "
            "3×3 with a shortcut; two 3×3 without. The last two have no groups, bottleneck or squeeze-and-excitation",
        )
    )
    activation: Literal["relu", "silu"] = Field("relu", description="everywhere")
    use_se: Flag = Field(True, description="squeeze-and-excitation in every bottleneck")
    se_ratio: Annotated[float, Field(strict=True, ge=0, le=100)] | None = Field(
        0.25, description="its inner channels, as a share of the block's input channels; 0 or None: as use_se=False"
    )
    bn_epsilon: PositiveFloat = Field(1e-5, description="of every BatchNorm")
    bn_momentum: Probability = Field(0.1, description="of every BatchNorm")

    @property
    def follows(self) -> dict[str, Any]:
        stages = self.stages
        return {"depths": [stage.depth for stage in stages], "widths": [stage.width for stage in stages],
                "group_widths": [stage.group_width for stage in stages],
                "groups": [stage.groups for stage in stages]}  # fmt: skip

    @property
    def stages(self) -> list[StageSpec]:
        """The stages that these keys describe; ValueError when they describe none."""
        raise NotImplementedError

    def key(self, name: str, stage: int) -> str:
        """What the value of ``name`` for a stage is called in this config."""
        return name

    def se_channels(self, width_in: int) -> int | None:
        """Inner channels of squeeze-and-excitation in a block with that many input channels; None without it."""
        return round(self.se_ratio * width_in) if self.use_se and self.se_ratio else None

    @model_validator(mode="after")
    def _can_be_built(self) -> AnyNetOptions:
        stages = self.stages
        if "bottleneck" in self.block_type:
            width_in = self.stem_width
            for i, stage in enumerate(stages):
                self._check_groups(i, stage)
                for width in (width_in, stage.width) if stage.depth > 1 else (width_in,):
                    if self.se_channels(width) == 0:
                        stem = f", or a stem_width above {width}" if i == 0 and width == self.stem_width else ""
                        raise ValueError(
                            f"se_ratio = {self.se_ratio:g} leaves no channel of the {width} that enter a block of "
                            f"stage {i + 1}; use {least_share(width):g} or more, or use_se=False{stem}"
                        )
                width_in = stage.width
        return self

    def _check_groups(self, i: int, stage: StageSpec) -> None:
        """Refuse what no grouped convolution can have. A group may hold more channels than asked for, not fewer."""
        multiplier = self.key("bottleneck_multiplier", i)
        made = f"width {stage.width} × {multiplier} = {stage.bottleneck_multiplier:g}"
        if stage.inner < 1:
            raise ValueError(f"stage {i + 1}: {made} leaves no channel; use {least_share(stage.width):g} or more")
        if stage.groups < 1 or stage.inner % stage.groups:
            raise ValueError(
                f"stage {i + 1}: the {stage.inner} channels of its bottleneck ({made}) do not divide into groups "
                f"of {self.key('group_width', i)} = {stage.group_width}; {self.remedy(stage)}"
            )

    def remedy(self, stage: StageSpec) -> str:
        """What to do about channels that do not divide into groups."""
        below = stage.groups * stage.group_width
        near = " or ".join(str(n) for n in (below, below + stage.group_width) if n)
        return (
            f"make them {near}, or choose a group width that divides {stage.inner} (in widths, bottleneck_multipliers "
            f"or group_widths)"
        )


class AnyNetConfig(AnyNetOptions):
    """Config of `AnyNet`: five lists with an entry a stage, and the shared keys."""

    depths: Annotated[list[Depth], Field(min_length=1, max_length=64)] = Field(description="blocks in each stage")
    widths: list[PositiveInt] = Field(description="channels of each stage")
    group_widths: list[PositiveInt] = Field(description="channels in a group of its 3×3 convolutions")
    bottleneck_multipliers: list[Multiplier] = Field(description="a bottleneck's inner channels, in widths")
    strides: list[Stride] = Field(description="of each stage's first block")

    @property
    def stages(self) -> list[StageSpec]:
        names = ("depths", "widths", "group_widths", "bottleneck_multipliers", "strides")
        lists = {name: getattr(self, name) for name in names}
        if len({len(values) for values in lists.values()}) > 1:
            lengths = ", ".join(f"{name} has {len(values)}" for name, values in lists.items())
            raise ValueError(f"each list needs one entry a stage: {lengths}")
        if sum(self.depths) > MAX_BLOCKS:
            raise ValueError(f"depths = {self.depths} makes {sum(self.depths)} blocks; use at most {MAX_BLOCKS} in all")
        return [StageSpec(*values) for values in zip(*lists.values(), strict=True)]

    def key(self, name: str, stage: int) -> str:
        return f"{name}s.{stage}"


def _activation(cfg: AnyNetOptions) -> nn.Module:
    return nn.SiLU(inplace=True) if cfg.activation == "silu" else nn.ReLU(inplace=True)


def _batch_norm(cfg: AnyNetOptions, channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=cfg.bn_epsilon, momentum=cfg.bn_momentum)


def _conv_bn_act(
    cfg: AnyNetOptions, in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, _batch_norm(cfg, channels), _activation(cfg))


class AnyNetStem(nn.Module):
    """One convolution, for ResNet's stem with pooling."""

    def __init__(self, cfg: AnyNetOptions):
        super().__init__()
        kernel, stride = {"simple_stem_in": (3, 2), "res_stem_in": (7, 2), "res_stem_cifar": (3, 1)}[cfg.stem_type]
        self.stem = _conv_bn_act(cfg, cfg.in_channels, cfg.stem_width, kernel, stride)
        if cfg.stem_type == "res_stem_in":
            self.stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.block_type = f"stem {kernel}×{kernel}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stem(x)


class VanillaBlock(nn.Sequential):
    """Two 3×3 convolutions and nothing else."""

    block_type = "plain block 3×3, 3×3"

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec):
        super().__init__()
        self.a = _conv_bn_act(cfg, width_in, stage.width, 3, stride)
        self.b = _conv_bn_act(cfg, stage.width, stage.width, 3)


class BasicTransform(nn.Sequential):
    """The residual branch of two 3×3 convolutions."""

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec):
        super().__init__()
        self.a = _conv_bn_act(cfg, width_in, stage.width, 3, stride)
        self.a.append(nn.Conv2d(stage.width, stage.width, 3, padding=1, bias=False))
        self.final_bn = _batch_norm(cfg, stage.width)


class BottleneckTransform(nn.Sequential):
    """The residual branch of 1×1, 3×3 in groups, [squeeze-and-excitation,] 1×1."""

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec):
        super().__init__()
        self.a = _conv_bn_act(cfg, width_in, stage.inner, 1)
        self.b = _conv_bn_act(cfg, stage.inner, stage.inner, 3, stride, stage.groups)
        reduced = cfg.se_channels(width_in)
        if reduced is not None:
            self.se = SqueezeAndExcitation(stage.inner, reduced, nn.SiLU if cfg.activation == "silu" else nn.ReLU)
        self.c = nn.Conv2d(stage.inner, stage.width, 1, bias=False)
        self.final_bn = _batch_norm(cfg, stage.width)
        groups = f", {stage.groups} groups" if stage.groups > 1 else ""
        self.words = f"bottleneck to {stage.inner}{groups}" + (", SE" if reduced is not None else "")


class ShortcutBlock(nn.Module):
    """``activation(f(x) + shortcut(x))``; the shortcut is a 1×1 convolution where the shape changes."""

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec,
                 transform: type[BasicTransform] | type[BottleneckTransform]):  # fmt: skip
        super().__init__()
        self.proj = self.bn = None
        if width_in != stage.width or stride != 1:
            self.proj = nn.Conv2d(width_in, stage.width, 1, stride, bias=False)
            self.bn = _batch_norm(cfg, stage.width)
        self.f = transform(cfg, width_in, stride, stage)
        self.activation = _activation(cfg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.f(x)  # (N, width, H/stride, W/stride)
        out += x if self.proj is None else self.bn(self.proj(x))
        return self.activation(out)


class ResBasicBlock(ShortcutBlock):
    """Two 3×3 convolutions with a shortcut."""

    block_type = "basic block 3×3, 3×3"

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec):
        super().__init__(cfg, width_in, stride, stage, BasicTransform)


class ResBottleneckBlock(ShortcutBlock):
    """1×1, 3×3 in groups, 1×1, with a shortcut."""

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec):
        super().__init__(cfg, width_in, stride, stage, BottleneckTransform)
        self.block_type = self.f.words


class ResBottleneckLinearBlock(nn.Module):
    """A bottleneck that ends without an activation; a shortcut only where the shape stays (arXiv 2103.06877)."""

    def __init__(self, cfg: AnyNetOptions, width_in: int, stride: int, stage: StageSpec):
        super().__init__()
        self.has_skip = width_in == stage.width and stride == 1
        self.f = BottleneckTransform(cfg, width_in, stride, stage)
        self.block_type = f"linear {self.f.words}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.f(x)  # (N, width, H/stride, W/stride)
        if self.has_skip:
            out += x
        return out


BLOCKS = {
    "vanilla_block": VanillaBlock,
    "res_basic_block": ResBasicBlock,
    "res_bottleneck_block": ResBottleneckBlock,
    "res_bottleneck_linear_block": ResBottleneckLinearBlock,
}


@register_model("anynet")
class AnyNet(ClassyModel):
    """A stem and stages of equal blocks, with every stage's depth, width, groups and stride of one's own.

    Takes pictures (N, 3, H, W), gives the last map (N, widths[-1], H/s, W/s), s the product of all strides.
    Its keys are those of `AnyNetConfig`. Blocks: ``stem``, then ``block<stage>-<index>``, stages from 1. The
    last block's output is also known by the name ``trunk_output``.

    >>> net = AnyNet(depths=[1, 2], widths=[8, 16], group_widths=[4, 4], bottleneck_multipliers=[1, 1], strides=[2, 2])
    >>> net(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 16, 8, 8])
    """

    Config: type[AnyNetOptions] = AnyNetConfig
    channels_first = True
    short_names = (("trunk_output", "out"),)

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.in_channels, self.small_input = cfg.in_channels, cfg.stem_type == "res_stem_cifar"
        self.stem = AnyNetStem(cfg)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        width, make = cfg.stem_width, Repeats()
        for number, stage in enumerate(cfg.stages, 1):
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for index in range(stage.depth):
                stride = stage.stride if index == 0 else 1
                blocks[f"block{number}-{index}"] = make(BLOCKS[cfg.block_type], cfg, width, stride, stage)
                width = stage.width
            stages[f"block{number}"] = nn.Sequential(blocks)
            stages[f"block{number}"].block_type = f"stage {number}"
        self.trunk_output = nn.Sequential(stages)
        self.trunk_output.block_type = "all stages"
        init_convolutions(self)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.in_channels, *((32, 32) if self.small_input else (224, 224)))

    def block_paths(self) -> dict[str, str]:
        paths = {"stem": "stem"}
        for stage, blocks in self.trunk_output.named_children():
            paths |= {name: f"trunk_output.{stage}.{name}" for name, _ in blocks.named_children()}
        return paths

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)  # (N, stem_width, H/2, W/2)
        return self.trunk_output(x)  # (N, width, H/s, W/s)
