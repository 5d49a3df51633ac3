"""Models on their places, and the rows of a benchmark that are measured together."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit.errors import DeviceError, first_line
from classykit.harmless import harmless
from classykit.measuring.benchmark_report import OK, Row
from classykit.measuring.modes import Ready, Unavailable, out_of_memory, parts_of, peak_memory, prepare
from classykit.measuring.timing import interleave
from classykit.running.live import LiveModel
from classykit.running.memory_fit import batch_that_fits, is_out_of_memory
from classykit.running.placement import Place, short, without_gradients


@dataclass
class _Pass:
    """A pass that can be timed, and what is needed to watch its memory."""

    model: nn.Module
    x: Any
    ready: Ready


class Bench:
    """Models that are measured in turns; they are settled anew only where type or layout change."""

    def __init__(self, subjects: list[LiveModel], seconds: float):
        self.subjects, self.seconds = subjects, seconds
        self.place: Place | None = None
        self.settled: dict[str, nn.Module | str] = {}  # a model, or why there is none

    def cell(self, place: Place, mode: str, size: int, peak: float | None) -> list[Row]:
        """The rows of all models for one combination; ``peak`` is the device's, in FLOPs a second."""
        place = Place(place.device, place.dtype, "channels_last" in parts_of(mode))
        if place != self.place:
            self._settle(place)
        with ExitStack() as stack:
            for model in self.settled.values():
                if isinstance(model, nn.Module):
                    stack.enter_context(harmless(model))
            stack.enter_context(without_gradients([s.model for s in self.subjects]))
            found = {s.name: self._ready(s, mode, size) for s in self.subjects}
            times = self._times(found)
            rows = []
            for s in self.subjects:
                row = partial(Row, s.name, str(place.device), mode, short(place.dtype), size)
                one = found.pop(s.name)
                if isinstance(one, str):
                    rows.append(row(status=one))
                    continue
                memory = _memory(one, mode, place.device)
                rows.append(row(OK, tuple(times[s.name]), one.ready.setup, memory, s.macs, peak))
            del one
        _clean(place)
        return rows

    def _settle(self, place: Place) -> None:
        self.settled.clear()
        _clean(place)
        self.place = place
        for s in self.subjects:
            try:
                self.settled[s.name] = place.settle(s.model)
            except DeviceError as error:
                self.settled[s.name] = str(error)

    def _ready(self, s: LiveModel, mode: str, size: int) -> _Pass | str:
        """The pass, warmed up; or why there is none."""
        model, place = self.settled[s.name], self.place
        if isinstance(model, str):
            return model
        try:
            fits, why = batch_that_fits(s.model, place, s.shape, size)
            if fits < size:
                return f"does not fit: {why.partition(': ')[0]}"
            x = place.put(s.example(size))
            return _Pass(model, x, prepare(model, x, mode, place.device))
        except Exception as error:  # whatever a stranger's code raises
            return _status(error)

    def _times(self, found: dict[str, _Pass | str]) -> dict[str, list[float]]:
        """Seconds of the passes; where that fails, ``found`` gets why instead."""
        passes = {name: one for name, one in found.items() if isinstance(one, _Pass)}
        if not passes:
            return {}
        try:
            slowest = max(one.ready.seconds for one in passes.values())
            runs = {name: one.ready.run for name, one in passes.items()}
            return interleave(runs, self.place.device, self.seconds, slowest)
        except Exception as error:  # whatever a stranger's code raises, be it only in its hundredth pass
            found.update(dict.fromkeys(passes, _status(error)))
            return {}


def _memory(one: _Pass, mode: str, device: torch.device) -> int | None:
    try:
        return peak_memory(one.model, one.x, one.ready, mode, device)
    except Exception:  # a model that cannot be watched can still be timed
        return None


def _status(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return str(error)
    if isinstance(error, DeviceError) or is_out_of_memory(error):
        return out_of_memory(error)
    return f"failed: {type(error).__name__}: {first_line(error)[:200]}"


def _clean(place: Place) -> None:
    """What the last row left behind on a GPU is freed before the next; on a CPU it was, all but a few cycles."""
    if place.device.type != "cpu":
        gc.collect()
    if place.device.type == "cuda":
        torch.cuda.empty_cache()
