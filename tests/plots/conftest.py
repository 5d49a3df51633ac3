"""What the plots are drawn of."""

import pytest
import torch
from torch import nn

import classykit as ck


@pytest.fixture(scope="session")
def long():
    """The inspection of 120 blocks that are all equal but in their widths, which grow."""
    return ck.inspect(nn.Sequential(*(nn.Conv2d(3 + i, 4 + i, 3, 1, 1) for i in range(120))), (3, 16, 16))


@pytest.fixture
def steady_and_rising():
    """Two channels over four time steps: 5 throughout, and 0, 10, 20, 30."""
    steps = torch.tensor([[5.0, 5, 5, 5], [0, 10, 20, 30]])
    return steps.reshape(1, 2, 4, 1, 1).expand(1, 2, 4, 3, 3)
