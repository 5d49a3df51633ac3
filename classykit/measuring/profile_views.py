"""A profile as text and as HTML: time beside MACs, block by block; equal blocks in a row share a line."""

from __future__ import annotations

import html
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from classykit import formats
from classykit.features import shape_text
from classykit.measuring.benchmark_text import flops_per_s, significant

if TYPE_CHECKING:
    from classykit.measuring.profile_report import BlockProfile, Profile

TIME, MACS = "#e07030", "#4a8fd0"  # legible on white and on black
_HEADINGS = ("block", "type", "time (quartiles)", "of time", "MACs", "of MACs", "speed", "holds at most", "leaves")
_LEFT = {"block", "type"}
_LINE = "#8886"
_BARS = 110  # pixels of the longest bar


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


def cells(profile: Profile, run: Sequence[BlockProfile]) -> dict[str, str]:
    """A line of the table: times and MACs of a run are those of all its blocks together, memory the most of any."""
    first, last = run[0], run[-1]
    low, high = sum(r.time_p25_ms for r in run), sum(r.time_p75_ms for r in run)
    ms = sum(r.time_ms for r in run)
    macs = None if any(r.macs is None for r in run) else sum(r.macs for r in run)
    return {
        "block": first.name if len(run) == 1 else f"{first.name} … {last.name} ×{len(run)}",
        "type": first.type,
        "time (quartiles)": f"{significant(ms)} ms ({significant(low)}–{significant(high)})",
        "of time": formats.percent(profile.time_share(*run)),
        "MACs": "?" if macs is None else formats.count(macs),
        "of MACs": "?" if macs is None else formats.percent(profile.macs_share(*run)),
        "speed": flops_per_s(2000 * macs / ms) if macs else "",
        "holds at most": _size(max((r.peak_memory for r in run if r.peak_memory is not None), default=None)),
        "leaves": _size(max((r.left for r in run if r.left is not None), default=None)),
    }


def text(profile: Profile) -> str:
    """The table as text; without the column of types where the terminal is too narrow for it."""
    lines = [cells(profile, run) for run in profile.runs()]
    width = shutil.get_terminal_size((120, 24)).columns
    table = _layout(lines, list(_HEADINGS))
    if max(map(len, table)) > width:
        table = _layout(lines, [h for h in _HEADINGS if h != "type"])
    rule = "─" * max(map(len, table))
    below = [textwrap.fill(t, max(width, 60), subsequent_indent="  ") for t in (totals(profile), *remarks(profile))]
    return "\n".join([title(profile), rule, table[0], rule, *table[1:], rule, *below])


def html_table(profile: Profile) -> str:
    """The table with two bars a row, on one scale: its share of the time above its share of the MACs.

    Equal blocks in a row share a line; where there are some, all blocks one by one fold out below.
    """
    runs = profile.runs()
    parts = [
        f'<div style="padding:4px 8px"><b>{html.escape(title(profile))}</b><br>{html.escape(totals(profile))}</div>',
        _table(profile, runs),
    ]
    if len(runs) < len(profile.rows):
        parts.append(
            f'<details><summary style="padding:2px 8px;cursor:pointer">All {len(profile.rows)} rows</summary>'
            f"{_table(profile, [[row] for row in profile.rows])}</details>"
        )
    parts += [f'<div style="padding:1px 8px">{html.escape(words)}</div>' for words in remarks(profile)]
    return f'<div style="overflow-x:auto;font-size:12px">{"".join(parts)}</div>'


def _table(profile: Profile, runs: list[list[BlockProfile]]) -> str:
    most = max((max(profile.time_share(*run), profile.macs_share(*run)) for run in runs), default=1) or 1
    key = (
        f'share of <span style="color:{TIME}">■</span> time and '
        f'<span style="color:{MACS}">■</span> MACs'
    )  # fmt: skip
    head = "".join(
        _cell("th", html.escape(h), h, f"border-bottom:1px solid {_LINE};")
        + (_cell("th", key, "block", f"border-bottom:1px solid {_LINE};") if h == "type" else "")
        for h in _HEADINGS
    )
    body = []
    for run in runs:
        line = cells(profile, run)
        time, macs = profile.time_share(*run), profile.macs_share(*run)
        tip = f"{line['of time']} of the time, {line['of MACs']} of the MACs"
        bars = f'<div title="{html.escape(tip)}">{_bar(time / most, TIME)}{_bar(macs / most, MACS)}</div>'
        row = "".join(
            _cell("td", html.escape(line[h]), h) + (_cell("td", bars, "block") if h == "type" else "")
            for h in _HEADINGS
        )
        body.append(f"<tr>{row}</tr>")
    return (
        '<table style="border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums;margin:0 0 4px">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _bar(share: float, colour: str) -> str:
    return f'<div style="background:{colour};height:5px;margin:1px 0;width:{_BARS * share:.1f}px"></div>'


def _cell(tag: str, content: str, heading: str, style: str = "") -> str:
    side = "left" if heading in _LEFT else "right"
    return f'<{tag} style="{style}padding:1px 6px;text-align:{side};white-space:nowrap">{content}</{tag}>'


def _layout(lines: list[dict[str, str]], shown: list[str]) -> list[str]:
    widths = {h: max(len(h), *(len(line[h]) for line in lines)) for h in shown}
    return [
        "  ".join(line[h].ljust(widths[h]) if h in _LEFT else line[h].rjust(widths[h]) for h in shown).rstrip()
        for line in [dict(zip(shown, shown, strict=True)), *lines]
    ]


def _size(n: int | None) -> str:
    return "–" if n is None else formats.size(n)


def _shapes(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shapes(v)}" for key, v in value.items())
    return shape_text(value) if isinstance(value, tuple) else str(value)
