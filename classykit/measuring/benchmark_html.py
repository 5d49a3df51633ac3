"""A benchmark as HTML: readable without a kernel or a script, in a light or a dark theme."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from classykit.measuring.benchmark_text import cells, headings, remarks, title

if TYPE_CHECKING:
    from classykit.measuring.benchmark_report import Benchmark, Row

# Half transparent, so that they are right on white and on black.
_BAR = "#5b9bd555"
_LINE = "#8886"
_LEFT = {"model", "mode", "type"}
_BARS = {"images/s": "images_per_s", "memory": "memory", "of peak": "peak_percent"}


def html_table(benchmark: Benchmark) -> str:
    """The table, with bars relative to the largest figure of a column; of per cents relative to 100."""
    shown = headings(benchmark)
    largest = {
        figure: max([getattr(row, figure) or 0 for row in benchmark.rows], default=0) for figure in _BARS.values()
    }
    largest["peak_percent"] = max(100.0, largest["peak_percent"])
    head = "".join(_cell("th", h, h, f"border-bottom:1px solid {_LINE};" + _room(h)) for h in shown)
    body, before = [], None
    for row in benchmark.rows:
        group = row.dtype, row.mode
        body.append(_row(benchmark, row, shown, largest, before is not None and group != before))
        before = group
    said = "".join(f'<div style="padding:1px 8px">{html.escape(words)}</div>' for words in remarks(benchmark))
    return (
        '<div style="overflow-x:auto;font-size:12px">'
        f'<div style="padding:4px 8px"><b>{html.escape(title(benchmark))}</b></div>'
        '<table style="border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums;margin:0 0 4px">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{said}</div>"
    )


def _row(benchmark: Benchmark, row: Row, shown: list[str], largest: dict[str, float], parted: bool) -> str:
    line = cells(benchmark, row)
    over = f"border-top:1px solid {_LINE};" if parted else ""
    parts = []
    for h in shown:
        if h not in line:
            break
        style = over
        if h in _BARS and row.ok:
            share = 100 * (getattr(row, _BARS[h]) or 0) / (largest[_BARS[h]] or 1)
            style += f"background:linear-gradient({_BAR},{_BAR}) right/{share:.1f}% 76% no-repeat;"
        parts.append(_cell("td", line[h], h, style))
    if not row.ok:
        left = len(shown) - len(parts)
        parts.append(
            f'<td colspan="{left}" style="{over}padding:1px 8px;text-align:left;opacity:.75;max-width:480px">'
            f"{html.escape(row.status)}</td>"
        )
    return f"<tr>{''.join(parts)}</tr>"


def _room(heading: str) -> str:
    return "min-width:84px;" if heading in _BARS else ""


def _cell(tag: str, text: str, heading: str, style: str) -> str:
    side = "left" if heading in _LEFT else "right"
    return f'<{tag} style="{style}padding:1px 8px;text-align:{side};white-space:nowrap">{html.escape(text)}</{tag}>'
