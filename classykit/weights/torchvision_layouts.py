"""torchvision's models: how their keys map onto ours, and which settings go with them."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from classykit.models.factory import MODELS
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State, widths_differ

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


def _dense(match: re.Match[str]) -> str:
    stage = int(match[1]) - 1
    return f"features.block_{stage}.block{stage}-{int(match[2]) - 1}.{match[3]}-{match[4]}."


DENSENET: list[Rule] = [
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

REGNET: list[Rule] = [
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


def _regnet_settings(source: nn.Module) -> dict[str, Any]:
    norm = source.stem[1]
    return {
        "strides": [next(iter(stage)).f.b[0].stride[0] for stage in source.trunk_output],
        "activation": "silu" if isinstance(source.stem[2], nn.SiLU) else "relu",
        "bn_epsilon": norm.eps,
        "bn_momentum": norm.momentum,
    }


_MBCONV_SE = {"fc1": "se_reduce", "fc2": "se_expand"}


def _block(match: re.Match[str]) -> str:
    return f"blocks.block{int(match[1]) - 1}-{match[2]}."


EFFICIENTNET: list[Rule] = [
    (r"features\.0\.0\.", "conv_stem."),
    (r"features\.0\.1\.", "bn0."),
    (r"features\.8\.0\.", "conv_head."),
    (r"features\.8\.1\.", "bn1."),
    # the first stage does not expand: its parts are counted from the depthwise convolution
    (r"features\.(1)\.(\d+)\.block\.0\.0\.", lambda m: _block(m) + "depthwise_conv."),
    (r"features\.(1)\.(\d+)\.block\.0\.1\.", lambda m: _block(m) + "bn1."),
    (r"features\.(1)\.(\d+)\.block\.1\.(fc1|fc2)\.", lambda m: _block(m) + _MBCONV_SE[m[3]] + "."),
    (r"features\.(1)\.(\d+)\.block\.2\.0\.", lambda m: _block(m) + "project_conv."),
    (r"features\.(1)\.(\d+)\.block\.2\.1\.", lambda m: _block(m) + "bn2."),
    (r"features\.(\d)\.(\d+)\.block\.0\.0\.", lambda m: _block(m) + "expand_conv."),
    (r"features\.(\d)\.(\d+)\.block\.0\.1\.", lambda m: _block(m) + "bn0."),
    (r"features\.(\d)\.(\d+)\.block\.1\.0\.", lambda m: _block(m) + "depthwise_conv."),
    (r"features\.(\d)\.(\d+)\.block\.1\.1\.", lambda m: _block(m) + "bn1."),
    (r"features\.(\d)\.(\d+)\.block\.2\.(fc1|fc2)\.", lambda m: _block(m) + _MBCONV_SE[m[3]] + "."),
    (r"features\.(\d)\.(\d+)\.block\.3\.0\.", lambda m: _block(m) + "project_conv."),
    (r"features\.(\d)\.(\d+)\.block\.3\.1\.", lambda m: _block(m) + "bn2."),
    (r"classifier\.1\.", "fc."),
]


def _efficientnet_settings(source: nn.Module) -> dict[str, Any]:
    norm = source.features[0][1]
    return {"bn_epsilon": norm.eps, "bn_momentum": norm.momentum}


def _efficientnet_of_file(name: str, state: State) -> dict[str, Any]:
    # torchvision's B0-B4 keep torch's epsilon, its B5-B7 have TensorFlow's; no weight shows which
    if MODELS[name].defaults.get("model_name") in ("B5", "B6", "B7"):
        return {"bn_epsilon": 1e-3, "bn_momentum": 0.01}
    return {"bn_epsilon": 1e-5, "bn_momentum": 0.1}


VIT: list[Rule] = [
    (r"class_token$", "class_token"),
    (r"conv_proj\.", "conv_proj."),
    (r"encoder\.pos_embedding$", "encoder.pos_embedding"),
    (r"encoder\.ln\.", "encoder.ln."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.0\.", r"encoder.layers.layer_\1.mlp.linear_1."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.3\.", r"encoder.layers.layer_\1.mlp.linear_2."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"encoder.layers.layer_\1."),  # old files write mlp.linear_1 already
    (r"heads\.(head|pre_logits)\.", r"head.layers.\1."),
]


def _vit_head(head_state: State) -> dict[str, Any]:
    hidden = head_state.get("layers.pre_logits.weight")
    return {} if hidden is None else {"hidden_dim": hidden.shape[0]}


_RESIDUAL_3D = {"conv1.0": "residual.transform.0", "conv1.1": "residual.transform.1", "conv2.0": "residual.transform.3",
                "conv2.1": "residual.transform.4", "downsample.0": "skip.branch1",
                "downsample.1": "skip.branch1_bn"}  # fmt: skip

R3D: list[Rule] = [
    (r"stem\.0\.", "stem.stem.stem-path0.conv."),
    (r"stem\.1\.", "stem.stem.stem-path0.bn."),
    (
        r"layer(\d)\.(\d+)\.((?:conv1|conv2|downsample)\.[01])\.",
        lambda m: f"stages.{int(m[1]) - 1}.pathway0.pathway0-stage{m[1]}-block{m[2]}.{_RESIDUAL_3D[m[3]]}.",
    ),
    (r"fc\.", "head.head_fcl.projection."),
]


def _mixed_convolutions(state: State) -> str:
    """torchvision's MC3 has the keys of its R3D, and other kernels."""
    second = state.get("layer2.0.conv1.0.weight")
    if second is None or second.ndim != 5 or second.shape[2] != 1:
        return ""
    return (
        "most of its convolutions are 1×3×3 and keep the number of frames, and all of a resnext3d's basic blocks are "
        "3×3×3: it is torchvision's mc3_18"
    )


LAYOUTS = [
    Layout(
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
        advice=lambda name, model, state: _se_advice(model, state),
    ),
    Layout(
        title="the DenseNet of torchvision and timm",
        classes=("torchvision.models.densenet.DenseNet", "timm.models.densenet.DenseNet"),
        families=("DenseNet",),
        sign=r"features\.denseblock1\.",
        rules=lambda state: DENSENET,
        classifier="classifier",
        not_ours=((r"features\.(conv|norm)[12]\.", "its stem is a row of 3×3 convolutions, ours one of 7×7"),),
        not_ours_parts={"BlurPool2d": "it blurs where it halves the resolution (anti-aliasing), ours uses strides"},
    ),
    Layout(
        title="torchvision's EfficientNet",
        classes=("torchvision.models.efficientnet.EfficientNet",),
        families=("EfficientNet",),
        sign=r"features\.1\.0\.block\.0\.0\.weight$",
        rules=lambda state: EFFICIENTNET,
        classifier="classifier.1",
        head=None,
        of_module=_efficientnet_settings,
        of_file=_efficientnet_of_file,
    ),
    Layout(
        title="torchvision's VisionTransformer",
        classes=("torchvision.models.vision_transformer.VisionTransformer",),
        families=("VisionTransformer",),
        sign=r"encoder\.layers\.encoder_layer_0\.",
        rules=lambda state: VIT,
        classifier="heads.head",
        head="vision_transformer_head",
        head_keys=_vit_head,
        of_module_in_full=lambda source: {"num_heads": source.encoder.layers[0].num_heads},
    ),
    Layout(
        title="torchvision's RegNet",
        classes=("torchvision.models.regnet.RegNet",),
        families=("RegNet", "AnyNet"),
        sign=r"trunk_output\.block1\.block1-0\.f\.c\.0\.",
        rules=lambda state: REGNET,
        of_module_in_full=_regnet_settings,
        advice=widths_differ,
    ),
    Layout(
        title="torchvision's VideoResNet",
        classes=("torchvision.models.video.resnet.VideoResNet",),
        families=("ResNeXt3D",),
        sign=r"layer1\.0\.conv1\.0\.",
        rules=lambda state: R3D,
        head="fully_convolutional_linear",
        head_keys=lambda head_state: {"activation_func": "identity"},  # logits in eval mode, too
        not_ours=(
            (
                r"layer1\.0\.conv1\.0\.3\.",
                "its stem is 1×7×7, and the second convolution of the first block of stages 2 to 4 has fewer channels "
                "inside (230, 460 and 921) than resnext3d's (288, 576 and 1152): it is torchvision's r2plus1d_18",
            ),
        ),
        not_ours_state=_mixed_convolutions,
        adopt="ClassyModel.from_model(source, input_shape=(3, 16, 112, 112))",
    ),
]


def _se_advice(model: nn.Module, state: State) -> str:
    """Of ResNets: why the inner channels of squeeze-and-excitation differ."""
    own = model.state_dict()
    if not any(".se." in k and k in own and own[k].shape != v.shape for k, v in state.items()):
        return ""
    return (
        " Its squeeze-and-excitation has other widths: timm rounds them to multiples of 8 (seresnet18 and seresnet34 "
        "have 8, 8, 16, 32), here they are the same share of every stage's channels."
    )
