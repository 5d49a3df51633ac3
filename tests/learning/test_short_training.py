"""classykit.learning.short_training: learnt in seconds, repeatable, nothing left behind."""

import functools

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError
from classykit.learning.short_training import train_briefly

NET = {
    "name": "anynet", "depths": [1, 1], "widths": [16, 32], "group_widths": [16, 16], "strides": [2, 2],
    "bottleneck_multipliers": [1.0, 1.0], "stem_type": "res_stem_cifar", "stem_width": 8, "use_se": False,
}  # fmt: skip


def test_it_learns_and_the_same_seed_gives_the_same():
    state = torch.get_rng_state()
    first, again, other = (train_briefly(NET, size=8, epochs=2, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert first["test_error"] < 0.5 and first["train_loss"] < 2.3  # chance: 0.9 and 2.303
    assert torch.equal(state, torch.get_rng_state())


def test_without_fresh_statistics_it_would_look_worse(monkeypatch):
    fresh = train_briefly(NET, size=8, epochs=1)
    monkeypatch.setattr("classykit.learning.short_training.update_bn", lambda *given: None)
    stale = train_briefly(NET, size=8, epochs=1)
    assert stale["train_loss"] == fresh["train_loss"] and stale["test_error"] > fresh["test_error"]


def test_it_measures_for_a_sweep():
    table = ck.sweep([NET, {**NET, "depths": [1]}], functools.partial(train_briefly, size=8, epochs=1), progress=False)
    assert 0 <= table.test_error[0] < 0.9
    assert table.error[0] is None and "one entry a stage" in table.error[1]


def test_it_is_told_how_far_it_is_and_can_be_ended():
    told = []
    train_briefly(NET, size=8, epochs=1, tell=told.append)
    assert told == sorted(told) and len(told) == 1437 // 64 and told[-1] == 1

    def enough(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_briefly(NET, size=8, epochs=1, tell=enough)


@pytest.mark.parametrize("odd", [{"epochs": 0}, {"epochs": 1.5}, {"seed": -1}, {"size": 4}])
def test_odd_numbers_are_refused(odd):
    with pytest.raises(ConfigError, match=rf"{next(iter(odd))} is "):
        train_briefly(NET, **odd)
