"""classykit.plots.figure: a figure that shows itself and belongs to no window."""

import subprocess
import sys

from figures import picture

from classykit.plots.figure import NotebookFigure


def test_none_needs_pyplot_or_a_window():
    code = (
        "import sys, classykit as ck; from classykit.plots import *; i = ck.inspect('resnet18');"
        "[f(i)._repr_png_() for f in (cost_bars, shape_flow, receptive_field_curve)];"
        "ck.compare(['resnet18', 'resnet34']).plot()._repr_png_(); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_it_brings_a_png_of_its_own_size():
    figure = NotebookFigure(figsize=(3, 2), dpi=50)
    figure.add_subplot().plot([0, 1])
    drawn = picture(figure)
    assert (drawn.format, drawn.size) == ("PNG", (150, 100)) and len(drawn.convert("RGB").getcolors(2**16)) > 2
