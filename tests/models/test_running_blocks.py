"""classykit.models.running_blocks: the blocks that a person would draw, by what runs."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.models.running_blocks import parts_that_ran


def names(module, shape):
    return ck.ClassyModel.from_model(module, shape).block_names


class Chain(nn.Module):
    """Its parts, one after the other."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x


class ConvBN(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(c, d, 3, padding=1), nn.BatchNorm2d(d)

    def forward(self, x):
        return self.bn(self.conv(x)).relu()


class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())


def backbone():
    encoder = Chain(layers=nn.Sequential(*(Layer(16) for _ in range(6))))
    return Chain(embed=nn.Linear(8, 16), encoder=encoder, norm=nn.LayerNorm(16))


@pytest.mark.parametrize(
    "unit",
    [
        lambda c, d: (ConvBN(c, d), nn.MaxPool2d(2), nn.Dropout()),
        lambda c, d: (nn.Conv2d(c, d, 3, padding=1), nn.BatchNorm2d(d), nn.ReLU(), nn.MaxPool2d(2)),
        lambda c, d: (nn.ConvTranspose2d(c, d, 3, 1, 1), nn.ReLU()),
    ],
)
def test_a_row_of_units_with_pools_between_them(unit):
    features = nn.Sequential(*(m for c, d in ((3, 8), (8, 16), (16, 32), (32, 32)) for m in unit(c, d)))
    found = names(Chain(features=features, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(32, 5)),
                  (3, 32, 32))  # fmt: skip
    assert len(found) >= 5 and found[0] == "features.0" and found[-1] == "fc"


def test_a_perceptron_in_a_model():
    model = nn.Sequential(*(m for _ in range(6) for m in (nn.Linear(16, 16), nn.LeakyReLU())))
    assert names(Chain(model=model), (16,)) == [f"model.{i}" for i in range(0, 12, 2)]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_wrappers_are_looked_into(depth):
    module = backbone()
    wanted = names(module, (10, 8))
    prefix = ""
    for _ in range(depth):
        module, prefix = Chain(net=module), prefix + "net."
    assert names(module, (10, 8)) == [prefix + name for name in wanted] and len(wanted) == 8


def test_a_task_model_has_the_blocks_of_its_backbone():
    whole = names(Chain(backbone=backbone(), head=nn.Linear(16, 3)), (10, 8))
    assert whole == [f"backbone.{name}" for name in names(backbone(), (10, 8))] + ["head"]


def test_a_backbone_that_gives_a_dict_of_lists_is_opened():
    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)

        def forward(self, x):
            a = self.stem(x)
            return {"maps": [a, self.deep(a)]}

    class Segments(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.lateral = Backbone(), nn.Conv2d(16, 4, 1)

        def forward(self, x):
            return self.lateral(self.backbone(x)["maps"][1])

    i = ck.inspect(Segments(), (3, 8, 8))
    assert {b.name: (b.params, b.macs) for b in i.blocks} == {
        "backbone.stem": (224, 13824), "backbone.deep": (1168, 18432), "lateral": (68, 1024)}  # fmt: skip


def test_a_graph_modules_layers_are_listed():
    models = pytest.importorskip("torchvision.models")
    extraction = pytest.importorskip("torchvision.models.feature_extraction")
    net = extraction.create_feature_extractor(models.resnet18().eval(), {"layer2": "a", "layer4": "b"})
    i = ck.inspect(net, (3, 64, 64))
    assert sum(b.macs for b in i.blocks if b.name == "(rest)") < 0.1 * i.macs and 4 <= len(i.blocks) <= 80
    assert i.error is None


def test_units_are_not_cut_open():
    class Conv(nn.Module):
        def __init__(self, d, groups=1):
            super().__init__()
            self.pointwise = nn.Sequential(nn.Conv2d(d, d, 1, groups=groups), nn.BatchNorm2d(d))

        def forward(self, x):
            return self.pointwise(x)

    class Unit(nn.Module):
        def __init__(self, d=16):
            super().__init__()
            self.bottleneck = nn.Sequential(Conv(d, 4), nn.ReLU())
            self.depthwise, self.expand = Conv(d, d), Conv(d, 4)

        def forward(self, x):
            return x + self.expand(self.depthwise(self.bottleneck(x)))

    stages = {f"stage{s}": nn.Sequential(*(Unit() for _ in range(4))) for s in (2, 3)}
    wanted = ["stem", *(f"{stage}.{i}" for stage in stages for i in range(4))]
    assert names(Chain(stem=nn.Conv2d(3, 16, 1), **stages), (3, 32, 32)) == wanted

    double = lambda c, d: Chain(double_conv=nn.Sequential(  # noqa: E731
        nn.Conv2d(c, d, 3, 1, 1), nn.BatchNorm2d(d), nn.ReLU(), nn.Conv2d(d, d, 3, 1, 1), nn.BatchNorm2d(d), nn.ReLU()
    ))  # fmt: skip
    down = lambda c, d: Chain(maxpool_conv=nn.Sequential(nn.MaxPool2d(2), double(c, d)))  # noqa: E731
    unet = Chain(inc=double(3, 8), down1=down(8, 16), down2=down(16, 32), outc=nn.Conv2d(32, 2, 1))
    assert names(unet, (3, 32, 32)) == ["inc", "down1", "down2", "outc"]


def test_a_block_under_two_parents_has_what_it_holds_and_costs_in_one_row():
    shared = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(8))
    one, two = nn.Sequential(shared, nn.Conv2d(8, 8, 1)), nn.Sequential(shared, nn.Conv2d(8, 4, 1))
    i = ck.inspect(Chain(stem=nn.Conv2d(3, 8, 1), one=one, two=two), (3, 8, 8))
    assert all((b.params > 0) == (b.macs > 0) for b in i.blocks if b.name == "one.0")
    assert i.params == sum(p.numel() for p in Chain(a=shared, b=one[1], c=two[1]).parameters()) + 32


@pytest.mark.parametrize("layer, shape", [(nn.Linear(7, 3), (7,)), (nn.Conv2d(3, 4, 3), (3, 8, 8))])
def test_a_model_of_one_layer_is_a_block(layer, shape):
    model = ck.ClassyModel.from_model(layer, shape)
    assert model.block_names == ["model"] and ck.inspect(layer, shape).blocks[0].params > 0
    model.attach_head("model", "linear_probe", num_classes=2)
    assert model(torch.rand(4, *shape)).shape == (4, 2)
    assert ck.explore(ck.ClassyModel.from_model(layer, shape), image=None).selected_block == "model"


def test_the_blocks_are_found_with_the_input_that_is_said():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
            self.pool, self.fc = nn.AvgPool2d(8), nn.Linear(16, 10)

        def forward(self, x):
            return self.fc(self.pool(self.c2(self.c1(x).relu()).relu()).view(-1, 16))

    rows = [b.name for b in ck.inspect(Net(), (3, 32, 32)).blocks]
    assert rows == names(Net(), (3, 32, 32)) == ["c1", "c2", "fc"]


def test_what_ran_and_how_much_of_the_work(everything, assert_same):
    module = Chain(a=nn.Conv2d(3, 8, 1), b=nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()))
    model = ck.ClassyModel.from_model(module, (3, 4, 4))
    before = everything(module)
    ran, moves = parts_that_ran(model)
    assert_same(before, everything(module))
    assert list(ran) == ["model.a", "model.b.0", "model.b.1", "model.b", "model"]
    assert moves == dict.fromkeys(["", *ran], (False, False, True, True))
    assert ran["model.b"].work == ran["model.b.0"].work == 9 * 64 * 16 * 11 and ran["model.b.1"].work == 0
    assert ran["model"].work == ran["model.a"].work + ran["model.b"].work
