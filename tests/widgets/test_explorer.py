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
from ipywidgets.widgets.widget import _instances
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import (
    BlockError,
    ClassyKitError,
    ConfigError,
    DeviceError,
    ImageError,
    ShapeError,
    UnknownNameError,
)
from classykit.exploring import scene
from classykit.features import Features
from tests.helpers.apps import HOSTILE, LAST, SMALL, STEM, VIDEO, look, send


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
        send(app, type="select", block="block9-9")
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
            send(app, type="select", block=block)
            assert app.view_state["features"] is not None and app.panel_state["name"] == block
            assert 0 < sum(sent) < 4000
        app.selected_block = block
        sent.clear()
        app._refresh()
        assert sent == [], "what has not changed is not sent again"

    @pytest.mark.parametrize("tab", ["features", "why", "layers", "information", "compare", "blocks"])
    def test_so_it_does_on_every_tab(self, tab, monkeypatch):
        app = ck.explore("efficientnet_lite0", image="chelsea")
        app.tab = tab
        assert app.pane["tab"] == tab
        sent = []
        monkeypatch.setattr(comm.DummyComm, "publish_msg", lambda *_, data=None, **__: sent.append(json.dumps(data)))
        for block in (*app._scene.block_names[:-1:4], "block4-1"):
            sent.clear()
            send(app, type="select", block=block)
            assert app.panel_state["name"] == block
            assert 0 < len("".join(sent)) < 4000, block


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
        def size(*shape):
            known = Features.of(torch.empty(1, *shape, device="meta"), 1)
            with patch.object(type(app._scene), "known", known):
                return app._scene.page_size

        assert (size(64, 16, 56, 56), size(64, 32, 112, 112), size(8, 300, 224, 224)) == (24, 4, 1)
        assert size(64, 500, 500) == 24

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
