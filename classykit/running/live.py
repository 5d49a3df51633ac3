"""Models that can run: built where they are only described, and what is known of them before they are measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, ShapeError, first_line
from classykit.harmless import harmless
from classykit.inputs import input_shape_of
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.running.memory_fit import allocate, is_out_of_memory
from classykit.running.placement import Place, choose
from classykit.subject import UNTRAINED, Subject, subject_of


@dataclass(frozen=True)
class LiveModel:
    """A model with weights, what it is called, and what is known of it.

    Attributes:
        inspection: for a batch of one; None when it cannot be had.
        shape: of one input, where it is not the model's own.
        notes: what else there is to say: weights that are random, costs that could not be counted.
    """

    name: str
    model: nn.Module
    inspection: Inspection | None
    shape: tuple[int, ...] | None
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one input; None when not known."""
        return None if self.inspection is None else self.inspection.macs

    def example(self, batch_size: int) -> Any:
        """Random numbers as the model takes them, on the CPU, the same each time."""
        if self.shape is None and isinstance(self.model, ClassyModel):
            return random_like(self.model.example_input(batch_size))
        shape = self.shape or input_shape_of(self.model) or (3, 224, 224)
        return random_like(torch.empty(batch_size, *shape, dtype=dtype_of(self.model)))


def random_like(x: Any) -> Any:
    """Tensors of the same shapes with random numbers; those of whole numbers stay, their values may be addresses."""
    if isinstance(x, Mapping):
        return {key: random_like(value) for key, value in x.items()}
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return x
    # on zeros a GPU draws less power, and may be faster than it is on pictures
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.dtype)


def built(subject: Subject, device: str | torch.device, input_shape: tuple[int, ...] | None = None) -> LiveModel:
    """A described model with random weights, once it is known to fit; ShapeError, or DeviceError when it does not."""
    found = inspect(subject.config, input_shape).require()
    model = allocate(subject.config, found, choose(nn.Identity(), device).device)
    return LiveModel(found.name, model, found, input_shape, (UNTRAINED, *_uncounted(found)))


def live(
    model: str | Mapping[str, Any] | nn.Module,
    device: str | torch.device,
    input_shape: tuple[int, ...] | None = None,
    name: str | None = None,
    x: Any = None,
) -> LiveModel:
    """A model, name or config as a `LiveModel`. Modules are looked at, not touched.

    ``x`` is an input on which a model that cannot be inspected is tried; default: random numbers.

    Raises ShapeError for a model that cannot run on such an input, DeviceError for one without weights, or, before
    anything is allocated, for a description of one that would not fit the device.
    """
    shape = None if input_shape is None else tuple(input_shape)
    subject = subject_of(model)
    if subject.module is None:
        new = built(subject, device, shape)
        return new if name is None else replace(new, name=name)
    module, name = subject.with_weights(), name or subject.name
    try:
        found = inspect(module, shape if shape is not None or isinstance(module, ClassyModel) else subject.input_shape)
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
            one.model(x)
    except Exception as error:  # whatever a stranger's code raises
        if is_out_of_memory(error):
            return  # on the device where it is now; it may have room where it is measured
        raise ShapeError(
            f"{one.name} cannot run on an input of {tuple(found.input_shape)}: it {found.error} "
            f"If it takes other inputs, say so: input_shape=(...), without the batch."
        ) from error


def _uncounted(found: Inspection) -> tuple[str, ...]:
    if not found.uncounted:
        return ()
    ops = ", ".join(f"{op} ×{n}" for op, n in found.uncounted.items())
    return (f"Not counted among its MACs: {ops}",)
