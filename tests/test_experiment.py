"""classykit.Experiment: one description; to and from JSON, and to code that does what it says."""

import json

import pytest

import classykit as ck
from classykit.errors import ConfigError

HEADED = {
    "name": "resnet18", "init_planes": 8,
    "heads": [
        {"name": "fully_connected", "unique_id": "it's \"x\"\n", "in_plane": 8, "num_classes": 3,
         "fork_block": "block0-0"},
        {"name": "identity", "unique_id": "é", "fork_block": "block1-0"},
    ],
}  # fmt: skip
EXPERIMENTS = {
    "a name": ck.Experiment({"name": "resnet18"}),
    "everything": ck.Experiment(HEADED, image="grace_hopper", block="block1-0"),
    "a tuple": ck.Experiment(
        {"name": "resnext", "num_blocks": [1], "init_planes": 8, "base_width_and_cardinality": (4, 2)}),
    "nested": ck.Experiment(
        {"name": "efficientnet", "use_se": False, "drop_connect_rate": None, "model_params": {
            "width_coefficient": 0.1, "depth_coefficient": 0.1, "resolution": 32, "dropout_rate": 0.2}},
        image="grace_hopper"),
}  # fmt: skip


def run(code):
    names = {}
    exec(compile(code, "to_code", "exec"), names)
    return names


@pytest.mark.parametrize("label", EXPERIMENTS)
def test_json_round_trip(label):
    e = EXPERIMENTS[label]
    again = ck.Experiment.from_json(e.to_json())
    assert again == e and again.to_json() == e.to_json() and again.to_code() == e.to_code()
    assert json.loads(e.to_json())["config"]["name"] == e.config["name"]


@pytest.mark.parametrize("label", EXPERIMENTS)
def test_the_code_builds_the_config(label):
    e = EXPERIMENTS[label]
    done = run(e.to_code())
    model, wanted = done["model"], ck.build_model(e.config)
    assert str(model) == str(wanted.eval()) and not model.training
    assert model.config.get("heads") == wanted.config.get("heads")
    if e.image is not None:
        assert done["x"].shape == (1, *model.input_shape)
    if e.block is not None:
        assert done["features"].shape == (1, 16, 28, 28) and done["output"]["é"].shape == (1, 16, 28, 28)


def test_the_code_says_what_the_weights_are():
    assert "random weights" in EXPERIMENTS["a name"].to_code()
    code = ck.Experiment({"name": "efficientnet_lite0"}, pretrained=True).to_code()
    assert 'ck.load_pretrained("efficientnet_lite0")' in code and "random" not in code


def test_the_device_is_in_the_code():
    code = ck.Experiment({"name": "resnet18"}, image="cat", device="cuda:0").to_code()
    assert code.count('.to("cuda:0")') == 2


def test_a_module_of_the_users():
    code = ck.Experiment({"name": "Net"}, adopted="Net").to_code()
    assert "ck.ClassyModel.from_model(module)  # your Net" in code


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", "5", "null", '{"config": 5}', "{}", '{"config": {}}', '{"config": {"name": "a"}, "x": 1}'],
)
def test_what_is_no_experiment(text):
    with pytest.raises(ConfigError):
        ck.Experiment.from_json(text)


@pytest.mark.parametrize("config", [5, {}, {"name": "resnet18", "x": object()}])
def test_what_is_no_config(config):
    with pytest.raises(ConfigError):
        ck.Experiment(config)
