"""classykit.arithmetic: window × kernel + bias is torch's value, for any convolution and linear layer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from looked_into import torchvision
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError
from classykit.seeing.arithmetic import watch_layer
from classykit.subject import UNTRAINED

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_convolution(data):
    space = data.draw(st.integers(1, 3))
    each = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(space))  # noqa: E731
    groups = data.draw(st.sampled_from([1, 2]))
    transposed = data.draw(st.booleans())
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{space}d")
    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 2)
    keys = dict(stride=stride, dilation=dilation, groups=groups, bias=data.draw(st.booleans()))
    if not transposed and data.draw(st.booleans()) and all(s == 1 for s in stride):
        keys["padding"] = "same"
    else:
        keys["padding"] = each(0, 2)
    torch.manual_seed(data.draw(st.integers(0, 99)))
    layer = kind(4, 6, kernel, **keys)
    x = torch.randn(2, 4, *(9,) * space)
    output = layer(x)
    channel = data.draw(st.integers(0, 5))
    at = tuple(data.draw(st.integers(0, side - 1)) for side in output.shape[2:])
    found = ck.arithmetic(layer, x, "model", channel, at)
    assert found.sum == pytest.approx(float(output[(0, channel, *at)]), abs=1e-5)
    assert found.agrees and found.value == float(output[(0, channel, *at)])
    assert found.window.shape == found.kernel.shape == (4 // groups, *kernel) and found.groups == groups
    assert not found.window[:, found.padding].any()


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_padding_that_is_no_zeros(mode):
    layer = nn.Conv2d(3, 4, 3, padding=1, padding_mode=mode)
    found = ck.arithmetic(layer, X, "model", 1, (0, 0))
    assert found.sum == pytest.approx(float(layer(X)[0, 1, 0, 0]), abs=1e-5) and not found.padding.any()


def test_padding_is_marked():
    found = ck.arithmetic(nn.Conv2d(3, 4, 3, padding=1), X, "model", 0, (0, 5))
    assert found.padding.tolist() == [[True] * 3, [False] * 3, [False] * 3]
    assert torch.equal(found.window[:, 1:], X[0, :, :2, 4:7])


@pytest.mark.parametrize("shape, at", [((2, 5), (0, 0)), ((2, 7, 5), (3,)), ((2, 7, 5), 3), ((2, 4, 6, 5), (1, 2))])
def test_linear_layers(shape, at):
    layer, x = nn.Linear(5, 3), torch.randn(shape)
    found = ck.arithmetic(layer, x, "model", 2, at)
    places = () if len(shape) == 2 else (at,) if isinstance(at, int) else at
    assert found.at == places and found.sum == pytest.approx(float(layer(x)[(0, *places, 2)]), abs=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "convnext_tiny", "densenet121"])
def test_every_layer_of_others(name):
    model = torchvision(name)
    layers = [p for p, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    some = layers[:: max(len(layers) // 8, 1)]
    found = {path: ck.arithmetic(model, X, path, 1).agrees for path in some}
    assert found == dict.fromkeys(some, True) and len(some) > 8


def test_zeros_that_the_layer_puts_around_its_input_are_padding():
    layer = ck.build_model("efficientnet_lite0").conv_stem  # which pads as TensorFlow does, after the map alone
    found = ck.arithmetic(layer, X, "model", 3, (15, 15))
    assert found.agrees and found.padding.tolist() == [[False] * 2 + [True], [False] * 2 + [True], [True] * 3]


def test_what_the_model_writes_into_the_input_later():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = x * 1
            return self.layer(x), x.mul_(0)

    torch.manual_seed(0)
    found = ck.arithmetic(Net(), X, "layer", 1, (2, 3))
    assert found.agrees and found.window.abs().sum() > 0


def test_any_value_of_one_pass():
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1, dilation=2)
    passes = []
    layer.register_forward_hook(lambda *_: passes.append(1))
    watched = watch_layer(layer, torch.rand(2, 4, 9, 9), "model")
    assert (watched.channels, watched.sides, watched.output.shape, watched.input.shape) == (
        6, (4, 4), (6, 4, 4), (4, 9, 9))  # fmt: skip
    for channel, at in ((0, (0, 0)), (5, (3, 3))):
        found = watched.arithmetic(channel, at)
        assert found.agrees and found.value == float(watched.output[(channel, *at)])
        top, left = watched.corner(at)
        assert (top, left) == (2 * at[0] - 1, 2 * at[1] - 1) and watched.first_channel(channel) == 2 * (channel // 3)
        assert watched.centre(at) == (min(top + 2, 8), min(left + 2, 8))
    assert len(passes) == 1


def test_the_largest_products():
    torch.manual_seed(0)
    found = ck.arithmetic(nn.Conv2d(3, 4, 3, bias=False), X, "model", 1, (2, 3))
    largest = found.largest(27)
    assert sum(product for *_, product in largest) == pytest.approx(found.sum)
    for cell, window, kernel, product in largest:
        assert window == float(found.window[cell]) and product == pytest.approx(window * kernel)
    sizes = [abs(product) for *_, product in largest]
    assert sizes == sorted(sizes, reverse=True) and len(found.largest(6)) == 6 and found.tolerance == 1e-5


class TestWhatFollows:
    def test_how(self):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.ReLU()).eval()
        net[1].running_mean.fill_(1.0)
        net[1].weight.data.fill_(2.0)
        found = ck.arithmetic(net, X, "0", 1, (2, 3))
        scale = 2 / (1 + net[1].eps) ** 0.5
        assert [step.how for step in found.follows] == [
            f"× {scale:.3g} − {scale:.3g}", "between 0 and 6", "at least 0"]  # fmt: skip
        assert found.follows[0].value == pytest.approx(found.value * scale - scale, abs=1e-5)

    @pytest.fixture
    def resnet(self):
        return torchvision("resnet18")

    def test_until_the_next_layer_with_weights(self, resnet):
        found = ck.arithmetic(resnet, X, "layer1.0.conv2", 3, (1, 2))
        assert [(step.function, step.module) for step in found.follows] == [
            ("batch_norm", "layer1.0.bn2"), ("add", "layer1.0"), ("relu", "layer1.0.relu")]  # fmt: skip
        assert found.then == "conv2d (layer1.1.conv1)"
        seen = ck.capture(resnet, X, ["layer1.0.bn2", "layer1.0"])
        assert found.follows[0].value == pytest.approx(float(seen["layer1.0.bn2"][0, 3, 1, 2]))
        assert found.follows[-1].value == pytest.approx(float(seen["layer1.0"][0, 3, 1, 2]))

    def test_at_the_end(self, resnet):
        found = ck.arithmetic(resnet, X, "fc", 7)
        assert found.follows == () and found.then == "" and found.at == () and UNTRAINED in found.notes

    def test_words(self, resnet):
        text = str(ck.arithmetic(resnet, X, "conv1", 3, (0, 0)))
        assert "conv1 of ResNet, channel 3 at (0, 0)" in text and "as torch has it" in text
        assert "and 141 others" in text and "batch_norm (bn1)" in text

    def test_nothing_is_changed(self, resnet, everything, assert_same):
        resnet.train()
        before = everything(resnet)
        ck.arithmetic(resnet, X, "conv1")
        assert_same(before, everything(resnet))


def test_a_layer_of_a_class_of_its_own():
    timm = pytest.importorskip("timm.layers")
    layer = timm.StdConv2dSame(3, 4, 3, stride=2)  # which standardises its weights and pads by itself
    assert ck.arithmetic(layer, X, "model", 2, (3, 5)).agrees


@pytest.mark.parametrize(
    "layer, keys, kind, words",
    [
        ("0", {"channel": 4}, ConfigError, "has the channels 0 to 3, not 4"),
        ("0", {"channel": "a"}, ConfigError, "has the channels"),
        ("0", {"at": (30, 0)}, ConfigError, r"gives 30 × 30: there is no place \(30, 0\)"),
        ("0", {"at": (1, 2, 3)}, ConfigError, "no place"),
        ("0", {"at": "middle"}, ConfigError, "at is"),
        ("1", {}, BlockError, "is no single convolution or linear layer.*1.0, 1.1"),
        ("2", {}, BlockError, "is no single convolution or linear layer"),
        ("9", {}, BlockError, "no block '9'"),
        (3, {}, BlockError, "layer is one layer's"),
    ],
)
def test_bad_input(layer, keys, kind, words):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)), nn.ReLU())
    with pytest.raises(kind, match=words):
        ck.arithmetic(model, X, layer, **keys)
