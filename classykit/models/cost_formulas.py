"""What a config costs, by formula: what inspect counts, without building anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from classykit.models.anynet import AnyNet, AnyNetOptions
from classykit.models.efficientnet import SE_RATIO, STAGES, EfficientNet, EfficientNetConfig
from classykit.models.resnext import ResNeXt, ResNeXtConfig
from classykit.models.vision_transformer import VisionTransformer, VisionTransformerConfig


class Cost:
    """MACs and parameters, added up layer by layer."""

    def __init__(self) -> None:
        self.macs = self.params = 0

    def conv(self, into: int, out: int, kernel: int, side: int, groups: int = 1, then: str = "norm") -> None:
        """A convolution that gives ``side`` × ``side`` places, ``then`` "norm", "bias" or nothing."""
        weights = into * out * kernel**2 // groups
        self.macs += weights * side**2
        self.params += weights + {"norm": 2 * out, "bias": out, "": 0}[then]

    def linear(self, into: int, out: int, places: int = 1) -> None:
        self.macs += into * out * places
        self.params += into * out + out

    def squeeze(self, channels: int, reduced: int) -> None:
        """Squeeze-and-excitation."""
        self.linear(channels, reduced)
        self.linear(reduced, channels)


def cost_of(kind: type, cfg: Any) -> Cost | None:
    """What a network of a class and its (checked) config costs, as `classykit.inspect` counts it.

    None for families that have no formula.

    >>> from classykit.models.resnext import ResNeXtConfig
    >>> cost_of(ResNeXt, ResNeXtConfig(num_blocks=[3, 4, 6, 3])).params  # a resnet50
    23508032
    """
    formula = next((formula for family, formula in FORMULAS.items() if issubclass(kind, family)), None)
    if formula is None:
        return None
    cost = Cost()
    formula(cfg, cost)
    return cost


def _half(side: int, stride: int = 2) -> int:
    return -(-side // stride)


def _anynet(cfg: AnyNetOptions, cost: Cost) -> None:
    width = cfg.stem_width
    kernel, side = {"simple_stem_in": (3, 112), "res_stem_in": (7, 112), "res_stem_cifar": (3, 32)}[cfg.stem_type]
    cost.conv(cfg.in_channels, width, kernel, side)
    if cfg.stem_type == "res_stem_in":
        side = _half(side)
    for stage in cfg.stages:
        for i in range(stage.depth):
            before, stride = side, stage.stride if i == 0 else 1
            side = _half(side, stride)
            if "bottleneck" in cfg.block_type:
                cost.conv(width, stage.inner, 1, before)
                cost.conv(stage.inner, stage.inner, 3, side, stage.groups)
                reduced = cfg.se_channels(width)
                if reduced is not None:
                    cost.squeeze(stage.inner, reduced)
                cost.conv(stage.inner, stage.width, 1, side)
            else:
                cost.conv(width, stage.width, 3, side)
                cost.conv(stage.width, stage.width, 3, side)
            has_shortcut = cfg.block_type in ("res_bottleneck_block", "res_basic_block")
            if has_shortcut and (width != stage.width or stride != 1):
                cost.conv(width, stage.width, 1, side)
            width = stage.width


def _efficientnet(cfg: EfficientNetConfig, cost: Cost) -> None:
    side = _half(cfg.scaling.resolution)
    width = 32 if cfg.fixed_stem_head else cfg.channels(32)
    cost.conv(cfg.in_channels, width, 3, side)
    for s, stage in enumerate(STAGES):
        out = cfg.channels(stage.out_channels)
        for i in range(cfg.repeats(s)):
            before, side = side, _half(side, stage.stride) if i == 0 else side
            inner = width * stage.expand
            if stage.expand != 1:
                cost.conv(width, inner, 1, before)
            cost.conv(inner, inner, stage.kernel, side, groups=inner)
            if cfg.use_se:
                cost.squeeze(inner, max(1, int(width * SE_RATIO)))
            cost.conv(inner, out, 1, side)
            width = out
    head = 1280 if cfg.fixed_stem_head else cfg.channels(1280)
    cost.conv(width, head, 1, side)
    cost.linear(head, cfg.num_classes)


def _resnext(cfg: ResNeXtConfig, cost: Cost) -> None:
    side, width = 32 if cfg.small_input else 112, cfg.init_planes
    cost.conv(cfg.in_channels, width, 3 if cfg.small_input else 7, side)
    side = side if cfg.small_input else _half(side)
    for s, depth in enumerate(cfg.num_blocks):
        planes = cfg.init_planes * 2**s * cfg.reduction_in_use
        base, groups = cfg.base_width_and_cardinality or (0, 1)
        inner = base * 2**s * groups or _half(planes, cfg.reduction_in_use)
        for i in range(depth):
            before, stride = side, 2 if s and i == 0 else 1
            side = _half(side, stride)
            last = "norm" if cfg.final_bn_relu or (s, i) != (len(cfg.num_blocks) - 1, depth - 1) else ""
            if cfg.basic:
                cost.conv(width, planes, 3, side)
                cost.conv(planes, planes, 3, side, then=last)
            else:
                cost.conv(width, inner, 1, before)
                cost.conv(inner, inner, 3, side, groups)
                cost.conv(inner, planes, 1, side, then=last)
            if cfg.use_se:
                cost.squeeze(planes, planes // cfg.se_reduction_ratio)
            if width != planes or stride != 1:
                cost.conv(width, planes, 1, side)
            width = planes


def _vision_transformer(cfg: VisionTransformerConfig, cost: Cost) -> None:
    width, side = cfg.hidden_dim, cfg.image_size
    if cfg.conv_stem_layers is None:
        side //= cfg.patch_size
        cost.conv(cfg.in_channels, width, cfg.patch_size, side, then="bias")
    else:
        channels = cfg.in_channels
        for layer in cfg.conv_stem_layers:
            side = _half(side, layer.stride)
            cost.conv(channels, layer.out_channels, layer.kernel, side)
            channels = layer.out_channels
        cost.conv(channels, width, 1, side, then="bias")
    class_token = int(cfg.classifier == "token")
    tokens = side**2 + class_token
    cost.params += (class_token + tokens) * width  # with positions
    for _ in range(cfg.num_layers):
        cost.params += 4 * width  # two layer norms
        cost.linear(width, 3 * width, tokens)
        cost.macs += 2 * tokens**2 * width
        cost.linear(width, width, tokens)
        cost.linear(width, cfg.mlp_dim, tokens)
        cost.linear(cfg.mlp_dim, width, tokens)
    cost.params += 2 * width


FORMULAS: dict[type, Callable[[Any, Cost], None]] = {
    AnyNet: _anynet, EfficientNet: _efficientnet, ResNeXt: _resnext, VisionTransformer: _vision_transformer,
}  # fmt: skip
