"""Models that can run: built where they are only described, and what is known of them before they are measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, ShapeError, first_line
from classykit.harmless import harmless
from classykit.inputs import example_of, input_shape_of
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.nested import Inputs, call, random_like
from classykit.running.memory_fit import allocate, is_out_of_memory
from classykit.running.placement import Place, choose
from classykit.subject import UNTRAINED, Subject, subject_of


@dataclass(frozen=True)
class LiveModel:
    """A model with weights, what it is called, and what is known of it.

    Attributes:
        inspection: for a batch of one; None when it cannot be had.
        shape: of one input, or an example of it, where it is not the model's own.
        notes: what else there is to say: weights that are random, costs that could not be counted.
    """

    name: str
    model: nn.Module
    inspection: Inspection | None
    shape: tuple[int, ...] | Inputs | None
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one input; None when not known."""
        return None if self.inspection is None else self.inspection.macs

    @property
    def shape_of_one(self) -> tuple[int, ...]:
        """Shape of one input, without the batch: of several tensors, of the main one."""
        if isinstance(self.shape, Inputs):
            return self.shape.shape_of_one
        return tuple(self.shape or input_shape_of(self.model) or (3, 224, 224))

    def example(self, batch_size: int) -> Any:
        """The example that was given, or random numbers as the model takes them, on the CPU, the same each time."""
        own = self.shape is None and isinstance(self.model, ClassyModel)
        given = self.model.example if own else self.shape
        if isinstance(given, Inputs):
            return given.sized(batch_size).alone
        if own:
            return random_like(self.model.example_input(batch_size))
        return random_like(torch.empty(batch_size, *self.shape_of_one, dtype=dtype_of(self.model)))


def built(subject: Subject, device: str | torch.device, shape: tuple[int, ...] | Inputs | None = None) -> LiveModel:
    """A described model with random weights, once it is known to fit; ShapeError, or DeviceError when it does not."""
    found = _inspected(subject.config, shape).require()
    model = allocate(subject.config, found, choose(nn.Identity(), device).device)
    return LiveModel(found.name, model, found, shape, (UNTRAINED, *_uncounted(found)))


def _inspected(model: Any, shape: tuple[int, ...] | Inputs | None) -> Inspection:
    """For a batch of one."""
    return inspect(model, batch_size=1, example=shape) if isinstance(shape, Inputs) else inspect(model, shape, 1)


def live(
    model: str | Mapping[str, Any] | nn.Module,
    device: str | torch.device,
    input_shape: tuple[int, ...] | None = None,
    name: str | None = None,
    x: Any = None,
    example: Any = None,
) -> LiveModel:
    """A model, name or config as a `LiveModel`. Modules are looked at, not touched.

    ``x`` is an input on which a model that cannot be inspected is tried; default: random numbers. ``example`` is what
    it is called with, in place of ``input_shape``.

    Raises ShapeError for a model that cannot run on such an input, DeviceError for one without weights, or, before
    anything is allocated, for a description of one that would not fit the device.
    """
    shape: tuple[int, ...] | Inputs | None = None if input_shape is None else tuple(input_shape)
    if example is not None:
        shape = example_of(example, input_shape)
    subject = subject_of(model)
    if subject.module is None:
        new = built(subject, device, shape)
        return new if name is None else replace(new, name=name)
    module, name = subject.with_weights(), name or subject.name
    try:
        found = _inspected(
            module, shape if shape is not None or isinstance(module, ClassyModel) else subject.input_shape
        )
    except ClassyKitError as error:
        reason = first_line(error).rstrip(".")
        return LiveModel(name, module, None, shape, (f"Its cost could not be counted: {reason}",))
    one = LiveModel(name, module, found, shape, _uncounted(found))
    if found.error is None:
        return one
    _try(one, found, x)
    return replace(one, inspection=None, notes=(f"Its cost could not be counted: it {found.error}".rstrip("."),))


def named(models: Iterable[LiveModel]) -> list[LiveModel]:
    """The same, no name twice."""
    taken: list[str] = []
    found = []
    for one in models:
        name, number = one.name, 1
        while name in taken:
            number += 1
            name = f"{one.name} ({number})"
        taken.append(name)
        found.append(one if name == one.name else replace(one, name=name))
    return found


def _try(one: LiveModel, found: Inspection, x: Any) -> None:
    """Raise ShapeError when a model that could not be inspected cannot be run either."""
    x = one.example(1) if x is None else x
    reference = next(one.model.parameters(), torch.empty(0))
    x = Place(reference.device, dtype_of(one.model)).put(x)
    try:
        with harmless(one.model), torch.no_grad():
            call(one.model, x)
    except Exception as error:  # whatever a stranger's code raises
        if is_out_of_memory(error):
            return  # on the device where it is now; it may have room where it is measured
        raise ShapeError(
            f"{one.name} cannot run on an input of {found.input_text}: it {found.error} If it takes other inputs, say "
            f"so: input_shape=(...), without the batch, or example=classykit.Inputs(...)."
        ) from error


def _uncounted(found: Inspection) -> tuple[str, ...]:
    if not found.uncounted:
        return ()
    ops = ", ".join(f"{op} ×{n}" for op, n in found.uncounted.items())
    return (f"Not counted among its MACs: {ops}",)
