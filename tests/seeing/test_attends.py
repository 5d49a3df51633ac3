"""classykit.seeing.attends: what the code of the layers tells is what a pass sees."""

import pytest
import torch
from looked_into import timm, torchvision
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.models import build_model
from classykit.seeing.attends import attends

TIMM = (
    "xcit_nano_12_p16_224 levit_128s mobilevit_xxs convnext_atto mixer_s16_224 poolformer_s12 resnest14d skresnet18 "
    "gmlp_ti16_224 pvt_v2_b0"
).split()
TORCHVISION = "swin_t swin_v2_t maxvit_t convnext_tiny mobilenet_v3_small".split()


def seen(model, x):
    try:
        return bool(len(ck.attention(model, x)))
    except ConfigError:
        return False


@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    model = timm(name)
    side = 224 if "mobilevit" not in name else 256
    assert attends(model) == seen(model, torch.rand(1, 3, side, side))


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name):
    model = torchvision(name)
    assert attends(model) == seen(model, torch.rand(1, 3, 224, 224))


@pytest.mark.parametrize("how", ["eager", "sdpa"])
def test_transformers(how):
    library = pytest.importorskip("transformers")
    config = library.ViTConfig(
        image_size=32, patch_size=16, num_hidden_layers=1, hidden_size=16, num_attention_heads=2, intermediate_size=16,
        attn_implementation=how,
    )  # fmt: skip
    model = library.ViTModel(config).eval()
    assert attends(model) and seen(model, torch.rand(1, 3, 32, 32))
    assert not attends(library.ResNetModel(library.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])))


@pytest.mark.parametrize("name", ["vit_b_16", "vit_demo", "resnet18", "efficientnet_lite0", "mlp", "densenet121"])
def test_ours_without_weights(name):
    with torch.device("meta"):
        model = build_model(name) if name != "mlp" else nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1))
    assert attends(model) == name.startswith("vit")


class Einsum(nn.Module):
    """Attention as einops libraries write it: the softmax is a layer of its own."""

    def __init__(self):
        super().__init__()
        self.attend = nn.Softmax(-1)

    def forward(self, x):
        return torch.einsum("nij,njc->nic", self.attend(torch.einsum("nic,njc->nij", x, x)), x)


class Elsewhere(nn.Module):
    """Attention in functions that are called from forward."""

    def forward(self, x):
        return self._mixed(x)

    def _mixed(self, x):
        return _weights(x) @ x


def _weights(x):
    return torch.softmax(x @ x.transpose(-2, -1), -1)


class Gate(nn.Module):
    """A softmax that weighs channels is no attention."""

    def forward(self, x):
        return x * x.softmax(-1)


class Products(nn.Module):
    """Products of matrices alone are none either."""

    def forward(self, x):
        return x @ x.transpose(-2, -1) @ x


@pytest.mark.parametrize(
    ("layer", "has"),
    [(Einsum(), True), (Elsewhere(), True), (Gate(), False), (Products(), False), (nn.MultiheadAttention(8, 2), True)],
)
def test_how_it_may_be_written(layer, has):
    assert attends(nn.Sequential(nn.Linear(8, 8), layer)) is has
    if not isinstance(layer, nn.MultiheadAttention):
        assert seen(layer, torch.rand(2, 5, 8)) is has
