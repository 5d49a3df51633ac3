"""classykit.Experiment: one description; to and from JSON, and to code that does what it says."""

import ast
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import classykit as ck
from classykit.clips import load_clip
from classykit.errors import ConfigError
from classykit.experiment import Experiment, described
from classykit.nested import Inputs

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


LEARNT = ck.Experiment(HEADED, image="grace_hopper", learnt=(HEADED["heads"][0]["unique_id"], "gone"))


class TestWhatHeadsHaveLearnt:
    def test_it_is_kept_and_said(self):
        again = ck.Experiment.from_json(LEARNT.to_json())
        assert again == LEARNT and again.learnt == LEARNT.learnt and again != EXPERIMENTS["everything"]
        code = again.to_code()
        assert code.count("learnt is not in the lines above") == 1 and "gone" not in code
        assert run(code)["output"]["é"].shape == (1, 16, 28, 28)

    @pytest.mark.parametrize("odd", ["cls", 5, [5], {"cls": 1}])
    def test_what_is_no_names(self, odd):
        with pytest.raises(ConfigError, match="learnt is the unique_ids of heads"):
            ck.Experiment(HEADED, learnt=odd)

    def test_none_of_them(self):
        assert "learnt" not in EXPERIMENTS["everything"].to_code() + EXPERIMENTS["everything"].to_json()

    def test_the_lines_of_the_comment_bring_it_along(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        app = ck.explore({"name": "resnet18", "init_planes": 8}, image="cat")
        app.attach_head("block3-1", "fully_connected", "random", num_classes=2)
        assert "learnt" not in app.to_code()
        app.run()
        assert "learnt" not in app.to_code()
        mine = ck.heads.FullyConnectedHead("mine", num_classes=3, in_plane=64)
        app.attach_head("block3-1", mine)
        code = app.to_code()
        assert 'What head "mine" has learnt is not in the lines above' in code
        bare, kept = run(code), code.replace("# ck.", "ck.")
        assert not torch.equal(bare["output"]["mine"], app.run().output["mine"])
        exec(kept, done := {"app": app})
        for name, wanted in app.run().output.items():
            torch.testing.assert_close(done["output"][name], wanted)

    def test_of_a_module_of_the_users(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 4), torch.nn.ReLU())
        app = ck.explore(module, image="cat")
        app.attach_head(app.inspection.trunk[-1].name, ck.heads.FullyConnectedHead("mine", num_classes=3, in_plane=4))
        app.run()
        exec(app.to_code().replace("# ck.", "ck."), done := {"app": app, "module": module})
        torch.testing.assert_close(done["output"], app.run().output)


def test_the_device_is_in_the_code():
    code = ck.Experiment({"name": "resnet18"}, image="cat", device="cuda:0").to_code()
    assert code.count('.to("cuda:0")') == 2


def test_a_module_of_the_users():
    code = ck.Experiment({"name": "Net"}, adopted="Net").to_code()
    assert "ck.ClassyModel.from_model(module)  # your Net" in code


VIDEO = {"name": "r3d_18", "num_blocks": [1, 1], "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32}
LAST = "pathway0-stage2-block0"


class TestClips:
    @pytest.mark.parametrize("clip", ["moving shapes", "other paths", "shapes at rest"])
    @pytest.mark.parametrize("key", [None, 'it\'s "it"'])
    def test_the_code_runs_on_the_clip(self, clip, key):
        config = VIDEO if key is None else {**VIDEO, "input_key": key}
        e = ck.Experiment(config, clip=clip, block=LAST)
        again = ck.Experiment.from_json(e.to_json())
        assert again == e and again.to_code() == e.to_code()
        done = run(e.to_code())
        x = done["x"] if key is None else done["x"][key]
        assert torch.equal(x, ck.preprocess_clip(load_clip(clip), done["model"]))
        assert done["features"].shape == (1, 8, 8, 8, 8) and torch.equal(done["features"], done["output"])

    def test_the_users_own(self):
        code = ck.Experiment(VIDEO, clip="your clip", block=LAST).to_code()
        assert "ck.preprocess_clip(clip, model)  # clip: an array (T, H, W, 3)" in code
        mine = np.zeros((4, 20, 20, 3), np.uint8)
        exec(code, done := {"clip": mine})
        assert torch.equal(done["x"], ck.preprocess_clip(mine, done["model"]))

    def test_a_module_of_the_users(self):
        e = ck.Experiment({"name": "Conv3d"}, clip="moving shapes", adopted="Conv3d", input_shape=(3, 4, 24, 24))
        again = ck.Experiment.from_json(e.to_json())
        assert again.to_code() == e.to_code()
        exec(e.to_code(), done := {"module": torch.nn.Conv3d(3, 2, 3)})
        assert done["x"].shape == (1, 3, 4, 24, 24) and done["output"].shape == (1, 2, 2, 22, 22)

    def test_the_device(self):
        code = ck.Experiment({**VIDEO, "input_key": "v"}, clip="moving shapes", device="cuda:0").to_code()
        assert code.count('.to("cuda:0")') == 2 and '{"v": ck.preprocess_clip(ck.moving_shapes(), model).to(' in code


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


class TestFromSomebodyElse:
    """What a file may hold that was not written here: code is made of it, and must be the code that it seems to be."""

    EVIL = "a=__import__('os').system('echo pwned'),b"

    def calls(self, code):
        return {ast.unparse(node.func) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)}

    @pytest.mark.parametrize("described", [
        {"config": {"name": "x", EVIL: 1}},
        {"config": {"name": "x", "a b": 1}},
        {"config": {"name": "x", "class": 1}},
        {"config": {"name": "x", "heads": [{"name": "a", "fork_block": "b", EVIL: 1}]}},
        {"config": {"name": "x", "heads": 5}},
        {"config": {"name": "x", "heads": [{"name": "a"}]}},
        {"config": {"name": "x"}, "adopted": 5},
        {"config": {"name": "x"}, "device": ["cpu"]},
        {"config": {"name": "x"}, "adopted": "Net", "input_shape": "(3,), __import__('os')"},
        {"config": {"name": "x"}, "adopted": "Net", "input_shape": ["a"]},
        {"config": {"name": "x"}, "adopted": "Net", "example": "__import__('os').system('x')"},
        {"config": {"name": "x"}, "adopted": "Net", "example": {"args": 5, "kwargs": {}}},
        {"config": {"name": "x"}, "adopted": "Net", "example": {"args": [], "kwargs": {EVIL: 1}}},
        {"config": {"name": "x"}, "adopted": "Net",
         "example": {"args": [{"shape": ["a"], "dtype": "int64"}], "kwargs": {}}},
        {"config": {"name": "x"}, "adopted": "Net", "example": {"args": [{"shape": [2], "dtype": EVIL}], "kwargs": {}}},
        {"config": {"name": "x"}, "adopted": "Net", "example": {"args": [{"odd": 1}], "kwargs": {}}},
        {"config": {"name": "x"}, "adopted": "Net", "example": {"args": [{"shape": 5, "dtype": "int8"}], "kwargs": {}}},
        {"config": 5}, 5, [], None, {}, {"odd": 1}, {"config": {}},
    ])  # fmt: skip
    def test_what_is_refused(self, described):
        with pytest.raises(ConfigError):
            Experiment.from_json(json.dumps(described))

    @pytest.mark.parametrize("text", ["", "{", "nan", "[" * 5000])
    def test_what_is_no_json(self, text):
        with pytest.raises(ConfigError):
            Experiment.from_json(text)

    @pytest.mark.parametrize("name", ["Net\nimport os\nos.system('x')\n#", "Net\rimport os", "Net\u2028import os"])
    def test_a_class_of_an_odd_name_is_one_comment(self, name):
        code = Experiment({"name": name}, adopted=name, image=name, block=name).to_code()
        assert self.calls(code) == {"ck.ClassyModel.from_model", "model.eval", "ck.preprocess", "model", "ck.capture"}
        imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import)]
        assert [alias.name for node in imports for alias in node.names] == ["classykit"]

    @given(st.text(), st.text(), st.dictionaries(st.text(max_size=4), st.integers() | st.text(), max_size=2))
    def test_any_texts(self, name, image, keys):
        try:
            code = Experiment({"name": name, **keys}, image=image, block=name).to_code()
        except ConfigError:
            return
        assert self.calls(code) <= {"ck.build_model", "model.eval", "ck.preprocess", "model", "ck.capture"}
        code.encode()

    def test_an_example_comes_back_from_json(self):
        ids = torch.zeros(2, 5, dtype=torch.long)
        example = described(Inputs(ids, [torch.ones(3)], mask={"a": torch.rand(2)}, flag=True))
        experiment = Experiment({"name": "Net"}, adopted="Net", example=example)
        again = Experiment.from_json(experiment.to_json())
        assert again.to_code() == experiment.to_code()
        assert 'mask={"a": torch.rand(2)}, flag=True' in again.to_code()


def test_a_digit_as_a_vector():
    config = {"name": "mlp", "input_dim": 64, "output_dim": 3, "hidden_dims": [4]}
    e = ck.Experiment(config, image="digit 7", digit_side=8)
    assert "x = ck.datasets.digit(7, 8).flatten(1)\n" in e.to_code() and ck.Experiment.from_json(e.to_json()) == e
    names = {}
    exec(e.to_code(), names)
    assert names["output"].shape == (1, 3)


@pytest.mark.parametrize("image, side", [("cat", 8), (None, 8), ("digit 7", "8"), ("digit 12", 8), ("digit 7", True)])
def test_what_is_no_digit(image, side):
    with pytest.raises(ConfigError, match="digit_side"):
        ck.Experiment({"name": "mlp"}, image=image, digit_side=side)
