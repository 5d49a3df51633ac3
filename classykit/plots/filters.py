"""The filters of a network's first layer, as the pictures that they look for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import nn

from classykit.errors import ConfigError, quoted
from classykit.plots.style import INK, bare, figure_of, signed_colours
from classykit.seeing.view import untrained
from classykit.subject import block_paths, subject_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def filters(model: Any, layer: str | None = None, *, count: int = 64, columns: int = 8) -> Figure:
    """Draw the filters of the first convolution, each as a small picture, grey where it is zero.

    Args:
        model: a ClassyModel or any nn.Module with weights.
        layer: dotted path of another convolution that takes pictures of 1 or 3 channels. Default: the first.
        count, columns: how many at most, and how many in a row.

    Filters of three channels are coloured, each from its own most negative to its most positive weight about grey;
    those of one channel are orange above zero and blue below.

    Returns a matplotlib Figure that belongs to no pyplot window. Raises ConfigError for a model without such a layer.

    >>> len(filters(nn.Conv2d(3, 6, 5)).axes)
    6
    """
    if type(count) is not int or type(columns) is not int or count < 1 or columns < 1:
        raise ConfigError(f"count and columns are at least 1, not {quoted(count)} and {quoted(columns)}.")
    subject = subject_of(model)
    module = subject.with_weights()
    path, weight = _first(module) if layer is None else _of(module, layer)
    shown = weight[:count].detach().float().cpu()  # (filters, channels, h, w)
    columns = min(columns, len(shown))
    rows = math.ceil(len(shown) / columns)
    notes = " (untrained)" if untrained(subject) else ""
    size = f"{weight.shape[-2]}×{weight.shape[-1]}"
    title = f"Filters of {path or 'the layer'} in {subject.name}{notes}: {len(weight)} of {size}"
    figure = figure_of(columns * 0.85, rows * 0.95 + 0.4, title)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for number, axes in enumerate(panels):
        bare(axes)
        if number >= len(shown):
            axes.set_visible(False)
            continue
        limit = max(float(shown[number].abs().max()), 1e-12)
        if shown.shape[1] == 3:
            axes.imshow((0.5 + 0.5 * shown[number] / limit).permute(1, 2, 0).numpy(), interpolation="nearest")
        else:
            axes.imshow(
                shown[number, 0].numpy(), cmap=signed_colours(), vmin=-limit, vmax=limit, interpolation="nearest"
            )
        axes.set_title(str(number), fontsize=7, pad=2, color=INK)
    return figure


def _first(module: nn.Module) -> tuple[str, Any]:
    """(path, weights) of the first convolution of pictures."""
    for path, part in module.named_modules():
        weight = getattr(part, "weight", None)
        if isinstance(part, nn.Conv2d) and weight is not None and weight.shape[1] in (1, 3) and part.groups == 1:
            return path, weight
    raise ConfigError(
        f"{type(module).__name__} has no convolution that takes pictures of 1 or 3 channels, so there are no filters "
        f"to be seen as pictures."
    )


def _of(module: nn.Module, layer: str) -> tuple[str, Any]:
    path = block_paths(module, [layer])[layer]
    weight = getattr(module.get_submodule(path), "weight", None)
    if weight is None or weight.ndim != 4 or weight.shape[1] not in (1, 3):
        shape = "no weights" if weight is None else f"weights {tuple(weight.shape)}"
        raise ConfigError(f"{quoted(layer)} has {shape}: filters are shown of a convolution of 1 or 3 channels.")
    return path, weight
