"""classykit.exploring.design: keys as controls, what differs, and what would work in place of what does not."""

import pytest
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring.design import (
    CHOICE,
    NUMBER,
    TEXT,
    TOGGLE,
    controls,
    head_controls,
    nearest,
    side,
    turned,
    typed,
)
from classykit.exploring.explored import Explored
from classykit.heads import build_head, list_heads

NAMES = ["regnet_y_400mf", "resnet18", "efficientnet_b0", "vit_demo", "densenet121", "r3d_18"]
ANYNET = {"name": "anynet", "depths": [1, 1], "widths": [104, 208], "group_widths": [26, 26],
          "bottleneck_multipliers": [1.0, 1.0], "strides": [2, 2]}  # fmt: skip


def named(subject):
    return {control.name: control for control in controls(subject)}


@pytest.mark.parametrize("model", [*NAMES, ANYNET], ids=str)
def test_every_key_is_a_control_that_is_as_the_preset(model):
    subject = Explored(model)
    found = named(subject)
    assert list(found) == list(ck.describe(model).keys)
    assert all(c.meaning and c.takes and c.kind in (TOGGLE, CHOICE, NUMBER, TEXT) for c in found.values())
    if isinstance(model, str):
        assert not any(c.changed for c in found.values())
    for c in found.values():
        if c.kind == NUMBER:
            assert c.low <= c.value <= c.high and c.low < c.high and c.step > 0, c
        if c.kind == CHOICE:
            assert c.value in c.options


@pytest.mark.parametrize("model", NAMES)
def test_the_ends_of_sliders_are_values_of_their_kind(model):
    subject, without_help = Explored(model), []
    for control in controls(subject):
        if control.kind != NUMBER:
            continue
        for end in (control.low, control.high):
            value = int(end) if control.whole else float(end)
            try:
                turned(subject, control.name, value)
            except ConfigError as error:  # with the other keys as they are; then something near works
                if not nearest(subject, control, value):
                    without_help.append((control.name, value, str(error)))
    assert without_help == []


def test_a_key_is_turned_and_back():
    subject = Explored("regnet_y_400mf")
    subject.attach_head("block3-1", "linear_probe", "cls", {"num_classes": 3})
    fresh, words = turned(subject, "depth", 14)
    assert fresh.config["depth"] == 14 and words == "" and fresh.heads()["cls"][0] == "block3-1"
    assert {c.name for c in controls(fresh) if c.changed} == {"depth"} and named(fresh)["depth"].preset == 16
    again, _ = turned(fresh, "depth", 16)
    assert set(again.config) == {"name", "heads"}


def test_heads_without_their_block_are_told_of():
    subject = Explored("resnet18")
    subject.attach_head("block3-1", "fully_connected", "cls", {"num_classes": 3})
    fresh, words = turned(subject, "num_blocks", [2, 2])
    assert fresh.heads() == {} or fresh.heads()["cls"][0] == "block1-1"
    assert words == "" or words.startswith("Head cls did not come along")


@pytest.mark.parametrize(
    "model, key, value, near",
    [
        ("regnet_y_400mf", "w_0", 52, [48, 56]),
        ("regnet_y_400mf", "depth", -3, [1]),
        ("regnet_y_400mf", "w_m", 0.5, [1.01]),
        ("vit_demo", "num_heads", 5, [4, 6]),
        ("resnet18", "init_planes", 0, [1]),
        ("resnet18", "num_blocks", "many", []),
    ],
)
def test_what_cannot_be_built_names_the_nearest_that_can(model, key, value, near):
    subject = Explored(model)
    before = subject.config
    with pytest.raises(ConfigError, match=key) as refused:
        turned(subject, key, value)
    assert refused.value.nearest == near
    assert ("The nearest that work: " in str(refused.value)) == bool(near)
    for one in near:
        assert turned(subject, key, one)[0].full_config[key] == one
    assert subject.config == before


def test_modules_and_unknown_keys():
    module = Explored(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3))))
    assert controls(module) == []
    with pytest.raises(ConfigError, match=r"no key 'dept'. Did you mean 'depth'"):
        turned(Explored("regnet_y_400mf"), "dept", 3)
    with pytest.raises(ConfigError, match="It has none"):
        turned(module, "depth", 3)


def test_what_is_typed():
    found = named(Explored("regnet_y_400mf"))
    assert typed(found["w_a"], "28") == 28.0 and type(typed(found["w_a"], 28)) is float
    assert typed(found["depth"], " 14 ") == 14 and typed(found["activation"], '"silu"') == "silu"
    assert typed(found["use_se"], False) is False
    for odd in ("__import__('os')", "1 +", "", "(" * 10_000):
        with pytest.raises(ConfigError, match="depth takes whole number"):
            typed(found["depth"], odd)


@pytest.mark.parametrize("kind", list_heads())
def test_the_keys_of_heads_are_controls_too(kind):
    found = {control.name: control for control in head_controls(kind)}
    assert "num_classes" in found and not {"unique_id", "in_plane", "before"} & set(found)
    assert all(c.meaning and c.takes for c in found.values()) and not any(c.changed for c in found.values())


def test_the_keys_of_an_attached_head():
    given = {"name": "fully_connected", "unique_id": "cls", "in_plane": 8, "num_classes": 10, "activation": "silu"}
    found = {control.name: control for control in head_controls(build_head(given))}
    assert found["num_classes"].kind == NUMBER and found["num_classes"].value == 10
    assert found["activation"].kind == CHOICE and found["activation"].changed
    assert found["activation"].options == ("relu", "silu") and found["zero_init_bias"].kind == TOGGLE
    assert typed(found["activation"], "'relu'") == "relu" and typed(found["conv_planes"], "16") == 16


@pytest.mark.parametrize("model, key, some", [
    ("efficientnet_lite0", "resolution", 160), ("vit_demo", "image_size", 224), ("r3d_18", "clip_crop_size", 64),
])  # fmt: skip
def test_the_size_of_pictures_where_a_key_says_it(model, key, some):
    subject = Explored(model)
    name, value, options = side(subject)
    assert name == key and value == subject.inspection.input_shape[-1] and value in options
    assert turned(subject, key, some)[0].inspection.input_shape[-1] == some


def test_only_sizes_that_work_are_offered():
    assert side(Explored("vit_h_14"))[2] == [112, 224, 448]  # patches of 14 pixels
    assert side(Explored("resnet18")) is None and side(Explored(nn.Conv2d(3, 4, 3))) is None
