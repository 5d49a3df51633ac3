"""classykit.seeing.patch_grid: where tokens lie in the picture."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classykit.features import Features
from classykit.seeing.patch_grid import as_maps, patch_grid


@pytest.mark.parametrize(
    "tokens, size, found",
    [
        (196, (224, 224), ((14, 14), 0)),
        (197, (224, 224), ((14, 14), 1)),
        (198, (224, 224), ((14, 14), 2)),  # DeiT: class and distillation token
        (201, (224, 224), ((14, 14), 5)),  # DINOv3: class and four registers
        (1374, (518, 518), ((37, 37), 5)),
        (99, (112, 224), ((7, 14), 1)),
        (197, None, (None, 0)),
        (1, (224, 224), (None, 0)),
    ],
)
def test_grids(tokens, size, found):
    assert patch_grid(tokens, size) == found


def test_a_map_that_was_made_says_more_than_a_guess():
    assert patch_grid(197, (224, 224), [(12, 16)]) == ((12, 16), 5)
    assert patch_grid(197, (224, 224), [(56, 56), (14, 14)]) == ((14, 14), 1)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 16), st.integers(0, 1))
def test_the_grid_of_any_picture(rows, columns, side, before):
    found, prefix = patch_grid(rows * columns + before, (rows * side, columns * side), [(rows, columns)])
    assert found == (rows, columns) and prefix == before


def test_as_maps_has_the_channels_first():
    x = torch.rand(2, 8, 3, 4)
    assert torch.equal(as_maps(x, (30, 40)), x)
    last = x.movedim(1, -1)
    assert torch.equal(as_maps(last, (30, 40), Features("map2d", (3, 4, 8), 8, channels_last=True)), x)
    tokens = torch.cat([torch.zeros(2, 1, 8), x.flatten(2).transpose(1, 2)], 1)
    assert torch.equal(as_maps(tokens, (30, 40)), x)
    assert torch.equal(as_maps(tokens.transpose(0, 1), (30, 40), Features("tokens", (13, 8), 8, batch_dim=1)), x)
    assert as_maps(torch.rand(2, 8), (30, 40)) is None and as_maps(tokens, None) is None
