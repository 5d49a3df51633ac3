"""The Explorer as it stands, as plain HTML: for saved notebooks, GitHub, and files of its own."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from PIL import Image

from classykit.exploring.scene import Scene
from classykit.plots import feature_film, feature_grid
from classykit.python_code import printable
from classykit.widgets import present

HEIGHT = 120  # px of the map's tallest block
INK = "#808790"  # on light and dark pages alike: an image does not know its page's theme


def snapshot(scene: Scene, alone: bool = False) -> str:
    """What is on the screen as one self-contained piece of HTML, without scripts.

    Args:
        alone: whether it stands outside of the notebook whose cell makes the live app; then it says how long the
            last run took, and shows the block's maps. A saved notebook says the same each time it is run.
    """
    bar = present.bar(scene)
    totals = " · ".join(
        f"<b>{html.escape(t['value'])}</b> {html.escape(t['label'])}"
        for t in bar["totals"]
        if alone or t["label"] != present.LAST_RUN
    )
    trained = f"trained · {bar['trained']}" if bar["trained"] else "untrained"
    facts = " · ".join([bar["family"], trained, *bar["facts"]])
    guesses = "".join(
        f'<li style="margin:0">{html.escape(p["label"])} {html.escape(p["value"])}</li>'
        for p in present.predictions(scene)
    )
    note = "" if alone else '<br><span style="font-size:11px">A snapshot: run the cell for the live app.</span>'
    return (
        '<div style="font-size:13px;line-height:1.5;border:1px solid #8884;border-radius:8px;padding:10px 14px;'
        'overflow-x:auto">'
        f"<b>{html.escape(bar['name'])}</b> <span>{html.escape(facts)}</span><br>{totals}{note}"
        f"{_map(present.block_map(scene)['blocks'])}"
        + (f'<ol style="margin:4px 0 8px 20px;padding:0">{guesses}</ol>' if guesses else "")
        + _pictures(scene, alone)
        + '<pre style="margin:0;padding:8px;background:#8881;white-space:pre">'
        + f"{html.escape(scene.experiment.to_code())}</pre></div>"
    )


def page(scene: Scene) -> str:
    """What is on the screen as a page of its own."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        "<title>classykit</title></head><body style='font-family:system-ui,sans-serif;margin:24px'>"
        f"{snapshot(scene, alone=True)}{scene.inspection._repr_html_()}</body></html>"
    )


def _pictures(scene: Scene, alone: bool) -> str:
    """The block's maps; of a clip a film strip, of its frames before the model has run."""
    maps = scene.maps() if alone or scene.takes_clips else None
    figures: dict[str, Any] = {}
    if maps is not None:
        words: dict[str, Any] = {"order": scene.order, "scale": scene.scale, "known": scene.known}
        if alone:
            step = scene.step(maps.steps)
            when = present.which_frames(step, maps.steps, len(scene.frames))
            title = f"{scene.block} · {when}".removesuffix(" · ")
            figures["feature maps"] = feature_grid(
                scene.features, scene.seen_picture(), title=title, frame=step, **words
            )
        if maps.steps > 1:
            title = f"{scene.block} over time"
            figures["feature maps over time"] = feature_film(scene.features, scene.frames or None, title=title, **words)
    pictures = {
        name: "data:image/png;base64," + base64.b64encode(figure._repr_png_()).decode()
        for name, figure in figures.items()
    }
    if scene.takes_clips and not pictures:
        film = strip(scene.frames)
        pictures[f"the clip: {scene.clip_name}"] = present.data_url(film, film.width)
    return "".join(
        f'<img alt="{html.escape(name)}" style="max-width:100%" src="{source}"><br>'
        for name, source in pictures.items()
    )


def strip(frames: Sequence[Image.Image], count: int = 8, side: int = 88) -> Image.Image:
    """Frames of a clip beside each other: at most ``count``, taken evenly, each at most ``side`` pixels wide."""
    count = min(count, len(frames))
    small = [frames[round(i * (len(frames) - 1) / max(count - 1, 1))].copy() for i in range(count)]
    for frame in small:
        frame.thumbnail((side, side))
    width, height = small[0].size
    film = Image.new("RGB", (count * width, height))
    for i, frame in enumerate(small):
        film.paste(frame, (i * width, 0))
    return film


def _map(blocks: list[dict[str, Any]]) -> str:
    """The blocks as bars, in an <img>: notebooks that are not trusted yet, and GitHub, take SVG out of HTML."""
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
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{html.escape(printable(text))}</text>'
