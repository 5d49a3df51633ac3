"""Pictures of any number, from wherever they are, in batches: no more are held at a time than one batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from classykit.errors import ConfigError
from classykit.extracting.feature_source import Items
from classykit.meta import dtype_of
from classykit.nested import Inputs
from classykit.running.placement import Place

BATCH = 16


class Pictures:
    """A batch tensor, a list of pictures, a folder or a Dataset, as batches that a model takes.

    Attributes:
        skipped: {number: why} of the pictures that could not be read.
    """

    def __init__(self, pictures: Any, model: nn.Module, batch_size: int = BATCH):
        if isinstance(pictures, Inputs):
            raise ConfigError("Give a batch, a list of pictures, a folder or a Dataset, not Inputs.")
        one = isinstance(pictures, (str, os.PathLike)) and not os.path.isdir(pictures)
        self.items = Items([pictures] if one else pictures, model)
        self._size = batch_size
        reference = next(model.parameters(), torch.empty(0))
        self._place = Place(reference.device, dtype_of(model))
        self.skipped: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[tuple[list[int], torch.Tensor]]:
        """(numbers of the pictures, (N, C, H, W) on the model's device) batch by batch."""
        ranges = [range(i, min(i + self._size, len(self))) for i in range(0, len(self), self._size)]
        for batch in self.items.batches(ranges, 0, False):
            self.skipped |= {one.index: one.reason for one in batch.skipped}
            if batch.rows:
                for numbers, x in _alike([row.index for row in batch.rows], batch.x):
                    yield numbers, self._place.put(x)

    def one(self, number: int) -> torch.Tensor:
        """One picture by its number, (1, C, H, W), loaded again."""
        (_, x), *_ = [(row, x) for row, x in [self.items[number]]]  # type: ignore[misc]
        return self._place.put(x.unsqueeze(0))


def _alike(numbers: list[int], x: Any) -> Iterator[tuple[list[int], torch.Tensor]]:
    """A batch as it is, or one by one where the pictures' shapes differ."""
    if isinstance(x, torch.Tensor):
        yield numbers, x
        return
    for number, picture in zip(numbers, x, strict=True):
        yield [number], picture.unsqueeze(0)
