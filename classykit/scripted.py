"""ScriptModules (torch.jit), which run as one and take no hooks: in copies something stands for them that does."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn


class Opaque(nn.Module):
    """Stands for a ScriptModule in a copy: what goes in and comes out can be watched, nothing in between.

    Args:
        script: the ScriptModule; it is this one's own.

    >>> stand_in = Opaque(torch.jit.script(nn.Linear(2, 3)))
    >>> stand_in(torch.zeros(1, 2)).shape, sum(p.numel() for p in stand_in.parameters()), stand_in.block_type
    (torch.Size([1, 3]), 9, 'scripted Linear')
    """

    def __init__(self, script: torch.jit.ScriptModule):
        super().__init__()
        self.__dict__["script"] = script  # past nn.Module, which would list it among the parts
        self._show_weights()

    def _show_weights(self) -> None:
        script = self.script
        for name, tensor in script.named_parameters():
            self.register_parameter(name.replace(".", "/"), nn.Parameter(tensor.detach(), tensor.requires_grad))
        for name, tensor in script.named_buffers():
            self.register_buffer(name.replace(".", "/"), tensor)

    @property
    def block_type(self) -> str:
        """What the inspector calls it."""
        return f"scripted {getattr(self.script, 'original_name', 'module')}"

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.script(*args, **kwargs)

    def train(self, mode: bool = True) -> Opaque:
        self.script.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Opaque:
        self.script._apply(fn)
        self._show_weights()
        return self


def is_scripted(module: nn.Module) -> bool:
    """Whether a module is a ScriptModule, be it scripted, traced or loaded."""
    return isinstance(module, torch.jit.ScriptModule)


def outermost_scripts(module: nn.Module) -> Iterator[torch.jit.ScriptModule]:
    """The ScriptModules in a module, or it itself, without those that lie in others."""
    if isinstance(module, torch.jit.ScriptModule):
        yield module
        return
    for child in module.children():
        yield from outermost_scripts(child)


def plain_parts(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all in it, but for ScriptModules and what is in them."""
    if not is_scripted(module):
        yield module
        for child in module.children():
            yield from plain_parts(child)


def stand_ins(module: nn.Module, device: str | None = None) -> dict[int, Opaque]:
    """{id of a ScriptModule: what stands for it in a copy, in eval mode}; ``device``: where its weights are to be."""
    return {id(script): Opaque(_copied(script, device).eval()) for script in outermost_scripts(module)}


def _copied(script: torch.jit.ScriptModule, device: str | None) -> torch.jit.ScriptModule:
    if device is None:
        return copy.deepcopy(script)
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)  # the only way to the meta device
    buffer.seek(0)
    return torch.jit.load(buffer, map_location=device)
