"""DenseNet: torchvision's and timm's keys, what is published, and sizes read from weights."""

from __future__ import annotations

import re
from typing import Any

from classykit.weights.family_weights import FamilyWeights, count_blocks, register_weights
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import torchvision_files


def _dense(match: re.Match[str]) -> str:
    stage = int(match[1]) - 1
    return f"features.block_{stage}.block{stage}-{int(match[2]) - 1}.{match[3]}-{match[4]}."


RULES: list[Rule] = [
    (r"features\.conv0\.", "initial_block.0."),
    (r"features\.norm0\.", "initial_block.1."),
    (r"features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)\.?([12])\.", _dense),  # old files write norm.1
    (
        r"features\.transition(\d+)\.(norm|conv)\.",
        lambda m: f"features.transition-{int(m[1]) - 1}.pool-{m[2]}.",
    ),
    (r"features\.norm5\.", "features.trunk_output.norm-final."),
    (r"classifier\.", "head.fc."),
]


def _sizes(state: State) -> dict[str, Any]:
    growth, inner = state["features.block_0.block0-0.conv-2.weight"].shape[:2]
    return {
        "num_blocks": count_blocks(state, r"features\.block_\d+\.block(\d+)-(\d+)\."),
        "init_planes": state["initial_block.0.weight"].shape[0],
        "growth_rate": growth,
        "expansion": inner // growth,
    }


_LAYOUT = Layout(
    title="the DenseNet of torchvision and timm",
    classes=("torchvision.models.densenet.DenseNet", "timm.models.densenet.DenseNet"),
    families=("DenseNet",),
    sign=r"features\.denseblock1\.",
    rules=lambda state: RULES,
    classifier="classifier",
    not_ours=((r"features\.(conv|norm)[12]\.", "its stem is a row of 3×3 convolutions, ours one of 7×7"),),
    not_ours_parts={"BlurPool2d": "it blurs where it halves the resolution (anti-aliasing), ours uses strides"},
)

register_weights(
    FamilyWeights(
        family="DenseNet",
        layouts=(_LAYOUT,),
        torchvision=torchvision_files(
            ("densenet121", "IMAGENET1K_V1", "densenet121-a639ec97"),
            ("densenet161", "IMAGENET1K_V1", "densenet161-8d451a50"),
            ("densenet169", "IMAGENET1K_V1", "densenet169-b2777c0a"),
            ("densenet201", "IMAGENET1K_V1", "densenet201-c1103571"),
        ),
        timm={name: name for name in ("densenet121", "densenet161", "densenet169", "densenet201")},
        sizes=_sizes,
        stem="initial_block.0.weight",
    )
)
