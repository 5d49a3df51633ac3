"""classykit.models.initialisation: convolutions that start as He et al. say, and nothing else changed."""

import pytest
import torch
from torch import nn

from classykit.models.initialisation import init_convolutions


def test_convolutions_are_drawn_by_their_fan_out_and_all_else_stays():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(256, 64, 1), nn.Linear(4, 4))
    net = nn.Sequential(nn.Conv2d(16, 256, 3), nn.BatchNorm2d(256), inner)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    init_convolutions(net)
    changed = [key for key, value in net.state_dict().items() if not torch.equal(value, before[key])]
    assert changed == ["0.weight", "2.0.weight"]
    assert net[0].weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert inner[0].weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.02)
    assert abs(net[0].weight.mean().item()) < 0.001
