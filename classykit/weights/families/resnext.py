"""ResNet and ResNeXt: torchvision's and timm's keys, what is published, and sizes read from weights."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from classykit.weights.family_weights import FamilyWeights, count_blocks, register_weights
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import torchvision_files

_RESIDUAL = {
    "bottleneck": {"conv1": "convolutional_block.0", "bn1": "convolutional_block.1", "conv2": "convolutional_block.3",
                   "bn2": "convolutional_block.4", "conv3": "convolutional_block.6", "bn3": "bn"},
    "basic": {"conv1": "convolutional_block.0", "bn1": "convolutional_block.1", "conv2": "convolutional_block.3",
              "bn2": "bn"},
}  # fmt: skip
_SE = {"se.fc1": "se.excitation.0", "se.fc2": "se.excitation.2"}


def resnet_rules(state: State) -> list[Rule]:
    """ResNet and ResNeXt of torchvision and timm, in timm also with squeeze-and-excitation."""
    kind = "bottleneck" if any(k.startswith("layer1.0.conv3.") for k in state) else "basic"
    parts = {**_RESIDUAL[kind], **_SE, "downsample": "downsample"}

    def residual(match: re.Match[str]) -> str:
        stage = int(match[1]) - 1
        return f"blocks.{stage}.block{stage}-{match[2]}.{parts[match[3]]}."

    return [
        (r"conv1\.", "initial_block._module.0."),
        (r"bn1\.", "initial_block._module.1."),
        (rf"layer(\d)\.(\d+)\.({'|'.join(map(re.escape, parts))})\.", residual),
        (r"fc\.", "head.fc."),
    ]


def _se_advice(name: str, model: nn.Module, state: State) -> str:
    """Of ResNets: why the inner channels of squeeze-and-excitation differ."""
    own = model.state_dict()
    if not any(".se." in k and k in own and own[k].shape != v.shape for k, v in state.items()):
        return ""
    return (
        " Its squeeze-and-excitation has other widths: timm rounds them to multiples of 8 (seresnet18 and seresnet34 "
        "have 8, 8, 16, 32), here they are the same share of every stage's channels."
    )


def _shown(state: State) -> dict[str, Any]:
    reduce = state.get("blocks.0.block0-0.se.excitation.0.weight")
    if reduce is None or reduce.ndim != 4:
        return {}
    ratio = reduce.shape[1] // max(1, reduce.shape[0])
    return {"use_se": True, **({} if ratio == 16 else {"se_reduction_ratio": ratio})}


def _sizes(state: State) -> dict[str, Any]:
    basic = "blocks.0.block0-0.convolutional_block.6.weight" not in state
    keys = {
        "num_blocks": count_blocks(state, r"blocks\.\d+\.block(\d+)-(\d+)\."),
        "init_planes": state["initial_block._module.0.weight"].shape[0],
        "basic_layer": basic,
    }
    if not basic:
        inner = state["blocks.0.block0-0.convolutional_block.3.weight"]  # (groups · width, width, 3, 3)
        keys["base_width_and_cardinality"] = (inner.shape[1], inner.shape[0] // inner.shape[1])
    return keys


_LAYOUT = Layout(
    title="the ResNet of torchvision and timm",
    classes=("torchvision.models.resnet.ResNet", "timm.models.resnet.ResNet"),
    families=("ResNeXt",),
    sign=r"layer1\.0\.conv1\.weight$",
    rules=resnet_rules,
    not_ours=(
        (r"conv1\.\d", "its stem is a row of 3×3 convolutions, ours one of 7×7"),
        (r"maxpool\.", "its stem has a convolution in place of pooling"),
        (r"layer\d\.\d+\.downsample\.2\.", "its shortcuts pool before their convolution (ResNet-D)"),
        (r"layer\d\.\d+\.(se|attn)\.(?!fc[12]\.)", "its blocks have another attention than squeeze-and-excitation"),
    ),
    not_ours_parts={
        "BlurPool2d": "it blurs where it halves the resolution (anti-aliasing), ours uses strides",
        "EvoNorm2dS0": "it normalises by EvoNorm, ours by BatchNorm",
        "GroupNorm": "it normalises by GroupNorm, ours by BatchNorm",
        "FrozenBatchNorm2d": "its BatchNorm is frozen, ours is not",
    },
    advice=_se_advice,
)

register_weights(
    FamilyWeights(
        family="ResNeXt",
        layouts=(_LAYOUT,),
        torchvision=torchvision_files(
        ("resnet18", "IMAGENET1K_V1", "resnet18-f37072fd"),
        ("resnet34", "IMAGENET1K_V1", "resnet34-b627a593"),
        ("resnet50", "IMAGENET1K_V2", "resnet50-11ad3fa6", 232, 224),
        ("resnet50", "IMAGENET1K_V1", "resnet50-0676ba61"),
        ("resnet101", "IMAGENET1K_V2", "resnet101-cd907fc2", 232, 224),
        ("resnet101", "IMAGENET1K_V1", "resnet101-63fe2227"),
        ("resnet152", "IMAGENET1K_V2", "resnet152-f82ba261", 232, 224),
        ("resnet152", "IMAGENET1K_V1", "resnet152-394f9c45"),
        ("resnext50_32x4d", "IMAGENET1K_V2", "resnext50_32x4d-1a0047aa", 232, 224),
        ("resnext50_32x4d", "IMAGENET1K_V1", "resnext50_32x4d-7cdf4587"),
        ),
        timm={
            name: name
            for name in (
                "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x4d",
            )
        },
        shown=_shown,
        sizes=_sizes,
        stem="initial_block._module.0.weight",
    )
)  # fmt: skip
