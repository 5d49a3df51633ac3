"""classykit.learning.absorbed: a head of standardised features becomes one of plain ones, and back."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from classykit.features import Features
from classykit.heads import build_head
from classykit.learning.absorbed import Standard

HEADS = {
    "linear_probe": ({"name": "linear_probe"}, (16, 12, 5, 5)),
    "on tokens": ({"name": "linear_probe"}, (16, 9, 12)),
    "fully_connected": ({"name": "fully_connected"}, (16, 12, 5, 5)),
    "with a convolution": ({"name": "fully_connected", "conv_planes": 8}, (16, 12, 5, 5)),
    "on clips": ({"name": "fully_convolutional_linear"}, (16, 12, 2, 5, 5)),
    "vision_transformer": ({"name": "vision_transformer_head", "hidden_dim": 6}, (16, 12)),
}


def made(which, seed=0):
    config, shape = HEADS[which]
    torch.manual_seed(seed)
    head = build_head({**config, "unique_id": "h", "in_plane": 12, "num_classes": 4}).eval()
    with torch.no_grad():
        for p in head.parameters():
            p.copy_(torch.randn_like(p))
    dim = 2 if Features.of(torch.empty(shape), 16).kind == "tokens" else 1
    scale = torch.logspace(-2, 3, 12).reshape([-1 if i == dim else 1 for i in range(len(shape))])
    return head, torch.randn(shape) * scale + 2 * scale, dim


@pytest.mark.parametrize("which", HEADS)
def test_taken_in_and_out(which):
    head, x, dim = made(which)
    standard = Standard(head, x, dim)
    assert standard.path is not None
    wanted, plain = head(standard.of(x)), head(x)
    standard.take_in(head)
    assert (head(x) - wanted).abs().max() <= 2e-3 * wanted.abs().max()
    standard.take_out(head)
    standard.take_out(head)
    assert (head(standard.of(x)) - plain).abs().max() <= 2e-3 * plain.abs().max()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(HEADS)), st.integers(0, 1000))
def test_of_any_weights(which, seed):
    head, x, dim = made(which, seed)
    standard = Standard(head, x, dim)
    wanted = head(standard.of(x))
    standard.take_in(head)
    assert (head(x) - wanted).abs().max() <= 2e-3 * wanted.abs().max()


def test_a_layer_without_a_bias_takes_the_scale():
    head, x, dim = made("with a convolution")
    standard = Standard(head, x, dim)
    assert standard.path == "conv" and standard.mean.abs().sum() == 0 and (standard.spread != 1).all()


class Bent(nn.Module):
    """Its first layer does not see what features are: they are bent before."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        return self.fc(F.normalize(x.mean((2, 3)).tanh(), dim=1))


@pytest.mark.parametrize("head", [Bent(), nn.Flatten()])
def test_what_takes_nothing_in(head):
    _, x, dim = made("linear_probe")
    before = {name: value.clone() for name, value in head.state_dict().items()}
    standard = Standard(head, x, dim)
    assert standard.path is None and standard.of(x) is x
    standard.take_in(head)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_a_channel_that_is_the_same_everywhere():
    head, x, dim = made("linear_probe")
    x[:, 3] = 7.0
    assert Standard(head, x, dim).of(x).isfinite().all()
