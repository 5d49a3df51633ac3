"""classykit.models.densenet against ClassyVision: names, keys, shapes, blocks, outputs, training, states."""

import copy
import re
import time

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, StateError
from classykit.models import DenseNet

#: ClassyVision has the family only
NAMED = {
    "densenet121": {"num_blocks": [6, 12, 24, 16]},
    "densenet161": {"num_blocks": [6, 12, 36, 24], "init_planes": 96, "growth_rate": 48},
    "densenet169": {"num_blocks": [6, 12, 32, 32]},
    "densenet201": {"num_blocks": [6, 12, 48, 32]},
}
PARAMETERS = {"densenet121": 7_978_856, "densenet161": 28_681_000, "densenet169": 14_149_480, "densenet201": 20_013_928}
BASE = {"name": "densenet", "num_blocks": [2, 3], "init_planes": 8, "growth_rate": 4}
OPTIONS = {
    "num_blocks": {},
    "one stage": {"num_blocks": [2]},
    "five stages": {"num_blocks": [1, 1, 2, 1, 1]},
    "num_classes": {"num_classes": 10},
    "init_planes": {"init_planes": 5},
    "growth_rate": {"growth_rate": 7},
    "expansion": {"expansion": 2},
    "small_input": {"small_input": True},
    "final_bn_relu": {"final_bn_relu": False},
    "use_se": {"use_se": True, "growth_rate": 16},
    "se_reduction_ratio": {"use_se": True, "se_reduction_ratio": 3},
}
CANONICAL = r"initial_block|block\d+-\d+|transition-\d+|trunk_output"


@pytest.mark.parametrize("name", NAMED)
def test_named_model(name, assert_same_shell, assert_same_blocks, assert_same_results):
    ours, theirs = assert_same_shell({"name": "densenet", **NAMED[name]}, name)
    assert_same_results(copy.deepcopy(ours), copy.deepcopy(theirs), name, (3, 32, 32))
    named = ck.build_model(name, device="meta")
    assert str(named) == str(ours)
    assert_same_blocks(named, theirs, CANONICAL)
    assert named.input_shape == theirs.input_shape == (3, 224, 224)

    params = sum(p.numel() for p in named.parameters())
    probe = {"name": "linear_probe", "num_classes": 3}
    named.set_heads({b: [{**probe, "unique_id": f"at {b}"}] for b in named.block_names})
    inspection = ck.inspect(named)
    rows, heads = ([b for b in inspection.blocks if b.is_head == is_head] for is_head in (False, True))
    assert [b.name for b in rows] == named.block_names, "in the order of a pass"
    assert sum(b.params for b in rows) == params and not inspection.uncounted
    assert all(b.params > 0 and b.heads == (f"at {b.name}",) for b in rows)
    assert {h.name: h.output_shape for h in heads} == {f"at {b}": (3,) for b in named.block_names}
    assert {b.type for b in rows} == {
        "stem 7×7", f"dense layer, {NAMED[name].get('growth_rate', 32)} more channels",
        "transition 1×1, average pooling 2×2", "BatchNorm, ReLU",
    }  # fmt: skip

    # the paper's models have a classifier, which is our head
    named.set_heads({"trunk_output": [{"name": "fully_connected", "unique_id": "cls", "num_classes": 1000}]})
    assert sum(p.numel() for p in named.parameters()) == PARAMETERS[name]


def test_every_registered_name_is_tested():
    assert ck.list_models("densenet*") == ["densenet", *NAMED]


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_blocks, assert_same_outputs):
    config, label = {**BASE, **OPTIONS[label]}, f"densenet: {label}"
    ours, theirs = assert_same_shell(config, label)
    assert_same_blocks(ours, theirs, CANONICAL)
    assert_same_outputs(config, label)


@pytest.mark.parametrize("label", OPTIONS)
def test_training(label, assert_same_outputs, assert_trains_the_same, input_for):
    ours, theirs = assert_same_outputs({**BASE, **OPTIONS[label]}, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=4, dtype=torch.float64), 1e-9)


def test_initial_weights_are_drawn_from_the_same_distribution(reference):
    config = {**BASE, "init_planes": 64, "growth_rate": 64, "use_se": True}
    torch.manual_seed(0)
    ours, theirs = ck.build_model(config).state_dict(), reference(config).state_dict()
    drawn = [key for key, ref in theirs.items() if ref.ndim == 4 and ref.numel() > 4000]
    assert len(drawn) == 12 and ours.keys() == theirs.keys()
    for key, ref in theirs.items():
        if key in drawn:
            assert ours[key].std().item() == pytest.approx(ref.std().item(), rel=0.1), key
            assert abs(ours[key].mean()) < ref.std() / 10
        elif ref.ndim < 4 and ".se." not in key:
            assert torch.equal(ours[key], ref), key


@pytest.mark.parametrize("final_bn_relu", [True, False])
def test_a_head_sees_what_each_block_gave(final_bn_relu, randomise):
    model = randomise(ck.build_model({**BASE, "final_bn_relu": final_bn_relu})).eval()
    x = torch.randn(2, 3, 64, 64)
    alone = {b: ck.capture(model, x, [b])[b].clone() for b in model.block_names}
    features = model(x)
    model.set_heads({b: [{"name": "identity", "unique_id": b}] for b in model.block_names})
    outputs = model(x)
    for block, wanted in alone.items():
        torch.testing.assert_close(outputs[block], wanted, rtol=0, atol=0)
    assert torch.equal(outputs["trunk_output"], features)
    assert torch.equal(outputs["block0-0"][:, :8], outputs["initial_block"]), "a dense layer passes its input on"


def test_containers_are_reached_by_name(randomise):
    model = randomise(ck.build_model(BASE)).eval()
    seen = ck.capture(model, torch.randn(1, 3, 64, 64), ["block_0", "block0-1", "features.block_1.block1-0.norm-1"])
    assert torch.equal(seen["block_0"], seen["block0-1"])
    assert seen["features.block_1.block1-0.norm-1"].min() < 0, "not what the in-place ReLU left"


def test_small_input():
    model = ck.build_model("densenet121", device="meta", small_input=True)
    assert model.input_shape == (3, 32, 32) and model(model.example_input(1, "meta")).shape == (1, 1024, 4, 4)


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"num_blocks": None}, "num_blocks"),
        ({"num_blocks": []}, "num_blocks"),
        ({"num_blocks": [2, 0]}, "num_blocks.1' = 0"),
        ({"num_blocks": [1024, 1]}, "at most 1024"),
        ({"init_planes": 0}, "'init_planes' = 0"),
        ({"growth_rate": "32"}, "growth_rate"),
        ({"expansion": 2.0}, "expansion"),
        ({"small_input": 1}, "small_input"),
        ({"final_bn_relu": "no"}, "final_bn_relu"),
        ({"use_se": True}, "se_reduction_ratio = 16 leaves no channel of growth_rate = 4; use at most 4"),
        ({"se_ratio": 16}, "se_reduction_ratio"),
    ],
)
def test_bad_keys(keys, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        ck.build_model({**BASE, **keys}, device="meta")


def test_a_missing_key_is_explained():
    with pytest.raises(ConfigError, match="densenet: key 'num_blocks' is required"):
        ck.build_model("densenet")


def test_nothing_is_built_before_the_config_is_checked():
    start = time.perf_counter()
    with pytest.raises(ConfigError, match=r"'num_blocks' = .* makes 12288 layers"):
        ck.build_model("densenet121", num_blocks=[1024] * 12, growth_rate=2**20)
    assert time.perf_counter() - start < 1


def test_a_named_model_takes_every_key_of_its_family():
    keys = {
        "num_blocks": [1, 2], "init_planes": 6, "growth_rate": 4, "expansion": 2, "small_input": True,
        "final_bn_relu": False, "use_se": True, "se_reduction_ratio": 2, "in_channels": 2,
    }  # fmt: skip
    assert keys.keys() == DenseNet.Config.model_fields.keys()
    named, family = (
        ck.build_model("densenet161", device="meta", **keys),
        ck.build_model("densenet", device="meta", **keys),
    )
    assert str(named) == str(family)


class TestStates:
    @pytest.fixture
    def pair(self, reference, randomise):
        head = {"name": "fully_connected", "unique_id": "cls", "in_plane": 20, "num_classes": 3}
        config = {**BASE, "heads": [{**head, "fork_block": "trunk_output"}, {
            **head, "unique_id": "early", "in_plane": 16, "fork_block": "block0-1"}]}  # fmt: skip
        theirs = reference(config, wrapped=True)
        randomise(theirs.classy_model)
        return ck.build_model(config).eval(), theirs.eval(), torch.randn(2, 3, 64, 64)

    def test_old_states_load_and_stay_as_they_are(self, pair):
        ours, theirs, x = pair
        old = copy.deepcopy(theirs.get_classy_state())
        old["model"]["trunk"] = {
            re.sub(r"\.(norm|conv)-([12])\.", r".\1.\2.", k): v for k, v in old["model"]["trunk"].items()
        }
        keys = list(old["model"]["trunk"])
        assert "features.block_0.block0-0.norm.1.running_mean" in keys
        ours.set_classy_state(old)
        assert list(old["model"]["trunk"]) == keys
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)

    def test_a_state_with_both_forms_is_refused(self, pair):
        ours, _, _ = pair
        state = ours.get_classy_state(deep_copy=True)
        before = {k: v.clone() for k, v in ours.state_dict().items()}
        state["model"]["trunk"]["features.block_0.block0-0.norm.1.weight"] = torch.zeros(8)
        with pytest.raises(StateError, match=r"norm\.1\.weight"):
            ours.set_classy_state(state)
        assert all(torch.equal(v, before[k]) for k, v in ours.state_dict().items())
