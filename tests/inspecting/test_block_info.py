"""classykit.inspecting.block_info: what is said of one block, and of why a pass broke off."""

import pytest
from torch import nn

import classykit as ck
from classykit.inspecting.block_info import Failure


@pytest.mark.parametrize(
    "model, shape, block, text, strides, of_input",
    [
        ("resnet18", None, "block1-0", "8", (8.0, 8.0), "1/8 of the input"),
        ("r3d_18", None, "stem-path0", "1×2×2", (1.0, 2.0, 2.0), "1×1/2×1/2 of the input"),
        (nn.Sequential(nn.Conv2d(3, 4, 1)), (3, 33, 33), "0", "1", (1.0, 1.0), "as fine as the input"),
        (nn.Sequential(nn.Linear(4, 5)), (4,), "0", "", (), ""),
    ],
)
def test_strides_of_all_kinds_of_maps(model, shape, block, text, strides, of_input):
    row = ck.inspect(model, shape)[block]
    assert (row.stride_text, row.strides, row.of_input) == (text, strides, of_input)


def test_a_failure_says_where_what_and_why():
    failure = Failure(
        "stem", "stem.conv", "Conv2d(3, 8)", (1, 4, 8, 8), "3 channels", "RuntimeError: no", "net.py:7: x"
    )
    assert str(failure) == (
        "failed in block stem, layer stem.conv: Conv2d(3, 8). It takes 3 channels, and was given (1, 4, 8, 8). "
        "RuntimeError: no The line: net.py:7: x"
    )
    bare = Failure(None, "", "Net()", None, None, "ValueError: odd", None)
    assert str(bare) == "failed in the model: Net(). It was given no tensor. ValueError: odd"
