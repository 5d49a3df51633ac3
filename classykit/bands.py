"""Pictures of any number of bands, as satellites and microscopes make them: arrays, not files of photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from classykit.errors import ImageError

_FULL = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0}


def load_bands(source: Any, count: int) -> np.ndarray:
    """The bands of a picture as float32 from 0 to 1, (count, H, W).

    Args:
        source: an array (H, W, count) or (count, H, W), a tensor, or a PIL image of so many bands; a batch of one such.
            bool, uint8, uint16, or floats from 0 to 1. Where both orders fit, channels are last in an array and first
            in a tensor.
        count: how many bands there are to be.

    Raises ImageError for what has another number of bands, or values that are none of a picture.

    >>> load_bands(np.zeros((8, 9, 5), np.uint16), 5).shape
    (5, 8, 9)
    """
    wanted = f"a picture of {count} bands is an array (H, W, {count}) or a tensor ({count}, H, W)"
    if isinstance(source, torch.Tensor):
        tensor = source.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    elif isinstance(source, Image.Image) or hasattr(source, "__array__"):
        array = np.asarray(source)
    else:
        raise ImageError(f"This model takes {count} bands: {wanted}, not a {type(source).__name__}.")
    pixels = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    sides = [axis for axis in (0, 2) if pixels.ndim == 3 and pixels.shape[axis] == count]
    if not sides or 0 in pixels.shape:
        raise ImageError(f"This model takes {count} bands: {wanted}; this one is {array.shape}.")
    first = sides[0] == 0 and (len(sides) == 1 or isinstance(source, torch.Tensor))
    pixels = pixels if first else pixels.transpose(2, 0, 1)
    if pixels.dtype.name in _FULL:
        return (pixels / _FULL[pixels.dtype.name]).astype(np.float32)
    if pixels.dtype.kind != "f":
        raise ImageError(f"Bands are bool, uint8, uint16 or floats from 0 to 1, not {pixels.dtype}.")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # NaN is neither
        raise ImageError(
            f"These bands hold values from {low:g} to {high:g}, where 0 to 1 is expected: scale each by what full "
            f"light is, such as x / 10000 for reflectances."
        )
    return np.clip(pixels, 0, 1).astype(np.float32)
