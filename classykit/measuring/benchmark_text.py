"""A benchmark as text: a table that fits a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from classykit import formats
from classykit.features import shape_text

if TYPE_CHECKING:
    from classykit.measuring.benchmark_report import Benchmark, Row

_LEFT = {"model", "mode", "type"}
_WIDTH = 118  # letters of a line of remarks


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


def headings(benchmark: Benchmark) -> list[str]:
    """The columns: that of models and ratios only where several were compared, of types where there are several."""
    several = len(benchmark.models) > 1
    found = ["mode", "batch", "latency (quartiles)", "images/s", "memory", "TFLOP/s", "of peak"]
    if len({row.dtype for row in benchmark.rows}) != 1:
        found.insert(0, "type")
    if several:
        found.insert(found.index("batch") + 1, "model")
        found.insert(found.index("latency (quartiles)") + 1, "× (quartiles)")
    return found


def cells(benchmark: Benchmark, row: Row) -> dict[str, str]:
    """{heading: what it says}; without figures where there are none."""
    found = {"model": row.model, "type": row.dtype, "mode": row.mode, "batch": str(row.batch_size)}
    if not row.ok:
        return found
    low, high = significant(row.latency_p25_ms), significant(row.latency_p75_ms)
    of_rounds = benchmark.ratio_of(row)
    ratio = ""
    if of_rounds:
        middle, low_ratio, high_ratio = (np.quantile(of_rounds, share) for share in (0.5, 0.25, 0.75))
        ratio = f"{middle:.2f} ({low_ratio:.2f}–{high_ratio:.2f})"
    return found | {
        "latency (quartiles)": f"{significant(row.latency_ms)} ms ({low}–{high})",
        "× (quartiles)": ratio,
        "images/s": significant(row.images_per_s),
        "memory": "–" if row.memory is None else formats.size(row.memory),
        "TFLOP/s": "–" if row.tflops is None else f"{row.tflops:.3g}",
        "of peak": "–" if row.peak_percent is None else formats.percent(row.peak_percent / 100),
    }


def significant(n: float) -> str:
    """Three significant digits, none after the third decimal: 0.01234 -> "0.012", 123.4 -> "123", 12345.6 -> "12346".

    >>> significant(0.01234), significant(99.97), significant(1.5), significant(12345.6)
    ('0.012', '100', '1.50', '12346')
    """
    decimals = next(d for d in (3, 2, 1, 0) if d == 0 or round(abs(n), d) < 10 ** (3 - d))
    return f"{n:.{decimals}f}"


def text(benchmark: Benchmark) -> str:
    """The table and the remarks below it; rows without figures give their reason."""
    shown = headings(benchmark)
    lines = [cells(benchmark, row) for row in benchmark.rows]
    widths = {h: max([len(h), *(len(line.get(h, "")) for line in lines)]) for h in shown}
    table = [_line(dict(zip(shown, shown, strict=True)), shown, widths)]
    for row, line in zip(benchmark.rows, lines, strict=True):
        known = [h for h in shown if h in line]
        words = _line(line, known, widths)
        reason = "" if row.ok else textwrap.shorten(row.status, _WIDTH - len(words), placeholder="…")
        table.append(f"{words}  {reason}".rstrip())
    rule = "─" * min(max(map(len, table)), _WIDTH)
    below = [textwrap.fill(words, _WIDTH, subsequent_indent="  ") for words in remarks(benchmark)]
    return "\n".join([title(benchmark), rule, table[0], rule, *table[1:], rule, *below])


def _line(line: dict[str, str], shown: list[str], widths: dict[str, int]) -> str:
    return "  ".join(line[h].ljust(widths[h]) if h in _LEFT else line[h].rjust(widths[h]) for h in shown).rstrip()
