"""classykit.extracting.digests: whether a model, or an item of a dataset, is the one that it was."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from classykit.extracting.digests import digest_of, digest_of_weights


def change_a_weight(model):
    model.initial_block._module[0].weight.data[0, 0, 0, 0] += 1e-3


def change_a_buffer(model):
    model.initial_block._module[1].running_mean += 1


def change_a_setting(model):
    model.initial_block._module[1].eps = 1e-2


def change_a_layer(model):
    model.initial_block._module[2] = nn.Identity()


@pytest.mark.parametrize("change", [change_a_weight, change_a_buffer, change_a_setting, change_a_layer])
def test_whatever_changes_the_outputs_changes_the_digest(change, small):
    model, _ = small
    before = digest_of_weights(model)
    change(model)
    assert digest_of_weights(model) != before


def test_heads_modes_and_copies_do_not_count(small):
    model, _ = small
    before = digest_of_weights(model)
    model.attach_head("block0-0", "fully_connected", num_classes=3)
    assert digest_of_weights(model.train()) == digest_of_weights(copy.deepcopy(model)) == before


def test_where_an_object_lies_in_memory_does_not_count():
    class Named(nn.Module):
        def extra_repr(self):
            return repr(object())

    assert digest_of_weights(Named()) == digest_of_weights(Named())


VALUES = [
    None, 0, 1, 1.5, "1.5 ", "", b"1", Path("a"), [1, 23], [12, 3], torch.zeros(2), torch.zeros(2, dtype=torch.int32),
    torch.zeros(1, 2), torch.ones(2), np.zeros(2, np.float64), np.zeros((2, 1)), Image.new("L", (2, 1)),
    Image.new("L", (1, 2)), Image.new("P", (2, 1)), object(),
]  # fmt: skip


def test_different_values_have_different_digests():
    assert len({digest_of(value) for value in VALUES}) == len(VALUES)


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_an_equal_value_has_the_same_digest(value):
    twin = object() if type(value) is object else copy.deepcopy(value)
    assert digest_of(value) == digest_of(twin) == digest_of(value)


def test_how_a_tensor_lies_in_memory_does_not_count():
    x = torch.arange(6.0).reshape(2, 3)
    assert digest_of(x) == digest_of(x.T.contiguous().T) == digest_of(x.clone().requires_grad_())
