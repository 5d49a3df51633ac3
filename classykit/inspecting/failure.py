"""Where and why a pass broke off: the layer that was running, what it takes, and the line of code."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from classykit.inspecting.block_info import Failure
from classykit.models.classy_model import Adapter
from classykit.nested import tensors_in

_TORCH = str(Path(torch.__file__).parent)
_KIT = str(Path(__file__).parents[1])


def explain(error: Exception, twin: nn.Module, paths: Mapping[str, str], x: Any) -> Failure:
    """What there is to say of ``error``, which ``twin`` raised on ``x``: told by the calls that it came through.

    Args:
        twin: the model or its copy.
        paths: {block name: dotted path} of the listed blocks.
    """
    names = {id(module): path for path, module in twin.named_modules()}
    path, module, given = "", twin, x
    for called, args, kwargs in _calls(error):
        if id(called) in names:
            path, module, given = names[id(called)], called, (args, kwargs)
    block = next((n for n, p in paths.items() if path == p or path.startswith(p + ".")), None)
    tensor = next(iter(tensors_in(given)), None)
    return Failure(
        block=block,
        module=path.removeprefix("model").removeprefix(".") if isinstance(twin, Adapter) else path,
        layer=_words(module),
        input_shape=None if tensor is None else tuple(tensor.shape),
        expected=_expected(module),
        reason=_one_line(error),
        source=_source(error),
    )


def _calls(error: Exception) -> Iterator[tuple[nn.Module, Any, Any]]:
    """(module, args, kwargs) of the calls of modules that were going on when ``error`` was raised, outermost first."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is nn.Module._call_impl.__code__:
            values = frame.f_locals
            yield values["self"], values.get("args", ()), values.get("kwargs", {})


def _words(module: nn.Module) -> str:
    settings = module.extra_repr().replace("\n", " ")
    return f"{type(module).__name__}({settings})" if settings else type(module).__name__


def _expected(module: nn.Module) -> str | None:
    """What a layer of torch takes, in words; None for others."""
    match module:
        case nn.modules.conv._ConvNd():
            order = {1: "L", 2: "H, W", 3: "T, H, W"}[len(module.kernel_size)]
            return f"(N, C, {order}) with C = {module.in_channels}"
        case nn.Linear():
            return f"(..., {module.in_features})"
        case nn.modules.batchnorm._BatchNorm():
            return f"(N, C, ...) with C = {module.num_features}"
        case nn.LayerNorm():
            return f"(..., {', '.join(map(str, module.normalized_shape))})"
        case nn.GroupNorm():
            return f"(N, C, ...) with C = {module.num_channels}"
        case nn.MultiheadAttention():
            order = "N, L, C" if module.batch_first else "L, N, C"
            return f"({order}) with C = {module.embed_dim}"
    return None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _source(error: Exception) -> str | None:
    """The innermost line that is neither torch's nor this kit's: the user's own, as a rule; None without one."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_TORCH, _KIT, "<")):
            code = linecache.getline(frame.filename, frame.lineno or 0).strip()
            return f"{frame.filename}:{frame.lineno}: {code}"
    return None
