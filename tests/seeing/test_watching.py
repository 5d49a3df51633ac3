"""classykit.seeing.watching: every function of a pass, and within which module."""

import pytest
import torch
from torch import nn

from classykit.seeing.watching import Watch, watching


class Noting(Watch):
    def __init__(self):
        super().__init__()
        self.calls, self.modules = [], []

    def seen(self, func, args, kwargs):
        self.calls.append((getattr(func, "__name__", ""), self.within[-1] if self.within else None))
        return func(*args, **kwargs)

    def entered(self, path, module, args):
        self.modules.append(f"+{path}")

    def left(self, path, module, output):
        self.modules.append(f"-{path}")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Flatten(), nn.LazyLinear(2))

    def forward(self, x):
        return self.head(self.conv(x).relu())


@pytest.fixture
def net():
    net = Net()
    net(torch.rand(1, 3, 8, 8))
    return net


def test_functions_by_module(net):
    watch = Noting()
    with watching(watch, net):
        net(torch.rand(1, 3, 8, 8))
    calls = [(name, path) for name, path in watch.calls if name in ("conv2d", "relu", "linear")]
    assert calls == [("conv2d", "conv"), ("relu", ""), ("linear", "head.1")]
    assert watch.modules == ["+", "+conv", "-conv", "+head", "+head.0", "-head.0", "+head.1", "-head.1", "-head", "-"]


def test_nothing_is_left_behind(net, everything, assert_same):
    before = everything(net)
    with pytest.raises(ZeroDivisionError), watching(Noting(), net):
        net(torch.rand(1, 3, 8, 8))
        1 / 0  # noqa: B018
    assert_same(before, everything(net))
    watch = Noting()
    with watching(watch, net):
        pass
    net(torch.rand(1, 3, 8, 8))
    assert not watch.calls and not watch.modules


def test_what_a_model_catches_does_not_put_it_off():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError

    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.fails, self.conv = Fails(), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            try:
                return self.fails(x)
            except ValueError:
                return self.conv(x).relu()

    watch = Noting()
    net = Careful()
    with watching(watch, net):
        net(torch.rand(1, 3, 8, 8))
    assert ("conv2d", "conv") in watch.calls and watch.within == []
