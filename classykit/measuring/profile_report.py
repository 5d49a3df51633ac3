"""What a profile found: a row a block, and the forms in which it can be had."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from classykit.errors import ConfigError, quoted
from classykit.inspecting.report_table import fold_blocks
from classykit.measuring.profile_table import to_html, to_text
from classykit.running.placement import Place

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from classykit.measuring.roofs import Roofs


@dataclass(frozen=True)
class BlockProfile:
    """One block, for the whole batch. Figures that are not known are None.

    Attributes:
        name, type, stage, is_head, like: as `classykit.inspect` has them.
        times: seconds in each pass: from the end of the block before to the end of this one, blocks inside left out.
            Measured.
        calls: how often it runs in a pass.
        macs: multiply-accumulates. Counted.
        peak_memory: bytes held at most while it runs, its input included, weights not. Measured.
        left: bytes of the tensors made in it that are alive when it ends: its output, unless that is written over
            its input. Measured.
        traffic: bytes that its operations move to and from memory at least: the weights read once, each activation
            written once and read once. Counted.
    """

    name: str
    type: str
    times: tuple[float, ...] = field(repr=False)
    calls: int
    macs: int | None
    peak_memory: int | None
    left: int | None
    stage: int | None = None
    is_head: bool = False
    like: str | None = None
    traffic: int | None = None

    @property
    def flops_per_byte(self) -> float | None:
        """Arithmetic intensity: two for each multiply-accumulate, over the bytes moved."""
        return None if self.macs is None or not self.traffic else 2 * self.macs / self.traffic

    @property
    def time_ms(self) -> float:
        """Median over the passes."""
        return 1000 * statistics.median(self.times)

    @property
    def time_p25_ms(self) -> float:
        """Lower quartile."""
        return 1000 * float(np.quantile(self.times, 0.25))

    @property
    def time_p75_ms(self) -> float:
        """Upper quartile."""
        return 1000 * float(np.quantile(self.times, 0.75))

    @property
    def flops_per_s(self) -> float | None:
        """Two for each multiply-accumulate, over the median time."""
        return None if self.macs is None else 2000 * self.macs / self.time_ms


@dataclass(frozen=True)
class Profile:
    """Where the time and the memory of a pass go, block by block; prints as a table, shows as one in a notebook.

    Attributes:
        name: the model's.
        input_shapes: of the batch.
        batch_size: number of inputs that the figures are for.
        rows: a `BlockProfile` each, in the order of `classykit.inspect`. What runs between two blocks is booked on
            the later one, as there; what runs after the last on "(rest)".
        place: device, number type and memory layout.
        machine: what it was measured on, and when.
        pass_times: seconds of the passes without hooks.
        watched_times: seconds of the passes with them.
        notes: what else there is to say.
    """

    name: str
    input_shapes: Any
    batch_size: int
    rows: tuple[BlockProfile, ...]
    place: Place
    machine: str
    pass_times: tuple[float, ...] = field(repr=False)
    watched_times: tuple[float, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> BlockProfile:
        """The row called ``name``."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def total_ms(self) -> float:
        """The sum of the rows' medians."""
        return sum(row.time_ms for row in self.rows)

    @property
    def pass_ms(self) -> float:
        """Median of a pass without hooks."""
        return 1000 * statistics.median(self.pass_times) if self.pass_times else float("nan")

    @property
    def overhead(self) -> float:
        """By how much of its time a pass with hooks takes longer than one without; of the medians."""
        return 1000 * statistics.median(self.watched_times) / self.pass_ms - 1

    @property
    def macs(self) -> int | None:
        """Of the whole pass; None when not known."""
        known = [row.macs for row in self.rows if row.macs is not None]
        return sum(known) if known else None

    def time_share(self, *rows: BlockProfile) -> float:
        """The part of `total_ms` that goes to these rows: from 0 to 1."""
        return sum(row.time_ms for row in rows) / self.total_ms

    def macs_share(self, *rows: BlockProfile) -> float:
        """The part of the MACs that goes to these rows: from 0 to 1; 0 when they are not known."""
        return sum(row.macs or 0 for row in rows) / (self.macs or 1)

    def runs(self) -> list[list[BlockProfile]]:
        """The rows in order, those that follow each other and are equal but for their figures in one list."""
        return fold_blocks(self.rows)

    def to_pandas(self) -> pandas.DataFrame:
        """A row a block, with these columns:

        block, type; calls (in a pass); time_ms (median milliseconds), time_p25_ms, time_p75_ms (quartiles),
        time_share (of the sum of all medians, 0 to 1); macs (multiply-accumulates of the batch), macs_share; gflops
        (10⁹ FLOPs a second, two for each multiply-accumulate); peak_memory_mb (held at most while it runs, weights
        left out, in 10⁶ bytes), left_mb (made in it and alive when it ends); flops_per_byte (of what is moved at
        least). What is not known is missing.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "block": [r.name for r in self.rows],
                "type": [r.type for r in self.rows],
                "calls": [r.calls for r in self.rows],
                "time_ms": [r.time_ms for r in self.rows],
                "time_p25_ms": [r.time_p25_ms for r in self.rows],
                "time_p75_ms": [r.time_p75_ms for r in self.rows],
                "time_share": [self.time_share(r) for r in self.rows],
                "macs": pd.array([r.macs for r in self.rows], dtype="Int64"),
                "macs_share": [None if self.macs is None else self.macs_share(r) for r in self.rows],
                "gflops": [None if r.macs is None else r.flops_per_s / 1e9 for r in self.rows],
                "peak_memory_mb": [None if r.peak_memory is None else r.peak_memory / 1e6 for r in self.rows],
                "left_mb": [None if r.left is None else r.left / 1e6 for r in self.rows],
                "flops_per_byte": [r.flops_per_byte for r in self.rows],
            }
        ).astype(dict.fromkeys(("macs_share", "gflops", "peak_memory_mb", "left_mb", "flops_per_byte"), "float64"))

    def roofs(self) -> Roofs:
        """What the device could do at best: measured when first asked for, then remembered until the process ends."""
        from classykit.measuring.roofs import roofs

        return roofs(self.place.device, self.place.dtype)

    def bound(self, row: BlockProfile) -> str:
        """What keeps a block from being quicker, if it were as quick as it can be: "memory" or "compute".

        "memory" where it does fewer FLOPs a byte than the device can while it moves one (the roofline model of
        Williams, Waterman and Patterson, CACM 2009); "" where its MACs are not known. A block far below the roof is
        bound by neither, but by the time that it takes to start operations.
        """
        if row.flops_per_byte is None:
            return ""
        return "memory" if row.flops_per_byte < self.roofs().ridge else "compute"

    def plot(self, what: str = "bars") -> Figure:
        """Draw it: a matplotlib Figure that belongs to no pyplot window.

        ``what``: "bars" of time and MACs by block, or "roofline": FLOPs a second of each block against its FLOPs a
        byte, below what the device can do.
        """
        from classykit.plots.profile import profile_bars
        from classykit.plots.roofline import roofline

        draw = {"bars": profile_bars, "roofline": roofline}
        if not isinstance(what, str) or what not in draw:
            raise ConfigError(f'what is "bars" or "roofline", not {quoted(what)}.')
        return draw[what](self)

    def __str__(self) -> str:
        return to_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return to_html(self)
