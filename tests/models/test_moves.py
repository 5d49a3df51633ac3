"""How a foreign model's features are read: what moves with the size of its input is space."""

import pytest
import timm
import torch
import torchvision
from torch import nn

import classykit as ck


def kinds(module, *args, **kwargs):
    """{block: (kind, channels, where channels are last)} as heads will take them, and as inspect has them: the same."""
    model = ck.ClassyModel.from_model(module, *args, **kwargs)
    found = {b: (f.kind, f.channels, f.channels_last) for b, f in model.block_features(model.block_names).items()}
    rows = ck.inspect(model).trunk
    assert {r.name: (r.features.kind, r.features.channels, r.features.channels_last) for r in rows} == found
    return found


def conv1d(channels=16):
    return nn.Sequential(nn.Conv1d(1, channels, 9, 4, 4), nn.Conv1d(channels, 32, 9, 4, 4))


class Permuted(nn.Module):
    """Keeps its maps as (N, H, W, C)."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 16)

    def forward(self, x):
        return self.second(self.first(x.permute(0, 2, 3, 1)))


class OneLength(nn.Module):
    """A net of 1-D convolutions for signals of one length, as its classifier asks for."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv1d(1, 8, 9, 4, 4), nn.Linear(8 * 100, 3)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


@pytest.mark.parametrize("length", [1600, 16 * 16, 16])
def test_signals_are_sequences(length):
    assert kinds(conv1d(), (1, length)) == {"0": ("sequence", 16, False), "1": ("sequence", 32, False)}


def test_what_ran_before_a_pass_at_another_size_broke_off_tells_too():
    assert kinds(OneLength(), (1, 400)) == {"conv": ("sequence", 8, False), "fc": ("vector", 3, False)}


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 16, 24), (3, 8, 8)])
def test_channels_last_whatever_the_input(shape):
    assert set(kinds(Permuted(), shape).values()) == {("map2d", 8, True), ("map2d", 16, True)}


@pytest.mark.parametrize("shape", [(3, 224, 224), (3, 256, 192)])
def test_swin(shape):
    found = kinds(torchvision.models.swin_t(), shape)
    assert {v for k, v in found.items() if k.startswith("features.1")} == {("map2d", 96, True)}


@pytest.mark.parametrize("stride", [(2, 1), (1, 2), (4, 1)])
def test_strides_that_differ_are_no_channels_last(stride):
    for channels in (8, 16, 32):  # among them as many as there are rows
        module = nn.Sequential(nn.Conv2d(1, channels, 3, stride, 1), nn.Conv2d(channels, channels, 3, padding=1))
        assert kinds(module, (1, 32, 32)) == dict.fromkeys("01", ("map2d", channels, False))


def test_tokens_stay_tokens():
    found = kinds(timm.create_model("vit_tiny_patch16_224", depth=2))
    assert {v[0] for k, v in found.items() if k.startswith("blocks")} == {"tokens"}


def test_embedded_tokens():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    module = nn.Sequential(nn.Linear(8, 16), layer, nn.Linear(16, 4))
    assert {v[:2] for v in kinds(module, example=torch.rand(2, 10, 8)).values()} == {
        ("tokens", 16),
        ("tokens", 32),
        ("tokens", 4),
    }


def test_a_probe_of_a_signal_takes_other_lengths():
    model = ck.ClassyModel.from_model(conv1d(), (1, 1600))
    head = model.attach_head("1", "linear_probe", num_classes=10)
    assert head.fc.in_features == 32 and model(torch.randn(2, 1, 3200)).shape == (2, 10)
    x = torch.ones(2, 1, 800)
    wanted = head.fc(model.model(x).mean(2))  # the mean over time
    torch.testing.assert_close(model(x), wanted)


def test_this_kits_own_families_need_no_second_pass(monkeypatch):
    from classykit.models import running_blocks

    monkeypatch.setattr(running_blocks, "_moves", None)  # would not be callable
    for name in ("resnet18", "vit_b_32", "r3d_18", "mlp"):
        keys = {"input_dim": 4, "output_dim": 2, "hidden_dims": [3]} if name == "mlp" else {}
        model = ck.build_model(name, device="meta", **keys)
        assert all(model.block_features(model.block_names).values())
