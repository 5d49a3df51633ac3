"""The Explorer as it stands, as plain HTML: for saved notebooks, GitHub, and files of its own."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any

HEIGHT = 120  # px of the map's tallest block
INK = "#808790"  # on light and dark pages alike: an image does not know its page's theme


def snapshot(
    bar: dict[str, Any], block_map: dict[str, Any], predictions: Iterable[dict[str, Any]], code: str,
    pictures: str = "", alone: bool = False,
) -> str:  # fmt: skip
    """One self-contained piece of HTML, without scripts, from the states of the views.

    Args:
        bar, block_map: states of the `ModelBar` and the `BlockMap`.
        predictions, code: the most probable classes, and the code that made all this.
        pictures: HTML to put below the map.
        alone: whether it stands outside of the notebook whose cell makes the live app.
    """
    totals = " · ".join(f"<b>{html.escape(t['value'])}</b> {html.escape(t['label'])}" for t in bar["totals"])
    trained = f"trained · {bar['trained']}" if bar["trained"] else "untrained"
    facts = " · ".join([bar["family"], trained, *bar["facts"]])
    guesses = "".join(
        f'<li style="margin:0">{html.escape(p["label"])} {html.escape(p["value"])}</li>' for p in predictions
    )
    note = "" if alone else '<br><span style="font-size:11px">A snapshot: run the cell for the live app.</span>'
    return (
        '<div style="font-size:13px;line-height:1.5;border:1px solid #8884;border-radius:8px;padding:10px 14px;'
        'overflow-x:auto">'
        f"<b>{html.escape(bar['name'])}</b> <span>{html.escape(facts)}</span><br>{totals}{note}"
        f"{_map(block_map)}"
        + (f'<ol style="margin:4px 0 8px 20px;padding:0">{guesses}</ol>' if guesses else "")
        + pictures
        + f'<pre style="margin:0;padding:8px;background:#8881;white-space:pre">{html.escape(code)}</pre></div>'
    )


def _map(state: dict[str, Any]) -> str:
    """The blocks as bars, in an <img>: notebooks that are not trusted yet, and GitHub, take SVG out of HTML."""
    blocks = state["blocks"]
    if not blocks:
        return ""
    most = max(b["shares"]["macs"] for b in blocks) or 1
    tallest = max(math.log2(b["height"] + 1) for b in blocks) or 1
    parts: list[str] = []
    x = 8.0
    for group, members in groupby(blocks, key=lambda b: b["group"]):
        start = x
        parts.append(_text(x, 12, group, INK))
        for b in members:
            width = max(8.0, min(40.0, math.sqrt(b["width"]) * 1.2))
            height = max(10.0, HEIGHT * math.log2(b["height"] + 1) / tallest) if b["height"] else 10.0
            opacity = 0.2 + 0.8 * b["shares"]["macs"] / most
            parts.append(
                f'<rect x="{x:.1f}" y="{(HEIGHT - height) / 2 + 20:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}" rx="3" fill="#3572b0" fill-opacity="{opacity:.2f}"/>'
            )
            if b["heads"]:
                parts.append(_text(x, HEIGHT + 36, ", ".join(h["label"] for h in b["heads"]), "#c2410c"))
            x += width + 5
        x = max(x, start + 6.5 * len(group)) + 12  # a group is as wide as its heading
    size = f'width="{x:.0f}" height="{HEIGHT + 42}"'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="10">{"".join(parts)}</svg>'
    )
    source = base64.b64encode(svg.encode()).decode()
    return f'<br><img alt="{len(blocks)} blocks" {size} src="data:image/svg+xml;base64,{source}">'


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{html.escape(text)}</text>'
