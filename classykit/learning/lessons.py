"""What heads learn from: features that were computed once, or pictures, with the whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from classykit.copies import copied
from classykit.errors import ConfigError, ShapeError, quoted
from classykit.extracting.feature_source import Items
from classykit.heads.classy_head import ClassyHead
from classykit.learning.absorbed import Standard
from classykit.learning.collected import Collected, as_data, class_labels, collected
from classykit.learning.fit import Fit, HeadFit
from classykit.models.classy_model import ClassyModel
from classykit.running.placement import Place, choose

UNKNOWN = -100  # a label that is not known, as torch's losses have it
Heads = Mapping[str, tuple[str, ClassyHead]]  # {unique_id: (block, head)}


class Lesson:
    """Pictures by their numbers, what heads make of them, and how what was learnt gets to the model."""

    learning: nn.Module  # what learns

    def __init__(
        self, fit: Fit, model: ClassyModel, heads: Heads, targets: Mapping[str, Any], held: Collected, device: Any
    ):
        self.fit, self.model, self.held = fit, model, held
        self.place = Place(choose(model, device).device, torch.float32)
        self.given = {name: head for name, (_, head) in heads.items()}
        self.labels: dict[str, torch.Tensor] = {}
        for name, (block, head) in heads.items():
            values = class_labels(targets[name], held, f"targets[{name!r}]")
            self.labels[name] = numbers = _numbers(name, values, head.num_classes or 0)
            names = sorted({value for value in values if value is not None}) if _has_names(values) else None
            fit.heads[name] = HeadFit(block, known=int((numbers != UNKNOWN).sum()), labels=names)
        self.learn_from, self.held_out = self._split(len(held.numbers))

    def _split(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
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

    def scores(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each head gives for the pictures of these numbers."""
        raise NotImplementedError

    def keep(self) -> None:
        """Give the model what was learnt."""
        raise NotImplementedError


class OnFeatures(Lesson):
    """Heads on features that were computed once."""

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.learning: nn.ModuleDict = nn.ModuleDict()
        self.standard: dict[str, Standard] = {}
        some = self.learn_from[:4096].sort().values
        for i, (name, head) in enumerate(self.given.items()):
            of = self.fit.heads[name]
            own = copied(head, {}).to(self.place.device, torch.float32).eval().requires_grad_(True)
            of.channel_dim = self.held.channel_dim(of.block)
            self.standard[name] = standard = Standard(own, self._features(of.block, some), of.channel_dim)
            if not head.is_untrained:  # what it knows of plain features is to hold of standardised ones
                standard.take_out(own)
            of.layer = standard.path
            self.learning[str(i)] = own
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
        for (name, standard), head in zip(self.standard.items(), self.learning.values(), strict=True):
            block = self.fit.heads[name].block
            if block not in features:
                features[block] = self._features(block, numbers)
            found[name] = head(standard.of(features[block]))
        return found

    def keep(self) -> None:
        """Give the model's heads what their copies have learnt."""
        for (name, standard), head in zip(self.standard.items(), self.learning.values(), strict=True):
            done = copied(head, {})
            standard.take_in(done)
            self.given[name].load_state_dict(done.state_dict())


class Whole(Lesson):
    """The model itself, pictures loaded again in each epoch."""

    def __init__(self, items: Items, *given: Any):
        super().__init__(*given)
        self.items: Any = items  # each is (who it is, tensor)
        self.learning = copied(self.model, {}).to(self.place.device, torch.float32).requires_grad_(True)

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


@contextmanager
def prepared(
    fit: Fit, model: ClassyModel, heads: Heads, x: Any, targets: Mapping[str, Any], device: Any, progress: bool
) -> Iterator[Lesson]:
    """A lesson on features that are computed once, or, with the trunk, on pictures."""
    if fit.trunk:
        items: Any = Items(as_data(x), model, on_error="raise")
        held = Collected({}, list(range(len(items))))
        if None in targets.values():
            held.labels = [items[i][0].label for i in held.numbers]
        yield Whole(items, fit, model, heads, targets, held, device)
        return
    blocks = list(dict.fromkeys(block for block, _ in heads.values()))
    with collected(
        model, x, blocks, None, device=device, batch_size=fit.batch_size, progress=progress, what=fit.name
    ) as held:
        yield OnFeatures(fit, model, heads, targets, held, device)


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


def _has_names(values: list[Any]) -> bool:
    return any(isinstance(value, str) for value in values)
