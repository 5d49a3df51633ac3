"""classykit.exploring.pixels: arrays as whole numbers of two bytes, and back."""

import numpy as np
import pytest
import torch

from classykit.exploring.pixels import pack


def unpacked(described, data):
    numbers = np.frombuffer(data, "<u2")
    for array in described:
        size = int(np.prod(array["shape"]))
        part = numbers[array["start"] : array["start"] + size].reshape(array["shape"])
        yield array["low"] + part / 65535 * (array["high"] - array["low"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
def test_they_come_back_to_within_one_part_in_65535(dtype):
    arrays = [(torch.randn(2, 3, 5) * 20).to(dtype), torch.arange(7).to(dtype)]
    described, data = pack(arrays)
    assert [d["start"] for d in described] == [0, 30] and len(data) == 2 * 37
    for array, back in zip(arrays, unpacked(described, data), strict=True):
        span = array.float().max() - array.float().min()
        assert np.allclose(back, array.float().numpy(), atol=float(span) / 65535)


@pytest.mark.parametrize(
    "values, low, high",
    [
        ([1.0, 1.0], 1.0, 1.0),
        ([float("nan"), 2.0], 2.0, 2.0),
        ([float("inf"), -1.0, 3.0], -1.0, 3.0),
        ([float("nan")], 0.0, 0.0),
    ],
)
def test_what_is_not_finite_or_all_the_same(values, low, high):
    (described,), data = pack([torch.tensor(values)])
    assert (described["low"], described["high"], len(data)) == (low, high, 2 * len(values))


def test_nothing():
    assert pack([]) == ([], b"")
