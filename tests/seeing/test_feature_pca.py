"""classykit.feature_pca: scikit-learn's PCA up to sign, as colours that come out the same again."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import classykit as ck
from classykit.errors import ConfigError, ShapeError
from classykit.seeing.feature_pca import token_likeness

MAPS = torch.randn(3, 16, 6, 5, generator=torch.Generator().manual_seed(0))


def scikit(points, n):
    """Each component from 0 to 1."""
    decomposition = pytest.importorskip("sklearn.decomposition")
    found = torch.from_numpy(decomposition.PCA(n, svd_solver="full").fit_transform(points.double().numpy()))
    return (found - found.amin(0)) / (found.amax(0) - found.amin(0))


def assert_same_up_to_sign(found, wanted):
    for mine, other in zip(found.T, wanted.T, strict=True):
        assert torch.allclose(mine, other, atol=1e-4) or torch.allclose(mine, 1 - other, atol=1e-4)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_it_is_scikit_learns(n):
    found = ck.feature_pca(MAPS, n)
    assert found.shape == (3, n, 6, 5) and found.min() == 0 and found.max() == 1
    flat = MAPS.movedim(1, -1).flatten(0, 2)
    assert_same_up_to_sign(found.movedim(1, -1).flatten(0, 2).double(), scikit(flat, n))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(3, 24), st.integers(2, 5), st.integers(0, 10**6))
def test_of_any_shape(pictures, channels, side, seed):
    maps = torch.randn(pictures, channels, side, side, generator=torch.Generator().manual_seed(seed))
    n = min(channels, pictures * side * side - 1, 3)
    flat = maps.movedim(1, -1).flatten(0, 2)
    assert_same_up_to_sign(ck.feature_pca(maps, n).movedim(1, -1).flatten(0, 2).double(), scikit(flat, n))


def test_the_sign_is_fixed():
    """Numbers that differ by rounding, or the order of the channels, give the same picture."""
    wanted = ck.feature_pca(MAPS)
    torch.testing.assert_close(ck.feature_pca(MAPS.double() * (1 + 1e-9)), wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(ck.feature_pca(MAPS.flip(1)), wanted, atol=1e-5, rtol=0)


def test_one_basis_for_all():
    """Pictures together have other colours than each alone; the order of the pictures does not matter."""
    together = ck.feature_pca([MAPS[:1], MAPS[1:]])
    torch.testing.assert_close(together, ck.feature_pca(MAPS))
    assert not torch.allclose(ck.feature_pca(MAPS[:1]), together[:1], atol=0.05)
    several = ck.feature_pca({"small": MAPS[:, :, :3, :3], "large": MAPS})
    assert [tuple(colours.shape) for colours in several] == [(3, 3, 3, 3), (3, 3, 6, 5)]


def test_tokens_on_their_grid():
    maps = MAPS[:, :, :5]
    tokens = torch.cat([torch.full((3, 2, 16), 9.0), maps.flatten(2).transpose(1, 2)], 1)
    torch.testing.assert_close(ck.feature_pca(tokens), ck.feature_pca(maps))
    torch.testing.assert_close(
        ck.feature_pca(MAPS.flatten(2).transpose(1, 2), grid=(6, 5)), ck.feature_pca(MAPS))  # fmt: skip


def test_the_foreground_first():
    """A square that differs from its surroundings: they are black, and the colours are the square's own."""
    maps = 0.1 * MAPS[..., :5, :5] + 5 * torch.linspace(0, 1, 16)[None, :, None, None]
    maps[:, :, 1:4, 1:4] = MAPS[:, :, 1:4, 1:4] - 5 * torch.linspace(0, 1, 16)[None, :, None, None]
    found = ck.feature_pca(maps, foreground=0.5)
    inside = torch.zeros(5, 5, dtype=torch.bool)
    inside[1:4, 1:4] = True
    assert not found[:, :, ~inside].any() and (found[:, :, inside].sum(1) > 0).all()
    flat = maps[:, :, inside].movedim(1, -1).flatten(0, 1)
    assert_same_up_to_sign(found[:, :, inside].movedim(1, -1).flatten(0, 1).double(), scikit(flat, 3))


@pytest.mark.parametrize(
    "features, keys, kind, words",
    [
        (torch.rand(2, 8), {}, ShapeError, "Features with places"),
        (torch.rand(1, 2, 4, 4), {}, ConfigError, "3 components are wanted of 2 channels"),
        (MAPS, {"n": 0}, ConfigError, "n is a positive number"),
        (MAPS, {"foreground": 2}, ConfigError, "foreground is None or a threshold"),
        ([MAPS, torch.rand(1, 8, 4, 4)], {}, ShapeError, "Features of one block"),
        (MAPS / 0, {}, ShapeError, "not finite"),
        (torch.rand(1, 300, 8), {"grid": (4, 4)}, ShapeError, r"300 tokens are no grid of 4 × 4"),
        ("cat", {}, ShapeError, "Features are a tensor"),
        ([], {}, ShapeError, "Features are a tensor"),
    ],
)
def test_bad_input(features, keys, kind, words):
    with pytest.raises(kind, match=words):
        ck.feature_pca(features, **keys)


class TestLikeness:
    def test_it_is_the_cosine(self):
        found = token_likeness(MAPS)
        flat = MAPS.flatten(2)
        assert found.shape == (3, 30, 30)
        for i, j in ((0, 0), (3, 17), (29, 1)):
            wanted = torch.cosine_similarity(flat[:, :, i], flat[:, :, j])
            torch.testing.assert_close(found[:, i, j], wanted)

    def test_tokens_without_those_before_them(self):
        tokens = torch.cat([torch.zeros(3, 1, 16), MAPS.flatten(2).transpose(1, 2)], 1)
        torch.testing.assert_close(token_likeness(tokens, grid=(6, 5)), token_likeness(MAPS))

    def test_features_without_places(self):
        with pytest.raises(ShapeError, match="with places"):
            token_likeness(torch.rand(2, 16))
