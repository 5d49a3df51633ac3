"""classykit.exploring.panes.blocks: the table of blocks, their widths, and what keys make of the preset."""

import json

import pytest

import classykit as ck
from classykit.exploring.explored import Explored
from classykit.exploring.exports import export
from classykit.exploring.panes.blocks import BlocksPane, against_preset, preset_of, widths
from classykit.exploring.scene import Scene

SMALL = {"name": "resnet18", "init_planes": 4}


def pane_of(model, picture=None):
    return BlocksPane(Scene(Explored(model), "cpu", picture, picture, "moving shapes"), lambda *told: None)


def column(state, name):
    """A column of the rows: its words."""
    at = [c["id"] for c in state["columns"]].index(name)
    cells = [row["cells"][at] for row in state["rows"]]
    return [cell if isinstance(cell, str) else cell[0] for cell in cells]


def numbers(state, name):
    at = [c["id"] for c in state["columns"]].index(name)
    return [row["cells"][at][1] for row in state["rows"]]


@pytest.fixture
def pane():
    return pane_of("resnet18")


def test_a_row_a_block_in_the_order_of_the_pass(pane):
    state, arrays = pane.show()
    assert column(state, "block") == [b.name for b in pane.scene.inspection.blocks] and arrays == b""
    assert json.loads(json.dumps(state)) == state
    assert {len(row["cells"]) for row in state["rows"]} == {len(state["columns"])}


def test_figures_are_the_inspection_s(pane):
    state, i = pane.show()[0], pane.scene.inspection
    for name, of in (("params", "params"), ("macs", "macs"), ("activations", "activation_bytes")):
        assert numbers(state, name) == [getattr(b, of) for b in i.blocks]
    shares = [row["cells"][6][2] for row in state["rows"]]
    assert sum(shares) == pytest.approx(1, abs=0.001)
    assert column(state, "activations")[0].endswith("MB") and column(state, "sees")[0] == "11"


def test_a_stride_is_the_block_s_own_and_says_what_it_is_relative_to(pane):
    state = pane.show()[0]
    assert column(state, "stride") == ["÷4", "1", "1", "÷2", "1", "÷2", "1", "÷2", "1"]
    assert column(state, "of_input") == ["1/4", "1/4", "1/4", "1/8", "1/8", "1/16", "1/16", "1/32", "1/32"]


def test_strides_of_clips_and_of_what_has_none(light_configs):
    clip = pane_of("r3d_18").show()[0]
    assert (column(clip, "stride")[0], column(clip, "of_input")[0]) == ("÷1×2×2", "1×1/2×1/2")
    vectors = pane_of(light_configs["MLP"]).show()[0]
    assert set(column(vectors, "stride")) == set(column(vectors, "of_input")) == {""}


def test_equal_blocks_are_folded_as_inspect_folds_them():
    pane = pane_of("regnet_y_1.6gf")
    state, i = pane.show()[0], pane.scene.inspection
    run = next(run for run in state["runs"] if run["count"] > 10)
    assert f"{run['first']} … block3-{run['count']} ×{run['count']}" in str(i)
    assert run["name"] == f"{run['first']} … 3-{run['count']}"
    members = [b for b in i.blocks if b.name.startswith("block3-") and b.name != "block3-0"]
    assert run["cells"][6 - 1][1] == sum(b.params for b in members)


def test_totals_tell_trunk_and_classifier_apart():
    pane = pane_of("efficientnet_lite0")
    assert [t["label"] for t in pane.show()[0]["totals"]] == ["trunk", "classifier", "in all"]
    pane.scene.subject.attach_head("block3-1", "fully_connected", "cls", {"num_classes": 3})
    trunk, rest, whole = pane.show()[0]["totals"]
    assert rest["label"] == "classifier and heads" and rest["names"] == "fc, cls"
    i = pane.scene.inspection
    assert whole["cells"][0][1] == trunk["cells"][0][1] + rest["cells"][0][1] == i.params


def test_a_trunk_alone_has_one_total_and_heads_have_rows(pane):
    assert [t["label"] for t in pane.show()[0]["totals"]] == ["in all"]
    pane.scene.subject.attach_head("block3-1", "fully_connected", "cls", {"num_classes": 3})
    state = pane.show()[0]
    assert [t["label"] for t in state["totals"]] == ["trunk", "heads", "in all"]
    assert state["rows"][-1]["cells"][0] == "cls" and state["rows"][-1]["fixed"] and "fixed" not in state["rows"][0]


def test_time_is_there_once_it_was_measured():
    pane = pane_of(SMALL, ck.load_image("grace_hopper"))
    pane.scene.image = "grace_hopper"
    before = pane.show()[0]
    assert "time" not in [c["id"] for c in before["columns"]] and "profile_blocks" not in pane.code()
    profile = pane.scene.measure()
    state = pane.show()[0]
    assert numbers(state, "time") == [profile[name].time_ms / 1000 for name in column(state, "block")]
    assert state["totals"][-1]["cells"][-1][1] == pytest.approx(profile.total_ms / 1000)
    assert [len(run["cells"]) for run in state["runs"]] == [len(state["columns"]) - 1]
    pane.scene.profile = None
    assert pane.show()[0] == before


def test_a_choice_of_a_block_sends_nothing_anew(pane):
    before = pane.show()[0]
    pane.scene.choose("block3-1")
    assert pane.show()[0] is before


def test_the_code_gives_what_is_shown():
    pane = pane_of(SMALL, ck.load_image("grace_hopper"))
    pane.scene.measure()
    model = pane.scene.subject.model
    given = {"ck": ck, "model": model, "x": ck.preprocess("grace_hopper", model)}
    exec(pane.code(), given)
    assert given["csv"].encode() == export("blocks.csv", pane.scene, pane, pane.code())
    assert {row.name for row in given["times"].rows} >= set(column(pane.show()[0], "block"))


class TestAgainstThePreset:
    @pytest.mark.parametrize("model", ["resnet18", {"name": "resnet18", "init_planes": 64}], ids=str)
    def test_none_where_no_key_differs(self, model):
        pane = pane_of(model)
        assert preset_of(pane.scene) is None and pane.show()[0]["against"] == []
        assert pane.show()[0]["widths"]["preset"] == []

    def test_a_family_s_own_config_has_no_preset(self, light_configs):
        assert preset_of(pane_of(light_configs["RegNet"]).scene) is None

    def test_heads_are_no_difference(self, pane):
        pane.scene.subject.attach_head("block3-1", "fully_connected", "cls", {"num_classes": 3})
        assert preset_of(pane.scene) is None

    def test_what_the_keys_make_of_it(self):
        scene = pane_of({"name": "regnet_y_400mf", "depth": 14}).scene
        scene.subject.attach_head("block3-0", "fully_connected", "cls", {"num_classes": 3})
        rows = {row["label"]: row for row in against_preset(scene)}
        both = ck.compare(["regnet_y_400mf", {"name": "regnet_y_400mf", "depth": 14}])
        now = both.names[1]
        assert rows["blocks"]["preset"] == str(both.figure("regnet_y_400mf", "blocks"))
        assert rows["blocks"]["now"] == str(both.figure(now, "blocks"))
        assert rows["parameters"]["change"].startswith("−" if both.difference(now, "params") < 0 else "+")


class TestWidths:
    def test_channels_by_block(self):
        state = widths(pane_of("efficientnet_lite0").scene)
        assert state["now"][:4] == [32, 16, 24, 24] and state["blocks"][-1] == "trunk_output" and state["line"] is None
        assert "192 ×4" in state["words"] and len(state["now"]) == len(state["blocks"])

    def test_a_regnet_has_its_line_and_the_preset(self):
        state = widths(pane_of({"name": "regnet_y_400mf", "w_a": 30.0}).scene)
        assert state["line"] == {"first": 48, "slope": 30.0, "from": 1}
        assert state["preset"] == widths(pane_of("regnet_y_400mf").scene)["now"] != state["now"]

    def test_widths_that_were_made_to_fit_are_said(self):
        said = widths(pane_of("regnet_y_1.6gf").scene)["rounded"]
        assert said == "2 stages were rounded so that groups of 24 fit: 128 → 120, 896 → 888 channels."
        assert widths(pane_of("regnet_y_400mf").scene)["rounded"] == "" == widths(pane_of("resnet18").scene)["rounded"]

    def test_none_where_all_are_as_wide(self, light_configs):
        assert widths(pane_of("vit_b_32").scene) is None and widths(pane_of(light_configs["MLP"]).scene) is None


@pytest.mark.parametrize("family", ["AnyNet", "RegNet", "EfficientNet", "VisionTransformer", "MLP", "ResNeXt3D"])
def test_every_family_has_a_table(family, light_configs):
    pane = pane_of(light_configs[family])
    state = pane.show()[0]
    assert (
        pane.applies
        and not pane.due
        and pane.figure().axes
        and state["totals"]
        and len(state["rows"]) == len(pane.scene.inspection.blocks)
    )
