"""classykit.seeing.explainers: torchcam's and captum's methods on the blocks of any model; theirs agree with ours."""

import sys

import pytest
import torch
from looked_into import X, torchvision

import classykit as ck
from classykit.errors import ConfigError, MissingDependencyError
from classykit.seeing.explainers import _TORCHCAM as TORCHCAM
from classykit.seeing.explainers import METHODS

SLOW = {"ScoreCAM", "SSCAM", "ISCAM"}  # a pass a channel


@pytest.fixture(scope="module")
def resnet():
    return torchvision("resnet18")


@pytest.mark.parametrize("block", ["layer1.1", "layer3.0", "layer4.1"])
def test_theirs_agree_with_ours(block, resnet):
    pytest.importorskip("torchcam"), pytest.importorskip("captum")
    ours = ck.evidence(resnet, X, [3, 5], blocks=block, method="gradcam").maps[block]
    size = ours.abs().max()
    theirs = ck.evidence(resnet, X, [3, 5], blocks=block, method="LayerGradCam")
    assert (theirs.maps[block] - ours).abs().max() < 1e-4 * size and theirs.exact == {block: False}
    rectified = ck.evidence(resnet, X, [3, 5], blocks=block, method="GradCAM").maps[block]
    assert (rectified - ours.clamp_min(0)).abs().max() < 1e-4 * size


@pytest.mark.parametrize("method", [m for m in METHODS if m not in SLOW])
def test_every_method_on_tokens_and_heads(method, everything, assert_same):
    pytest.importorskip("torchcam"), pytest.importorskip("captum")
    torch.manual_seed(0)
    vit = ck.build_model("vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16,
                         mlp_dim=16).train()  # fmt: skip
    vit.attach_head("trunk_output", "linear_probe", unique_id="mine", num_classes=3)
    before = everything(vit)
    found = ck.evidence(vit, X[..., :32, :32], 1, head="mine", blocks=["layer_0"], method=method)
    assert_same(before, everything(vit))
    ((name, maps),) = found.maps.items()
    assert maps.shape == ((2, 32, 32) if name == "input" else (2, 4, 4)) and maps.isfinite().all()
    assert maps.any() or method in TORCHCAM, "which leave out what speaks against the class"
    assert found.method == method and not maps.requires_grad


@pytest.mark.parametrize("method", sorted(SLOW))
def test_those_that_take_a_pass_a_channel(method):
    pytest.importorskip("torchcam")
    net = ck.build_model({"name": "resnext", "num_blocks": [1], "init_planes": 2, "small_input": True})
    net.attach_head("block0-0", "fully_connected", unique_id="mine", num_classes=3)
    assert ck.evidence(net, X[:1, :, :8, :8], 1, method=method).maps["block0-0"].shape == (1, 8, 8)


def test_without_them(resnet, monkeypatch):
    for module, method in (("torchcam.methods", "LayerCAM"), ("captum.attr", "LayerConductance")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingDependencyError, match=r"classykit\[explain\]"):
            ck.evidence(resnet, X, 3, method=method)


def test_an_unknown_one(resnet):
    with pytest.raises(ConfigError, match=r"no method 'LayerCam'. Did you mean 'LayerCAM'"):
        ck.evidence(resnet, X, 3, method="LayerCam")
