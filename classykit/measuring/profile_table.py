"""A profile as a table: time beside MACs, block by block; equal blocks in a row share a line."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from classykit import formats
from classykit.features import shape_text
from classykit.inspecting.report_table import names_of_run
from classykit.measuring.benchmark_table import flops_per_s, significant
from classykit.tables import Bar, Cell, Column, Line, Table, folded_in, framed, said, terminal_width

if TYPE_CHECKING:
    from classykit.measuring.profile_report import BlockProfile, Profile

TIME, MACS = "#e07030", "#4a8fd0"  # legible on white and on black


def title(profile: Profile) -> str:
    """The model, its input and where it ran."""
    return f"{profile.name}, input {_shapes(profile.input_shapes)}, on {profile.place}"


def totals(profile: Profile) -> str:
    """The whole pass in a sentence, with what the measuring itself cost."""
    macs = profile.macs
    speed = "" if macs is None else (
        f", {formats.count(macs)} MACs: {flops_per_s(2000 * macs / profile.pass_ms)}"
    )  # fmt: skip
    over = profile.overhead
    hooks = f"{'+' if over >= 0 else '−'}{abs(100 * over):.1f} %"
    return (
        f"{significant(profile.pass_ms)} ms a pass without hooks{speed}; the rows add up to "
        f"{significant(profile.total_ms)} ms, with hooks ({hooks}). Medians of {len(profile.watched_times)} passes."
    )


def remarks(profile: Profile) -> list[str]:
    """Where the figures hold, and what else there is to say."""
    return [
        f"Measured on {profile.machine}. The figures are for this machine, as it was then.",
        *(f"{note.rstrip('.')}." for note in profile.notes),
    ]


_COLUMNS = (
    Column("block"),
    Column("type", dispensable=1),
    Column("time (quartiles)", right=True),
    Column("of time", right=True),
    Column("MACs", right=True, dispensable=4),
    Column("of MACs", right=True, dispensable=6),
    Column("speed", right=True, dispensable=2),
    Column("holds at most", right=True, dispensable=5),
    Column("leaves", right=True, dispensable=3),
)


def table(profile: Profile, runs: Sequence[Sequence[BlockProfile]]) -> Table:
    """A line a run: times and MACs are those of all its blocks together, memory is the most of any."""
    most = max((max(profile.time_share(*run), profile.macs_share(*run)) for run in runs), default=1) or 1
    lines = []
    for run in runs:
        low, high = sum(r.time_p25_ms for r in run), sum(r.time_p75_ms for r in run)
        ms = sum(r.time_ms for r in run)
        macs = None if any(r.macs is None for r in run) else sum(r.macs or 0 for r in run)
        time_share, macs_share = profile.time_share(*run), profile.macs_share(*run)
        bars = Bar(time_share / most, TIME), Bar(macs_share / most, MACS)
        figures = [
            f"{significant(ms)} ms ({significant(low)}–{significant(high)})",
            formats.percent(time_share),
            "?" if macs is None else formats.count(macs),
            "?" if macs is None else formats.percent(macs_share),
            flops_per_s(2000 * macs / ms) if macs else "",
            _size(max((r.peak_memory for r in run if r.peak_memory is not None), default=None)),
            _size(max((r.left for r in run if r.left is not None), default=None)),
        ]
        tip = f"{figures[1]} of the time, {figures[3]} of the MACs"
        block = Cell(names_of_run(run[0].name, run[-1].name, len(run)))
        lines.append(Line([block, Cell(run[0].type, bars, tip), *map(Cell, figures)]))
    return Table(_COLUMNS, lines)


def to_text(profile: Profile) -> str:
    """The table as text, as wide as the terminal at most."""
    width = terminal_width(least=40)
    shown = table(profile, profile.runs()).fitted(width)
    below = [textwrap.fill(t, width, subsequent_indent="  ") for t in (totals(profile), *remarks(profile))]
    return "\n".join([*textwrap.wrap(title(profile), width), *shown.to_text(width), *below])


def to_html(profile: Profile) -> str:
    """The table with two bars a row, on one scale: its share of the time above its share of the MACs.

    Equal blocks in a row share a line; where there are some, all blocks one by one fold out below.
    """
    runs = profile.runs()
    key = f'bars: share of <span style="color:{TIME}">■</span> time, of <span style="color:{MACS}">■</span> MACs'
    caption = f"<b>{html.escape(title(profile))}</b><br>{html.escape(totals(profile))}<br>{key}"
    parts = [table(profile, runs).to_html(caption)]
    if len(runs) < len(profile.rows):
        every = table(profile, [[row] for row in profile.rows]).to_html()
        parts.append(folded_in(f"All {len(profile.rows)} rows", every))
    return framed(*parts, *map(said, remarks(profile)))


def _size(n: int | None) -> str:
    return "–" if n is None else formats.size(n)


def _shapes(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shapes(v)}" for key, v in value.items())
    return shape_text(value) if isinstance(value, tuple) else str(value)
