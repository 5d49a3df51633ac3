"""`top_patches`: the places in many pictures that move a channel most, cut out by what its units see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ClassyKitError, ConfigError, quoted
from classykit.features import as_maps
from classykit.finding import Finding
from classykit.inspecting.inspection import inspect
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.running.recording import record
from classykit.seeing.streamed import Pictures
from classykit.seeing.view import shown, untrained
from classykit.subject import subject_of
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import numpy as np
    import pandas
    from matplotlib.figure import Figure

_SHOWN = 8  # channels in a table or figure


@dataclass(frozen=True)
class Patch:
    """One place that a channel is strong at.

    Attributes:
        channel, value: of the block, and what it gives there.
        picture: the number of the picture.
        position: (row, column) in the block's map.
        box: (rows, columns) of the picture that the unit sees, in pixels of the model's input, without padding; None
            where it sees the whole picture, or that is not known.
        inside: whether all that it sees lies inside the picture.
    """

    channel: int
    value: float
    picture: int
    position: tuple[int, int]
    box: tuple[slice, slice] | None
    inside: bool


@dataclass(frozen=True, repr=False)
class TopPatches(Finding):
    """The strongest places of each channel, the strongest first.

    Attributes:
        name, block: the model and the block.
        patches: {channel: its places}.
        field: what a unit of the block sees; None where that is not known.
        pictures: how many were looked at.
        map_size: (rows, columns) of the block's map.
        notes: what else there is to say.
    """

    name: str
    block: str
    patches: dict[int, tuple[Patch, ...]]
    field: ReceptiveField | None
    pictures: int
    map_size: tuple[int, int]
    source: Pictures
    model: nn.Module
    notes: tuple[str, ...] = ()

    def crop(self, patch: Patch) -> np.ndarray:
        """What the unit sees, in ordinary colours, (h, w, 3) from 0 to 1; the picture is loaded again."""
        picture = shown(self.source.one(patch.picture)[0], self.model)
        return picture if patch.box is None else picture[patch.box]

    def without_weights(self) -> TopPatches:
        """The same, without the model: what keeps it keeps no weights. Only `alone` needs them."""
        recipe: Any = nn.Identity()
        recipe.preprocessing = getattr(self.model, "preprocessing", None)
        return replace(self, model=recipe)

    def alone(self, patch: Patch) -> float:
        """What the channel gives when the model is fed the patch alone; the value itself, where the patch is `inside`.

        Pixels around it are taken along as far as the strides need it, so that the kernels fall on the same places.
        Raises ConfigError where the unit sees the whole picture, or that is not known.
        """
        if patch.box is None or self.field is None or not self.field.stride:
            raise ConfigError(f"A unit of {self.block} sees the whole picture, or it is not known what it sees.")
        picture = self.source.one(patch.picture)
        sides = zip(patch.box, self.field.stride, picture.shape[-2:], strict=True)
        # from a multiple of the stride, and to as many pixels before the end: layers that pad by size pad alike then
        rows, columns = (slice(b.start // s * s, n - (n - b.stop) // s * s) for b, s, n in sides)
        starts, x = (rows.start, columns.start), picture[..., rows, columns]
        at = [p - a // s for p, a, s in zip(patch.position, starts, self.field.stride, strict=True)]
        maps = as_maps(record(self.model, x, [self.block])[self.block], (x.shape[-2], x.shape[-1]))
        assert maps is not None
        return float(maps[0, patch.channel, at[0], at[1]])

    def to_pandas(self) -> pandas.DataFrame:
        """A row a place: channel, rank, value, picture, row, column; top, left, bottom, right of what it sees (px)."""
        import pandas as pd

        rows = []
        for channel, patches in self.patches.items():
            for rank, patch in enumerate(patches):
                sides = [None] * 4 if patch.box is None else [
                    patch.box[0].start, patch.box[1].start, patch.box[0].stop, patch.box[1].stop]  # fmt: skip
                rows.append((channel, rank, patch.value, patch.picture, *patch.position, *sides))
        names = ("channel", "rank", "value", "picture", "row", "column", "top", "left", "bottom", "right")
        return pd.DataFrame(rows, columns=list(names)).astype(dict.fromkeys(names[6:], "Int64"))

    def heading(self) -> str:
        sees = "it is not known what a unit sees" if self.field is None else f"a unit sees {self.field}"
        return f"Strongest places of {self.block} in {self.name}, {self.pictures} pictures; {sees}"

    def table(self) -> Table:
        columns = [Column("channel", right=True), Column("strongest", right=True), Column("picture", right=True),
                   Column("row, column", right=True)]  # fmt: skip
        lines = []
        for channel, patches in list(self.patches.items())[:_SHOWN]:
            first = patches[0]
            cells = (
                str(channel),
                f"{first.value:.3g}",
                str(first.picture),
                f"{first.position[0]}, {first.position[1]}",
            )
            lines.append(Line([*map(Cell, cells)]))
        if len(self.patches) > _SHOWN:
            lines.append(Line([Cell("")], words=f"and {len(self.patches) - _SHOWN} channels more"))
        return Table(columns, lines)

    def plot(self, channels: Iterable[int] | None = None) -> Figure:
        """The patches, a row a channel: a matplotlib Figure that belongs to no pyplot window."""
        from classykit.plots.patches import patch_rows

        return patch_rows(self, channels)


@verb
def top_patches(
    model: nn.Module, pictures: Any, block: str, channels: int | Iterable[int] | None = None, k: int = 9,
    *, per_picture: int = 2,
) -> TopPatches:  # fmt: skip
    """The strongest places of each channel over many pictures, cut out by the exact receptive field.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        pictures: a batch (N, 3, H, W), a list of pictures, a folder or a Dataset, of which a batch is held at a time.
        block: a block's name or dotted path.
        channels: which; default all.
        k: how many places of each.
        per_picture: at most so many of one picture, which keeps neighbours from filling the row.

    Raises BlockError for an unknown block, or one that gives no map; ConfigError for a channel that is not there.

    >>> from classykit.models import build_model
    >>> found = top_patches(build_model("resnet18"), torch.rand(4, 3, 64, 64), "block0-0", channels=[3], k=2)
    >>> [patch.channel for patch in found.patches[3]], found.field.size
    ([3, 3], (27, 27))
    """
    for what, number in (("k", k), ("per_picture", per_picture)):
        if type(number) is not int or number < 1:
            raise ConfigError(f"{what} is a positive number, not {quoted(number)}.")
    if not isinstance(block, str):
        raise BlockError(f"block is one block's name or dotted path, not {quoted(block)}.")
    subject = subject_of(model)
    module = subject.with_weights()
    source = Pictures(pictures, module)
    best = _Best(k, per_picture)
    size: tuple[int, ...] = ()
    for numbers, x in source:
        features = record(module, x, [block])[block]
        maps = as_maps(features, (x.shape[-2], x.shape[-1])) if isinstance(features, torch.Tensor) else None
        if maps is None or maps.ndim != 4:
            raise BlockError(f"{quoted(block)} gives no map of places (h, w), so nothing of it can be cut out.")
        if size and tuple(x.shape[1:]) != size:
            raise ConfigError(
                f"The pictures are of several sizes, {size} and {tuple(x.shape[1:])}: prepare them alike."
            )
        size = tuple(x.shape[1:])
        best.add(numbers, maps)
    if not size:
        raise ConfigError("There are no pictures that could be read.")
    field = _field(module, size, block)
    wanted = _channels(channels, len(best.values), block)
    found = {channel: best.patches(channel, field, size) for channel in wanted}
    notes = [*untrained(subject)]
    if field is None or field.size is None or field.is_global:
        notes.append("A unit sees the whole picture, or what it sees is not known: patches are whole pictures")
    if source.skipped:
        notes.append(f"{len(source.skipped)} pictures could not be read")
    count = len(source) - len(source.skipped)
    return TopPatches(subject.name, block, found, field, count, best.map_size, source, module, tuple(notes))


def _field(module: nn.Module, size: tuple[int, ...], block: str) -> ReceptiveField | None:
    try:
        found = inspect(module, size)
    except ClassyKitError:
        return None
    return next((b.receptive_field for b in found.blocks if b.name == block), None)


def _channels(channels: Any, count: int, block: str) -> list[int]:
    if channels is None:
        return list(range(count))
    wanted = [channels] if isinstance(channels, int) else channels
    if isinstance(wanted, (str, bytes)) or not isinstance(wanted, Iterable) or getattr(wanted, "ndim", 1) == 0:
        raise ConfigError(f"channels are numbers, not {quoted(channels)}.")
    numbers = list(wanted)
    if not all(type(c) is int and 0 <= c < count for c in numbers) or not numbers:
        raise ConfigError(f"{quoted(block)} has the channels 0 to {count - 1}, not {quoted(channels)}.")
    return numbers


class _Best:
    """The strongest places of every channel so far: their number does not grow with that of the pictures."""

    def __init__(self, k: int, per_picture: int):
        self.map_size = (0, 0)
        self._k, self._per_picture = k, per_picture
        self.values = torch.empty(0, 0)  # (C, up to k)
        self._where = torch.empty(0, 0, 3, dtype=torch.long)  # picture, row, column

    def add(self, numbers: list[int], maps: torch.Tensor) -> None:
        self.map_size = (maps.shape[2], maps.shape[3])
        width = maps.shape[3]
        values, at = maps.flatten(2).topk(min(self._per_picture, maps[0, 0].numel()), dim=2)  # (N, C, few)
        pictures = torch.tensor(numbers)[:, None, None].expand_as(at)
        where = torch.stack([pictures, at.cpu() // width, at.cpu() % width], -1)  # (N, C, few, 3)
        values = values.float().cpu().transpose(0, 1).flatten(1)  # (C, N × few)
        where = where.transpose(0, 1).flatten(1, 2)
        if self.values.numel():
            values, where = torch.cat([self.values, values], 1), torch.cat([self._where, where], 1)
        self.values, order = values.topk(min(self._k, values.shape[1]), dim=1)
        self._where = where.gather(1, order[..., None].expand(-1, -1, 3))

    def patches(self, channel: int, field: ReceptiveField | None, size: tuple[int, ...]) -> tuple[Patch, ...]:
        found = []
        for value, (picture, row, column) in zip(
            self.values[channel].tolist(), self._where[channel].tolist(), strict=True
        ):
            box = None if field is None or field.is_global else field.pixels((row, column))
            whole = box is None or box == (slice(0, size[1]), slice(0, size[2]))
            size_of = field.size if field is not None and field.size is not None else ()
            inside = not whole and all(b.stop - b.start == n for b, n in zip(box or (), size_of, strict=True))
            found.append(Patch(channel, value, picture, (row, column), None if whole else box, inside))  # type: ignore[arg-type]
        return tuple(found)
