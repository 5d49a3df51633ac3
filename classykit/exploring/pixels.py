"""Arrays for the browser, as whole numbers of two bytes beside what the lowest and highest stand for; and pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor


def pack(arrays: Sequence[Tensor]) -> tuple[list[dict[str, Any]], bytes]:
    """(for each array its ``start`` among the numbers, ``shape``, ``low`` and ``high``; all numbers as uint16).

    Values that are not finite become the nearest that are.

    >>> described, data = pack([torch.tensor([[-1.0, 0.0, 1.0]])])
    >>> described, len(data)
    ([{'start': 0, 'shape': [1, 3], 'low': -1.0, 'high': 1.0}], 6)
    """
    described, data, start = [], [], 0
    for array in arrays:
        values = array.detach().to("cpu", torch.float32)
        finite = values[values.isfinite()]
        low, high = (finite.min().item(), finite.max().item()) if finite.numel() else (0.0, 0.0)
        unit = (values.nan_to_num(low, high, low).clamp(low, high) - low) / ((high - low) or 1.0)
        described.append({"start": start, "shape": list(array.shape), "low": brief(low), "high": brief(high)})
        data.append((unit * 65535).round().numpy().astype("<u2").tobytes())
        start += array.numel()
    return described, b"".join(data)


def brief(value: float) -> float:
    """A number of single precision in as many digits as that has, instead of twice as many.

    >>> brief(0.10000000149011612)
    0.1
    """
    return float(f"{value:.7g}")


def data_url(picture: Image.Image, side: int) -> str:
    """A picture as a small JPEG in a data URL, at most ``side`` pixels wide and high."""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
