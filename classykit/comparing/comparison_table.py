"""A comparison as a table: the first dozen models of many, as text that fits a terminal and as HTML."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from classykit import formats
from classykit.features import shape_text
from classykit.tables import Bar, Cell, Column, Line, Table, folded_in, framed, said, terminal_width

if TYPE_CHECKING:
    from classykit.comparing.compare_stages import Stage
    from classykit.comparing.comparison import Comparison

SHOWN = 12  # models that a reader is shown without asking
SIDE_BY_SIDE = 4  # models whose stages are shown in columns
_SIDE_BY_SIDE_IN_HTML = 6
_NAME = 40  # letters of a name in HTML
WORDS = {
    "params": "params", "macs": "MACs", "flops": "FLOPs", "activations": "activations", "param_bytes": "weights",
    "activation_bytes": "activations", "blocks": "blocks", "memory": "peak memory",
}  # fmt: skip


def with_unit(column: str, n: float | None) -> str:
    """A figure for people: 18608032 of param_bytes -> "18.6 MB"."""
    if n is None:
        return "?"
    if column == "blocks":
        return str(n)
    return formats.size(n) if column.endswith("_bytes") or column == "memory" else formats.count(n)


def signed(per_cent: float | None) -> str:
    """12.3 -> "+12 %"; -35 -> "−35 %"; None -> "".

    >>> signed(12.3), signed(-0.5), signed(0)
    ('+12 %', '−0.50 %', '0 %')
    """
    if per_cent is None:
        return ""
    if abs(per_cent) >= 1e4:
        return f"{'+' if per_cent > 0 else '−'}{formats.count(abs(per_cent))} %"
    words = formats.percent(abs(per_cent) / 100)
    if words.startswith("<"):
        return "≈ 0 %"
    return words if words == "0 %" else f"{'+' if per_cent > 0 else '−'}{words}"


def verdict(comparison: Comparison, name: str, most: int = 2) -> str:
    """Whether a model fits the budget, and by how much: the tightest of what fits, the worst of what does not.

    ``most``: how many figures that are over are named.
    """
    over = comparison.over.get(name)
    if over:
        ranked = sorted(over, key=lambda k: over[k], reverse=True)
        more = f" and {len(ranked) - most} more" if len(ranked) > most else ""
        return "over: " + ", ".join(f"{budget_word(k)} {signed(over[k])}" for k in ranked[:most]) + more
    margins = {k: v for k, v in comparison.margins[name].items() if v is not None}
    if len(margins) < len(comparison.budget):
        return "memory not known"
    tightest = max(margins, key=lambda k: margins[k])
    return f"fits: {budget_word(tightest)} {signed(margins[tightest])}"


def budget_word(key: str) -> str:
    """What a figure of a budget is called in a sentence."""
    return "activation bytes" if key == "activation_bytes" else WORDS[key]


def title(comparison: Comparison, differences: bool = True) -> str:
    """How many models, on what input, and what the differences are to where some are shown."""
    number = len(comparison) + len(comparison.failed)
    text = "1 model" if number == 1 else f"{number} models"
    if len(comparison) > 1 and not differing_parts(comparison):
        text += f", {'trunks alone' if comparison.part(comparison.names[0]) == 'trunk' else 'with classifiers'}"
    if not differing_inputs(comparison):
        text += f", input {shape_text(comparison[comparison.names[0]].input_shape)}"
    batch = comparison[comparison.names[0]].batch_size
    text += f", batch of {batch}" if batch > 1 else ""
    return text + (f"; differences are to {comparison.baseline}" if differences and len(comparison) > 1 else "")


def budget_line(comparison: Comparison) -> str:
    """The limits, and how many models are within them."""
    limits = ", ".join(f"{budget_word(k)} ≤ {_limit(k, v)}" for k, v in comparison.budget.items())
    number = len(comparison.fits)
    return f"budget: {limits}; {number} of {len(comparison)} {'fits' if number == 1 else 'fit'}"


def _limit(key: str, limit: float) -> str:
    value, _, unit = with_unit(key, limit).partition(" ")
    return f"{value.rstrip('0').rstrip('.') if '.' in value else value} {unit}".strip()


def differing_inputs(comparison: Comparison) -> bool:
    """Whether the models were inspected on inputs of several shapes."""
    return len({i.input_shape for i in comparison.inspections.values()}) > 1


def differing_parts(comparison: Comparison) -> bool:
    """Whether some are counted with a classifier, and some without."""
    return len({comparison.part(name) for name in comparison.names}) > 1


def table(comparison: Comparison, names: list[str], most: int = 2) -> Table:
    """The models called so, with what there is to tell of them; ``most`` figures beyond the budget are named."""
    several = len(comparison) > 1
    figures = ["params", "macs", "activation_bytes", *(["memory"] if comparison.shows_memory else [])]
    largest = {c: max((comparison.figure(n, c) or 0 for n in names), default=0) or 1 for c in figures}
    columns = [Column("model")]
    cells = [[_name(comparison, n)] for n in names]
    if differing_parts(comparison):
        columns.append(Column("counted"))
        for row, name in zip(cells, names, strict=True):
            row.append(Cell(comparison.part(name)))

    def add(column: Column, of: Callable[[str], Cell]) -> None:
        columns.append(column)
        for line, name in zip(cells, names, strict=True):
            line.append(of(name))

    if comparison.budget:
        add(Column("budget"), lambda n: Cell(verdict(comparison, n, most), bold=n in comparison.fits))
    if differing_inputs(comparison):
        add(Column("input", dispensable=1), lambda n: Cell(shape_text(comparison[n].input_shape)))
    for i, c in enumerate(figures):
        of_activations = c == "activation_bytes"
        add(
            Column(WORDS[c], right=True, dispensable=4 if of_activations else 0),
            lambda n, c=c: Cell(  # type: ignore[misc]
                with_unit(c, comparison.figure(n, c)), (Bar((comparison.figure(n, c) or 0) / largest[c]),)
            ),
        )
        if several:
            last = 3 if of_activations else 4 + len(figures) - i
            add(Column("", True, last, gap=1, quiet=True), lambda n, c=c: Cell(_difference(comparison, n, c)))  # type: ignore[misc]
    add(Column("blocks", right=True, dispensable=2), lambda n: Cell(str(comparison.figure(n, "blocks"))))
    return Table(columns, [Line(line) for line in cells])


def _name(comparison: Comparison, name: str) -> Cell:
    return Cell(name, bold=name == comparison.baseline and len(comparison) > 1)


def _difference(comparison: Comparison, name: str, column: str) -> str:
    return "" if name == comparison.baseline else signed(comparison.difference(name, column))


def remarks(comparison: Comparison) -> list[str]:
    """What is to be said of models that could be inspected, and are in the table."""
    return [f"{n}: {comparison.remark(n)}" for n in comparison.names if comparison.remark(n)]


def first_and_rest(comparison: Comparison) -> tuple[list[str], list[str]]:
    """The models that are shown at once, the baseline among them, and the others."""
    first, rest = list(comparison.names[:SHOWN]), list(comparison.names[SHOWN:])
    if comparison.baseline in rest:
        rest.remove(comparison.baseline)
        first.append(comparison.baseline)
    return (first, rest) if len(rest) > 1 else (list(comparison.names), [])


def reasons(comparison: Comparison) -> list[str]:
    """Why models could not be inspected, each line starting with the model's name."""
    return [why if why.startswith(name) else f"{name}: {why}" for name, why in comparison.failed.items()]


def to_text(comparison: Comparison) -> str:
    """The table as text, without what is least missed where the terminal is too narrow for it."""
    width = terminal_width(least=40)
    first, rest = first_and_rest(comparison)
    shown = _fitting(comparison, first, width)
    parts = textwrap.wrap(title(comparison, any(c.quiet for c in shown.columns)), width)
    if comparison.budget:
        parts += textwrap.wrap(budget_line(comparison), width)
    parts += shown.to_text(shown.width)
    if rest:
        parts += textwrap.wrap(f"… and {len(rest)} more: to_pandas() has all; sort= says which come first", width)
    if comparison.failed:
        lines = 4 if len(comparison.failed) < 4 else 1  # of each reason; `failed` has it all
        parts += [f"{len(comparison.failed)} could not be inspected:"]
        parts += _cut([_clipped(f"  {why}", lines * width) for why in reasons(comparison)])
    parts += _cut([_clipped(line, 4 * width) for line in remarks(comparison)])
    if 1 < len(comparison) <= SIDE_BY_SIDE:
        side_by_side = stages(comparison)
        if side_by_side.width <= width:
            rows = side_by_side.rows()
            rule = "─" * side_by_side.width
            parts += ["", "stages: blocks × output, MACs", rows[0], rule, *rows[1:]]
    return "\n".join(parts)


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"  … and {len(lines) - SHOWN} more"]


def _clipped(line: str, length: int) -> str:
    line = line.replace("\n", " ")
    return line if len(line) <= length else line[: length - 2] + " …"


def _fitting(comparison: Comparison, names: list[str], width: int) -> Table:
    found = table(comparison, names)
    if comparison.budget and found.width > width:
        found = table(comparison, names, most=1)
    found = found.fitted(width)
    excess = found.width - width
    if excess <= 0:
        return found
    room = max(max(map(len, names)) - excess, 16)
    return Table(found.columns, [Line([_shortened(line.cells[0], room), *line.cells[1:]]) for line in found.lines])


def _shortened(cell: Cell, letters: int) -> Cell:
    if len(cell.text) <= letters:
        return cell
    return replace(cell, text=cell.text[: letters - 1] + "…", tip=cell.text)


def stage_cell(stage: Stage | None) -> str:
    """ "6 × 1024×14×14, 1.46 G": blocks, what the last of them gives, MACs."""
    if stage is None:
        return "–"
    shape = shape_text(stage.output_shape) if stage.output_shape is not None else ""
    depth = f"{stage.depth} × {shape}" if shape and stage.depth else str(stage.depth or "")
    return ", ".join(filter(None, [depth, formats.count(stage.macs)]))


def stages(comparison: Comparison) -> Table:
    """The stages, a column a model."""
    return Table(
        [Column("stage"), *map(Column, comparison.names)],
        [
            Line([Cell(stage), *(Cell(stage_cell(of_model.get(n))) for n in comparison.names)])
            for stage, of_model in comparison.aligned.items()
        ],
    )


def to_html(comparison: Comparison) -> str:
    """The first dozen models in an open table, the rest folded in; bars are relative to the largest of a table."""
    first, rest = first_and_rest(comparison)
    lines = [f"<b>{html.escape(title(comparison))}</b>"]
    if comparison.budget:
        lines.append(html.escape(budget_line(comparison)))
    parts = [f'<div style="padding:4px 8px">{"<br>".join(lines)}</div>', _html_table(comparison, first)]
    if rest:
        parts.append(folded_in(f"{len(rest)} more, from {rest[0]} to {rest[-1]}", _html_table(comparison, rest)))
    if comparison.failed:
        why = "".join(
            f'<div style="padding:1px 0;white-space:pre-wrap">{html.escape(why)}</div>' for why in reasons(comparison)
        )
        head = f"{len(comparison.failed)} could not be inspected"
        inner = folded_in(head, why) if len(comparison.failed) > 3 else f"{head}{why}"
        parts.append(f'<div style="border-left:3px solid #d33;padding:2px 8px;margin:6px 0">{inner}</div>')
    parts += map(said, remarks(comparison))
    if 1 < len(comparison) <= _SIDE_BY_SIDE_IN_HTML:
        parts.append(folded_in("Stages side by side: blocks × output, MACs", stages(comparison).to_html()))
    return framed(*parts)


def _html_table(comparison: Comparison, names: list[str]) -> str:
    found = table(comparison, names)
    return Table(
        found.columns, [Line([_shortened(line.cells[0], _NAME), *line.cells[1:]]) for line in found.lines]
    ).to_html()
