"""classykit.widgets.snapshot: the screen as plain HTML."""

import base64
import html.parser
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

import classykit as ck
from classykit.exploring.explored import Explored
from classykit.exploring.scene import Scene
from classykit.widgets import snapshot

SMALL = {"name": "resnet18", "init_planes": 4}
VIDEO = {"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32}
HOSTILE = '<img src=x onerror="alert(1)">'
NOTE = "run the cell for the live app"


def scene_of(config):
    return Scene(Explored(config), "cpu", "grace_hopper", ck.load_image("grace_hopper"), "moving shapes")


def pictures(text):
    """{alt: (H, W, 3)} of its pictures, drawings left out."""
    found = re.finditer(r'<img alt="([^"]*)"[^>]*src="(data:image/(?!svg)[^"]+)"', text)
    return {m[1]: np.asarray(Image.open(io.BytesIO(base64.b64decode(m[2].split(",")[1])))) for m in found}


@pytest.mark.parametrize("ran", [False, True])
def test_it_is_plain_html_without_scripts(ran):
    scene = scene_of(SMALL)
    scene.subject.attach_head("block2-0", "linear_probe", HOSTILE, {"num_classes": 3})
    if ran:
        scene.run()
    for text in (snapshot.snapshot(scene), snapshot.snapshot(scene, alone=True)):
        tags = []
        parser = html.parser.HTMLParser()
        parser.handle_starttag = lambda tag, attrs, tags=tags: tags.append((tag, dict(attrs)))
        parser.feed(text)
        assert not {"script", "iframe", "link"} & {tag for tag, _ in tags}
        assert not any(key.startswith("on") for _, attrs in tags for key in attrs)
        assert not re.search(r"https?://", text)
        sources = [a["src"] for tag, a in tags if tag == "img"]
        drawing = sources.pop(0).removeprefix("data:image/svg+xml;base64,")
        words = [e.text for e in ElementTree.fromstring(base64.b64decode(drawing)).iter() if e.tag.endswith("}text")]
        assert {"56 × 56", "0-1", "3-0"} <= set(words)
        names = [e.tag.rsplit("}")[-1] for e in ElementTree.fromstring(base64.b64decode(drawing)).iter()]
        assert names.count("rect") == len(scene.inspection.blocks) - 1 and "script" not in names
        assert all(source.startswith("data:image/png") for source in sources) and bool(sources) == ran


def test_a_saved_notebook_says_no_time():
    scene = scene_of(SMALL)
    scene.run()
    before = snapshot.snapshot(scene)
    scene.run()
    assert snapshot.snapshot(scene) == before and NOTE in before and "last run" not in before
    alone = snapshot.snapshot(scene, alone=True)
    assert "last run" in alone and NOTE not in alone


def test_a_saved_notebook_shows_the_maps_as_the_app_does():
    scene = scene_of(SMALL)
    scene.run()
    (shown,) = re.findall(r'<img alt="feature maps of block1-0"[^>]*base64,([^"]+)"', snapshot.snapshot(scene))
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown))).convert("RGB"))
    maps = scene.maps()
    unit = maps.to_unit()[0, 0].numpy()
    side = unit.shape[0]
    there = drawn[: 56 : 56 // side, : 56 : 56 // side] / 255
    assert np.abs(there - colormaps["viridis"](unit)[..., :3]).max() < 0.04
    assert len(maps.channels) == 8 and drawn.shape == (56, 8 * 60 - 4, 3)


@pytest.mark.parametrize("shape, size", [((1, 7, 7), (56, 56)), ((9, 7, 14), (476, 60)), ((24, 1, 8), (476, 29))])
def test_a_sheet_of_maps(shape, size):
    assert snapshot.sheet(torch.rand(shape)).size == size


@pytest.mark.parametrize("ran", [False, True])
def test_a_clip_is_a_film_strip(ran):
    scene = scene_of(VIDEO)
    scene.choose("pathway0-stage2-block0")
    if ran:
        scene.run()
        scene.frame = 4
    text, page = snapshot.snapshot(scene), snapshot.snapshot(scene, alone=True)
    assert "ck.moving_shapes()" in page and "<script" not in page
    film, both = pictures(text), pictures(page)
    if ran:
        assert list(film) == ["feature maps over time"]
        assert list(both) == ["feature maps", "feature maps over time"]
    else:
        assert list(film) == list(both) == ["the clip: moving shapes"]
    height, width, _ = next(iter(film.values())).shape
    assert width > height and next(iter(film.values())).std() > 20
    assert snapshot.snapshot(scene) == text, "the same each time"


@pytest.mark.parametrize("have, shown", [(1, [0]), (3, [0, 1, 2]), (16, [0, 2, 4, 6, 9, 11, 13, 15])])
def test_a_film_strip(have, shown):
    frames = [Image.new("RGB", (112, 56), (10 * t, 0, 0)) for t in range(have)]
    film = snapshot.strip(frames)
    assert film.size == (88 * len(shown), 44)
    assert [film.getpixel((88 * i + 40, 20))[0] // 10 for i in range(len(shown))] == shown
    assert frames[0].size == (112, 56), "the frames are left as they are"


def test_control_characters_do_not_break_the_drawing():
    import xml.dom.minidom

    scene = scene_of({"name": "resnet18", "num_blocks": [1, 1], "init_planes": 8})
    scene.subject.attach_head("block1-0", "fully_connected", "a\x1bb\u202e", {"num_classes": 2})
    page = snapshot.snapshot(scene)
    drawing = base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", page)[1])
    assert "a\\x1bb\\u202e" in xml.dom.minidom.parseString(drawing).toxml()
