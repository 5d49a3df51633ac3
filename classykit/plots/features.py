"""A grid of a block's feature maps beside the picture that caused them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from classykit.errors import ConfigError
from classykit.features import Features
from classykit.plots.style import INK, draw_map, draw_picture, figure_of
from classykit.seeing.feature_maps import feature_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_grid(
    features: torch.Tensor,
    image: Any = None,
    *,
    title: str = "",
    order: str = "variance",
    scale: str = "map",
    count: int = 24,
    columns: int = 8,
    frame: int | None = None,
    known: Features | None = None,
) -> Figure:
    """Draw the maps of a block's channels, the picture beside them.

    Args:
        features: one input's features, e.g. (1, C, H, W), as `capture` gives them; tokens (1, L, C) are laid
            out on their grid, a vector (1, C) row by row.
        image: a picture to show at the left, as `classykit.load_image` takes it. For the part that the model
            saw: ``model.preprocessing.to_display(image)``.
        title: a line above.
        order: which channels first: "variance", "mean" or "index".
        scale: "map": colours from each map's lowest to highest value; "shared": the same for all.
        count, columns: how many maps, and how many in a row.
        frame: which time step of a video model's features, from 0; default the middle one. The line above says
            which it is; order and colours are those of all time steps.
        known: of which kind the features are (see `feature_maps`). Default: told by the shape.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> len(feature_grid(torch.rand(1, 16, 7, 7), count=4).axes)
    4
    """
    if columns < 1:
        raise ConfigError(f"columns is at least 1, not {columns}.")
    chosen = feature_maps(features, order, scale, known=known, count=count, frame=frame)
    if chosen.steps > 1:
        title = " · ".join(filter(None, [title, f"step {chosen.frame + 1} of {chosen.steps}"]))
    columns = min(columns, len(chosen.channels))
    rows = math.ceil(len(chosen.channels) / columns)
    side = 2 if image is not None else 0  # columns that the picture takes
    height = max(rows, side if image is not None else 1) * 1.2 + (0.5 if title else 0.2)
    figure = figure_of((columns + side) * 1.1, height, title)
    grid = figure.add_gridspec(max(rows, side), columns + side)
    if image is not None:
        axes = figure.add_subplot(grid[:side, :side])
        draw_picture(axes, image)
        axes.set_title("input", fontsize=8, color=INK)
    for i, channel in enumerate(chosen.channels):
        axes = figure.add_subplot(grid[i // columns, side + i % columns])
        draw_map(axes, chosen, i, chosen.frame)
        axes.set_title(str(channel) if chosen.kind != "vector" else "values", fontsize=8, pad=2, color=INK)
    return figure
