"""`probe`: what can be read off each block of a network by a linear classifier, beside controls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from classykit import formats
from classykit.contexts import verb
from classykit.errors import (
    BlockError,
    ClassyKitError,
    ConfigError,
    HeadError,
    Interrupted,
    ShapeError,
    quoted,
    suggest,
    warn,
)
from classykit.extracting.picture_folder import Folder
from classykit.finding import Finding
from classykit.heads.linear_probe import LinearProbe
from classykit.inspecting.inspection import inspect
from classykit.learning.collected import Collected, blocks_of, class_labels, collected
from classykit.learning.linear import Accuracy, read_off, splits_of
from classykit.learning.random_twin import random_twin
from classykit.learning.what_it_says import sentences
from classykit.seeing.view import untrained
from classykit.subject import UNTRAINED, subject_of
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
        tested: how many pictures each split is tested on.
        heads: {block: config of the linear_probe head that takes its features}, of those that one takes.
    """

    name: str
    blocks: dict[str, Accuracy]
    macs_so_far: dict[str, int | None]
    controls: dict[str, Any]
    pictures: int
    classes: int
    pool: str | None
    notes: tuple[str, ...] = ()
    tested: int = 0
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def untrained(self) -> bool:
        """Whether the weights were random to begin with."""
        return UNTRAINED in self.notes

    @property
    def says(self) -> list[str]:
        """What follows from the figures, in at most four sentences.

        Differences of less than two standard deviations over the splits, or of less than a picture, count as none.
        """
        return sentences(self.blocks, self.controls, self.tested, self.untrained)

    def head(self, block: str, unique_id: str = "probe") -> LinearProbe:
        """What was learnt of a block's features, in the first split, as a head to attach to it.

        BlockError for a block that was not asked about, HeadError where no head takes its features as they were pooled.
        """
        if block not in self.blocks:
            raise BlockError(f"{quoted(block)} was not probed.{suggest(block, self.blocks)}")
        layer = self.blocks[block].layer
        if layer is None or block not in self.heads:
            raise HeadError(f"No head takes the features of {quoted(block)} as they were pooled here: {self.pool!r}.")
        head = LinearProbe(unique_id=unique_id, num_classes=self.classes, **self.heads[block])
        head.fc.load_state_dict(dict(zip(("weight", "bias"), map(torch.from_numpy, layer), strict=True)))
        return head.eval()

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
    limit: int | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
    on_pictures: Callable[[int, int], None] | None = None,
    on_block: Callable[[Probe], None] | None = None,
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
        limit: at most so many of the pictures, spread evenly over them: of a folder as large a share of each class.
        progress: show a bar when it takes longer than a second. Default True.
        on_pictures: called with (pictures run, of how many) in a pass; random weights take one of their own.
        on_block: called with the `Probe` as far as it has come, after each block and each control.

    Features of more than a gigabyte lie in a temporary folder meanwhile.

    Raises ConfigError for labels that make no split, ShapeError for as many labels as there are no pictures, or a block
    that gives nothing to learn from, BlockError for an unknown block; Interrupted, with the blocks until then, when it
    is interrupted.

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
    x, y = _limited(x, y, limit)
    options: dict[str, Any] = {
        "device": device, "batch_size": batch_size, "progress": progress, "on_pictures": on_pictures,
    }  # fmt: skip
    asked = _Asked(subject.name, names, pool, [*untrained(subject)], on_block or (lambda so_far: None))
    try:
        with collected(module, x, names, pool, what=subject.name, **options) as held:
            asked.begin(held, y, _macs_so_far(module, held.input_shape, names), (test, repeats, seed))
            asked.read(held, asked.found)
            if "pixels" in controls:
                asked.read_pixels(held)
        if "random" in controls:
            with collected(random_twin(module, seed), x, names, pool, what="random weights", **options) as other:
                asked.read(other, asked.drawn.setdefault("random", {}))
    except KeyboardInterrupt:
        if not asked.found:
            raise
        words = asked.stopped(len(names) * (2 if "random" in controls else 1))
        raise Interrupted(f"{words}; they are in this error's result.", asked.so_far()) from None
    return asked.so_far()


class _Asked:
    """A `Probe` as it comes about.

    Attributes:
        found: {block: its `Accuracy`}, of those that were read so far.
        drawn: the controls, likewise.
    """

    def __init__(self, name: str, names: list[str], pool: str | None, notes: list[str], tell: Callable[[Probe], None]):
        self.name, self.names, self.pool, self.notes, self.tell = name, names, pool, notes, tell
        self.found: dict[str, Accuracy] = {}
        self.drawn: dict[str, Any] = {}

    def begin(self, held: Collected, y: Any, macs: dict[str, int | None], split: tuple[float, int, int]) -> None:
        """Settle which picture is of which class, and which are tested on; ``split``: share, repeats, seed."""
        labels = class_labels(y, held)
        self.known = np.array([label is not None for label in labels], bool)
        self.labels = [label for label in labels if label is not None]
        if len({type(label) for label in self.labels}) > 1:
            raise ConfigError("Some labels are numbers and some are names: give one or the other.")
        self.splits = splits_of(self.labels, *split)
        self.drawn["chance"] = Accuracy(max(Counter(self.labels).values()) / len(self.labels), 0.0)
        self.macs = macs
        self.heads = {name: keys for name in self.names if (keys := _head_for(held, name)) is not None}
        if held.skipped:
            reason = next(iter(held.skipped.values()))
            self.notes.append(f"{len(held.skipped)} pictures could not be read, the first: {reason}")
            warn(f"{self.notes[-1]}.", RuntimeWarning)

    def read(self, held: Collected, into: dict[str, Accuracy]) -> None:
        """Read off all blocks, one by one."""
        for name in self.names:
            into[name] = _read(name, held.features[name][self.known], self.labels, self.splits)
            self.tell(self.so_far())

    def read_pixels(self, held: Collected) -> None:
        """Read off the pictures themselves, where they are of one size."""
        if held.pixels is None:
            self.notes.append("These inputs are no pictures of one size, so there are no raw pixels to compare with")
            return
        self.drawn["pixels"] = read_off(held.pixels[self.known], self.labels, self.splits)
        self.tell(self.so_far())

    def stopped(self, of: int) -> str:
        """Note that it was interrupted, and how far it had come; gives that note."""
        read = len(self.found) + len(self.drawn.get("random", {}))
        where = f"after {next(reversed(self.found))}" if len(self.found) < len(self.names) else "within the controls"
        self.notes.append(f"Interrupted {where}: {read} of {of} probes")
        return self.notes[-1]

    def so_far(self) -> Probe:
        """What is known by now."""
        controls = {what: dict(of) if isinstance(of, dict) else of for what, of in self.drawn.items()}
        return Probe(
            self.name, dict(self.found), {name: self.macs[name] for name in self.found}, controls, len(self.labels),
            len(set(self.labels)), self.pool, tuple(self.notes), len(self.splits[0][1]), self.heads,
        )  # fmt: skip


def _limited(x: Any, y: Any, limit: int | None) -> tuple[Any, Any]:
    """At most so many of the pictures, and their labels."""
    if limit is None:
        return x, y
    if type(limit) is not int or limit < 2:
        raise ConfigError(f"limit is None or a whole number from 2 on, not {quoted(limit)}.")
    x = Folder(x) if isinstance(x, (str, os.PathLike)) else x
    if not hasattr(x, "__len__") or not hasattr(x, "__getitem__") or len(x) <= limit:
        return x, y
    picked = np.linspace(0, len(x) - 1, limit).round().astype(int).tolist()
    if y is not None:
        if not hasattr(y, "__len__") or len(y) != len(x):
            return x, y  # which is refused, in words
        y = [y[i] for i in picked]
    return (x[picked] if isinstance(x, (torch.Tensor, np.ndarray)) else [x[i] for i in picked]), y


def _head_for(held: Collected, block: str) -> dict[str, Any] | None:
    """The config of the head that pools a block's features as they were pooled here; None where none does."""
    known, layout = held.kinds.get(block), held.layouts[block]
    if known is None or LinearProbe.misfit(known) is not None or layout.shape != (known.channels,):
        return None
    first, stop = layout.only or (0, None)
    keys = LinearProbe.keys_for(known)
    return {**keys, "pool": "class"} if stop == 1 else {**keys, "before": first} if first else keys


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
