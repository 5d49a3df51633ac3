"""classykit.widgets.composing: models, keys and heads, changed, taken back and done again."""

import gc
import weakref

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import (
    ClassyKitError,
    ConfigError,
    HeadError,
    UnknownNameError,
)
from classykit.heads import ClassyHead
from tests.helpers.apps import HOSTILE, look, send


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


OTHER = {"name": "resnet50", "init_planes": 4}


def beside(app):
    return [model["name"] for model in app.pane["models"]]


class TestBeside:
    OTHER = {"name": "resnet50", "init_planes": 4}

    def test_a_listed_model_is_put_there_and_the_tab_opened(self, app):
        config = app.config
        send(app, type="compare_add", model=" vit_demo ")
        assert app.tab == app.pane["tab"] == "compare" and beside(app) == ["resnet18", "vit_demo"]
        assert app.config == config and len(app.history) == 1 and "vit_demo stands beside resnet18" in app.status
        app.tab = "features"
        for wrong, words in (("vit_demo", "there already"), ("no such model", "no model named"), ("", "no model")):
            send(app, type="compare_add", model=wrong)
            assert words in app.error and app.tab == "features"
        send(app, type="compare_add")
        assert "without a proper 'model'" in app.error

    def test_a_module_that_the_picker_has(self):
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()))
        app = ck.explore(module, image="cat")
        send(app, type="compare_add", model="Sequential, yours")
        assert "Sequential is there already" in app.error
        send(app, type="choose", name="resnet18")
        send(app, type="compare_add", model="Sequential, yours")
        assert not app.error and beside(app) == ["resnet18", "Sequential"]
        send(app, type="compare_run")
        assert app.pane["ran"] and app.pane["models"][1]["maps"]
        send(app, type="compare_remove", at=1)
        send(app, type="choose", name="Sequential, yours")
        picture = ck.preprocess("cat", app.model)
        torch.testing.assert_close(app.run().output, module(picture), msg="it has kept its weights")

    def test_places_are_changed_as_one_step(self, app):
        app.compare_with(OTHER)
        app.attach_head("block3-1", "fully_connected", "cls", num_classes=3)
        app.selected_block = "block3-0"
        send(app, type="compare_block", at=1, block="block2-5")
        send(app, type="compare_run")
        weights = {name: stem(scene).clone() for name, scene in scenes(app)}
        send(app, type="compare_first", at=1)
        assert not app.error and beside(app) == ["resnet50", "resnet18"] and app.pane["ran"]
        assert app.selected_block == "block2-5" and app.history[2:] == ["resnet50"]
        assert app.config["heads"][0]["fork_block"] == "block3-2" and "cls came along to block3-2" in app.status
        for name, scene in scenes(app):
            assert torch.equal(stem(scene), weights[name]), "both have kept theirs"

        # back by the button: each has the heads that it had; nothing is said of one that was there all along
        send(app, type="compare_first", at=1)
        assert beside(app) == ["resnet18", "resnet50"] and "did not come" not in app.status
        assert app.config["heads"][0]["fork_block"] == "block3-1"
        assert app._panes["compare"].others[0].subject.heads() == {}

    def test_and_taken_back_from_any_tab(self, app):
        app.compare_with(OTHER, "vit_demo")
        app.attach_head("block3-1", "fully_connected", "cls", num_classes=3)
        before = beside(app), app.config
        send(app, type="compare_first", at=1)
        after = beside(app), app.config
        assert after[0] == ["resnet50", "resnet18", "vit_demo"]
        app.tab = "features"
        app.choose("efficientnet_b0")
        app.undo()
        app.undo()
        app.tab = "compare"
        assert (beside(app), app.config) == before
        app.redo()
        assert (beside(app), app.config) == after
        assert len({id(scene.subject) for _, scene in scenes(app)}) == 3

    def test_from_python_by_choosing_it(self, app):
        app.compare_with(OTHER)
        other = app._panes["compare"].others[0].subject
        app.choose(dict(OTHER))
        assert app._scene.subject is other and beside(app) == ["resnet50", "resnet18"]
        send(app, type="compare_add", model="vit_demo")
        send(app, type="choose", name="vit_demo")
        assert beside(app) == ["vit_demo", "resnet18", "resnet50"]

    def test_keys_that_are_turned_to_those_of_another_change_no_places(self, app):
        app.compare_with("resnet18")
        app.reset_keys()
        assert app.config == {"name": "resnet18"} and len(app.pane["models"]) == 2
        assert app._panes["compare"].others[0].subject.config == app.config

    @pytest.mark.parametrize("at", [0, 2, -1])
    def test_none_of_that_number(self, app, at):
        app.compare_with(OTHER)
        before = look(app)
        send(app, type="compare_first", at=at)
        assert "There is no model" in app.error and look(app) == before


def scenes(app):
    """(name, scene) of what is on the screen, and of what stands beside."""
    return [(scene.subject.name, scene) for scene in (app._scene, *app._panes["compare"].others)]


def stem(scene):
    """The first weights of a trunk."""
    return next(iter(scene.subject.model.trunk_state().values()))


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
