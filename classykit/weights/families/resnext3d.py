"""ResNeXt3D: torchvision's keys of its R3D, and what is published."""

from __future__ import annotations

from classykit.weights.family_weights import FamilyWeights, register_weights
from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import torchvision_files

_RESIDUAL_3D = {"conv1.0": "residual.transform.0", "conv1.1": "residual.transform.1", "conv2.0": "residual.transform.3",
                "conv2.1": "residual.transform.4", "downsample.0": "skip.branch1",
                "downsample.1": "skip.branch1_bn"}  # fmt: skip

RULES: list[Rule] = [
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


_LAYOUT = Layout(
    title="torchvision's VideoResNet",
    classes=("torchvision.models.video.resnet.VideoResNet",),
    families=("ResNeXt3D",),
    sign=r"layer1\.0\.conv1\.0\.",
    rules=lambda state: RULES,
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
)

register_weights(
    FamilyWeights(
        family="ResNeXt3D",
        layouts=(_LAYOUT,),
        torchvision=torchvision_files(
            ("r3d_18", "KINETICS400_V1", "r3d_18-b3b3357e", (128, 171), 112),
        ),
    )
)
