"""The strongest places of channels, cut out of their pictures: a row a channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from classykit.errors import ConfigError
from classykit.plots.style import ACCENT, INK, bare, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.seeing.top_patches import TopPatches

_ROWS, _COLUMNS = 8, 9


def patch_rows(found: TopPatches, channels: Iterable[int] | None = None) -> Figure:
    """Draw the patches, at most nine of each channel; where a unit sees the whole picture, a dot says where it is.

    ``channels``: which rows; default those with the strongest places, eight at most.

    >>> import classykit, torch
    >>> found = classykit.top_patches(classykit.build_model("resnet18"), torch.rand(4, 3, 64, 64), "block0-0", [3, 4])
    >>> len(patch_rows(found, [3]).axes)
    8
    """
    shown = list(found.patches) if channels is None else list(channels)
    if unknown := [c for c in shown if c not in found.patches]:
        raise ConfigError(f"The patches of channel {unknown[0]} were not asked for.")
    if channels is None:
        shown = sorted(shown, key=lambda c: found.patches[c][0].value, reverse=True)[:_ROWS]
    columns = max(min(len(found.patches[c]), _COLUMNS) for c in shown)
    untrained = " (untrained)" if any(note.startswith("Untrained") for note in found.notes) else ""
    title = f"Strongest places of {found.block} in {found.name}{untrained}"
    figure = figure_of(columns * 1.05 + 0.5, len(shown) * 1.25 + 0.3, title)
    grid = figure.add_gridspec(len(shown), columns)
    for row, channel in enumerate(shown):
        for column, patch in enumerate(found.patches[channel][:columns]):
            axes = figure.add_subplot(grid[row, column])
            crop = found.crop(patch)
            axes.imshow(crop, interpolation="nearest")
            bare(axes)
            if patch.box is None:
                height, width = crop.shape[:2]
                rows, places = found.map_size
                at = ((patch.position[1] + 0.5) * width / places - 0.5, (patch.position[0] + 0.5) * height / rows - 0.5)
                axes.plot(*at, "o", color=ACCENT, markersize=4)
            axes.set_title(f"{patch.value:.3g}", fontsize=7, pad=2, color=INK)
            if column == 0:
                axes.set_ylabel(str(channel), fontsize=8, color=INK, rotation=0, ha="right", va="center")
    return figure
