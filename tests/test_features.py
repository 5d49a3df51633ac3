"""classykit.features: what kind of thing a block gives."""

import pytest
import torch

from classykit.features import Features, main_tensor, shape_text

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
