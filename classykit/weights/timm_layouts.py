"""timm's models: how their keys map onto ours, and which settings go with them. Its ResNet and DenseNet have
torchvision's keys and are kept there."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from classykit.errors import WeightsError
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State, widths_differ

_REGNET_PARTS = {
    "conv1.conv": "f.a.0", "conv1.bn": "f.a.1", "conv2.conv": "f.b.0", "conv2.bn": "f.b.1", "conv3.conv": "f.c",
    "conv3.bn": "f.final_bn", "se.fc1": "f.se.excitation.0", "se.fc2": "f.se.excitation.2", "downsample.conv": "proj",
    "downsample.bn": "bn",
}  # fmt: skip

REGNET: list[Rule] = [
    (r"stem\.conv\.", "stem.stem.0."),
    (r"stem\.bn\.", "stem.stem.1."),
    (
        rf"s(\d)\.b(\d+)\.({'|'.join(map(re.escape, _REGNET_PARTS))})\.",
        lambda m: f"trunk_output.block{m[1]}.block{m[1]}-{int(m[2]) - 1}.{_REGNET_PARTS[m[3]]}.",
    ),
    (r"final_conv\.(conv|bn)\.", r"head.\1."),
    (r"head\.fc\.", "head.fc."),
]


def _regnet_head(head_state: State) -> dict[str, Any]:
    planes = head_state.get("conv.weight")
    return {} if planes is None else {"conv_planes": planes.shape[0], "activation": "silu"}


def _bare_activation(state: State) -> str:
    linear = not any(".downsample." in key for key in state)
    if not linear or any(key.startswith("final_conv.") for key in state):
        return ""
    return (
        "between its last block and the pooling is a bare SiLU, and a fully_connected head has its activation only "
        "behind a convolution, as timm's regnetz_040_h has it"
    )


def _regnet_settings(source: nn.Module) -> dict[str, Any]:
    norm = source.stem.bn
    return {
        "strides": [stage.b1.conv2.conv.stride[0] for stage in (source.s1, source.s2, source.s3, source.s4)],
        "activation": "silu" if any(isinstance(m, nn.SiLU) for m in source.stem.modules()) else "relu",
        "bn_epsilon": norm.eps,
        "bn_momentum": norm.momentum,
    }


_EXPANDING = {
    "conv_pw": "expand_conv", "bn1": "bn0", "conv_dw": "depthwise_conv", "bn2": "bn1", "conv_pwl": "project_conv",
    "bn3": "bn2", "se.conv_reduce": "se_reduce", "se.conv_expand": "se_expand",
}  # fmt: skip
_FIRST = {
    "conv_dw": "depthwise_conv", "bn1": "bn1", "conv_pw": "project_conv", "bn2": "bn2", "se.conv_reduce": "se_reduce",
    "se.conv_expand": "se_expand",
}  # fmt: skip


def _parts(parts: dict[str, str]) -> str:
    return f"({'|'.join(map(re.escape, parts))})"


EFFICIENTNET: list[Rule] = [
    (r"conv_stem\.", "conv_stem."),
    (r"bn1\.", "bn0."),
    (r"conv_head\.", "conv_head."),
    (r"bn2\.", "bn1."),
    (rf"blocks\.(0)\.(\d+)\.{_parts(_FIRST)}\.", lambda m: f"blocks.block0-{m[2]}.{_FIRST[m[3]]}."),
    (rf"blocks\.([1-6])\.(\d+)\.{_parts(_EXPANDING)}\.", lambda m: f"blocks.block{m[1]}-{m[2]}.{_EXPANDING[m[3]]}."),
    (r"classifier\.", "fc."),
]


def _efficientnet_settings(source: nn.Module) -> dict[str, Any]:
    kinds = {type(module).__name__ for module in source.modules()}
    norm = source.bn1
    return {
        "padding": "same" if "Conv2dSame" in kinds else "symmetric",
        "activation": "relu6" if "ReLU6" in kinds else "silu",
        "bn_epsilon": norm.eps,
        "bn_momentum": norm.momentum,
    }


def _refuse_unseen_padding(name: str, state: State) -> dict[str, Any]:
    raise WeightsError(
        f"A file with the keys of timm's EfficientNet may be of timm's {name} (symmetric padding, epsilon 1e-5) or of "
        f"tf_{name} (TensorFlow's padding, epsilon 1e-3), and no weight shows which. With timm installed say which: "
        f'load_pretrained({name!r}, source=timm.create_model("tf_{name}", checkpoint_path=...)).'
    )


VIT: list[Rule] = [
    (r"cls_token$", "class_token"),
    (r"pos_embed$", "encoder.pos_embedding"),
    (r"patch_embed\.proj\.", "conv_proj."),
    (r"blocks\.(\d+)\.norm([12])\.", r"encoder.layers.layer_\1.ln_\2."),
    (r"blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.layer_\1.self_attention.in_proj_"),
    (r"blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.layer_\1.self_attention.out_proj."),
    (r"blocks\.(\d+)\.mlp\.fc([12])\.", r"encoder.layers.layer_\1.mlp.linear_\2."),
    (r"norm\.", "encoder.ln."),
    (r"head\.", "head.layers.head."),
]


def _refuse_unseen_pooling(name: str, state: State) -> dict[str, Any]:
    if "cls_token" in state:
        return {}
    raise WeightsError(
        "The file has no class token (cls_token), and how such a model of timm's pools its tokens cannot be seen in "
        "its weights. With timm installed give the model itself: load_pretrained(name, source=the_model)."
    )


LAYOUTS = [
    Layout(
        title="timm's RegNet",
        classes=("timm.models.regnet.RegNet",),
        families=("RegNet", "AnyNet"),
        sign=r"s1\.b1\.conv1\.",
        rules=lambda state: REGNET,
        classifier="head.fc",
        head_keys=_regnet_head,
        not_ours=((r"s\d\.b\d+\.norm\d\.", "its blocks normalise before they convolve"),),
        not_ours_state=_bare_activation,
        of_module_in_full=_regnet_settings,
        advice=widths_differ,
    ),
    Layout(
        title="timm's EfficientNet",
        classes=("timm.models.efficientnet.EfficientNet",),
        families=("EfficientNet",),
        sign=r"blocks\.0\.0\.(conv_dw|conv_pw|conv_exp|conv)\.",
        rules=lambda state: EFFICIENTNET,
        classifier="classifier",
        head=None,
        not_ours=((r"blocks\.\d+\.\d+\.conv(_exp)?\.", "it has blocks without a depthwise convolution (V2, EdgeTPU)"),),
        of_module=_efficientnet_settings,
        of_file=_refuse_unseen_padding,
    ),
    Layout(
        title="timm's VisionTransformer",
        classes=("timm.models.vision_transformer.VisionTransformer",),
        families=("VisionTransformer",),
        sign=r"blocks\.0\.attn\.qkv\.",
        rules=lambda state: VIT,
        classifier="head",
        head="vision_transformer_head",
        not_ours=(
            (r"reg_token$", "it has register tokens"),
            (r"dist_token$", "it has a distillation token"),
            (r"norm_pre\.", "it normalises before its first layer (CLIP)"),
            (r"fc_norm\.", "it normalises after pooling, ours before"),
            (r"attn_pool\.", "it pools by attention"),
            (r"blocks\.\d+\.ls[12]\.", "its layers scale their branches (LayerScale)"),
            (r"blocks\.\d+\.attn\.[qk]_norm\.", "its attention normalises queries and keys"),
            (r"patch_embed\.backbone\.", "its patches come from a convolutional network"),
        ),
        not_ours_parts={
            "ResPostBlock": "its layers normalise after attention and MLP, ours before",
            "ParallelThingsBlock": "its layers have branches side by side",
        },
        of_module_in_full=lambda source: {"num_heads": source.blocks[0].attn.num_heads},
        of_file=_refuse_unseen_pooling,
    ),
]
