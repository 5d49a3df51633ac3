"""A grid of a block's feature maps beside the picture that caused them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from classykit.errors import ConfigError, quoted
from classykit.features import Features
from classykit.plots.overlay import as_pixels, colour_bar
from classykit.plots.style import BLUE, INK, check_colours, draw_map, draw_picture, figure_of, plain
from classykit.seeing.feature_maps import feature_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_grid(
    features: torch.Tensor,
    image: Any = None,
    *,
    title: str = "",
    order: str | torch.Tensor = "variance",
    scale: str = "map",
    colours: str = "viridis",
    bar: bool = False,
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
        order: which channels first: "variance", "mean" or "index"; "picture": those most like the picture's brightness;
            or a map (h, w) that those most like it come first of, such as a class's evidence.
        scale: "map": colours from each map's lowest to highest value; "shared": the same for all.
        colours: "viridis", or "signed": orange above zero and blue below, centred.
        bar: a colour bar, which goes with a shared scale. Default False.
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
    check_colours(colours)
    if bar and scale != "shared":
        raise ConfigError('A colour bar for all maps goes with scale="shared".')
    chosen = feature_maps(features, _order(order, image), scale, known=known, count=count, frame=frame)
    if chosen.steps > 1:
        title = " · ".join(filter(None, [title, f"step {chosen.frame + 1} of {chosen.steps}"]))
    columns = min(columns, len(chosen.channels))
    rows = math.ceil(len(chosen.channels) / columns)
    side = 2 if image is not None else 0  # columns that the picture takes
    height = max(rows, side if image is not None else 1) * 1.2 + (0.5 if title else 0.2)
    figure = figure_of((columns + side) * 1.1 + 0.6 * bar, height, title)
    grid = figure.add_gridspec(max(rows, side), columns + side)
    if image is not None:
        axes = figure.add_subplot(grid[:side, :side])
        draw_picture(axes, image)
        axes.set_title("input", fontsize=8, color=INK)
    for i, channel in enumerate(chosen.channels):
        axes = figure.add_subplot(grid[i // columns, side + i % columns])
        drawn = draw_map(axes, chosen, i, chosen.frame, colours)
        axes.set_title(str(channel) if chosen.kind != "vector" else "values", fontsize=8, pad=2, color=INK)
    if bar:
        colour_bar(figure, drawn, figure.axes)
    return figure


def feature_map(
    features: torch.Tensor, channel: int, image: Any = None, *, title: str = "", colours: str = "signed",
    frame: int | None = None, known: Features | None = None,
) -> Figure:  # fmt: skip
    """Draw one channel's map, enlarged, with a colour bar and a histogram of its values.

    Args:
        channel: which.
        features, image, title, colours, frame, known: as `feature_grid` takes them.

    Returns a matplotlib Figure that belongs to no pyplot window. Raises ConfigError for a channel that is not there.

    >>> len(feature_map(torch.randn(1, 16, 7, 7), 3).axes)
    3
    """
    check_colours(colours)
    chosen = feature_maps(features, "index", known=known, count=None, frame=frame)
    if type(channel) is not int or channel not in chosen.channels:
        raise ConfigError(f"There are the channels 0 to {len(chosen.channels) - 1}, not {quoted(channel)}.")
    figure = figure_of(7.4 + 2.4 * (image is not None), 3.6, title or f"channel {channel}")
    panels = figure.subplots(1, 2 + (image is not None), width_ratios=[1] * (image is not None) + [1.25, 0.9])
    if image is not None:
        draw_picture(panels[0], image)
    index = chosen.channels.index(channel)
    drawn = draw_map(panels[-2], chosen, index, chosen.frame, colours)
    colour_bar(figure, drawn, panels[-2])
    values = chosen.maps[index].flatten()
    plain(panels[-1])
    panels[-1].hist(values[values.isfinite()].numpy(), bins=30, color=BLUE)
    panels[-1].set_ylabel(f"of {values.numel()} places")
    panels[-1].set_xlabel("value")
    return figure


def _order(order: str | torch.Tensor, image: Any) -> str | torch.Tensor:
    """The brightness of the picture, where maps that are like it come first."""
    if not isinstance(order, str) or order != "picture":
        return order
    if image is None:
        raise ConfigError('order="picture" compares with the picture: give image=...')
    return torch.from_numpy(as_pixels(image).mean(2))
