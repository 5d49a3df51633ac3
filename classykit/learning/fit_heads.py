"""`fit_heads`: heads on a trunk that stays as it is, taught together; or the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from classykit.contexts import uninterrupted, verb
from classykit.copies import copied
from classykit.errors import ConfigError, HeadError, Interrupted, ShapeError, quoted
from classykit.extracting.feature_source import Items
from classykit.finding import Finding
from classykit.heads.classy_head import ClassyHead
from classykit.learning.absorbed import Standard
from classykit.learning.collected import Collected, as_data, class_labels, collected
from classykit.models.classy_model import ClassyModel
from classykit.running.placement import Place, choose
from classykit.seeing.view import untrained
from classykit.subject import subject_of
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNKNOWN = -100  # a label that is not known, as torch's losses have it
_LR = {False: 1e-2, True: 1e-3}


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


@verb
def fit_heads(
    model: ClassyModel,
    x: Any,
    targets: Mapping[str, Any],
    *,
    epochs: int = 5,
    lr: float | None = None,
    trunk: bool = False,
    seed: int = 0,
    batch_size: int = 32,
    test: float = 0.2,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Fit:
    """Teach attached heads together, each its own task, by cross-entropy and Adam; their weights are what changes.

    The trunk stays in eval mode and bit for bit as it is, batch normalisation included: its features are computed once
    and standardised, so that a head on any block learns. What that takes is absorbed by the head's first layer in the
    end, so ``model(x)`` needs nothing else.

    Args:
        model: a ClassyModel with heads. Also on another device than the one at hand.
        x: pictures, as `classykit.probe` takes them.
        targets: {unique_id of a head: the class of each picture}: numbers from 0, or names; None, NaN or -1 where it
            is not known. None for the labels of the folder or Dataset.
        epochs: how often each picture is seen.
        lr: Adam's step. Default 0.01; 0.001 with the trunk.
        trunk: teach the trunk, too, in training mode; features are taken as they are then. The statistics of batch
            normalisation are taken anew after each epoch, as running means lag far behind in so few steps.
        seed: of the order of the pictures, and which are held out. The random state is left as it is.
        batch_size: pictures a step.
        test: share of the pictures that accuracy is measured on, which are not learnt from; 0 for none.
        device: "auto": a GPU when there is one. What was learnt comes back to where the model is.
        progress: show a bar when it takes longer than a second. Default True.

    Returns a `Fit`: losses and accuracy a head, ``.plot()``, and the plain loop as ``.to_code()``.

    Raises HeadError for a head that is not attached or has no classes, ConfigError for labels that are none of a head's
    classes, ShapeError for another number of labels than of pictures. Interrupted, with the Fit until then, when it is
    interrupted: heads keep what they have learnt.

    >>> from classykit.models import build_model
    >>> net = build_model("resnet18").eval()
    >>> head = net.attach_head("block0-0", "linear_probe", unique_id="bright", num_classes=2)
    >>> x, y = torch.rand(40, 3, 32, 32), [0, 1] * 20
    >>> x[1::2] += 1
    >>> fit_heads(net, x, {"bright": y}, epochs=20).accuracy
    {'bright': 1.0}
    """
    subject = subject_of(model)
    module = subject.with_weights()
    heads = _heads(module, targets)
    rate = _checked(epochs, lr, trunk, seed, batch_size, test)
    notes = untrained(subject) if not trunk else ()
    fit = Fit(subject.name, {}, epochs, rate, batch_size, seed, float(test), trunk, notes=notes)
    teach = _Whole if trunk else _OnFeatures
    with torch.random.fork_rng(devices=_cuda(module, device)):
        torch.manual_seed(seed)
        with teach.prepared(fit, module, heads, x, targets, device, progress) as lesson:
            _learn(lesson, progress)
    return lesson.fit


def _heads(model: nn.Module, targets: Any) -> dict[str, tuple[str, ClassyHead]]:
    """{unique_id: (block, head)} of the heads that are to learn."""
    if not isinstance(model, ClassyModel):
        raise HeadError(f"{type(model).__name__} has no heads: adopt it (ClassyModel.from_model), and attach some.")
    if not isinstance(targets, Mapping) or not targets:
        raise ConfigError(f"targets is {{unique_id of a head: labels}}, not {quoted(targets)}.")
    attached = {head.unique_id: (block, head) for block, of in model.get_heads().items() for head in of}
    for name in targets:
        if name not in attached:
            there = ", ".join(map(quoted, attached)) or "none"
            raise HeadError(f"There is no head {quoted(name)}; attached are: {there}.")
        head = attached[name][1]
        if not head.num_classes:
            raise HeadError(f"Head {quoted(name)} has no classes to learn: give it num_classes when it is attached.")
        if not any(True for _ in head.parameters()):
            raise HeadError(f"Head {quoted(name)} has no weights, so there is nothing that it could learn.")
    return {name: attached[name] for name in targets}


def _checked(epochs: Any, lr: Any, trunk: Any, seed: Any, batch_size: Any, test: Any) -> float:
    for what, number, least in (("epochs", epochs, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if type(number) is not int or not least <= number < 2**32:
            raise ConfigError(f"{what} is a whole number from {least} on, not {quoted(number)}.")
    if not isinstance(trunk, bool):
        raise ConfigError(f"trunk is True or False, not {quoted(trunk)}.")
    if isinstance(test, bool) or not isinstance(test, (int, float)) or not 0 <= test < 1:
        raise ConfigError(f"test is a share of the pictures from 0 to below 1, not {quoted(test)}.")
    if lr is None:
        return _LR[trunk]
    if isinstance(lr, bool) or not isinstance(lr, (int, float)) or not 0 < lr < float("inf"):
        raise ConfigError(f"lr is a positive number, not {quoted(lr)}.")
    return float(lr)


def _cuda(model: nn.Module, device: Any) -> list[int]:
    place = choose(model, device)
    return [place.device.index or 0] if place.device.type == "cuda" else []


class _Lesson:
    """Pictures by their numbers, what heads make of them, and how what was learnt gets to the model."""

    learn_from: torch.Tensor
    held_out: torch.Tensor

    def __init__(self, fit: Fit, model: ClassyModel, heads: Mapping[str, tuple[str, ClassyHead]], place: Place):
        self.model, self.place = model, place
        self.given = {name: head for name, (_, head) in heads.items()}
        self.labels: dict[str, torch.Tensor] = {}
        self.fit = fit
        for name, (block, _) in heads.items():
            fit.heads[name] = HeadFit(block)

    def take_labels(self, targets: Mapping[str, Any], held: Collected) -> None:
        for name, head in self.given.items():
            values = class_labels(targets[name], held, f"targets[{name!r}]")
            self.labels[name], of = _numbers(name, values, head.num_classes or 0), self.fit.heads[name]
            of.known = int((self.labels[name] != UNKNOWN).sum())
            if any(isinstance(value, str) for value in values):
                of.labels = sorted({value for value in values if value is not None})

    def split(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(numbers of the pictures to learn from, numbers of those held out)"""
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.fit.seed))
        held_out = round(self.fit.test * count)
        if held_out >= count:
            raise ConfigError(f"test = {self.fit.test} of {count} pictures leaves none to learn from.")
        self.fit.learnt_from, self.fit.held_out = count - held_out, held_out
        for name, labels in self.labels.items():
            if not (labels[order[held_out:]] != UNKNOWN).any():
                raise ConfigError(f"None of the pictures that head {quoted(name)} could learn from has a label.")
        return order[held_out:], order[:held_out]


class _OnFeatures(_Lesson):
    """Heads on features that were computed once."""

    @classmethod
    @contextmanager
    def prepared(
        cls, fit: Fit, model: ClassyModel, heads: Any, x: Any, targets: Any, device: Any, progress: bool
    ) -> Iterator[_OnFeatures]:
        blocks = list(dict.fromkeys(block for block, _ in heads.values()))
        place = choose(model, device)
        lesson = cls(fit, model, heads, Place(place.device, torch.float32))
        with collected(
            model, x, blocks, None, device=device, batch_size=fit.batch_size, progress=progress, what=fit.name
        ) as held:
            lesson.take_labels(targets, held)
            lesson.held = held
            lesson.learn_from, lesson.held_out = lesson.split(len(held.numbers))
            lesson._copy_heads()
            yield lesson

    held: Collected

    def _copy_heads(self) -> None:
        self.heads = nn.ModuleDict()
        self.standard: dict[str, Standard] = {}
        some = self.learn_from[:4096].sort().values
        for i, (name, head) in enumerate(self.given.items()):
            own = copied(head, {}).to(self.place.device, torch.float32).eval()
            own.requires_grad_(True)
            block = self.fit.heads[name].block
            self.fit.heads[name].channel_dim = dim = self.held.channel_dim(block)
            self.standard[name] = standard = Standard(own, self._features(block, some), dim)
            if not head.is_untrained:  # what it knows of plain features is to hold of standardised ones
                standard.take_out(own)
            self.fit.heads[name].layer = standard.path
            self.heads[str(i)] = own
            if standard.path is None:
                note = f"Head {quoted(name)} learns from features as they are: no layer of its takes their scale in"
                self.fit.notes = (*self.fit.notes, note)

    def _features(self, block: str, numbers: torch.Tensor) -> torch.Tensor:
        layout = self.held.layouts[block]
        batch = torch.from_numpy(np.ascontiguousarray(self.held.features[block][numbers.numpy()]))
        return batch.movedim(0, layout.batch_dim).to(self.place.device, torch.float32)

    def scores(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        features: dict[str, torch.Tensor] = {}
        found = {}
        for (name, standard), head in zip(self.standard.items(), self.heads.values(), strict=True):
            block = self.fit.heads[name].block
            if block not in features:
                features[block] = self._features(block, numbers)
            found[name] = head(standard.of(features[block]))
        return found

    @property
    def learning(self) -> nn.Module:
        return self.heads

    def keep(self) -> None:
        """Give the model's heads what their copies have learnt."""
        for (name, standard), head in zip(self.standard.items(), self.heads.values(), strict=True):
            done = copied(head, {})
            standard.take_in(done)
            self.given[name].load_state_dict(done.state_dict())


class _Whole(_Lesson):
    """The model itself, pictures loaded again in each epoch."""

    @classmethod
    @contextmanager
    def prepared(
        cls, fit: Fit, model: ClassyModel, heads: Any, x: Any, targets: Any, device: Any, progress: bool
    ) -> Iterator[_Whole]:
        place = choose(model, device)
        lesson = cls(fit, model, heads, Place(place.device, torch.float32))
        lesson.items = Items(as_data(x), model, on_error="raise")
        held = Collected({}, list(range(len(lesson.items))))
        if None in targets.values():
            held.labels = [lesson.items[i][0].label for i in held.numbers]
        lesson.take_labels(targets, held)
        lesson.learn_from, lesson.held_out = lesson.split(len(held.numbers))
        lesson.learning = copied(model, {}).to(place.device, torch.float32)
        lesson.learning.requires_grad_(True)
        yield lesson

    items: Any  # those that cannot be read raise, so that each is (who it is, tensor)
    learning: nn.Module

    def scores(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        rows = [self.items[i] for i in numbers.tolist()]
        shapes = {tuple(x.shape) for _, x in rows}
        if len(shapes) > 1:
            raise ShapeError(f"The pictures are of several sizes, such as {sorted(shapes)[:2]}: prepare them alike.")
        found = self.learning(self.place.put(torch.stack([x for _, x in rows])))
        if not isinstance(found, dict):
            found = {next(iter(self.model.head_paths())): found}
        return {name: found[name] for name in self.given}

    def keep(self) -> None:
        self.model.load_state_dict(self.learning.state_dict())


def _numbers(name: str, values: list[Any], classes: int) -> torch.Tensor:
    """Labels as the numbers of a head's outputs; ConfigError for those that are none."""
    known = [value for value in values if value is not None and value != -1]
    if len({isinstance(value, str) for value in known}) > 1:
        raise ConfigError(f"Some labels of head {quoted(name)} are numbers and some are names: give one or the other.")
    names = sorted(set(known)) if known and isinstance(known[0], str) else list(range(classes))
    if len(names) > classes:
        raise ConfigError(f"Head {quoted(name)} has {classes} classes, and there are {len(names)} labels.")
    bad = next((value for value in known if value not in names), None)
    if bad is not None:
        raise ConfigError(f"Head {quoted(name)} has the classes 0 to {classes - 1}; there is a label {quoted(bad)}.")
    at = {value: i for i, value in enumerate(names)}
    return torch.tensor([at.get(value, UNKNOWN) for value in values])


def _learn(lesson: Any, progress: bool) -> None:
    """The loop; what was reached is kept when it is interrupted."""
    from tqdm.auto import tqdm

    fit, module = lesson.fit, lesson.learning
    steps = -(-len(lesson.learn_from) // fit.batch_size)
    try:
        with tqdm(total=fit.epochs * steps, unit="step", delay=1, leave=False, disable=not progress) as bar:
            optimizer = torch.optim.Adam(module.parameters(), lr=fit.lr)
            for epoch in range(fit.epochs):
                module.train()
                _epoch(lesson, optimizer, epoch, bar.update)
                update_bn(lesson.learn_from.split(fit.batch_size), _Pass(lesson))  # running means lag in short lessons
                module.eval()
                for name, share in _accuracy(lesson).items():
                    fit.heads[name].accuracy.append(share)
    except KeyboardInterrupt:
        uninterrupted(lesson.keep)
        done = len(next(iter(fit.heads.values())).losses)
        raise Interrupted(
            f"Interrupted after {done} of {fit.epochs} epochs; the heads keep what they have learnt.", fit
        ) from None
    uninterrupted(lesson.keep)


class _Pass(nn.Module):
    """A lesson as a module that takes numbers of pictures."""

    def __init__(self, lesson: Any):
        super().__init__()
        self.learning, self._scores = lesson.learning, lesson.scores

    def forward(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        return self._scores(numbers)


def _epoch(lesson: Any, optimizer: torch.optim.Optimizer, epoch: int, tell: Callable[[], Any]) -> None:
    fit = lesson.fit
    order = torch.Generator().manual_seed(fit.seed + 1 + epoch)
    shuffled = lesson.learn_from[torch.randperm(len(lesson.learn_from), generator=order)]
    total, count = dict.fromkeys(fit.heads, 0.0), dict.fromkeys(fit.heads, 0)
    with torch.enable_grad():
        for numbers in shuffled.split(fit.batch_size):
            losses = []
            for name, scores in lesson.scores(numbers).items():
                wanted = lesson.labels[name][numbers].to(lesson.place.device)
                known = int((wanted != UNKNOWN).sum())
                if known:
                    losses.append(F.cross_entropy(_logits(scores, lesson.given[name]), wanted, ignore_index=UNKNOWN))
                    total[name] += float(losses[-1].detach()) * known
                    count[name] += known
            if losses:
                optimizer.zero_grad()
                torch.stack(losses).sum().backward()
                optimizer.step()
            tell()
    for name, head in fit.heads.items():
        head.losses.append(total[name] / max(count[name], 1))


def _logits(scores: torch.Tensor, head: ClassyHead) -> torch.Tensor:
    """(N, classes): a head that answers place by place gives (N, places × classes) in training."""
    return scores.reshape(len(scores), -1, head.num_classes or 1).mean(1)


def _accuracy(lesson: Any) -> dict[str, float]:
    """The share of right answers on the pictures held out; on all where none are."""
    numbers = lesson.held_out if len(lesson.held_out) else lesson.learn_from
    right, count = dict.fromkeys(lesson.given, 0), dict.fromkeys(lesson.given, 0)
    with torch.no_grad():
        for part in numbers.split(lesson.fit.batch_size):
            for name, scores in lesson.scores(part).items():
                wanted = lesson.labels[name][part]
                found = _logits(scores, lesson.given[name]).argmax(1).cpu()
                right[name] += int(((found == wanted) & (wanted != UNKNOWN)).sum())
                count[name] += int((wanted != UNKNOWN).sum())
    return {name: right[name] / count[name] if count[name] else float("nan") for name in right}
