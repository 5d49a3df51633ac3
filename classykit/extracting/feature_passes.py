"""A model settled where it runs, and batches going through it up to the last block that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from classykit.errors import ClassyKitError, DeviceError, warn
from classykit.extracting.feature_layout import FeatureLayout, layouts
from classykit.extracting.feature_shard import label_type
from classykit.extracting.feature_source import Batch, ItemInfo
from classykit.models.classy_model import ClassyModel
from classykit.running.memory_fit import batch_that_fits, is_out_of_memory
from classykit.running.placement import Place
from classykit.running.recording import record_paths
from classykit.subject import block_paths, refuse_blocks_that_did_not_run


class Passes:
    """Passes of one model in one place; the model that is given is left as it is.

    Attributes:
        batch_size: how many images are read at a time.
        at_once: how many go through the model at a time: fewer where memory ran out.
    """

    def __init__(self, model: nn.Module, place: Place, batch_size: int):
        self.given, self.place = model, place
        self.batch_size = self.at_once = batch_size
        self.model = place.settle(model)
        self._paths: dict[str, str] = {}

    def look(self, first: tuple[ItemInfo, torch.Tensor], names: list[str], reduce: str | None) -> dict[str, Any]:
        """What the first image tells: the kind of labels, the input's shape, what each block gives."""
        row, x = first
        adopted = ClassyModel.from_model(self.given, example=x[None])
        paths = block_paths(adopted, names)
        moves = adopted.moves(paths.values())
        known = {name: moves[path] for name, path in paths.items() if path in moves}
        try:
            found = layouts(lambda batch: self.of(batch, names), x, reduce, known)
        except (RuntimeError, ValueError, MemoryError) as error:
            if _ran_out(error):
                raise _no_room(self.place, error) from None
            raise
        features = {block: layout.to_dict() for block, layout in found.items()}
        return {"input": list(x.shape), "label": label_type(row.label), "features": features}

    def fit(self, shape: tuple[int, ...]) -> None:
        """Make the batch smaller where that of inputs of such a shape would not fit."""
        self.at_once, why = batch_that_fits(self.given, self.place, shape, self.batch_size)
        if why:
            _warn(why)

    def run(
        self, batch: Batch, wanted: dict[str, FeatureLayout]
    ) -> Iterator[tuple[list[ItemInfo], dict[str, np.ndarray]]]:
        """The features {block: (n, ...)} of a batch's rows: of all of them, or of a few at a time.

        Raises DeviceError when memory has no room for a single one, ShapeError when the model cannot take it.
        """
        start = 0
        while start < len(batch.rows):
            one_by_one = not isinstance(batch.x, torch.Tensor)  # they are of different shapes
            stop = start + (1 if one_by_one else self.at_once)
            x = batch.x[start][None] if one_by_one else batch.x[start:stop]
            features = self._features(x, wanted)
            if features is None:
                self.at_once = len(x) // 2
                _warn(f"Memory ran out: the batch was halved to {self.at_once}")
                if self.place.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            yield batch.rows[start:stop], features
            start += len(x)

    def _features(self, x: torch.Tensor, wanted: dict[str, FeatureLayout]) -> dict[str, np.ndarray] | None:
        """None where memory ran out, and the batch can be halved."""
        try:
            captured = self.of(x, list(wanted))
            return {block: layout.rows(captured[block]) for block, layout in wanted.items()}
        except (RuntimeError, ValueError, MemoryError) as error:
            if not _ran_out(error):
                raise
            if len(x) == 1:
                raise _no_room(self.place, error) from None
        return None

    def of(self, x: torch.Tensor, names: list[str]) -> dict[str, Any]:
        """What blocks give for a batch, as it is."""
        if names != list(self._paths):
            self._paths = block_paths(self.model, names)
        seen = record_paths(self.model, self.place.put(x), self._paths.values())
        refuse_blocks_that_did_not_run(name for name, path in self._paths.items() if path not in seen)
        return {name: seen[path] for name, path in self._paths.items()}


def _ran_out(error: BaseException) -> bool:
    return isinstance(error, DeviceError) or is_out_of_memory(error)


def _no_room(place: Place, error: BaseException) -> ClassyKitError:
    reason = error.__cause__ or error  # of `capture`, in the allocator's own words
    return DeviceError(
        f"{place.device} ran out of memory with one image: {reason}. "
        "Choose a smaller model or input, or earlier blocks."
    )


def _warn(what: str) -> None:
    warn(what + ".", RuntimeWarning)
