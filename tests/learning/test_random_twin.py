"""classykit.learning.random_twin: the same network, before it has learnt anything."""

import pytest
import torch
import torchvision
from torch import nn

import classykit as ck
from classykit.learning.random_twin import random_twin


@pytest.fixture(scope="module")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


def test_a_backbone_is_built_anew(lite, everything, assert_same):
    x = torch.rand(1, 3, 64, 64)
    before = everything(lite)
    twin = random_twin(lite)
    assert_same(before, everything(lite))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        wanted = ck.build_model("efficientnet_lite0").eval()
    assert torch.equal(twin(x), wanted(x)) and not torch.allclose(twin(x), lite(x))
    assert torch.equal(twin(x), random_twin(lite)(x)) and not torch.equal(twin(x), random_twin(lite, seed=1)(x))
    assert not twin.training and not twin.get_heads()


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "swin_t"])
def test_a_foreign_one_is_drawn_again(name, everything, assert_same):
    model = torchvision.models.get_model(name)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.01 * torch.randn_like(p))  # as if it had learnt
    before = everything(model)
    twin = random_twin(model)
    assert_same(before, everything(model))
    for (path, old), new in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert not torch.equal(old, new), path
        assert new.isfinite().all() and old.data_ptr() != new.data_ptr()
    assert twin(torch.rand(1, 3, 224, 224)).isfinite().all()


def test_what_no_layer_resets():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.position = nn.Parameter(5 + 0.1 * torch.randn(1000))
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(x) + self.position.mean()

    model = Own()
    model.norm.running_mean.fill_(3.0)
    twin = random_twin(model)
    assert abs(twin.position.mean().item() - 5) < 0.02 and abs(twin.position.std().item() - 0.1) < 0.02
    assert not torch.equal(twin.position, model.position)
    assert twin.norm.running_mean.abs().sum() == 0 and model.norm.running_mean.sum() == 9
