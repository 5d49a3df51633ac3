"""classykit.widgets.design_lab: the lab as a widget, by its verbs and by what the page sends."""

import gc
import re
import threading
import time
import weakref

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, StateError
from classykit.exploring import lab as controller
from classykit.widgets.design_lab import _PARTS, DesignLab


def send(app, **message):
    app._handle_custom_msg(message, [])


@pytest.fixture
def quick(monkeypatch):
    def measure(config, *, size, epochs, seed, tell=None):
        if tell is not None:
            tell(0.5)
        return {"test_error": config["depth"] / 40 / epochs, "train_loss": 1.0}

    monkeypatch.setattr(controller, "train_briefly", measure)


@pytest.fixture
def app():
    return ck.design_lab("regnet")


def test_it_trains_for_real_and_leaves_nothing_behind(monkeypatch):
    space = ck.Space("regnet", depth=(2, 3), w_0=8, w_a=(4.0, 9.0), group_width=[8], use_se=False,
                     stem_type="res_stem_cifar", stem_width=8)  # fmt: skip
    app = ck.design_lab(space, macs=(1e4, 1e8), size=8, epochs=1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    monkeypatch.setattr(app.lab, "waiting", lambda: [0, 1])
    app.train()
    assert [net["error"] is not None for net in app.nets[:3]] == [True, True, False]
    assert app.status.startswith("Done. Median error") and not app.busy and app.progress == -1
    assert torch.equal(state, torch.get_rng_state()) and torch.get_num_threads() == threads


def test_sample_trains_what_was_drawn(app, quick):
    send(app, type="sample")
    assert len(app.nets) == 20 and app.counts["waiting"] == 0 and app.error == ""
    assert "ck.sample(regnet, 20" in app.code and "ck.sweep([*nets]" in app.code
    send(app, type="longer")
    assert sum(bool(net["cells"][6]) for net in app.nets) == 3


def test_stop_keeps_what_is_trained_and_works_within_a_step(app, monkeypatch):
    begun = threading.Event()

    def measure(config, *, size, epochs, seed, tell=None):
        if begun.is_set():  # the second never ends by itself
            while True:
                time.sleep(0.01)
                tell(0.5)
        begun.set()
        return {"test_error": 0.1, "train_loss": 1.0}

    monkeypatch.setattr(controller, "train_briefly", measure)
    monkeypatch.setattr("classykit.widgets.worker._is_served", lambda: True)
    send(app, type="train")
    assert begun.wait(20)
    until(lambda: app.nets[0]["error"] is not None)
    assert app.busy
    send(app, type="stop")
    until(lambda: not app.busy)
    assert [net["error"] for net in app.nets] == [0.1] + [None] * 9
    assert app.status.startswith("Stopped: what is trained is kept.") and app.lab.jobs == []


def until(true):
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def test_nets_are_turned_and_trained_by_hand(app, quick):
    send(app, type="choose", net=3)
    assert app.net["number"] == 3 and app.status == app.nets[3]["label"] + "."
    send(app, type="key", key="depth", value=13, done=False)
    assert len(app.net["blocks"]) == 13 and app.net["ghost"] and app.steps["undo"] == ""
    send(app, type="key", key="depth", value=14, done=True)
    assert app.steps["undo"] == "depth 14" and "unknown until it is trained" in app.status
    send(app, type="own")
    assert app.nets[-1]["own"] and app.nets[-1]["error"] == 14 / 80 and app.net["number"] == 10
    send(app, type="undo")
    assert app.net["number"] == 3 or not app.net["turned"]


def test_a_key_that_cannot_be_says_so_beside_it(app):
    send(app, type="key", key="w_0", value="52", done=True)
    refused = next(key["refused"] for key in app.net["keys"] if key["name"] == "w_0")
    assert refused["typed"] == "52" and refused["nearest"] == ["48", "56"] and app.error == ""
    send(app, type="key", key="w_0", value="48", done=True)
    assert app.lab.config["w_0"] == 48 and all(key["refused"] is None for key in app.net["keys"])
    with pytest.raises(ConfigError):
        app.turn("w_0", 52)


def test_ranges_budget_and_task_from_the_page(app):
    send(app, type="range", space=0, key="depth", low=0, high=3, done=True)
    assert app.controls["spaces"][0]["ranges"][0]["text"] == "2 – 5"
    send(app, type="budget", low=0, high=10**6, done=True)
    assert app.lab.now.budget == (app.lab.budget_stops[0], app.lab.budget_stops[-1])
    send(app, type="task", what="epochs", value="4")
    assert app.lab.now.task.epochs == 4
    for _ in range(3):
        send(app, type="undo")
    assert app.lab.now.budget == (2e6, 6e6) and app.steps["undo"] == "" and app.steps["redo"] == "RegNet depth 2 – 5"
    send(app, type="redo")
    assert app.steps["undo"] == "RegNet depth 2 – 5"


def test_other_axes(app):
    app.see(across="depth", colour="width")
    assert [net["x"] for net in app.nets] == [net.depth for net in app.lab.nets]
    send(app, type="see", what="up", value="parameters")
    assert [net["y"] for net in app.nets] == [net.params for net in app.lab.nets] and app.error == ""
    send(app, type="see", what="up", value="depth")
    assert "up can be error, MACs, parameters, not 'depth'" in app.error
    with pytest.raises(ConfigError, match="no 'x'"):
        app.see(x="MACs")
    assert (app.lab.axes.across, app.lab.axes.up, app.lab.axes.colour) == ("depth", "parameters", "width")


def test_other_spaces_and_back_to_what_is_known(quick):
    own = ck.Space("regnet", depth=(4, 6), w_0=8, w_a=(4.0, 8.0), w_m=2.0, group_width=8, use_se=False)
    app = ck.design_lab(own, macs=(1e6, 50e6), epochs=1)
    first, titles = app.lab, [one["id"] for one in app.head["spaces"]]
    assert titles == ["RegNet, yours", "RegNet against AnyNet", "RegNet", "AnyNet"]
    app.train()
    trained = first.errors()
    send(app, type="open", spaces="RegNet")
    assert app.error == "" and app.lab is not first and app.head["name"] == "RegNet" and not app.lab.errors()
    assert app.lab.now.task == first.now.task and app.controls["spaces"][0]["name"] == "RegNet"
    app.turn("depth", 7)
    app.open_spaces("RegNet, yours")
    assert app.lab is first and first.errors() == trained and len(trained) == len(first.nets)
    app.open_spaces("RegNet")
    assert app.lab.config["depth"] == 7 and app.steps["undo"] == "depth 7"
    send(app, type="open", spaces="ResNet")
    assert "The menu has RegNet, yours, RegNet against AnyNet" in app.error and app.head["name"] == "RegNet"


def test_the_explorer_and_back(app):
    send(app, type="key", key="depth", value=5, done=True)
    send(app, type="explore")
    explorer = app.explorer
    assert app.inside == explorer.model_id and explorer.config == app.lab.config
    explorer.config = {**explorer.config, "depth": 6}
    send(app, type="back")
    assert app.inside == "" and app.explorer is None and explorer.comm is None
    assert app.lab.config["depth"] == 6 and app.steps["undo"] == "keys from the Explorer"
    app.open_explorer().config = {"name": "resnet18"}
    send(app, type="back")
    assert app.inside == "" and "resnet18 now" in app.error and app.lab.config["depth"] == 6


def test_the_page_is_answered_and_odd_messages_are_said(app):
    send(app, type="choose", net=1, page="p", asked=3)
    assert app.answered == {"p": 3}
    send(app, type="choose", net="1", page="p", asked=4)
    assert "without a proper 'net'" in app.error and app.answered == {"p": 4}
    send(app, type="choose", net=99)
    assert "no net 100" in app.error
    send(app, type="dismiss")
    assert app.error == ""
    for odd in ({"type": "fly"}, {"type": []}, {}, None):
        app._handle_custom_msg(odd, [])
    assert app.error == ""
    with pytest.raises(StateError):
        app.undo()


def test_files_are_sent(app, monkeypatch):
    sent = []
    monkeypatch.setattr(app, "send", lambda content, buffers=None: sent.append((content["name"], bytes(buffers[0]))))
    for file in ("code.py", "nets.csv", "../x"):
        send(app, type="save", file=file)
    assert [name for name, _ in sent] == ["design-lab-code.py", "design-lab-nets.csv"] and "no file" in app.error
    assert sent[0][1].decode() == app.to_code() + "\n" and sent[1][1].decode() == app.lab.to_csv()


def test_its_saved_form_is_the_same_each_time_and_needs_no_kernel():
    first, second = (ck.design_lab()._repr_mimebundle_() for _ in range(2))
    assert first["text/plain"] == "DesignLab(RegNet against AnyNet: 20 nets drawn, 0 trained)"
    assert first["text/html"] == second["text/html"] and "<script" not in first["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in first


def test_a_closed_app_trains_no_more_and_goes(app, quick):
    app.open_explorer()
    app.close()
    assert app.explorer is None and app.comm is None and app._stopped
    assert "text/html" in app._repr_mimebundle_()
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None or gone().comm is None


def test_the_parts_are_in_its_module():
    text, style = str(DesignLab._esm), str(DesignLab._css)
    assert text.count("export default { render };") == 1 and text.rstrip().endswith("export default { render };")
    for part in _PARTS:
        assert f"const {part} = (() => {{" in text and re.search(rf"\b{part}\.render\(", text)
    assert style.count("{") == style.count("}") > 0 and not re.search(r"@import|url\(", style)
