"""VisionTransformer: torchvision's and timm's keys, what is published, and sizes read from weights."""

from __future__ import annotations

import math
from typing import Any

import torch

from classykit.errors import WeightsError
from classykit.images import Preprocessing
from classykit.weights.family_weights import FamilyWeights, register_weights
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import PackagedWeights, torchvision_files

OF_TORCHVISION: list[Rule] = [
    (r"class_token$", "class_token"),
    (r"conv_proj\.", "conv_proj."),
    (r"encoder\.pos_embedding$", "encoder.pos_embedding"),
    (r"encoder\.ln\.", "encoder.ln."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.0\.", r"encoder.layers.layer_\1.mlp.linear_1."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.3\.", r"encoder.layers.layer_\1.mlp.linear_2."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"encoder.layers.layer_\1."),  # old files write mlp.linear_1 already
    (r"heads\.(head|pre_logits)\.", r"head.layers.\1."),
]


def _head_keys(head_state: State) -> dict[str, Any]:
    hidden = head_state.get("layers.pre_logits.weight")
    return {} if hidden is None else {"hidden_dim": hidden.shape[0]}


_OF_TIMM: list[Rule] = [
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


def _positions_first(renamed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    positions = renamed.get("encoder.pos_embedding")
    if positions is None or positions.ndim != 3:
        return renamed
    return {**renamed, "encoder.pos_embedding": positions.permute(1, 0, 2)}  # (1, L, C) -> (L, 1, C)


def _refuse_unseen_pooling(name: str, state: State) -> dict[str, Any]:
    if "cls_token" in state:
        return {}
    raise WeightsError(
        "The file has no class token (cls_token), and how such a model of timm's pools its tokens cannot be seen in "
        "its weights. With timm installed give the model itself: load_pretrained(name, source=the_model)."
    )


def _shown(state: State) -> dict[str, Any]:
    positions, patches = state.get("encoder.pos_embedding"), state.get("conv_proj.weight")
    keys: dict[str, Any] = {} if "class_token" in state else {"classifier": "gap"}
    if positions is not None and patches is not None and positions.ndim == 3 and patches.ndim == 4:
        side = math.isqrt(positions.shape[0] - (0 if keys else 1))
        keys["image_size"] = side * patches.shape[-1]
    return keys


def _sizes(state: State) -> dict[str, Any]:
    hidden_dim, _, patch_size, _ = state["conv_proj.weight"].shape
    return {
        "patch_size": patch_size,
        "hidden_dim": hidden_dim,
        "num_layers": len({k.split(".")[2] for k in state if k.startswith("encoder.layers.")}),
        "mlp_dim": state["encoder.layers.layer_0.mlp.linear_1.weight"].shape[0],
    }


_TORCHVISION = Layout(
    title="torchvision's VisionTransformer",
    classes=("torchvision.models.vision_transformer.VisionTransformer",),
    families=("VisionTransformer",),
    sign=r"encoder\.layers\.encoder_layer_0\.",
    rules=lambda state: OF_TORCHVISION,
    laid_out=_positions_first,
    classifier="heads.head",
    head="vision_transformer_head",
    head_keys=_head_keys,
    of_module_in_full=lambda source: {"num_heads": source.encoder.layers[0].num_heads},
)

_TIMM = Layout(
    title="timm's VisionTransformer",
    classes=("timm.models.vision_transformer.VisionTransformer",),
    families=("VisionTransformer",),
    sign=r"blocks\.0\.attn\.qkv\.",
    rules=lambda state: _OF_TIMM,
    laid_out=_positions_first,
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
)

register_weights(
    FamilyWeights(
        family="VisionTransformer",
        layouts=(_TORCHVISION, _TIMM),
        torchvision=torchvision_files(
            ("vit_b_16", "IMAGENET1K_V1", "vit_b_16-c867db91"),
            ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", "vit_b_16_swag-9ac1b537", 384, 384, "bicubic"),
            ("vit_b_16", "IMAGENET1K_SWAG_LINEAR_V1", "vit_b_16_lc_swag-4e70ced5", 224, 224, "bicubic"),
            ("vit_b_32", "IMAGENET1K_V1", "vit_b_32-d86f8d99"),
            ("vit_h_14", "IMAGENET1K_SWAG_E2E_V1", "vit_h_14_swag-80465313", 518, 518, "bicubic"),
            ("vit_h_14", "IMAGENET1K_SWAG_LINEAR_V1", "vit_h_14_lc_swag-c1eb923e", 224, 224, "bicubic"),
            ("vit_l_16", "IMAGENET1K_V1", "vit_l_16-852ce7e3", 242, 224),
            ("vit_l_16", "IMAGENET1K_SWAG_E2E_V1", "vit_l_16_swag-4f3808c9", 512, 512, "bicubic"),
            ("vit_l_16", "IMAGENET1K_SWAG_LINEAR_V1", "vit_l_16_lc_swag-4d563306", 224, 224, "bicubic"),
            ("vit_l_32", "IMAGENET1K_V1", "vit_l_32-c7638314"),
        ),
        timm={
            "vit_b_16": "vit_base_patch16_224",
            "vit_b_32": "vit_base_patch32_224",
            "vit_l_16": "vit_large_patch16_224",
            "vit_l_32": "vit_large_patch32_384",  # of 224 px there is one without a classifier
        },
        packaged={
            "vit_demo": PackagedWeights(  # written by .ci/teach_vit_demo.py
                package="classykit",
                module="classykit",
                file="weights/vit_demo.safetensors",
                sha256="ea370189ba36800134408565a90f80b26384636982046b9a461404531ac3cebe",
                trained_on="a demonstration: taught (seed 0) to imitate efficientnet_lite0 on crops of "
                "2 dozen pictures",
                preprocessing=Preprocessing(size=112),
            )
        },
        shown=_shown,
        sizes=_sizes,
        stem="conv_proj.weight",
    )
)
