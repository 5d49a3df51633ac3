"""The ways of running a model, each made ready as something to call: eager, compiled, or as a CUDA graph."""

from __future__ import annotations

import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, ConfigError, DeviceError, first_line, quoted, suggest
from classykit.inspecting.memory_estimate import LiveBytes
from classykit.measuring.timing import quietly
from classykit.nested import call, tensors_in
from classykit.running.memory_fit import is_out_of_memory
from classykit.running.placement import synchronize

#: {mode: what it does}
MODES = {
    "eager": "operation by operation, as PyTorch does by itself",
    "channels_last": "eager, with maps that lie in memory as (N, H, W, C)",
    "compiled": "torch.compile, for each batch size anew",
    "cuda_graph": "eager operations recorded once as a CUDA graph, then replayed",
}
_WARM_UP = 3  # passes: the first choose kernels and take memory


class Unavailable(ClassyKitError, RuntimeError):
    """A mode that a device or model cannot do; the text is the reason."""


@dataclass
class Ready:
    """A pass that is ready to run: warmed up, its input in place.

    Attributes:
        run: does one pass.
        seconds: of one of the passes that warmed it up, about.
        setup: seconds that making it ready took: compiling, recording, warming up.
        growth: bytes that recording a CUDA graph took at most; None for what is no graph.
    """

    run: Callable[[], Any]
    seconds: float
    setup: float
    growth: int | None = None


def parts_of(mode: str) -> frozenset[str]:
    """What a mode is made of: "channels_last+cuda_graph" is both at once. ConfigError for what is no mode.

    >>> sorted(parts_of("channels_last+cuda_graph"))
    ['channels_last', 'cuda_graph']
    """
    parts = [part.strip() for part in mode.split("+")] if isinstance(mode, str) else [mode]
    for part in parts:
        if not isinstance(part, str) or part not in MODES:
            raise ConfigError(
                f"There is no mode {quoted(part)}.{suggest(part, MODES)} A mode is one of {', '.join(MODES)}, "
                f'or several joined with "+".'
            )
    return frozenset(parts) - {"eager"}


def prepare(model: nn.Module, x: Any, mode: str, device: torch.device) -> Ready:
    """Make a pass ready. The model is in eval mode and lies on the device, as ``x`` does, and as its mode wants it;
    gradients are off, and stay as they are while it is used.

    Raises Unavailable when the device or the model cannot do it, and what the pass itself raises.
    """
    parts = parts_of(mode)
    if "channels_last" in parts and not any(t.ndim in (4, 5) for t in tensors_in(x)):
        raise Unavailable("its input is no map or clip: there is no such layout for it")
    if "cuda_graph" in parts and device.type != "cuda":
        raise Unavailable(f"needs a CUDA device; this is {device}")
    start = time.perf_counter()
    step: Callable[[Any], Any] = partial(call, model)
    if "compiled" in parts:
        step = _compiled(model, x)
    growth = None
    if "cuda_graph" in parts:
        run, growth = _recorded(step, x, device)
    else:

        def run() -> Any:
            return step(x)

    seconds = _warm_up(run, device)
    return Ready(run, seconds, time.perf_counter() - start, growth)


def _warm_up(run: Callable[[], Any], device: torch.device) -> float:
    """Seconds of the quickest of a few passes; of one that takes long there are no more than two."""
    best = float("inf")
    spent = 0.0
    for i in range(_WARM_UP):
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        best = min(best, time.perf_counter() - start)
        spent += time.perf_counter() - start
        if i and spent > 2:
            break
    return best


def _compiled(model: nn.Module, x: Any) -> Callable[[Any], Any]:
    """The model compiled for inputs like ``x``."""
    supported = getattr(torch.compiler, "is_dynamo_supported", None)
    if supported is not None and not supported():
        raise Unavailable("torch.compile does not support this system or Python version")

    def step(*args: Any, **kwargs: Any) -> Any:
        return model(*args, **kwargs)

    # What is compiled is remembered by code object, up to a limit beyond which torch silently runs eagerly: code of
    # its own leaves the user's compiled functions alone, and is forgotten with it
    code = step.__code__.replace(co_name=f"step_{id(step):x}")
    step = types.FunctionType(code, step.__globals__, "step", None, step.__closure__)
    compiled = partial(call, torch.compile(step, dynamic=False))
    try:
        with quietly():
            compiled(x)
    except Exception as error:  # torch.compile fails in many ways, and lets the model's own errors through
        if is_out_of_memory(error):
            raise
        reason = _why_not_compiled(error)
        if reason is None:
            raise
        raise Unavailable(reason) from error
    return compiled


def _why_not_compiled(error: BaseException) -> str | None:
    """What kept torch.compile from compiling, in words; None when it is the model's own error."""
    chain = _chain(error)
    names = {type(e).__name__ for e in chain}
    text = " ".join(first_line(e) for e in chain)
    if "InvalidCxxCompiler" in names or "InvalidCxxCompiler" in text:
        return "no C++ compiler was found, which torch.compile needs on a CPU (install g++, or name one in CXX)"
    if "CppCompileError" in names or "CppCompileError" in text:
        failed = next((e for e in chain if type(e).__name__ == "CppCompileError"), chain[-1])
        said = next((line.strip() for line in str(failed).splitlines() if "error:" in line.lower()), "")
        return f"the C++ compiler failed{': ' + said[:160] if said else ''}"
    if "TritonMissing" in names or "triton installation" in text:
        return "Triton is not installed, which torch.compile needs on a GPU (pip install triton)"
    if "GPUTooOldForTriton" in names:
        return "this GPU is too old for torch.compile: compute capability 7.0 is the least"
    if any(type(e).__module__.startswith(("torch._dynamo", "torch._inductor")) for e in chain):
        return f"torch.compile failed: {first_line(chain[-1])[:200]}"
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and what led to it, the first cause last."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = getattr(error, "inner_exception", None) or error.__cause__
    return found


def _recorded(step: Callable[[Any], Any], x: Any, device: torch.device) -> tuple[Callable[[], Any], int]:
    """(replay, bytes that the graph took at most) of the pass as a CUDA graph."""
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):  # libraries set themselves up in the first passes, which cannot be recorded
        for _ in range(_WARM_UP):
            step(x)
    torch.cuda.current_stream(device).wait_stream(side)
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    try:
        # other threads, a notebook's widgets, say, may use the device meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = step(x)
    except Exception as error:  # whatever a stranger's code raises while it is recorded
        if is_out_of_memory(error):
            raise
        raise Unavailable(f"the pass cannot be recorded: {first_line(error)[:200]}") from error
    growth = torch.cuda.max_memory_allocated(device) - before

    def replay() -> Any:
        graph.replay()
        return output  # and keeps x alive, where the graph reads it

    replay.keeps = x
    return replay, growth


def peak_memory(model: nn.Module, x: Any, ready: Ready, mode: str, device: torch.device) -> int | None:
    """Bytes of weights, input and all that one pass holds at a time at most; None where it cannot be measured.

    On a CUDA device what its allocator counts, kernels' workspaces included; on others the tensors that are alive.
    """
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}.values()
    weights = sum(t.numel() * t.element_size() for t in tensors)
    if device.type == "cuda":
        growth = ready.growth
        if growth is None:
            synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            ready.run()
            synchronize(device)
            growth = torch.cuda.max_memory_allocated(device) - before
        return weights + sum(t.numel() * t.element_size() for t in tensors_in(x)) + growth
    if "compiled" in parts_of(mode):
        return None  # compiled code takes memory past PyTorch's dispatcher, unseen
    live = LiveBytes(apart=list(tensors))
    with live:
        live.note(x)
        ready.run()
    return weights + live.peak


def out_of_memory(error: BaseException) -> str:
    """The status of a row that ran out of memory."""
    if isinstance(error, DeviceError):
        return str(error)
    return f"out of memory: {first_line(error).rstrip('.')[:200]}"
