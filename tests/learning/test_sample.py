"""classykit.sample: different networks of a space, each within the budget."""

import numpy as np
import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError
from classykit.learning import sample as module

FAMILIES = ("anynet", "regnet", "efficientnet", "resnet", "vision_transformer")


@pytest.mark.parametrize("family", FAMILIES)
def test_all_are_within_the_budget(family):
    budget = {"macs": (3e8, 3e9), "params": (2e6, 4e7)}
    found = ck.sample(ck.Space(family), 4, **budget, progress=False)
    assert len({str(config) for config in found}) == 4
    for config in found:
        inspection = ck.inspect(config)
        assert 3e8 <= inspection.macs <= 3e9 and 2e6 <= inspection.params <= 4e7


def test_the_same_for_the_same_seed_and_the_first_for_any_number():
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    space = ck.Space("regnet")
    few, more, other = (ck.sample(space, n, seed=seed, progress=False) for n, seed in ((5, 0), (9, 0), (5, 1)))
    assert few == more[:5] and few != other
    assert torch.equal(state[0], torch.get_rng_state()) and (state[1] == np.random.get_state()[1]).all()


def test_nothing_is_built_to_count(monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "__init__", lambda self: pytest.fail("built"))
    assert len(ck.sample(ck.Space("anynet"), 20, macs=(3e8, 3e9), progress=False)) == 20


def test_a_budget_that_no_network_meets(monkeypatch):
    monkeypatch.setattr(module, "_MISSES", 200)
    with pytest.raises(
        ConfigError, match=r"0 of 3 networks were found.*macs of 1 to 2 were asked for, and nine of ten"
    ):
        ck.sample(ck.Space("regnet"), 3, macs=(1, 2), progress=False)


def test_a_space_that_holds_fewer(monkeypatch):
    monkeypatch.setattr(module, "_MISSES", 50)
    space = ck.Space("vision_transformer", patch_size=16, num_layers=4, num_heads=[2, 4], head_dim=32, mlp_ratio=2)
    assert len(ck.sample(space, 2, progress=False)) == 2
    with pytest.raises(ConfigError, match="holds about 2 networks, not 3"):
        ck.sample(space, 3, progress=False)


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"space": "regnet"}, "takes a classykit.Space"),
        ({"n": 0}, "n is"),
        ({"n": 2.0}, "n is"),
        ({"seed": -1}, "seed is"),
        ({"macs": 5}, "macs is"),
        ({"macs": (5, 1)}, "macs is"),
        ({"params": ("1", 2)}, "params is"),
    ],
)
def test_bad_input(keys, words):
    with pytest.raises(ConfigError, match=words):
        ck.sample(**{"space": ck.Space("regnet"), "n": 1, "progress": False, **keys})
