"""The module inside what people wrap around it."""

import torch
from torch import nn

from classykit.wrapped import unwrapped


def test_every_wrapper_comes_off_in_any_order():
    layer = nn.Sequential(nn.Linear(2, 3))
    for wrapped in (
        layer,
        torch.compile(layer),
        nn.DataParallel(layer),
        torch.compile(nn.DataParallel(layer)),
        nn.DataParallel(torch.compile(layer)),
    ):
        assert unwrapped(wrapped) is layer


def test_a_model_that_holds_another_under_the_wrappers_name_is_no_wrapper():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 3)

    own = Own()
    assert unwrapped(own) is own
