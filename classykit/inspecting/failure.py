"""Where and why a pass broke off: the layer that was running, what it takes, and the line of code."""

from __future__ import annotations

import contextlib
import linecache
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from classykit.inspecting.report import Failure
from classykit.meta import tensors_in
from classykit.models.classy_model import Adapter

_TORCH = str(Path(torch.__file__).parent)


def explain(error: Exception, twin: nn.Module, paths: Mapping[str, str], x: Any) -> Failure:
    """What there is to say of ``error``, which ``twin(x)`` raises; the pass is repeated, with an eye on every layer.

    Args:
        twin: the model or its copy; hooks are put on it and taken off again.
        paths: {block name: dotted path} of the listed blocks.
    """
    running: list[tuple[str, nn.Module, Any]] = []
    handles = []
    for path, module in twin.named_modules():
        handles += [
            module.register_forward_pre_hook(lambda m, args, path=path: running.append((path, m, args))),
            module.register_forward_hook(lambda m, args, out: running.pop() and None),
        ]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            with contextlib.suppress(Exception):  # it fails again, which is what this pass is for
                twin(x)
    finally:
        for handle in handles:
            handle.remove()
    path, module, args = running[-1] if running else ("", twin, (x,))
    block = next((n for n, p in paths.items() if path == p or path.startswith(p + ".")), None)
    given = next(iter(tensors_in(args)), None)
    return Failure(
        block=block,
        module=path.removeprefix("model").removeprefix(".") if isinstance(twin, Adapter) else path,
        layer=_words(module),
        input_shape=None if given is None else tuple(given.shape),
        expected=_expected(module),
        reason=_one_line(error),
        source=_source(error),
    )


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
    """The innermost line outside of torch: the user's own, as a rule."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_TORCH, "<frozen")) and "classykit/inspecting" not in frame.filename:
            code = linecache.getline(frame.filename, frame.lineno or 0).strip()
            return f"{frame.filename}:{frame.lineno}: {code}"
    return None
