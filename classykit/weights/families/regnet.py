"""RegNet and AnyNet: torchvision's and timm's keys, what is published, and sizes read from weights."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from classykit.models.classy_model import ClassyModel
from classykit.models.factory import list_models
from classykit.weights.family_weights import FamilyWeights, count_blocks, register_weights
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import FOLDER, torchvision_files

_REGNET_BLOCK = r"(trunk_output\.block\d+\.block\d+-\d+\.)"

_OF_TORCHVISION: list[Rule] = [
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


def _settings_of_torchvision(source: nn.Module) -> dict[str, Any]:
    norm = source.stem[1]
    return {
        "strides": [next(iter(stage)).f.b[0].stride[0] for stage in source.trunk_output],
        "activation": "silu" if isinstance(source.stem[2], nn.SiLU) else "relu",
        "bn_epsilon": norm.eps,
        "bn_momentum": norm.momentum,
    }


_REGNET_PARTS = {
    "conv1.conv": "f.a.0", "conv1.bn": "f.a.1", "conv2.conv": "f.b.0", "conv2.bn": "f.b.1", "conv3.conv": "f.c",
    "conv3.bn": "f.final_bn", "se.fc1": "f.se.excitation.0", "se.fc2": "f.se.excitation.2", "downsample.conv": "proj",
    "downsample.bn": "bn",
}  # fmt: skip

_OF_TIMM: list[Rule] = [
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


def _settings_of_timm(source: nn.Module) -> dict[str, Any]:
    norm = source.stem.bn
    return {
        "strides": [stage.b1.conv2.conv.stride[0] for stage in (source.s1, source.s2, source.s3, source.s4)],
        "activation": "silu" if any(isinstance(m, nn.SiLU) for m in source.stem.modules()) else "relu",
        "bn_epsilon": norm.eps,
        "bn_momentum": norm.momentum,
    }


def _widths_differ(name: str, model: ClassyModel, state: State) -> str:
    """Of RegNets: that an anynet can have the widths of the state."""

    def widths(trunk: State) -> list[int]:
        last = r"trunk_output\.block\d+\.block\d+-0\.f\.c\.weight"
        return [v.shape[0] for k, v in trunk.items() if re.fullmatch(last, k)]

    ours, theirs = widths(model.state_dict()), widths(state)
    if ours == theirs or type(model).__name__ == "AnyNet":
        return ""
    return (
        f" The widths differ: {name}'s stages have {ours} channels, the source's {theirs}. The source's blocks can be "
        'had through anynet, with explicit widths: load_pretrained("anynet", source=source).'
    )


def _sizes(state: State) -> dict[str, Any]:
    depths = count_blocks(state, r"trunk_output\.block\d+\.block(\d+)-(\d+)\.f\.a\.0\.weight")
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


_TIMMS = {"400mf": "004", "800mf": "008", "1.6gf": "016", "3.2gf": "032", "8gf": "080", "16gf": "160", "32gf": "320",
          "64gf": "640", "128gf": "1280", "256gf": "2560"}  # fmt: skip

_TORCHVISION = Layout(
    title="torchvision's RegNet",
    classes=("torchvision.models.regnet.RegNet",),
    families=("RegNet", "AnyNet"),
    sign=r"trunk_output\.block1\.block1-0\.f\.c\.0\.",
    rules=lambda state: _OF_TORCHVISION,
    of_module_in_full=_settings_of_torchvision,
    advice=_widths_differ,
)

_TIMM = Layout(
    title="timm's RegNet",
    classes=("timm.models.regnet.RegNet",),
    families=("RegNet", "AnyNet"),
    sign=r"s1\.b1\.conv1\.",
    rules=lambda state: _OF_TIMM,
    classifier="head.fc",
    head_keys=_regnet_head,
    not_ours=((r"s\d\.b\d+\.norm\d\.", "its blocks normalise before they convolve"),),
    not_ours_state=_bare_activation,
    of_module_in_full=_settings_of_timm,
    advice=_widths_differ,
)

#: what torchvision publishes under these names of ours has other widths
OTHER_WIDTHS = {
    "regnet_x_400mf": "regnet_x_400mf-62229a5f",
    "regnet_y_800mf": "regnet_y_800mf-58fc7688",
    "regnet_y_8gf": "regnet_y_8gf-dc2b1b54",
}


def _other_widths(name: str, file: str) -> str:
    return (
        f"torchvision's {name} has other widths than this kit's, which are ClassyVision's; an anynet can have them. "
        f'Get {FOLDER}{file}.pth and ask for load_pretrained("anynet", source="the file").'
    )


register_weights(FamilyWeights(family="AnyNet", sizes=_sizes, stem="stem.stem.0.weight"))
register_weights(
    FamilyWeights(
        family="RegNet",
        layouts=(_TORCHVISION, _TIMM),
        torchvision=torchvision_files(
            ("regnet_x_800mf", "IMAGENET1K_V2", "regnet_x_800mf-94a99ebd", 232, 224),
            ("regnet_x_800mf", "IMAGENET1K_V1", "regnet_x_800mf-ad17e45c"),
            ("regnet_x_1.6gf", "IMAGENET1K_V2", "regnet_x_1_6gf-a12f2b72", 232, 224),
            ("regnet_x_1.6gf", "IMAGENET1K_V1", "regnet_x_1_6gf-e3633e7f"),
            ("regnet_x_3.2gf", "IMAGENET1K_V2", "regnet_x_3_2gf-7071aa85", 232, 224),
            ("regnet_x_3.2gf", "IMAGENET1K_V1", "regnet_x_3_2gf-f342aeae"),
            ("regnet_x_8gf", "IMAGENET1K_V2", "regnet_x_8gf-2b70d774", 232, 224),
            ("regnet_x_8gf", "IMAGENET1K_V1", "regnet_x_8gf-03ceed89"),
            ("regnet_x_16gf", "IMAGENET1K_V2", "regnet_x_16gf-ba3796d7", 232, 224),
            ("regnet_x_16gf", "IMAGENET1K_V1", "regnet_x_16gf-2007eb11"),
            ("regnet_x_32gf", "IMAGENET1K_V2", "regnet_x_32gf-6eb8fdc6", 232, 224),
            ("regnet_x_32gf", "IMAGENET1K_V1", "regnet_x_32gf-9d47f8d0"),
            ("regnet_y_400mf", "IMAGENET1K_V2", "regnet_y_400mf-e6988f5f", 232, 224),
            ("regnet_y_400mf", "IMAGENET1K_V1", "regnet_y_400mf-c65dace8"),
            ("regnet_y_1.6gf", "IMAGENET1K_V2", "regnet_y_1_6gf-0d7bc02a", 232, 224),
            ("regnet_y_1.6gf", "IMAGENET1K_V1", "regnet_y_1_6gf-b11a554e"),
            ("regnet_y_3.2gf", "IMAGENET1K_V2", "regnet_y_3_2gf-9180c971", 232, 224),
            ("regnet_y_3.2gf", "IMAGENET1K_V1", "regnet_y_3_2gf-b5a9779c"),
            ("regnet_y_16gf", "IMAGENET1K_V2", "regnet_y_16gf-3e4a00f9", 232, 224),
            ("regnet_y_16gf", "IMAGENET1K_V1", "regnet_y_16gf-9e6ed7dd"),
            ("regnet_y_16gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_16gf_swag-43afe44d", 384, 384, "bicubic"),
            ("regnet_y_16gf", "IMAGENET1K_SWAG_LINEAR_V1", "regnet_y_16gf_lc_swag-f3ec0043", 224, 224, "bicubic"),
            ("regnet_y_32gf", "IMAGENET1K_V2", "regnet_y_32gf-8db6d4b5", 232, 224),
            ("regnet_y_32gf", "IMAGENET1K_V1", "regnet_y_32gf-4dee3f7a"),
            ("regnet_y_32gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_32gf_swag-04fdfa75", 384, 384, "bicubic"),
            ("regnet_y_32gf", "IMAGENET1K_SWAG_LINEAR_V1", "regnet_y_32gf_lc_swag-e1583746", 224, 224, "bicubic"),
            ("regnet_y_128gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_128gf_swag-c8ce3e52", 384, 384, "bicubic"),
            ("regnet_y_128gf", "IMAGENET1K_SWAG_LINEAR_V1", "regnet_y_128gf_lc_swag-cbe8ce12", 224, 224, "bicubic"),
        ),
        other_models={name: _other_widths(name, file) for name, file in OTHER_WIDTHS.items()},
        timm={
            **{name: f"regnet{name[7]}_{_TIMMS[name[9:]]}" for name in list_models("regnet_[xy]_*")},
            "regnet_z_4gf": "regnetz_040_h",  # regnetz_040 has an activation where ours has none
        },
    )
)
