"""classykit.copies: copies that stand in for the original, and hooks that act on them alone."""

import functools
import threading

import pytest
import torch
from torch import nn

from classykit.copies import copied
from classykit.meta import empty_input, meta_twin

SEEN = []


class Holds(nn.Module):
    """Holds what cannot be copied, at several depths."""

    def __init__(self):
        super().__init__()
        self.fc, self.lock, self.log = nn.Linear(2, 3), threading.Lock(), open("/dev/null")
        self.more = {"queue": [threading.Event(), "text"], "numbers": (i for i in range(3))}

    def forward(self, x):
        with self.lock:
            return self.fc(x)


def test_what_cannot_be_copied_is_shared():
    module = Holds()
    twin = copied(module, {})
    assert twin.lock is module.lock and twin.log is module.log and twin.more["numbers"] is module.more["numbers"]
    assert twin.more is not module.more and twin.fc.weight is not module.fc.weight
    assert next(module.more["numbers"]) == 0, "nothing was taken from it"
    assert meta_twin(module)(empty_input((2,), 4)).shape == (4, 3)
    module.log.close()


def test_what_refuses_to_be_copied_raises():
    class Refuses(nn.Module):
        def __deepcopy__(self, memo):
            raise TypeError("not me")

    with pytest.raises(TypeError, match="not me"):
        copied(Refuses(), {})


def filled(*args):
    SEEN.append(args[-1])


class Owner:
    def __init__(self):
        self.calls, self.lock = 0, threading.Lock()

    def count(self, *args):
        self.calls += 1

    def __call__(self, *args):
        self.calls += 1


def closure(module, owner, seen):
    return lambda m, args, out: seen.append(out)


@pytest.mark.parametrize(
    "hook",
    [
        closure,
        lambda module, owner, seen: functools.partial(lambda into, m, args, out: into.append(out), seen),
        lambda module, owner, seen: lambda m, args, out, into=seen: into.append(out),
        lambda module, owner, seen: lambda m, args, out: setattr(module, "calls", module.calls + 1),
        lambda module, owner, seen: owner.count,
        lambda module, owner, seen: owner,
        lambda module, owner, seen: filled,
    ],
    ids=["closure", "partial", "default", "module", "method", "object", "global"],
)
def test_a_hook_on_a_twin_changes_nothing_of_the_users(hook):
    module, owner, seen = nn.Linear(2, 3), Owner(), []
    module.calls = 0
    module.register_forward_hook(hook(module, owner, seen))
    twin = meta_twin(meta_twin(module))
    assert len(twin._forward_hooks) == 1 and twin(empty_input((2,), 1)).shape == (1, 3)
    assert (module.calls, owner.calls, seen, SEEN) == (0, 0, [], [])
    module(torch.zeros(1, 2))
    assert module.calls + owner.calls + len(seen) + len(SEEN) == 1
    SEEN.clear()


def test_a_hook_acts_on_the_twin():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.kept = nn.Linear(2, 3), []
            self.fc.register_forward_pre_hook(self.keep, with_kwargs=True)
            self.fc.register_forward_hook(lambda m, args, out: out[:, :2])

        def keep(self, module, args, kwargs):
            self.kept.append((module, args[0].shape))

        def forward(self, x):
            return self.fc(x)

    module = Counts()
    twin = meta_twin(module)
    assert twin(empty_input((2,), 5)).shape == (5, 2)
    assert twin.kept == [(twin.fc, (5, 2))] and module.kept == []


def test_a_hook_that_wants_numbers_is_as_if_it_were_not_there():
    module = nn.Linear(2, 3)
    module.register_forward_hook(lambda m, args, out: out * out.max().item())
    assert meta_twin(module)(empty_input((2,), 1)).shape == (1, 3)


def test_a_hook_whose_belongings_cannot_be_copied_is_left_out():
    class Refuses:
        def __deepcopy__(self, memo):
            raise TypeError("not me")

    module, refuses = nn.Linear(2, 3), Refuses()
    module.register_forward_hook(lambda m, args, out: refuses)
    assert len(meta_twin(module)._forward_hooks) == 0
