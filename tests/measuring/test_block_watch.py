"""classykit.measuring.block_watch: what is booked on which block."""

import math

import torch
from profiled import quick
from torch import nn

import classykit as ck
from classykit.inspecting.block_info import REST
from classykit.measuring.block_watch import booked


class TestBooking:
    def test_what_runs_between_blocks_is_booked_on_the_later(self):
        marks = [("edge", ""), ("enter", "a"), ("leave", "a"), ("enter", "b"), ("leave", "b"), ("edge", "")]
        assert booked(marks, [1, 2, 4, 8, 16], int.__add__) == {"a": 3, "b": 12, REST: 16}
        assert booked(marks, [1, 2, 4, 8, 16], max) == {"a": 2, "b": 8, REST: 16}

    def test_a_block_inside_another_has_its_own(self):
        marks = [("edge", ""), ("enter", "out"), ("enter", "in"), ("leave", "in"), ("leave", "out"), ("edge", "")]
        assert booked(marks, [1, 2, 4, 8, 16], int.__add__) == {"out": 11, "in": 4, REST: 16}


class TestMemory:
    def test_what_a_block_leaves_is_what_it_gives(self, small):
        model, x = small
        found, inspected = quick(model, x), ck.inspect(model, (3, 32, 32), 2)
        blocks = [block for block in inspected.blocks if block.name.startswith("block")]
        assert {block.name: found[block.name].left for block in blocks} == {
            block.name: 2 * 4 * math.prod(block.output_shape) for block in blocks
        }
        assert [block.name for block in blocks] == ["block0-0", "block1-0", "block1-1"]

    def test_what_is_written_over_the_input_leaves_nothing(self):
        class Over(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 6), InPlace()

            def forward(self, x):
                return self.b(self.a(x))

        class InPlace(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.ones(6))

            def forward(self, x):
                return x.mul_(self.w)

        found = quick(Over(), torch.rand(3, 4))
        assert (found["a"].left, found["b"].left) == (3 * 6 * 4, 0)
        assert found["a"].peak_memory == 3 * (4 + 6) * 4
