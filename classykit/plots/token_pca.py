"""Principal components of features as colours, below their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from classykit.errors import ConfigError
from classykit.plots.overlay import as_pixels
from classykit.plots.style import bare, figure_of
from classykit.seeing.feature_pca import feature_pca

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 6


def token_pca(
    features: Any, pictures: Sequence[Any] | None = None, title: str = "", *, foreground: float | None = None,
    grid: tuple[int, int] | None = None,
) -> Figure:  # fmt: skip
    """Draw the first three principal components of tokens or maps as red, green and blue, on one basis for all.

    Args:
        features, foreground, grid: as `classykit.feature_pca` takes them.
        pictures: to show above, one for each: as `classykit.load_image` takes them, or (H, W, 3) from 0 to 1.
        title: a line above.

    Returns a matplotlib Figure that belongs to no pyplot window. Raises ConfigError where there are not as many
    pictures as features, and what `classykit.feature_pca` raises.

    >>> import torch
    >>> len(token_pca(torch.rand(2, 17, 8)).axes)
    2
    """
    colours = feature_pca(features, 3, foreground=foreground, grid=grid)
    shown = [one for part in ([colours] if not isinstance(colours, list) else colours) for one in part]
    if pictures is not None and len(pictures) != len(shown):
        raise ConfigError(f"There are {len(shown)} features and {len(pictures)} pictures: give one for each.")
    shown = shown[:_COLUMNS]
    rows = 1 if pictures is None else 2
    figure = figure_of(len(shown) * 1.6, rows * 1.6 + (0.35 if title else 0.1), title)
    panels: Any = figure.subplots(rows, len(shown), squeeze=False)
    for column, one in enumerate(shown):
        if pictures is not None:
            panels[0, column].imshow(as_pixels(pictures[column]))
            bare(panels[0, column])
        panels[-1, column].imshow(one.permute(1, 2, 0).numpy(), interpolation="nearest")
        bare(panels[-1, column])
    return figure
