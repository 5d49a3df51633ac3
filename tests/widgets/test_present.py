"""classykit.widgets.present: what the views show, in words and figures."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit import formats
from classykit.exploring.budget import Budget, Peak
from classykit.exploring.explored import Explored
from classykit.exploring.scene import Scene
from classykit.heads import build_head, list_heads
from classykit.running.run import Run
from classykit.widgets import present


def scene_of(model, picture=None, clip="moving shapes"):
    return Scene(Explored(model), "cpu", picture, picture, clip)


@pytest.fixture
def scene(light_configs):
    scene = scene_of(light_configs["ResNeXt"])
    scene.subject.attach_head("block1-0", "fully_connected", "cls", {"num_classes": 3})
    scene.choose("block1-0")
    return scene


def test_the_picker_has_ones_own_first_and_figures_in_words():
    rows = present.models({"Sequential, yours": Explored(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)))})
    assert rows[0]["name"] == "Sequential, yours" and rows[0]["mark"] == "your module"
    clip = next(row for row in rows if row["name"] == "r3d_18")
    assert (clip["params_text"], clip["macs_text"], clip["input"]) == ("33.2 M", "40.7 G", "16 × 112 px")
    assert clip["kinds"] == ["video"] and len(str(rows)) < 20_000


def test_the_bar():
    scene = scene_of("resnet50")
    state = present.bar(scene)
    assert state["facts"] == ["224 px", "float32"] and state["trained"] is None and not state["custom"]
    assert (state["name"], state["family"], state["device"]) == ("resnet50", "ResNeXt", "cpu")
    assert [t["value"] for t in state["totals"]] == ["23.5 M", "4.09 G", "94.0 MB"]
    scene.last = Run(None, 0.0312, 1, None, 1)
    assert present.bar(scene)["totals"][-1] == {"value": "31 ms", "label": "last run"}
    assert state["side"] is None and present.bar(scene_of("vit_h_14"))["side"]["options"] == [
        {"id": str(n), "label": f"{n} px"} for n in (112, 224, 448)
    ]


def test_a_budget_is_measured_with_the_classifier_told_apart():
    scene = scene_of("efficientnet_lite0")
    budget = Budget.read({"params": "12M", "macs": "300M", "memory": "1 GB", "batch": 32, "mode": "training"})
    params, macs, memory = present.totals(scene, budget, Peak())
    assert (params["value"], params["limit"], params["trunk"]) == ("4.65 M", "12 M", "3.37 M")
    assert params["words"] == "trunk 3.37 M + classifier 1.28 M" and 0 < params["trunk_share"] < params["share"] < 1
    assert macs["share"] > 1 and macs["limit"] == "300 M"
    assert memory["label"] == "training, batch 32" and memory["share"] > 1 and "estimated" in memory["words"]
    plain = present.totals(scene, Budget(), Peak())
    assert [t["limit"] for t in plain] == ["", "", ""] and [t["share"] for t in plain] == [None] * 3
    assert plain[2]["label"] == "weights" and plain[2]["id"] == "memory"
    assert present.totals(scene_of("resnet50"), Budget(), Peak())[0]["trunk"] == "", "a trunk alone"


def test_the_map(scene):
    state = present.block_map(scene)
    blocks = state["blocks"]
    assert [b["name"] for b in blocks] == ["initial_block", "block0-0", "block1-0", "block1-1"]
    assert [b["label"] for b in blocks] == ["stem", "0-0", "1-0", "1-1"]
    assert [b["group"] for b in blocks] == ["56 × 56", "56 × 56", "28 × 28", "28 × 28"]
    assert (blocks[2]["shape"], blocks[2]["width"], blocks[2]["height"]) == ("64×28×28", 64, 28)
    assert blocks[2]["heads"] == [{"id": "cls", "label": "cls · 3"}]
    for c in ("macs", "params", "activations"):
        assert 0 < sum(b["shares"][c] for b in blocks) <= 1 + 1e-9
    assert state["input"] == "3 × 224²" and state["color_by"] == "macs"


def test_what_the_map_may_draw(scene):
    state = present.block_map(scene)
    assert [m["id"] for m in state["colors"]] == ["macs", "params", "activations", "time", "field"]
    assert [m["id"] for m in state["sizes"]] == ["resolution", "field", "macs", "params", "activations", "time"]
    sees = scene.inspection["block1-0"].receptive_field.size[0]
    block = state["blocks"][2]
    assert block["shares"]["field"] == sees / 224 and block["values"]["field"] == f"{sees} px"
    assert not any("time" in b["shares"] or "knows" in b["shares"] for b in state["blocks"])
    scene.knows = {"block1-0": 0.5}
    state = present.block_map(scene)
    assert state["colors"][-1] == {"id": "knows", "label": "what it knows", "ends": True}
    assert [b["values"].get("knows") for b in state["blocks"]] == [None, None, "50 %", None]


@pytest.mark.parametrize("model, block, text", [
    ("vit_b_32", "layer_1", "all"), ("r3d_18", "stem-path0", "7 px"),
    ({"name": "mlp", "input_dim": 4, "output_dim": 2, "hidden_dims": [3]}, "hidden0", None),
])  # fmt: skip
def test_the_receptive_field_on_the_map(model, block, text):
    state = present.block_map(scene_of(model))
    assert {b["name"]: b["values"].get("field") for b in state["blocks"]}[block] == text


def test_repeats_and_labels_on_the_map():
    blocks = {b["name"]: b for b in present.block_map(scene_of("regnet_y_1.6gf"))["blocks"]}
    assert blocks["block3-1"]["run"] == blocks["block3-16"]["run"] == "block3" and blocks["block3-0"]["run"] == ""
    swin = pytest.importorskip("timm").create_model("swin_tiny_patch4_window7_224")
    labels = [b["label"] for b in present.block_map(scene_of(swin))["blocks"]]
    assert len(set(labels)) == len(labels) and {"1.downsample", "2.downsample", "3.downsample"} < set(labels)


@pytest.mark.parametrize("family, kinds", [("VisionTransformer", {"map", "tokens", "vector"}), ("MLP", {"vector"})])
def test_the_map_of_other_kinds(family, kinds, light_configs):
    state = present.block_map(scene_of(light_configs[family]))
    assert {b["kind"] for b in state["blocks"]} == kinds
    assert all(b["height"] == 0 for b in state["blocks"] if b["kind"] != "map")


def test_the_panel(scene):
    state, i = present.panel(scene), scene.inspection
    assert (state["input"], state["output"], state["stride"]) == ("32×56×56", "64×28×28", "stride 2 · 1/8 of the input")
    assert [r["label"] for r in state["rows"]] == ["parameters", "MACs", "activations"]
    assert state["rows"][0]["share"] == pytest.approx(i["block1-0"].params / i.params, abs=1e-4)
    assert state["attached"] == [
        {"id": "cls", "block": "block1-0", "here": True, "title": "fully connected", "classes": "3 classes"}
    ]
    scene.choose("block0-0")
    assert present.panel(scene)["attached"][0]["here"] is False
    assert present.panel(scene)["stride"] == "stride 1 · 1/4 of the input"


def test_activations_are_bytes_everywhere(scene):
    of_block = scene.inspection["block1-0"]
    row = present.panel(scene)["rows"][-1]
    block = present.block_map(scene)["blocks"][2]
    share = of_block.activation_bytes / scene.inspection.activation_bytes
    assert row["value"] == block["values"]["activations"] == formats.size(of_block.activation_bytes)
    assert row["share"] == pytest.approx(share, abs=1e-4) and block["shares"]["activations"] == share


def test_the_pictures_are_what_the_model_sees(light_configs):
    def sizes(*urls):
        return [Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).size for url in urls]

    picture = Image.new("RGB", (300, 100), "red")
    small, large, frames = present.pictures(scene_of(light_configs["ResNeXt"], picture))
    assert sizes(small, large) == [(96, 96), (224, 224)] and frames == []
    small, large, frames = present.pictures(scene_of("r3d_18", picture))
    assert sizes(small, *frames) == [(96, 96)] + 16 * [(112, 112)] and large == ""
    assert present.pictures(scene_of(light_configs["ResNeXt"])) == ("", "", [])


@pytest.mark.parametrize(
    "family, block", [("ResNeXt", "block0-0"), ("VisionTransformer", "layer_0"), ("MLP", "output")]
)
def test_heads_that_fit_come_first_the_others_say_why_not(family, block, light_configs):
    choices = present.head_choices(ck.inspect(light_configs[family])[block])
    assert {c["name"] for c in choices} == set(list_heads())
    fits = [c["fits"] for c in choices]
    assert fits == sorted(fits, reverse=True) and True in fits and False in fits
    assert all(c["detail"].startswith("wants ") for c in choices if not c["fits"])
    model = ck.build_model(light_configs[family], device="meta")
    for c in choices:  # what it says is what attaching does
        keys = {} if c["name"] == "identity" else {"num_classes": 2}
        if c["fits"]:
            model.attach_head(block, c["name"], **keys)
        else:
            with pytest.raises(ck.errors.HeadError):
                model.attach_head(block, c["name"], **keys)


def test_pixels_are_the_maps(scene):
    scene._features[scene.block] = torch.rand(1, 6, 3, 5)
    scene.order = "index"
    maps = scene.maps()
    state, pixels = present.features(scene, maps)
    values = np.frombuffer(pixels, "<u2").reshape(6, state["height"], state["width"])
    assert (state["height"], state["width"], state["channels"]) == (3, 5, 6)
    assert (state["steps"], state["times"]) == (1, [])
    for i, m in enumerate(state["maps"]):
        assert m["channel"] == i
        restored = m["low"] + values[i] / 65535 * (m["high"] - m["low"])
        np.testing.assert_allclose(restored, maps.maps[i].numpy(), atol=1e-4)


def test_a_heads_label():
    assert present.head_label(build_head({"name": "identity", "unique_id": "x"})) == "x"


def test_a_picture_as_a_data_url():
    url = present.data_url(Image.new("RGB", (300, 100), "red"), 96)
    picture = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))))
    assert picture.size == (96, 32) and picture.getpixel((5, 5))[0] > 240


class TestVideo:
    def test_the_bar_and_the_map(self):
        scene = scene_of("r3d_18")
        assert present.bar(scene)["facts"] == ["16 frames", "112 px", "float32"]
        state = present.block_map(scene)
        assert state["input"] == "3 × 16 × 112²"
        last = state["blocks"][-1]
        assert (last["label"], last["group"], last["width"], last["height"]) == ("4-1", "2 × 7 × 7", 512, 7)
        assert last["kind"] == "map"

    def test_heads(self):
        choices = present.head_choices(ck.inspect("r3d_18")["pathway0-stage4-block1"])
        assert {c["name"] for c in choices if c["fits"]} == {"fully_convolutional_linear", "identity", "linear_probe"}

    def test_pixels_are_the_maps_at_all_times(self):
        scene = scene_of({"name": "r3d_18", "clip_crop_size": 32, "frames_per_clip": 8})
        scene._features[scene.block] = torch.rand(1, 6, 4, 3, 5)
        scene.order = "index"
        maps = scene.maps()
        state, pixels = present.features(scene, maps)
        assert (state["steps"], state["height"], state["width"], state["kind"]) == (4, 3, 5, "map")
        assert state["times"] == [f"step {t} of 4 · frames {2 * t - 1}–{2 * t}" for t in (1, 2, 3, 4)]
        values = np.frombuffer(pixels, "<u2").reshape(6, 4, 3, 5)
        for i, m in enumerate(state["maps"]):
            restored = m["low"] + values[i] / 65535 * (m["high"] - m["low"])
            np.testing.assert_allclose(restored, maps.over_time[i].numpy(), atol=1e-4)

    @pytest.mark.parametrize(
        "step, steps, frames, text",
        [
            (0, 2, 16, "step 1 of 2 · frames 1–8"),
            (1, 2, 16, "step 2 of 2 · frames 9–16"),
            (3, 16, 16, "step 4 of 16 · frame 4"),
            (0, 1, 16, "step 1 of 1 · frames 1–16"),
            (1, 3, 8, "step 2 of 3 · about frames 4–6"),
            (3, 6, 4, "step 4 of 6 · about frame 3"),
            (3, 6, 0, "step 4 of 6"),
        ],
    )
    def test_which_frames_a_step_stands_for(self, step, steps, frames, text):
        assert present.time_text(step, steps, frames) == text

    @pytest.mark.parametrize("steps, frames", [(1, 16), (2, 16), (8, 16), (16, 16), (3, 8), (5, 7), (8, 9)])
    def test_every_frame_belongs_to_one_step(self, steps, frames):
        seen = []
        for step in range(steps):
            first, *last = map(int, re.findall(r"\d+", present.which_frames(step, steps, frames)))
            seen += range(first, (last or [first])[0] + 1)
        assert seen == list(range(1, frames + 1))


@pytest.mark.parametrize("model, block, words, drawn", [
    ("resnet50", "block0-0", "sees 19 × 19 px of the picture", [19, 19]),
    ("r3d_18", "stem-path0", "sees 3 frames of 7 × 7 px", [7, 7]),
    ("vit_b_16", "conv_proj", "sees 16 × 16 px of the picture", [16, 16]),
    ("vit_b_16", "layer_3", "sees the whole picture: attention in layer_0", None),
    ("efficientnet_b0", "block0-0", "sees the whole picture: squeeze-excitation in block0-0", None),
])  # fmt: skip
def test_what_a_block_sees(model, block, words, drawn):
    info = ck.inspect(model)[block]
    assert present.sees(info.receptive_field) == words and present.sees(None) == ""
    window = present.window(info.receptive_field)
    assert (window and window["size"]) == drawn
    assert window is None or window["image"] == list(ck.inspect(model).input_shape[-2:])


class TestAnExampleOfTheUsers:
    @pytest.fixture
    def signal(self):
        net = nn.Sequential(nn.Sequential(nn.Conv1d(1, 16, 9, 4, 4), nn.ReLU()), nn.Conv1d(16, 32, 9, 4, 4))
        scene = Scene(Explored(net, example=torch.rand(2, 1, 400)), "cpu", "cat", ck.load_image("cat"), "moving shapes")
        scene.choose("0")
        return scene

    def test_it_stands_in_the_place_of_the_picture(self, signal):
        assert signal.pictures == [] and present.pictures(signal) == ("", "", [])
        assert present.source(signal)["example"] == "1×400" and present.view(signal)[0]["hint"].startswith("Run")
        assert present.panel(signal)["sees"] == "sees 9 steps of the input"

    def test_a_sequence_is_a_row_a_channel(self, signal):
        signal.run()
        state, pixels = present.features(signal, signal.maps())
        assert (state["kind"], state["height"], state["width"], state["channels"]) == ("sequence", 1, 100, 16)
        assert len(pixels) == 2 * 16 * 100 and signal.last.images == 1

    def test_several_are_named(self):
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 8), nn.Linear(6, 8)

            def forward(self, x, y):
                return self.a(x) + self.b(y)

        example = ck.Inputs(torch.rand(2, 4), y=torch.rand(2, 6))
        scene = Scene(Explored(Two(), example), "cpu", None, None, "moving shapes")
        assert present.bar(scene)["facts"][0] == "0 4, y 6"
        assert "ck.Inputs(torch.rand(2, 4), y=torch.rand(2, 6))" in scene.experiment.to_code()


def test_without_a_picture_one_is_to_be_chosen_before_anything_runs():
    app = ck.explore("resnet18", image=None)
    assert app.source["images"][0] == {"name": "", "label": "choose a picture"} and app.source["image"] == ""
    assert app.source["lacks"] and app.view_state["hint"].startswith("Choose a picture, or upload one")
    app.image = "coffee"
    assert not app.source["lacks"] and "" not in [image["name"] for image in app.source["images"]]
    assert app.view_state["hint"].startswith("Run the model")
