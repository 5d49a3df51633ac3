"""classykit.weights.families.resnext: what keeps timm's SE-ResNets apart from ours."""

import torch
from sources import timm

import classykit as ck


def test_the_reason_why_se_resnets_differ_is_true():
    with torch.device("meta"):
        theirs = timm.create_model("seresnet18")
    ours = ck.build_model("resnet18", use_se=True, device="meta")
    inner = [theirs.get_submodule(f"layer{s}.0.se.fc1").out_channels for s in (1, 2, 3, 4)]
    assert inner == [8, 8, 16, 32]
    inner = [ours.get_submodule(f"blocks.{s}.block{s}-0.se.excitation.0").out_channels for s in range(4)]
    assert inner == [4, 8, 16, 32]
