"""classykit.exploring.explored: a model that is described, then allocated, with its heads in both."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError, HeadError
from classykit.exploring.explored import Explored

SMALL = {"name": "resnet18", "init_planes": 4}


def test_nothing_is_allocated_before_it_must_run():
    subject = Explored(SMALL)
    assert subject.live is None and {p.device.type for p in subject.model.parameters()} == {"meta"}
    live = subject.go_live("cpu")
    assert subject.model is live is subject.go_live("cpu") and subject.is_live_on("cpu")
    assert {p.device.type for p in live.parameters()} == {"cpu"} and not live.training


@pytest.mark.parametrize("first", ["described", "live"])
def test_heads_go_on_wherever_the_model_stands(first):
    subject = Explored(SMALL)
    if first == "live":
        subject.go_live("cpu")
    state = torch.get_rng_state()
    subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
    assert torch.equal(state, torch.get_rng_state())
    assert subject.go_live("cpu")(torch.rand(1, 3, 64, 64)).shape == (1, 3)
    assert list(subject.heads()) == ["cls"] and subject.inspection["cls"].is_head
    subject.remove_head("cls")
    assert subject.model.get_heads() == subject.heads() == {} and "heads" not in subject.config
    with pytest.raises(HeadError):
        subject.remove_head("cls")


def test_what_is_known_of_it():
    subject = Explored("r3d_18")
    assert (subject.name, subject.family, subject.dtype) == ("r3d_18", "ResNeXt3D", "float32")
    assert subject.takes_clips and not Explored(SMALL).takes_clips
    subject.attach_head(subject.inspection.trunk[-1].name, "linear_probe", "cls", {"num_classes": 2})
    assert "cls" not in [b.name for b in subject.inspection.trunk] and not subject.packaged and subject.trained is None


def test_a_module_of_the_users_shares_its_weights_and_is_left_alone(everything, assert_same):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    before = everything(module)
    subject = Explored(ck.ClassyModel.from_model(module, input_shape=(3, 16, 16)))
    subject.attach_head("0", "identity", "x", {})
    assert subject.adopted == "Sequential" and subject.go_live("cpu").model[0].weight is module[0].weight
    assert_same(before, everything(module))


@pytest.mark.parametrize("shape, said", [((3, 224, 224), None), ((1, 28, 28), (1, 28, 28))])
def test_the_shape_that_was_said(shape, said):
    net = nn.Sequential(nn.Conv2d(shape[0], 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1))
    assert Explored(ck.ClassyModel.from_model(net, shape)).said_shape == said
    net.input_shape = shape
    assert Explored(ck.ClassyModel.from_model(net)).said_shape is None
    assert Explored(SMALL).said_shape is None


def test_a_module_without_weights_cannot_go_live():
    with pytest.raises(DeviceError, match="meta"):
        Explored(ck.build_model(SMALL, device="meta")).go_live("cpu")


def test_what_is_no_model():
    with pytest.raises(ConfigError, match="A model is a name"):
        Explored(5)
