"""classykit.evidence: exact where it can be, Grad-CAM elsewhere, for any head, block and class."""

import pytest
import torch
from looked_into import X, timm, torchvision
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, HeadError, ShapeError
from classykit.subject import UNTRAINED


def adds_up(found):
    """The mean of each exact map, plus the bias, is the score."""
    exact = [block for block in found.maps if found.exact[block]]
    for block in exact:
        torch.testing.assert_close(
            found.maps[block].flatten(1).mean(1) + found.biases[block], found.score, atol=1e-4, rtol=1e-4)  # fmt: skip
        torch.testing.assert_close(
            found.channels[block].sum(1) + found.biases[block], found.score, atol=1e-4, rtol=1e-4)  # fmt: skip
    return exact


#: {family: the block that global average pooling and a linear layer follow, once a head is on it}
FAMILIES = ["ResNeXt", "DenseNet", "EfficientNet", "AnyNet", "RegNet", "ResNeXt3D"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_that_pools_is_exact_in_every_family(family, light_configs, input_for, everything, assert_same):
    torch.manual_seed(0)
    model = ck.build_model(light_configs[family]).train()
    block = [b for b in model.block_names if ck.inspect(model)[b].features.kind.startswith("map")][-1]
    head = "linear_probe" if family == "ResNeXt3D" else "fully_connected"
    model.attach_head(block, head, unique_id="mine", num_classes=5)
    x = input_for(model)
    before = everything(model)
    found = ck.evidence(model, x, [1, 4], head="mine", blocks="all")
    assert_same(before, everything(model))
    assert found.exact[block] and adds_up(found) and found.head == "mine"
    logits = model.eval()(x)
    logits = logits["mine"] if isinstance(logits, dict) else logits
    torch.testing.assert_close(found.score, torch.stack([logits[0, 1], logits[1, 4]]))
    bias = next(p for name, p in model.get_heads()[block][0].named_parameters() if name.endswith("bias"))
    torch.testing.assert_close(found.biases[block], bias[[1, 4]], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "make, exact",
    [
        (lambda: torchvision("resnet18"), ["layer4.1"]),
        (lambda: torchvision("mobilenet_v3_small"), []),  # its classifier has a hidden layer
        (lambda: torchvision("densenet121"), []),  # a ReLU is left out of its features
        (lambda: torchvision("swin_t"), ["norm"]),
        (lambda: timm("resnet10t"), ["layer4.0"]),
        (lambda: timm("convnext_atto"), []),  # it normalises after pooling
        (lambda: timm("efficientnet_lite0"), ["bn2"]),
        (lambda: timm("vit_tiny_patch16_224", img_size=64), []),
    ],
    ids=["resnet", "mobilenet", "densenet", "swin", "timm's resnet", "convnext", "timm's lite0", "vit"],
)
def test_eight_models_of_others(make, exact, everything, assert_same):
    model = make()
    before = everything(model)
    found = ck.evidence(model, X, 3, blocks="all")
    assert_same(before, everything(model))
    assert adds_up(found) == exact and UNTRAINED in found.notes
    torch.testing.assert_close(found.score, model(X)[:, 3])


def test_pooling_that_takes_part_of_the_map_is_not_exact():
    """The same gradient everywhere is not enough: here it is that of a softmax."""

    class Net(nn.Module):
        def __init__(self, after):
            super().__init__()
            self.conv, self.fc, self.after = nn.Conv2d(3, 4, 3), nn.Linear(4, 5), after

        def forward(self, x):
            return self.after(self.fc(self.conv(x).mean((2, 3))))

    for after, exact in ((nn.Identity(), True), (nn.Softmax(1), False), (nn.Tanh(), False)):
        assert ck.evidence(Net(after), X, 1, blocks="conv").exact == {"conv": exact}


def test_grad_cam_by_hand():
    model = torchvision("resnet18")
    found = ck.evidence(model, X, [3, 5], blocks=["layer1.0", "layer3.1"], method="gradcam")
    features = ck.capture(model, X, ["layer1.0", "layer3.1", "fc"], grad=True)
    score = features["fc"][0, 3] + features["fc"][1, 5]
    for block in ("layer1.0", "layer3.1"):
        (slope,) = torch.autograd.grad(score, [features[block]], retain_graph=True)
        wanted = (slope.mean((2, 3), keepdim=True) * features[block]).sum(1)
        torch.testing.assert_close(found.maps[block], wanted.detach())
    assert found.method == "Grad-CAM" and not any(found.exact.values())


def test_what_each_channel_adds():
    net = torchvision("resnet18")
    found = ck.evidence(net, X, 3, blocks="all")
    features = ck.capture(net, X, "layer4.1")["layer4.1"].mean((2, 3))
    torch.testing.assert_close(found.channels["layer4.1"], features * net.fc.weight[3].detach(), atol=1e-4, rtol=1e-4)
    assert found.channels.keys() == found.maps.keys()
    assert [block for block in found.maps if found.exact[block]] == ["layer4.1"]
    for block, of in found.channels.items():
        assert len(of) == 2
        if not found.exact[block]:
            torch.testing.assert_close(of.sum(1), found.maps[block].flatten(1).sum(1), atol=1e-3, rtol=1e-3)


def test_all_in_one_pass_is_as_one_by_one():
    model = torchvision("resnet18")
    together = ck.evidence(model, X, 3, blocks="all")
    for block in ("layer2.0", "layer4.1"):
        alone = ck.evidence(model, X, 3, blocks=block)
        torch.testing.assert_close(alone.maps[block], together.maps[block])
        assert alone.exact[block] == together.exact[block]


def test_the_default_is_the_last_block_with_places():
    assert list(ck.evidence(torchvision("resnet18"), X).maps) == ["layer4.1"]
    found = ck.evidence(timm("vit_tiny_patch16_224", img_size=64), X, 3)
    assert list(found.maps) == ["blocks.10"], "after the last layer the class token alone is read"
    assert found.maps["blocks.10"].shape == (2, 4, 4) and "class token alone is read" in found.notes[-1]


def test_frozen_weights_and_no_gradients():
    model = torchvision("resnet18").requires_grad_(False)
    wanted = ck.evidence(torchvision("resnet18"), X, 3, blocks="all")
    with torch.no_grad():
        found = ck.evidence(model, X, 3, blocks="all")
    assert found.maps.keys() == wanted.maps.keys() >= {"layer1.0", "layer4.1"}
    assert all(torch.equal(found.maps[b], wanted.maps[b]) for b in wanted.maps)
    assert not found.maps["layer1.0"].requires_grad


class TestWhatIsMeant:
    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        net = ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True})
        net.attach_head("block1-0", "fully_connected", unique_id="late", num_classes=4)
        net.attach_head("block0-0", "fully_connected", unique_id="early", num_classes=6)
        return net

    def test_a_head(self, net):
        found = ck.evidence(net, X, 5, head="early", blocks="all")
        assert list(found.maps) == ["initial_block", "block0-0"], "what comes after its block has no say"
        with pytest.raises(BlockError, match=r"no map of 'block1-0'.*does not lead to the score"):
            ck.evidence(net, X, 5, head="early", blocks=["block1-0"])
        with pytest.raises(HeadError, match="no head 'last'"):
            ck.evidence(net, X, head="last")
        with pytest.raises(ConfigError, match="several heads"):
            ck.evidence(net, X)

    def test_a_class(self):
        model = ck.load_pretrained("efficientnet_lite0")
        found = ck.evidence(model, ["cat", "coffee"])
        assert [found.of_class(i) for i in range(2)] == ["Egyptian cat", "espresso"] and found.notes == ()
        by_name = ck.evidence(model, "cat", "Egyptian cat")
        assert by_name.target == [285] and torch.allclose(by_name.maps["trunk_output"], found.maps["trunk_output"][:1])
        with pytest.raises(ConfigError, match="no class 1000"):
            ck.evidence(model, "cat", 1000)

    def test_words(self):
        lite = ck.load_pretrained("efficientnet_lite0")
        found = ck.evidence(lite, "cat", "tabby", blocks=["block6-0", "trunk_output"])
        text = str(found)
        assert "Evidence for tabby in efficientnet_lite0, by the trunk's classifier" in text
        assert "approximate (Grad-CAM)" in text and "exact" in text
        assert found.block() == "trunk_output" and found.picture().shape == (224, 224, 3)
        with pytest.raises(BlockError, match="no map of 'stem' here"):
            found.plot("stem")


@pytest.mark.parametrize(
    "ask, kind, words",
    [
        (dict(blocks="fc"), BlockError, "gives a vector, has no places"),
        (dict(blocks="layer9"), BlockError, "no block 'layer9'"),
        (dict(target="cat"), ConfigError, "have no names here"),
        (dict(method="magic"), ConfigError, "no method 'magic'"),
        (dict(method=3), ConfigError, "method is"),
        (dict(head="any"), HeadError, "none is attached"),
    ],
)
def test_bad_input(ask, kind, words):
    with pytest.raises(kind, match=words):
        ck.evidence(torchvision("resnet18"), X, **ask)


def test_no_scores_and_no_places():
    with pytest.raises(ShapeError, match="gives no scores of classes"):
        ck.evidence(nn.Sequential(nn.Conv2d(3, 4, 3)), X)
    mlp = ck.build_model("mlp", input_dim=12, output_dim=5, hidden_dims=[8])
    with pytest.raises(BlockError, match=r"has places.*no map to put on the picture"):
        ck.evidence(mlp, torch.rand(2, 12))


class TestOneClassMinusAnother:
    def test_the_difference_adds_up(self):
        lite = ck.load_pretrained("efficientnet_lite0")
        cat, tiger = (ck.evidence(lite, "cat", c, blocks="all") for c in ("Egyptian cat", "tiger cat"))
        found = ck.evidence(lite, "cat", "Egyptian cat", minus="tiger cat", blocks="all")
        torch.testing.assert_close(found.score, cat.score - tiger.score, atol=1e-4, rtol=1e-4)
        assert found.of_class() == "Egyptian cat minus tiger cat" and adds_up(found) == ["trunk_output"]
        for block in ("block4-2", "trunk_output"):
            torch.testing.assert_close(found.maps[block], cat.maps[block] - tiger.maps[block], atol=1e-3, rtol=1e-3)

    def test_the_runner_up(self):
        model = torchvision("resnet18")
        found = ck.evidence(model, X, minus="runner-up")
        best = model(X).topk(2).indices
        assert found.target == best[:, 0].tolist() and found.minus == best[:, 1].tolist() and adds_up(found)
        assert torch.equal(found.scores, model(X))
        other = ck.evidence(model, X, best[:, 1].tolist(), minus="runner-up")
        assert other.minus == best[:, 0].tolist(), "of another class it is the best one"

    @pytest.mark.parametrize(
        "ask, words",
        [
            (dict(target=3, minus=3), "the same class is nothing"),
            (dict(target=3, minus=1000), "no class 1000"),
            (dict(target=3, minus=2, method="LayerCAM"), "minus goes with"),
        ],
    )
    def test_bad_input(self, ask, words):
        with pytest.raises(ConfigError, match=words):
            ck.evidence(torchvision("resnet18"), X, **ask)


class TestWhatHasNoPlaces:
    def test_channels_and_bias_are_the_score_of_an_mlp(self, everything, assert_same):
        torch.manual_seed(0)
        mlp, x = ck.build_model("mlp", input_dim=12, output_dim=5, hidden_dims=[8, 6]), torch.rand(2, 12)
        before = everything(mlp)
        found = ck.evidence(mlp, x, 3, places=False, blocks="all")
        assert_same(before, everything(mlp))
        assert found.exact == {"hidden0": False, "hidden1": True}, "and not what gives the scores themselves"
        assert adds_up(found) == ["hidden1"] and not found.has_places("hidden1")
        torch.testing.assert_close(found.channels["hidden1"].sum(1) + found.bias, found.score)
        torch.testing.assert_close(found.bias, mlp.state_dict()[list(mlp.state_dict())[-1]][[3, 3]])

    def test_a_class_token_after_the_last_map(self):
        vit = ck.build_model("vision_transformer", image_size=64, patch_size=16, num_layers=2, num_heads=2,
                             hidden_dim=16, mlp_dim=16)  # fmt: skip
        vit.attach_head("trunk_output", "linear_probe", unique_id="mine", num_classes=4)
        found = ck.evidence(vit, X, 3, places=False, blocks="all")
        assert found.maps["layer_0"].shape == (2, 4, 4) and not found.has_places("trunk_output")
        assert adds_up(found) == ["trunk_output"]

    def test_vectors_do_not_count_unless_asked_for(self):
        lite = ck.build_model("efficientnet_lite0")
        assert list(ck.evidence(lite, X, 3, blocks="all").maps)[-1] == "trunk_output"
        assert list(ck.evidence(lite, X, 3, places=False, blocks="all").maps)[-1] == "trunk_output"


def test_what_it_is_made_of():
    found = ck.evidence(ck.load_pretrained("efficientnet_lite0"), "cat", "tabby", blocks="all")
    parts, shares = found.made_of(), found.channels["trunk_output"][0]
    assert [c for c, _ in parts[:6]] == shares.topk(6).indices.tolist() and parts[0][1] == shares.max().item()
    assert [c for c, _ in parts[6:]] == (-shares).topk(3).indices.tolist()
    assert (shares.sum() + found.bias - found.score).abs() < 1e-4
    assert len(found.made_of("stem", most=2, least=0)) <= 2
