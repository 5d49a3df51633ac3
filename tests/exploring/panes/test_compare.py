"""classykit.exploring.panes.compare: models beside the one on the screen, aligned, run, counted and let go."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError, UnknownNameError
from classykit.exploring import scene as scene_module
from classykit.exploring.explored import Explored
from classykit.exploring.panes.compare import BATCH, LETTERS, ComparePane
from classykit.exploring.panes.compare_shown import MAPS
from classykit.exploring.scene import EVIDENCE, PICTURE, Scene
from classykit.running import memory_fit

SMALL = {"name": "resnet18", "init_planes": 4}
OTHER = {"name": "resnet50", "init_planes": 4}


def pane_of(model, *others):
    picture = ck.load_image("grace_hopper")
    said = []
    pane = ComparePane(
        Scene(Explored(copy.deepcopy(model)), "cpu", "grace_hopper", picture, "moving shapes"),
        lambda *told: said.append(told),
    )
    pane.said = said
    pane.put(others)
    return pane


def ask(pane, kind, **message):
    holds, act = pane.acts[kind]
    assert {name: type(message[name]) for name in holds} == holds
    return act(message)


def is_allocated(scene):
    return next(scene.subject.model.parameters()).device.type != "meta"


@pytest.fixture
def pane():
    return pane_of(SMALL, OTHER)


class TestWhichModels:
    def test_alone_it_asks_for_another(self):
        pane = pane_of("resnet18")
        assert pane.show() == ({"preset": "", "models": [{"name": "resnet18"}], "full": False}, b"")
        assert pane.applies and not pane.due and pane.code() == "" and pane.figure() is None

    def test_the_preset_is_offered_where_keys_differ(self):
        pane = pane_of(SMALL)
        assert pane.show()[0]["preset"] == "resnet18"
        pane.add("resnet18")
        state = pane.show()[0]
        assert state["preset"] == "" and [m["name"] for m in state["models"]] == ["resnet18"] * 2
        assert [m["variant"] for m in state["models"]] == ["init_planes = 4", ""]

    def test_up_to_four(self, pane):
        pane.add("vit_b_32")
        assert not pane.show()[0]["full"]
        pane.add("r3d_18")
        state = pane.show()[0]
        assert [m["letter"] for m in state["models"]] == [*LETTERS] and state["full"]
        with pytest.raises(ConfigError, match="At most 4"):
            pane.add("resnet34")
        assert len(pane.others) == 3

    @pytest.mark.parametrize(
        "model, error", [("resnet81", UnknownNameError), ("resnext", ConfigError), ("", UnknownNameError)]
    )
    def test_what_is_no_model_is_refused(self, pane, model, error):
        with pytest.raises(error):
            pane.add(model)
        assert len(pane.others) == 1

    def test_the_same_is_there_once(self, pane):
        pane.add("resnet18")
        for again in (SMALL, OTHER, "resnet18"):
            with pytest.raises(ConfigError, match="there already"):
                pane.add(copy.deepcopy(again))
        with pytest.raises(ConfigError, match="there already"):
            pane.put(["resnet34", "resnet34"])
        assert [other.subject.name for other in pane.others] == ["resnet50", "resnet18"]

    def test_the_one_on_the_screen_may_become_the_same(self, pane):
        pane.scene.open(Explored(copy.deepcopy(OTHER)))
        totals = pane.show()[0]["totals"]
        assert all(line["ratios"] == ["×1"] for line in totals)

    def test_its_weights_are_let_go_when_it_is_taken_away(self, pane):
        ask(pane, "compare_run")
        other = pane.others[0]
        assert is_allocated(other)
        ask(pane, "compare_remove", at=1)
        assert pane.others == [] and not is_allocated(other) and other.last is None
        assert is_allocated(pane.scene)
        for at in (0, 1, -1):
            with pytest.raises(ConfigError, match="There is no model"):
                ask(pane, "compare_remove", at=at)

    def test_its_weights_are_let_go_for_another_and_when_the_app_is_closed(self, pane):
        ask(pane, "compare_run")
        first = pane.others[0]
        pane.put(["resnet18"])
        assert not is_allocated(first)
        ask(pane, "compare_run")
        pane.let_go()
        assert not is_allocated(pane.others[0]) and pane.show()[0]["models"][1]["name"] == "resnet18"

    def test_what_is_explored_already_is_put_there_itself_and_once(self, pane):
        module = Explored(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
        pane.add(module)
        assert pane.others[1].subject is module
        for again in (module, pane.scene.subject):
            with pytest.raises(ConfigError, match="there already"):
                pane.add(again)

    def test_a_module_keeps_its_weights_when_it_is_taken_away(self, pane):
        pane.add(Explored(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())))
        other = pane.others[1]
        ask(pane, "compare_remove", at=2)
        assert is_allocated(other) and other.last is None
        pane.add(other.subject)
        pane.put([])
        assert is_allocated(other)

    def test_a_registered_model_is_known_again(self, pane):
        other = pane.others[0].subject
        assert pane.known(Explored(copy.deepcopy(OTHER))) is other and pane.stands_beside(other)
        other.attach_head("block3-1", "identity", "same", {})
        assert pane.known(Explored(copy.deepcopy(OTHER))) is other, "with the head that it has"
        another = Explored("resnet50")
        assert pane.known(another) is another and not pane.stands_beside(another)

    def test_places_are_changed_with_the_weights_that_both_have(self, pane):
        ask(pane, "compare_run")
        first, second = pane.scene.subject, pane.others[0].subject
        first.attach_head("block3-1", "identity", "same", {})
        pane.exchange(second)
        pane.scene.open(second)
        assert [scene.subject for scene in (pane.scene, *pane.others)] == [second, first]
        assert all(map(is_allocated, (pane.scene, *pane.others))) and pane.others[0].last is None
        for name in ("came along", "its own"):
            second.attach_head("block3-1", "identity", name, {})
        pane.came[second] = ["came along"]
        pane.exchange(first)
        pane.scene.open(first)
        assert [*first.heads()] == ["same"] and [*second.heads()] == ["its own"]

    def test_a_module_of_one_s_own(self, pane):
        module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1))
        pane.put([module])
        state = pane.show()[0]
        assert state["models"][1]["name"] == "Sequential" and state["keys"] == []
        assert "model_b" in pane.code() and "your Sequential" in pane.code()


class TestOneSelection:
    def test_a_block_has_its_counterpart(self):
        pane = pane_of("efficientnet_lite0", "resnet50")
        pane.scene.choose("block4-1")
        assert pane.show()[0]["models"][1]["block"] == "block2-5"
        pane.scene.choose("stem")  # which has no such stage in the other
        assert pane.show()[0]["models"][1]["block"] == "initial_block"

    @pytest.mark.parametrize("block", ["block1-0", "block3-1"])
    def test_of_one_family_it_is_the_block_of_that_name(self, pane, block):
        pane.scene.choose(block)
        assert pane.show()[0]["models"][1]["block"] == block

    def test_one_alone(self, pane):
        pane.scene.choose("block1-0")
        ask(pane, "compare_block", at=1, block="block3-2")
        assert [m["block"] for m in pane.show()[0]["models"]] == ["block1-0", "block3-2"]
        ask(pane, "compare_block", at=0, block="block2-1")
        assert [m["block"] for m in pane.show()[0]["models"]] == ["block2-1", "block3-2"]
        pane.scene.choose("block0-0")
        assert [m["block"] for m in pane.show()[0]["models"]] == ["block0-0", "block0-0"]
        for at, block in ((1, "block9"), (0, "block2-5"), (2, "block1-0")):
            with pytest.raises(ConfigError):
                ask(pane, "compare_block", at=at, block=block)

    def test_the_columns_are_the_stages(self):
        state = pane_of("efficientnet_lite0", "resnet18").show()[0]
        assert state["stages"] == ["112 × 112", "56 × 56", "28 × 28", "14 × 14", "7 × 7"]
        where = [{block[0]: block[2] for block in model["blocks"]} for model in state["models"]]
        assert where[0]["block4-2"] == where[1]["block2-1"] == 3
        assert "fc" not in where[0], "trunks alone"

    def test_stages_of_several_resolutions_go_by_their_stride(self):
        state = pane_of("efficientnet_b4", "resnet18").show()[0]
        assert state["stages"][:3] == ["190 × 190", "stride 4", "stride 8"]


class TestFigures:
    def test_totals_are_the_comparison_s(self):
        pane = pane_of("efficientnet_lite0", "resnet50")
        lines = {line["label"]: line for line in pane.show()[0]["totals"]}
        c = ck.compare(["efficientnet_lite0", "resnet50"], classifier=False)
        ratio = c.figure("resnet50", "macs") / c.figure("efficientnet_lite0", "macs")
        assert lines["MACs"]["values"] == ["384 M", "4.09 G"] and lines["MACs"]["ratios"] == [f"×{ratio:.0f}"]
        assert lines["parameters"]["shares"][1] == 1 and lines["activations"]["values"][0].endswith("MB")
        peak = c.peak_memory("resnet50", BATCH)
        assert lines[f"memory, batch {BATCH}"]["values"][1] == ck.formats.size(peak)
        assert "last run" not in lines

    def test_what_is_counted_applies_to_all_and_is_said(self):
        pane = pane_of("efficientnet_lite0", "resnet50")
        trunk = pane.show()[0]
        assert trunk["part_words"] == (
            "Counted without classifiers: A has a classifier of 1.28 M parameters, B has none."
        )
        ask(pane, "compare_part", part="classifier")
        whole = pane.show()[0]
        assert whole["part_words"].startswith("Counted with classifiers: A has")
        first = [state["totals"][0]["values"][0] for state in (trunk, whole)]
        assert first == ["3.37 M", "4.65 M"] and whole["stages"][-1] == "vector"
        assert [b[0] for b in whole["models"][0]["blocks"]][-1] == "fc"
        with pytest.raises(ConfigError):
            ask(pane, "compare_part", part="half")

    def test_stages_sum_to_the_totals(self, pane):
        pane.part = "classifier"
        c = pane.comparison
        rows = pane.show()[0]["by_stage"]
        assert [row["label"] for row in rows] == pane.show()[0]["stages"] and all(len(r["macs"]) == 2 for r in rows)
        assert sum(s["A"].macs for s in c.aligned.values()) == pane.scene.inspection.macs

    def test_one_scale_of_colours(self, pane):
        blocks = [block for model in pane.show()[0]["models"] for block in model["blocks"]]
        assert [max(block[share] for block in blocks) for share in (6, 7, 8)] == [1, 1, 1]

    def test_keys_of_one_family_that_differ(self):
        keys = {line["key"]: line["values"] for line in pane_of("regnet_y_400mf", "regnet_y_800mf").show()[0]["keys"]}
        assert keys["depth"] == ["16", "14"] and keys["group_width"] == ["8", "16"] and "use_se" not in keys
        assert pane_of("resnet18", "vit_b_32").show()[0]["keys"] == []

    def test_a_memory_that_cannot_be_had(self, pane, monkeypatch):
        monkeypatch.setattr(
            ck.inspecting.Inspection, "peak_memory", lambda *a, **k: (_ for _ in ()).throw(ConfigError(""))
        )
        line = next(line for line in pane.show()[0]["totals"] if line["label"].startswith("memory"))
        assert line["values"] == ["?", "?"] and line["ratios"] == [""]

    def test_small_enough_and_plain(self, pane):
        state, arrays = pane.show()
        assert json.loads(json.dumps(state)) == state and len(json.dumps(state)) < 6000 and arrays == b""


class TestOnePicture:
    def test_nothing_is_allocated_before_a_run(self, pane):
        state = pane.show()[0]
        assert not pane.due and not is_allocated(pane.scene) and not is_allocated(pane.others[0])
        assert not state["ran"] and [m["maps"] for m in state["models"]] == [None, None]
        assert state["models"][1]["guess"] == "not run yet"

    def test_a_quick_one_runs_when_the_first_has(self, pane):
        pane.scene.run()
        assert pane.due
        pane.work()
        assert not pane.due and pane.others[0].last is not None and pane.said[-1][0] == "resnet50 ran on cpu."
        state, arrays = pane.show()
        assert state["ran"] and state["totals"][-1]["label"] == "last run"
        assert [len(m["maps"]["channels"]) for m in state["models"]] == [MAPS, MAPS]
        assert len(arrays) == 2 * sum(torch.Size(m["array"]["shape"]).numel() for m in state["models"])

    def test_one_that_is_not_quick_waits_for_the_button(self, pane, monkeypatch):
        pane.scene.run()
        monkeypatch.setattr("classykit.exploring.panes.compare.QUICK_MACS", 0)
        assert not pane.due
        ask(pane, "compare_run")
        assert pane.show()[0]["ran"] and pane.said[-1][0] == "A and B ran on cpu."

    def test_maps_are_what_the_model_gives_in_the_same_order(self, pane):
        pane.scene.order = "mean"
        ask(pane, "compare_run")
        other = pane.others[0]
        wanted = ck.capture(other.subject.model, other.input_for(other.subject.model), other.block)[other.block]
        state = pane.show()[0]
        by_mean = wanted[0].mean((1, 2)).argsort(descending=True)[:MAPS].tolist()
        assert state["order"] == "mean" and state["models"][1]["maps"]["channels"] == by_mean
        low, high = state["models"][1]["maps"]["limits"][0]
        assert (low, high) == pytest.approx(
            (wanted[0, by_mean[0]].min().item(), wanted[0, by_mean[0]].max().item()), rel=1e-3
        )

    @pytest.mark.parametrize("order, shown", [(PICTURE, PICTURE), (EVIDENCE, "variance")])
    def test_other_orders(self, pane, order, shown):
        pane.scene.order = order
        ask(pane, "compare_run")
        pane.scene.scores = torch.rand(16)
        state = pane.show()[0]
        assert state["order"] == shown and shown in state["orders"] and state["models"][1]["maps"]

    def test_another_block_was_seen_in_the_same_pass(self, pane):
        ask(pane, "compare_run")
        pane.scene.choose("block3-0")
        assert not pane.due
        assert [m["maps"] is not None for m in pane.show()[0]["models"]] == [True, True]

    def test_what_is_of_another_picture_is_dropped(self, pane):
        ask(pane, "compare_run")
        pane.scene.image, pane.scene.picture = "coffee", ck.load_image("coffee")
        pane.scene.forget()
        state = pane.show()[0]
        assert pane.others[0].last is None and pane.others[0].image == "coffee"
        assert not state["ran"] and state["models"][1]["maps"] is None

    @pytest.mark.parametrize("fill", [0, 255])
    def test_pictures_and_clips_that_are_arrays(self, pane, fill):
        pane.scene.image = np.full((30, 40, 3), fill, dtype=np.uint8)
        pane.scene.picture, pane.scene.clip = ck.load_image(pane.scene.image), np.zeros((4, 20, 30, 3), np.uint8)
        pane.scene.forget()
        assert pane.show()[0]["models"][1]["maps"] is None
        ask(pane, "compare_run")
        assert pane.others[0].image is pane.scene.image and pane.show()[0]["ran"]

    def test_an_error_is_said_once(self, pane, monkeypatch):
        pane.scene.run()
        monkeypatch.setattr(memory_fit, "free_memory", lambda device: 1000)
        with pytest.raises(DeviceError):
            pane.work()
        assert not pane.due and pane.show()[0]["models"][1]["maps"] is None
        monkeypatch.undo()
        ask(pane, "compare_run")
        assert pane.show()[0]["ran"]

    def test_cancelled_in_the_middle_it_is_as_before(self, pane, monkeypatch):
        pane.scene.run()
        before = pane.show()

        def stop(*args, **keys):
            raise KeyboardInterrupt

        monkeypatch.setattr(scene_module, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            pane.work()
        assert pane.show() == before and not pane.due

    def test_top_1_of_each(self):
        pane = pane_of("efficientnet_lite0", SMALL)
        ask(pane, "compare_run")
        models = pane.show()[0]["models"]
        assert models[0]["trained"] and models[0]["guess"].endswith("%") and models[1]["guess"] == "no classifier"

    def test_clips_tokens_and_vectors_beside_maps(self, light_configs):
        pane = pane_of(SMALL, light_configs["VisionTransformer"], light_configs["ResNeXt3D"])
        ask(pane, "compare_run")
        ask(pane, "compare_block", at=1, block="layer_0")
        pane.work()
        state = pane.show()[0]
        assert all(m["maps"] is not None for m in state["models"])
        assert all(len(m["array"]["shape"]) == 3 for m in state["models"])


@pytest.mark.parametrize("part", ["trunk", "classifier"])
def test_the_code_gives_what_is_shown(part):
    pane = pane_of("resnet18", "efficientnet_b0", OTHER)
    pane.part = part
    given = {"ck": ck, "model": ck.build_model("resnet18", device="meta")}
    exec(pane.code(), given)
    shown = {line["label"]: line["values"] for line in pane.show()[0]["totals"]}
    assert [ck.formats.count(given["c"].figure(name, "params")) for name in given["c"].names] == shown["parameters"]
    assert pane.figure().axes
