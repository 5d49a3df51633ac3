"""The design lab as it stands, as plain HTML: for saved notebooks and pages without a kernel."""

from __future__ import annotations

import base64
import html
import math

from classykit.exploring import lab_shown
from classykit.exploring.lab import Lab
from classykit.widgets.snapshot import ACCENT, INK

_BLUE = "#3572b0"
_WIDTH, _HEIGHT, _EDGE = 620, 240, 46


def snapshot(lab: Lab) -> str:
    """What is on the screen as one self-contained piece of HTML, without scripts."""
    head = lab_shown.head(lab)
    totals = " · ".join(f"<b>{html.escape(t['value'])}</b> {html.escape(t['label'])}" for t in head["totals"])
    return (
        '<div style="font-size:13px;line-height:1.5;border:1px solid #8884;border-radius:8px;padding:10px 14px;'
        'overflow-x:auto">'
        f"<b>Design lab</b> {html.escape(head['name'])}<br>{totals}<br>"
        f"{html.escape(head['verdict'])} {html.escape(lab.refusals())}<br>"
        '<span style="font-size:11px">A snapshot: run the cell for the live app.</span>'
        f"{_scatter(lab)}"
        '<pre style="margin:0;padding:8px;background:#8881;white-space:pre">'
        f"{html.escape(lab.to_code())}</pre></div>"
    )


def _scatter(lab: Lab) -> str:
    """Error over MACs; in an <img>, as notebooks take SVG out of HTML."""
    errors, low, high = lab.errors(), *lab.now.budget
    macs = [net.macs for net in lab.nets] + [low, high]
    least, most = math.log(min(macs)), math.log(max(macs))
    lowest = math.log(max(min(errors.values(), default=0.01), 0.002))

    def x(value: float) -> float:
        return _EDGE + (math.log(value) - least) / max(most - least, 1e-9) * (_WIDTH - _EDGE - 16)

    def y(error: float) -> float:
        return 16 + math.log(max(error, 0.002)) / min(lowest, -0.1) * (_HEIGHT - 56)

    foot = _HEIGHT - 32
    parts = [f'<rect x="{x(low):.1f}" y="12" width="{x(high) - x(low):.1f}" height="{foot - 12}" fill="#88888822"/>']
    for n, net in enumerate(lab.nets):
        colour = ACCENT if n == lab.now.chosen else _BLUE
        if n not in errors:
            parts.append(f'<path d="M{x(net.macs):.1f} {foot}v-7" stroke="{colour}"/>')
            continue
        fill = colour if net.space == 0 else "none"
        opacity = 1 if lab.is_inside(net) else 0.4
        parts.append(f'<circle cx="{x(net.macs):.1f}" cy="{y(errors[n]):.1f}" r="4" fill="{fill}" stroke="{colour}" '
                     f'opacity="{opacity}"/>')  # fmt: skip
    parts.append(f'<path d="M{_EDGE} {foot}H{_WIDTH - 12}" stroke="{INK}"/>')
    ends = (f"{n:.2g}" for n in (math.exp(least) / 1e6, math.exp(most) / 1e6))
    words = f"error over MACs, {' to '.join(ends)} million; both on a logarithm"
    parts.append(f'<text x="{_EDGE}" y="{_HEIGHT - 12}" fill="{INK}">{words}</text>')
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'  # fmt: skip # noqa: E501
    source = base64.b64encode(svg.encode()).decode()
    return f'<br><img alt="{len(lab.nets)} nets, {len(errors)} trained" {size} src="data:image/svg+xml;base64,{source}"><br>'  # fmt: skip # noqa: E501
