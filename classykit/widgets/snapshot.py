"""The Explorer as it stands, as plain HTML: for saved notebooks, GitHub, and files of its own."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from classykit.exploring.pixels import data_url
from classykit.exploring.scene import Scene
from classykit.plots import feature_film, feature_grid
from classykit.python_code import printable
from classykit.seeing.feature_maps import FeatureMaps
from classykit.widgets import present

HEIGHT = 120  # px of the map's tallest block
LABELS = 64  # px for the names below
ACCENT = "#d9622b"  # legible on white and on black
INK = "#808790"  # on light and dark pages alike: an image does not know its page's theme


def snapshot(scene: Scene, alone: bool = False) -> str:
    """What is on the screen as one self-contained piece of HTML, without scripts.

    Args:
        alone: whether it stands outside of the notebook whose cell makes the live app; then it says how long the
            last run took. A saved notebook says the same each time it is run.
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
        f"{_map(present.block_map(scene)['blocks'], scene.block)}"
        + (f'<ol style="margin:4px 0 8px 20px;padding:0">{guesses}</ol>' if guesses else "")
        + _pictures(scene, alone)
        + '<pre style="margin:0;padding:8px;background:#8881;white-space:pre">'
        + f"{html.escape(scene.experiment.to_code())}</pre></div>"
    )


def _pictures(scene: Scene, alone: bool) -> str:
    """The block's maps; of a clip a film strip, of its frames before the model has run."""
    maps = scene.maps()
    if maps is not None and not alone and not scene.takes_clips:
        return _sheet_of(scene, maps)
    figures: dict[str, Any] = {}
    if maps is not None:
        words: dict[str, Any] = {"order": scene.ranking, "scale": scene.scale, "known": scene.known}
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
        pictures[f"the clip: {scene.clip_name}"] = data_url(film, film.width)
    return "".join(
        f'<img alt="{html.escape(name)}" style="max-width:100%" src="{source}"><br>'
        for name, source in pictures.items()
    )


def _sheet_of(scene: Scene, maps: FeatureMaps) -> str:
    buffer = io.BytesIO()
    sheet(maps.to_unit()[:, scene.step(maps.steps)]).save(buffer, "PNG", optimize=True)
    source = base64.b64encode(buffer.getvalue()).decode()
    words = f"{scene.block} · {len(maps.channels)} of {maps.total} channels, those of most {scene.order} first"
    if scene.order == "index":
        words = words.split(",")[0]
    return (
        f'<img alt="feature maps of {html.escape(scene.block)}" style="max-width:100%" '
        f'src="data:image/png;base64,{source}"><br><span style="font-size:11px">{html.escape(words)}</span>'
    )


def sheet(maps: Tensor, columns: int = 8, side: int = 56, gap: int = 4) -> Image.Image:
    """Maps (N, h, w) of 0 to 1 side by side in viridis, each ``side`` pixels wide; between them the page shows.

    >>> import torch
    >>> sheet(torch.rand(10, 7, 7)).size
    (476, 116)
    """
    height = max(1, round(side * maps.shape[1] / maps.shape[2]))
    rows = math.ceil(len(maps) / columns)
    size = min(len(maps), columns) * (side + gap) - gap, rows * (height + gap) - gap
    whole = Image.new("P", size, 255)
    for index, values in enumerate((maps * 254).round().to(torch.uint8)):
        row, column = divmod(index, columns)
        small = Image.fromarray(values.numpy()).resize((side, height), Image.Resampling.NEAREST)
        whole.paste(small.convert("L"), (column * (side + gap), row * (height + gap)))
    whole.putpalette(_VIRIDIS)
    whole.info["transparency"] = 255
    return whole


def _viridis() -> list[int]:
    """255 colours between some of matplotlib's, which would take longer to import than all the rest to draw."""
    anchors = (
        "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c "
        "1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"
    )
    some = [bytes.fromhex(anchor) for anchor in anchors.split()]
    colours = []
    for i in range(255):
        at = i / 254 * (len(some) - 1)
        low = min(int(at), len(some) - 2)
        colours += [round(a + (b - a) * (at - low)) for a, b in zip(some[low], some[low + 1], strict=True)]
    return [*colours, 255, 255, 255]


_VIRIDIS = _viridis()


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


def _map(blocks: list[dict[str, Any]], chosen: str) -> str:
    """The blocks as bars with their names, the chosen one marked.

    In an <img>: notebooks that are not trusted yet, and GitHub, take SVG out of HTML.
    """
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
                f'height="{height:.1f}" rx="3" fill="#3572b0" fill-opacity="{opacity:.2f}"'
                + (f' stroke="{ACCENT}" stroke-width="2"/>' if b["name"] == chosen else "/>")
            )
            parts.append(_text(x + width / 2 + 3, HEIGHT + 30, b["label"], ACCENT if b["name"] == chosen else INK, -90))
            if b["heads"]:
                parts.append(_text(x, HEIGHT + 36 + LABELS, ", ".join(h["label"] for h in b["heads"]), ACCENT))
            x += width + 5
        x = max(x, start + 6.5 * len(group)) + 12  # a group is as wide as its heading
    size = f'width="{x:.0f}" height="{HEIGHT + 42 + LABELS}"'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="10">{"".join(parts)}</svg>'
    )
    source = base64.b64encode(svg.encode()).decode()
    return f'<br><img alt="{len(blocks)} blocks" {size} src="data:image/svg+xml;base64,{source}">'


def _text(x: float, y: float, text: str, colour: str, turned: int = 0) -> str:
    """A word; one that is turned ends at its place."""
    turn = f' text-anchor="end" transform="rotate({turned} {x:.0f} {y:.0f})"' if turned else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}"{turn}>{html.escape(printable(text))}</text>'
