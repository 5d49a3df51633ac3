"""classykit.hooks: hooks that are on for a while, act in their own thread, and are off again whatever happens."""

import threading

import pytest
import torch
from torch import nn

from classykit.hooks import Hooks, hooks


def hooks_of(module):
    return list(module._forward_pre_hooks.values()), list(module._forward_hooks.values())


def test_they_are_on_within_the_block_only_and_the_users_stay():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    heard = []
    net[0].register_forward_pre_hook(lambda m, a: heard.append("theirs before"))
    net[0].register_forward_hook(lambda m, a, o: heard.append("theirs after"))
    before = hooks_of(net[0])
    with pytest.raises(ZeroDivisionError), hooks() as on:
        on.before(net[0], lambda m, a: heard.append("before"), first=True)
        on.after(net[0], lambda m, a, o: heard.append("after"), first=True)
        on.after(net[0], lambda m, a, o: heard.append("last"))
        net(torch.rand(1, 2))
        raise ZeroDivisionError
    assert heard == ["before", "theirs before", "after", "theirs after", "last"]
    assert hooks_of(net[0]) == before
    heard.clear()
    net(torch.rand(1, 2))
    assert heard == ["theirs before", "theirs after"]


def test_what_one_returns_takes_the_place_of_the_output():
    layer = nn.ReLU()
    with hooks() as on:
        on.after(layer, lambda m, a, output: output + 1)
        assert layer(torch.zeros(1)).item() == 1
    assert layer(torch.zeros(1)).item() == 0


def test_another_thread_is_not_heard():
    layer, heard = nn.ReLU(), []
    with hooks() as on:
        on.after(layer, lambda m, a, o: heard.append(threading.current_thread().name))
        thread = threading.Thread(target=layer, args=(torch.zeros(1),), name="another")
        thread.start()
        thread.join()
        layer(torch.zeros(1))
    assert heard == [threading.current_thread().name]


def test_one_that_is_left_behind_does_nothing():
    layer, heard = nn.ReLU(), []
    on = Hooks()
    on.after(layer, lambda m, a, o: heard.append(o))
    ((number, hook),) = layer._forward_hooks.items()
    on.off()
    on.off()
    layer._forward_hooks[number] = hook
    layer(torch.zeros(1))
    assert heard == []


def test_two_passes_take_off_their_own():
    layer = nn.ReLU()
    with hooks() as outer:
        outer.after(layer, lambda m, a, o: None)
        with hooks() as inner:
            inner.after(layer, lambda m, a, o: None)
            assert len(layer._forward_hooks) == 2
        assert len(layer._forward_hooks) == 1
    assert not layer._forward_hooks
