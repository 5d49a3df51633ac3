"""classykit.bands: pictures of any number of bands."""

import numpy as np
import pytest
import torch
from PIL import Image

from classykit.bands import load_bands
from classykit.errors import ImageError

BANDS = np.random.default_rng(0).random((7, 9, 5)).astype(np.float32)


@pytest.mark.parametrize(
    "source",
    [BANDS, BANDS[None], BANDS.transpose(2, 0, 1), torch.from_numpy(BANDS), torch.from_numpy(BANDS).permute(2, 0, 1)],
)
def test_both_orders(source):
    assert np.allclose(load_bands(source, 5), BANDS.transpose(2, 0, 1))


def test_where_both_orders_fit():
    both = np.random.default_rng(0).random((5, 9, 5))
    assert np.allclose(load_bands(both, 5), both.transpose(2, 0, 1))
    assert np.allclose(load_bands(torch.from_numpy(both), 5), both)


@pytest.mark.parametrize(
    "values, found",
    [
        (np.array([0, 255], np.uint8), [0, 1]),
        (np.array([0, 65535], np.uint16), [0, 1]),
        (np.array([False, True]), [0, 1]),
        (np.array([0.25, 1.00005]), [0.25, 1]),
        (torch.tensor([0.25, 0.5], dtype=torch.bfloat16), [0.25, 0.5]),
    ],
)
def test_units(values, found):
    assert load_bands(values.reshape(2, 1, 1), 2).flatten().tolist() == pytest.approx(found)


def test_a_pillow_image_of_four_bands():
    assert load_bands(Image.new("CMYK", (4, 3), (255, 0, 0, 51)), 4)[:, 0, 0].tolist() == pytest.approx([1, 0, 0, 0.2])


@pytest.mark.parametrize(
    "source, words",
    [
        ("cat", "not a str"),
        (BANDS[..., :4], "this one is"),
        (BANDS[0], "this one is"),
        (np.zeros((0, 9, 5)), "this one is"),
        (BANDS * 9, "values from"),
        (np.full((3, 3, 5), np.nan), "values from"),
        (np.zeros((3, 3, 5), np.int64), "not int64"),
        (np.zeros((3, 3, 5), object), "not object"),
    ],
)
def test_what_is_none(source, words):
    with pytest.raises(ImageError, match=words):
        load_bands(source, 5)
