"""What a benchmark found: a row for each combination, and the forms in which it can be had."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from classykit.measuring.benchmark_table import to_html, to_text

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

OK = "ok"


@dataclass(frozen=True)
class Row:
    """One combination, measured; or why it was not. Figures that are not known are None.

    Attributes:
        model, device, mode, dtype, batch_size: what was measured.
        status: "ok", or why there are no figures: what the device or model cannot do, or has no memory for.
        times: seconds of a pass, repeat by repeat; of a comparison, round by round. Measured.
        setup_s: seconds of making the pass ready: compiling, recording, warming up.
        memory: bytes of weights, input and what a pass holds at most. Measured.
        macs: multiply-accumulates of one input. Counted.
        peak: FLOPs a second of the device's quickest matrix product in this type. Measured.
    """

    model: str
    device: str
    mode: str
    dtype: str
    batch_size: int
    status: str
    times: tuple[float, ...] = field(default=(), repr=False)
    setup_s: float | None = None
    memory: int | None = None
    macs: int | None = None
    peak: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it was measured."""
        return self.status == OK

    @property
    def latency_ms(self) -> float | None:
        """Median time of a pass of the whole batch, from the input being there to the output being there."""
        return 1000 * statistics.median(self.times) if self.times else None

    @property
    def latency_p25_ms(self) -> float | None:
        """Lower quartile."""
        return 1000 * float(np.quantile(self.times, 0.25)) if self.times else None

    @property
    def latency_p75_ms(self) -> float | None:
        """Upper quartile."""
        return 1000 * float(np.quantile(self.times, 0.75)) if self.times else None

    @property
    def images_per_s(self) -> float | None:
        """Batch size over median latency."""
        return 1000 * self.batch_size / self.latency_ms if self.times else None

    @property
    def peak_memory_mb(self) -> float | None:
        """`memory` in MB of 1,000,000 bytes."""
        return None if self.memory is None else self.memory / 1e6

    @property
    def tflops(self) -> float | None:
        """10¹² FLOPs a second: two for each counted multiply-accumulate, over the median latency."""
        if not self.times or self.macs is None:
            return None
        return 2 * self.macs * self.batch_size / (1e9 * self.latency_ms)

    @property
    def peak_percent(self) -> float | None:
        """`tflops` in per cent of what the device's quickest matrix product in this type reaches."""
        return None if self.tflops is None or not self.peak else 100 * self.tflops * 1e12 / self.peak


_COLUMNS = (
    "model", "device", "mode", "dtype", "batch_size", "latency_ms", "latency_p25_ms", "latency_p75_ms", "images_per_s",
    "peak_memory_mb", "tflops", "peak_percent", "setup_s", "status",
)  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """Rows of a benchmark; prints as a table, shows as one in a notebook.

    Attributes:
        rows: a `Row` for each combination of type, mode, batch size and model, in that order.
        machine: what they were measured on, and when. They mean little elsewhere.
        shapes: {model: shape of one input}.
        peaks: {type: FLOPs a second of the device's quickest matrix product, None where it has none}. Measured.
        notes: what else there is to say.
    """

    rows: list[Row]
    machine: str
    shapes: dict[str, tuple[int, ...]]
    peaks: dict[torch.dtype, float | None]
    notes: list[str] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        """The models' names; the first is what the others are compared with."""
        return list(self.shapes)

    def find(self, mode: str, batch_size: int, dtype: str | None = None, model: str | None = None) -> Row:
        """The row of a combination; KeyError when there is none. Default: the first type and model."""
        for row in self.rows:
            if (
                (row.mode, row.batch_size) == (mode, batch_size)
                and dtype in (None, row.dtype)
                and (model or self.models[0]) == row.model
            ):
                return row
        raise KeyError((mode, batch_size, dtype, model))

    def to_pandas(self) -> pandas.DataFrame:
        """A row a combination, with these columns:

        model, device, mode, dtype, batch_size; latency_ms (median milliseconds of a pass of the batch),
        latency_p25_ms, latency_p75_ms (quartiles); images_per_s (batch size over median latency); peak_memory_mb
        (weights, input and what a pass holds at most, in 10⁶ bytes); tflops (10¹² FLOPs a second, two for each counted
        multiply-accumulate); peak_percent (tflops in per cent of the device's quickest matrix product in this type);
        setup_s (seconds of compiling, recording and warming up); status ("ok", or why there are no figures, which are
        NaN then).
        """
        import pandas as pd

        table = pd.DataFrame({name: [getattr(row, name) for row in self.rows] for name in _COLUMNS})
        return table.astype(dict.fromkeys(_COLUMNS[5:13], "float64"))

    def ratios(self) -> pandas.DataFrame:
        """How many times as long as the first model each of the others takes, with these columns:

        model, against (the first model), mode, dtype, batch_size; ratio (median over the rounds in which they took
        turns), ratio_p25, ratio_p75 (quartiles); rounds. Rows that could not be measured are left out.
        """
        import pandas as pd

        found = []
        for row in self.rows:
            of_rounds = self.ratio_of(row)
            if of_rounds:
                found.append({
                    "model": row.model, "against": self.models[0], "mode": row.mode, "dtype": row.dtype,
                    "batch_size": row.batch_size, "ratio": statistics.median(of_rounds),
                    "ratio_p25": np.quantile(of_rounds, 0.25), "ratio_p75": np.quantile(of_rounds, 0.75),
                    "rounds": len(of_rounds),
                })  # fmt: skip
        columns = ["model", "against", "mode", "dtype", "batch_size", "ratio", "ratio_p25", "ratio_p75", "rounds"]
        return pd.DataFrame(found, columns=columns)

    def ratio_of(self, row: Row) -> list[float]:
        """Of each round: the row's time over the first model's; empty for the first model, and where one is missing."""
        if row.model == self.models[0] or not row.ok:
            return []
        try:
            first = self.find(row.mode, row.batch_size, row.dtype)
        except KeyError:
            return []
        if len(first.times) != len(row.times):
            return []
        return [mine / its for mine, its in zip(row.times, first.times, strict=True)]

    def plot(self, what: str = "latency_ms") -> Figure:
        """Bars of a figure, a group for each batch size: a matplotlib Figure that belongs to no pyplot window.

        Args:
            what: "latency_ms", "images_per_s", "peak_memory_mb", "tflops" or "peak_percent".
        """
        from classykit.plots.profile import benchmark_bars

        return benchmark_bars(self, what)

    def __str__(self) -> str:

        return to_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:

        return to_html(self)
