"""classykit.exploring.pane: what a tab is when it says nothing of its own."""

from classykit.exploring.explored import Explored
from classykit.exploring.pane import Pane
from classykit.exploring.panes import PANES
from classykit.exploring.scene import Scene


def test_a_pane_that_says_nothing_shows_nothing_and_asks_for_nothing():
    scene = Scene(Explored("resnet18"), "cpu", None, None, "moving shapes")
    pane = Pane(scene, print)
    pane.work()
    pane.let_go()
    assert (pane.applies, pane.due, pane.show(), pane.acts, pane.code()) == (True, False, ({}, b""), {}, "")


def test_each_has_a_name_of_its_own():
    assert len({kind.id for kind in PANES}) == len({kind.title for kind in PANES}) == len(PANES)
