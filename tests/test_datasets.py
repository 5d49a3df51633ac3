"""classykit.datasets: small data sets, the same everywhere and every time."""

import numpy as np
import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError


class TestDigits:
    def test_they_are_scikit_learns(self):
        from sklearn.datasets import load_digits

        (x, y), (x_test, y_test) = ck.datasets.digits(8, 1)
        of = load_digits()
        assert sorted(map(bytes, torch.cat([x, x_test]).numpy())) == sorted(
            map(bytes, (of.images / 16).astype(np.float32)[:, None])
        )
        assert torch.cat([y, y_test]).bincount().tolist() == np.bincount(of.target).tolist()
        assert not {*map(bytes, x.numpy())} & {*map(bytes, x_test.numpy())}, "nothing is in both"

    def test_the_split_is_even_and_fixed(self):
        split = ck.datasets.digits()
        shares = split.test.y.bincount() / (split.test.y.bincount() + split.train.y.bincount())
        assert shares.sub(0.2).abs().max() < 0.01
        assert torch.equal(split.train.x, ck.datasets.digits().train.x)
        assert split.test.y[:12].tolist() == [0, 2, 4, 5, 1, 7, 6, 5, 9, 8, 3, 0], "fixed: with this the lessons count"

    @pytest.mark.parametrize("size, channels", [(8, 1), (32, 3), (17, 4)])
    def test_shapes(self, size, channels):
        x = ck.datasets.digits(size, channels).test.x
        assert x.shape == (360, channels, size, size) and x.dtype == torch.float32
        assert 0 <= x.min() and x.max() <= 1

    @pytest.mark.parametrize("number, size, channels", [(7, 8, 1), (0, 28, 3), (9, 17, 1)])
    def test_one_of_them(self, number, size, channels):
        x, y = ck.datasets.digits(size, channels).test
        assert torch.equal(ck.datasets.digit(number, size, channels), x[y == number][:1])

    @pytest.mark.parametrize("number", [10, -1, "7", None, 7.0])
    def test_what_is_no_digit(self, number):
        with pytest.raises(ConfigError, match=r"number is .* from 0 to 9"):
            ck.datasets.digit(number)

    @pytest.mark.parametrize("size, channels", [(7, 1), (8, 0), ("8", 1), (True, 1), (8.0, 1)])
    def test_other_numbers(self, size, channels):
        with pytest.raises(ConfigError, match="whole number"):
            ck.datasets.digits(size, channels)


class TestMovingSquares:
    def test_the_same_for_the_same_seed_and_no_random_state_is_moved(self):
        state, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
        x, y = ck.datasets.moving_squares(16, seed=3)
        assert torch.equal(x, ck.datasets.moving_squares(16, seed=3).x)
        assert not torch.equal(x, ck.datasets.moving_squares(16, seed=4).x)
        assert torch.equal(state, torch.get_rng_state()) and (numpys == np.random.get_state()[1]).all()
        assert round(float(x.double().sum()), 3) == 53214.54, "seed-stable, from release to release"
        assert y.tolist() == [0, 1] * 8

    def test_left_is_left(self):
        x, y = ck.datasets.moving_squares(64, frames=5)
        bright = (x[:, 0] > 0.5).float()  # (N, T, H, W)
        middle = (bright.sum(2) * torch.arange(32)).sum(-1) / bright.sum((2, 3))  # (N, T)
        way = middle[:, -1] - middle[:, 0]
        assert (way[y == 0] < -5).all() and (way[y == 1] > 5).all()

    def test_no_frame_tells(self):
        """Where squares are is drawn alike for both classes, in every frame but for the direction."""
        x, y = ck.datasets.moving_squares(4000, channels=1, size=16)
        both = x.sum(1).flatten(2)
        reversed_left = both[y == 0].flip(1).mean((0, 2))
        assert (reversed_left - both[y == 1].mean((0, 2))).abs().max() < 0.01
