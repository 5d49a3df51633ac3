"""EfficientNet (Tan and Le, 2019, arXiv 1905.11946) and its Lite variants for mobile hardware."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Config, Flag, PictureConfig, PositiveFloat, PositiveInt, Probability
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model


class MBConvStage(NamedTuple):
    """One row of the paper's table 1, before scaling."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    in_channels: int
    out_channels: int


STAGES = [
    MBConvStage(1, 3, 1, 1, 32, 16),
    MBConvStage(2, 3, 2, 6, 16, 24),
    MBConvStage(2, 5, 2, 6, 24, 40),
    MBConvStage(3, 3, 2, 6, 40, 80),
    MBConvStage(3, 5, 1, 6, 80, 112),
    MBConvStage(4, 5, 2, 6, 112, 192),
    MBConvStage(1, 3, 1, 6, 192, 320),
]
SE_RATIO = 0.25  # of a block's input channels

# width, depth, resolution (px), dropout
SCALES = {
    "B0": (1.0, 1.0, 224, 0.2),
    "B1": (1.0, 1.1, 240, 0.2),
    "B2": (1.1, 1.2, 260, 0.3),
    "B3": (1.2, 1.4, 300, 0.3),
    "B4": (1.4, 1.8, 380, 0.4),
    "B5": (1.6, 2.2, 456, 0.4),
    "B6": (1.8, 2.6, 528, 0.5),
    "B7": (2.0, 3.1, 600, 0.5),
}
LITE_SCALES = {0: (1.0, 1.0, 224, 0.2), 1: (1.0, 1.1, 240, 0.2), 2: (1.1, 1.2, 260, 0.3)}

Coefficient = Annotated[float, Field(strict=True, gt=0, le=100)]


class ScalingConfig(Config):
    """The compound scaling of one EfficientNet."""

    width_coefficient: Coefficient = Field(description="multiplies channels")
    depth_coefficient: Coefficient = Field(description="multiplies repeats")
    resolution: PositiveInt = Field(description="side of the input, px")
    dropout_rate: Probability = Field(description="before the classifier")


class EfficientNetConfig(PictureConfig):
    """Config of `EfficientNet`. Give model_name, or model_params, which wins when both are there.

    Each number of a scaling can be turned by its own name, too: ``model_name="B0", width_coefficient=1.4``.
    """

    model_name: Literal["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7"] | None = Field(
        None, description="a scaling of the paper"
    )
    model_params: ScalingConfig | None = Field(
        None, description="a scaling of one's own: width_coefficient, depth_coefficient, resolution, dropout_rate"
    )
    width_coefficient: Coefficient | None = Field(None, description="multiplies channels; left out: the scaling's")
    depth_coefficient: Coefficient | None = Field(None, description="multiplies repeats; left out: the scaling's")
    resolution: PositiveInt | None = Field(None, description="side of the input, px; left out: the scaling's")
    dropout_rate: Probability | None = Field(None, description="before the classifier; left out: the scaling's")
    num_classes: PositiveInt = Field(1000, description="outputs of the classifier")
    bn_momentum: Probability = Field(0.01, description="of every BatchNorm")
    bn_epsilon: PositiveFloat = Field(1e-3, description="of every BatchNorm")
    width_divisor: PositiveInt = Field(8, description="channels are multiples of this")
    min_width: PositiveInt | None = Field(None, description="fewest channels; left out: width_divisor")
    drop_connect_rate: Probability | None = Field(
        0.2, description="chance to drop a residual branch in training, rising linearly to this at the end"
    )
    use_se: Flag = Field(True, description="squeeze-and-excitation in every block")
    activation: Literal["silu", "relu6"] = Field("silu", description="everywhere")
    padding: Literal["symmetric", "same"] = Field(
        "symmetric", description='"same" is TensorFlow\'s, which pads more at the end where the stride asks for it'
    )
    fixed_stem_head: Flag = Field(
        False, description="do not scale the stem, the head, nor the depth of the first and last stage (Lite)"
    )

    @model_validator(mode="after")
    def _has_scaling(self) -> EfficientNetConfig:
        own = [getattr(self, key) is not None for key in ScalingConfig.model_fields]
        if self.model_name is None and self.model_params is None and not all(own):
            raise ValueError('one of model_name ("B0" ... "B7") and model_params is required')
        return self

    @property
    def scaling(self) -> ScalingConfig:
        """The scaling that is meant: that of model_params, else of model_name, with what is given by its own name."""
        of_name = _scaling(SCALES[self.model_name]) if self.model_name is not None else None
        base = self.model_params or of_name
        given = {key: getattr(self, key) for key in ScalingConfig.model_fields if getattr(self, key) is not None}
        return ScalingConfig(**given) if base is None else base.model_copy(update=given)

    def completed(self) -> dict[str, Any]:
        return super().completed() | self.scaling.model_dump()

    @property
    def follows(self) -> dict[str, Any]:
        stages = range(len(STAGES))
        return {"channels": [self.channels(STAGES[s].out_channels) for s in stages],
                "repeats": [self.repeats(s) for s in stages], "kernels": [STAGES[s].kernel for s in stages],
                "strides": [STAGES[s].stride for s in stages]}  # fmt: skip

    def channels(self, n: int) -> int:
        """Scale a number of channels: the nearest multiple of the divisor, never over 10 % down."""
        scaled = n * self.scaling.width_coefficient
        divisor = self.width_divisor
        rounded = max(self.min_width or divisor, int(scaled + divisor / 2) // divisor * divisor)
        return int(rounded + divisor if rounded < 0.9 * scaled else rounded)

    def repeats(self, stage: int) -> int:
        """Scale a stage's depth."""
        if self.fixed_stem_head and stage in (0, len(STAGES) - 1):
            return STAGES[stage].repeats
        return math.ceil(self.scaling.depth_coefficient * STAGES[stage].repeats)


def _scaling(values: tuple[float, float, int, float]) -> ScalingConfig:
    return ScalingConfig(**dict(zip(ScalingConfig.model_fields, values, strict=True)))


class SamePadConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": output = ceil(input / stride), the odd pixel at the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]  # F.pad wants the last dimension first
        if pads[0] == pads[1] and pads[2] == pads[3]:
            return F.conv2d(x, self.weight, self.bias, self.stride, (pads[2], pads[0]), self.dilation, self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class MBConv(nn.Module):
    """Inverted residual: 1×1 up, depthwise k×k, [squeeze-and-excitation,] 1×1 down, [drop connect, skip]."""

    def __init__(self, cfg: EfficientNetConfig, in_channels: int, out_channels: int, kernel: int, stride: int,
                 expand: int, drop_connect_rate: float):  # fmt: skip
        super().__init__()
        mid = in_channels * expand
        if expand != 1:
            self.expand_conv = nn.Conv2d(in_channels, mid, 1, bias=False)
            self.bn0 = _batch_norm(cfg, mid)
        self.expands = expand != 1
        self.depthwise_conv = _spatial_conv(cfg, mid, mid, kernel, stride, groups=mid)
        self.bn1 = _batch_norm(cfg, mid)
        self.has_se = cfg.use_se
        if cfg.use_se:
            squeezed = max(1, int(in_channels * SE_RATIO))
            self.se_avgpool = nn.AdaptiveAvgPool2d(1)
            self.se_reduce = nn.Conv2d(mid, squeezed, 1)
            self.se_expand = nn.Conv2d(squeezed, mid, 1)
        self.project_conv = nn.Conv2d(mid, out_channels, 1, bias=False)
        self.bn2 = _batch_norm(cfg, out_channels)
        self.act = _activation(cfg)
        self.has_skip = stride == 1 and in_channels == out_channels
        self.drop_connect_rate = drop_connect_rate
        self.expand, self.kernel = expand, kernel

    @property
    def block_type(self) -> str:
        """What the inspector calls it."""
        return f"MBConv {self.kernel}×{self.kernel}, expand {self.expand}"

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = inputs  # (N, in_channels, H, W)
        if self.expands:
            x = self.act(self.bn0(self.expand_conv(x)))  # (N, mid, H, W)
        x = self.act(self.bn1(self.depthwise_conv(x)))  # (N, mid, H/stride, W/stride)
        if self.has_se:
            scale = self.se_expand(self.act(self.se_reduce(self.se_avgpool(x))))  # (N, mid, 1, 1)
            x = torch.sigmoid(scale) * x
        x = self.bn2(self.project_conv(x))  # (N, out_channels, H/stride, W/stride)
        if self.has_skip:
            if self.training and self.drop_connect_rate:
                x = drop_connect(x, self.drop_connect_rate)
            x += inputs
        return x


def drop_connect(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Zero whole samples with probability ``rate`` and scale the rest (Huang et al., 2016, arXiv 1603.09382)."""
    keep = 1 - rate
    mask = torch.floor(keep + torch.rand(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device))
    return x / keep * mask


def _batch_norm(cfg: EfficientNetConfig, channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=cfg.bn_epsilon, momentum=cfg.bn_momentum)


def _activation(cfg: EfficientNetConfig) -> nn.Module:
    return nn.ReLU6(inplace=True) if cfg.activation == "relu6" else nn.SiLU(inplace=True)


def _spatial_conv(
    cfg: EfficientNetConfig, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int = 1
) -> nn.Conv2d:
    kind = SamePadConv2d if cfg.padding == "same" else nn.Conv2d
    return kind(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def _register_named(cls: type[ClassyModel]) -> type[ClassyModel]:
    for name in SCALES:
        register_model(f"efficientnet_{name.lower()}", model_name=name)(cls)
    for size, values in LITE_SCALES.items():
        register_model(
            f"efficientnet_lite{size}",
            model_params=_scaling(values).model_dump(),
            use_se=False,
            activation="relu6",
            padding="same",
            fixed_stem_head=True,
        )(cls)
    return cls


@_register_named
@register_model("efficientnet")
class EfficientNet(ClassyModel):
    """A stem, seven stages of inverted residuals, a 1×1 head, pooling and a classifier.

    Takes pictures (N, 3, H, W), gives logits (N, num_classes): the classifier is part of the trunk, as in
    ClassyVision; `extract_features` stops before pooling, (N, 1280·width, H/32, W/32). Its keys are those of
    `EfficientNetConfig`. Blocks: ``stem``, ``block<stage>-<index>``, ``trunk_output`` (the map before
    pooling), ``fc``.

    >>> net = EfficientNet(model_name="B0", num_classes=10).eval()
    >>> x = torch.zeros(1, 3, 64, 64)
    >>> net(x).shape, net.extract_features(x).shape
    (torch.Size([1, 10]), torch.Size([1, 1280, 2, 2]))
    """

    Config = EfficientNetConfig
    channels_first = True
    short_names = (("trunk_output", "out"),)
    needs_size = True  # one of two keys

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.in_channels, self.image_resolution = cfg.in_channels, cfg.scaling.resolution
        self.num_classes = cfg.num_classes
        fixed = cfg.fixed_stem_head

        stem = 32 if fixed else cfg.channels(32)
        self.conv_stem = _spatial_conv(cfg, cfg.in_channels, stem, 3, 2)
        self.bn0 = _batch_norm(cfg, stem)
        self.act_stem = _activation(cfg)  # the block "stem" ends here
        self.act_stem.block_type = "stem 3×3"

        total = sum(cfg.repeats(s) for s in range(len(STAGES)))
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        in_channels = stem if fixed else cfg.channels(STAGES[0].in_channels)
        for s, stage in enumerate(STAGES):
            out_channels = cfg.channels(stage.out_channels)
            for i in range(cfg.repeats(s)):
                rate = (cfg.drop_connect_rate or 0) * len(blocks) / total
                stride = stage.stride if i == 0 else 1
                blocks[f"block{s}-{i}"] = MBConv(
                    cfg, in_channels, out_channels, stage.kernel, stride, stage.expand, rate
                )
                in_channels = out_channels
        self.blocks = nn.Sequential(blocks)

        head = 1280 if fixed else cfg.channels(1280)
        self.conv_head = nn.Conv2d(in_channels, head, 1, bias=False)
        self.bn1 = _batch_norm(cfg, head)
        self.act_head = _activation(cfg)
        self.trunk_output = nn.Identity()  # a place for heads
        self.trunk_output.block_type = "conv head 1×1"
        self.avg_pooling = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(cfg.scaling.dropout_rate)
        self.fc = nn.Linear(head, cfg.num_classes)
        self._init_weights()

    def _init_weights(self) -> None:
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                # not kaiming_normal_: the paper's code leaves groups out of the fan
                fan_out = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                nn.init.normal_(m.weight, std=math.sqrt(2 / fan_out))
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                bound = m.out_features**-0.5
                nn.init.uniform_(m.weight, -bound, bound)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.image_resolution, self.image_resolution)

    def block_paths(self) -> dict[str, str]:
        inner = {name: f"blocks.{name}" for name, _ in self.blocks.named_children()}
        return {"stem": "act_stem", **inner, "trunk_output": "trunk_output", "fc": "fc"}

    def extract_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act_stem(self.bn0(self.conv_stem(x)))  # (N, 32·width, H/2, W/2)
        for block in self.blocks:  # a call of self.blocks would keep the large first map in memory throughout
            x = block(x)  # at last (N, 320·width, H/32, W/32)
        x = self.act_head(self.bn1(self.conv_head(x)))  # (N, 1280·width, H/32, W/32)
        return self.trunk_output(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.avg_pooling(self.extract_features(x)).flatten(1)  # (N, 1280·width)
        return self.fc(self.dropout(x))  # (N, num_classes)
