"""A comparison as HTML: readable without a kernel or a script, in a light or a dark theme."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from classykit.comparing.compare_text import (
    Column,
    budget_line,
    columns,
    first_and_rest,
    reasons,
    remarks,
    stage_cell,
    title,
)

if TYPE_CHECKING:
    from classykit.comparing.compare import Comparison

# Half transparent, so that they are right on white and on black.
_BAR = "#5b9bd555"
_LINE = "#8886"
_SIDE_BY_SIDE = 6  # models whose stages are shown in columns
_BAR_WIDTH = "64px"
_NAME = 40  # letters of a name
_PAD = "padding:1px 8px"
_TABLE = (
    '<table style="border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums;text-align:right;'
    'margin:0">'
)


def html_table(comparison: Comparison) -> str:
    """The first dozen models in an open table, the rest folded in; bars are relative to the largest of a table."""
    shown = columns(comparison)
    first, rest = first_and_rest(comparison)
    lines = [f"<b>{html.escape(title(comparison))}</b>"]
    if comparison.budget:
        lines.append(html.escape(budget_line(comparison)))
    parts = [
        f'<div style="padding:4px 8px">{"<br>".join(lines)}</div>',
        _table(comparison, shown, first),
    ]
    if rest:
        more = _table(comparison, shown, rest)
        parts.append(_fold(f"{len(rest)} more, from {rest[0]} to {rest[-1]}", more))
    if comparison.failed:
        lines = "".join(
            f'<div style="padding:1px 0;white-space:pre-wrap">{html.escape(why)}</div>' for why in reasons(comparison)
        )
        head = f"{len(comparison.failed)} could not be inspected"
        inner = _fold(head, lines) if len(comparison.failed) > 3 else f"{head}{lines}"
        parts.append(f'<div style="border-left:3px solid #d33;padding:2px 8px;margin:6px 0">{inner}</div>')
    said = "<br>".join(html.escape(line) for line in remarks(comparison))
    if said:
        parts.append(f'<div style="padding:2px 8px">{said}</div>')
    if 1 < len(comparison) <= _SIDE_BY_SIDE:
        parts.append(_fold("Stages side by side: blocks × output, MACs", _stages(comparison)))
    return f'<div style="overflow-x:auto;font-size:12px">{"".join(parts)}</div>'


def _fold(summary: str, content: str) -> str:
    return (
        f'<details style="margin:4px 0"><summary style="padding:2px 8px;cursor:pointer">{html.escape(summary)}'
        f"</summary>{content}</details>"
    )


def _table(comparison: Comparison, shown: list[Column], names: list[str]) -> str:
    head = "".join(_heading(c.heading, c.flush_right, f";min-width:{_BAR_WIDTH}" if _has_bar(c) else "") for c in shown)
    largest = {c.figure: max(comparison.figure(n, c.figure) or 0 for n in names) for c in shown if _has_bar(c)}
    body = "".join("<tr>" + "".join(_cell(comparison, c, name, largest) for c in shown) + "</tr>" for name in names)
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _has_bar(column: Column) -> bool:
    return column.figure not in ("", "blocks") and not column.is_difference


def _heading(words: str, flush_right: bool = False, style: str = "") -> str:
    side = "right" if flush_right else "left"
    return f'<th style="{_PAD};text-align:{side};border-bottom:1px solid {_LINE}{style}">{_unbroken(words)}</th>'


def _cell(comparison: Comparison, column: Column, name: str, largest: dict[str, int]) -> str:
    """A cell; styles are short, because a hundred models have a thousand cells."""
    text, style, attributes = column.of(name), _PAD, ""
    if not column.flush_right:
        style += ";text-align:left"
    if column.is_difference:
        style += ";padding-left:5px;opacity:.8"
    elif _has_bar(column):
        share = 100 * (comparison.figure(name, column.figure) or 0) / (largest[column.figure] or 1)
        style += f";background:linear-gradient({_BAR},{_BAR}) left/{share:.0f}% 76% no-repeat"
    elif (column.heading == "model" and name == comparison.baseline and len(comparison) > 1) or (
        column.heading == "budget" and name in comparison.fits
    ):
        style += ";font-weight:600"
    if column.heading == "model" and len(text) > _NAME:
        text, attributes = text[: _NAME - 1] + "…", f' title="{html.escape(text)}"'
    return f'<td style="{style}"{attributes}>{_unbroken(text)}</td>'


def _unbroken(text: str) -> str:
    """Escaped, on one line: no-break spaces are shorter than a style in each cell."""
    return html.escape(text).replace(" ", "\u00a0")


def _stages(comparison: Comparison) -> str:
    head = "".join(map(_heading, ("stage", *comparison.names)))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_PAD};text-align:left">{_unbroken(text)}</td>'
            for text in (stage, *(stage_cell(of_model.get(n)) for n in comparison.names))
        )
        + "</tr>"
        for stage, of_model in comparison.aligned.items()
    )
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
