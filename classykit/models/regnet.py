"""RegNet (Radosavovic et al., 2020, arXiv 2003.13678), and RegNetZ (Dollár et al., 2021, arXiv 2103.06877)."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import numpy as np
from pydantic import Field

from classykit.configs import Depth, PositiveInt
from classykit.models.anynet import AnyNet, AnyNetOptions, Multiplier, StageSpec, least_share
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model

DIVISOR = 8  # widths are multiples of this
STRIDE = 2  # of every stage
MAX_WIDTH = 2**24

# the paper's parameters: depth, w_0, w_a, w_m, group_width
X = {
    "400mf": (22, 24, 24.48, 2.54, 16),
    "800mf": (16, 56, 35.73, 2.28, 16),
    "1.6gf": (18, 80, 34.01, 2.25, 24),
    "3.2gf": (25, 88, 26.31, 2.25, 48),
    "8gf": (23, 80, 49.56, 2.88, 120),
    "16gf": (22, 216, 55.59, 2.1, 128),
    "32gf": (23, 320, 69.86, 2.0, 168),
}
Y = {
    "400mf": (16, 48, 27.89, 2.09, 8),
    "800mf": (14, 56, 38.84, 2.4, 16),
    "1.6gf": (27, 48, 20.71, 2.65, 24),
    "3.2gf": (21, 80, 42.63, 2.66, 24),
    "8gf": (17, 192, 76.82, 2.19, 56),
    "16gf": (18, 200, 106.23, 2.48, 112),
    "32gf": (20, 232, 115.89, 2.53, 232),
    # larger ones, of ClassyVision
    "64gf": (20, 352, 147.48, 2.4, 328),
    "128gf": (27, 456, 160.83, 2.52, 264),
    "256gf": (27, 640, 124.47, 2.04, 848),
}
Z = {"500mf": (21, 16, 10.7, 2.51, 4), "4gf": (28, 48, 14.5, 2.226, 8)}


class RegNetConfig(AnyNetOptions):
    """Config of `RegNet`: five numbers from which the stages follow, and the keys that it shares with AnyNet."""

    depth: Depth = Field(description="blocks in all")
    w_0: Annotated[int, Field(strict=True, gt=0, le=2**24, multiple_of=DIVISOR)] = Field(
        description=f"width of the first block, a multiple of {DIVISOR}"
    )
    w_a: Annotated[float, Field(strict=True, ge=0, le=2**24)] = Field(description="what each block adds to the width")
    w_m: Annotated[float, Field(strict=True, gt=1, le=1000)] = Field(
        description="widths are rounded to w_0 times a power of this, so that stages form"
    )
    group_width: PositiveInt = Field(description="channels in a group of the 3×3 convolutions")
    bottleneck_multiplier: Multiplier = Field(1.0, description="a bottleneck's inner channels, in widths")

    @property
    def block_widths(self) -> list[int]:
        """Each block's width before it is made to fit the groups: section 3.3 of the paper."""
        u = self.w_0 + self.w_a * np.arange(self.depth)  # equation 2: a straight line
        s = np.log(u / self.w_0) / np.log(self.w_m)  # equation 3, solved for the exponent
        w = self.w_0 * np.power(self.w_m, np.rint(s))  # equation 4: whole exponents make steps of it
        return (np.rint(w / DIVISOR) * DIVISOR).astype(int).tolist()

    @property
    def stages(self) -> list[StageSpec]:
        multiplier, stages = self.bottleneck_multiplier, []
        for wanted, blocks in groupby(self.block_widths):
            if wanted > MAX_WIDTH:
                raise ValueError(f"w_a = {self.w_a} makes a stage {wanted:,} channels wide; at most is {MAX_WIDTH:,}")
            inner = int(wanted * multiplier)
            if inner < 1:
                raise ValueError(
                    f"bottleneck_multiplier = {multiplier:g} leaves no channel of the width {wanted}; "
                    f"use {least_share(wanted):g} or more"
                )
            group_width = min(self.group_width, inner)
            inner = round(inner / group_width) * group_width
            stages.append(StageSpec(len(list(blocks)), int(inner / multiplier), group_width, multiplier, STRIDE))
        return stages

    def remedy(self, stage: StageSpec) -> str:
        return (
            "choose a whole bottleneck_multiplier and a group_width that is a multiple of it, or build an anynet, "
            "which takes widths of your own"
        )


def _register_named(cls: type[ClassyModel]) -> type[ClassyModel]:
    z_blocks = {"block_type": "res_bottleneck_linear_block", "activation": "silu", "bottleneck_multiplier": 4.0}
    for letter, sizes, also in (("x", X, {"use_se": False}), ("y", Y, {}), ("z", Z, z_blocks)):
        for size, (depth, w_0, w_a, w_m, group_width) in sizes.items():
            register_model(
                f"regnet_{letter}_{size}", depth=depth, w_0=w_0, w_a=w_a, w_m=w_m, group_width=group_width, **also
            )(cls)
    return cls


@_register_named
@register_model("regnet")
class RegNet(AnyNet):
    """An AnyNet whose widths and depths follow from a straight line, rounded to steps.

    Takes pictures (N, 3, H, W), gives the last map (N, C, H/32, W/32) with four stages. Its keys are those of
    `RegNetConfig`. X has bottlenecks in groups, Y squeeze-and-excitation besides, Z inverted linear
    bottlenecks with SiLU. Blocks: ``stem``, then ``block<stage>-<index>``, stages from 1.

    >>> RegNetConfig(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=8).stages[-1][:3]  # regnet_y_400mf
    (6, 440, 8)
    >>> import torch
    >>> RegNet(depth=4, w_0=8, w_a=8, w_m=2.0, group_width=4)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 32, 4, 4])
    """

    Config = RegNetConfig
