"""classykit.weights.assign: all weights or none, and copies of them."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights.assign import assign


def on_meta():
    with torch.device("meta"):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def state(randomise):
    return randomise(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).state_dict()


def test_they_are_copies_in_their_own_type(state):
    state = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
    state["0.weight"] = state["0.weight"].to(memory_format=torch.channels_last)
    module = on_meta()
    assign(module, state, "it")
    assert module[0].weight.dtype == torch.float64 and module[0].weight.is_contiguous()
    assert torch.equal(module[0].weight, state["0.weight"])
    module[0].weight.data.zero_()
    assert state["0.weight"].abs().sum() > 0


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("0.bias"), "it .*lacks .*0.bias"),
        (lambda s: s.update(more=torch.zeros(1)), "more"),
        (lambda s: s.update({"0.bias": torch.zeros(5)}), "0.bias"),
    ],
)
def test_all_or_none(change, words, state):
    change(state)
    module = on_meta()
    with pytest.raises(WeightsError, match=words):
        assign(module, state, "it")
    assert all(p.is_meta for p in module.parameters())


def test_heads_are_left_as_they_are(light_configs, randomise):
    model = ck.build_model(light_configs["ResNeXt"], device="meta")
    state = randomise(ck.build_model(light_configs["ResNeXt"])).state_dict()
    head = model.attach_head("block0-0", "linear_probe", num_classes=2)
    assign(model, state, "it")
    assert not next(iter(model.trunk_state().values())).is_meta and all(p.is_meta for p in head.parameters())
