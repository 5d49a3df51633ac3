"""The parts of a `ResNeXt3D`: stems, shortcuts, residual branches, and the block that adds the two."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

R2PLUS1D_STEM_PLANES = 45  # between the stem's two convolutions; of Tran et al., for 3 input and 64 output channels


@dataclass(frozen=True)
class BlockPlan:
    """The sizes of one residual block; kernels and strides are (time, space)."""

    in_planes: int
    planes: int
    inner: int  # channels inside a bottleneck
    groups: int
    temporal_kernel: int  # of a bottleneck; basic blocks have 3
    temporal_conv_1x1: bool  # whether that is the kernel of its first convolution, not of its second
    stride: tuple[int, int]
    first: bool  # the first block of all: what it gets has just been activated

    @property
    def projects(self) -> bool:
        """Whether the shortcut needs a convolution."""
        return self.in_planes != self.planes or self.stride != (1, 1)

    @property
    def bottleneck_kernels(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Those of the three convolutions of a bottleneck."""
        t = self.temporal_kernel
        return ((t, 1), (1, 3), (1, 1)) if self.temporal_conv_1x1 else ((1, 1), (t, 3), (1, 1))


def middle_planes(in_planes: int, planes: int) -> int:
    """Channels between 1×3×3 and 3×1×1 for which the two have as many weights as one 3×3×3 (arXiv 1711.11248)."""
    return 27 * in_planes * planes // (9 * in_planes + 3 * planes)


def _conv(in_planes: int, planes: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1),
          groups: int = 1) -> nn.Conv3d:  # fmt: skip
    """A convolution over time and space, padded so that odd kernels keep the size at stride 1."""
    t, s = kernel
    return nn.Conv3d(
        in_planes, planes, (t, s, s), (stride[0], stride[1], stride[1]), (t // 2, s // 2, s // 2),
        groups=groups, bias=False,
    )  # fmt: skip


def _factorised(in_planes: int, mid: int, planes: int, stride: tuple[int, int], groups: int = 1) -> nn.Sequential:
    """(2+1)D: over space first, then over time."""
    return nn.Sequential(
        _conv(in_planes, mid, (1, 3), (1, stride[1]), groups),
        nn.BatchNorm3d(mid),
        nn.ReLU(inplace=True),
        _conv(mid, planes, (3, 1), (stride[0], 1), groups),
    )


def _kernel_text(kernel: tuple[int, int]) -> str:
    return f"{kernel[0]}×{kernel[1]}×{kernel[1]}"


def _groups_text(groups: int) -> str:
    return f", {groups} groups" if groups > 1 else ""


# ---- stems ----


class ResNeXt3DStem(nn.Sequential):
    """Convolution, BatchNorm, ReLU, and perhaps pooling; space is halved once or twice, time is kept."""

    def __init__(self, conv: nn.Module, planes: int, maxpool: bool, kernels: str):
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=conv, bn=nn.BatchNorm3d(planes), relu=nn.ReLU(inplace=True)
        )
        if maxpool:
            layers["pool_layer"] = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        super().__init__(layers)
        self.block_type = f"stem {kernels}" + (", max pool 1×3×3" if maxpool else "")


def resnext3d_stem(in_planes: int, planes: int, kernel: tuple[int, int], maxpool: bool) -> ResNeXt3DStem:
    """One convolution of ``kernel``."""
    return ResNeXt3DStem(_conv(in_planes, planes, kernel, (1, 2)), planes, maxpool, _kernel_text(kernel))


def r2plus1d_stem(in_planes: int, planes: int, kernel: tuple[int, int], maxpool: bool) -> ResNeXt3DStem:
    """1×3×3, then 3×1×1, whatever ``kernel`` says."""
    conv = _factorised(in_planes, R2PLUS1D_STEM_PLANES, planes, (1, 2))
    return ResNeXt3DStem(conv, planes, maxpool, f"1×3×3 to {R2PLUS1D_STEM_PLANES}, 3×1×1")


STEMS = {"resnext3d_stem": resnext3d_stem, "r2plus1d_stem": r2plus1d_stem}


# ---- shortcuts, where the input cannot be added as it is ----


class PostactivatedShortcut(nn.Sequential):
    """1×1×1 convolution and BatchNorm."""

    def __init__(self, plan: BlockPlan):
        super().__init__(
            OrderedDict(
                branch1=_conv(plan.in_planes, plan.planes, (1, 1), plan.stride),
                branch1_bn=nn.BatchNorm3d(plan.planes),
            )
        )


class PreactivatedShortcut(nn.Sequential):
    """BatchNorm, ReLU and 1×1×1 convolution; the first block of all has the convolution only."""

    def __init__(self, plan: BlockPlan):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if not plan.first:
            layers["branch1_bn"] = nn.BatchNorm3d(plan.in_planes)
            layers["branch1_relu"] = nn.ReLU(inplace=True)
        layers["branch1"] = _conv(plan.in_planes, plan.planes, (1, 1), plan.stride)
        super().__init__(layers)


SKIPS = {"postactivated_shortcut": PostactivatedShortcut, "preactivated_shortcut": PreactivatedShortcut}


# ---- residual branches ----


class BasicTransformation(nn.Sequential):
    """Two 3×3×3 convolutions."""

    def __init__(self, plan: BlockPlan):
        layers = nn.Sequential(
            self._convolution(plan.in_planes, plan.planes, plan.stride, plan.groups),
            nn.BatchNorm3d(plan.planes),
            nn.ReLU(inplace=True),
            self._convolution(plan.planes, plan.planes, (1, 1), plan.groups),
            nn.BatchNorm3d(plan.planes),
        )
        super().__init__(OrderedDict(transform=layers))

    @staticmethod
    def _convolution(in_planes: int, planes: int, stride: tuple[int, int], groups: int) -> nn.Module:
        return _conv(in_planes, planes, (3, 3), stride, groups)

    @staticmethod
    def grouped(plan: BlockPlan) -> tuple[int, ...]:
        """Numbers of channels that the groups must divide."""
        return plan.in_planes, plan.planes

    @staticmethod
    def describe(plan: BlockPlan) -> str:
        return "basic block 3×3×3, 3×3×3" + _groups_text(plan.groups)

    @property
    def last_op(self) -> nn.Module:
        """The operation whose weight is zero where the branch starts at zero."""
        return self.transform[-1]


class BasicR2Plus1DTransformation(BasicTransformation):
    """Two convolutions, each over space first, then over time (Tran et al., 2018, arXiv 1711.11248)."""

    @staticmethod
    def _convolution(in_planes: int, planes: int, stride: tuple[int, int], groups: int) -> nn.Module:
        return _factorised(in_planes, middle_planes(in_planes, planes), planes, stride, groups)

    @staticmethod
    def grouped(plan: BlockPlan) -> tuple[int, ...]:
        mids = middle_planes(plan.in_planes, plan.planes), middle_planes(plan.planes, plan.planes)
        return plan.in_planes, mids[0], plan.planes, mids[1]

    @staticmethod
    def describe(plan: BlockPlan) -> str:
        return "(2+1)D block 1×3×3, 3×1×1, twice" + _groups_text(plan.groups)


class PostactivatedBottleneck(nn.Sequential):
    """Convolution and BatchNorm three times: 1×1×1 down, 3×3 in space, 1×1×1 up; one of the first two sees time."""

    def __init__(self, plan: BlockPlan):
        a, b, c = _bottleneck_convs(plan)
        super().__init__(
            OrderedDict(
                branch2a=a, branch2a_bn=nn.BatchNorm3d(plan.inner), branch2a_relu=nn.ReLU(inplace=True),
                branch2b=b, branch2b_bn=nn.BatchNorm3d(plan.inner), branch2b_relu=nn.ReLU(inplace=True),
                branch2c=c, branch2c_bn=nn.BatchNorm3d(plan.planes),
            )
        )  # fmt: skip

    @staticmethod
    def grouped(plan: BlockPlan) -> tuple[int, ...]:
        return ()  # the inner width is a multiple of the groups

    @staticmethod
    def describe(plan: BlockPlan) -> str:
        kernels = ", ".join(map(_kernel_text, plan.bottleneck_kernels))
        return f"bottleneck to {plan.inner}: {kernels}" + _groups_text(plan.groups)

    @property
    def last_op(self) -> nn.Module:
        return self.branch2c_bn


class PreactivatedBottleneck(PostactivatedBottleneck):
    """The same with BatchNorm and ReLU before each convolution (He et al., 2016, arXiv 1603.05027)."""

    def __init__(self, plan: BlockPlan):
        a, b, c = _bottleneck_convs(plan)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if not plan.first:
            layers["branch2a_bn"] = nn.BatchNorm3d(plan.in_planes)
            layers["branch2a_relu"] = nn.ReLU(inplace=True)
        layers["branch2a"] = a
        for name, conv in (("branch2b", b), ("branch2c", c)):
            layers[f"{name}_bn"] = nn.BatchNorm3d(plan.inner)
            layers[f"{name}_relu"] = nn.ReLU(inplace=True)
            layers[name] = conv
        nn.Sequential.__init__(self, layers)

    @staticmethod
    def describe(plan: BlockPlan) -> str:
        return "pre-activated " + PostactivatedBottleneck.describe(plan)

    @property
    def last_op(self) -> nn.Module:
        return self.branch2c


def _bottleneck_convs(plan: BlockPlan) -> tuple[nn.Conv3d, nn.Conv3d, nn.Conv3d]:
    down, middle, up = plan.bottleneck_kernels
    return (
        _conv(plan.in_planes, plan.inner, down),
        _conv(plan.inner, plan.inner, middle, plan.stride, plan.groups),
        _conv(plan.inner, plan.planes, up),
    )


RESIDUALS = {
    "basic_transformation": BasicTransformation,
    "basic_r2plus1d_transformation": BasicR2Plus1DTransformation,
    "postactivated_bottleneck_transformation": PostactivatedBottleneck,
    "preactivated_bottleneck_transformation": PreactivatedBottleneck,
}


class ResidualBlock3D(nn.Module):
    """``relu(residual(x) + skip(x))``, with or without pre-activation."""

    def __init__(self, plan: BlockPlan, skip: str, residual: str):
        super().__init__()
        self.skip = SKIPS[skip](plan) if plan.projects else None
        self.residual = RESIDUALS[residual](plan)
        self.relu = nn.ReLU(inplace=True)
        self.block_type = RESIDUALS[residual].describe(plan)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.skip is None else self.skip(x)  # (N, planes, T/stride, H/stride, W/stride)
        out = self.residual(x)
        out += shortcut
        return self.relu(out)
