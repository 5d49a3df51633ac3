"""classykit.features: what kind of thing a block gives."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classykit.features import Features, as_maps, main_tensor, patch_grid, shape_text

KNOWN = [
    ((11, 4, 5, 6), "map2d", (4, 5, 6), 4, (5, 6), 0),
    ((11, 4, 2, 5, 6), "map3d", (4, 2, 5, 6), 4, (2, 5, 6), 0),
    ((11, 17, 8), "tokens", (17, 8), 8, (), 0),
    ((17, 11, 8), "tokens", (17, 8), 8, (), 1),
    ((11, 11, 8), "tokens", (11, 8), 8, (), 0),
    ((11, 8), "vector", (8,), 8, (), 0),
]


@pytest.mark.parametrize("shape, kind, own, channels, spatial, batch_dim", KNOWN)
def test_kinds(shape, kind, own, channels, spatial, batch_dim):
    f = Features.of(torch.empty(shape, device="meta"), 11)
    assert (f.kind, f.shape, f.channels, f.spatial, f.batch_dim) == (kind, own, channels, spatial, batch_dim)
    assert str(f) == "×".join(map(str, own))


@pytest.mark.parametrize(
    "output",
    [
        torch.empty(3, 4),
        torch.empty(11),
        torch.empty(11, 2, 2, 2, 2, 2),
        torch.zeros(11, 4, dtype=torch.int64),
        (1,),
        None,
    ],
    ids=["other batch", "scalar each", "too many dimensions", "integers", "tuple", "None"],
)
def test_what_is_no_features(output):
    assert Features.of(output, 11) is None


@pytest.mark.parametrize(
    "shape, channels, spatial", [((11, 7, 7, 96), 96, (7, 7)), ((11, 8, 56, 56, 96), 96, (8, 56, 56))]
)
def test_channels_last_where_the_input_is_square(shape, channels, spatial):
    f = Features.of(torch.empty(shape, device="meta"), 11)
    assert f.channels_last and f.channels == channels and f.spatial == spatial
    assert not Features.of(torch.empty(shape, device="meta"), 11, square=False).channels_last


def test_the_features_among_several_things():
    tokens, size = torch.empty(11, 49, 8), (7, 7)
    assert main_tensor(tokens, 11) == (None, tokens)
    assert main_tensor((size, tokens), 11) == (1, tokens)
    assert main_tensor({"size": size, "x": tokens}, 11) == ("x", tokens)
    assert main_tensor((size, None), 11) == (None, (size, None))


def test_shape_text():
    assert shape_text((24, 56, 56)) == "24×56×56" and shape_text(None) == "?" and shape_text(()) == ""


@pytest.mark.parametrize(
    "shape, moves, kind, channels, spatial, last",
    [
        ((11, 32, 100), (0, 0, 1), "sequence", 32, (100,), False),
        ((11, 100, 32), (0, 1, 0), "tokens", 32, (), False),
        ((11, 100, 32), (0, 1, 1), "tokens", 32, (), False),
        ((11, 16, 16, 32), (0, 0, 1, 1), "map2d", 16, (16, 32), False),  # C happens to be H
        ((11, 16, 32, 32), (0, 1, 1, 0), "map2d", 32, (16, 32), True),
        ((11, 16, 16, 1), (0, 0, 1, 0), "map2d", 16, (16, 1), False),  # frequencies are pooled
        ((11, 7, 7, 96), (0, 0, 0, 0), "map2d", 96, (7, 7), True),  # nothing moves: the usual guess
        ((11, 4, 4, 4, 8), (0, 0, 1, 1, 1), "map3d", 4, (4, 4, 8), False),
        ((11, 4, 8, 8, 8), (0, 1, 1, 1, 0), "map3d", 8, (4, 8, 8), True),
        ((11, 8), (0, 1), "vector", 8, (), False),
        ((11, 32, 100), (0, 1), "tokens", 100, (), False),  # of another tensor
    ],
)
def test_what_moves_with_the_inputs_size_is_space(shape, moves, kind, channels, spatial, last):
    f = Features.of(torch.empty(shape, device="meta"), 11, moves=tuple(map(bool, moves)))
    assert (f.kind, f.channels, f.spatial, f.channels_last) == (kind, channels, spatial, last)


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
