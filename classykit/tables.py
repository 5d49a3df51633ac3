"""One table of figures: as text that fits the terminal, and as HTML with bars beside the figures."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Thing = TypeVar("Thing")

BAR = "#5b9bd5"  # legible on white and on black
_LINE = "#8886"
_BAR_PX = 40


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        heading: what stands above it.
        right: whether it is set flush right, as figures are.
        dispensable: 0 for what is always shown; else it is left out where room is short, 1 first.
        gap: blanks before it.
        quiet: whether it says something of the column before, and is set paler.
    """

    heading: str
    right: bool = False
    dispensable: int = 0
    gap: int = 2
    quiet: bool = False


@dataclass(frozen=True)
class Bar:
    """A bar beside a figure: its length as a share of the longest, from 0 to 1."""

    share: float
    colour: str = BAR


@dataclass(frozen=True)
class Cell:
    """What stands in one place: a text, in HTML with bars beside it, a hint and weight."""

    text: str
    bars: tuple[Bar, ...] = ()
    tip: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Line:
    """One row: its cells, and words that take the place of those that are missing.

    ``parted`` draws a line above it in HTML.
    """

    cells: Sequence[Cell]
    words: str = ""
    parted: bool = False


def terminal_width(least: int = 0) -> int:
    """Letters in a line of the terminal, 120 where there is none."""
    return max(shutil.get_terminal_size((120, 24)).columns, least)


def fold(things: Iterable[Thing], same: Callable[[Thing, Thing], bool]) -> list[list[Thing]]:
    """Things that follow each other and are the ``same`` as the first of their run, in one list.

    >>> fold([1, 1, 2, 1], int.__eq__)
    [[1, 1], [2], [1]]
    """
    runs: list[list[Thing]] = []
    for thing in things:
        if runs and same(runs[-1][0], thing):
            runs[-1].append(thing)
        else:
            runs.append([thing])
    return runs


@dataclass(frozen=True)
class Table:
    """Columns and lines."""

    columns: Sequence[Column]
    lines: Sequence[Line]

    def fitted(self, width: int) -> Table:
        """Without the columns that are least missed, as far as the text is wider than ``width``."""
        table = self
        for column in sorted((c for c in self.columns if c.dispensable), key=lambda c: c.dispensable):
            if table.width <= width:
                break
            kept = [i for i, c in enumerate(table.columns) if c is not column]
            table = Table(
                [table.columns[i] for i in kept],
                [Line([line.cells[i] for i in kept if i < len(line.cells)], line.words) for line in table.lines],
            )
        return table

    @property
    def width(self) -> int:
        """Letters in the longest row of the text, words in place of cells left out."""
        return max(map(len, Table(self.columns, [Line(line.cells) for line in self.lines]).rows()))

    def rows(self) -> list[str]:
        """The text row by row, the headings first.

        >>> Table([Column("block"), Column("MACs", right=True)], [Line([Cell("stem"), Cell("1 M")])]).rows()
        ['block  MACs', 'stem    1 M']
        """
        heads = Line([Cell(column.heading) for column in self.columns])
        widths = [
            max(len(line.cells[i].text) for line in (heads, *self.lines) if i < len(line.cells))
            for i in range(len(self.columns))
        ]
        rows = []
        for line in (heads, *self.lines):
            row = ""
            for i, (column, cell, width) in enumerate(zip(self.columns, line.cells, widths, strict=False)):
                text = cell.text.rjust(width) if column.right else cell.text.ljust(width)
                row += " " * (column.gap if i else 0) + text
            rows.append(f"{row}  {line.words}".rstrip() if line.words else row.rstrip())
        return rows

    def to_text(self, width: int | None = None) -> list[str]:
        """The rows with rules around them, as wide as the terminal at most: what has no room is cut."""
        width = terminal_width() if width is None else width
        rows = [row if len(row) <= width else row[: width - 1] + "…" for row in self.rows()]
        rule = "─" * max(map(len, rows))
        return [rule, rows[0], rule, *rows[1:], rule]

    def to_html(self, caption: str = "") -> str:
        """A table whose bars stand in cells of their own, so that no page's style brings them under the figures.

        ``caption`` is HTML. Texts are escaped, and never broken.
        """
        barred = [
            any(i < len(line.cells) and line.cells[i].bars for line in self.lines) for i in range(len(self.columns))
        ]
        below = f"border-bottom:1px solid {_LINE}"
        head = "".join(
            _td("th", html.escape(c.heading), c, below) + f'<th style="border:0;{below}"></th>' * bars
            for c, bars in zip(self.columns, barred, strict=True)
        )
        body = []
        for line in self.lines:
            over = f"border-top:1px solid {_LINE}" if line.parted else ""
            parts = []
            for column, cell, bars in zip(self.columns, line.cells, barred, strict=False):
                style = ";".join(filter(None, [over, "font-weight:600" if cell.bold else ""]))
                parts.append(_td("td", html.escape(cell.text), column, style, tip=cell.tip))
                if bars:
                    parts.append(_bars(cell, over))
            if line.words:
                left = sum(1 + bars for bars in barred) - sum(1 + bars for bars in barred[: len(line.cells)])
                style = (
                    f"padding:1px 8px;border:0;text-align:left;white-space:normal;opacity:.75;max-width:480px;{over}"
                )
                parts.append(f'<td colspan="{max(left, 1)}" style="{style};{over}">{html.escape(line.words)}</td>')
            body.append(f"<tr>{''.join(parts)}</tr>")
        # the words above fold where the page is narrow, the table scrolls sideways
        above = f'<div style="padding:4px 8px">{caption}</div>' if caption else ""
        return (
            f'{above}<div style="overflow-x:auto"><table style="border-collapse:collapse;width:auto;table-layout:auto;'
            'font-size:12px;margin:0 0 4px;font-variant-numeric:tabular-nums">'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        )


def framed(*parts: str) -> str:
    """Pieces of HTML below each other, in one look."""
    return f'<div style="font-size:12px;line-height:1.4">{"".join(parts)}</div>'


def said(words: str) -> str:
    """A sentence below a table, as HTML."""
    return f'<div style="padding:2px 8px">{html.escape(words)}</div>'


def folded_in(summary: str, inner: str) -> str:
    """HTML that is shown when the reader asks for it."""
    return f'<details><summary style="padding:2px 8px;cursor:pointer">{html.escape(summary)}</summary>{inner}</details>'


def _td(tag: str, text: str, column: Column, more: str, tip: str = "") -> str:
    # whatever a front end's own style wants of cells; short, because a hundred models have a thousand cells
    style = "padding:1px 8px;border:0;white-space:nowrap;text-align:" + ("right" if column.right else "left")
    if column.quiet:
        style += ";padding-left:0;opacity:.8"
    hint = f' title="{html.escape(tip)}"' if tip else ""
    return f'<{tag}{hint} style="{style}{more and ";" + more}">{text}</{tag}>'


def _bars(cell: Cell, more: str) -> str:
    height = 9 if len(cell.bars) == 1 else 5
    drawn = "".join(
        f'<div style="background:{bar.colour};height:{height}px;margin:1px 0;width:{_BAR_PX * bar.share:.0f}px"></div>'
        for bar in cell.bars
    )
    return f'<td style="padding:0 8px 0 0;border:0;min-width:{_BAR_PX}px{more and ";" + more}">{drawn}</td>'
