"""classykit.running.recording: one pass, ended as soon as every block has run."""

import threading

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import DeviceError
from classykit.running.recording import record


def test_it_stops_after_the_last_block_needed(small):
    model, x = small
    ran = []
    for name, path in model.block_paths().items():
        model.get_submodule(path).register_forward_hook(lambda m, a, o, name=name: ran.append(name))
    ck.capture(model, x, ["block1-0", "initial_block"])
    assert ran == ["initial_block", "block0-0", "block1-0"]
    ran.clear()
    ck.capture(model, x, "initial_block")
    assert ran == ["initial_block"]


def test_an_output_that_is_overwritten_later(inplace_net):
    inplace_net.eval()
    x = torch.randn(2, 3, 8, 8)
    wanted = inplace_net.bn(inplace_net.conv(x))
    for names in (["bn"], ["conv", "bn", "relu"], ["relu", "bn"]):
        got = ck.capture(inplace_net, x, names)
        assert torch.equal(got["bn"], wanted) and wanted.min() < 0
    assert torch.equal(ck.capture(inplace_net, x, ["bn", "relu"])["relu"], wanted.relu())


def test_a_block_that_runs_twice_gives_its_first_output():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    x = torch.randn(2, 3)
    assert torch.equal(ck.capture(model, x, "0")["0"], layer(x))


def test_progress_is_told_as_it_comes(small):
    model, x = small
    told = []
    ck.capture(model, x, ["block1-0", "initial_block"], on_block=told.append)
    assert told == ["initial_block", "block1-0"]


def test_threads(small):
    model, _ = small
    xs = [torch.randn(2, 3, 32, 32) for _ in range(8)]
    names = ["initial_block", "block1-0"]
    wanted, got = [ck.capture(model, x, names) for x in xs], [None] * 8
    start = threading.Barrier(8)

    def work(i):
        start.wait()
        got[i] = [ck.capture(model, xs[i], names) for _ in range(4)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for many, want in zip(got, wanted, strict=True):
        for one in many:
            assert all(torch.equal(one[name], want[name]) for name in names)
    assert not any(m._forward_hooks for m in model.modules())


class Waiting(nn.Module):
    """A pass that waits inside, so that two can overlap in a known order."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(4)
        self.inside = [threading.Event(), threading.Event()]
        self.go = [threading.Event(), threading.Event()]

    def forward(self, x):
        which = int(x[0, 0])
        self.inside[which].set()
        assert self.go[which].wait(20)
        return self.bn(x)


@pytest.mark.parametrize("first_out", [0, 1])
def test_threads_on_a_model_in_train_mode(first_out):
    model = Waiting().train()
    model.bn.eval().train()
    before = {k: v.clone() for k, v in model.bn.state_dict().items()}
    got = {}

    def work(i):
        got[i] = ck.capture(model, torch.full((3, 4), float(i)), "bn")["bn"]

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for i in (0, 1):
        threads[i].start()
        assert model.inside[i].wait(20)
    for i in (first_out, 1 - first_out):
        model.go[i].set()
        threads[i].join()
    assert model.training and model.bn.training
    assert all(torch.equal(v, before[k]) for k, v in model.bn.state_dict().items())
    for i in (0, 1):
        torch.testing.assert_close(got[i], torch.full((3, 4), float(i)), atol=1e-4, rtol=1e-4)


def test_memory_that_runs_out_is_no_matter_of_shapes(small):
    model, x = small
    model.blocks[0].register_forward_pre_hook(lambda m, args: (_ for _ in ()).throw(RuntimeError("CUDA out of memory")))
    with pytest.raises(DeviceError, match="fewer inputs"):
        ck.capture(model, x, "block1-0")


class Overwritten(nn.Module):
    """A residual block that adds in place, and an activation that works in place, as torchvision's ResNets have."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(3, 2)

    def forward(self, x):
        y = self.norm(self.conv(x))
        y += x.mean(1, keepdim=True)
        return self.fc(y.relu_().mean((2, 3)))


def test_gradients_by_an_output_that_is_overwritten_later():
    torch.manual_seed(0)
    net, x = Overwritten().double().eval(), torch.randn(1, 2, 4, 4, dtype=torch.float64)
    found = record(net, x, ["norm", "fc"], grad=True)
    got = torch.autograd.grad(found["fc"][0, 1], found["norm"])[0]
    torch.testing.assert_close(found["norm"], net.norm(net.conv(x)))  # as the block gave it

    def with_more(at, much):
        handle = net.norm.register_forward_hook(lambda m, args, out: out + much * at)
        logit = net(x)[0, 1].item()
        handle.remove()
        return logit

    for i in range(0, got.numel(), 7):  # against differences
        at = torch.zeros_like(got).flatten()
        at[i] = 1
        at = at.view_as(got)
        slope = (with_more(at, 1e-6) - with_more(at, -1e-6)) / 2e-6
        assert abs(slope - got.flatten()[i].item()) < 1e-8


def test_a_tuple_of_which_the_features_are_overwritten():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            return "size", self.fc(x)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = Pair()

        def forward(self, x):
            size, y = self.pair(x)
            assert size == "size"
            return y.mul_(2)

    net, x = Outer(), torch.rand(2, 3)
    found = record(net, x, ["pair", "pair.fc"], grad=True)
    assert torch.equal(found["pair"], net.pair.fc(x)) and torch.equal(found["pair.fc"], net.pair.fc(x))
