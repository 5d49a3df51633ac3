"""Images by their numbers: what `classykit.run` is given, as batches that a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from classykit.errors import ConfigError, ShapeError
from classykit.inputs import example_of, preprocess
from classykit.nested import Inputs, mapped, shapes


class Batches:
    """Images by their numbers, as batches that the model takes."""

    def __init__(self, images: Any, model: nn.Module):
        self.model, self.images = model, images
        own = getattr(model, "input_shape", None)
        self.shape: tuple[int, ...] | Inputs | None
        if isinstance(images, Inputs):
            self.images, self.shape = example_of(images), images.sized(1)
        elif isinstance(images, torch.Tensor):
            if own is not None and images.ndim == len(own):
                self.images = images.unsqueeze(0)  # (1, C, H, W)
            if self.images.ndim == 0:
                raise ShapeError("The images are a number: give a batch such as (N, 3, 224, 224).")
            self.shape = tuple(self.images.shape[1:])
        elif isinstance(images, Mapping):
            sizes = {v.shape[0] for v in images.values() if isinstance(v, torch.Tensor) and v.ndim}
            if len(sizes) != 1 or not all(isinstance(v, torch.Tensor) for v in images.values()):
                shown = {k: shapes(v) for k, v in images.items()}
                raise ShapeError(f"A dict of inputs holds tensors with the same batch, not {shown}.")
            self.shape = own
        else:
            one = isinstance(images, (str, bytes)) or hasattr(images, "shape") or not isinstance(images, Iterable)
            self.images = [images] if one else list(images)
            self.shape = own
        if len(self) == 0:
            raise ConfigError("There are no images to run.")

    def __len__(self) -> int:
        return count(self.images)

    def batch(self, start: int, stop: int) -> Any:
        """Images start ... stop - 1."""
        if isinstance(self.images, Inputs):
            n = len(self)
            return mapped(lambda t: t[start:stop] if t.ndim and len(t) == n else t, self.images)
        if isinstance(self.images, torch.Tensor):
            return self.images[start:stop]
        if isinstance(self.images, Mapping):
            return {key: value[start:stop] for key, value in self.images.items()}
        return torch.cat([self._one(image) for image in self.images[start:stop]])

    def _one(self, image: Any) -> torch.Tensor:
        """(1, C, H, W) of a picture, or of a tensor that is one already."""
        if not isinstance(image, torch.Tensor):
            return preprocess(image, self.model)
        own = getattr(self.model, "input_shape", None)
        return image if own is not None and image.ndim == len(own) + 1 else image.unsqueeze(0)


def count(x: Any) -> int:
    """How many images there are."""
    if isinstance(x, Inputs):
        return x.batch_size
    if isinstance(x, Mapping):
        x = next(iter(x.values()), ())
    return len(x)
