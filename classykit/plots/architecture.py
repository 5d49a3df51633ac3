"""The whole network as one picture, as the Explorer draws it: height for resolution, width for channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from classykit.errors import ConfigError, quoted, suggest
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, shape_text
from classykit.inspecting.block_info import REST, UNUSED
from classykit.inspecting.report_table import fold_blocks, names_of_run
from classykit.plots.style import ACCENT, BLUE, INK, UNITS, figure_of, heading, place, runs, shortened, tick_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection

GAP, GROUP_GAP = 0.35, 1.0  # between blocks, and between resolutions: a block of 32 channels is about 1 wide
SHADES = 0.15, 0.95  # how much of the colour the least and the most of it has


def architecture(inspection: Inspection, *, color: str = "macs", title: str | None = None) -> Figure:
    """Draw every block in forward order: as high as its resolution, as wide as its channels, as dark as it costs.

    Args:
        inspection: as `classykit.inspect` gives it.
        color: "params", "macs", "flops", "activations" or "activation_bytes": the darkest block has the most of it.
        title: the line above; default: the model and its input.

    Equal blocks that follow each other are drawn once, with their number; below each stand its name and the shape
    that it gives. Heights are logarithmic, widths as the square root. Heads stand above their blocks. Saved as SVG or
    PDF, its words stay text.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> import classykit
    >>> figure = architecture(classykit.inspect("resnet18"))
    >>> len(figure.axes[0].patches)
    8
    """
    if color not in UNITS:
        raise ConfigError(f"color is one of {', '.join(UNITS)}, not {quoted(color)}.{suggest(color, UNITS)}")
    blocks = [block for block in inspection.trunk if block.name not in (REST, UNUSED)]
    if not blocks:
        raise ConfigError(f"{inspection.name} has no block to draw: {inspection.error or 'the inspection is empty.'}")
    piles = fold_blocks(blocks)
    places = _across(piles)
    whole = places[-1][0] + places[-1][1]
    title = heading(inspection, "Architecture") if title is None else title
    figure = figure_of(min(max(0.3 * whole + 1.0, 5.0), 14.0), 4.0, title)
    axes = figure.subplots()
    axes.set_axis_off()
    most = max(getattr(block, color) for block in blocks) or 1
    low = -max(_height(block) for block in blocks) / 2 - 0.4
    for pile, (x, width) in zip(piles, places, strict=True):
        _draw(axes, pile, x, width, low, getattr(pile[0], color) / most)
    _name_groups(axes, [place(pile[0]) for pile in piles], places)
    ends = [-GROUP_GAP, *(x + width for x, width in places)]
    for end, (x, _) in zip(ends, places, strict=False):  # between blocks alone: they are no more than tinted
        axes.plot([end, x], [0, 0], color=INK, linewidth=0.8, alpha=0.5)
    axes.text(
        -GROUP_GAP, 0, f"input\n{shape_text(inspection.input_shape)} ", ha="right", va="center", fontsize=7, color=INK
    )
    axes.set(xlim=(-GROUP_GAP - 2.5, whole + GROUP_GAP), ylim=(low - 6.0, 7.4))
    dark = f"darkest: {tick_text(color, most)} {UNITS[color][0]}"
    axes.text(whole, 7.3, f"height: resolution · width: channels · {dark}", ha="right", va="top", fontsize=7, color=INK)
    return figure


def _across(piles: list[list[BlockInfo]]) -> list[tuple[float, float]]:
    """(left edge, width) of each pile; a gap between resolutions."""
    places: list[tuple[float, float]] = []
    x = 0.0
    for index, (first, *_) in enumerate(piles):
        if index:
            x += GAP if place(first) == place(piles[index - 1][0]) else GROUP_GAP
        channels = first.features.channels if first.features is not None else 1
        places.append((x, min(0.6 + 0.08 * math.sqrt(channels), 4.0)))
        x += places[-1][1]
    return places


def _height(block: BlockInfo) -> float:
    """How high, from 0.6 to 9: a doubled resolution adds as much everywhere; tokens stand for the map they make."""
    known = block.features
    if known is None:
        return 0.6
    if known.kind in (MAP2D, MAP3D):
        side = float(known.spatial[-1])
    else:
        side = math.sqrt({SEQUENCE: known.spatial or (1,), TOKENS: known.shape}.get(known.kind, (1,))[0])
    return min(0.6 + 1.05 * math.log2(max(side, 1)), 9.0)


def _draw(axes: Axes, pile: list[BlockInfo], x: float, width: float, below: float, share: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    first, height, middle = pile[0], _height(pile[0]), x + width / 2
    low, high = SHADES
    box = FancyBboxPatch(
        (x, -height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.12", linewidth=0.6, edgecolor=BLUE,
        facecolor=(*_rgb(BLUE), low + (high - low) * share),
    )  # fmt: skip
    axes.add_patch(box)
    small: dict[str, Any] = {"ha": "center", "fontsize": 6.5, "color": INK, "parse_math": False}
    if len(pile) > 1:
        axes.text(middle, height / 2 + 0.1, f"×{len(pile)}", va="bottom", **{**small, "fontsize": 7.5})
    name = names_of_run(first.name, pile[-1].name, len(pile)).split(" ×")[0]
    words = f"{shape_text(first.output_shape)}   {shortened(name, 30)}"
    axes.text(middle, below, words, va="top", rotation=90, **small)
    heads = [unique_id for block in pile for unique_id in block.heads]
    if heads:
        axes.text(middle, height / 2 + 0.7, "\n".join(heads), va="bottom", **{**small, "color": ACCENT})


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _name_groups(axes: Axes, groups: list[str], places: list[tuple[float, float]]) -> None:
    for words, start, end in runs(groups):
        left, right = places[start][0], places[end - 1][0] + places[end - 1][1]
        axes.text((left + right) / 2, 5.1, words, ha="center", va="bottom", fontsize=7, color=INK, parse_math=False)
        axes.plot([left, right], [5.0, 5.0], color=INK, linewidth=0.6, alpha=0.5)
