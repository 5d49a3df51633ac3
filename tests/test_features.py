"""classykit.features: what kind of thing a block gives."""

import pytest
import torch

from classykit.features import Features, shape_text

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


def test_shape_text():
    assert shape_text((24, 56, 56)) == "24×56×56" and shape_text(None) == "?" and shape_text(()) == ""
