"""`inflate`: a network of pictures becomes one of clips, its kernels repeated over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ConfigError, quoted
from classykit.heads.fully_connected import FullyConnectedHead
from classykit.heads.linear_probe import LinearProbe
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.models.resnext import ResNeXt
from classykit.models.resnext3d import ResNeXt3D

_KINDS = (nn.Conv2d, nn.Conv3d, nn.BatchNorm2d, nn.BatchNorm3d)


@verb
def inflate(model_2d: nn.Module, frames: int = 16) -> ClassyModel:
    """A 3-D model with the weights of a 2-D one: each kernel repeated over time, and divided by how often.

    A clip whose frames are all equal gives what the picture gave, but for frames near enough to the ends that the
    zeros which pad time reach them ("Quo vadis, action recognition?", arXiv 1705.07750).

    Args:
        model_2d: a ResNet or ResNeXt of this kit: basic blocks become 3×3×3 as in ``r3d_18`` (with the pooling in its
            stem that the picture's network has), bottlenecks see time in their first convolution as in ``i3d_r50``.
            Its heads of one linear layer come along. It is left as it is.
        frames: of the clips that the model is meant for.

    Returns a ResNeXt3D, in the same mode, that carries ``labels``, ``preprocessing`` and ``weights``.

    Raises ConfigError for what has no counterpart in three dimensions, with the reason.

    >>> net = inflate(build_model("resnet18"), frames=8)
    >>> net.config["name"], net.input_shape
    ('r3d_18', (3, 8, 224, 224))
    """
    if type(frames) is not int or not 1 <= frames <= 2**14:
        raise ConfigError(f"frames is a whole number from 1 on, not {quoted(frames)}.")
    model, heads = _taken(model_2d)
    with torch.random.fork_rng(devices=[]):  # what is drawn is written over
        deep = build_model({**_config(model, frames), "heads": heads})
    reference = next(model.parameters())
    deep.to(reference.device, reference.dtype)
    _copy_weights(model, deep)
    for of_2d, of_3d in zip(_heads(model), _heads(deep), strict=True):
        _fc(of_3d).load_state_dict(_fc(of_2d).state_dict())
    deep.labels, deep.preprocessing = model.labels, model.preprocessing
    deep.weights = f"{model.weights}, inflated over time" if model.weights else None
    return deep.train(model.training)


def _taken(model: Any) -> tuple[ResNeXt, list[dict[str, Any]]]:
    """(the model, configs of its heads in three dimensions); ConfigError for what has no counterpart."""
    if not isinstance(model, ResNeXt):
        is_one = isinstance(model, ClassyModel) and hasattr(model, "model")
        hint = " Convert it first: load_pretrained(name, source=model)." if is_one or not isinstance(
            model, ClassyModel) else ""  # fmt: skip
        raise ConfigError(
            f"inflate takes a ResNet or ResNeXt of this kit, whose blocks have counterparts in three dimensions; "
            f"{type(model).__name__} has none.{hint}"
        )
    full = model.full_config
    for key, wanted, why in (
        ("small_input", False, "its stem of 3×3 without stride has no counterpart: 3-D stems halve the resolution"),
        ("use_se", False, "squeeze-and-excitation has no counterpart in the 3-D family"),
        ("final_bn_relu", True, "its last block ends without BatchNorm and ReLU, and 3-D blocks end with them"),
    ):
        if full[key] != wanted:
            raise ConfigError(f"{full['name']} with {key}={full[key]} cannot be inflated: {why}.")
    inner = [block.convolutional_block[0].out_channels for stage in model.blocks for block in stage]
    groups = model.blocks[0][0].convolutional_block[3].groups
    firsts = [stage[0].convolutional_block[0].out_channels for stage in model.blocks]
    if not full["basic_layer"] and (inner[0] % groups or firsts != [inner[0] * 2**s for s in range(len(firsts))]):
        raise ConfigError(
            f"{full['name']} cannot be inflated: its bottlenecks have {firsts} channels from stage to stage, and those "
            f"of the 3-D family double."
        )
    places = dict(zip(model.block_paths(), _block_names(model), strict=True))
    return model, [_head_config(head, places.get(block)) for block, of in model.get_heads().items() for head in of]


def _head_config(head: Any, place: str | None) -> dict[str, Any]:
    """The head's counterpart, on the block ``place``."""
    if place is None:
        raise ConfigError(f"Head {quoted(head.unique_id)} is within a block, which has no counterpart: move it.")
    common = {"unique_id": head.unique_id, "in_plane": head.in_plane} if hasattr(head, "in_plane") else {}
    if isinstance(head, LinearProbe):
        kind: dict[str, Any] = {"name": "linear_probe"}
    elif isinstance(head, FullyConnectedHead) and head.conv is head.normalize_inputs is None and head.fc is not None:
        kind = {"name": "fully_convolutional_linear", "activation_func": "identity", "pool_size": None}
    else:
        raise ConfigError(
            f"Head {quoted(head.unique_id)} has no counterpart for clips: one that pools and has one linear layer has. "
            f"Remove it (model.remove_head), and attach one to the 3-D model."
        )
    return {**kind, **common, "num_classes": head.num_classes, "fork_block": place}


def _block_names(model: ResNeXt) -> list[str]:
    """What the blocks are called in three dimensions, in the same order."""
    found = ["stem-path0"]
    for s, stage in enumerate(model.blocks):
        found += [f"pathway0-stage{s + 1}-block{i}" for i in range(len(stage))]
    return found


def _config(model: ResNeXt, frames: int) -> dict[str, Any]:
    full, first = model.full_config, model.blocks[0][0].convolutional_block
    stages = len(full["num_blocks"])
    keys: dict[str, Any] = {
        "input_planes": full["in_channels"], "clip_crop_size": model.input_shape[1], "frames_per_clip": frames,
        "num_blocks": full["num_blocks"], "stem_planes": full["init_planes"], "stem_maxpool": True,
        "stage_planes": full["init_planes"] * full["reduction"], "skip_transformation_type": "postactivated_shortcut",
    }  # fmt: skip
    if full["basic_layer"]:
        preset = "r3d_18"
        keys |= {"residual_transformation_type": "basic_transformation"}
    else:
        preset, groups = "i3d_r50", first[3].groups
        kernels = MODELS[preset].defaults["stage_temporal_kernel_basis"]
        keys |= {
            "residual_transformation_type": "postactivated_bottleneck_transformation", "stem_temporal_kernel": 5,
            "stage_temporal_kernel_basis": [kernels[min(s, 3)] for s in range(stages)],
            "temporal_conv_1x1": [True] * stages, "stage_temporal_stride": [1] * stages, "num_groups": groups,
            "width_per_group": first[0].out_channels // groups,
        }  # fmt: skip
    named = keys["num_blocks"] == MODELS[preset].defaults["num_blocks"]
    defaults = MODELS[preset].defaults if named else {}
    plain = {key: field.default for key, field in ResNeXt3D.Config.model_fields.items()}
    return {
        "name": preset if named else "resnext3d",
        **{key: value for key, value in keys.items() if defaults.get(key, plain.get(key)) != value},
    }


def _heads(model: ClassyModel) -> list[Any]:
    return [head for heads in model.get_heads().values() for head in heads]


def _fc(head: nn.Module) -> nn.Linear:
    return next(m for m in head.modules() if isinstance(m, nn.Linear))


def _copy_weights(model: ResNeXt, deep: ClassyModel) -> None:
    pairs = list(_pairs(model, deep))
    with torch.no_grad():
        for own, new in pairs:
            state = {key: value for key, value in own.state_dict().items()}
            if isinstance(new, nn.Conv3d):
                kernel, t = state["weight"], new.kernel_size[0]
                state["weight"] = kernel.unsqueeze(2).repeat(1, 1, t, 1, 1) / t  # (out, in, T, H, W)
            new.load_state_dict(state)


def _pairs(model: ResNeXt, deep: ClassyModel) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Each layer with its counterpart."""
    new = [deep.get_submodule(path) for path in deep.block_paths().values()]
    yield from zip(_layers(model.initial_block), _layers(new[0]), strict=True)
    for own, block in zip((b for stage in model.blocks for b in stage), new[1:], strict=True):
        yield from zip([*_layers(own.convolutional_block), own.bn], _layers(block.residual), strict=True)
        if own.downsample is not None:
            yield from zip(_layers(own.downsample), _layers(block.skip), strict=True)


def _layers(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, _KINDS)]
