"""classykit.exploring.lab_spaces: what the lab takes, and its ranges as sliders."""

import pytest

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring import lab_spaces


def test_names_spaces_and_two_of_one_family():
    own = ck.Space("regnet", depth=(12, 20))
    assert [s.family for s in lab_spaces.spaces_of(None)] == ["regnet", "anynet"]
    assert lab_spaces.spaces_of(own) == [own]
    assert lab_spaces.names_of(lab_spaces.spaces_of([own, "regnet"])) == ["RegNet A", "RegNet B"]


@pytest.mark.parametrize(
    ("given", "words"),
    [("regnets", "Did you mean 'regnet'"), (ck.Space("resnet"), "takes regnet and anynet"), (3, "not 3"),
     (["regnet"] * 3, "not 3"), ([], "not 0")],
)  # fmt: skip
def test_others_are_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        lab_spaces.spaces_of(given)


@pytest.mark.parametrize("family", ["regnet", "anynet"])
@pytest.mark.parametrize("small", [True, False])
def test_sliders_stand_at_the_ranges_ends(family, small):
    space = lab_spaces.spaces_of(family)[0] if small else ck.Space(family)
    found = {of["key"]: of for of in lab_spaces.sliders(space, space)}
    assert found
    for key, of in found.items():
        now = space.ranges[key]
        assert [of["stops"][at] for at in of["at"]] == [min(now), max(now)]
        assert of["stops"] == sorted(of["stops"]) and len(of["stops"]) < 140


def test_the_source_makes_the_same_space():
    space = ck.Space("anynet", stages=3, widths=(8, 64), shared="group_widths", increasing=("widths",), use_se=False)
    assert repr(eval(lab_spaces.source(space), {"ck": ck})) == repr(space)


def test_another_range_keeps_the_rest():
    space = ck.Space("anynet", shared="group_widths", use_se=False)
    fresh = lab_spaces.with_range(space, "widths", 64, 16)
    assert fresh.ranges["widths"] == (16, 64) and fresh.shared == space.shared and fresh.fixed == space.fixed
    assert space.ranges["widths"] == (8, 1024)
    with pytest.raises(ConfigError, match="no range"):
        lab_spaces.with_range(space, "stages", 1, 2)


def test_budgets_in_words():
    assert lab_spaces.budget_text((2e6, 6e6)) == "2 – 6 M"
    assert lab_spaces.budget_text((2.5e5, 6e6)) == "250 k – 6 M"
    stops = lab_spaces.budget_stops((2e6, 6e6))
    assert {2e6, 6e6} < set(stops) and stops[0] == 2.5e5 and stops[-1] == 4.8e7
