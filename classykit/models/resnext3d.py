"""ResNets and ResNeXts for video: 3-D convolutions over (time, height, width).

R3D and R(2+1)D (Tran et al., 2018, arXiv 1711.11248), I3D-style inflated ResNets (Carreira and Zisserman, 2017,
arXiv 1705.07750; Wang et al., 2018, arXiv 1711.07971) and their pre-activated form (He et al., 2016, arXiv
1603.05027) are settings of one family.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from classykit.configs import Config, Depths, Flag, PositiveInt
from classykit.errors import ShapeError, quoted
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import register_model
from classykit.models.resnext3d_blocks import RESIDUALS, STEMS, BlockPlan, ResidualBlock3D
from classykit.models.state import oddity

log = logging.getLogger(__name__)

Channels = Annotated[int, Field(strict=True, gt=0, le=1024)]
Side = Annotated[int, Field(strict=True, gt=0, le=2**14)]  # of a clip, in pixels or frames
Small = Annotated[int, Field(strict=True, gt=0, lt=64)]  # a kernel or a stride


#: what is meant where a key is left out: in the first stage, and in those after it
_LEFT_OUT: dict[str, tuple[Any, Any]] = {
    "stage_temporal_kernel_basis": ([3], [3]), "temporal_conv_1x1": (False, False), "stage_temporal_stride": (1, 2),
    "stage_spatial_stride": (1, 2),
}  # fmt: skip


class ResNeXt3DConfig(Config):
    """Config of `ResNeXt3D`. What is given for each stage has as many entries as ``num_blocks``."""

    input_planes: Channels = Field(description="channels of the input, 3 for RGB")
    clip_crop_size: Side = Field(description="side of a clip's frames, px")
    skip_transformation_type: Literal["postactivated_shortcut", "preactivated_shortcut"] = Field(
        description="shortcut where sizes change: convolution and BatchNorm, or BatchNorm, ReLU and convolution"
    )
    residual_transformation_type: Literal[
        "basic_transformation", "basic_r2plus1d_transformation",
        "postactivated_bottleneck_transformation", "preactivated_bottleneck_transformation",
    ] = Field(description="residual branch: two 3×3×3, two (2+1)D, or a bottleneck")  # fmt: skip
    frames_per_clip: Side = Field(description="frames of a clip")
    num_blocks: Depths = Field(description="residual blocks in each stage, e.g. [2, 2, 2, 2]")
    input_key: str | None = Field(None, description="take {input_key: clip} instead of a clip")
    stem_name: Literal["resnext3d_stem", "r2plus1d_stem"] = Field(
        "resnext3d_stem", description="one convolution, or 1×3×3 to 45 channels and 3×1×1"
    )
    stem_planes: PositiveInt = Field(64, description="channels of the stem")
    stem_temporal_kernel: Small = Field(3, description="frames that resnext3d_stem's convolution sees")
    stem_spatial_kernel: Small = Field(7, description="side of resnext3d_stem's convolution")
    stem_maxpool: Flag = Field(False, description="halve the resolution once more in the stem")
    stage_planes: PositiveInt = Field(256, description="channels of the first stage; each stage doubles them")
    stage_temporal_kernel_basis: list[Annotated[list[Small], Field(min_length=1)]] | None = Field(
        None,
        description="for each stage the temporal kernels of its bottlenecks, repeated: [3, 1] alternates; "
        "left out: [3] in every stage. Basic blocks have 3",
    )
    temporal_conv_1x1: list[Flag] | None = Field(
        None,
        description="for each stage, whether a bottleneck's first convolution sees time, or its second; "
        "left out: the second",
    )
    stage_temporal_stride: list[Small] | None = Field(
        None, description="for each stage, the stride in time; left out: 1, then 2"
    )
    stage_spatial_stride: list[Small] | None = Field(
        None, description="for each stage, the stride in space; left out: 1, then 2"
    )
    num_groups: PositiveInt = Field(1, description="groups of the convolutions, of a bottleneck's second one")
    width_per_group: PositiveInt = Field(64, description="channels a group in the first stage's bottlenecks")
    zero_init_residual_transform: Flag = Field(False, description="start each residual branch at zero")

    def for_each_stage(self, key: str, first: Any, later: Any) -> list[Any]:
        """The values of ``key``, with its default filled in."""
        given = getattr(self, key)
        return [first, *[later] * (len(self.num_blocks) - 1)] if given is None else given

    def completed(self) -> dict[str, Any]:
        stages = {key: self.for_each_stage(key, *values) for key, values in _LEFT_OUT.items()}
        return super().completed() | stages

    @property
    def follows(self) -> dict[str, Any]:
        return {"channels": [self.stage_planes * 2**s for s in range(len(self.num_blocks))],
                "depths": list(self.num_blocks)}  # fmt: skip

    def plans(self) -> list[list[BlockPlan]]:
        """The sizes of every block, by stage."""
        kernels, conv_1x1, temporal, spatial = (self.for_each_stage(key, *_LEFT_OUT[key]) for key in _LEFT_OUT)
        stages, in_planes = [], self.stem_planes
        for s, depth in enumerate(self.num_blocks):
            planes, stage = self.stage_planes * 2**s, []
            for i in range(depth):
                stage.append(
                    BlockPlan(
                        in_planes=in_planes,
                        planes=planes,
                        inner=self.num_groups * self.width_per_group * 2**s,
                        groups=self.num_groups,
                        temporal_kernel=kernels[s][i % len(kernels[s])],
                        temporal_conv_1x1=conv_1x1[s],
                        stride=(temporal[s], spatial[s]) if i == 0 else (1, 1),
                        first=s == i == 0,
                    )
                )
                in_planes = planes
            stages.append(stage)
        return stages

    @model_validator(mode="after")
    def _fits(self) -> ResNeXt3DConfig:
        stages = len(self.num_blocks)
        for key in _LEFT_OUT:
            given = getattr(self, key)
            if given is not None and len(given) != stages:
                raise ValueError(
                    f"{key} = {given} has {len(given)} entries, num_blocks = {self.num_blocks} has {stages}: "
                    f"give one for each stage, or leave {key} out"
                )
        kernels = {kernel for basis in self.stage_temporal_kernel_basis or () for kernel in basis}
        if "bottleneck" not in self.residual_transformation_type and kernels - {3}:
            raise ValueError(
                f"stage_temporal_kernel_basis = {self.stage_temporal_kernel_basis} has no effect: the blocks of "
                f"{self.residual_transformation_type} have temporal kernels of 3; leave it out, or choose a bottleneck"
            )
        for plan in (plan for stage in self.plans() for plan in stage):
            if "bottleneck" in self.residual_transformation_type and plan.temporal_kernel % 2 == 0:
                raise ValueError(
                    f"stage_temporal_kernel_basis = {self.stage_temporal_kernel_basis} has an even kernel, "
                    f"{plan.temporal_kernel}, which changes the number of frames, so that the shortcut does not fit: "
                    f"use odd ones"
                )
            for channels in RESIDUALS[self.residual_transformation_type].grouped(plan):
                if channels % self.num_groups:
                    raise ValueError(
                        f"num_groups = {self.num_groups} does not divide the {channels} channels that "
                        f"{self.residual_transformation_type} has with stem_planes = {self.stem_planes} and "
                        f"stage_planes = {self.stage_planes}: use a divisor, or a bottleneck, whose width is "
                        f"num_groups × width_per_group"
                    )
        return self


# torchvision's r3d_18: same keys but for their names, same outputs
_R3D_18 = dict(
    input_planes=3, clip_crop_size=112, frames_per_clip=16, num_blocks=[2, 2, 2, 2], stem_planes=64, stage_planes=64,
    skip_transformation_type="postactivated_shortcut", residual_transformation_type="basic_transformation",
)  # fmt: skip
# The (2+1)D network of 18 layers as this family has it, with as many weights as the R3D. It is not torchvision's
# r2plus1d_18, which has 1×7×7 in its stem, and fewer channels inside the first block of each stage but the first.
_R2PLUS1D_18 = {
    **_R3D_18, "stem_name": "r2plus1d_stem", "residual_transformation_type": "basic_r2plus1d_transformation",
}  # fmt: skip
# The I3D baseline of arXiv 1711.07971 (section 4) for 8 frames: a ResNet-50 whose first convolution is inflated to
# 5×7×7 and in every other block the first 1×1 to 3×1×1. As in ClassyVision's kinetics400/postactivated_i3d50 no
# stage shortens time; the paper halves it after the first stage with a max pooling that this family lacks:
# stage_temporal_stride=[1, 2, 1, 1] comes nearest.
_I3D_R50 = dict(
    input_planes=3, clip_crop_size=224, frames_per_clip=8, num_blocks=[3, 4, 6, 3],
    skip_transformation_type="postactivated_shortcut",
    residual_transformation_type="postactivated_bottleneck_transformation",
    stem_temporal_kernel=5, stem_maxpool=True, stage_temporal_kernel_basis=[[3], [3, 1], [3, 1], [1, 3]],
    temporal_conv_1x1=[True] * 4, stage_temporal_stride=[1] * 4, zero_init_residual_transform=True,
)  # fmt: skip


@register_model("resnext3d_r2plus1d_18", **_R2PLUS1D_18)
@register_model("i3d_r50", **_I3D_R50)
@register_model("r3d_18", **_R3D_18)
@register_model("resnext3d")
class ResNeXt3D(ClassyModel):
    """A stem and stages of residual blocks over time and space.

    Takes clips (N, C, T, H, W) of ``input_planes`` channels, or pictures (N, C, H, W) as clips of one frame; with
    ``input_key`` also ``{input_key: clip}``. Gives the last map (N, C, T', H', W'). Any number of frames and any
    resolution will do; ``frames_per_clip`` and ``clip_crop_size`` say what it is meant for. Its keys are those of
    `ResNeXt3DConfig`. Blocks: ``stem-path0``, then ``pathway0-stage<stage>-block<index>``, stages counted from 1; with
    pre-activated residuals a last BatchNorm and ReLU, ``...-bn`` and ``...-relu``.

    >>> from classykit.models import build_model
    >>> build_model("r3d_18", num_blocks=[1, 1], stem_planes=8, stage_planes=8)(torch.zeros(1, 3, 4, 32, 32)).shape
    torch.Size([1, 16, 2, 8, 8])
    """

    Config = ResNeXt3DConfig
    channels_first = True
    short_names = (
        ("stem-path0", "stem"),
        (r"pathway0-stage(\d+)-block(\d+)", r"\1-\2"),
        (r"pathway0-stage\d+-block\d+-(bn|relu)", r"\1"),
    )

    def __init__(self, /, **config: Any):
        cfg = self._read(config)
        self.input_key, self.input_planes = cfg.input_key, cfg.input_planes
        self.clip_crop_size, self.frames_per_clip = cfg.clip_crop_size, cfg.frames_per_clip
        stem = STEMS[cfg.stem_name](
            cfg.input_planes, cfg.stem_planes, (cfg.stem_temporal_kernel, cfg.stem_spatial_kernel), cfg.stem_maxpool
        )
        self.stem = _named(stem=_named(**{"stem-path0": stem}))
        stages = []
        for s, plans in enumerate(cfg.plans()):
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for i, plan in enumerate(plans):
                blocks[f"pathway0-stage{s + 1}-block{i}"] = ResidualBlock3D(
                    plan, cfg.skip_transformation_type, cfg.residual_transformation_type
                )
            stages.append(_named(pathway0=nn.Sequential(blocks)))
        if cfg.residual_transformation_type == "preactivated_bottleneck_transformation":
            last = next(reversed(blocks))  # what the last block adds up has not been normalised
            norm, relu = nn.BatchNorm3d(plan.planes), nn.ReLU(inplace=True)
            norm.block_type, relu.block_type = "final BatchNorm", "final ReLU"
            stages[-1].pathway0.add_module(f"{last}-bn", norm)
            stages[-1].pathway0.add_module(f"{last}-relu", relu)
        self.stages = nn.Sequential(*stages)
        self._init_weights(cfg.zero_init_residual_transform)

    def _init_weights(self, zero_residuals: bool) -> None:
        blocks = [m for m in self.modules() if isinstance(m, ResidualBlock3D)]
        zero = [block.residual.last_op for block in blocks] if zero_residuals else []
        for m in self.modules():
            if isinstance(m, nn.Conv3d) and m not in zero:
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        for m in zero:
            nn.init.zeros_(m.weight)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.input_planes, self.frames_per_clip, self.clip_crop_size, self.clip_crop_size)

    def example_input(self, batch_size: int = 1, device: str | torch.device = "cpu") -> Any:
        clip = super().example_input(batch_size, device)
        return clip if self.input_key is None else {self.input_key: clip}

    def block_paths(self) -> dict[str, str]:
        paths = {"stem-path0": "stem.stem.stem-path0"}
        for stage, module in self.stages.named_children():
            paths |= {name: f"stages.{stage}.pathway0.{name}" for name, _ in module.pathway0.named_children()}
        return paths

    def forward(self, x: torch.Tensor | Mapping[str, torch.Tensor]) -> torch.Tensor:
        x = self._clip(x)  # (N, C, T, H, W)
        x = self.stem(x)  # (N, stem_planes, T, H/2, W/2), or H/4 with pooling
        return self.stages(x)

    def _clip(self, x: Any) -> torch.Tensor:
        """The clip in what ``forward`` was given."""
        takes = f"clips (N, {self.input_planes}, T, H, W) or pictures (N, {self.input_planes}, H, W)"
        if isinstance(x, Mapping):
            if self.input_key is None:
                raise ShapeError(f"This model takes {takes}, not a dict: build it with input_key={quoted(_first(x))}.")
            if self.input_key not in x:
                raise ShapeError(f"The input has no {quoted(self.input_key)}, this model's input_key, but {list(x)}.")
            x = x[self.input_key]
        if not isinstance(x, torch.Tensor):
            raise ShapeError(f"This model takes {takes}, it was given a {type(x).__name__}.")
        clip = x.unsqueeze(2) if x.ndim == 4 else x
        # while tracing, sizes are tensors; the eager call before it has checked
        if clip.ndim != 5 or not (torch.jit.is_tracing() or clip.shape[1] == self.input_planes):
            raise ShapeError(f"This model takes {takes}, it was given a tensor of shape {tuple(x.shape)}.")
        return clip

    def convert_trunk_state(self, trunk: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        """Inflate kernels of one frame, such as an image model's, to t frames: repeated, and divided by t.

        A clip of t equal frames then gives what the picture gave (arXiv 1705.07750).
        """
        inflated = {}
        for key, own in self.state_dict().items():
            given = trunk.get(key)
            if oddity(given) or not given.ndim == own.ndim == 5 or given.shape == own.shape:
                continue
            frames = own.shape[2]
            if given.shape == (*own.shape[:2], 1, *own.shape[3:]):
                inflated[key] = given.repeat(1, 1, frames, 1, 1) / frames
                log.info("%s inflated from 1 to %d frames", key, frames)
        return {**trunk, **inflated}


def _named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _first(x: Mapping[str, Any]) -> str:
    return next((key for key, value in x.items() if isinstance(value, torch.Tensor)), "video")
