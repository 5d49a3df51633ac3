"""classykit.plots.effective_field: the map, and both fields over it."""

import pytest
import torch
from figures import picture

import classykit as ck


def test_both_fields_are_drawn():
    found = ck.effective_field(ck.build_model("resnet18"), torch.rand(1, 3, 64, 64), "block0-0")
    figure = found.plot()
    (axes,) = figure.axes
    frame, ellipse, dashed = axes.patches
    assert (frame.get_width(), frame.get_height()) == (64, 64)
    assert (ellipse.width, ellipse.height) == pytest.approx(found.size[::-1])
    assert (dashed.get_width(), dashed.get_height()) == (27, 27)
    rows, columns = found.window
    assert dashed.get_xy() == pytest.approx((columns.start - 0.5, rows.start - 0.5))
    assert "theoretical 27 × 27 px (dashed)" in axes.get_xlabel() and picture(figure)
