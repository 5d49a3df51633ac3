"""classykit.models.squeeze_excitation: channels weighted by what the whole map says."""

import pytest
import torch
from torch import nn

from classykit.models.squeeze_excitation import SqueezeAndExcitation


@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_it_gives_what_torchvisions_gives(activation):
    ops = pytest.importorskip("torchvision.ops")
    ours, theirs = SqueezeAndExcitation(6, 3, activation), ops.SqueezeExcitation(6, 3, activation)
    theirs.fc1.load_state_dict(ours.excitation[0].state_dict())
    theirs.fc2.load_state_dict(ours.excitation[2].state_dict())
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_channel_is_scaled_alike_everywhere_by_less_than_one():
    x = torch.rand(2, 6, 5, 4) + 0.1
    scale = SqueezeAndExcitation(6, 2)(x) / x
    assert ((0 < scale) & (scale < 1)).all()
    torch.testing.assert_close(scale, scale[..., :1, :1].expand_as(scale))
