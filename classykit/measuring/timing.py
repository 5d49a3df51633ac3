"""Seconds of passes, by torch.utils.benchmark: repeats of one, or rounds of several that take turns."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from classykit.running.placement import synchronize

_STABLE = 0.1  # interquartile range over median at which a figure is taken to be stable
_LEAST = 5  # repeats, or rounds
_MOST = 100  # rounds
_BLOCK = 0.5  # seconds of the passes that the timer times as one at most: ten times 0.05, where it stops growing them
_TURN = 0.005  # seconds that a turn takes at least: clocks and threads are not exact below that


@contextmanager
def quietly() -> Iterator[None]:
    """Keep back warnings and log messages of torch's own tools, and take back the filters that their imports set."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def timer_of(statement: str, values: Mapping[str, Any]) -> Any:
    """A ``torch.utils.benchmark.Timer`` that leaves the number of threads as it is."""
    with quietly():  # where there is no GPU, its import says so
        from torch.utils.benchmark import Timer

    return Timer(statement, globals=dict(values), num_threads=torch.get_num_threads())


def interleave(
    runs: Mapping[str, Callable[[], Any]], device: torch.device, seconds: float, slowest: float
) -> dict[str, list[float]]:
    """Seconds of passes, each waited for until the device has done it: as many of each, in the order of measuring.

    Args:
        runs: what does one pass each, warmed up.
        seconds: to measure each at least. A single one goes on until its interquartile range is below a tenth of its
            median, or for five times as long.
        slowest: seconds that the slowest of them takes, about.

    >>> times = interleave({"a": lambda: None, "b": lambda: None}, torch.device("cpu"), 0.01, 1e-3)
    >>> len(times["a"]) == len(times["b"]) >= 2
    True
    """
    wait = partial(synchronize, device)
    timers = {name: timer_of("run()\nwait()", {"run": run, "wait": wait}) for name, run in runs.items()}
    if len(timers) == 1:
        most = max(5 * seconds, _LEAST * max(slowest, _BLOCK))
        return {
            name: timer.adaptive_autorange(_STABLE, min_run_time=seconds, max_run_time=most).times
            for name, timer in timers.items()
        }
    times: dict[str, list[float]] = {name: [] for name in timers}
    number = max(1, round(_TURN / max(slowest, 1e-6)))  # passes a turn
    rounds = min(max(math.ceil(seconds / max(number * slowest, 1e-6)), _LEAST), _MOST)
    for i in range(rounds):
        for name in list(timers) if i % 2 == 0 else reversed(timers):
            times[name] += timers[name].timeit(number).times  # after two passes that do not count
    return times
