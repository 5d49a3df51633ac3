"""classykit.watch: a mode that is told of every operation."""

import torch

from classykit.watch import Watch


class Names(Watch):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


def test_it_sees_each_operation_and_is_left_again():
    with Names() as names:
        torch.nn.functional.relu(torch.ones(2, 2) @ torch.ones(2, 2))
    torch.ones(3)
    assert names.seen == ["aten.ones.default", "aten.ones.default", "aten.mm.default", "aten.relu.default"]
