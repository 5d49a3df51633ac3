"""The Explorer as it stands, as plain HTML: for saved notebooks, GitHub, and files of its own."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Any

HEIGHT = 120  # px of the map's tallest block


def snapshot(
    bar: dict[str, Any], block_map: dict[str, Any], predictions: Iterable[dict[str, Any]], code: str, extra: str = ""
) -> str:
    """One self-contained piece of HTML, without scripts, from the states of the views."""
    totals = " · ".join(f"<b>{html.escape(t['value'])}</b> {html.escape(t['label'])}" for t in bar["totals"])
    trained = f"trained · {bar['trained']}" if bar["trained"] else "untrained"
    facts = " · ".join([bar["family"], trained, *bar["facts"]])
    guesses = "".join(
        f'<li style="margin:0">{html.escape(p["label"])} {html.escape(p["value"])}</li>' for p in predictions
    )
    return (
        '<div style="font-size:13px;line-height:1.5;border:1px solid #8884;border-radius:8px;padding:10px 14px;'
        'overflow-x:auto">'
        f"<b>{html.escape(bar['name'])}</b> <span>{html.escape(facts)}</span><br>{totals}"
        f"{_map(block_map)}"
        + (f'<ol style="margin:4px 0 8px 20px;padding:0">{guesses}</ol>' if guesses else "")
        + extra
        + f'<pre style="margin:0;padding:8px;background:#8881;white-space:pre">{html.escape(code)}</pre></div>'
    )


def _map(state: dict[str, Any]) -> str:
    blocks = state["blocks"]
    most = max((b["shares"]["macs"] for b in blocks), default=0) or 1
    tallest = max((math.log2(b["height"] + 1) for b in blocks), default=0) or 1
    x, group, parts = 8.0, None, []
    for b in blocks:
        if b["group"] != group:
            x += 12 if group is not None else 0
            group = b["group"]
            parts.append(f'<text x="{x:.0f}" y="12" font-size="10" fill="currentColor">{html.escape(group)}</text>')
        width = max(8.0, min(40.0, math.sqrt(b["width"]) * 1.2))
        height = max(14.0, HEIGHT * math.log2(b["height"] + 1) / tallest) if b["height"] else 26.0
        opacity = 0.2 + 0.8 * b["shares"]["macs"] / most
        about = html.escape(f"{b['name']}: {b['type']}, {b['shape']}, {b['values']['macs']} MACs")
        parts.append(
            f'<rect x="{x:.1f}" y="{(HEIGHT - height) / 2 + 20:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="3" fill="#3572b0" fill-opacity="{opacity:.2f}"><title>{about}</title></rect>'
        )
        label = html.escape(", ".join(h["label"] for h in b["heads"]))
        if label:
            parts.append(f'<text x="{x:.0f}" y="{HEIGHT + 48}" font-size="10" fill="#c2410c">{label}</text>')
        x += width + 5
        heading = 7 * len(group)  # a group is as wide as its heading
        if blocks[-1] is b or blocks[blocks.index(b) + 1]["group"] != group:
            start = next(p for p in reversed(parts) if p.startswith("<text") and 'y="12"' in p)
            x = max(x, float(start.split('"')[1]) + heading)
    return (
        f'<svg width="{x + 8:.0f}" height="{HEIGHT + 54}" role="img" aria-label="Architecture" '
        f'style="display:block;margin:8px 0">{"".join(parts)}</svg>'
    )
