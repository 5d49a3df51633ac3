"""How much of the input each block sees."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from classykit.errors import ConfigError
from classykit.features import shape_text
from classykit.plots.style import (
    BLUE,
    INK,
    bands,
    figure_of,
    heading,
    name_ticks,
    place,
    place_labels,
    plain,
    runs,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection

_AXES = {1: ("length",), 2: ("height", "width"), 3: ("time", "height", "width")}


@dataclass(frozen=True)
class _Curve:
    """One axis, or several that are alike: what it is called, the input's extent, and a size a block.

    A size is None where it is unknown; ``is_global`` says where every position sees the same.
    """

    name: str
    unit: str
    extent: int
    sizes: tuple[int | None, ...]
    is_global: tuple[bool, ...]


def receptive_field_curve(inspection: Inspection, *, title: str | None = None) -> Figure:
    """Draw the receptive field over depth, against the input's size.

    Args:
        inspection: as `classykit.inspect` gives it.
        title: the line above; default: the model and its input.

    A disc is the extent of the window of pixels that can change one position of a block's output; above the dashed
    line it is wider than the input. An open square is a block where every position sees the same, usually all; a
    cross at the bottom is one whose field is not known; both are explained below. Height and width are one curve
    where they are alike; a clip's time is a part of its own. The size axis is logarithmic.

    Returns a matplotlib Figure that belongs to no pyplot window. Raises ConfigError for a model whose input has no
    extent, as that of an MLP.

    >>> import classykit
    >>> figure = receptive_field_curve(classykit.inspect("resnet50"))
    >>> figure.axes[0].get_ylabel()
    'height and width (px, log scale)'
    """
    blocks = inspection.trunk
    fields = [b.receptive_field for b in blocks]
    image = next((f.image for f in fields if f is not None), None)
    if image is None:
        raise ConfigError(
            f"{inspection.name} has no receptive field to draw: its input {shape_text(inspection.input_shape)} has no "
            "height, width or time, or no block gives a tensor that comes from it."
        )
    curves = _curves(blocks, image)
    words = _words(blocks)
    width = min(max(0.3 * len(blocks) + 1.2, 5.0), 10.0)
    lines = [line for text in words for line in textwrap.wrap(text, int(width * 14), subsequent_indent="    ")]
    height = 1.1 + 2.2 * len(curves) + 0.16 * len(lines) + 0.2
    figure = figure_of(width, height, heading(inspection, "Receptive field") if title is None else title)
    panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    spans = runs([place(b) for b in blocks])
    for axes, curve in zip(panels, curves, strict=True):
        plain(axes)
        bands(axes, spans)
        _draw(axes, curve)
    panels[-1].set_xlim(-0.5, len(blocks) - 0.5)
    name_ticks(panels[-1], [b.name for b in blocks], width - 1)
    if lines:
        panels[-1].set_xlabel("\n".join(lines), loc="left", fontsize=8, color=INK, parse_math=False)
    for axes, curve in zip(panels, curves, strict=True):
        place_labels(figure, [*axes.texts, *_sizes(axes, curve, spans)])
    return figure


def _curves(blocks: list[BlockInfo], image: tuple[int, ...]) -> list[_Curve]:
    """A curve an axis; those of height and width are one where they are alike."""
    names = _AXES.get(len(image), tuple(f"axis {a}" for a in range(len(image))))
    found: list[_Curve] = []
    for a, name in enumerate(names):
        known = [b.receptive_field if b.receptive_field and b.receptive_field.size else None for b in blocks]
        curve = _Curve(
            name,
            "frames" if name == "time" else "px",
            image[a],
            tuple(None if f is None else f.size[a] for f in known),
            tuple(f is not None and f.stride[a] == 0 for f in known),
        )
        alike = found and replace(found[-1], name=name) == curve
        if alike:
            found[-1] = replace(curve, name=f"{found[-1].name} and {name}")
        else:
            found.append(curve)
    return found


def _draw(axes: Axes, curve: _Curve) -> None:
    from matplotlib.ticker import StrMethodFormatter

    axes.set_yscale("log", base=2)
    sizes = [n for n in curve.sizes if n]
    high = max([curve.extent, *sizes])
    low = min([*sizes, curve.extent])
    bottom = max(low / 1.8, 0.55)
    axes.axhline(curve.extent, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.annotate(f"input: {curve.extent} {curve.unit}", (0.005, curve.extent), (0, 2),
                  xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=7.5, color=INK,
                  va="bottom")  # fmt: skip
    own = [(i, n) for i, n in enumerate(curve.sizes) if n and not curve.is_global[i]]
    whole = [(i, n) for i, n in enumerate(curve.sizes) if n and curve.is_global[i]]
    line = [float("nan") if not n else n for n in curve.sizes]
    axes.plot(range(len(line)), line, color=BLUE, linewidth=1.0, alpha=0.6)
    axes.plot(*_xy(own), "o", color=BLUE, markersize=4)
    axes.plot(*_xy(whole), "s", color=BLUE, markersize=5, markerfacecolor="none")
    unknown = [(i, bottom * 1.15) for i, n in enumerate(curve.sizes) if n is None]
    axes.plot(*_xy(unknown), "x", color=INK, markersize=5)
    axes.set_ylim(bottom, high * (high / bottom) ** 0.16)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylabel(f"{curve.name} ({curve.unit}, log scale)")


def _sizes(axes: Axes, curve: _Curve, spans: list[tuple[str, int, int]]) -> list[Text]:
    """The last size of each stage in figures, the last stage's first: above its disc, or below where a line is."""
    found = []
    for _, start, end in reversed(spans):
        own = [i for i in range(start, end) if curve.sizes[i] and not curve.is_global[i]]
        if own:
            n = curve.sizes[own[-1]]
            following = next((m for m in curve.sizes[own[-1] + 1 :] if m), n)
            below = n <= curve.extent < 1.8 * n or following > 4 * n
            found.append(axes.annotate(
                str(n), (own[-1], n), (0, -5 if below else 5), textcoords="offset points", ha="center",
                va="top" if below else "bottom", fontsize=7.5, color=INK,
            ))  # fmt: skip
    return found


def _xy(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _words(blocks: list[BlockInfo]) -> list[str]:
    """What is global and what is unknown, from which block to which, and why."""
    states = []
    for b in blocks:
        field = b.receptive_field
        if field is None:
            states.append("×  unknown: no tensor that comes from the input")
        elif field.size is None:
            states.append(f"×  unknown: {field.unknown}")
        elif field.global_by:
            states.append(f"□  {'global' if field.is_global else 'partly global'}: {field.global_by}")
        else:
            states.append("")
    found = []
    for state, start, end in runs(states):
        if state:
            mark, _, why = state.partition(": ")
            last = "on" if end == len(blocks) else f"to {blocks[end - 1].name}"
            where = f"in {blocks[start].name}" if end - start == 1 else f"from {blocks[start].name} {last}"
            found.append(f"{mark} {where}: {why}")
    return found
