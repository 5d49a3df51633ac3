"""classykit.exploring.panes.layers: the layers of a block, what opens, and one value taken apart."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring.explored import Explored
from classykit.exploring.panes.layers import LayersPane
from classykit.exploring.pixels import pack
from classykit.exploring.scene import Scene

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 240, 3), dtype=np.uint8))


def opened(model, block=None, example=None, ran=True):
    scene = Scene(Explored(model, example), "cpu", PICTURE, PICTURE, "moving shapes")
    if block is not None:
        scene.choose(block)
    pane = LayersPane(scene, lambda words, done, total: None)
    if ran:
        scene.run()
    refresh(pane)
    return pane


def refresh(pane):
    """What the app does after each message."""
    for _ in range(3):
        if not pane.due:
            return
        pane.work()
    raise AssertionError("it asks for work for ever")


def act(pane, kind, **message):
    pane.acts[kind][1](message)
    refresh(pane)
    return pane.show()[0]


def at(pane, block):
    pane.scene.choose(block)
    refresh(pane)


def one_of(pane):
    state, pixels = pane.show()
    one = state["one"]
    assert one is not None, state["hint"]
    last = one["arrays"][-1]
    assert len(pixels) == 2 * (last["start"] + math.prod(last["shape"]))
    return one


@pytest.fixture(scope="module")
def efficientnet():
    return opened("efficientnet_lite0", "block1-1")


class TestLayers:
    def test_in_order_with_shapes_and_shares_of_the_block(self, efficientnet):
        at(efficientnet, "block1-1")
        state, _ = efficientnet.show()
        rows = state["rows"]
        assert [row["name"] for row in rows] == [
            "expand_conv", "bn0", "act", "depthwise_conv", "bn1", "act", "project_conv", "bn2", "add"]  # fmt: skip
        assert rows[3] == {
            "name": "depthwise_conv", "type": "conv 3×3, a channel each", "output": "144×56×56", "params": "1.30 k",
            "macs": "4.06 M", "share": pytest.approx(0.158, abs=1e-3), "percent": "16 %",
        }  # fmt: skip
        assert (rows[8]["adds"], rows[8]["takes"]) == (True, [-1, 7])
        assert "macs" not in rows[1] and "params" not in rows[2], "what is none is left out"
        assert sum(row.get("share", 0) for row in rows) == pytest.approx(1, abs=1e-3)
        assert (state["crumbs"], state["count"], state["chosen"]) == (["block1-1"], "9 layers", 3)
        assert len(json.dumps(state)) < 3000

    def test_another_block_begins_anew(self, efficientnet):
        at(efficientnet, "block3-0")
        state = act(efficientnet, "layers_choose", index=0)
        assert state["one"]["name"] == "expand_conv"
        at(efficientnet, "stem")
        assert one_of(efficientnet)["name"] == "conv_stem"

    def test_another_model_begins_anew(self, efficientnet):
        scene = Scene(Explored("resnet18"), "cpu", PICTURE, PICTURE, "moving shapes")
        pane = LayersPane(scene, print)
        refresh(pane)
        scene.open(Explored("vit_b_16"))
        scene.choose("layer_1")
        refresh(pane)
        assert [row["name"] for row in pane.show()[0]["rows"]][:2] == ["ln_1", "self_attention"]

    def test_what_has_layers_of_its_own_opens_and_closes(self):
        pane = opened("regnet_y_400mf", "block2-0", ran=False)
        rows = pane.show()[0]["rows"]
        index = next(i for i, row in enumerate(rows) if row["opens"])
        state = act(pane, "layers_open", index=index)
        assert state["crumbs"] == ["block2-0", "f"] and state["rows"][0]["name"] == "a.0"
        assert pane.code().splitlines()[0].endswith('block2-0.f"))')
        with pytest.raises(ConfigError, match=r"a.0 has no layers of its own"):
            act(pane, "layers_open", index=0)
        state = act(pane, "layers_back", depth=0)
        assert state["crumbs"] == ["block2-0"] and state["rows"] == rows

    def test_a_row_that_is_not_there(self, efficientnet):
        with pytest.raises(ConfigError, match="layers 0 to"):
            act(efficientnet, "layers_choose", index=99)

    def test_a_model_that_no_meta_pass_does_is_said_to_be_one(self):
        class Counts(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Conv2d(3, 4, 3)

            def forward(self, x):
                return self.layer(x) * float(x.sum())

        pane = opened(Counts())
        state, _ = pane.show()
        assert state["rows"] == [] and "real numbers" in state["refused"] and state["one"] is None
        assert pane.code() == ""


class TestOneValue:
    def test_a_small_window_in_one_channel_number_by_number(self, efficientnet):
        at(efficientnet, "block1-1")
        state = act(efficientnet, "layers_choose", index=3)
        one = one_of(efficientnet)
        assert (one["name"], one["channels"], one["sides"], one["cells"]) == ("depthwise_conv", 144, [56, 56], "3×3")
        grid = one["grid"]
        assert grid["columns"] == 3 and len(grid["window"]) == len(grid["kernel"]) == len(grid["products"]) == 9
        assert sum(grid["products"]) + one["bias"] == pytest.approx(one["sum"], abs=1e-3)
        assert one["agrees"] and one["check"] == "as torch has it" and "1e-5" in one["within"]
        assert one["macs"] == "9 × 144×56×56 values = 4.06 M MACs"
        assert [step["name"] for step in one["steps"]] == ["bn1", "act"] and one["steps"][1]["how"] == "between 0 and 6"
        assert one["input"]["window"] == [one["at"][0] - 1, one["at"][1] - 1, 3, 3]
        assert one["output"]["at"] == one["at"] and state["hint"] == ""
        assert one["words"].startswith(f"depthwise_conv at channel 0 ({one['at'][0]}, {one['at'][1]}): 9 products add")

    def test_channel_and_place_and_padding(self, efficientnet):
        at(efficientnet, "block1-1")
        act(efficientnet, "layers_choose", index=3)
        one = act(efficientnet, "layers_at", channel=39, at=[0, 17])["one"]
        assert (one["channel"], one["at"], one["grid"]["outside"]) == (39, [0, 17], [True] * 3 + [False] * 6)
        assert one["grid"]["window"][:3] == [0, 0, 0] and one["input"] == {"channel": 39, "window": [-1, 16, 3, 3]}
        for channel, place in ((144, [0, 0]), (0, [56, 0]), (0, [0, -1]), (0, [1, 2, 3]), (0, ["a", 1])):
            with pytest.raises(ConfigError):
                act(efficientnet, "layers_at", channel=channel, at=place)
        assert one_of(efficientnet)["at"] == [0, 17]

    def test_many_products_the_largest_and_what_the_others_add_up_to(self, efficientnet):
        at(efficientnet, "block1-1")
        act(efficientnet, "layers_choose", index=6)
        one = one_of(efficientnet)
        assert one["grid"] is None and len(one["largest"]) == 6 and one["others"]["count"] == 138
        shown = [product for *_, product in one["largest"]]
        assert [abs(p) for p in shown] == sorted(map(abs, shown), reverse=True)
        assert sum(shown) + one["others"]["sum"] + one["bias"] == pytest.approx(one["sum"], abs=1e-2)
        assert one["input"]["channel"] == int(one["largest"][0][0].split()[1])

    def test_the_value_is_the_run_s_own(self, efficientnet):
        at(efficientnet, "block1-1")
        act(efficientnet, "layers_choose", index=3)
        one = act(efficientnet, "layers_at", channel=5, at=[20, 30])["one"]
        model = efficientnet.scene.subject.model
        seen = ck.capture(model, efficientnet.scene.input_for(model), "blocks.block1-1.depthwise_conv")
        value = float(seen["blocks.block1-1.depthwise_conv"][0, 5, 20, 30])
        assert one["sum"] == pytest.approx(value, abs=1e-5)

    def test_another_picture_at_the_same_place(self, efficientnet):
        at(efficientnet, "block1-1")
        act(efficientnet, "layers_choose", index=0)
        before = act(efficientnet, "layers_at", channel=5, at=[20, 30])["one"]
        scene = efficientnet.scene
        scene.picture = PICTURE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        scene.forget()
        assert efficientnet.show()[0]["one"] is None and "Run" in efficientnet.show()[0]["hint"]
        after = act(efficientnet, "layers_run")["one"]
        scene.picture = PICTURE
        assert (after["channel"], after["at"]) == (5, [20, 30]) and after["sum"] != before["sum"]

    def test_the_unit_that_is_looked_at_in_the_block(self, efficientnet):
        at(efficientnet, "block3-1")
        efficientnet.scene.channel, efficientnet.scene.position = 7, (3, 4)
        one = act(efficientnet, "layers_choose", index=6)["one"]
        assert (one["name"], one["channel"], one["at"]) == ("project_conv", 7, [3, 4])
        one = act(efficientnet, "layers_choose", index=0)["one"]
        assert one["channels"] == 480 and one["channel"] == 0

    def test_the_code_gives_the_same(self, efficientnet):
        scene = efficientnet.scene
        at(efficientnet, "block1-1")
        act(efficientnet, "layers_choose", index=3)
        one = act(efficientnet, "layers_at", channel=5, at=[20, 30])["one"]
        code = efficientnet.code()
        assert code.splitlines()[0] == 'print(ck.inspect(model).inside("block1-1"))'
        names = {"ck": ck, "model": scene.subject.model, "x": scene.input_for(scene.subject.model)}
        exec(code.splitlines()[0], names)
        found = eval(code.splitlines()[1], names)
        assert (found.sum, found.channel, found.at) == (one["sum"], 5, (20, 30))

    def test_what_has_no_kernel_says_so(self, efficientnet):
        at(efficientnet, "block1-1")
        state = act(efficientnet, "layers_choose", index=1)
        assert state["one"] is None and state["button"] == ""
        assert (
            state["hint"] == "There is no window and kernel in bn0 to take apart. Choose a layer with a filled square."
        )

    def test_before_a_run(self):
        pane = opened("resnet18", "block0-0", ran=False)
        state, pixels = pane.show()
        assert state["hint"] == "Run the model to see how one value of convolutional_block.0 comes about."
        assert (state["button"], state["one"], pixels, len(state["rows"])) == ("Run", None, b"", 7)
        with pytest.raises(ConfigError, match="choose one, and run"):
            act(pane, "layers_at", channel=0, at=[0, 0])
        state = act(pane, "layers_run")
        assert state["one"]["agrees"] and pane.scene.last is not None

    def test_without_a_picture(self):
        scene = Scene(Explored("resnet18"), "cpu", None, None, "moving shapes")
        pane = LayersPane(scene, lambda words, done, total: None)
        refresh(pane)
        with pytest.raises(ConfigError, match="no picture to run on"):
            act(pane, "layers_run")
        assert pane.show()[0]["button"] == "Run" and not pane.due

    def test_of_a_model_that_is_not_quick_it_is_asked_for(self, monkeypatch):
        monkeypatch.setattr(Scene, "is_quick", False)
        pane = opened("resnet18", "block0-0")
        state, _ = pane.show()
        assert state["button"] == "Calculate" and state["hint"].startswith("Another pass shows")
        assert act(pane, "layers_run")["one"]["agrees"]

    def test_a_model_that_takes_neither_picture_nor_clip(self):
        pane = opened({"name": "mlp", "input_dim": 20, "output_dim": 3, "hidden_dims": [8]}, ran=False)
        state, _ = pane.show()
        assert [row["type"] for row in state["rows"]][-1] == "linear"
        assert state["hint"].startswith("mlp takes inputs of 20, not pictures or clips") and state["button"] == ""

    def test_a_sum_that_is_not_torch_s_is_said_to_be_off(self, efficientnet, monkeypatch):
        from classykit.seeing.arithmetic import Arithmetic

        at(efficientnet, "block1-1")
        act(efficientnet, "layers_choose", index=3)
        one = one_of(efficientnet)
        monkeypatch.setattr(Arithmetic, "sum", one["sum"] + 0.25)
        wrong = one_of(efficientnet)
        assert not wrong["agrees"] and wrong["check"].startswith("torch has ") and wrong["check"].endswith("0.25 off")

    def test_half_precision_says_its_tolerance(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).to(torch.bfloat16)
        one = one_of(opened(model))
        assert one["agrees"] and one["check"] == "as torch has it, to 1e-2 in bfloat16"


@pytest.mark.parametrize(
    "layer, shape, sides",
    [
        (nn.Linear(5, 3), (2, 5), []),
        (nn.Linear(5, 3), (2, 7, 5), [7]),
        (nn.Linear(5, 3), (2, 4, 6, 5), [4, 6]),
        (nn.Conv1d(5, 3, 3), (2, 5, 12), [10]),
        (nn.Conv2d(4, 6, 5, groups=2, dilation=2, padding=3), (1, 4, 12, 12), [10, 10]),
        (nn.Conv2d(4, 4, 3, groups=4, padding_mode="reflect", padding=1), (1, 4, 8, 8), [8, 8]),
        (nn.Conv3d(3, 4, 3, padding=1), (1, 3, 4, 9, 9), [4, 9, 9]),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1), (1, 4, 5, 5), [9, 9]),
    ],
)
def test_any_kind_of_layer_at_its_corners(layer, shape, sides):
    torch.manual_seed(0)
    pane = opened(nn.Sequential(layer, nn.ReLU()), example=torch.rand(shape))
    one = one_of(pane)
    assert one["sides"] == sides and one["agrees"] and len(one["axes"]) == len(sides)
    last = [side - 1 for side in sides]
    for place in ([0] * len(sides), last):
        now = act(pane, "layers_at", channel=one["channels"] - 1, at=place)["one"]
        assert now["agrees"] and now["at"] == place and len(now["arrays"]) == (2 if "input" in now else 1)
        assert {len(array["shape"]) for array in now["arrays"]} == {2}
        names = {"ck": ck, "model": pane.scene.subject.model}
        names["example"] = pane.scene.input_for(names["model"])
        assert eval(pane.code().splitlines()[1], names).sum == now["sum"]


@pytest.mark.parametrize(
    "name, block", [("resnet18", "layer2.0"), ("swin_t", "features.1.1"), ("vit_b_16", "conv_proj")]
)
def test_models_of_torchvision(name, block):
    pane = opened(getattr(pytest.importorskip("torchvision.models"), name)().eval(), block)
    act(pane, "layers_run")  # where it takes longer than is done unasked
    one = one_of(pane)
    assert not any(step["name"].isdigit() for step in one["steps"])
    assert one["agrees"] and block in pane.code() and "model." not in pane.code()
    names = {"ck": ck, "model": pane.scene.subject.model}
    names["x"] = pane.scene.input_for(names["model"])
    assert eval(pane.code().splitlines()[1], names).sum == one["sum"]


def test_models_of_timm():
    pane = opened(pytest.importorskip("timm").create_model("vit_tiny_patch16_224").eval(), "blocks.3")
    rows = pane.show()[0]["rows"]
    state = act(pane, "layers_open", index=[row["name"] for row in rows].index("attn"))
    assert state["crumbs"] == ["blocks.3", "attn"] and state["one"]["name"] == "qkv"
    assert state["one"]["axes"] == ["token"] and state["one"]["agrees"]
    functions = [i for i, row in enumerate(state["rows"]) if row["name"].startswith("scaled")]
    assert "is called as a function" in act(pane, "layers_choose", index=functions[0])["hint"]


def test_clips():
    config = {
        "name": "resnext3d", "frames_per_clip": 4, "input_planes": 3, "clip_crop_size": 32, "num_blocks": [1, 1, 1, 1],
        "stem_name": "resnext3d_stem", "stem_planes": 8, "stem_temporal_kernel": 3, "stage_planes": 8,
        "skip_transformation_type": "postactivated_shortcut", "residual_transformation_type": "basic_transformation",
    }  # fmt: skip
    pane = opened(config)
    one = one_of(pane)
    assert one["axes"] == ["frame", "row", "column"] and one["agrees"]


def test_of_a_layer_that_runs_twice_the_first_run_is_taken_apart():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.layer(self.layer(x))

    pane = opened(nn.Sequential(Twice(), nn.ReLU()))
    assert one_of(pane)["agrees"] and ["takes" in row for row in pane.show()[0]["rows"][:2]] == [False] * 2
    state = act(pane, "layers_choose", index=1)
    assert state["hint"] == "layer runs a second time here: its first run can be taken apart." and not state["one"]


def test_pack_is_what_the_page_unpacks(efficientnet):
    at(efficientnet, "block1-1")
    state, pixels = efficientnet.show()
    described, again = pack([torch.zeros(2, 2)])
    assert described[0].keys() == state["one"]["arrays"][0].keys() and len(again) == 8 and pixels


def test_the_figure_is_the_arithmetic_s(efficientnet):
    at(efficientnet, "block1-1")
    assert efficientnet.figure().axes
    act(efficientnet, "layers_choose", index=1)
    assert efficientnet.figure() is None
