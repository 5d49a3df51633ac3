"""What `fit_heads` gives: how heads have learnt, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from classykit.finding import Finding
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class HeadFit:
    """What a head has learnt.

    Attributes:
        block: that it is on.
        losses: mean cross-entropy of each epoch, on the pictures that it learns from.
        accuracy: after each epoch, on the pictures held out; on those that it learns from where none are.
        known: how many pictures have a label for it.
        labels: names of its classes, in the order of its outputs; None for numbers.
        layer: dotted path, in the head, of the layer that has taken the features' mean and spread in; None without.
    """

    block: str
    losses: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    known: int = 0
    labels: list[str] | None = None
    layer: str | None = None
    channel_dim: int = 1  # of the features


@dataclass(repr=False, eq=False)
class Fit(Finding):
    """How heads have learnt, epoch by epoch.

    Attributes:
        name: of the model.
        heads: {unique_id: its `HeadFit`}.
        epochs, lr, batch_size, seed, test, trunk: as they were asked for.
        learnt_from, held_out: how many pictures.
        notes: what else there is to say.
    """

    name: str
    heads: dict[str, HeadFit]
    epochs: int
    lr: float
    batch_size: int
    seed: int
    test: float
    trunk: bool
    learnt_from: int = 0
    held_out: int = 0
    notes: tuple[str, ...] = ()

    @property
    def losses(self) -> dict[str, list[float]]:
        """{unique_id: the loss of each epoch}."""
        return {name: head.losses for name, head in self.heads.items()}

    @property
    def accuracy(self) -> dict[str, float]:
        """{unique_id: accuracy after the last epoch}, on the pictures held out."""
        return {name: head.accuracy[-1] for name, head in self.heads.items() if head.accuracy}

    def heading(self) -> str:
        what = "the whole model" if self.trunk else "the trunk stays as it is"
        done = max((len(head.losses) for head in self.heads.values()), default=0)
        return f"Heads of {self.name}, {done} epochs on {self.learnt_from} pictures, {self.held_out} held out; {what}"

    def table(self) -> Table:
        columns = [Column("head"), Column("on"), Column("loss", right=True), Column("accuracy", right=True),
                   Column("labels known", right=True, dispensable=1)]  # fmt: skip
        lines = []
        for name, head in self.heads.items():
            losses = f"{head.losses[0]:.3f} → {head.losses[-1]:.3f}" if head.losses else ""
            accuracy = f"{head.accuracy[-1]:.3f}" if head.accuracy else ""
            lines.append(Line([*map(Cell, (name, head.block, losses, accuracy, str(head.known)))]))
        return Table(columns, lines)

    def plot(self) -> Figure:
        """Loss and accuracy of each head, epoch by epoch: a matplotlib Figure that belongs to no pyplot window."""
        from classykit.plots.fit import fit_curves

        return fit_curves(self)

    def to_code(self) -> str:
        """The loop as plain PyTorch, for ``model``, ``x`` and ``targets`` as `fit_heads` was given them."""
        from classykit.learning.fit_code import fit_code

        return fit_code(self)
