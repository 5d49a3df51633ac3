"""A map laid over the picture that it is of: signed, centred colours with a colour bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from classykit.errors import ConfigError, ShapeError
from classykit.image_loading import load_image
from classykit.plots.style import INK, bare, figure_of, signed_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_MOST = 0.86  # of the picture that the strongest colour hides
_GAMMA = 1.25  # weak values leave the picture to be seen


def overlay(picture: Any, values: Any, title: str = "", *, limit: float | None = None, label: str = "") -> Figure:
    """Lay a map over the picture that it is of.

    Args:
        picture: as `classykit.load_image` takes it, or (H, W, 3) from 0 to 1. For the part that the model saw:
            ``model.preprocessing.to_display(image)``.
        values: (h, w), spread over the whole picture: evidence, say. Orange is above zero, blue below, and where it is
            about zero the picture, in grey, is left as it is.
        title, label: a line above, and one beside the colour bar.
        limit: the value of the strongest colour. Default: the largest there is, of either sign.

    Returns a matplotlib Figure that belongs to no pyplot window. Raises ShapeError for what is no map.

    >>> figure = overlay(torch.rand(32, 32, 3), torch.randn(4, 4), "a map")
    >>> len(figure.axes)
    2
    """
    values = as_map(values)
    pixels = as_pixels(picture)
    wide = pixels.shape[1] / pixels.shape[0]
    figure = figure_of(min(4.0 * wide, 8.0) + 1.0, 4.2, title)
    axes = figure.subplots()
    drawn = draw_overlay(axes, pixels, values, limit)
    colour_bar(figure, drawn, axes, label)
    return figure


def draw_overlay(axes: Axes, pixels: np.ndarray | None, values: np.ndarray, limit: float | None = None) -> AxesImage:
    """Draw a map over a picture (H, W, 3) from 0 to 1, or on the page's own ground where there is none."""
    strongest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    limit = max(strongest if limit is None else limit, 1e-12)
    height, width = values.shape if pixels is None else pixels.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    if pixels is not None:
        grey = pixels @ np.array([0.299, 0.587, 0.114])
        axes.imshow(0.1 * pixels + 0.9 * grey[..., None], extent=extent)
    colours = signed_colours(_MOST if pixels is not None else 1.0, _GAMMA)
    drawn = axes.imshow(
        values, cmap=colours, vmin=-limit, vmax=limit, extent=extent,
        interpolation="bilinear" if pixels is not None else "nearest",
    )  # fmt: skip
    bare(axes)
    return drawn


def draw_spotlight(axes: Axes, pixels: np.ndarray | None, shares: np.ndarray) -> None:
    """What is attended to stays bright, the rest of the picture goes dark; ``shares`` (h, w) are not negative."""
    most = max(float(shares.max(initial=0.0)), 1e-12)
    if pixels is None:
        axes.imshow(shares, cmap="viridis", vmin=0, vmax=most, interpolation="nearest")
    else:
        light = torch.from_numpy(np.array(shares / most, dtype=np.float32))[None, None]
        light = torch.nn.functional.interpolate(light, pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0]
        bright = light.clamp(0, 1).numpy()[..., None]
        grey = (pixels @ np.array([0.299, 0.587, 0.114]))[..., None]
        axes.imshow((0.25 * grey * (1 - bright) + pixels * bright).clip(0, 1))
    bare(axes)


def colour_bar(figure: Figure, drawn: AxesImage, axes: Any, label: str = "") -> None:
    """A colour bar in ink."""
    bar = figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.set_facecolor("none")
    bar.ax.patch.set_alpha(0)
    bar.ax.tick_params(colors=INK, labelsize=7, width=0.5, length=2)
    bar.set_label(label, color=INK, fontsize=8)


def as_map(values: Any) -> np.ndarray:
    """A map (h, w) as an array; ShapeError for what is none."""
    array = values.detach().float().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, float)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(f"A map is (height, width), not {tuple(array.shape)}: give that of one picture.")
    return array


def as_pixels(picture: Any) -> np.ndarray:
    """(H, W, 3) from 0 to 1 of anything that is a picture."""
    if isinstance(picture, (np.ndarray, torch.Tensor)):
        array = picture.detach().float().cpu().numpy() if isinstance(picture, torch.Tensor) else picture
        if array.ndim == 3 and array.shape[-1] == 3 and array.dtype.kind == "f":
            if array.min(initial=0) < 0 or array.max(initial=0) > 1:
                raise ConfigError("A picture of floating-point numbers has them from 0 to 1.")
            return array
    return np.asarray(load_image(picture), dtype=np.float32) / 255
