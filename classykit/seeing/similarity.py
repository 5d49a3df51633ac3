"""`similarity`: how alike what two blocks know of the same pictures is, by linear CKA."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ConfigError, ShapeError, quoted
from classykit.features import TOKENS, Features
from classykit.finding import Finding
from classykit.models.classy_model import ClassyModel
from classykit.running.recording import record
from classykit.seeing.streamed import Pictures
from classykit.seeing.view import untrained
from classykit.subject import block_list, subject_of
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_IN_MEMORY = 2**30  # bytes of features; more go to a temporary folder
_FEW = 50  # pictures


@dataclass(frozen=True, repr=False)
class Similarity(Finding):
    """Linear CKA of every two blocks, from 0 to 1; a block with itself is 1.

    Attributes:
        name: of the model.
        blocks: their names, in the order of rows and columns.
        matrix: (blocks, blocks), float64.
        pictures: how many were looked at.
        pool: None for flattened features, "mean" for those averaged over places.
        notes: what else there is to say.
    """

    name: str
    blocks: tuple[str, ...]
    matrix: torch.Tensor
    pictures: int
    pool: str | None = None
    notes: tuple[str, ...] = ()

    def between(self, one: str, other: str) -> float:
        """Of two blocks by name; BlockError for one that is not there."""
        for block in (one, other):
            if block not in self.blocks:
                raise BlockError(f"There is no {quoted(block)} here, but {', '.join(self.blocks)}.")
        return float(self.matrix[self.blocks.index(one), self.blocks.index(other)])

    def to_pandas(self) -> pandas.DataFrame:
        """The matrix, with the blocks' names."""
        import pandas as pd

        return pd.DataFrame(self.matrix.numpy(), index=list(self.blocks), columns=list(self.blocks))

    def heading(self) -> str:
        of = "flattened features" if self.pool is None else "features averaged over places"
        return f"Linear CKA of the blocks of {self.name}: {self.pictures} pictures, {of}"

    def table(self) -> Table:
        """Of each block: how alike it is to the one before, and to the last."""
        columns = [Column("block"), Column("with the one before", right=True), Column("with the last", right=True)]
        lines = []
        for i, block in enumerate(self.blocks):
            before = f"{self.matrix[i, i - 1]:.3f}" if i else ""
            lines.append(Line([Cell(block), Cell(before), Cell(f"{self.matrix[i, -1]:.3f}")]))
        return Table(columns, lines)

    def plot(self) -> Figure:
        """A heat map with names: a matplotlib Figure that belongs to no pyplot window."""
        from classykit.plots.similarity import similarity_map

        return similarity_map(self)


@verb
def similarity(
    model: nn.Module, x: Any, blocks: str | Iterable[str] = "all", *, pool: str | None = None, batch_size: int = 16
) -> Similarity:
    """How alike what every two blocks know of the same pictures is: linear centred kernel alignment.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        x: pictures: a batch (N, 3, H, W), a list, a folder or a Dataset, of which a batch is held at a time.
        blocks: names of blocks or dotted paths, or "all".
        pool: None: features are flattened. "mean": averaged over places first.
        batch_size: pictures at a time.

    CKA(X, Y) = ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), of centred features of all pictures (Kornblith et al., "Similarity of neural
    network representations revisited", ICML 2019). It is exact for these pictures; with few of them any two blocks seem
    alike. Features of more than a gigabyte lie in a temporary folder meanwhile.

    Raises ShapeError for fewer than two pictures, BlockError for unknown blocks, ConfigError for another pool.

    >>> from classykit.models import build_model
    >>> s = similarity(build_model("resnet18"), torch.rand(4, 3, 32, 32), ["block0-0", "block3-1"])
    >>> s.matrix.shape, round(s.between("block0-0", "block0-0"), 6)
    (torch.Size([2, 2]), 1.0)
    """
    if pool is not None and not (isinstance(pool, str) and pool == "mean"):
        raise ConfigError(f'pool is None or "mean", not {quoted(pool)}.')
    if type(batch_size) is not int or batch_size < 1:
        raise ConfigError(f"batch_size is a positive number, not {quoted(batch_size)}.")
    subject = subject_of(model)
    module = subject.with_weights()
    everything = isinstance(blocks, str) and blocks == "all"
    if everything and not isinstance(module, ClassyModel):
        module = ClassyModel.from_model(module)
    names = list(module.block_names) if everything else list(dict.fromkeys(block_list(blocks)))
    pictures = Pictures(x, module, batch_size)
    if len(pictures) < 2:
        raise ShapeError("CKA compares what blocks make of several pictures: give two or more, better a hundred.")
    with tempfile.TemporaryDirectory() as folder:
        held = _Held(Path(folder))
        for _, batch in pictures:
            for name, features in record(module, batch, names).items():
                held.add(name, _flat(features, pool, name))
        matrix = _cka(held, names)
    notes = [*untrained(subject)]
    if held.count < _FEW:
        notes.append(f"With {held.count} pictures any two blocks seem alike: more would tell them apart")
    if pictures.skipped:
        notes.append(
            f"{len(pictures.skipped)} pictures could not be read, the first: {next(iter(pictures.skipped.values()))}"
        )
    return Similarity(subject.name, tuple(names), matrix, held.count, pool, tuple(notes))


def _flat(features: Any, pool: str | None, name: str) -> torch.Tensor:
    """(N, features) of a batch, on the CPU."""
    if not isinstance(features, torch.Tensor) or not features.is_floating_point():
        raise BlockError(f"{quoted(name)} gives no tensor of numbers, so it is like nothing.")
    known = Features.of(features, features.shape[0])
    if pool == "mean" and features.ndim > 2:
        last = known is not None and (known.channels_last or known.kind == TOKENS)
        places = tuple(range(1, features.ndim - 1)) if last else tuple(range(2, features.ndim))
        features = features.mean(places)
    return features.float().flatten(1).cpu()


class _Held:
    """Features of blocks, batch by batch: in memory, or in a folder where they are many."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._parts: dict[str, list[torch.Tensor | Path]] = {}
        self._bytes = 0
        self._sums: dict[str, torch.Tensor] = {}
        self.count = 0  # pictures

    def add(self, name: str, features: torch.Tensor) -> None:
        parts = self._parts.setdefault(name, [])
        if name == next(iter(self._parts)):
            self.count += len(features)
        total = features.double().sum(0)
        if name in self._sums and self._sums[name].shape != total.shape:
            raise ShapeError(
                f"What {quoted(name)} gives is of another size from picture to picture: prepare them alike."
            )
        self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._bytes += features.nbytes
        if self._bytes <= _IN_MEMORY:
            parts.append(features)
            return
        path = self._folder / f"{list(self._parts).index(name)}-{len(parts)}.npy"
        np.save(path, features.numpy())
        parts.append(path)

    def parts(self, name: str) -> int:
        return len(self._parts[name])

    def centred(self, name: str, number: int) -> torch.Tensor:
        """(N, features) of one batch, less the mean over all pictures."""
        part = self._parts[name][number]
        features = torch.from_numpy(np.load(part)) if isinstance(part, Path) else part
        return features - (self._sums[name] / self.count).float()


def _cka(held: _Held, names: list[str]) -> torch.Tensor:
    """‖YᵀX‖² is the inner product of the Gram matrices XXᵀ and YYᵀ, which adds up tile by tile."""
    products = torch.zeros(len(names), len(names), dtype=torch.float64)
    batches = range(held.parts(names[0])) if names else range(0)
    for i in batches:
        for j in range(i, len(batches)):
            tiles = []
            for name in names:
                left = held.centred(name, i)
                right = left if i == j else held.centred(name, j)
                tiles.append((left @ right.T).double().flatten())
            grams = torch.stack(tiles)  # (blocks, tile)
            products += grams @ grams.T * (1 if i == j else 2)
    products = (products + products.T) / 2  # which not every processor's product of matrices has in the last bit
    norms = products.diagonal().clamp_min(0).sqrt()
    found = products / (norms[:, None] * norms[None]).clamp_min(1e-300)
    return found.clamp(0, 1)
