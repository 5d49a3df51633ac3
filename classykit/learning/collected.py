"""Features of blocks for a whole data set, from one pass over it: in memory, or in a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from classykit.errors import ConfigError, ShapeError, quoted
from classykit.extracting.feature_layout import FeatureLayout
from classykit.extracting.feature_passes import Passes
from classykit.extracting.feature_source import Items
from classykit.features import TOKENS, Features, patch_grid
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.nested import Inputs
from classykit.running.placement import choose
from classykit.subject import block_list

IN_MEMORY = 2**30  # bytes of features; more go to a temporary folder
_SIDE = 32  # pixels: what raw pictures are averaged down to


@dataclass
class Collected:
    """What was seen of a data set.

    Attributes:
        features: {block: (N, ...)}, a row for each picture that could be read.
        numbers: which picture each row is.
        labels: of the data set itself; None where it has none.
        pixels: (N, C × h × w) of the pictures, averaged down to 32 pixels a side where they are larger; None of inputs
            that are no pictures.
        skipped: {number: why} of those that could not be read.
        input_shape: of one input.
    """

    features: dict[str, np.ndarray]
    numbers: list[int] = field(default_factory=list)
    labels: list[Any] | None = None
    pixels: np.ndarray | None = None
    skipped: dict[int, str] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()
    layouts: dict[str, FeatureLayout] = field(default_factory=dict)
    kinds: dict[str, Features] = field(default_factory=dict)

    def channel_dim(self, block: str) -> int:
        """Which dimension of a batch of the block's features is the channels'."""
        known = self.kinds.get(block)
        last = known is not None and (known.channels_last or known.kind == TOKENS)
        return len(self.layouts[block].shape) if last else 1


@contextmanager
def collected(
    model: nn.Module,
    x: Any,
    blocks: list[str],
    pool: str | None,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 16,
    progress: bool = True,
    what: str = "",
    on_pictures: Callable[[int, int], None] | None = None,
) -> Iterator[Collected]:
    """Within the block the features of a data set are at hand; see `classykit.extract` for what ``x`` may be.

    Args:
        pool: "mean": over all places, or over the tokens that are patches. "class": the first token, of tokens that
            have some before the patches; else the mean. None: whole features.
        what: of the progress bar.
        on_pictures: called with (pictures run, of how many).

    Nothing of the model is changed. Raises ShapeError where a block gives nothing to learn from.
    """
    items = Items(as_data(x), model)
    place = replace(choose(model, device), dtype=dtype_of(model))
    passes = Passes(model, place, batch_size)
    first = items.first()
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        look = passes.look(first, blocks, None if pool is None else "mean")
        layouts = {block: FeatureLayout.from_dict(one) for block, one in look["features"].items()}
        held = Collected({}, input_shape=tuple(first[1].shape), layouts=layouts)
        for block, features in passes.of(first[1][None], blocks).items():
            if (known := Features.of(features, 1)) is not None:
                held.kinds[block] = known
                layouts[block] = _of_patches(layouts[block], known, held.input_shape, pool)
        size = len(items) * sum(int(np.prod(one.shape)) * np.dtype(one.dtype).itemsize for one in layouts.values())
        for i, (block, layout) in enumerate(layouts.items()):
            shape = (len(items), *layout.shape)
            held.features[block] = (
                np.empty(shape, layout.dtype) if size <= IN_MEMORY
                else np.lib.format.open_memmap(Path(folder) / f"{i}.npy", "w+", layout.dtype, shape)
            )  # fmt: skip
        passes.fit(held.input_shape)
        _fill(held, passes, items, layouts, progress, what, on_pictures)
        yield held


def as_data(x: Any) -> Any:
    """An array of numbers (N, C, H, W) as the tensor that it stands for; anything else as it is.

    >>> as_data(np.zeros((2, 3, 8, 8))).shape
    torch.Size([2, 3, 8, 8])
    """
    if isinstance(x, Inputs):
        raise ConfigError("Give a batch, a list of pictures, a folder or a Dataset, not Inputs.")
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return torch.from_numpy(x)
    return x


def _of_patches(layout: FeatureLayout, known: Features, shape: tuple[int, ...], pool: str | None) -> FeatureLayout:
    """Where a mean over tokens is meant, that of those that are patches; or the class token alone."""
    if known.kind != TOKENS or layout.over != (1,) or len(shape) != 3:
        return layout
    _, before = patch_grid(known.shape[0], (shape[1], shape[2]))
    return replace(layout, only=(0, 1) if pool == "class" and before else (before, None))


def _fill(
    held: Collected,
    passes: Passes,
    items: Items,
    layouts: dict[str, FeatureLayout],
    progress: bool,
    what: str,
    on_pictures: Callable[[int, int], None] | None,
) -> None:
    from tqdm.auto import tqdm

    count, step = 0, passes.batch_size
    ranges = [range(i, min(i + step, len(items))) for i in range(0, len(items), step)]
    labels: list[Any] = []
    pixels: list[np.ndarray] = []
    with tqdm(total=len(items), unit="image", delay=1, leave=False, disable=not progress, desc=what or None) as bar:
        for batch in items.batches(ranges, 0, False):
            held.skipped |= {one.index: one.reason for one in batch.skipped}
            for rows, features in passes.run(batch, layouts):
                for block, values in features.items():
                    held.features[block][count : count + len(rows)] = values
                count += len(rows)
                held.numbers += [row.index for row in rows]
                labels += [row.label for row in rows]
            pixels += _pixels(batch.x)
            bar.update(len(batch.rows) + len(batch.skipped))
            if on_pictures is not None:
                on_pictures(count + len(held.skipped), len(items))
    held.features = {block: values[:count] for block, values in held.features.items()}
    held.labels = labels if any(label is not None for label in labels) else None
    if len({len(row) for row in pixels}) == 1:
        held.pixels = np.stack(pixels)


def _pixels(x: Any) -> list[np.ndarray]:
    """(C × h × w) of each picture, or clip, of a batch."""
    found = []
    for one in x:
        if not isinstance(one, torch.Tensor) or not one.is_floating_point() or one.ndim not in (3, 4):
            return []
        sides = one.shape[-2:]
        small = one.float()
        if max(sides) > _SIDE:
            small = F.interpolate(small.flatten(0, -3)[None], [min(side, _SIDE) for side in sides], mode="area")[0]
        found.append(small.flatten().numpy())
    return found


def class_labels(y: Any, held: Collected, what: str = "y") -> list[Any]:
    """The label of each row, as plain values; None where there is none. Raises ConfigError for what is no label."""
    if y is None:
        if held.labels is None:
            raise ConfigError(f"{what} is None, and the pictures bring no labels: give one for each.")
        return held.labels
    values = y.tolist() if hasattr(y, "tolist") else y
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__iter__"):
        raise ConfigError(f"{what} is one label for each picture, not {quoted(y)}.")
    values = list(values)
    total = len(held.numbers) + len(held.skipped)
    if len(values) != total:
        raise ShapeError(f"There are {total} pictures and {len(values)} labels in {what}: give one for each.")
    return [_label(values[number], what) for number in held.numbers]


def _label(value: Any, what: str) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, (bool, int, str)):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ConfigError(f"{what} holds classes: whole numbers or names, not {quoted(value)}.")


def blocks_of(model: nn.Module, blocks: Any) -> tuple[nn.Module, list[str]]:
    """(the model, adopted where need be; names of the blocks), of "all" those that are listed."""
    everything = isinstance(blocks, str) and blocks == "all"
    if everything and not isinstance(model, ClassyModel):
        model = ClassyModel.from_model(model)
    return model, list(model.block_names) if everything else list(dict.fromkeys(block_list(blocks)))
