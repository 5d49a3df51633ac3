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
