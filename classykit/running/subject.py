"""Models to be measured: built where they are only described, with an input and what inspection counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, ConfigError, DeviceError, ShapeError, first_line
from classykit.harmless import harmless
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.running.memory_fit import allocate, is_out_of_memory
from classykit.running.placement import Place, choose


@dataclass(frozen=True)
class Subject:
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
        shape = self.shape or getattr(self.model, "input_shape", None) or (3, 224, 224)
        return random_like(torch.empty(batch_size, *shape, dtype=dtype_of(self.model)))


def random_like(x: Any) -> Any:
    """Tensors of the same shapes with random numbers; those of whole numbers stay, their values may be addresses."""
    if isinstance(x, Mapping):
        return {key: random_like(value) for key, value in x.items()}
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return x
    # on zeros a GPU draws less power, and may be faster than it is on pictures
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.dtype)


def subject(
    model: str | Mapping[str, Any] | nn.Module,
    device: str | torch.device,
    input_shape: tuple[int, ...] | None = None,
    name: str | None = None,
    x: Any = None,
) -> Subject:
    """A model, name or config as a `Subject`. Modules are looked at, not touched.

    ``x`` is an input on which a model that cannot be inspected is tried; default: random numbers.

    Raises ShapeError for a model that cannot run on such an input, DeviceError for one without weights, or, before
    anything is allocated, for a description of one that would not fit the device.
    """
    shape = None if input_shape is None else tuple(input_shape)
    if isinstance(model, (str, Mapping)):
        found = inspect(model, shape).require()
        config = {"name": model} if isinstance(model, str) else dict(model)
        built = allocate(config, found, choose(nn.Identity(), device).device)
        return Subject(name or found.name, built, found, shape, ("Its weights are random", *_uncounted(found)))
    if not isinstance(model, nn.Module):
        raise ConfigError(f"A model is a name, a config or an nn.Module, not {type(model).__name__}.")
    model = getattr(model, "_orig_mod", model)  # what a compiled model compiles: modes say how it runs
    name = name or _own_name(model)
    if any(p.is_meta for p in (*model.parameters(), *model.buffers())):
        raise DeviceError(
            f"{name} is on the meta device: it has no weights to run with. Build it elsewhere, or give its config "
            f"(model.config): then it is built with random weights."
        )
    try:
        found = inspect(model, shape if shape is not None or isinstance(model, ClassyModel) else _own_shape(model))
    except ClassyKitError as error:
        return Subject(name, model, None, shape, (f"Its cost could not be counted: {first_line(error).rstrip('.')}",))
    subject = Subject(name, model, found, shape, _uncounted(found))
    if found.error is None:
        return subject
    _try(subject, x)
    return Subject(
        name, model, None, shape, (f"Its cost could not be counted: it {first_line(found.error).rstrip('.')}",)
    )


def named(models: Iterable[Subject]) -> list[Subject]:
    """The same, no name twice."""
    taken: list[str] = []
    found = []
    for one in models:
        name, number = one.name, 1
        while name in taken:
            number += 1
            name = f"{one.name} ({number})"
        taken.append(name)
        found.append(one if name == one.name else Subject(name, one.model, one.inspection, one.shape, one.notes))
    return found


def without_gradients(models: Iterable[nn.Module]) -> Any:
    """Inference mode where all models are of this kit's and torch's parts alone, as in `classykit.run`.

    Others may keep tensors for later use, which must not be inference tensors; and all are to run alike.
    """
    known = ("torch.nn.", "classykit.")
    plain = all(type(part).__module__.startswith(known) for model in models for part in model.modules())
    return torch.inference_mode() if plain else torch.no_grad()


def on(device: torch.device) -> Any:
    """A context in which a CUDA device is the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _try(subject: Subject, x: Any) -> None:
    """Raise ShapeError when a model that could not be inspected cannot be run either."""
    x = subject.example(1) if x is None else x
    reference = next(subject.model.parameters(), torch.empty(0))
    x = Place(reference.device, dtype_of(subject.model)).put(x)
    try:
        with harmless(subject.model), torch.no_grad():
            subject.model(x)
    except Exception as error:  # whatever a stranger's code raises
        if is_out_of_memory(error):
            return  # on the device where it is now; it may have room where it is measured
        found = subject.inspection
        raise ShapeError(
            f"{subject.name} cannot run on an input of {tuple(found.input_shape)}: it {found.error} "
            f"If it takes other inputs, say so: input_shape=(...), without the batch."
        ) from error


def _own_shape(model: nn.Module) -> tuple[int, ...] | None:
    shape = getattr(model, "input_shape", None)
    return shape if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape) else None


def _own_name(model: nn.Module) -> str:
    config = getattr(model, "config", None)
    name = config.get("name") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) else type(model).__name__


def _uncounted(found: Inspection) -> tuple[str, ...]:
    if not found.uncounted:
        return ()
    ops = ", ".join(f"{op} ×{n}" for op, n in found.uncounted.items())
    return (f"Not counted among its MACs: {ops}",)
