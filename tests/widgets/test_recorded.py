"""classykit.widgets.recorded: the app in a file of its own."""

import json
import re

import pytest

import classykit as ck
from classykit.widgets import bundle, recorded

SMALL = {"name": "resnet18", "init_planes": 4}
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def app():
    return ck.explore(SMALL, image="chelsea")


def recording_of(page):
    (text,) = re.findall(r'<script type="application/json" id="recording">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_every_block_is_in_it_with_its_maps(app, tmp_path):
    app.run()
    before = app.selected_block, app.panel_state, app.view_state, app.pixels
    recording = recording_of(app.save_html(tmp_path / "app.html").read_text("utf-8"))
    names = [block["name"] for block in recording["state"]["map_state"]["blocks"]]
    assert list(recording["blocks"]) == [app.selected_block, *(n for n in names if n != app.selected_block)]
    assert [recording["blocks"][n]["panel_state"]["name"] for n in names] == names
    assert all(recording["blocks"][n]["pixels"]["base64"] for n in names)
    assert set(recording["panes"]) <= set(recorded.RECORDED) and {"layers", "blocks"} <= set(recording["panes"])
    assert all(set(of) == set(names) for of in recording["panes"].values())
    assert recording["state"]["selected"] == app.selected_block and recording["state"]["code"]
    assert before == (app.selected_block, app.panel_state, app.view_state, app.pixels), "the app is as it was"


def test_before_a_run_there_are_no_maps_and_no_weights(app, tmp_path):
    recording = recording_of(app.save_html(tmp_path / "app.html").read_text("utf-8"))
    assert all(not block["pixels"]["base64"] for block in recording["blocks"].values())
    assert next(app.model.parameters()).is_meta


def test_it_cannot_grow_without_end(app, tmp_path, monkeypatch):
    app.run()
    monkeypatch.setattr(recorded, "MOST_BYTES", len(app.pixels))
    blocks = recording_of(app.save_html(tmp_path / "app.html").read_text("utf-8"))["blocks"]
    (mine, *others) = blocks.values()
    assert mine["pixels"]["base64"] and not any(other["pixels"]["base64"] for other in others)
    assert others[0]["view_state"]["hint"].endswith("were not recorded.")


def test_names_from_models_end_nothing(app, tmp_path):
    app.attach_head("block1-0", "linear_probe", unique_id=HOSTILE, num_classes=2)
    page = app.save_html(tmp_path / "app.html").read_text("utf-8")
    assert page.count("</script>") == 2 and HOSTILE not in page
    assert HOSTILE in json.dumps(recording_of(page)["blocks"], ensure_ascii=False)


def test_it_may_neither_fetch_nor_send(app, tmp_path):
    page = app.save_html(tmp_path / "app.html").read_text("utf-8")
    assert f'http-equiv="Content-Security-Policy" content="{recorded.POLICY}"' in page
    assert "default-src 'none'" in recorded.POLICY and "http:" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_closed_app_still_has_its_figures(app, tmp_path):
    app.run()
    app.close()
    recording = recording_of(app.save_html(tmp_path / "app.html").read_text("utf-8"))
    assert recording["blocks"]["block1-0"]["panel_state"]["name"] == "block1-0"


def test_a_script_that_would_end_too_early_is_refused(monkeypatch):
    monkeypatch.setattr(bundle, "_read", lambda name: "const a = '</SCRIPT>';\nexport default { render };")
    with pytest.raises(ValueError, match="would be cut off"):
        bundle.script("explorer", [], then="recorded")
