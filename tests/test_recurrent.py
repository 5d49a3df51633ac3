"""classykit.recurrent: LSTMs and the like, counted by a few of their steps."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.flop_counter import FlopCounterMode

import classykit as ck
from classykit.meta import meta_twin
from classykit.recurrent import FEW, Brief, steps, time_dim

KEYS = [
    {}, {"batch_first": True}, {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False, "num_layers": 3}, {"proj_size": 3},
]  # fmt: skip


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_counted_as_step_by_step(kind, keys, everything, assert_same):
    if "proj_size" in keys and kind is not nn.LSTM:
        pytest.skip("LSTMs alone have projections")
    layer, x = kind(6, 8, **keys).eval(), torch.rand(5, 9, 6)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        copy.deepcopy(layer).to("meta")(x.to("meta"))
    before = everything(layer)
    found = ck.inspect(layer, example=x).require()
    assert_same(before, everything(layer))
    assert 2 * found.macs == counted.get_total_flops() > 0 and not found.uncounted
    assert found.blocks[0].output_shape == tuple(layer(x)[0].shape[1:])


@pytest.mark.parametrize("steps", [1, FEW, FEW + 1, 40])
def test_costs_grow_with_the_steps(steps):
    layer = nn.LSTM(6, 8, batch_first=True)
    assert ck.inspect(layer, example=torch.rand(2, steps, 6)).macs == 2 * steps * 4 * (6 * 8 + 8 * 8)


def test_a_real_pass_counts_them_too():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.fc = nn.GRU(6, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            if x.sum() > 1e9:
                return x
            return self.fc(self.layer(x)[0])

    found = ck.inspect(Reading(), example=torch.rand(2, 20, 6)).require()
    assert "needs numbers" in found.note and found.macs == 2 * 20 * (3 * (6 * 8 + 8 * 8) + 16)


def test_what_a_position_sees_is_all_along_the_sequence():
    class Rows(nn.Module):
        """Reads the rows of a map, one after another."""

        def __init__(self):
            super().__init__()
            self.conv, self.layer = nn.Conv2d(3, 4, 3, padding=1), nn.LSTM(4, 5, batch_first=True)

        def forward(self, x):
            x = self.conv(x).permute(0, 2, 3, 1).flatten(0, 1)  # (N·H, W, C)
            return self.layer(x)[0]

    found = ck.inspect(Rows(), (3, 8, 10))
    assert found.blocks[-1].receptive_field.global_by.startswith("recurrence over positions in")
    vertically, across = found.blocks[-1].receptive_field.stride
    assert across == 0 and vertically == 1
    everything = ck.inspect(nn.LSTM(4, 5, batch_first=True), (9, 4))
    assert everything.blocks[0].receptive_field is None or everything.blocks[0].receptive_field.is_global


def test_ten_thousand_steps_are_not_taken(monkeypatch):
    from classykit.inspecting import tracer

    taken = []
    monkeypatch.setattr(tracer, "steps", lambda layer, n, *given: taken.append(n) or steps(layer, n, *given))
    layer = nn.LSTM(16, 16, num_layers=2, batch_first=True)
    short, long = (ck.inspect(layer, example=torch.rand(1, n, 16)) for n in (10, 10_000))
    assert long.macs == 1000 * short.macs and taken == 2 * [FEW - 1, FEW]


def test_what_is_given_in_other_ways():
    assert time_dim(nn.LSTM(4, 5), pack_sequence([torch.zeros(9, 4)])) is None
    assert time_dim(nn.LSTM(4, 5, batch_first=True), torch.zeros(9, 4)) == 0  # without a batch
    layer = nn.LSTM(4, 5, batch_first=True)
    twin = meta_twin(layer)
    assert isinstance(twin.forward, Brief) and "forward" not in vars(layer)
    x, state = torch.empty(2, 30, 4, device="meta"), torch.empty(1, 2, 5, device="meta")
    output, (h, c) = twin(x, (state, state))
    assert output.shape == (2, 30, 5) and h.shape == c.shape == (1, 2, 5)
    assert copy.deepcopy(twin)(x)[0].shape == (2, 30, 5) and meta_twin(twin)(x)[0].shape == (2, 30, 5)


def test_equal_blocks_are_folded_still():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 4, batch_first=True)

        def forward(self, x):
            return x + self.rnn(x)[0]

    found = ck.inspect(nn.Sequential(*(Layer() for _ in range(4))), example=torch.rand(1, 30, 4))
    assert [b.like for b in found.blocks] == [None, "0", "0", "0"]
