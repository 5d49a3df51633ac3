"""classykit.exploring.explored: a model that is described, then allocated, with its heads in both."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ClassyKitError, ConfigError, DeviceError, HeadError
from classykit.exploring.explored import Explored
from classykit.heads import ClassyHead

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


def trained_head(subject, unique_id):
    """The head's weights are no longer those that it was built with."""
    head = subject.head_with_weights(unique_id)
    with torch.no_grad():
        for p in head.parameters():
            p.fill_(0.5)
    return head


@pytest.mark.parametrize("first", ["described", "live", "adopted"])
def test_a_head_is_moved_renamed_and_edited(first):
    subject = Explored(ck.build_model(SMALL) if first == "adopted" else SMALL)
    if first == "live":
        subject.go_live("cpu")
    state = torch.get_rng_state()
    subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
    subject.attach_head("block1-0", "linear_probe", "other", {"num_classes": 2})
    lost = [
        subject.change_head("cls", block="block2-1"),
        subject.change_head("cls", name="mine"),
        subject.change_head("mine", keys={"num_classes": 5, "activation": "silu"}),
    ]
    assert lost == [False, False, False], "nothing had been trained"
    assert torch.equal(state, torch.get_rng_state())
    block, head = subject.heads()["mine"]
    assert block == "block2-1" and head.config["in_plane"] == 16 and head.config["activation"] == "silu"
    assert set(subject.heads()) == {"mine", "other"} and subject.inspection["mine"].params == 16 * 5 + 5
    shapes = {name: tuple(y.shape) for name, y in subject.go_live("cpu")(torch.rand(1, 3, 64, 64)).items()}
    assert shapes == {"mine": (1, 5), "other": (1, 2)}


@pytest.mark.parametrize("adopted", [False, True])
def test_what_a_head_has_learnt_goes_with_it_where_it_fits(adopted):
    subject = Explored(ck.build_model(SMALL) if adopted else SMALL)
    subject.go_live("cpu")
    subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
    trained_head(subject, "cls")
    for change in ({"block": "block1-1"}, {"name": "mine"}, {"name": "cls"}, {"keys": {"activation": "silu"}}):
        now = next(iter(subject.heads()))
        assert subject.change_head(now, **change) is False
        running = subject.head_with_weights(next(iter(subject.heads())))
        assert not running.is_untrained and running.fc.weight.eq(0.5).all(), change
    before = subject.heads()
    assert subject.change_head("cls", block="block2-0") is True
    assert subject.head_with_weights("cls").is_untrained
    subject.put_heads(before)  # undone
    assert subject.head_with_weights("cls").fc.weight.eq(0.5).all()


@pytest.mark.parametrize("change, words", [
    ({"unique_id": "nothing", "name": "x"}, "no head 'nothing'"),
    ({"block": "nowhere"}, "nowhere"),
    ({"name": "other"}, "already has a head 'other'"),
    ({"keys": {"num_classes": 0}}, "num_classes"),
    ({"keys": {"colour": "red"}}, "colour"),
    ({"keys": {"in_plane": 3}}, "in_plane is no key to edit"),
    ({"keys": {"unique_id": "x"}}, "unique_id is no key to edit"),
])  # fmt: skip
def test_a_change_that_makes_no_sense_changes_nothing(change, words):
    subject = Explored(SMALL)
    subject.go_live("cpu")
    subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
    subject.attach_head("block1-0", "linear_probe", "other", {"num_classes": 2})
    before, heads = subject.config, subject.live.get_heads()
    with pytest.raises(ClassyKitError, match=words):
        subject.change_head(**{"unique_id": "cls", **change})
    assert subject.config == before and subject.live.get_heads() == heads


def test_a_head_that_does_not_fit_the_other_block_stays():
    subject = Explored("vit_demo")
    subject.attach_head(subject.inspection.trunk[-1].name, "vision_transformer_head", "cls", {"num_classes": 3})
    before = subject.config
    with pytest.raises(HeadError, match="wants a vector"):
        subject.change_head("cls", block="layer_0")
    assert subject.config == before


def test_a_head_of_ones_own_is_moved_and_renamed_but_has_no_keys():
    class Mean(ClassyHead):
        def forward(self, x):
            return x.mean((2, 3))

    subject = Explored(SMALL)
    subject.attach_head("block1-0", Mean("mean"), None, {})
    subject.change_head("mean", block="block2-0", name="average")
    assert {name: block for name, (block, _) in subject.heads().items()} == {"average": "block2-0"}
    with pytest.raises(HeadError, match="a kind of your own"):
        subject.change_head("average", keys={"num_classes": 3})
    assert subject.go_live("cpu")(torch.rand(1, 3, 64, 64)).shape == (1, 16)
