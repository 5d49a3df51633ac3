"""classykit.inflate: a 3-D model from a 2-D one, which gives the same for a clip of equal frames."""

import pytest
import torch
import torchvision
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.models import ClassyModel

NETS = {
    "basic": {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "basic_layer": True},
    "bottleneck": {"name": "resnext", "num_blocks": [2, 1], "init_planes": 8, "basic_layer": False},
    "groups": {
        "name": "resnext", "num_blocks": [1, 2, 1], "init_planes": 16, "base_width_and_cardinality": [4, 2],
        "basic_layer": False,
    },
    "grey": {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "basic_layer": True, "in_channels": 1},
}  # fmt: skip


def made(config):
    """A model that has learnt something: statistics and scales of its own."""
    torch.manual_seed(0)
    model = ck.build_model(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model.eval()


@pytest.mark.parametrize("which", NETS)
def test_equal_frames_give_what_the_picture_gives(which):
    """Every block, where the zeros that pad time do not reach: in the middle of a long clip."""
    model = made(NETS[which])
    deep = ck.inflate(model, frames=48)
    x = torch.rand(2, model.in_channels, 64, 64)
    clip = x.unsqueeze(2).repeat(1, 1, 48, 1, 1)
    flat, of_clip = ck.capture(model, x, model.block_names), ck.capture(deep, clip, deep.block_names)
    assert list(flat) == model.block_names and list(of_clip) == deep.block_names and len(flat) > 2
    for own, new in zip(model.block_names, deep.block_names, strict=True):
        middle = of_clip[new][:, :, of_clip[new].shape[2] // 2]
        assert (middle - flat[own]).abs().max() <= 1e-4 * flat[own].abs().max(), own


@pytest.mark.parametrize("head", ["linear_probe", "fully_connected"])
def test_the_logits(head):
    """Of a head on what the middle frames give; and where no kernel sees time, of the whole clip."""
    model = made(NETS["basic"])
    model.attach_head("block1-0", head, unique_id="mine", num_classes=5)
    deep, x = ck.inflate(model, frames=48), torch.rand(2, 3, 64, 64)
    clip = x.unsqueeze(2).repeat(1, 1, 48, 1, 1)
    with torch.no_grad():
        wanted = model(x)
        features = ck.capture(deep, clip, deep.block_names[-1])[deep.block_names[-1]]
        middle = features.shape[2] // 2
        found = deep.get_heads()[deep.block_names[-1]][0](features[:, :, middle : middle + 1])
    assert torch.allclose(found, wanted, atol=1e-4 * wanted.abs().max())
    assert deep(clip).shape == (2, 5)


@pytest.mark.parametrize(
    "name, preset, keys",
    [
        ("resnet18", "r3d_18", {"stem_maxpool": True}),
        ("resnet50", "i3d_r50", {}),
        ("resnext50_32x4d", "i3d_r50", {"num_groups": 32, "width_per_group": 4}),
        ("resnet101", "resnext3d", {"num_blocks": [3, 4, 23, 3]}),
        ("resnext101_32x4d", "resnext3d", {"num_groups": 32}),
        ("resnet34", "resnext3d", {"num_blocks": [3, 4, 6, 3]}),
    ],
)
def test_the_counterparts(name, preset, keys):
    deep = ck.inflate(ck.build_model(name, device="meta"), frames=8)
    assert deep.config["name"] == preset and deep.input_shape == (3, 8, 224, 224)
    assert keys.items() <= deep.config.items()
    assert ck.build_model(deep.config, device="meta").full_config == deep.full_config


def test_what_comes_along(everything, assert_same):
    model = made(NETS["basic"]).train().double()
    model.labels, model.weights = ["a", "b"], "ImageNet-1k"
    before = everything(model)
    deep = ck.inflate(model)
    assert_same(before, everything(model))
    assert deep.labels == ["a", "b"] and deep.weights == "ImageNet-1k, inflated over time"
    assert deep.training and next(deep.parameters()).dtype == torch.float64 and deep.frames_per_clip == 16
    assert not {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in deep.parameters()}


@pytest.mark.parametrize(
    "config, words",
    [
        ({**NETS["basic"], "small_input": True}, "stem of 3×3"),
        ({**NETS["basic"], "use_se": True, "se_reduction_ratio": 2}, "squeeze-and-excitation"),
        ({**NETS["basic"], "final_bn_relu": False}, "ends without BatchNorm"),
        ("regnet_y_400mf", "RegNet has none"),
    ],
)
def test_what_has_no_counterpart(config, words):
    with pytest.raises(ConfigError, match=words):
        ck.inflate(ck.build_model(config, device="meta"))


def test_models_from_elsewhere_and_heads():
    for model in (torchvision.models.resnet18(), ClassyModel.from_model(torchvision.models.resnet18())):
        with pytest.raises(ConfigError, match="Convert it first"):
            ck.inflate(model)
    model = ck.build_model(NETS["basic"])
    model.attach_head("block1-0", "fully_connected", num_classes=3, conv_planes=4)
    with pytest.raises(ConfigError, match="has no counterpart for clips"):
        ck.inflate(model)
    for frames in (0, 1.5, "8"):
        with pytest.raises(ConfigError, match="frames is"):
            ck.inflate(ck.build_model(NETS["basic"]), frames=frames)


def test_a_head_within_a_block():
    model = ck.build_model(NETS["basic"])
    model.attach_head("blocks.1.block1-0.convolutional_block.0", "linear_probe", num_classes=3)
    with pytest.raises(ConfigError, match="within a block"):
        ck.inflate(model)
