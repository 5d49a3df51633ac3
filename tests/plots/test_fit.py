"""classykit.plots.fit: loss and accuracy of heads, epoch by epoch."""

from classykit.learning.fit import Fit, HeadFit
from classykit.plots.fit import fit_curves


def test_a_line_a_head():
    heads = {"a": HeadFit("block0-0", [2.0, 1.0], [0.3, 0.6]), "_b": HeadFit("block1-0", [3.0, 2.5], [0.2, 0.4])}
    figure = fit_curves(Fit("net", heads, 2, 0.01, 32, 0, 0.2, False, 80, 20))
    losses, accuracy = figure.axes
    assert [line.get_ydata().tolist() for line in losses.lines] == [[2.0, 1.0], [3.0, 2.5]]
    assert [line.get_ydata().tolist() for line in accuracy.lines] == [[0.3, 0.6], [0.2, 0.4]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a on block0-0", "_b on block1-0"]
    assert "held out" in accuracy.get_ylabel()
    figure.draw_without_rendering()


def test_none_held_out_and_stopped_at_once():
    figure = fit_curves(Fit("net", {"a": HeadFit("block0-0")}, 2, 0.01, 32, 0, 0.0, False, 80, 0))
    assert figure.axes[1].get_ylabel() == "accuracy"
    figure.draw_without_rendering()
