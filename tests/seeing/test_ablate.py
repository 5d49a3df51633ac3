"""classykit.ablate: the output without some channels, which is what a model with those weights at zero gives."""

import copy

import pytest
import torch
from looked_into import X, torchvision
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, ShapeError


@pytest.fixture(scope="module")
def resnet():
    return torchvision("resnet18")


def test_as_if_the_channels_were_not_there(resnet, everything, assert_same):
    before = everything(resnet)
    found = ck.ablate(resnet, X, {"bn1": [3, 5], "layer2.1.bn1": 7})
    assert_same(before, everything(resnet))
    without = copy.deepcopy(resnet)
    for bn, channels in ((without.bn1, [3, 5]), (without.layer2[1].bn1, [7])):
        bn.weight.data[channels], bn.bias.data[channels] = 0, 0
    torch.testing.assert_close(found.after, without(X).detach())
    assert torch.equal(found.before, resnet(X).detach()) and found.channels == {"bn1": (3, 5), "layer2.1.bn1": (7,)}


def test_to_their_mean(resnet):
    found = ck.ablate(resnet, X, {"layer1.0": range(64)}, to="mean")
    features = ck.capture(resnet, X, "layer1.0")["layer1.0"]
    flat = features.mean((0, 2, 3), keepdim=True).expand_as(features)
    rest = nn.Sequential(resnet.layer1[1], resnet.layer2, resnet.layer3, resnet.layer4, resnet.avgpool, nn.Flatten())
    torch.testing.assert_close(found.after, resnet.fc(rest(flat)).detach())


def test_tokens_and_maps_with_the_channels_last():
    torch.manual_seed(0)
    vit = ck.build_model("vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16,
                         mlp_dim=16).eval()  # fmt: skip
    x = X[..., :32, :32]
    found = ck.ablate(vit, x, {"layer_0": [1]})
    tokens = ck.capture(vit, x, "layer_0")["layer_0"].clone()
    tokens[..., 1] = 0
    wanted = vit.encoder.ln(vit.encoder.layers.layer_1(tokens))[:, 0].detach()
    torch.testing.assert_close(found.after, wanted)
    swin = pytest.importorskip("torchvision.models").swin_t().eval()
    seen = {}
    swin.features[2].register_forward_pre_hook(lambda m, args: seen.update(x=args[0]))
    ck.ablate(swin, X, {"features.1": [2]})
    assert (seen["x"][..., 2] == 0).all() and seen["x"][..., 3].any()


def test_the_most_probable_classes_now(resnet):
    found = ck.ablate(resnet, X, {"bn1": [3, 5]})
    for picture in (0, 1):
        top = found.top(3, picture)
        now, before = found.after.softmax(1)[picture], found.before.softmax(1)[picture]
        assert [m.number for m in top] == now.topk(3).indices.tolist() and {m.picture for m in top} == {picture}
        assert [(m.before, m.after) for m in top] == [(float(before[m.number]), float(now[m.number])) for m in top]
    assert len(found.top(5000)) == 1000 and found.top(1)[0].label is None
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    assert ck.ablate(net, X, {"0": [1]}).top() == [], "there are no classes"


def test_heads_see_it():
    net = ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}).eval()
    net.attach_head("block0-0", "fully_connected", unique_id="a", num_classes=3)
    net.attach_head("block1-0", "fully_connected", unique_id="b", num_classes=3)
    found = ck.ablate(net, X[..., :32, :32], {"block0-0": range(32)})
    assert found.before.keys() == found.after.keys() == {"a", "b"}
    bias = net.get_heads()["block0-0"][0].fc.bias.detach()
    torch.testing.assert_close(found.after["a"], bias.expand(2, -1))
    assert not torch.equal(found.after["b"], found.before["b"])
    assert ck.ablate(net, X[..., :32, :32], {"block1-0": [0]}).after["a"].equal(found.before["a"])


def test_which_classes_moved():
    model = ck.load_pretrained("efficientnet_lite0")
    found = ck.ablate(model, "cat", {"block4-2": range(40)})
    shares = [t.softmax(1)[0] for t in (found.before, found.after)]
    first = found.changed[0]
    assert first.number == int((shares[1] - shares[0]).abs().argmax()) and first.label == model.labels[first.number]
    assert first.before == pytest.approx(float(shares[0][first.number]))
    assert first.difference == pytest.approx(first.after - first.before)
    table = found.to_pandas()
    assert list(table)[:3] == ["picture", "class", "label"] and len(table) == len(found.changed)
    assert first.label in str(found) and "block4-2 without channels 0, 1, 2, 3, 4, 5, …" in str(found)
    assert ck.ablate(nn.Sequential(nn.Conv2d(3, 4, 3)), X, {"0": 1}).changed == [], "no classes, nothing to say of them"


@pytest.mark.parametrize(
    "channels, kind, words",
    [
        ({"layer1": [64]}, ConfigError, r"'layer1' has the channels 0 to 63, not 64"),
        ({"layer1": [-1]}, ConfigError, r"0 to 63, not -1"),
        ({"layer1": []}, ConfigError, "one or more numbers"),
        ({"layer1": "all"}, ConfigError, "are numbers, not 'all'"),
        ({"layer1": [1.5]}, ConfigError, "one or more numbers"),
        ({}, ConfigError, "channels is"),
        (["layer1"], ConfigError, "channels is"),
        ({"layer9": [0]}, BlockError, "no block 'layer9'"),
    ],
)
def test_bad_channels(channels, kind, words, resnet):
    with pytest.raises(kind, match=words):
        ck.ablate(resnet, X, channels)


def test_other_bad_input(resnet):
    with pytest.raises(ConfigError, match='to is "zero" or "mean"'):
        ck.ablate(resnet, X, {"layer1": 0}, to="one")
    with pytest.raises(ShapeError, match="cannot run on an input"):
        ck.ablate(resnet, torch.rand(2, 5, 64, 64), {"layer1": 0})
    idle = nn.Sequential(nn.Conv2d(3, 4, 3))
    idle.idle = nn.ReLU()
    idle.forward = idle[0].forward
    with pytest.raises(BlockError, match="'idle' did not run"):
        ck.ablate(idle, X, {"idle": 0})
