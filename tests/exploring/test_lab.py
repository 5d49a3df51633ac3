"""classykit.exploring.lab: drawn, set, turned and trained without a screen, and the same in Python."""

import json

import numpy as np
import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, StateError
from classykit.exploring import lab as module
from classykit.exploring.lab import Lab, Task


@pytest.fixture
def quick(monkeypatch):
    """Errors at once, by the net's cost; a net of one stage's width fails."""

    def measure(config, *, size, epochs, seed, tell=None):
        if config.get("depth") == 4:
            raise RuntimeError("it diverged")
        return {"test_error": (sum(map(ord, json.dumps(config))) % 89) / 100 / epochs, "train_loss": 1.0}

    monkeypatch.setattr(module, "train_briefly", measure)


def train_all(lab, numbers=None):
    lab.want(lab.waiting() if numbers is None else numbers)
    while lab.jobs:
        number, task = lab.jobs[0]
        lab.record(number, task, lab.train(number, task))


def test_the_first_are_drawn_at_once_and_more_are_the_next_of_sample():
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    lab = Lab()
    assert lab.names == ["RegNet", "AnyNet"] and len(lab.nets) == 20 and lab.waiting()[:4] == [0, 10, 1, 11]
    first = [net.config for net in lab.nets]
    assert lab.draw() == 20 and [net.config for net in lab.nets[:20]] == first
    for i, space in enumerate(lab.now.spaces):
        mine = [net.config for net in lab.nets if net.space == i]
        assert mine == ck.sample(space, 20, macs=(2e6, 6e6), progress=False)
    for net in lab.nets:
        found = ck.inspect(net.config)
        assert (net.macs, net.params) == (found.macs, found.params) and lab.is_inside(net)
    assert torch.equal(state[0], torch.get_rng_state()) and (state[1] == np.random.get_state()[1]).all()


def test_refused_draws_are_counted_with_the_commonest_reason():
    lab = Lab()
    total = sum(drawn.refused.total() for drawn in lab.drawn)
    assert total > 0 and lab.refusals() == f"{total} draws refused, most: out of the budget."


def test_the_code_draws_the_same_whatever_was_set_between(quick):
    lab = Lab()
    train_all(lab)
    lab.set_budget(1e6, 4e6)
    lab.draw()
    lab.set_range(0, "depth", 2, 5)
    lab.draw()
    train_all(lab, [0, 1, 30])
    lab.want_best()
    train_all(lab, [])
    lab.turn("w_0", 24)
    code = lab.to_code()
    assert code.splitlines()[-1].startswith("ck.explore(") and '"w_0": 24' in code.splitlines()[-1]
    assert "epochs=2, seed=0" in code and "epochs=8, seed=0" in code and "so far" in code
    space = {}
    exec("\n".join(line for line in code.splitlines() if "ck.sweep" not in line and "ck.explore" not in line), space)
    drawn = {json.dumps(config, sort_keys=True) for config in space["nets"]}
    assert drawn == {json.dumps(net.config, sort_keys=True) for net in lab.nets}


def test_what_is_set_is_undone_and_done_again_while_nets_stay(quick):
    lab = Lab()
    train_all(lab)
    before = lab.now
    lab.set_range(0, "depth", 0, 9)
    lab.set_budget(1e6, 3e6)
    lab.set_task("epochs", 4)
    lab.turn("depth", 6, done=False)
    lab.turn("depth", 7)
    assert lab.history.words == ["opened", "RegNet depth 2 – 11", "budget 1 – 3 M", "epochs 4", "depth 7"]
    assert lab.undo() == "depth 7" and lab.now.design is None
    for _ in range(3):
        lab.undo()
    assert (lab.now.spaces, lab.now.budget, lab.now.task) == (before.spaces, before.budget, before.task)
    assert len(lab.nets) == 20 and len(lab.errors()) + sum(bool(net.failed) for net in lab.nets) == 20
    assert lab.redo() == "RegNet depth 2 – 11" and lab.now.spaces[0].ranges["depth"] == (2, 11)
    with pytest.raises(StateError):
        Lab().undo()


def test_another_task_has_errors_of_its_own_and_the_old_come_back(quick):
    lab = Lab("anynet")
    train_all(lab)
    errors = lab.errors()
    assert len(errors) == 10
    lab.set_task("epochs", 4)
    assert lab.errors() == {} and len(lab.waiting()) == 10
    lab.undo()
    assert lab.errors() == errors


def test_the_best_are_trained_longer_apart_from_the_rest(quick):
    lab = Lab()
    with pytest.raises(StateError, match="Nothing is trained"):
        lab.want_best()
    train_all(lab)
    errors, statistics = lab.errors(), lab.by_space()
    assert lab.want_best() == Task(epochs=8)
    best = [n for n, _ in lab.jobs]
    assert best == sorted(errors, key=lambda n: (errors[n], n))[:3]
    train_all(lab, [])
    assert all(Task(epochs=8) in lab.nets[n].errors for n in best) and lab.by_space() == statistics


def test_what_cannot_be_trained_says_why_and_waits_no_longer(quick):
    lab = Lab("regnet")
    number = next(n for n, net in enumerate(lab.nets) if net.config["depth"] != 4)
    lab.choose(number)
    lab.turn("depth", 4)
    own = lab.keep_design()
    train_all(lab, [own])
    assert lab.nets[own].failed == "RuntimeError: it diverged" and own not in lab.waiting() and not lab.jobs


def test_a_net_made_by_hand_is_kept_but_no_sample(quick):
    lab = Lab("anynet")
    lab.turn("depth 1", 7)
    assert lab.config["depths"][0] == 7 and lab.net.config["depths"][0] != 7
    own = lab.keep_design()
    assert lab.nets[own].own and lab.now.chosen == own and lab.now.design is None
    train_all(lab, [own])
    assert list(lab.errors()) == [own] and lab.by_space() == {"AnyNet": []}
    lab.turn("depth 1", 6)
    lab.reset("depth 1")
    assert lab.now.design is None and lab.keep_design() == own  # nothing was turned


def test_what_cannot_be_built_is_refused_with_what_works():
    lab = Lab("anynet")
    lab.choose(next(n for n, net in enumerate(lab.nets) if net.config["group_widths"][1] == 16))
    before = lab.config
    with pytest.raises(ConfigError, match="do not divide into groups"):
        lab.turn("width 2", 35 if before["bottleneck_multipliers"][1] == 1 else 70)
    refused = lab.refused["width 2"]
    assert lab.config == before and refused["nearest"]
    lab.turn("width 2", int(refused["nearest"][0]))
    assert lab.config["widths"][1] == int(refused["nearest"][0]) and lab.refused == {}


def test_keys_come_back_from_the_explorer():
    lab = Lab("regnet")
    lab.take({**dict(reversed(lab.config.items())), "depth": 5, "heads": []})
    assert list(lab.config) == list(lab.net.config)
    assert lab.config["depth"] == 5 and lab.history.words[-1] == "keys from the Explorer"
    with pytest.raises(ConfigError, match="resnet50 now"):
        lab.take({"name": "resnet50"})


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda lab: lab.set_range(0, "depth", 3, 999), "has no range 'depth'"),
        (lambda lab: lab.set_range(0, "height", 0, 1), "has no range 'height'"),
        (lambda lab: lab.set_range(2, "depth", 0, 1), "no space number 2"),
        (lambda lab: lab.set_budget(0, 1e6), r"macs is \(low, high\)"),
        (lambda lab: lab.set_task("epochs", 3), "epochs is one of"),
        (lambda lab: lab.choose(20), "no net 21"),
        (lambda lab: lab.turn("height", 3), "no 'height' to turn"),
        (lambda lab: lab.turn("depth", "many"), "takes a whole number"),
    ],
)
def test_what_is_odd_is_refused_and_changes_nothing(act, words):
    lab = Lab()
    before = lab.now
    with pytest.raises(ConfigError, match=words):
        act(lab)
    assert lab.now == before and lab.history.words == ["opened"]


def test_a_budget_that_nothing_meets_keeps_what_was_drawn():
    lab = Lab("regnet")
    lab.set_budget(1e5, 1.1e5)
    drawn = list(lab.drawn)
    with pytest.raises(ConfigError, match="asked for"):
        lab.draw()
    assert lab.drawn == drawn and len(lab.nets) == 10


def test_the_table_of_all():
    lab = Lab("regnet")
    lab.nets[0].errors[Task()] = 0.25
    rows = lab.to_csv().splitlines()
    assert rows[0] == 'net,space,drawn,macs,params,"error, 16 px 2 epochs seed 0",config' and len(rows) == 11
    assert rows[1].startswith(f"1,RegNet,drawn,{lab.nets[0].macs},{lab.nets[0].params},0.25,")
