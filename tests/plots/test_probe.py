"""classykit.plots.probe: accuracy against depth and against MACs."""

import pytest

from classykit.learning.linear import Accuracy
from classykit.learning.probe import Probe
from classykit.plots.probe import probe_curves

BLOCKS = {"stem": Accuracy(0.4, 0.01, 8), "block1": Accuracy(0.9, 0.02, 16), "block2": Accuracy(0.7, float("nan"), 32)}
MACS = {"stem": 1_000_000, "block1": 5_000_000, "block2": 9_000_000}
CONTROLS = {"chance": Accuracy(0.1, 0.0), "pixels": Accuracy(0.6, 0.0, 64), "random": dict(BLOCKS)}


def test_two_panels_with_controls_and_error_bars():
    figure = probe_curves(Probe("net", BLOCKS, MACS, CONTROLS, 60, 10, "mean"))
    depth, cost = figure.axes
    assert [label.get_text() for label in depth.get_xticklabels()] == list(BLOCKS)
    own = next(c for c in cost.containers if c.get_label() == "net")
    assert own.lines[0].get_xdata().tolist() == list(MACS.values())
    assert own.lines[0].get_ydata().tolist() == [0.4, 0.9, 0.7] and own.has_yerr
    assert {line.get_ydata()[0] for line in depth.lines if line.get_label() in ("chance", "raw pixels")} == {0.1, 0.6}


def test_without_macs_and_controls():
    figure = probe_curves(Probe("net", BLOCKS, dict.fromkeys(BLOCKS), {"chance": Accuracy(0.1, 0)}, 60, 10, "mean"))
    assert len(figure.axes) == 1
    figure.draw_without_rendering()


@pytest.mark.parametrize("name", ["a $b$", "<i>", "_x"])
def test_names_are_taken_as_they_are(name):
    figure = probe_curves(Probe(name, BLOCKS, MACS, CONTROLS, 60, 10, "mean"))
    figure.draw_without_rendering()
    assert f"reads off {name}: 60 pictures" in figure.get_suptitle() and not figure._suptitle.get_parse_math()
    legend = figure.legends[0].get_texts()
    assert [text.get_text() for text in legend] == ["random weights", name, "best", "raw pixels", "chance"]
    assert not any(text.get_parse_math() for text in legend)
