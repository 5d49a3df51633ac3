"""classykit.running.memory_fit: what fits, told before anything is allocated."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import DeviceError
from classykit.memory import free_memory
from classykit.running import memory_fit
from classykit.running.placement import choose

SMALL = {"name": "resnext", "num_blocks": [1, 2], "init_planes": 8}


def test_allocating_is_repeatable_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    a, b, c = (memory_fit.allocate(SMALL, ck.inspect(SMALL), seed=s) for s in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    weights = [m.initial_block._module[0].weight for m in (a, b, c)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not a.training and a.config == SMALL


@pytest.mark.parametrize("share, fits", [(0.5, False), (0.99, False), (1.2, True), (100.0, True)])
def test_what_does_not_fit_is_refused_with_the_figures(share, fits, monkeypatch):
    i = ck.inspect("resnet50")
    monkeypatch.setattr(memory_fit, "free_memory", lambda device: int(i.peak_memory().total * share / memory_fit.SPARE))
    if fits:
        memory_fit.check_fits(i, "cpu")
    else:
        with pytest.raises(DeviceError, match=r"resnet50 is too big for cpu: about 94.* MB of weights.*are free"):
            memory_fit.check_fits(i, "cpu")


@pytest.mark.parametrize(
    "share, words", [(0.6, "In bfloat16 it fits; of its family resnet"), (0.001, "Choose a smaller")]
)
def test_what_would_fit_is_named(share, words, monkeypatch):
    i = ck.inspect("resnet50")
    monkeypatch.setattr(memory_fit, "free_memory", lambda device: int(i.peak_memory().total * share / memory_fit.SPARE))
    with pytest.raises(DeviceError, match=words):
        memory_fit.check_fits(i, "cpu")


@pytest.mark.parametrize("dtype, times", [("float32", 1), ("bfloat16", 2), ("float64", 0.5)])
def test_batches_fit_by_their_type(dtype, times, monkeypatch):
    model = ck.build_model("regnet_y_400mf", device="meta")
    of_one = ck.inspect(model).peak_memory(batch_size=1).activations
    place = choose(model, dtype=dtype)
    place = type(place)(torch.device("meta"), place.dtype)  # where its weights are, in its own type
    copied = 0 if dtype == "float32" else memory_fit._weights(ck.inspect(model), place.dtype)
    monkeypatch.setattr(memory_fit, "free_memory", lambda device: int((8.5 * of_one + copied) / memory_fit.SPARE))
    assert memory_fit.batch_that_fits(model, place, None, 100)[0] == pytest.approx(8.5 * times, abs=1)
    assert memory_fit.batch_that_fits(model, place, None, 2) == (2, "")


def test_what_cannot_be_inspected_is_taken_to_fit():
    class Odd(nn.Module):
        def forward(self, x):
            raise ValueError

    assert memory_fit.batch_that_fits(Odd(), choose(Odd(), "cpu"), (3,), 5) == (5, "")


def test_free_memory():
    assert 2**20 < free_memory("cpu") < 2**50
