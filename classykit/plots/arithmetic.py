"""Window × kernel = products: one value of a layer, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from classykit.plots.style import BLUE, INK, bare, figure_of, signed_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.seeing.arithmetic import Arithmetic

_SMALL = 25  # cells whose numbers are written out
_CHANNELS = 3
_PAPER, _TEXT = "#ffffff", "#1c2330"  # numbers are legible on every colour, on light and dark pages alike
_PARTS = ("window", "× kernel", "= products")


def arithmetic_figure(found: Arithmetic) -> Figure:
    """Draw the channels whose products weigh most: the window, the kernel, and their products; hatched is padding.

    Below stands the sum, and what becomes of it until the next layer with weights.

    >>> import classykit, torch
    >>> a = classykit.arithmetic(torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8), "model", 1, (2, 3))
    >>> len(arithmetic_figure(a).axes)
    9
    """
    window, kernel, products = (_planes(t) for t in (found.window, found.kernel, found.products))
    weigh = np.abs(products).sum((1, 2))
    shown = sorted(np.argsort(-weigh, kind="stable")[:_CHANNELS].tolist())
    where = f" at {found.at}" if found.at else ""
    title = f"{found.layer} of {found.name}, channel {found.channel}{where}"
    figure = figure_of(6.6, len(shown) * 1.7 + 1.0, title)
    panels = figure.subplots(len(shown), 3, squeeze=False)
    padding = _planes(found.padding[None] if found.padding.ndim else found.padding)[0]
    for row, (axes, channel) in enumerate(zip(panels, shown, strict=True)):
        for one, planes, words in zip(
            axes, (window, kernel, products), ("window", "× kernel", "= products"), strict=True
        ):
            _draw(one, planes[channel], np.abs(planes).max(), padding if words == "window" else None)
            if row == 0:
                one.set_title(words, fontsize=8, color=INK)
        axes[0].set_ylabel(f"in {channel}", fontsize=8, color=INK)
    others = products.sum() - products[shown].sum()
    rest = f" + {len(products) - len(shown)} other channels: {others:.3g}" if len(products) > len(shown) else ""
    total = f"Σ = {products[shown].sum():.3g}{rest} + bias {found.bias:.3g} = {found.sum:.4g}"
    follows = "".join(f"  →  {step.function} {step.value:.3g}" for step in found.follows[:5])
    figure.supxlabel(f"{total}\n{follows.strip() or ' '}", fontsize=8, color=INK, x=0.01, ha="left", parse_math=False)
    return figure


def _planes(values: Any) -> np.ndarray:
    """(channels, rows, columns) of a kernel with any number of axes; a vector is one plane, row by row."""
    array = values.detach().double().numpy() if values.is_floating_point() else values.numpy()
    if array.ndim < 2:
        side = int(np.ceil(np.sqrt(max(array.size, 1))))
        padded = np.full(side * side, np.nan if array.dtype.kind == "f" else False, dtype=array.dtype)
        padded[: array.size] = array.reshape(-1)
        return padded.reshape(1, side, side)
    return array.reshape(array.shape[0], -1, array.shape[-1])


def _draw(axes: Axes, plane: np.ndarray, limit: float, padding: np.ndarray | None) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(plane, cmap=signed_colours(0.9), vmin=-max(limit, 1e-12), vmax=max(limit, 1e-12))
    bare(axes)
    axes.set_facecolor(_PAPER)
    rows, columns = plane.shape
    for row in range(rows):
        for column in range(columns):
            if padding is not None and padding.shape == plane.shape and padding[row, column]:
                axes.add_patch(
                    Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", edgecolor=BLUE, lw=0)
                )
            elif plane.size <= _SMALL and np.isfinite(plane[row, column]):
                axes.text(column, row, f"{plane[row, column]:.2g}", ha="center", va="center", fontsize=6.5, color=_TEXT)
