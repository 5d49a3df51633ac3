"""classykit.plots.overlay: a map over its picture, in signed and centred colours."""

import numpy as np
import pytest
import torch
from figures import picture

import classykit as ck
from classykit.errors import ConfigError, ImageError, ShapeError
from classykit.plots.overlay import as_pixels, draw_overlay, overlay
from classykit.plots.style import figure_of, signed_colours

VALUES = torch.tensor([[1.0, 0.0], [0.0, -1.0]])


def test_orange_is_for_and_blue_against():
    drawn = np.asarray(picture(overlay(np.full((64, 64, 3), 0.5), VALUES)).convert("RGB")).astype(int)
    height, width = drawn.shape[:2]
    left = drawn[:, : int(width * 0.75)]
    warm, cold = left[..., 0] - left[..., 2] > 60, left[..., 2] - left[..., 0] > 60
    (wy, wx), (cy, cx) = (np.argwhere(mask).mean(0) for mask in (warm, cold))
    assert wy < height / 2 < cy and wx < cx


def test_colours_are_centred():
    colours = signed_colours()
    assert colours(0.5)[3] < 0.01 and colours(0.0)[3] == colours(1.0)[3] == 1
    figure = overlay(np.zeros((8, 8, 3)), torch.tensor([[3.0, -1.0]]))
    assert figure.axes[0].images[1].get_clim() == (-3, 3)
    assert overlay(np.zeros((8, 8, 3)), VALUES, limit=9).axes[0].images[1].get_clim() == (-9, 9)


def test_all_kinds_of_pictures():
    wanted = as_pixels("cat")
    image = ck.load_image("cat")
    for one in (image, np.asarray(image), wanted, torch.from_numpy(wanted)):
        assert np.abs(as_pixels(one) - wanted).max() < 1e-6
    assert picture(overlay("cat", VALUES, "a title", label="a label"))


def test_without_a_picture():
    axes = figure_of(2, 2, "").subplots()
    draw_overlay(axes, None, VALUES.numpy())
    assert len(axes.images) == 1


@pytest.mark.parametrize("values", [torch.rand(2, 3, 4), torch.rand(3), torch.rand(0, 3)])
def test_no_map(values):
    with pytest.raises(ShapeError, match="A map is"):
        overlay("cat", values)


def test_no_picture():
    with pytest.raises(ImageError):
        overlay("no such picture", VALUES)
    with pytest.raises(ConfigError, match="from 0 to 1"):
        overlay(np.full((4, 4, 3), 200.0), VALUES)


def test_nothing_but_zeros_and_what_is_not_finite():
    assert picture(overlay("cat", torch.zeros(2, 2)))
    assert picture(overlay("cat", torch.tensor([[1.0, float("nan")]])))
