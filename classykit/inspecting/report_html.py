"""An inspection as HTML: readable without a kernel or a script, in a light or a dark theme."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from classykit.inspecting.report_text import FIGURES, HEADINGS, cells, columns, first_global, folded, title, totals

if TYPE_CHECKING:
    from classykit.inspecting.report import BlockInfo, Inspection

_BAR = "#5b9bd555"  # half transparent, so that it is right on white and on black


def html_table(inspection: Inspection) -> str:
    """The table with bars for each block's share of the parameters, MACs and activations.

    Equal blocks in a row share a line; where there are some, all blocks one by one fold out below.
    """
    runs = folded(inspection.blocks)
    parts = [_table(inspection, runs, caption=True)]
    if inspection.error is not None:
        parts.append(
            '<div role="alert" style="border-left:3px solid #d33;padding:4px 8px;margin:4px 0;white-space:pre-wrap">'
            f"{html.escape(str(inspection.error))}</div>"
        )
    for words in filter(None, [first_global(inspection), inspection.note]):
        parts.append(f'<div style="padding:2px 8px">{html.escape(words)}</div>')
    if len(runs) < len(inspection.blocks):
        every = _table(inspection, [[block] for block in inspection.blocks], caption=False)
        parts.append(f"<details><summary>All {len(inspection.blocks)} rows</summary>{every}</details>")
    return f'<div style="overflow-x:auto;font-size:12px">{"".join(parts)}</div>'


def _table(inspection: Inspection, runs: list[list[BlockInfo]], caption: bool) -> str:
    lines = [cells(run) for run in runs]
    shown = columns(lines)
    whole = {5: inspection.params, 6: inspection.macs, 7: inspection.activation_bytes}
    head = "".join(_cell("th", HEADINGS[i], i) for i in shown)
    body = []
    for run, line in zip(runs, lines, strict=True):
        part = {
            5: sum(b.params for b in run),
            6: sum(b.macs for b in run),
            7: sum(b.activation_bytes for b in run),
        }
        shares = {i: part[i] / whole[i] if whole[i] else 0 for i in part}
        field = run[-1].receptive_field
        tips = {4: str(field) if field is not None else ""}
        tips |= {i: f"{100 * share:.1f} % of the whole" for i, share in shares.items()}
        row = "".join(_cell("td", line[i], i, shares.get(i), tips.get(i, "")) for i in shown)
        body.append(f"<tr>{row}</tr>")
    captioned = (
        f'<caption style="text-align:left;padding:4px 8px"><b>{html.escape(title(inspection))}</b><br>'
        f"{html.escape(totals(inspection))}</caption>"
        if caption
        else ""
    )
    return (
        '<table style="border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums">'
        f"{captioned}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _cell(tag: str, text: str, column: int, share: float | None = None, tip: str = "") -> str:
    style = f"padding:1px 8px;text-align:{'right' if column in FIGURES else 'left'};white-space:nowrap;border:0"
    if share is not None:
        bar = f"linear-gradient({_BAR},{_BAR}) left"
        style += f";min-width:70px;background:{bar}/{100 * share:.1f}% 76% no-repeat"
    title_attribute = f' title="{html.escape(tip)}"' if tip else ""
    return f'<{tag} style="{style}"{title_attribute}>{html.escape(text)}</{tag}>'
