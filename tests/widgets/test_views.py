"""The views without a browser: what they are made of, and that their traits hold what is put in."""

import re

import pytest

pytest.importorskip("anywidget")

from classykit.widgets import views

VIEWS = [getattr(views, name) for name in views.__all__]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_a_view_has_a_style_that_fetches_nothing(view):
    style = str(view()._css)
    assert style.count("{") == style.count("}") > 0
    assert not re.search(r"@import|url\(", style)
    assert view.__doc__


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_what_goes_in_is_what_is_sent(view):
    samples = {
        "state": {"name": "<b>resnet50</b>", "blocks": [{"name": "block0-0", "shares": {"macs": 0.5}}]},
        "status": "ready",
        "error": "no such model",
        "busy": True,
        "progress": 0.5,
        "selected": "block0-0",
        "pixels": b"\x00\x00\xff\xff",
        "frames": ["data:image/jpeg;base64,AAAA"],
        "frame": 3,
        "source": {"images": [{"name": "coffee", "label": "a cup"}], "clip": False},
        "picture": "data:image/jpeg;base64,AAAA",
        "table": {"columns": ["block"], "rows": [["<i>stem</i>"]]},
        "code": "import classykit as ck",
    }
    own = [name for name in view().keys if name in samples]
    widget = view(**{name: samples[name] for name in own})
    assert own
    for name in own:
        assert getattr(widget, name) == samples[name]
    assert {name: widget.get_state()[name] for name in own} == {name: samples[name] for name in own}


def test_messages_reach_the_controller():
    bar = views.ModelBar()
    heard = []
    bar.on_msg(lambda _, content, buffers: heard.append((content, buffers)))
    bar._handle_custom_msg({"type": "choose", "name": "resnet50"}, [])
    assert heard == [({"type": "choose", "name": "resnet50"}, [])]
