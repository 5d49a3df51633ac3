"""Two ways to do the same, timed in one run: A B, B A, A B ... so that a slow moment of the machine hits both."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Comparison:
    """Seconds of A and B, pair by pair."""

    name: str
    a: list[float]
    b: list[float]
    budget: float

    @property
    def ratio(self) -> float:
        """Median of the pairs' ratios A / B."""
        return statistics.median(x / y for x, y in zip(self.a, self.b, strict=True))

    @property
    def passed(self) -> bool:
        return self.ratio <= self.budget

    def __str__(self) -> str:
        return (
            f"{self.name:<44} {_figures(self.a):>24} {_figures(self.b):>24}   {self.ratio:5.3f} ≤ {self.budget:<5} "
            f"{'pass' if self.passed else 'FAIL'}"
        )


HEADER = f"{'A against B':<44} {'A, ms (quartiles)':>24} {'B, ms (quartiles)':>24}   ratio   budget"


def _figures(seconds: list[float]) -> str:
    low, middle, high = statistics.quantiles([1000 * s for s in seconds], n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def compare(
    name: str, a: Callable[[], Any], b: Callable[[], Any], budget: float, repeats: int, warm_up: int = 3
) -> Comparison:
    """Time ``a`` and ``b`` in ``repeats`` pairs, taking turns in going first."""
    times: dict[Callable[[], Any], list[float]] = {a: [], b: []}
    for i in range(warm_up + repeats):
        for run in (a, b) if i % 2 == 0 else (b, a):
            gc.collect()  # neither pays for what the other left behind
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            if i >= warm_up:
                times[run].append(seconds)
    return Comparison(name, times[a], times[b], budget)


def report(results: list[Comparison]) -> int:
    """Print how many ratios are within their budgets, and which are not; the status to exit with."""
    over = [r.name for r in results if not r.passed]
    failures = f"; over: {', '.join(over)}" if over else ""
    print(f"\n{len(results) - len(over)} of {len(results)} within budget{failures}")
    return 1 if over else 0


def machine() -> str:
    """What the figures were taken on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return (
        f"{model}; torch {torch.__version__}, {torch.get_num_threads()} thread(s); Python {platform.python_version()}"
    )
