"""classykit.widgets.lab_snapshot: the lab as plain HTML."""

import base64
import re
import xml.dom.minidom

from classykit.exploring.lab import Lab, Task
from classykit.widgets.lab_snapshot import snapshot


def picture(text):
    return base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", text)[1]).decode()


def test_trained_nets_are_dots_and_waiting_ones_ticks():
    lab = Lab()
    for n, net in enumerate(lab.nets[:12]):
        net.errors[Task()] = 0.0 if n == 0 else 0.05 * n
    text = snapshot(lab)
    svg = picture(text)
    xml.dom.minidom.parseString(svg)
    assert svg.count("<circle") == 12 and svg.count("v-7") == 8
    assert "<b>12</b> trained" in text and "Median error: RegNet" in text and "<script" not in text
    assert "ck.sample(anynet, 10" in text


def test_before_training_and_out_of_the_budget():
    lab = Lab("regnet")
    assert picture(snapshot(lab)).count("<circle") == 0
    lab.nets[0].errors[Task()] = 0.1
    lab.set_budget(1e6, 1.1e6)
    assert 'opacity="0.4"' in picture(snapshot(lab))
