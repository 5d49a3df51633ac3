"""What the shapes of a state in our keys say about the config of its model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from classykit.errors import WeightsError
from classykit.models.factory import MODELS, list_models

State = Mapping[str, torch.Tensor]


def config_of(name: str, state: State) -> dict[str, Any]:
    """The config keys of ``name`` that a trunk's state shows.

    Of a named model those in which states of it differ (``image_size``, ``num_classes``, ``use_se``); of a family
    without sizes of its own (``resnext``, ``densenet``, ``anynet``, ``vision_transformer``) all sizes.
    Raises WeightsError for a family whose sizes cannot be worked out from its weights.
    """
    cls, named = MODELS[name].cls, bool(MODELS[name].defaults)
    if not named and cls.__name__ not in _SIZES:
        others = [n for n in list_models() if MODELS[n].cls is cls and MODELS[n].defaults][:4]
        instead = {"ResNet": ["resnext"], "RegNet": ["anynet", *others]}.get(cls.__name__, others)
        raise WeightsError(
            f"{name} has no sizes of its own, and they are not worked out from weights for it: ask for "
            f"{' or '.join(instead) or 'a model with sizes'}."
        )
    readers = [_ALWAYS[c.__name__] for c in cls.__mro__ if c.__name__ in _ALWAYS]
    keys: dict[str, Any] = {}
    try:
        for read in readers if named else [_SIZES[cls.__name__], *readers]:
            keys |= read(state)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, TypeError):
        raise WeightsError(
            f"The weights do not show the sizes of a {name}: parts of it are missing, or have other shapes."
        ) from None
    return keys


def _numbered(state: State, pattern: str) -> list[int]:
    """How many blocks each stage has: ``pattern`` gives (stage, index)."""
    depths: dict[int, set[int]] = {}
    for key in state:
        match = re.match(pattern, key)
        if match:
            depths.setdefault(int(match[1]), set()).add(int(match[2]))
    return [len(depths[stage]) for stage in sorted(depths)]


def _of_any_resnext(state: State) -> dict[str, Any]:
    reduce = state.get("blocks.0.block0-0.se.excitation.0.weight")
    if reduce is None or reduce.ndim != 4:
        return {}
    ratio = reduce.shape[1] // max(1, reduce.shape[0])
    return {"use_se": True, **({} if ratio == 16 else {"se_reduction_ratio": ratio})}


def _of_any_vit(state: State) -> dict[str, Any]:
    positions, patches = state.get("encoder.pos_embedding"), state.get("conv_proj.weight")
    keys: dict[str, Any] = {} if "class_token" in state else {"classifier": "gap"}
    if positions is not None and patches is not None and positions.ndim == 3 and patches.ndim == 4:
        side = math.isqrt(positions.shape[0] - (0 if keys else 1))
        keys["image_size"] = side * patches.shape[-1]
    return keys


def _of_any_efficientnet(state: State) -> dict[str, Any]:
    classifier = state.get("fc.weight")
    return {} if classifier is None else {"num_classes": classifier.shape[0]}


_ALWAYS: dict[str, Callable[[State], dict[str, Any]]] = {
    "ResNeXt": _of_any_resnext,
    "VisionTransformer": _of_any_vit,
    "EfficientNet": _of_any_efficientnet,
}


def _resnext(state: State) -> dict[str, Any]:
    basic = "blocks.0.block0-0.convolutional_block.6.weight" not in state
    keys = {
        "num_blocks": _numbered(state, r"blocks\.\d+\.block(\d+)-(\d+)\."),
        "init_planes": state["initial_block._module.0.weight"].shape[0],
        "basic_layer": basic,
    }
    if not basic:
        inner = state["blocks.0.block0-0.convolutional_block.3.weight"]  # (groups · width, width, 3, 3)
        keys["base_width_and_cardinality"] = (inner.shape[1], inner.shape[0] // inner.shape[1])
    return keys


def _densenet(state: State) -> dict[str, Any]:
    growth, inner = state["features.block_0.block0-0.conv-2.weight"].shape[:2]
    return {
        "num_blocks": _numbered(state, r"features\.block_\d+\.block(\d+)-(\d+)\."),
        "init_planes": state["initial_block.0.weight"].shape[0],
        "growth_rate": growth,
        "expansion": inner // growth,
    }


def _anynet(state: State) -> dict[str, Any]:
    depths = _numbered(state, r"trunk_output\.block\d+\.block(\d+)-(\d+)\.f\.a\.0\.weight")
    firsts = [f"trunk_output.block{s}.block{s}-0.f." for s in range(1, len(depths) + 1)]
    widths = [state[f"{first}c.weight"].shape[0] for first in firsts]
    grouped = [state[f"{first}b.0.weight"].shape[:2] for first in firsts]  # (inner, inner / groups)
    keys = {
        "depths": depths,
        "widths": widths,
        "group_widths": [group for _, group in grouped],
        "bottleneck_multipliers": [inner / width for (inner, _), width in zip(grouped, widths, strict=True)],
        "strides": [2] * len(depths),  # no weight shows them; those of every RegNet
        "stem_width": state["stem.stem.0.weight"].shape[0],
        "use_se": f"{firsts[0]}se.excitation.0.weight" in state,
    }
    if keys["use_se"]:
        reduce, first = state[f"{firsts[0]}se.excitation.0.weight"], state[f"{firsts[0]}a.0.weight"]
        keys["se_ratio"] = reduce.shape[0] / first.shape[1]
    if not any(".proj." in key for key in state):  # only RegNetZ has no projection where sizes change
        keys |= {"block_type": "res_bottleneck_linear_block", "activation": "silu"}
    return keys


def _vision_transformer(state: State) -> dict[str, Any]:
    hidden_dim, _, patch_size, _ = state["conv_proj.weight"].shape
    return {
        "patch_size": patch_size,
        "hidden_dim": hidden_dim,
        "num_layers": len({k.split(".")[2] for k in state if k.startswith("encoder.layers.")}),
        "mlp_dim": state["encoder.layers.layer_0.mlp.linear_1.weight"].shape[0],
    }


_SIZES: dict[str, Callable[[State], dict[str, Any]]] = {
    "ResNeXt": _resnext,
    "DenseNet": _densenet,
    "AnyNet": _anynet,
    "VisionTransformer": _vision_transformer,
}
