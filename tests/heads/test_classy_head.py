"""classykit.heads.classy_head: which heads there are, what they take, what they say when they get something else."""

import inspect

import pytest
import torch
from odd import TB, NothingLarge

from classykit import heads
from classykit.errors import ConfigError, DeviceError, DuplicateNameError, HeadError, UnknownNameError
from classykit.features import Features
from classykit.heads import ClassyHead, build_head, heads_that_fit, list_heads, register_head
from classykit.models import build_model

FITTING = {
    "a 2-D map": {"fully_connected", "identity", "linear_probe"},
    "a 3-D map": {"fully_convolutional_linear", "identity", "linear_probe"},
    "tokens": {"identity", "linear_probe"},
    "a vector": {"identity", "linear_probe", "vision_transformer_head"},
}
#: those that take one kind of features
OF_ONE_KIND = ["fully_connected", "fully_convolutional_linear", "vision_transformer_head"]
PLANE = {"unique_id": "h", "in_plane": 6, "num_classes": 5}


@pytest.mark.parametrize("kind", FITTING)
def test_the_heads_that_fit(kind, inputs):
    features = Features.of(inputs[kind], 2)
    assert set(heads_that_fit(features)) == FITTING[kind]


@pytest.mark.parametrize("name", OF_ONE_KIND)
@pytest.mark.parametrize("kind", FITTING)
def test_another_kind_of_features_is_refused_in_words(name, kind, inputs):
    head = build_head({**PLANE, "name": name})
    if name in FITTING[kind]:
        assert head(inputs[kind]).shape == (2, 5)
        return
    with pytest.raises(HeadError, match=r"'h' .* takes .* was given a tensor of shape \(2, "):
        head(inputs[kind])


@pytest.mark.parametrize("name", [*OF_ONE_KIND, "linear_probe"])
def test_other_channels_are_refused_with_the_number_to_use(name, inputs):
    head = build_head({**PLANE, "name": name, "in_plane": 9})
    kind = next(k for k in FITTING if name in FITTING[k])
    with pytest.raises(HeadError, match=r"expects 9 channels, it was given 6.*in_plane=6"):
        head(inputs[kind])


@pytest.mark.parametrize("name", [*OF_ONE_KIND, "linear_probe"])
def test_a_head_of_two_terabytes_is_described_and_not_built(name):
    config = {"name": name, "unique_id": "cls", "in_plane": 2**20, "num_classes": 2**20}
    with NothingLarge():
        with pytest.raises(DeviceError, match=r"head 'cls': its weights need 4.40 TB"):
            build_head(config)
        with torch.device("meta"):
            head = build_head(config)
    assert sum(p.numel() for p in head.parameters()) * 4 >= 2 * TB
    assert {*OF_ONE_KIND, "linear_probe"} == set(list_heads()) - {"identity"}


@pytest.mark.parametrize(
    "config, words", [({"unique_id": "h"}, "'name'"), ({"name": "identity"}, "'unique_id'"), ("identity", "dict")]
)
def test_bad_configs(config, words):
    with pytest.raises(ConfigError, match=words):
        build_head(config)


def test_an_unknown_head_is_suggested():
    with pytest.raises(UnknownNameError, match="'fully_connected'"):
        build_head({"name": "fully_conected", "unique_id": "h"})


def test_registering():
    assert list_heads("fully_*") == ["fully_connected", "fully_convolutional_linear"]
    with pytest.raises(DuplicateNameError):
        register_head("identity")(type("Another", (ClassyHead,), {}))
    with pytest.raises(ConfigError, match="ClassyHead"):
        register_head("no_head")(torch.nn.Linear)
    assert "no_head" not in list_heads()


@pytest.mark.parametrize(
    "name", ["FullyConnectedHead", "FullyConvolutionalLinearHead", "IdentityHead", "VisionTransformerHead"]
)
def test_arguments_in_classyvisions_order(name):
    theirs = getattr(pytest.importorskip("classy_vision.heads"), name)
    ours = getattr(heads, name)
    names = ours.positional or tuple(ours.Config.model_fields)
    assert names == tuple(inspect.signature(theirs.__init__).parameters)[1:]


def test_arguments_in_order_and_by_name():
    head = heads.FullyConnectedHead("cls", 10, in_plane=4, conv_planes=6)
    assert head(torch.rand(2, 4, 3, 3)).shape == (2, 10)
    assert head.config == build_head(head.config).config
    assert heads.VisionTransformerHead("v", 5, 8, 6).layers.head.weight.shape == (8, 6)
    assert heads.IdentityHead().unique_id == "IdentityHead" and heads.IdentityHead("z").unique_id == "z"
    for args, keys in ((("a", 1, 2, 3, "relu", False, None, 8), {}), (("a", 3), {"unique_id": "b", "in_plane": 2})):
        with pytest.raises(ConfigError, match=r"takes, in this order or by name: unique_id, num_classes, in_plane"):
            heads.FullyConnectedHead(*args, **keys)


def test_a_key_that_does_nothing_is_dropped_with_a_warning():
    config = {"name": "identity", "unique_id": "i", "num_classes": 3, "in_plane": 4, "fork_block": "b"}
    with pytest.warns(UserWarning, match="'in_plane' does nothing here, as in ClassyVision"):
        assert "in_plane" not in build_head(config).config
    with pytest.raises(ConfigError, match="inplane"):
        build_head({"name": "identity", "unique_id": "i", "inplane": 4})


def test_weights_are_taken_over_with_whether_they_are_trained():
    def head(**keys):
        model = build_model({"name": "resnet18", "init_planes": 4})
        return model.attach_head("block1-0", "fully_connected", unique_id="cls", **keys)

    first, second, wider = head(num_classes=3), head(num_classes=3), head(num_classes=4)
    assert second.take_weights(first) and second.fc.weight.equal(first.fc.weight) and second.is_untrained
    with torch.no_grad():
        first.fc.weight.add_(1)
    assert not second.fc.weight.equal(first.fc.weight), "a copy"
    assert second.take_weights(first) and not second.is_untrained
    assert not wider.take_weights(first) and wider.is_untrained
