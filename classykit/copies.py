"""Copies that stand in for the original: what cannot be copied is shared, and hooks act on the copy alone."""

from __future__ import annotations

import copy
import functools
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

Memo = dict[int, Any]

_CONTAINERS = (list, dict, set, deque, defaultdict, OrderedDict)
#: the dicts of hooks that run in a forward pass, each with those that say how: {name: their names}
_FORWARD_HOOKS = {
    "_forward_pre_hooks": ("_forward_pre_hooks_with_kwargs",),
    "_forward_hooks": ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
}


def copied(value: Any, memo: Memo) -> Any:
    """A deep copy; locks, open files, generators and the like, which cannot be copied, are shared.

    ``memo`` says what stands for what, by ``id``, as that of ``copy.deepcopy``; what is copied is added to it.
    Raises what copying raised where it is not an attribute that keeps it from being copied.

    >>> import threading
    >>> layer = nn.Linear(2, 3)
    >>> layer.lock = threading.Lock()
    >>> twin = copied(layer, {})
    >>> twin.lock is layer.lock, twin.weight is layer.weight
    (True, False)
    """
    attempt = dict(memo)
    try:
        new = copy.deepcopy(value, attempt)
    except Exception:  # whatever an object of a stranger's raises when it is copied
        shared = {id(one): one for one in _uncopyable(value, memo, set())}
        if not shared or id(value) in shared:
            raise
        attempt = memo | shared
        new = copy.deepcopy(value, attempt)
    alive = attempt.pop(id(attempt), [])  # where deepcopy keeps what it has an address of: addresses are used again
    memo.update(attempt)
    memo.setdefault(id(memo), []).extend(alive)
    return new


def _uncopyable(value: Any, memo: Memo, seen: set[int]) -> Iterator[Any]:
    """The innermost objects that keep a value from being copied."""
    if id(value) in memo or id(value) in seen:
        return
    seen.add(id(value))
    try:
        copy.deepcopy(value, dict(memo))
        return
    except Exception:  # as above
        pass
    if isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, (list, tuple, set, deque)):
        inside = list(value)
    else:
        inside = list(getattr(value, "__dict__", {}).values())
    found = [one for part in inside for one in _uncopyable(part, memo, seen)]
    yield from found or [value]


def own_hooks(module: nn.Module) -> set[int]:
    """The numbers of hooks that modules keep handles of in a list ``_hooks``: they are put on again by themselves."""
    kept = (getattr(part, "_hooks", None) for part in module.modules())
    return {hook.id for hooks in kept if isinstance(hooks, list) for hook in hooks if isinstance(hook, RemovableHandle)}


def put_hooks(original: nn.Module, twin: nn.Module, memo: Memo) -> None:
    """Give a twin the hooks of the original's forward passes, but its own ones, made to act on the twin.

    What they hold (the model, lists that they fill, objects that they belong to) is that of the twin, or a copy: a
    pass of the twin changes nothing of the user's. A hook whose belongings cannot be copied is left out; one that
    raises, on weightless tensors, say, is as if it had not been there.
    """
    own = own_hooks(original)
    for part, new in ((part, memo.get(id(part))) for part in original.modules()):
        if not isinstance(new, nn.Module):
            continue
        for name, options in _FORWARD_HOOKS.items():
            hooks: dict[int, Any] = getattr(new, name)
            for number, hook in getattr(part, name).items():
                if number in own:
                    continue
                try:
                    hooks[number] = _Harmless(_rebound(hook, memo))
                except Exception:  # whatever an object of a stranger's raises when it is copied
                    continue
                for option in options:
                    if number in getattr(part, option, ()):
                        getattr(new, option)[number] = True


class _Harmless:
    """A hook that raises nothing."""

    def __init__(self, hook: Callable[..., Any]):
        self.hook = hook

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.hook(*args, **kwargs)
        except Exception:  # whatever a stranger's hook makes of tensors without numbers
            return None


def _rebound(function: Any, memo: Memo) -> Any:
    """A function whose closure, defaults and globals that can be written to are those of the twin, or copies."""
    if id(function) in memo:
        return memo[id(function)]
    if isinstance(function, _Harmless):  # of a twin of a twin
        return _rebound(function.hook, memo)
    if isinstance(function, functools.partial):
        args = [_belonging(value, memo) for value in function.args]
        keys = {name: _belonging(value, memo) for name, value in function.keywords.items()}
        return functools.partial(_rebound(function.func, memo), *args, **keys)
    if isinstance(function, types.MethodType):
        return types.MethodType(_rebound(function.__func__, memo), _belonging(function.__self__, memo))
    if not isinstance(function, types.FunctionType):
        return copied(function, memo)
    scope = dict(function.__globals__)
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    new = types.FunctionType(function.__code__, scope, function.__name__, None, cells or None)
    memo[id(function)] = new
    memo.setdefault(id(memo), []).append(function)
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        try:
            cell.cell_contents = _belonging(old.cell_contents, memo)
        except ValueError:  # a name that has no value yet
            continue
    for name in function.__code__.co_names:
        if name in scope and (isinstance(scope[name], _CONTAINERS) or id(scope[name]) in memo):
            scope[name] = _belonging(scope[name], memo)
    new.__defaults__ = _belonging(function.__defaults__, memo)
    new.__kwdefaults__ = _belonging(function.__kwdefaults__, memo)
    return new


def _belonging(value: Any, memo: Memo) -> Any:
    """What a hook on the twin holds in the place of what the original's holds."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
        return _rebound(value, memo)
    return value if isinstance(value, (type, types.ModuleType)) else copied(value, memo)
