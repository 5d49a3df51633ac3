"""classykit.exploring.panes.compare_shown: figures and words of models beside each other."""

import pytest
import torch

import classykit as ck
from classykit.exploring.explored import Explored
from classykit.exploring.panes.compare_shown import (
    MAPS,
    by_stage,
    counted_in_words,
    differing_keys,
    first_maps,
    line,
    model_state,
    stage_headings,
)
from classykit.exploring.scene import Scene

SMALL = {"name": "resnet18", "init_planes": 4}


def scene_of(model):
    return Scene(Explored(model), "cpu", "cat", ck.load_image("cat"), "moving shapes")


@pytest.fixture
def comparison():
    return ck.compare([SMALL, "efficientnet_lite0"], names=["A", "B"])


def test_figures_beside_each_other():
    assert line("MACs", [2, 1, None], ["2", "1", "?"]) == {
        "label": "MACs", "values": ["2", "1", "?"], "shares": [1, 0.5, 0], "ratios": ["×0.5", ""],
    }  # fmt: skip
    assert line("seconds", [None, 3.0], ["–", "3 s"])["ratios"] == [""]


def test_stages_and_what_is_in_them(comparison):
    headings = stage_headings(comparison)
    assert [*headings.values()][:2] == ["112 × 112", "56 × 56"]
    rows = by_stage(comparison, headings)
    assert [row["label"] for row in rows] == [*headings.values()]
    assert max(share for row in rows for _, share in row["macs"]) == 1 and rows[1]["params"][0][1] < 1


def test_what_is_counted(comparison):
    assert counted_in_words(comparison, "classifier") == (
        "Counted with classifiers: B has a classifier of 1.28 M parameters, A has none."
    )
    bare = ck.compare([SMALL, "resnet34"], names=["A", "B"])
    assert counted_in_words(bare, "trunk") == "Counted without classifiers: none has a classifier."


@pytest.mark.parametrize(
    "other, keys", [("resnet18", ["init_planes"]), ("vit_b_32", []), (torch.nn.Conv2d(3, 2, 3), [])]
)
def test_keys_that_differ(other, keys):
    scenes = [scene_of(SMALL), scene_of(other)]
    assert [row["key"] for row in differing_keys(scenes)] == keys
    assert differing_keys(scenes[::-1]) == [{"key": key, "values": ["64", "4"]} for key in keys]


def test_a_model_and_its_maps(comparison):
    scene = scene_of(SMALL)
    assert first_maps(scene, "variance") is None
    state = model_state(scene, "A", comparison, [*stage_headings(comparison)], None, {})
    assert (state["guess"], state["maps"], state["variant"]) == ("not run yet", None, "init_planes = 4")
    scene.run()
    maps = first_maps(scene, "index")
    assert maps.channels == [*range(min(MAPS, scene.features.shape[1]))]
    state = model_state(scene, "A", comparison, [*stage_headings(comparison)], maps, {})
    assert state["maps"]["channels"] == maps.channels and state["guess"] == "no classifier"
