"""classykit.models.resnext3d_blocks: the parts of 3-D residual networks, in every combination."""

import itertools

import pytest
import torch
from torch import nn

from classykit.models.resnext3d_blocks import RESIDUALS, SKIPS, STEMS, BlockPlan, ResidualBlock3D, middle_planes

BASE = {"name": "resnext3d", "input_planes": 3, "clip_crop_size": 24, "frames_per_clip": 4, "width_per_group": 4}
CANONICAL = r"stem-path0|pathway0-stage\d+-block\d+(-bn|-relu)?"


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("residual", RESIDUALS)
def test_every_combination_of_parts(stem, skip, residual, assert_same_shell, assert_same_blocks):
    all_groups = [1] if "r2plus1d" in residual else [1, 2]  # (2+1)D has odd widths in between
    for conv_1x1, groups, first in itertools.product([True, False], all_groups, [8, 16]):
        config = {
            **BASE, "stem_name": stem, "skip_transformation_type": skip, "residual_transformation_type": residual,
            "num_blocks": [1, 2, 1, 1], "temporal_conv_1x1": [conv_1x1] * 4, "num_groups": groups,
            "stem_planes": first, "stage_planes": 8,
        }  # fmt: skip
        if "bottleneck" in residual:  # others have no say in it
            config["stage_temporal_kernel_basis"] = [[5], [3, 1], [1], [3]]
        ours, theirs = assert_same_shell(config)
        assert_same_blocks(ours, theirs, CANONICAL)


def plan(**sizes):
    given = dict(in_planes=8, planes=8, inner=4, groups=1, temporal_kernel=3, temporal_conv_1x1=True, stride=(1, 1))
    return BlockPlan(**given | sizes, first=False)


@pytest.mark.parametrize("residual", RESIDUALS)
def test_a_branch_whose_last_operation_is_zero_adds_nothing(residual):
    block = ResidualBlock3D(plan(), "postactivated_shortcut", residual).eval()
    x = torch.randn(2, 8, 3, 5, 6)
    assert block.skip is None and not torch.equal(block(x), x.relu())
    nn.init.zeros_(block.residual.last_op.weight)
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("sizes", [{"planes": 12}, {"stride": (1, 2)}, {"stride": (2, 1)}], ids=str)
def test_the_shortcut_brings_what_the_branch_needs(skip, residual, sizes):
    block = ResidualBlock3D(plan(**sizes), skip, residual).eval()
    t, s = sizes.get("stride", (1, 1))
    assert block.skip is not None
    assert block(torch.randn(2, 8, 4, 6, 6)).shape == (2, sizes.get("planes", 8), 4 // t, 6 // s, 6 // s)


@pytest.mark.parametrize("in_planes, planes", [(64, 64), (64, 128), (3, 45), (8, 8)])
def test_two_factors_have_as_many_weights_as_the_whole_kernel(in_planes, planes):
    def weights(middle):
        return 9 * in_planes * middle + 3 * middle * planes

    middle = middle_planes(in_planes, planes)
    assert weights(middle) <= 27 * in_planes * planes < weights(middle + 1)
