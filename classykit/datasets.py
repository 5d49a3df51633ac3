"""Small labelled data sets to learn from, offline: digits that ship with scikit-learn, clips that are drawn.

>>> (x, y), (x_test, y_test) = digits(size=16, channels=1)
>>> x.shape, x_test.shape
(torch.Size([1437, 1, 16, 16]), torch.Size([360, 1, 16, 16]))
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from classykit.errors import ConfigError, MissingDependencyError, quoted

__all__ = ["Samples", "Split", "digit", "digits", "moving_squares"]

LEFT, RIGHT = 0, 1
_HELD_OUT = 360


class Samples(NamedTuple):
    """Inputs and their classes.

    Attributes:
        x: (N, C, H, W) or (N, C, T, H, W), float32 from 0 to 1.
        y: (N,) class numbers, int64.
    """

    x: torch.Tensor
    y: torch.Tensor


class Split(NamedTuple):
    """What to learn from, and what to test with."""

    train: Samples
    test: Samples


def digits(size: int = 32, channels: int = 3) -> Split:
    """1,797 handwritten digits of 8 × 8 pixels that ship with scikit-learn, enlarged.

    Args:
        size: side of a picture in pixels, from 8 on; bilinear.
        channels: 3 for the same values in each colour, 1 for grey, or any number.

    Returns a `Split`, always the same, stratified: 1,437 to learn from and 360 to test with; values from 0 (paper) to 1
    (ink). From the Optical Recognition of Handwritten Digits data set of Alpaydin and Kaynak (UCI, 1998).

    Raises ConfigError for other numbers, MissingDependencyError without scikit-learn.

    >>> digits(8, 1).train.x.shape
    torch.Size([1437, 1, 8, 8])
    """
    for what, number, low, high in (("size", size, 8, 1024), ("channels", channels, 1, 256)):
        _check(what, number, low, high)
    pictures, labels, held_out = _digits()
    x = _enlarged(torch.from_numpy(pictures).unsqueeze(1), size, channels)
    y = torch.from_numpy(labels)
    test = torch.from_numpy(held_out)
    return Split(Samples(x[~test], y[~test]), Samples(x[test], y[test]))


def digit(number: int, size: int = 8, channels: int = 1) -> torch.Tensor:
    """One handwritten digit, (1, channels, size, size): the first of its class among those of `digits` to test with.

    Flattened, ``digit(7, 28).flatten(1)``, it is what a multi-layer perceptron of 784 inputs takes.

    Raises what `digits` raises, and ConfigError for what is none of the digits 0 to 9.

    >>> digit(7).flatten(1).shape
    torch.Size([1, 64])
    """
    _check("number", number, 0, 9)
    _check("size", size, 8, 1024)
    _check("channels", channels, 1, 256)
    pictures, labels, held_out = _digits()
    x = torch.from_numpy(pictures[held_out & (labels == number)][:1]).unsqueeze(1)  # (1, 1, 8, 8)
    return _enlarged(x, size, channels)


def _enlarged(x: torch.Tensor, size: int, channels: int) -> torch.Tensor:
    if size != 8:
        x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
    return x.repeat(1, channels, 1, 1)  # (N, channels, size, size)


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """((N, 8, 8) pictures, (N,) classes, (N,) whether held out): of each class the same share, spread evenly."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError("The digits ship with scikit-learn: pip install scikit-learn.") from error
    found = load_digits()
    labels = found.target.astype(np.int64)
    # by rank within the class, so that no generator, which may change from release to release, has a say
    order = np.argsort(labels, kind="stable")
    held_out: np.ndarray = np.zeros(len(labels), bool)
    held_out[order[np.linspace(0, len(order) - 1, _HELD_OUT).round().astype(int)]] = True
    return (found.images / 16).astype(np.float32), labels, held_out


def moving_squares(n: int = 256, seed: int = 0, *, frames: int = 8, size: int = 32, channels: int = 3) -> Samples:
    """Clips of a bright square that goes left (class 0) or right (class 1) over a noisy ground.

    A single frame does not tell which: where the square starts, its size, speed and height are drawn alike for both,
    and the reversed clip belongs to the other class.

    Args:
        n: how many clips; every second goes right.
        seed: another seed, other clips. The random state is left as it is.
        frames, size, channels: of a clip, (channels, frames, size, size).

    Returns `Samples`: x (n, channels, frames, size, size) from 0 to 1, y (n,); the same for the same arguments.

    >>> moving_squares(4).x.shape, moving_squares(4).y.tolist()
    (torch.Size([4, 3, 8, 32, 32]), [0, 1, 0, 1])
    """
    limits = (("n", n, 1, 2**20), ("seed", seed, 0, 2**63), ("frames", frames, 2, 1024), ("size", size, 8, 1024),
              ("channels", channels, 1, 256))  # fmt: skip
    for what, number, low, high in limits:
        _check(what, number, low, high)
    random = np.random.Generator(np.random.PCG64(seed))  # whose numbers do not change from release to release
    side = random.uniform(0.15, 0.3, n) * size
    way = random.uniform(0.3, 0.6, n) * size  # in the whole clip
    start = random.uniform(0, 1, n) * (size - side - way)
    top = random.uniform(0, 1, n) * (size - side)
    shade = random.uniform(0.6, 1.0, n)
    y: np.ndarray = np.arange(n) % 2
    time = np.linspace(0, 1, frames)
    left = start[:, None] + way[:, None] * np.where(y[:, None] == RIGHT, time, 1 - time)  # (n, frames)
    x = 0.2 * random.random((n, 1, frames, size, size))
    at = np.arange(size)
    inside = [(at >= low[..., None]) & (at < low[..., None] + wide) for low, wide in
              ((top[:, None], side[:, None, None]), (left, side[:, None, None]))]  # fmt: skip
    square = inside[0][:, :, :, None] & inside[1][:, :, None, :]  # (n, frames, size, size)
    x = np.where(square[:, None], shade[:, None, None, None, None], x)
    return Samples(torch.from_numpy(x.astype(np.float32)).repeat(1, channels, 1, 1, 1), torch.from_numpy(y))


def _check(what: str, number: int, low: int, high: int) -> None:
    if type(number) is not int or not low <= number <= high:
        raise ConfigError(f"{what} is {quoted(number)}: give a whole number from {low} to {high}.")
