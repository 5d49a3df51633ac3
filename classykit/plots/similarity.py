"""How alike blocks are: a heat map with their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classykit.plots.overlay import colour_bar
from classykit.plots.style import BLUE, INK, figure_of, name_ticks, plain, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.seeing.similarity import Similarity


def similarity_map(found: Similarity) -> Figure:
    """Draw linear CKA of every two blocks: the bluer, the more alike; from 0 to 1.

    >>> import classykit, torch
    >>> s = classykit.similarity(classykit.build_model("resnet18"), torch.rand(3, 3, 32, 32), ["block0-0", "block3-1"])
    >>> similarity_map(s).axes[0].get_xticklabels()[1].get_text()
    'block3-1'
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    n = len(found.blocks)
    side = min(max(0.26 * n + 1.8, 3.4), 9.0)
    figure = figure_of(side + 0.6, side, f"Linear CKA of the blocks of {found.name}, {found.pictures} pictures")
    axes = figure.subplots()
    ramp = LinearSegmentedColormap.from_list("paper to blue", [to_rgba(BLUE, 0.0), to_rgba(BLUE, 1.0)])
    drawn = axes.imshow(found.matrix.numpy(), cmap=ramp, vmin=0, vmax=1, interpolation="nearest")
    plain(axes)
    name_ticks(axes, found.blocks, side - 1.4)
    shown = [int(tick) for tick in axes.get_xticks()]
    axes.set_yticks(shown, [shortened(found.blocks[i]) for i in shown], fontsize=7, color=INK, parse_math=False)
    colour_bar(figure, drawn, axes)
    return figure
