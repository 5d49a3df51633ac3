"""classykit.exploring.descriptions: models that were described lately."""

import pytest

import classykit as ck
from classykit.exploring import descriptions
from classykit.exploring.explored import Explored

SMALL = {"name": "resnet18", "init_planes": 4}


@pytest.fixture(autouse=True)
def nothing_kept():
    descriptions._kept.clear()
    yield
    descriptions._kept.clear()


def test_a_model_that_is_chosen_again_is_not_inspected_again(monkeypatch):
    app = ck.explore(SMALL, image=None)
    first = app.inspection
    app.attach_head("block1-0", "linear_probe", unique_id="x", num_classes=2)
    app.choose("resnet34", carry_heads=False)
    monkeypatch.setattr("classykit.exploring.explored.inspect", None)
    app.choose(SMALL)
    assert app.inspection is first and app.model.get_heads() == {} and app.config == SMALL


def test_two_apps_never_share_a_model():
    one = Explored(SMALL)
    one.let_go()
    two, three = Explored(SMALL), Explored(SMALL)
    assert two.model is not three.model
    two.attach_head("block1-0", "linear_probe", "x", {"num_classes": 2})
    assert not three.heads() and two.inspection is not three.inspection


def test_heads_of_the_step_before_come_back_with_undo():
    app = ck.explore(SMALL, image=None)
    app.attach_head("block1-0", "linear_probe", unique_id="x", num_classes=2)
    app.choose("resnet34", carry_heads=False)
    app.undo()
    assert list(app._scene.subject.heads()) == ["x"]
    assert "x" in [b.name for b in app.inspection.blocks]


def test_only_so_many_are_kept(monkeypatch):
    monkeypatch.setattr(descriptions, "LIMIT", 2)
    for planes in (4, 8, 12):
        Explored({**SMALL, "init_planes": planes}).let_go()
    assert [descriptions.take({**SMALL, "init_planes": n}) is None for n in (4, 8, 12)] == [True, False, False]


def test_weights_are_none_of_what_is_kept():
    subject = Explored(SMALL)
    subject.go_live("cpu")
    subject.let_go()
    assert next(descriptions.take(SMALL)[0].parameters()).is_meta
