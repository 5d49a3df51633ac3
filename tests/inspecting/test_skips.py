"""Skips are seen in what runs, whoever wrote the block."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.inspecting.tracer import trace
from classykit.meta import meta_twin


class Made(nn.Module):
    """A block that does what a function says with three convolutions."""

    def __init__(self, does):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 3, padding=1) for _ in "abc")
        self.does = does

    def forward(self, x):
        return self.does(self, x)


def rotated(m, x):  # as positions are turned into queries
    q = m.a(x)
    return q * 0.5 + q.roll(1, 1) * 0.5


def further_on(m, x):  # not its own input
    y = m.a(x)
    return y + m.c(m.b(y))


def in_place(m, x):
    y = m.b(m.a(x))
    y += x
    return y.relu_()


@pytest.mark.parametrize("does, adds", [
    (lambda m, x: x + m.a(x), True),
    (lambda m, x: torch.relu(m.a(x).relu() + x), True),
    (in_place, True),
    (lambda m, x: m.b(m.a(x)) + m.c(x), True),  # projected
    (lambda m, x: (x + m.a(x)) + m.b(m.a(x)), True),
    (lambda m, x: (x.flatten(2) + m.a(x).flatten(2)).view_as(x), True),
    (lambda m, x: m.a(x), False),
    (lambda m, x: m.a(x) + 1, False),
    (lambda m, x: x * m.a(x), False),
    (lambda m, x: torch.cat([x, m.a(x)], 1), False),
    (lambda m, x: m.a(x) + m.b(x), False),  # two branches
    (lambda m, x: m.b(x + m.a(x)), False),  # what it gives is made of the sum
    (further_on, False),
    (rotated, False),
    (lambda m, x: x + m.a.weight.sum(), False),
])  # fmt: skip
def test_blocks_by_hand(does, adds):
    net = meta_twin(nn.Sequential(nn.Conv2d(3, 4, 1), Made(does)))
    seen = trace(net, {"block": "1"}, torch.empty(1, 3, 8, 8, device="meta"))
    assert seen.blocks["block"].has_skip is adds


def test_equal_blocks_and_a_head_inside_of_one():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), *(Made(lambda m, x: x + m.b(m.a(x))) for _ in range(3)))
    model = ck.ClassyModel.from_model(net, input_shape=(3, 8, 8))
    assert [b.has_skip for b in ck.inspect(model).trunk] == [False, True, True, True]
    model.attach_head("2.a", "identity")
    assert ck.inspect(model)["2"].has_skip and not ck.inspect(model)["2.a"].has_skip


def test_around_a_recurrent_layer():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(8, 8, batch_first=True)

        def forward(self, x):
            return x + self.rnn(x)[0]

    net = nn.Sequential(nn.Linear(8, 8), Around(), Around())
    seen = ck.inspect(net, example=torch.zeros(2, 5, 8))
    assert [b.has_skip for b in seen.trunk] == [False, True, True]


@pytest.mark.parametrize("model, without", [
    ("resnet18", {"conv1", "bn1", "fc"}),
    ("swin_t", {"features.0", "features.2", "features.4", "features.6", "norm", "head"}),
    ("vit_b_32", {"conv_proj", "encoder.ln", "heads"}),
    ("convnext_tiny", {"features.0", "features.2", "features.4", "features.6", "classifier"}),
])  # fmt: skip
def test_models_of_torchvision(model, without):
    seen = ck.inspect(getattr(pytest.importorskip("torchvision.models"), model)())
    assert {b.name for b in seen.trunk if not b.has_skip} == without


@pytest.mark.parametrize("model, without", [
    ("vit_tiny_patch16_224", {"patch_embed", "norm", "head"}),
    ("swin_tiny_patch4_window7_224", {"patch_embed", *(f"layers.{i}.downsample" for i in (1, 2, 3)), "norm", "head"}),
    ("resnet18d", {"conv1", "bn1", "fc"}),
])  # fmt: skip
def test_models_of_timm(model, without):
    seen = ck.inspect(pytest.importorskip("timm").create_model(model))
    assert {b.name for b in seen.trunk if not b.has_skip} == without


def test_a_tensor_that_is_given_twice_and_a_real_pass():
    class Counted(nn.Module):
        def forward(self, x, y):
            return x + y if float(x.sum()) == float(y.sum()) else x  # asks for numbers

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.count, self.b = nn.Linear(4, 4), Counted(), Made2()

        def forward(self, x):
            x = self.a(x)
            return self.b(self.count(x, x))

    class Made2(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.f(x)

    x = torch.rand(2, 4)
    seen = ck.inspect(Net(), example=x)
    assert "random numbers" in seen.note or "the example" in seen.note
    assert seen["b"].has_skip and not seen["a"].has_skip and not hasattr(x, "_flow")


def test_nothing_stays_on_the_users_tensors():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    x = torch.zeros(1, 3, 8, 8)
    ck.inspect(net, example=x)
    assert not hasattr(x, "_flow") and not any(hasattr(p, "_flow") for p in net.parameters())
