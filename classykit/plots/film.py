"""A video model's feature maps over time: a row a channel, a column a time step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from classykit.errors import ConfigError
from classykit.features import Features
from classykit.plots.style import INK, draw_map, draw_picture, figure_of
from classykit.seeing.feature_maps import feature_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_film(
    features: torch.Tensor,
    clip: Sequence[Any] | None = None,
    *,
    title: str = "",
    order: str = "variance",
    scale: str = "map",
    count: int = 4,
    columns: int = 8,
    known: Features | None = None,
) -> Figure:
    """Draw the maps of a block's channels at one time step after another, the clip's frames above them.

    Args:
        features: one input's features (1, C, T, H, W), as `capture` gives them. Others have one time step.
        clip: frames to show above, each as `classykit.load_image` takes it, e.g. `moving_shapes()`: the first of
            those that a time step stands for.
        title: a line above.
        order: which channels first, by all time steps: "variance", "mean" or "index".
        scale: "map": colours from each channel's lowest to its highest value at any time; "shared": the same for
            all. Either way they mean the same in all of a row.
        count: how many channels.
        columns: how many time steps at most; of more, as many are taken evenly, the first and the last among them.
        known: of which kind the features are (see `feature_maps`). Default: told by the shape.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> len(feature_film(torch.rand(1, 16, 4, 7, 7), count=3).axes)
    12
    """
    if columns < 1:
        raise ConfigError(f"columns is at least 1, not {columns}.")
    chosen = feature_maps(features, order, scale, known=known, count=count)
    n = min(columns, chosen.steps)
    steps = [round(i * (chosen.steps - 1) / max(n - 1, 1)) for i in range(n)]
    above = 0 if clip is None else 1  # rows that the clip takes
    rows = above + len(chosen.channels)
    figure = figure_of(1.1 * n + 0.5, 1.1 * rows + (0.6 if title else 0.3), title)
    grid = figure.add_gridspec(rows, n)
    for column, t in enumerate(steps):
        if clip is not None:
            axes = figure.add_subplot(grid[0, column])
            draw_picture(axes, clip[min(-(-t * len(clip) // chosen.steps), len(clip) - 1)])
            _name(axes, f"step {t + 1} of {chosen.steps}", "input" if column == 0 else "")
        for row, channel in enumerate(chosen.channels):
            axes = figure.add_subplot(grid[above + row, column])
            draw_map(axes, chosen, row, t)
            heading = f"step {t + 1} of {chosen.steps}" if above + row == 0 else ""
            _name(axes, heading, str(channel) if column == 0 else "")
    return figure


def _name(axes: Any, above: str, left: str) -> None:
    axes.set_title(above, fontsize=8, pad=2, color=INK)
    axes.set_ylabel(left, fontsize=8, rotation=0, ha="right", va="center", color=INK)
