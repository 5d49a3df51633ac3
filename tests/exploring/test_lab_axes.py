"""What the design lab's scatter shows."""

import pytest

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring import lab_axes, lab_shown
from classykit.exploring.lab import Lab, Task
from classykit.exploring.lab_axes import Axes
from classykit.models.factory import build_model


@pytest.mark.parametrize(
    "what, value", [("across", "error"), ("up", "depth"), ("colour", "MACs"), ("size", "MACs"), ("up", None)]
)
def test_what_cannot_be_shown_is_refused(what, value):
    axes = Axes()
    with pytest.raises(ConfigError, match=what):
        axes.with_(**{what: value})
    assert axes == Axes("MACs", "error", "space")


@pytest.mark.parametrize("number", [0, -1])
def test_every_measure_is_the_models_own(number):
    net = Lab().nets[number]
    model = build_model(net.config, device="meta")
    blocks = [name for name in model.block_names if name != "stem"]
    assert lab_axes.figure(net, "depth") == len(blocks)
    assert lab_axes.figure(net, "width") == model.block_features(blocks)[blocks[-1]].channels
    assert lab_axes.figure(net, "parameters") == net.params == sum(p.numel() for p in model.parameters())
    assert lab_axes.figure(net, "MACs") == net.macs == ck.inspect(model, (3, 32, 32)).macs


def test_shades_go_from_the_least_to_the_most():
    lab = Lab("anynet")
    shades, words = lab_axes.shades(lab.nets, Axes(colour="depth"))
    depths = [net.depth for net in lab.nets]
    assert shades[depths.index(min(depths))] == 0 and shades[depths.index(max(depths))] == 1
    assert sorted(range(10), key=lambda n: (shades[n], n)) == sorted(range(10), key=lambda n: (depths[n], n))
    assert words == f"pale: {min(depths)}, dark: {max(depths)} blocks"
    assert lab_axes.shades(lab.nets[:1], Axes(colour="width"))[0] == [0]  # nothing to compare with
    assert lab_axes.shades(lab.nets, Axes()) == ([None] * 10, "")


def test_the_budget_lies_where_macs_are():
    lab = Lab("regnet")
    lab.nets[2].errors[Task()] = 0.1
    shown = lab_shown.curves(lab)
    assert shown["across"]["band"] == list(lab.now.budget) and shown["up"]["band"] == []
    assert shown["front"] == [[lab.nets[2].macs, 0.1]]
    assert [net["y"] for net in lab_shown.nets(lab)][:4] == [None, None, 0.1, None]
    lab.axes = lab.axes.with_(across="width", up="MACs")
    shown = lab_shown.curves(lab)
    assert shown["across"]["band"] == [] and shown["up"]["band"] == list(lab.now.budget) and shown["front"] == []
    assert [(net["x"], net["y"]) for net in lab_shown.nets(lab)] == [(net.width, net.macs) for net in lab.nets]
    lab.axes = lab.axes.with_(up="error")  # the best so far goes with what is across
    assert lab_shown.curves(lab)["front"] == [[lab.nets[2].width, 0.1]]
