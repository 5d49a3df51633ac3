"""classykit.plots.style: what the plots share, on light and dark pages."""

from dataclasses import replace

import numpy as np
import pytest
from figures import MLP, SHOWN, name_of, picture, texts
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.plots import cost_bars, receptive_field_curve, shape_flow
from classykit.plots.style import figure_of, name_ticks, place_labels, shortened

PLOTS = [cost_bars, shape_flow, receptive_field_curve]


@pytest.mark.parametrize("model", SHOWN, ids=name_of)
@pytest.mark.parametrize("plot", PLOTS)
def test_all_kinds_of_models_on_light_and_dark_pages(plot, model):
    if plot is receptive_field_curve and model is MLP:
        pytest.skip("no receptive field")
    inspection = ck.inspect(model)
    drawn = picture(plot(inspection)).convert("RGBA")
    assert drawn.getpixel((drawn.width - 1, drawn.height - 1))[3] == 0, "the page's own ground"
    assert 400 <= drawn.width <= 1100 and 120 <= drawn.height <= 1100
    solid = np.asarray(drawn)[np.asarray(drawn)[..., 3] == 255][:, :3]
    darkest, lightest = solid.sum(1).min(), solid.sum(1).max()
    assert darkest > 150 and lightest < 600, "neither lost on black nor on white"
    title = plot(inspection).get_suptitle()
    assert name_of(model) in title and "input" in title


@pytest.mark.parametrize("plot", PLOTS)
def test_titles(plot):
    inspection = ck.inspect("resnet18", batch_size=4)
    assert "batch of 4" in plot(inspection).get_suptitle()
    assert plot(inspection, title="mine").get_suptitle() == "mine" and plot(inspection, title="").get_suptitle() == ""


@pytest.mark.parametrize("plot", PLOTS)
def test_a_model_that_failed_is_drawn_until_there(plot):
    inspection = ck.inspect(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(7, 2)), (3, 16, 16))
    assert inspection.error is not None
    assert "until it failed" in plot(inspection).get_suptitle()


@pytest.mark.parametrize("plot", PLOTS)
def test_a_model_without_blocks(plot):
    with pytest.raises(ConfigError, match="resnet18 has no"):
        plot(replace(ck.inspect("resnet18"), blocks=()))


def test_a_name_is_no_formula():
    c = ck.compare(["resnet18", "resnet34"], names=[r"$\frac$", "$x^2$"])
    assert picture(c.plot()) and {"$x^2$", r"$\frac$"} == set(texts(c.plot().axes[0]))
    i = ck.inspect("resnet18")
    odd = replace(i, name=r"$\frac$", blocks=tuple(replace(b, name=rf"{b.name}$\frac$") for b in i.blocks))
    assert all(picture(plot(odd)) for plot in PLOTS)


def test_labels_move_into_their_axes_and_later_ones_give_way():
    figure = figure_of(4, 2, "")
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1))
    first, hidden, outside = (axes.text(x, 0.5, text) for x, text in ((0.5, "first"), (0.51, "hidden"), (1.2, "far")))
    assert place_labels(figure, [first, hidden, outside]) == [first, outside]
    figure.draw_without_rendering()
    assert outside.get_window_extent().x1 <= axes.get_window_extent().x1 + 1 and hidden not in axes.texts


@pytest.mark.parametrize("count, shown", [(5, 5), (30, 30), (31, 16), (400, 20), (5000, 25)])
def test_of_many_names_every_second_fifth_or_tenth_is_shown(count, shown):
    axes = figure_of(4, 2, "").add_subplot()
    name_ticks(axes, [f"block{i}" for i in range(count)], width=4)
    assert len(axes.get_xticklabels()) == shown and axes.get_xticklabels()[0].get_text() == "block0"


def test_of_a_long_name_the_end_is_shown():
    assert shortened("blocks.3.block3-11") == "blocks.3.block3-11"
    assert shortened("a" * 30 + "block3-11", 12) == "…aablock3-11"
