"""A weightless twin of a module on the ``meta`` device: asks it about shapes without touching it.

The twin is a copy, so whatever a pass changes (BatchNorm statistics, counters, caches, the mode) is
changed in the copy; parameters and buffers become meta tensors, so nothing is allocated.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._device import _device_constructors

from classykit.contexts import Mode
from classykit.copies import copied, put_hooks
from classykit.nested import call
from classykit.recurrent import Brief, is_recurrent
from classykit.scripted import plain_parts, stand_ins

# What fills a tensor with initial values: on the meta device there is nothing to fill, and torch takes a
# millisecond to find that out
_FILLS = {
    getattr(torch.Tensor, name)
    for name in ("fill_", "zero_", "normal_", "uniform_", "clamp_", "erfinv_", "mul_", "add_")
} | {getattr(nn.init, name) for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")}


class weightless(Mode):
    """Within the block tensors are made on the meta device, and left unfilled: modules are built without weights.

    >>> with weightless():
    ...     layer = nn.Linear(2, 3)
    >>> layer.weight.device
    device(type='meta')
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FILLS:
            filled = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        elif func in _MAKES and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


_MAKES = _device_constructors()


def meta_twin(module: nn.Module, without: nn.Module | None = None) -> nn.Module:
    """Return a copy of ``module`` in eval mode whose tensors all live on the meta device.

    Hooks of the user's that run in a forward pass are there, and act on the copy alone (see
    `classykit.copies.put_hooks`); locks, files and the like are shared; a ScriptModule has a stand-in (see
    `classykit.scripted`); weights of lazy modules have no shape until a pass. The submodule ``without`` is left out: an
    empty module takes its place. Raises whatever ``copy.deepcopy`` raises for a module that cannot be copied.

    >>> meta_twin(nn.Linear(2, 3))(torch.empty(5, 2, device="meta")).shape
    torch.Size([5, 3])
    """
    memo: dict[int, Any] = {} if without is None else {id(without): nn.Module()}
    memo |= stand_ins(module, "meta")
    for part in plain_parts(module):
        for tensor in _tensors_of(part):
            if id(tensor) not in memo:
                memo[id(tensor)] = _to_meta(tensor)
        for hooks in _hooks_of(part):
            memo[id(hooks)] = OrderedDict()
    twin: nn.Module = memo[id(module)] if id(module) in memo else copied(module, memo)
    put_hooks(module, twin, memo)
    for part in twin.modules():
        part.training = False
        if is_recurrent(part):
            part.forward = Brief(part)
    return twin


def shared_twin(module: nn.Module, own_hooks: bool = False) -> nn.Module:
    """A copy of the module tree that shares its tensors and hooks: heads put on it leave the original alone.

    With ``own_hooks`` hooks act on the copy alone, as those of `meta_twin`, so that a pass of it leaves nothing behind
    but in buffers.

    >>> layer = nn.Linear(2, 3)
    >>> twin = shared_twin(layer)
    >>> twin is layer, twin.weight is layer.weight
    (False, True)
    """
    memo: dict[int, Any] = {**stand_ins(module)}
    for part in plain_parts(module):
        memo.update((id(tensor), tensor) for tensor in _tensors_of(part))
        # the dicts are copied, so that the copy's hooks are its own; what they call is not
        memo.update((id(hooks), OrderedDict(() if own_hooks else hooks)) for hooks in _hooks_of(part))
    twin: nn.Module = memo[id(module)] if id(module) in memo else copied(module, memo)
    if own_hooks:
        put_hooks(module, twin, memo)
    return twin


def registered(parts: Iterable[nn.Module]) -> tuple[list[nn.Parameter], list[torch.Tensor]]:
    """The parameters and the buffers of modules, each once: in one walk, where torch takes one for each.

    >>> parameters, buffers = registered(nn.BatchNorm1d(3).modules())
    >>> len(parameters), len(buffers)
    (2, 3)
    """
    parameters: dict[int, Any] = {}
    buffers: dict[int, Any] = {}
    for part in parts:
        parameters.update((id(p), p) for p in part._parameters.values() if p is not None)
        buffers.update((id(b), b) for b in part._buffers.values() if b is not None)
    return list(parameters.values()), list(buffers.values())


def _tensors_of(part: nn.Module) -> Iterator[torch.Tensor]:
    """The tensors that one module of a tree holds: registered, or in attributes and lists and dicts of them."""
    for value in (*part._parameters.values(), *part._buffers.values(), *vars(part).values()):
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (v for v in value if isinstance(v, torch.Tensor))
        elif isinstance(value, dict):
            yield from (v for v in value.values() if isinstance(v, torch.Tensor))


def attributes_of(module: nn.Module) -> Iterator[torch.Tensor]:
    """The tensors that the modules of a tree hold in attributes, neither parameters nor buffers."""
    for part in plain_parts(module):
        registered = {id(t) for t in (*part._parameters.values(), *part._buffers.values())}
        yield from (t for t in _tensors_of(part) if id(t) not in registered)


def _hooks_of(part: nn.Module) -> list[dict]:
    """The dicts in which torch keeps a module's hooks."""
    return [value for name, value in vars(part).items() if "_hooks" in name and isinstance(value, dict)]


def _to_meta(tensor: torch.Tensor) -> torch.Tensor:
    if is_lazy(tensor):
        kind: Any = type(tensor)
        return kind(tensor.requires_grad, device="meta", dtype=tensor.dtype)
    if tensor.is_inference():  # one that was made in inference mode could not be worked with outside of it
        data = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    else:
        data = tensor.detach().to("meta")
    return nn.Parameter(data, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else data


def has_weights(module: nn.Module) -> bool:
    """Whether all parameters and buffers are there: not on the meta device, nor of a lazy module that has not run yet.

    >>> has_weights(nn.Linear(2, 3)), has_weights(nn.Linear(2, 3, device="meta")), has_weights(nn.LazyLinear(3))
    (True, False, False)
    """
    return not any(is_lazy(t) or t.is_meta for t in chain(module.parameters(), module.buffers()))


def settle(twin: nn.Module, x: Any) -> None:
    """Have a twin's lazy modules take their shapes, in a pass on a meta input; what does not come to run has none."""
    if not any(is_lazy(t) for t in (*twin.parameters(), *twin.buffers())):
        return
    with torch.random.fork_rng(devices=[]), torch.no_grad(), suppress(Exception):  # whatever a stranger's code raises
        call(twin, x)
    for part in twin.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None and is_lazy(tensor):
                    empty = torch.empty(0, device="meta", dtype=tensor.dtype)
                    held[name] = nn.Parameter(empty) if isinstance(tensor, nn.Parameter) else empty


def empty_input(shape: tuple[int, ...], batch_size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A meta tensor (N, *shape) to send through a twin."""
    return torch.empty(batch_size, *shape, device="meta", dtype=dtype)


def dtype_of(module: nn.Module) -> torch.dtype:
    """The floating dtype of a module's first floating parameter or buffer (float32 when it has none)."""
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32
