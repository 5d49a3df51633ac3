"""Passes watched block by block: when each begins and ends, and what memory it takes; what runs between two blocks
is booked on the later one, as `classykit.inspect` books it, what runs after the last on `REST`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from classykit.hooks import hooks
from classykit.inspecting.block_info import REST
from classykit.inspecting.memory_estimate import LiveBytes
from classykit.nested import tensors_in
from classykit.running.placement import synchronize

_ENTER, _LEAVE, _EDGE = "enter", "leave", "edge"  # an edge is the begin or end of the pass


@contextmanager
def hooked(parts: Mapping[str, nn.Module], note: Callable[[str, str, Any], None]) -> Iterator[None]:
    """Within the block ``note`` is called with what happens to which block, and with the block's output."""

    def on_enter(name: str, module: nn.Module, args: Any) -> None:
        note(_ENTER, name, None)

    def on_leave(name: str, module: nn.Module, args: Any, output: Any) -> None:
        note(_LEAVE, name, output)

    with hooks() as on:
        for name, module in parts.items():
            on.before(module, partial(on_enter, name), first=True)
            on.after(module, partial(on_leave, name))
        yield


def booked(marks: list[tuple[str, str]], spans: list[Any], add: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """What lies between each mark and the next, put together by block.

    >>> marks = [("edge", ""), ("enter", "a"), ("leave", "a"), ("edge", "")]
    >>> booked(marks, [1, 5, 2], int.__add__)
    {'a': 6, '(rest)': 2}
    """
    found: dict[str, Any] = {}
    running: list[str] = []
    between: Any = None

    def book(name: str, span: Any) -> None:
        found[name] = add(found[name], span) if name in found else span

    for (what, name), span in zip(marks, spans, strict=False):
        if what == _ENTER:
            running.append(name)
        elif what == _LEAVE:
            running.pop()
            if not running and between is not None:
                book(name, between)
                between = None
        if running:
            book(running[-1], span)
        else:
            between = span if between is None else add(between, span)
    if between is not None:
        book(REST, between)
    return found


class Clock:
    """Times passes, block by block: with CUDA events on a GPU, read once at the end of a pass; else with the clock."""

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device):
        self.parts, self.device = parts, device
        self.marks: list[tuple[str, str]] = []
        self.stamps: list[Any] = []
        self.events: list[torch.cuda.Event] = []  # made once: making one takes longer than recording it

    def time(self, run: Callable[[], Any]) -> tuple[float, dict[str, float]]:
        """(seconds of the whole pass, seconds by block)"""
        self.marks, self.stamps = [], []
        synchronize(self.device)
        with hooked(self.parts, self._note):
            start = time.perf_counter()
            self._note(_EDGE, "", None)
            run()
            self._note(_EDGE, "", None)
            synchronize(self.device)
            whole = time.perf_counter() - start
        spans = [self._between(a, b) for a, b in pairwise(self.stamps)]
        return whole, booked(self.marks, spans, float.__add__)

    def calls(self) -> Counter[str]:
        """How often each block ran in the last pass."""
        return Counter(name for what, name in self.marks if what == _ENTER)

    def _note(self, what: str, name: str, output: Any) -> None:
        self.marks.append((what, name))
        if self.device.type != "cuda":
            synchronize(self.device)  # of devices without events that can be timed alike
            self.stamps.append(time.perf_counter())
            return
        if len(self.stamps) == len(self.events):
            self.events.append(torch.cuda.Event(enable_timing=True))
        event = self.events[len(self.stamps)]
        event.record()
        self.stamps.append(event)

    def _between(self, a: Any, b: Any) -> float:
        return a.elapsed_time(b) / 1e3 if self.device.type == "cuda" else b - a


class MemoryWatch(LiveBytes):
    """Watches what one pass holds: the most while each block runs, and what the block leaves behind.

    On a CUDA device the most is what its allocator counts, workspaces of kernels included; elsewhere, and for what is
    left behind everywhere, it is the tensors that are alive.
    """

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device, weights: Iterable[torch.Tensor]):
        super().__init__(apart=list(weights))
        self.parts, self.device = parts, device
        self.marks: list[tuple[str, str]] = []
        self.peaks: list[int] = []  # between each mark and the next
        self.began: list[dict[int, Any]] = []  # what was alive when each of the running blocks began
        self.ended: dict[int, Any] = {}  # what was when the last block ended
        self.left: dict[str, int] = {}
        self.base = 0

    def watch(self, run: Callable[[], Any], x: Any) -> tuple[dict[str, int], dict[str, int]]:
        """({block: bytes held at most while it runs, weights aside}, {block: bytes made in it and alive at its end})"""
        if self.device.type == "cuda":
            synchronize(self.device)
            size = sum(t.numel() * t.element_size() for t in tensors_in(x))
            self.base = torch.cuda.memory_allocated(self.device) - size
            torch.cuda.reset_peak_memory_stats(self.device)
        with hooked(self.parts, self._note), self:
            self.note(x)
            self._note(_EDGE, "", None)
            output = run()
            self._note(_EDGE, "", output)
        return booked(self.marks, self.peaks[1:], max), self.left

    def _note(self, what: str, name: str, output: Any) -> None:
        self.note(output)
        self.peaks.append(self._peak())
        self.marks.append((what, name))
        if what == _ENTER:
            # what leads up to a block is its own, unless it stands inside another
            self.began.append(dict(self.live) if self.began else self.ended)
        elif what == _LEAVE:
            began = self.began.pop()
            # compared by identity: an address may have been freed and used again
            new = sum(held[1] for at, held in self.live.items() if began.get(at) is not held)
            self.left[name] = max(new, self.left.get(name, 0))
        if not self.began:
            self.ended = dict(self.live)

    def _peak(self) -> int:
        """The most that was held since the last mark."""
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device) - self.base
            torch.cuda.reset_peak_memory_stats(self.device)
            return peak
        peak, self.peak = self.peak, self.now
        return peak
