"""classykit.inspecting.tracer: what one pass shows of modules and operations."""

import torch
from torch import nn

import classykit as ck


def test_what_runs_outside_the_blocks_has_a_row():
    class Tail(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.weight = nn.Parameter(torch.zeros(4, 3))

        def forward(self, x):
            return self.fc(x) @ self.weight

    i = ck.inspect(Tail(), (4,))
    assert [b.name for b in i.blocks] == ["fc", "(rest)"]
    assert (i.blocks[1].params, i.blocks[1].macs, i.params) == (12, 12, 32)


def test_work_after_the_last_block_that_is_not_counted_is_listed_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.w = nn.Linear(4, 4), nn.Parameter(torch.randn(4))

        def forward(self, x):
            return self.c(x) @ self.w  # a matrix-vector product

    assert ck.inspect(Net(), (10, 4)).uncounted == {"mv": 1}


def test_what_is_no_arithmetic_is_no_gap_in_the_count():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pos, self.prelu = nn.Conv2d(3, 8, 4, 4), nn.Embedding(16, 8), nn.PReLU()

        def forward(self, x):
            x = self.conv(x).flatten(2).transpose(1, 2) + self.pos(torch.arange(16, device=x.device))
            x = x / (x.var(-1, keepdim=True) + 1e-5).sqrt() * torch.linspace(0, 1, 8, device=x.device)
            return nn.functional.glu(self.prelu(x)) + x.new_full((), 2).prod() + torch.eye(4, device=x.device)[0]

    weight_norm = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)))
    for net in (Net(), nn.DataParallel(nn.Conv2d(3, 8, 3)), weight_norm):
        assert ck.inspect(net, (3, 16, 16)).uncounted == {}


class HookUNet(nn.Module):
    """Its skip connection is a hook's work."""

    def __init__(self):
        super().__init__()
        self.skips = {}
        self.down, self.mid = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Conv2d(16, 2, 1)
        self.down.register_forward_hook(lambda m, args, out: self.skips.__setitem__("down", out))

    def forward(self, x):
        return self.out(torch.cat([self.mid(self.down(x)), self.skips["down"]], 1))


def test_hooks_that_a_model_needs_run_on_its_twin(everything, assert_same):
    net = HookUNet()
    before = everything(net)
    i = ck.inspect(net, (3, 16, 16))
    assert i.macs == 64 * 8 * 27 + 64 * 8 * 72 + 64 * 32 and i.error is None and net.skips == {}
    assert_same(before, everything(net))
    model = ck.ClassyModel.from_model(net, (3, 16, 16))
    assert model.block_names == ["down", "mid", "out"]
    head = model.attach_head("mid", "linear_probe", num_classes=2)
    assert head.fc.in_features == 8 and model(torch.rand(1, 3, 16, 16)).shape == (1, 2)


def test_what_a_hook_makes_of_an_output_counts():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(16, 4, 1))
    net[0].register_forward_hook(lambda m, args, out: torch.cat([out, out], 1))
    assert ck.inspect(net, (3, 4, 4)).macs == 16 * (8 * 3 + 4 * 16)


def test_a_hook_of_the_users_is_not_run_and_no_obstacle(small):
    import threading

    class Owner:
        def __init__(self):
            self.calls, self.lock = 0, threading.Lock()

        def count(self, *args):
            self.calls += 1

    owner, (model, _) = Owner(), small
    model.blocks.register_forward_hook(owner.count)
    assert ck.inspect(model).params == sum(p.numel() for p in model.parameters()) and owner.calls == 0


def test_a_module_that_keeps_what_it_saw():
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.seen = nn.Linear(3, 3), []

        def forward(self, x):
            self.seen.append(self.fc(x))
            return self.seen[-1]

    model = Keeps()
    model(torch.randn(2, 3))
    assert ck.inspect(model, (3,)).params == 12 and len(model.seen) == 1


def test_what_runs_where_no_block_is_listed_counts():
    i = ck.inspect(nn.Sequential(nn.ReLU()), (3, 8, 8))
    assert i.activations == 3 * 8 * 8 and i.activation_bytes == 4 * 192
