"""classykit.exploring.lab_shown: what the page is told is what the lab holds."""

import json

from classykit.exploring import lab_shown
from classykit.exploring.lab import Lab, Task


def told(lab):
    return {name: getattr(lab_shown, name)(lab) for name in ("head", "controls", "counts", "nets", "curves", "net")}


def test_before_anything_is_trained_no_error_is_shown():
    lab = Lab()
    shown = told(lab)
    assert json.loads(json.dumps(shown)) == shown  # a page can be sent it
    assert [net["error"] for net in shown["nets"]] == [None] * 20
    assert shown["head"]["totals"][2] == {"value": "–", "label": "best error"}
    assert {row["label"]: row["value"] for row in shown["net"]["rows"]}["error"] == "unknown"
    assert shown["counts"]["words"] == "0 trained, 20 wait." and shown["curves"]["edf"][0]["steps"] == []


def test_a_turned_net_has_no_error_and_its_ghost():
    lab = Lab("regnet")
    for n, net in enumerate(lab.nets):
        net.errors[Task()] = 0.1 + n / 100
    rows = {row["label"]: row["value"] for row in lab_shown.net(lab)["rows"]}
    assert rows["error"] == "10 %" and rows["better than"] == "90 %"
    before = lab_shown.net(lab)["blocks"]
    lab.turn("depth", 5)
    shown = lab_shown.net(lab)
    rows = {row["label"]: row["value"] for row in shown["rows"]}
    assert rows["error"] == "unknown" and "better than" not in rows
    assert shown["ghost"] == before != shown["blocks"] and len(shown["blocks"]) == 5 and shown["trainable"]
    lab.reset()
    assert lab_shown.net(lab)["ghost"] == [] and not lab_shown.net(lab)["trainable"]


def test_what_is_out_of_the_budget_is_pale_and_in_no_curve():
    lab = Lab("regnet")
    for net in lab.nets:
        net.errors[Task()] = 0.2
    lab.set_budget(2e6, 3e6)
    inside = [net for net in lab.nets if net.macs <= 3e6]
    shown = told(lab)
    assert 0 < len(inside) < 10 and sum(net["inside"] for net in shown["nets"]) == len(inside)
    assert len(shown["curves"]["edf"][0]["steps"]) == len(inside)
    assert [total["value"] for total in shown["head"]["totals"]] == ["10", str(len(inside)), "20 %"]


def test_longer_training_stands_beside():
    lab = Lab("regnet")
    lab.nets[0].errors = {Task(): 0.2, Task(epochs=8): 0.05}
    assert lab_shown.nets(lab)[0]["cells"][4:] == ["20 %", "in", "5.0 % (8)"]
    assert {"label": "after 8 epochs", "value": "5.0 %"} in lab_shown.net(lab)["rows"]
