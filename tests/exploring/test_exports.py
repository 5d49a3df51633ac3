"""classykit.exploring.exports: files of what is on the screen."""

import io
import json
from xml.etree import ElementTree

import pandas
import pytest
from PIL import Image

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring.explored import Explored
from classykit.exploring.exports import KINDS, export
from classykit.exploring.pane import Pane
from classykit.exploring.scene import Scene

SMALL = {"name": "resnet18", "init_planes": 4}


@pytest.fixture
def scene():
    return Scene(Explored(SMALL), "cpu", "chelsea", ck.load_image("chelsea"), "moving shapes")


def test_what_there_is_before_a_run(scene):
    assert export("code.py", scene, None, "a = 1\n") == b"a = 1\n"
    assert json.loads(export("config.json", scene, None, ""))["config"]["name"] == "resnet18"
    table = pandas.read_csv(io.BytesIO(export("blocks.csv", scene, None, "")))
    assert list(table["block"]) == [b.name for b in scene.inspection.blocks]
    drawing = ElementTree.fromstring(export("map.svg", scene, None, ""))
    assert any(e.text == "56×56" for e in drawing.iter() if e.tag.endswith("}text"))
    assert Image.open(io.BytesIO(export("map.png", scene, None, ""))).width >= 1000


@pytest.mark.parametrize("pane", [None, Pane])
def test_a_view_that_shows_nothing_yet(scene, pane):
    with pytest.raises(ConfigError, match="nothing on this tab to save yet"):
        export("view.png", scene, pane and pane(scene, print), "")


def test_the_maps_after_a_run(scene):
    scene.run()
    picture = Image.open(io.BytesIO(export("view.png", scene, None, "")))
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 1000


def test_the_figure_of_an_open_tab(scene):
    class Tab(Pane):
        def figure(self):
            return ck.plots.cost_bars(self.scene.inspection)

    assert b"<svg" in export("view.svg", scene, Tab(scene, print), "")


def test_no_such_file(scene):
    with pytest.raises(ConfigError, match=f"one of {', '.join(KINDS)}, not 'map.gif'".replace(".", r"\.")):
        export("map.gif", scene, None, "")
