"""A benchmark as a table, as text that fits a terminal and as HTML."""

from __future__ import annotations

import html
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from classykit import formats
from classykit.features import shape_text
from classykit.tables import Bar, Cell, Column, Line, Table, framed, said, terminal_width

if TYPE_CHECKING:
    from classykit.measuring.benchmark_report import Benchmark, Row


def title(benchmark: Benchmark) -> str:
    """The models, and their inputs where they are not all the same."""
    shapes = set(benchmark.shapes.values())
    if len(shapes) == 1:
        return f"{', '.join(benchmark.models)}, input {shape_text(shapes.pop())}"
    return ", ".join(f"{name} ({shape_text(shape)})" for name, shape in benchmark.shapes.items())


def remarks(benchmark: Benchmark) -> list[str]:
    """Below the table: where the figures hold, what they are relative to, and what else there is to say."""
    said = [f"Measured on {benchmark.machine}. The figures are for this machine, as it was then."]
    peaks = ", ".join(
        f"{str(dtype).removeprefix('torch.')} {flops_per_s(peak)}" for dtype, peak in benchmark.peaks.items() if peak
    )
    if peaks:
        said.append(f"Quickest matrix product, measured: {peaks}. TFLOP/s are 2 × counted MACs over median latency.")
    by_type = {(row.dtype, row.device.partition(":")[0]) for row in benchmark.rows if row.ok}
    if ("float32", "cuda") in by_type:
        said.append("In float32, cuDNN may compute convolutions in TF32, which the product does not use: "
                    "more than 100 % is possible.")  # fmt: skip
    if any(row.ok and row.memory is None for row in benchmark.rows):
        said.append("“–”: could not be measured; the memory of compiled passes can on CUDA devices only.")
    setups = [row.setup_s for row in benchmark.rows if row.ok and "compiled" in row.mode]
    if setups:
        said.append(f"Compiling took {formats.seconds(min(setups))} to {formats.seconds(max(setups))} a row.")
    if len(benchmark.models) > 1:
        said.append(f"“×” is how many times as long as {benchmark.models[0]}: the median of rounds in which all took "
                    "turns, with quartiles.")  # fmt: skip
    return [*said, *(f"{note.rstrip('.')}." for note in benchmark.notes)]


def flops_per_s(n: float) -> str:
    """1.2e14 -> "120 TFLOP/s"."""
    number, _, unit = formats.count(n).partition(" ")
    return f"{number} {unit}FLOP/s"


_BARRED = ("images_per_s", "memory", "peak_percent")


def table(benchmark: Benchmark) -> Table:
    """A line a row; the model and ratios only where several were compared, the type where there are several."""
    several = len(benchmark.models) > 1
    types = len({row.dtype for row in benchmark.rows}) != 1
    columns = [
        *([Column("type")] if types else []),
        Column("mode"),
        Column("batch", right=True),
        *([Column("model")] if several else []),
        Column("latency (quartiles)", right=True),
        *([Column("× (quartiles)", right=True)] if several else []),
        Column("images/s", right=True, dispensable=2),
        Column("memory", right=True, dispensable=4),
        Column("TFLOP/s", right=True, dispensable=1),
        Column("of peak", right=True, dispensable=3),
    ]
    most = {
        f: max([getattr(row, f) or 0 for row in benchmark.rows], default=0) or 1 for f in ("images_per_s", "memory")
    }
    most["peak_percent"] = max([100.0, *(row.peak_percent or 0 for row in benchmark.rows)])
    lines = []
    before = None
    for row in benchmark.rows:
        group = row.dtype, row.mode
        head = [row.dtype] * types + [row.mode, str(row.batch_size)] + [row.model] * several
        figures = _figures(benchmark, row, several, most) if row.ok else []
        lines.append(Line([*map(Cell, head), *figures], "" if row.ok else row.status, before not in (None, group)))
        before = group
    return Table(columns, lines)


def _figures(benchmark: Benchmark, row: Row, several: bool, most: dict[str, float]) -> list[Cell]:
    def barred(text: str, figure: str) -> Cell:
        return Cell(text, (Bar((getattr(row, figure) or 0) / most[figure]),))

    low, high = significant(row.latency_p25_ms), significant(row.latency_p75_ms)
    ratio = ""
    if of_rounds := benchmark.ratio_of(row):
        middle, low_ratio, high_ratio = (float(np.quantile(of_rounds, share)) for share in (0.5, 0.25, 0.75))
        ratio = f"{middle:.2f} ({low_ratio:.2f}–{high_ratio:.2f})"
    return [
        Cell(f"{significant(row.latency_ms)} ms ({low}–{high})"),
        *([Cell(ratio)] if several else []),
        barred(significant(row.images_per_s), "images_per_s"),
        barred("–" if row.memory is None else formats.size(row.memory), "memory"),
        Cell("–" if row.tflops is None else f"{row.tflops:.3g}"),
        barred("–" if row.peak_percent is None else formats.percent(row.peak_percent / 100), "peak_percent"),
    ]


def significant(n: float) -> str:
    """Three significant digits, none after the third decimal: 0.01234 -> "0.012", 123.4 -> "123", 12345.6 -> "12346".

    >>> significant(0.01234), significant(99.97), significant(1.5), significant(12345.6)
    ('0.012', '100', '1.50', '12346')
    """
    decimals = next(d for d in (3, 2, 1, 0) if d == 0 or round(abs(n), d) < 10 ** (3 - d))
    return f"{n:.{decimals}f}"


def to_text(benchmark: Benchmark) -> str:
    """The table, as wide as the terminal at most, and the remarks below it; rows without figures give their reason."""
    width = terminal_width(least=40)
    below = [textwrap.fill(words, width, subsequent_indent="  ") for words in remarks(benchmark)]
    return "\n".join([*textwrap.wrap(title(benchmark), width), *table(benchmark).fitted(width).to_text(width), *below])


def to_html(benchmark: Benchmark) -> str:
    """The table, with bars relative to the largest figure of a column; of per cents relative to 100."""
    caption = f"<b>{html.escape(title(benchmark))}</b>"
    return framed(table(benchmark).to_html(caption), *map(said, remarks(benchmark)))
