"""classykit.running.live: models that can run, and what is known of them."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import DeviceError, ShapeError
from classykit.running import memory_fit
from classykit.running.live import live, named, random_like
from classykit.subject import UNTRAINED

SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}


class Reads(nn.Module):
    """Its course depends on numbers."""

    input_shape = (4,)

    def __init__(self, fails=False):
        super().__init__()
        self.fc, self.fails = nn.Linear(4, 2), fails

    def forward(self, x):
        if self.fails:
            raise ValueError("not today")
        return self.fc(x) if bool(x.sum() > -1e9) else x


def test_a_description_is_built_and_says_so():
    one = live(SMALL, "cpu")
    assert one.name == "resnext" and one.notes == (UNTRAINED,) and not next(one.model.parameters()).is_meta
    assert one.macs == ck.inspect(SMALL).macs and live(SMALL, "cpu", name="mine").name == "mine"


def test_a_module_is_itself_with_what_is_known_of_it(small, everything, assert_same):
    model, _ = small
    before = everything(model)
    one = live(model, "cpu", (3, 32, 32))
    assert one.model is model and one.macs == ck.inspect(model, (3, 32, 32)).macs and one.notes == ()
    assert_same(before, everything(model))


def test_an_example_is_random_and_the_same_each_time(small):
    one = live(small[0], "cpu", (3, 32, 32))
    state = torch.get_rng_state()
    x = one.example(2)
    assert x.shape == (2, 3, 32, 32) and x.std() > 0.5 and torch.equal(x, one.example(2))
    assert torch.equal(state, torch.get_rng_state())


def test_whole_numbers_stay_as_they_are():
    x = random_like({"a": torch.zeros(2, 3, dtype=torch.float64), "index": torch.ones(2, dtype=torch.long), "b": None})
    assert x["a"].dtype == torch.float64 and x["a"].std() > 0
    assert torch.equal(x["index"], torch.ones(2, dtype=torch.long)) and x["b"] is None


def test_what_cannot_be_counted_but_runs_is_said():
    one = live(Reads(), "cpu")
    assert one.name == "Reads" and one.model(one.example(3)).shape == (3, 2)
    with pytest.raises(ShapeError, match=r"Reads cannot run on an input of .*not today"):
        live(Reads(fails=True), "cpu")
    one = live(Reads(), "cpu", (5,), x=torch.zeros(1, 4))
    assert one.inspection is None and one.macs is None
    assert len(one.notes) == 1 and one.notes[0].startswith("Its cost could not be counted: it failed in")


def test_a_description_that_does_not_fit_is_not_allocated(monkeypatch):
    monkeypatch.setattr(memory_fit, "free_memory", lambda device: 1000)
    with pytest.raises(DeviceError, match="too big"):
        live("resnet50", "cpu")


def test_no_name_twice():
    one = live(SMALL, "cpu")
    assert [m.name for m in named([one, one, live(Reads(), "cpu"), one])] == [
        "resnext", "resnext (2)", "Reads", "resnext (3)"]  # fmt: skip
