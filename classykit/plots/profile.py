"""What was measured: where the time of a pass goes, block by block, and how modes and batch sizes compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classykit import formats
from classykit.errors import ConfigError, quoted, suggest
from classykit.plots.style import ACCENT, BLUE, INK, figure_of, in_units, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.measuring.benchmark_report import Benchmark, Row
    from classykit.measuring.profile_report import BlockProfile, Profile

_READABLE = 42  # lines with a name each; of more, names are thinned out
_WHAT = {
    "latency_ms": "latency, ms (bars: medians; lines: quartiles)",
    "images_per_s": "images a second",
    "peak_memory_mb": "memory held at most, MB",
    "tflops": "TFLOP/s (2 × counted MACs)",
    "peak_percent": "per cent of the quickest matrix product",
}
_COLOURS = (BLUE, ACCENT, "#5f9e5f", "#9b6fc0", "#b98a2f", "#4aa8a0", "#c0607f", INK)


def profile_bars(profile: Profile, *, title: str | None = None) -> Figure:
    """Draw where time and MACs go, in forward order from the top: the shares of each block side by side, the speed
    that follows, and the memory held while it runs.

    Args:
        profile: as `classykit.profile_blocks` gives it. Blocks that follow each other and are equal share a line.
        title: the line above; default: the model, its input and where it ran.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> import classykit
    >>> net = classykit.build_model("resnet18", small_input=True)
    >>> p = classykit.profile_blocks(net, device="cpu", seconds=0.01, progress=False)
    >>> [axes.get_xlabel() for axes in profile_bars(p).axes]
    ['per cent of the whole pass', 'FLOP/s', 'bytes']
    """
    from classykit.measuring.profile_table import title as of_profile

    runs = profile.runs()
    if not runs:
        raise ConfigError(f"{profile.name} has no block to draw: nothing was timed.")
    pitch = 0.24 if len(runs) <= _READABLE else max(10.0 / len(runs), 0.02)  # inches from one line to the next
    has_memory = any(row.peak_memory is not None for row in profile.rows)
    columns = 1 + (profile.macs is not None) + has_memory
    figure = figure_of(
        2.6 + 2.4 * columns, 0.95 + max(pitch * len(runs), 0.3), of_profile(profile) if title is None else title
    )
    axes = list(figure.subplots(1, columns, sharey=True, squeeze=False, width_ratios=[1.5, 1, 1][:columns])[0])
    _shares(axes[0], profile, runs, pitch)
    if profile.macs is not None:
        speeds = [2000 * sum(r.macs or 0 for r in run) / sum(r.time_ms for r in run) for run in runs]
        whole = 2000 * profile.macs / profile.total_ms
        _column(axes[1], speeds, f"speed: {formats.count(whole)}FLOP/s overall", "FLOP/s", "count", whole)
    if has_memory:
        peaks = [max((r.peak_memory or 0 for r in run), default=0) for run in runs]
        _column(axes[-1], peaks, f"memory: at most {formats.size(max(peaks))}", "bytes", "bytes")
    axes[0].set_ylim(len(runs) - 0.4, -0.6)
    step = max(1, round(0.14 / pitch))  # thinned out where they would touch
    shown = range(0, len(runs), step)
    axes[0].set_yticks(list(shown), [_name(runs[i]) for i in shown], fontsize=7.5, parse_math=False)
    return figure


def benchmark_bars(benchmark: Benchmark, what: str = "latency_ms", *, title: str | None = None) -> Figure:
    """Draw a figure of each measured row: panels for batch sizes, a bar for each mode, type and model.

    Args:
        benchmark: as `classykit.benchmark` gives it.
        what: "latency_ms", "images_per_s", "peak_memory_mb", "tflops" or "peak_percent".
        title: the line above; default: the models and the machine.

    Rows that could not be measured have no bar, and their reason in its place. Returns a matplotlib Figure that
    belongs to no pyplot window.
    """
    from classykit.measuring.benchmark_table import title as of_benchmark

    if what not in _WHAT:
        raise ConfigError(f"what is one of {', '.join(_WHAT)}, not {quoted(what)}.{suggest(what, _WHAT)}")
    sizes = list(dict.fromkeys(row.batch_size for row in benchmark.rows))
    if not sizes:
        raise ConfigError("There is no row to draw: nothing was measured.")
    lines = list(dict.fromkeys(_kind(row) for row in benchmark.rows))
    machine = benchmark.machine.partition(";")[0]
    figure = figure_of(
        2.2 + 2.5 * len(sizes), 1.0 + 0.26 * len(lines),
        f"{of_benchmark(benchmark)}; on {machine}" if title is None else title,
    )  # fmt: skip
    several = [len({kind[i] for kind in lines}) > 1 for i in range(3)]
    names = [" ".join(shortened(k, 24) for k, more in zip(kind, several, strict=True) if more) for kind in lines]
    colour = {model: _COLOURS[i % len(_COLOURS)] for i, model in enumerate(benchmark.models)}
    for axes, size in zip(figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0], sizes, strict=True):
        _of_size(axes, {_kind(r): r for r in benchmark.rows if r.batch_size == size}, lines, what, colour)
        axes.set_title(f"batch of {size}", loc="left", fontsize=9, color=INK)
    figure.axes[0].set_yticks(range(len(lines)), [n or lines[0][0] for n in names], fontsize=8, parse_math=False)
    figure.axes[0].set_ylim(len(lines) - 0.4, -0.6)
    figure.supxlabel(_WHAT[what], fontsize=8, color=INK)
    return figure


def _shares(axes: Axes, profile: Profile, runs: list[list[BlockProfile]], pitch: float) -> None:
    """Two bars a line on one scale: its share of the time above its share of the MACs."""
    plain(axes)
    known = profile.macs is not None
    height = 0.36 if known else 0.7
    time = [100 * profile.time_share(*run) for run in runs]
    macs = [100 * profile.macs_share(*run) for run in runs]
    lines = range(len(runs))
    axes.barh([i - height / 2 if known else i for i in lines], time, height, color=ACCENT, linewidth=0)
    if known:
        axes.barh([i + height / 2 for i in lines], macs, height, color=BLUE, linewidth=0)
    most = max([*time, *macs])
    axes.set_xlim(0, 1.12 * most)
    axes.set_xlabel("per cent of the whole pass")
    labels = ["share of time, measured", "of MACs, counted"][: len(axes.containers)]
    axes.legend(
        axes.containers, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9, frameon=False,
        labelcolor=INK, handlelength=0.8, handleheight=0.8, borderaxespad=0.1, borderpad=0, columnspacing=1,
    )  # fmt: skip


def _column(axes: Axes, values: list[float], title: str, unit: str, of: str, line: float | None = None) -> None:
    """One bar a line; with the figure of the whole pass as a line through all."""
    plain(axes)
    axes.barh(range(len(values)), values, 0.6, color=INK, alpha=0.8, linewidth=0)
    if line is not None:
        axes.axvline(line, color=ACCENT, linewidth=0.8)
    axes.set_xlim(0, 1.1 * max([*values, line or 0, 1e-9]))
    axes.xaxis.set_major_locator(_few())
    in_units(axes.xaxis, of)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=9, color=INK)


def _of_size(axes: Axes, rows: dict, lines: list[tuple], what: str, colour: dict[str, str]) -> None:
    """The bars of one batch size, each with its figure, or why there is none."""
    plain(axes)
    figures = {kind: getattr(row, what) for kind, row in rows.items()}
    most = max([*(v for v in figures.values() if v is not None), 1e-12])
    for i, kind in enumerate(lines):
        row, value = rows.get(kind), figures.get(kind)
        if value is None:
            reason = "" if row is None else ("not measured" if row.ok else shortened_reason(row.status))
            axes.text(0.01 * most, i, reason, fontsize=7, color=INK, va="center", style="italic", parse_math=False)
            continue
        axes.barh(i, value, 0.66, color=colour[row.model], linewidth=0)
        end = value
        if what == "latency_ms":
            end = max(value, row.latency_p75_ms)
            axes.hlines(i, row.latency_p25_ms, row.latency_p75_ms, color=INK, linewidth=1.2)
        axes.text(end + 0.02 * most, i, f"{value:.3g}", fontsize=7, color=INK, va="center")
    axes.set_xlim(0, 1.25 * most)
    axes.xaxis.set_major_locator(_few())


def shortened_reason(reason: str, length: int = 38) -> str:
    """The begin of a reason, cut between words.

    >>> shortened_reason("needs a CUDA device; this is cpu")
    'needs a CUDA device'
    """
    reason = reason.split(";")[0].split(" (")[0]
    return reason if len(reason) <= length else f"{reason[:length].rsplit(' ', 1)[0]} …"


def _kind(row: Row) -> tuple[str, str, str]:
    return row.mode, row.dtype, row.model


def _name(run: list[BlockProfile]) -> str:
    name = shortened(run[0].name)
    return name if len(run) == 1 else f"{name} … {shortened(run[-1].name, 18)} ×{len(run)}"


def _few():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)
