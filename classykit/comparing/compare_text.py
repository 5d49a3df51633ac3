"""A comparison as text: a table that fits a terminal, the first dozen models of many."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classykit import formats
from classykit.features import shape_text

if TYPE_CHECKING:
    from classykit.comparing.compare import Comparison
    from classykit.comparing.compare_stages import Stage

SHOWN = 12  # models that a reader is shown without asking
SIDE_BY_SIDE = 4  # models whose stages are shown in columns
WORDS = {
    "params": "params", "macs": "MACs", "flops": "FLOPs", "activations": "activations", "param_bytes": "weights",
    "activation_bytes": "activations", "blocks": "blocks", "memory": "peak memory",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of the table: what heads it, what it says of a model, and the figure that it shows, if any."""

    heading: str
    of: Callable[[str], str]
    figure: str = ""
    is_difference: bool = False
    flush_right: bool = False


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


def columns(comparison: Comparison) -> list[Column]:
    """What the table shows, as far as there is something to tell."""
    found = [Column("model", lambda n: n)]
    if comparison.budget:
        found.append(Column("budget", lambda n: verdict(comparison, n)))
    if differing_inputs(comparison):
        found.append(Column("input", lambda n: shape_text(comparison[n].input_shape)))
    figures = ["params", "macs", "activation_bytes", *(["memory"] if comparison.shows_memory else [])]
    for c in figures:
        found.append(Column(WORDS[c], lambda n, c=c: with_unit(c, comparison.figure(n, c)), c, flush_right=True))
        if len(comparison) > 1:
            found.append(Column("", lambda n, c=c: _difference(comparison, n, c), c, True, True))
    found.append(Column("blocks", lambda n: str(comparison.figure(n, "blocks")), "blocks", flush_right=True))
    return found


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


def text(comparison: Comparison) -> str:
    """The table as text, without what is least missed where the terminal is too narrow for it."""
    width = max(shutil.get_terminal_size((120, 24)).columns, 40)
    first, rest = first_and_rest(comparison)
    shown, table = _fitting(comparison, first, width)
    rule = "─" * max(map(len, table))
    parts = textwrap.wrap(title(comparison, any(c.is_difference for c in shown)), width)
    if comparison.budget:
        parts += textwrap.wrap(budget_line(comparison), width)
    parts += [rule, table[0], rule, *table[1:], rule]
    if rest:
        parts += textwrap.wrap(f"… and {len(rest)} more: to_pandas() has all; sort= says which come first", width)
    if comparison.failed:
        lines = 4 if len(comparison.failed) < 4 else 1  # of each reason; `failed` has it all
        parts += [f"{len(comparison.failed)} could not be inspected:"]
        parts += _cut([_clipped(f"  {why}", lines * width) for why in reasons(comparison)])
    parts += _cut([_clipped(line, 4 * width) for line in remarks(comparison)])
    stages = _stages(comparison)
    if stages and max(map(len, stages)) <= width:
        parts += ["", *stages]
    return "\n".join(parts)


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"  … and {len(lines) - SHOWN} more"]


def _clipped(line: str, length: int) -> str:
    line = line.replace("\n", " ")
    return line if len(line) <= length else line[: length - 2] + " …"


def _fitting(comparison: Comparison, names: list[str], width: int) -> tuple[list[Column], list[str]]:
    shown = columns(comparison)
    cells = {c: [c.of(n) for n in names] for c in shown}
    dispensable = [
        *(c for c in shown if c.heading in ("blocks", "input")),
        *reversed([c for c in shown if c.figure == "activation_bytes"]),
        *reversed([c for c in shown if c.is_difference and c.figure != "activation_bytes"]),
    ]
    if comparison.budget and max(map(len, _layout(shown, cells))) > width:
        cells[shown[1]] = [verdict(comparison, n, most=1) for n in names]
    while True:
        table = _layout(shown, cells)
        excess = max(map(len, table)) - width
        if excess <= 0:
            return shown, table
        if dispensable:
            shown.remove(dispensable.pop(0))
            continue
        longest = max(map(len, cells[shown[0]]))
        room = max(longest - excess, 16)
        cells[shown[0]] = [n if len(n) <= room else n[: room - 1] + "…" for n in cells[shown[0]]]
        return shown, _layout(shown, cells)


def _layout(shown: list[Column], cells: dict[Column, list[str]]) -> list[str]:
    widths = {c: max(map(len, [c.heading, *cells[c]])) for c in shown}
    rows = [[c.heading for c in shown], *([cells[c][i] for c in shown] for i in range(len(cells[shown[0]])))]
    return [
        "".join(
            ("" if i == 0 else " " if c.is_difference else "  ")
            + (cell.rjust(widths[c]) if c.flush_right else cell.ljust(widths[c]))
            for i, (c, cell) in enumerate(zip(shown, row, strict=True))
        ).rstrip()
        for row in rows
    ]


def stage_cell(stage: Stage | None) -> str:
    """ "6 × 1024×14×14, 1.46 G": blocks, what the last of them gives, MACs."""
    if stage is None:
        return "–"
    shape = shape_text(stage.output_shape) if stage.output_shape is not None else ""
    depth = f"{stage.depth} × {shape}" if shape and stage.depth else str(stage.depth or "")
    return ", ".join(filter(None, [depth, formats.count(stage.macs)]))


def _stages(comparison: Comparison) -> list[str]:
    if not 1 < len(comparison) <= SIDE_BY_SIDE:
        return []
    head = ["stage", *comparison.names]
    rows = [
        [stage, *(stage_cell(of_model.get(n)) for n in comparison.names)]
        for stage, of_model in comparison.aligned.items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
    return ["stages: blocks × output, MACs", lines[0], "─" * max(map(len, lines)), *lines[1:]]
