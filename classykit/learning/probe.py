"""`probe`: what can be read off each block of a network by a linear classifier, beside controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from classykit import formats
from classykit.contexts import verb
from classykit.errors import ClassyKitError, ConfigError, ShapeError, quoted, warn
from classykit.finding import Finding
from classykit.inspecting.inspection import inspect
from classykit.learning.collected import blocks_of, class_labels, collected
from classykit.learning.linear import Accuracy, read_off, splits_of
from classykit.learning.random_twin import random_twin
from classykit.seeing.view import untrained
from classykit.subject import subject_of
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

CONTROLS = ("pixels", "random")
POOLS = ("mean", "class", None)


@dataclass(frozen=True, repr=False)
class Probe(Finding):
    """What a linear classifier reads off each block, on pictures that it has not seen.

    Attributes:
        name: of the model.
        blocks: {block: its `Accuracy`}, in the order asked for.
        macs_so_far: {block: multiply-accumulates from the input to the end of the block}; None where not known.
        controls: {"chance": the share of the most frequent class, "pixels": `Accuracy` on the raw pictures, "random":
            {block: `Accuracy` in the same network with random weights}}, those that were drawn.
        pictures, classes: how many there are.
        pool: how features were pooled.
        notes: what else there is to say.
    """

    name: str
    blocks: dict[str, Accuracy]
    macs_so_far: dict[str, int | None]
    controls: dict[str, Any]
    pictures: int
    classes: int
    pool: str | None
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> str:
        """The block that a linear classifier reads most off."""
        return max(self.blocks, key=lambda block: self.blocks[block].accuracy)

    def to_pandas(self) -> pandas.DataFrame:
        """A row a block: block, accuracy, stderr, dimensions, macs_so_far; ``controls`` is what to compare with."""
        import pandas as pd

        rows = [(b, a.accuracy, a.stderr, a.dimensions, self.macs_so_far[b]) for b, a in self.blocks.items()]
        found = pd.DataFrame(rows, columns=["block", "accuracy", "stderr", "dimensions", "macs_so_far"])
        return found.astype({"macs_so_far": "Int64"})

    def heading(self) -> str:
        return f"What a linear classifier reads off {self.name}: {self.pictures} pictures, {self.classes} classes"

    def table(self) -> Table:
        columns = [Column("block"), Column("accuracy", right=True), Column("random weights", right=True),
                   Column("dimensions", right=True, dispensable=1), Column("MACs so far", right=True)]  # fmt: skip
        random = self.controls.get("random", {})
        lines = []
        for block, found in self.blocks.items():
            macs = self.macs_so_far[block]
            cells = (block, str(found), str(random.get(block, "")), f"{found.dimensions:,}",
                     "?" if macs is None else formats.count(macs))  # fmt: skip
            lines.append(Line([Cell(text, bold=block == self.best) for text in cells]))
        for i, (what, words) in enumerate((("pixels", "raw pixels"), ("chance", "chance: the most frequent class"))):
            if what in self.controls:
                found = self.controls[what]
                cells = (words, str(found), "", f"{found.dimensions:,}" if found.dimensions else "", "")
                lines.append(Line([*map(Cell, cells)], parted=i == 0 or "pixels" not in self.controls))
        return Table(columns, lines)

    def plot(self) -> Figure:
        """Accuracy against depth, and against MACs so far, with error bars and controls.

        Returns a matplotlib Figure that belongs to no pyplot window.
        """
        from classykit.plots.probe import probe_curves

        return probe_curves(self)


@verb
def probe(
    model: nn.Module,
    x: Any,
    y: Any = None,
    blocks: str | Iterable[str] = "all",
    *,
    pool: str | None = "mean",
    controls: Sequence[str] = CONTROLS,
    test: float = 0.33,
    repeats: int = 3,
    seed: int = 0,
    batch_size: int = 16,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Probe:
    """What can be read off each block by a linear classifier (Alain and Bengio, 2016), from one pass over the data.

    Features are standardised, and scikit-learn's logistic regression learns from two thirds of the pictures and is
    tested on the others, ``repeats`` times, in stratified splits. An accuracy says little by itself: random weights
    and raw pixels go a long way, and are shown beside it.

    Args:
        model: a ClassyModel or any nn.Module with weights; nothing of it is changed.
        x: pictures: a batch (N, C, H, W) as the model takes it, a list of pictures, a folder or a Dataset.
        y: the class of each: numbers or names; None for one that is not known. Default: the folder's or Dataset's own.
        blocks: names of blocks or dotted paths, or "all".
        pool: "mean": over places; of tokens over those that are patches. "class": of tokens the first, where there are
            some before the patches. None: flattened, as they are.
        controls: "pixels": the pictures themselves, at most 32 pixels a side; "random": the same network with random
            weights, which takes as long again. Chance is always there.
        test: the share of pictures that is tested on.
        repeats: how many splits; their spread is the standard error.
        seed: of the splits, and of the random weights.
        batch_size, device: of the passes, see `classykit.extract`.
        progress: show a bar when it takes longer than a second. Default True.

    Features of more than a gigabyte lie in a temporary folder meanwhile.

    Raises ConfigError for labels that make no split, ShapeError for as many labels as there are no pictures, or a block
    that gives nothing to learn from, BlockError for an unknown block.

    >>> from classykit.models import build_model
    >>> x = torch.rand(24, 3, 32, 32)
    >>> x[::2] *= 0.2  # dark pictures, and bright ones
    >>> p = probe(build_model("resnet18"), x, [0, 1] * 12, ["block0-0", "block3-1"], controls=["pixels"])
    >>> p.best in p.blocks, float(p.controls["chance"]), list(p.to_pandas())
    (True, 0.5, ['block', 'accuracy', 'stderr', 'dimensions', 'macs_so_far'])
    """
    _check(pool, controls, test, repeats, seed, batch_size)
    subject = subject_of(model)
    module, names = blocks_of(subject.with_weights(), blocks)
    options: dict[str, Any] = {"device": device, "batch_size": batch_size, "progress": progress}
    notes = [*untrained(subject)]
    with collected(module, x, names, pool, what=subject.name, **options) as held:
        labels = class_labels(y, held)
        known = np.array([label is not None for label in labels], bool)
        labels = [label for label in labels if label is not None]
        if len({type(label) for label in labels}) > 1:
            raise ConfigError("Some labels are numbers and some are names: give one or the other.")
        splits = splits_of(labels, test, repeats, seed)
        found = {name: _read(name, held.features[name][known], labels, splits) for name in names}
        drawn: dict[str, Any] = {"chance": Accuracy(max(Counter(labels).values()) / len(labels), 0.0)}
        if "pixels" in controls and held.pixels is not None:
            drawn["pixels"] = read_off(held.pixels[known], labels, splits)
        elif "pixels" in controls:
            notes.append("These inputs are no pictures of one size, so there are no raw pixels to compare with")
        macs, skipped = _macs_so_far(module, held.input_shape, names), held.skipped
    if skipped:
        notes.append(f"{len(skipped)} pictures could not be read, the first: {next(iter(skipped.values()))}")
        warn(f"{notes[-1]}.", RuntimeWarning)
    if "random" in controls:
        with collected(random_twin(module, seed), x, names, pool, what="random weights", **options) as other:
            drawn["random"] = {name: _read(name, other.features[name][known], labels, splits) for name in names}
    return Probe(subject.name, found, macs, drawn, len(labels), len(set(labels)), pool, tuple(notes))


def _read(name: str, features: np.ndarray, labels: list[Any], splits: Any) -> Accuracy:
    if not np.isfinite(features).all():
        raise ShapeError(f"What {quoted(name)} gives is not finite everywhere, so nothing can be read off it.")
    return read_off(features, labels, splits)


def _macs_so_far(module: nn.Module, shape: tuple[int, ...], names: list[str]) -> dict[str, int | None]:
    try:
        found = inspect(module, shape)
    except ClassyKitError:
        return dict.fromkeys(names)
    total, so_far = 0, {}
    for block in found.blocks:
        total += block.macs
        so_far[block.name] = total
    return {name: so_far.get(name) for name in names}


def _check(pool: Any, controls: Any, test: Any, repeats: Any, seed: Any, batch_size: Any) -> None:
    if not (pool is None or isinstance(pool, str)) or pool not in POOLS:
        raise ConfigError(f'pool is "mean", "class" or None, not {quoted(pool)}.')
    if isinstance(controls, str) or not all(isinstance(c, str) and c in CONTROLS for c in controls):
        raise ConfigError(f"controls are some of {', '.join(map(repr, CONTROLS))}, not {quoted(controls)}.")
    if isinstance(test, bool) or not isinstance(test, (int, float)) or not 0 < test < 1:
        raise ConfigError(f"test is a share of the pictures between 0 and 1, not {quoted(test)}.")
    for what, number, least in (("repeats", repeats, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if type(number) is not int or not least <= number < 2**32:
            raise ConfigError(f"{what} is a whole number from {least} on, not {quoted(number)}.")
