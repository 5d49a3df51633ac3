"""An inspection as text: a table that fits a terminal, equal blocks in a row folded into one line."""

from __future__ import annotations

import itertools
import re
import shutil
import textwrap
from typing import TYPE_CHECKING

from classykit import formats
from classykit.features import shape_text

if TYPE_CHECKING:
    from classykit.inspecting.receptive.receptive_field import ReceptiveField
    from classykit.inspecting.report import BlockInfo, Inspection

HEADINGS = ("block", "type", "output", "stride", "sees", "params", "MACs", "activations", "heads")
FIGURES = {3, 4, 5, 6, 7}  # columns that are set flush right


def title(inspection: Inspection) -> str:
    batch = "" if inspection.batch_size == 1 else f", batch of {inspection.batch_size}"
    return f"{inspection.name}, input {shape_text(inspection.input_shape)}{batch}"


def totals(inspection: Inspection) -> str:
    """The totals in one sentence, with their kinds and conventions."""
    text = (
        f"{formats.count(inspection.params)} parameters ({formats.size(inspection.param_bytes)}), "
        f"{formats.count(inspection.macs)} MACs ({formats.count(inspection.flops)} FLOPs), "
        f"{formats.size(inspection.activation_bytes)} of activations"
    )
    if inspection.error is not None:
        text += ", until it failed"
    if inspection.uncounted:
        text += "; not counted: " + ", ".join(f"{op} ×{n}" for op, n in inspection.uncounted.items())
    return text


def folded(blocks: tuple[BlockInfo, ...]) -> list[list[BlockInfo]]:
    """The blocks in order, those that follow each other and are equal (see `BlockInfo.like`) in one list."""
    runs: list[list[BlockInfo]] = []
    for block in blocks:
        first = runs[-1][0] if runs else None
        if first is not None and block.like is not None and block.like in (first.name, first.like):
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def cells(run: list[BlockInfo]) -> tuple[str, ...]:
    """A line of the table: the figures of a run are those of all its blocks together."""
    first = run[0]
    return (
        _names(first.name, run[-1].name, len(run)),
        first.type,
        shape_text(first.output_shape),
        "" if first.stride is None else f"{first.stride:g}",
        sees(run[-1].receptive_field),
        formats.count(sum(b.params for b in run)),
        formats.count(sum(b.macs for b in run)),
        formats.size(sum(b.activation_bytes for b in run)),
        ", ".join(first.heads),
    )


def _names(first: str, last: str, count: int) -> str:
    """ "block2-1 … block2-5 ×5"; of long names the last is cut to the parts that differ."""
    if count == 1:
        return first
    if len(first) > 16:
        parts = zip(re.findall(r"[^-.]+[-.]?", first), re.findall(r"[^-.]+[-.]?", last), strict=False)
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], parts)
        last = last[sum(len(part) for part, _ in same) :]
    return f"{first} … {last} ×{count}"


def sees(field: ReceptiveField | None) -> str:
    """The side of a receptive field in pixels, or "all", or "?"; its own words say more."""
    if field is None:
        return ""
    if field.size is None:
        return "?"
    return "all" if field.is_global else "×".join(map(str, field.size))


def first_global(inspection: Inspection) -> str:
    """Which block is the first whose positions see all of the input, in a sentence; "" when none does."""
    for block in inspection.blocks:
        if block.receptive_field is not None and block.receptive_field.is_global:
            return f"From {block.name} on a position sees the whole input: {block.receptive_field.global_by}."
    return ""


def columns(lines: list[tuple[str, ...]]) -> list[int]:
    """Which columns have something to show: that of the heads only when there are some."""
    return [i for i in range(len(HEADINGS)) if HEADINGS[i] != "heads" or any(line[i] for line in lines)]


def text(inspection: Inspection) -> str:
    """The table as text, as wide as the terminal at most: what there is no room for is left out."""
    width = shutil.get_terminal_size((120, 24)).columns
    lines = [cells(run) for run in folded(inspection.blocks)]
    shown = columns(lines)
    table = _layout(lines, shown)
    for heading in ("type", "stride", "activations", "sees", "heads"):
        if max(map(len, table)) <= width:
            break
        shown = [i for i in shown if HEADINGS[i] != heading]
        table = _layout(lines, shown)
    table = [line if len(line) <= width else line[: width - 1] + "…" for line in table]
    rule = "─" * max(map(len, table))
    words = [totals(inspection), inspection.error, first_global(inspection), inspection.note]
    said = [textwrap.fill(str(w), width, break_long_words=False, break_on_hyphens=False) for w in words if w]
    return "\n".join([title(inspection), rule, table[0], rule, *table[1:], rule, *said])


def _layout(lines: list[tuple[str, ...]], shown: list[int]) -> list[str]:
    widths = {i: max(len(line[i]) for line in [HEADINGS, *lines]) for i in shown}
    return [
        "  ".join(line[i].rjust(widths[i]) if i in FIGURES else line[i].ljust(widths[i]) for i in shown).rstrip()
        for line in [HEADINGS, *lines]
    ]
