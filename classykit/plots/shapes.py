"""Shapes through a network: how positions become fewer, and channels more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from classykit.errors import ConfigError
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, shape_text
from classykit.plots.style import (
    BLUE,
    INK,
    bands,
    figure_of,
    heading,
    in_units,
    name_ticks,
    place,
    place_labels,
    plain,
    runs,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection


def shape_flow(inspection: Inspection, *, title: str | None = None) -> Figure:
    """Draw the shape that each block gives: above, at how many positions; below, how many channels.

    Args:
        inspection: as `classykit.inspect` gives it.
        title: the line above; default: the model and its input.

    Positions are the pixels of a map, over all time steps of a clip's, or the tokens; a vector is one. Both axes
    are logarithmic, so that halving a resolution is a step of the same height everywhere. A model that has only
    vectors gets the lower part alone; blocks whose output is of no known kind leave a gap.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> import classykit
    >>> figure = shape_flow(classykit.inspect("vit_b_16"))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['224×224', '14×14', '197 tokens', 'vector']
    """
    blocks = inspection.trunk
    if not blocks:
        raise ConfigError(f"{inspection.name} has no block to draw: {inspection.error or 'the inspection is empty.'}")
    given, channels, label = _of_input(inspection.input_shape)
    positions = [given, *(_positions(b) for b in blocks)]
    widths = [channels, *(float(b.features.channels) if b.features is not None else math.nan for b in blocks)]
    places = [label, *(place(b) for b in blocks)]
    spans = runs(places)
    only_vectors = all(n == 1 or math.isnan(n) for n in positions)
    width = min(max(0.3 * len(places) + 1.2, 4.5), 10.0)
    figure = figure_of(width, 3.1 if only_vectors else 4.8, heading(inspection, "Shapes") if title is None else title)
    panels = figure.subplots(1 if only_vectors else 2, 1, sharex=True, squeeze=False)[:, 0]
    for axes in panels:
        plain(axes)
        bands(axes, spans)
    if not only_vectors:
        _steps(panels[0], positions)
        panels[0].set_ylabel("positions (log scale)")
    _steps(panels[-1], widths)
    panels[-1].set_ylabel("channels (log scale)")
    panels[-1].set_xlim(-0.5, len(places) - 0.5)
    name_ticks(panels[-1], ["input", *(b.name for b in blocks)], width - 1)
    room = (width - 1) / len(places) / 0.065  # letters that fit above a block
    if not only_vectors:
        place_labels(figure, [_stage_label(panels[0], span, positions, room) for span in spans])
    ends = {b for _, _, b in spans}  # what a stage ends with tells more than what it starts with
    levels = [
        (n, a, b) for n, a, b in runs(widths)
        if not math.isnan(n) and (b in ends or len(f"{n:g}") <= (b - a) * room)
    ]  # fmt: skip
    levels.sort(key=lambda run: (run[2] not in ends, run[1]))
    place_labels(figure, [_above(panels[-1], f"{n:g}", (a + b - 1) / 2, n) for n, a, b in levels])
    return figure


def _of_input(shape: tuple[int, ...]) -> tuple[float, float, str]:
    """Positions and channels of an input, and its resolution in words."""
    if len(shape) == 1:
        return 1.0, float(shape[0]), "vector"
    if len(shape) == 2:
        return float(shape[0]), float(shape[1]), f"{shape[0]} tokens"
    return float(math.prod(shape[1:])), float(shape[0]), shape_text(shape[1:])


def _positions(block: BlockInfo) -> float:
    if block.features is None:
        return math.nan
    if block.features.kind in (MAP2D, MAP3D, SEQUENCE):
        return float(math.prod(block.features.spatial))
    return float(block.features.shape[0]) if block.features.kind == TOKENS else 1.0


def _steps(axes: Axes, values: list[float]) -> None:
    """A filled line of steps on a logarithmic axis, with room for labels above."""
    known = [v for v in values if not math.isnan(v)]
    low, high = min(known, default=1), max(known, default=1)
    base = low / 1.6 if low > 1 else 0.7
    axes.set_yscale("log", base=10)
    # by hand: a step is drawn from half a block before to half a block after
    x = [i + side for i in range(len(values)) for side in (-0.5, 0.5)]
    y = [v for v in values for _ in (0, 1)]
    axes.fill_between(x, y, base, color=BLUE, alpha=0.35, linewidth=0)
    axes.plot(x, y, color=BLUE, linewidth=1.4)
    axes.set_ylim(base, high * (high / base) ** 0.22)
    in_units(axes.yaxis)
    axes.yaxis.set_minor_locator(_none())


def _none():
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _stage_label(axes: Axes, span: tuple[str, int, int], positions: list[float], room: float) -> Annotation:
    """The resolution above its step; what is longer than the step reaches out to the side where the next is lower."""
    words, start, end = span
    label = _above(axes, words, (start + end - 1) / 2, positions[start])
    if len(words) > (end - start) * room:
        falls = end == len(positions) or not positions[end] > positions[start]
        label.set(ha="left" if falls else "right")
        label.xy = (start - 0.45 if falls else end - 0.55, label.xy[1])
    return label


def _above(axes: Axes, text: str, x: float, y: float) -> Annotation:
    y = axes.get_ylim()[0] if math.isnan(y) else y
    return axes.annotate(text, (x, y), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=7.5,
                         color=INK)  # fmt: skip
