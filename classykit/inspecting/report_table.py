"""An inspection as a table, in text and HTML: a line a run of equal blocks."""

from __future__ import annotations

import html
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from classykit import formats
from classykit.features import shape_text
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.tables import Bar, Cell, Column, Line, Table, fold, folded_in, framed, said, terminal_width

if TYPE_CHECKING:
    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection


class _Likened(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def like(self) -> str | None: ...


Likened = TypeVar("Likened", bound=_Likened)


def fold_blocks(blocks: Iterable[Likened]) -> list[list[Likened]]:
    """The blocks in order, those that follow each other and are equal (see `BlockInfo.like`) in one list."""
    return fold(blocks, lambda first, block: block.like is not None and block.like in (first.name, first.like))


def names_of_run(first: str, last: str, count: int) -> str:
    """What stands for equal blocks in a row; of long names the last is cut to the parts that differ.

    >>> names_of_run("block2-1", "block2-5", 5), names_of_run("features.denseblock1.1", "features.denseblock1.6", 6)
    ('block2-1 … block2-5 ×5', 'features.denseblock1.1 … 6 ×6')
    """
    if count == 1:
        return first
    if len(first) > 16:
        parts = zip(re.findall(r"[^-.]+[-.]?", first), re.findall(r"[^-.]+[-.]?", last), strict=False)
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], parts)
        last = last[sum(len(part) for part, _ in same) :]
    return f"{first} … {last} ×{count}"


def strides_text(axes: Sequence[float]) -> str:
    """Strides along the axes in words, one where they are the same; "" for none.

    >>> strides_text((2, 2)), strides_text((1, 2, 2)), strides_text((0.5, 0.5))
    ('2', '1×2×2', '1/2')
    """
    words = [f"{n:g}" if n >= 1 else f"1/{1 / n:g}" for n in axes]
    return "×".join(words if len(set(words)) > 1 else words[:1])


def side(field: ReceptiveField | None) -> str:
    """The side of a receptive field in pixels, or "all", or "?"; its own words say more."""
    if field is None:
        return ""
    if field.size is None:
        return "?"
    return "all" if field.is_global else "×".join(map(str, field.size))


def _title(inspection: Inspection) -> str:
    batch = "" if inspection.batch_size == 1 else f", batch of {inspection.batch_size}"
    return f"{inspection.name}, input {inspection.input_text}{batch}"


def _totals(inspection: Inspection) -> str:
    """The totals in one sentence, with their kinds and conventions."""
    text = (
        f"{formats.count(inspection.params)} parameters ({formats.size(inspection.param_bytes)}), "
        f"{formats.count(inspection.macs)} MACs ({formats.count(inspection.flops)} FLOPs), "
        f"{formats.size(inspection.activation_bytes)} of activations"
    )
    if inspection.error is not None:
        text += " until it failed"
    if inspection.uncounted:
        text += "; not counted: " + ", ".join(f"{op} ×{n}" for op, n in inspection.uncounted.items())
    return text


def _first_global(inspection: Inspection) -> str:
    """Which block is the first whose positions see all of the input, in a sentence; "" when none does."""
    for block in inspection.blocks:
        if block.receptive_field is not None and block.receptive_field.is_global:
            return f"From {block.name} on a position sees the whole input: {block.receptive_field.global_by}."
    return ""


_COLUMNS = (
    Column("block"),
    Column("type", dispensable=1),
    Column("output"),
    Column("stride", right=True, dispensable=2),
    Column("sees", right=True, dispensable=4),
    Column("params", right=True),
    Column("MACs", right=True),
    Column("activations", right=True, dispensable=3),
    Column("heads", dispensable=5),
)


def _table(inspection: Inspection, runs: Sequence[Sequence[BlockInfo]]) -> Table:
    """A line a run; its figures are those of all its blocks together, its bars their shares of the whole."""
    lines = []
    for run in runs:
        first, last = run[0], run[-1]

        def share(part: int, whole: int, text: str) -> Cell:
            of_whole = part / whole if whole else 0
            return Cell(text, (Bar(of_whole),), f"{100 * of_whole:.1f} % of the whole")

        params, macs, size = (sum(getattr(b, c) for b in run) for c in ("params", "macs", "activation_bytes"))
        lines.append(
            Line(
                [
                    Cell(names_of_run(first.name, last.name, len(run))),
                    Cell(first.type),
                    Cell(shape_text(first.output_shape)),
                    Cell(first.stride_text),
                    Cell(side(last.receptive_field), tip=str(last.receptive_field or "")),
                    share(params, inspection.params, formats.count(params)),
                    share(macs, inspection.macs, formats.count(macs)),
                    share(size, inspection.activation_bytes, formats.size(size)),
                    Cell(", ".join(first.heads)),
                ]
            )
        )
    if not any(line.cells[-1].text for line in lines):  # no heads
        return Table(_COLUMNS[:-1], [Line(line.cells[:-1]) for line in lines])
    return Table(_COLUMNS, lines)


def text(inspection: Inspection) -> str:
    """As wide as the terminal at most: what there is no room for is left out."""
    width = terminal_width()
    table = _table(inspection, fold_blocks(inspection.blocks)).fitted(width)
    words = [_totals(inspection), inspection.error, _first_global(inspection), inspection.note]
    below = [textwrap.fill(str(w), width, break_long_words=False, break_on_hyphens=False) for w in words if w]
    return "\n".join([_title(inspection), *table.to_text(width), *below])


def html_of(inspection: Inspection) -> str:
    """Bars are shares of the whole. Equal blocks in a row share a line; all, one by one, fold out below."""
    runs = fold_blocks(inspection.blocks)
    caption = f"<b>{html.escape(_title(inspection))}</b><br>{html.escape(_totals(inspection))}"
    parts = [_table(inspection, runs).to_html(caption)]
    if inspection.error is not None:
        parts.append(
            '<div role="alert" style="border-left:3px solid #d33;padding:4px 8px;margin:4px 0;white-space:pre-wrap">'
            f"{html.escape(str(inspection.error))}</div>"
        )
    parts += [said(words) for words in (_first_global(inspection), inspection.note) if words]
    if len(runs) < len(inspection.blocks):
        every = _table(inspection, [[block] for block in inspection.blocks]).to_html()
        parts.append(folded_in(f"All {len(inspection.blocks)} rows", every))
    return framed(*parts)
