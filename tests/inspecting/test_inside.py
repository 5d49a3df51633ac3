"""classykit.inspecting.inside: the layers of a block in their order, where each takes its input, and what it costs."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError
from classykit.inspecting.inside import layer_words


def rows(inside):
    return [(part.name, part.type, part.takes) for part in inside.parts]


def test_a_block_with_a_skip():
    inside = ck.inspect("efficientnet_lite0").inside("block1-1")
    assert rows(inside) == [
        ("expand_conv", "conv 1×1", (-1,)), ("bn0", "BatchNorm", (0,)), ("act", "ReLU6", (1,)),
        ("depthwise_conv", "conv 3×3, a channel each", (2,)), ("bn1", "BatchNorm", (3,)), ("act", "ReLU6", (4,)),
        ("project_conv", "conv 1×1", (5,)), ("bn2", "BatchNorm", (6,)), ("add", "add the input", (-1, 7)),
    ]  # fmt: skip
    assert [part.adds for part in inside.parts] == [False] * 8 + [True]
    assert inside.parts[3].params == 144 * 9 and inside.parts[3].macs == 9 * 144 * 56 * 56
    assert inside.parts[3].path == "blocks.block1-1.depthwise_conv" and inside.parts[3].output_shape == (144, 56, 56)


def test_what_led_up_to_a_block_is_part_of_it():
    inspection = ck.inspect("efficientnet_lite0")
    assert rows(inspection.inside("stem"))[0] == ("conv_stem", "conv 3×3, stride 2", (-1,))
    assert rows(inspection.inside("fc")) == [
        ("avg_pooling", "AdaptiveAvgPool", (-1,)), ("dropout", "Dropout", (0,)), ("fc", "linear", (1,))]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["efficientnet_b0", "resnet18", "vit_b_16", "regnet_y_400mf", "densenet121",
             {"name": "mlp", "input_dim": 20, "output_dim": 3, "hidden_dims": [8]}],
)  # fmt: skip
def test_the_layers_cost_what_the_block_does(name):
    inspection = ck.inspect(name)
    insides = {block.name: inspection.inside(block.name) for block in inspection.trunk}
    assert sum(inside.macs for inside in insides.values()) == inspection.macs > 0
    for block in inspection.trunk:
        inside = insides[block.name]
        assert inside.macs == block.macs and inside.parts, block.name
        assert all(-1 <= t < i for i, part in enumerate(inside.parts) for t in part.takes), block.name


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "vit_b_16", "mobilenet_v3_small", "convnext_tiny"])
def test_models_of_others(name):
    model = getattr(pytest.importorskip("torchvision.models"), name)().eval()
    inspection = ck.inspect(model)
    inside = {block.name: inspection.inside(block.name).macs for block in inspection.trunk}
    assert inside == {block.name: block.macs for block in inspection.trunk}
    assert sum(inside.values()) == inspection.macs > 0


def test_models_of_timm():
    inspection = ck.inspect(pytest.importorskip("timm").create_model("vit_tiny_patch16_224").eval())
    assert [part.name for part in inspection.inside("blocks.6").parts] == [
        "norm1",
        "attn",
        "add",
        "norm2",
        "mlp",
        "add",
    ]
    attention = inspection.inside("blocks.6.attn")
    assert [part.name for part in attention.parts if part.macs] == [
        "qkv", "scaled_dot_product_attention", "proj"]  # fmt: skip


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.inner = Inner()
        self.gate = nn.Parameter(torch.zeros(4, 1, 1))
        self.nothing = nn.Identity()

    def forward(self, x):
        y = self.body(x)
        y = self.inner(self.nothing(y)) * self.gate
        y += x
        return torch.cat([y, x], 1)


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.one(x).view(x.shape) + self.other(x)


def test_functions_between_layers_and_what_opens():
    inspection = ck.inspect(nn.Sequential(Block()), input_shape=(4, 8, 8))
    inside = inspection.inside("0")
    assert rows(inside) == [
        ("body.0", "conv 3×3", (-1,)), ("body.1", "ReLU", (0,)), ("inner", "Inner", (1,)), ("mul", "multiply", (2,)),
        ("add", "add the input", (-1, 3)), ("cat", "join", (-1, 4)),
    ]  # fmt: skip
    assert inside.parts[3].params == 4
    assert rows(inspection.inside("0.inner")) == [
        ("one", "conv 1×1", (-1,)), ("other", "conv 1×1", (-1,)), ("add", "add", (0, 1))]  # fmt: skip
    text = str(inside)
    assert "body.0" in text and "conv 3×3" in text and "6 steps" in text


def test_a_layer_by_itself():
    inside = ck.inspect(nn.Linear(5, 3), input_shape=(5,)).inside("model")
    assert rows(inside) == [("model", "linear", (-1,))] or inside.parts[0].type == "linear"
    assert str(inside).startswith("model: 15 MACs in one step")


def test_steps_of_recurrent_layers_are_one_layer():
    model = nn.Sequential(nn.Flatten(2), nn.LSTM(16, 8))
    inspection = ck.inspect(model, input_shape=(3, 4, 4))
    assert [part.type for part in inspection.inside("1").parts] == ["Flatten", "LSTM"]


def test_what_does_not_run_is_refused():
    with pytest.raises(BlockError, match=r"'block1-9' does not run in a pass. Did you mean 'block1-1'"):
        ck.inspect("efficientnet_lite0").inside("block1-9")


@pytest.mark.parametrize(
    "layer, words",
    [
        (nn.Conv2d(8, 8, (1, 3), dilation=(1, 2)), "conv 1×3, dilation 1×2"),
        (nn.Conv2d(8, 8, 3, groups=2, stride=2), "conv 3×3, stride 2, 2 groups"),
        (nn.ConvTranspose2d(8, 8, 2, stride=2), "transposed conv 2×2, stride 2"),
        (nn.Conv3d(8, 8, 3), "conv 3×3×3"),
        (nn.BatchNorm2d(8), "BatchNorm"),
        (nn.GELU(), "GELU"),
    ],
)
def test_layers_in_words(layer, words):
    assert layer_words(layer) == words
