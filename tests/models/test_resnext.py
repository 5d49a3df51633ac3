"""classykit.models.resnext against ClassyVision: names, keys, shapes, outputs, training, states old and new."""

import copy
import re

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, StateError
from classykit.models import ResNeXt
from classykit.models.factory import MODELS

NAMES = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnext50_32x4d", "resnext101_32x4d", "resnext152_32x4d",
]  # fmt: skip
BASE = {"name": "resnext", "num_blocks": [1, 2], "init_planes": 8}
OPTIONS = {
    "resnext": {},
    "resnet": {"name": "resnet", "base_width_and_cardinality": None},
    "init_planes": {"init_planes": 12},
    "reduction": {"reduction": 3},
    "small_input": {"small_input": True},
    "small_input, basic_layer": {"small_input": True, "basic_layer": True},
    "basic_layer": {"basic_layer": True},
    "basic_layer, reduction": {"basic_layer": True, "reduction": 2},
    "base_width_and_cardinality": {"base_width_and_cardinality": [4, 2]},
    "final_bn_relu": {"final_bn_relu": False},
    "final_bn_relu, basic_layer": {"final_bn_relu": False, "basic_layer": True},
    "use_se": {"use_se": True},
    "use_se, final_bn_relu": {"use_se": True, "final_bn_relu": False},
    "se_reduction_ratio": {"use_se": True, "se_reduction_ratio": 4, "basic_layer": True},
    "zero_init_bn_residuals": {"zero_init_bn_residuals": True},
    "one stage": {"num_blocks": [2]},
    "five stages": {"num_blocks": [1, 1, 1, 1, 1]},
}


@pytest.fixture(params=OPTIONS)
def option(request):
    return {**BASE, **OPTIONS[request.param]}


def test_every_registered_name_is_tested():
    named = [n for n, e in MODELS._entries.items() if e.cls is ResNeXt and e.defaults]
    assert sorted(named) == sorted(NAMES)


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_outputs):
    config = {**BASE, **OPTIONS[label]}
    label = f"resnext: {label}"
    assert_same_shell(config, label)
    assert_same_outputs(config, label)


def test_training(option, assert_same_outputs, assert_trains_the_same, input_for):
    ours, theirs = assert_same_outputs(option, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=4, dtype=torch.float64), 1e-9)


def test_initial_weights_are_drawn_from_the_same_distribution(reference):
    config = {**BASE, "init_planes": 64, "zero_init_bn_residuals": True}
    torch.manual_seed(0)
    ours, theirs = ck.build_model(config).state_dict(), reference(config).state_dict()
    drawn = [key for key, ref in theirs.items() if ref.ndim == 4 and ref.numel() > 4000]
    assert len(drawn) == 12 and ours.keys() == theirs.keys()
    for key, ref in theirs.items():
        if key in drawn:
            assert ours[key].std().item() == pytest.approx(ref.std().item(), rel=0.1), key
            assert abs(ours[key].mean()) < ref.std() / 10
        elif ref.ndim < 4:
            assert torch.equal(ours[key], ref), key


def test_small_input_keeps_a_named_models_blocks():
    for name in ("resnet50", "resnet18"):
        plain, small = ck.build_model(name, device="meta"), ck.build_model(name, device="meta", small_input=True)
        assert small.input_shape == (3, 32, 32)
        assert plain.blocks.state_dict().keys() == small.blocks.state_dict().keys()


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"num_blocks": None}, "num_blocks"),
        ({"num_blocks": []}, "num_blocks"),
        ({"num_blocks": [0]}, "num_blocks.0"),
        ({"num_blocks": [1.0]}, "num_blocks.0"),
        ({"init_planes": -1}, "init_planes"),
        ({"init_plane": 8}, "init_planes"),
        ({"base_width_and_cardinality": [4]}, "base_width_and_cardinality"),
        ({"small_input": 1}, "small_input"),
        ({"use_se": True, "se_reduction_ratio": 64}, "at most 32"),
        ({"name": "resnet", "base_width_and_cardinality": [4, 32]}, "base_width_and_cardinality"),
    ],
)
def test_bad_keys(keys, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        ck.build_model({**BASE, **keys}, device="meta")


class TestStates:
    def head(self, planes):
        return {"name": "fully_connected", "unique_id": "cls", "in_plane": planes, "num_classes": 3}

    @pytest.fixture
    def pair(self, reference, randomise):
        config = {**BASE, "heads": [{**self.head(64), "fork_block": "block1-1"}, {
            **self.head(32), "unique_id": "other", "fork_block": "block0-0"}]}  # fmt: skip
        theirs = reference(config, wrapped=True)
        randomise(theirs.classy_model)
        return ck.build_model(config).eval(), theirs.eval(), torch.randn(2, 3, 64, 64)

    def test_old_states_load_and_stay_as_they_are(self, pair):
        ours, theirs, x = pair
        old = copy.deepcopy(theirs.get_classy_state())
        del old["version"]
        pattern = re.compile(r"^blocks\.(\d+)\.block\d+-(\d+)\.")
        old["model"]["trunk"] = {pattern.sub(r"blocks.\1.\2._module.", k): v for k, v in old["model"]["trunk"].items()}
        assert "blocks.0.0._module.convolutional_block.0.weight" in old["model"]["trunk"]
        kept, keys = old["model"]["trunk"], list(old["model"]["trunk"])
        for _ in range(2):
            ours.set_classy_state(old)
            assert "version" not in old and old["model"]["trunk"] is kept and list(kept) == keys
        torch.testing.assert_close(ours(x)["cls"], theirs(x)["cls"], atol=1e-5, rtol=0)

    def test_an_unknown_version_is_refused(self, pair):
        ours, _, _ = pair
        with pytest.raises(StateError, match="version 9"):
            ours.set_classy_state({**ours.get_classy_state(), "version": 9})
