"""What a config costs, about: by formula, in microseconds, to leave out early what no budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from classykit.configs import read_config
from classykit.models.anynet import AnyNet
from classykit.models.efficientnet import SE_RATIO, STAGES, EfficientNet
from classykit.models.factory import MODELS
from classykit.models.resnext import ResNeXt
from classykit.models.vision_transformer import VisionTransformer

#: by how much a formula may be off, at most; tests hold it to that
MARGIN = 1.15


class _Sum:
    """MACs and parameters, added up convolution by convolution."""

    def __init__(self) -> None:
        self.macs = self.params = 0.0

    def conv(self, weights: float, side: float) -> None:
        """A convolution of so many weights, at ``side`` × ``side`` places."""
        self.params += weights
        self.macs += weights * side * side


def rough_cost(config: Mapping[str, Any]) -> tuple[float, float] | None:
    """(MACs, parameters) of a config, within `MARGIN` of what `classykit.inspect` counts; None for other families.

    >>> macs, params = rough_cost({"name": "resnet50"})
    >>> round(macs / 1e9, 1), round(params / 1e6)
    (4.1, 23)
    """
    entry = MODELS[config["name"]]
    formula = next((f for kind, f in _FORMULAS.items() if issubclass(entry.cls, kind)), None)
    if formula is None or entry.cls.Config is None:
        return None
    keys = {key: value for key, value in config.items() if key not in ("name", "heads")}
    total = _Sum()
    formula(read_config(entry.cls.Config, {**entry.defaults, **keys}, config["name"]), total)
    return total.macs, total.params


def _anynet(cfg: Any, total: _Sum) -> None:
    side, width = 224 / 2, cfg.stem_width
    if cfg.stem_type == "res_stem_in":
        total.conv(cfg.in_channels * 49 * width, side)
        side /= 2
    else:
        side = 32 if cfg.stem_type == "res_stem_cifar" else side
        total.conv(cfg.in_channels * 9 * width, side)
    for stage in cfg.stages:
        for i in range(stage.depth):
            into, side = side, math.ceil(side / stage.stride) if i == 0 else side
            if cfg.block_type in ("res_basic_block", "vanilla_block"):
                total.conv(9 * width * stage.width + 9 * stage.width**2, side)
            else:
                total.conv(width * stage.inner, into)
                total.conv(9 * stage.inner * stage.group_width + stage.inner * stage.width, side)
                if cfg.use_se and cfg.se_ratio:
                    total.params += 2 * stage.inner * cfg.se_ratio * width
            if i == 0 and cfg.block_type != "vanilla_block":
                total.conv(width * stage.width, side)
            width = stage.width


def _efficientnet(cfg: Any, total: _Sum) -> None:
    side = math.ceil(cfg.scaling.resolution / 2)
    width = 32 if cfg.fixed_stem_head else cfg.channels(32)
    total.conv(cfg.in_channels * 9 * width, side)
    for s, stage in enumerate(STAGES):
        for i in range(cfg.repeats(s)):
            into, side = side, math.ceil(side / stage.stride) if i == 0 else side
            inner, out = width * stage.expand, cfg.channels(stage.out_channels)
            total.conv(width * inner if stage.expand != 1 else 0, into)
            total.conv(inner * stage.kernel**2 + inner * out, side)
            total.params += 2 * inner * SE_RATIO * width if cfg.use_se else 0
            width = out
    head = 1280 if cfg.fixed_stem_head else cfg.channels(1280)
    total.conv(width * head, side)
    total.conv(head * cfg.num_classes, 1)


def _resnext(cfg: Any, total: _Sum) -> None:
    side: float = 32 if cfg.small_input else 112
    total.conv(cfg.in_channels * (9 if cfg.small_input else 49) * cfg.init_planes, side)
    side, width = side if cfg.small_input else side / 2, cfg.init_planes
    for s, depth in enumerate(cfg.num_blocks):
        planes = cfg.init_planes * 2**s * cfg.reduction_in_use
        for i in range(depth):
            into, side = side, math.ceil(side / 2) if s and i == 0 else side
            if cfg.basic:
                total.conv(9 * width * planes + 9 * planes**2, side)
            else:
                groups = cfg.base_width_and_cardinality
                inner = math.ceil(planes / cfg.reduction_in_use) if groups is None else groups[0] * 2**s * groups[1]
                total.conv(width * inner, into)
                total.conv(9 * inner * inner / (1 if groups is None else groups[1]) + inner * planes, side)
            if width != planes:
                total.conv(width * planes, side)
            width = planes


def _vision_transformer(cfg: Any, total: _Sum) -> None:
    side = cfg.image_size // cfg.patch_size
    tokens, width = side * side + (cfg.classifier == "token"), cfg.hidden_dim
    total.conv(cfg.in_channels * cfg.patch_size**2 * width, side)
    total.params += tokens * width
    for _ in range(cfg.num_layers):
        weights = 4 * width**2 + 2 * width * cfg.mlp_dim
        total.params += weights
        total.macs += tokens * weights + 2 * tokens**2 * width


_FORMULAS: dict[type, Callable[[Any, _Sum], None]] = {
    AnyNet: _anynet, EfficientNet: _efficientnet, ResNeXt: _resnext, VisionTransformer: _vision_transformer,
}  # fmt: skip
