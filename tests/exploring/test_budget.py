"""classykit.exploring.budget: limits as people write them, and the memory that counts against one."""

import pytest
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring.budget import Budget, Peak, amount


@pytest.mark.parametrize("said, wanted", [
    ("25M", 25_000_000), ("25 m", 25_000_000), ("1.5G", 1_500_000_000), ("2 GB", 2 * 10**9), ("2 GiB", 2**31),
    ("300e6", 300_000_000), (300e6, 300_000_000), (7, 7), ("640 kB", 640_000), (".5T", 5 * 10**11), ("", None),
    ("  ", None), (None, None),
])  # fmt: skip
def test_amounts(said, wanted):
    assert amount(said) == wanted


@pytest.mark.parametrize("said", ["lots", "-3M", "0", "1e40", "25 X", "M", True, float("nan"), [1], "1 2", "5 i"])
def test_what_is_no_amount(said):
    with pytest.raises(ConfigError, match='A limit for MACs is an amount such as "25M"'):
        Budget.read({"macs": said})


@pytest.mark.parametrize("said, words", [
    ({"parms": "2M"}, "no 'parms'. Did you mean 'params'"), ({"batch": 0}, "whole number from 1, not 0"),
    ({"batch": "many"}, "whole number"), ({"batch": True}, "whole number"),
    ({"mode": "dreaming"}, "inference or training"),
    ({"mode": ["x"]}, "inference or training"),
])  # fmt: skip
def test_what_is_no_budget(said, words):
    with pytest.raises(ConfigError, match=words):
        Budget.read(said)


def test_a_budget_is_read_again_from_its_values():
    budget = Budget.read({"params": "12M", "memory": "2 GB", "batch": "32", "mode": "training"})
    assert (budget.params, budget.macs, budget.memory, budget.batch) == (12 * 10**6, None, 2 * 10**9, 32)
    assert Budget.read(budget.values) == budget and budget.counts_memory
    assert not Budget.read({"params": "12M"}).counts_memory and Budget.read({"batch": 8}).counts_memory


def test_the_peak_is_that_of_inspect_and_found_once(monkeypatch):
    i, peak, asked = ck.inspect("resnet18"), Peak(), []
    told = type(i).peak_memory
    monkeypatch.setattr(type(i), "peak_memory", lambda *a, **k: (asked.append(1), told(*a, **k))[1])
    budget = Budget(batch=4, mode="training")
    total, made_of = peak.of(i, budget)
    assert total == told(i, "training", batch_size=4).total and "estimated" in made_of
    assert peak.of(i, budget) == (total, made_of) and len(asked) == 1
    assert peak.of(i, Budget(batch=2))[0] < total and len(asked) == 2


def test_what_cannot_be_estimated_says_why():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(x.mean((2, 3)).repeat(1, 2)[:, :4])

    total, why = Peak().of(ck.inspect(Odd(), input_shape=(3, 8, 8)), Budget(mode="training"))
    assert total is None and "training" in why
