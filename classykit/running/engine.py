"""One model, settled where it runs: how a batch goes through it, and what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit import formats
from classykit.errors import OF_BAD_INPUT, ClassyKitError, DeviceError, ShapeError
from classykit.features import main_tensor
from classykit.harmless import harmless
from classykit.hooks import hooks
from classykit.inspecting.inspection import inspect
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.nested import call, mapped, other_way, parts_of, rebuilt, shapes
from classykit.running.batches import count
from classykit.running.memory_fit import is_out_of_memory
from classykit.running.placement import Place, synchronize, without_gradients
from classykit.scripted import is_scripted
from classykit.subject import block_paths, name_of, refuse_blocks_that_did_not_run


@dataclass(frozen=True)
class Run:
    """What a model gave for some images, on the CPU, and how it ran.

    Attributes:
        output: what the model returned, batches joined: (N, ...), or a dict of such.
        trunk: what the trunk gave, where that was asked for: the same, unless heads are attached; else None.
        features: {block: (N, ...)}, for the blocks that were asked for.
        seconds: of the passes, from the input being on the device to the output being there. Measured.
        images: how many were run.
        place: device, number type and memory layout.
        batch_size: how many at a time, at the end.
        notes: what else there is to say: a batch that had to be smaller, weights that are random.
    """

    output: Any
    seconds: float
    images: int
    place: Place
    batch_size: int
    trunk: Any = None
    features: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Where it ran: "cpu", "cuda:0"."""
        return str(self.place.device)

    @property
    def images_per_s(self) -> float:
        """Images a second, loading left out."""
        return self.images / self.seconds if self.seconds else float("nan")

    def __str__(self) -> str:
        images = "1 image" if self.images == 1 else f"{self.images} images"
        text = (
            f"{images} in {formats.seconds(self.seconds)} ({self.images_per_s:.3g} a second) on {self.place}, "
            f"{self.batch_size} at a time; output {shapes(self.output)}"
        )
        return ". ".join([text, *self.notes])

    __repr__ = __str__


class Engine:
    """A model settled in its place, and how a batch goes through it."""

    def __init__(
        self,
        model: nn.Module,
        place: Place,
        blocks: list[str],
        on_block: Callable[[int, int], None] | None = None,
        trunk: bool = False,
    ):
        self.wants_trunk = trunk
        self.place, self.own_dtype = place, dtype_of(model)
        self.paths = block_paths(model, blocks)
        steps = model.block_paths() if isinstance(model, ClassyModel) and on_block is not None else {}
        steps = {name: path for name, path in steps.items() if not is_scripted(model.get_submodule(path))}
        # {path of a block: what to call when it is done}
        self.steps = {p: partial(on_block, i, len(steps)) for i, p in enumerate(steps.values(), 1) if on_block}
        self.original = model
        self.model = place.settle(model)
        self.noted: list[Any] = []
        self.features: dict[str, Any] = {}
        self.size = 0

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Hooks on, eval mode, no gradients; afterwards all is as it was."""
        with hooks() as on, harmless(self.model), without_gradients([self.model]):
            if self.wants_trunk:
                on.after(self.model, lambda m, args, out: self.noted.append(out), first=True)
            for name, path in self.paths.items():
                on.after(self.model.get_submodule(path), partial(self._keep, name))
            for path, done in self.steps.items():
                on.after(self.model.get_submodule(path), lambda m, a, o, done=done: done())
            yield

    def run(self, x: Any) -> Run:
        """One batch. DeviceError when memory runs out, ShapeError when the model cannot take it."""
        self.noted, self.features, self.size = [], {}, count(x)
        device = self.place.device
        try:
            x = self.place.put(x)
            synchronize(device)
            start = time.perf_counter()
            output = call(self.model, x)
            synchronize(device)
            seconds = time.perf_counter() - start
            refuse_blocks_that_did_not_run(name for name in self.paths if name not in self.features)
            features = {name: self._back(self.features[name]) for name in self.paths}
            back = self._back(output)
            trunk = None
            if self.wants_trunk:
                trunk = back if self.noted[0] is output else self._back(self.noted[0])
            return Run(back, seconds, self.size, self.place, self.size, trunk, features)
        except ClassyKitError:
            raise
        except Exception as error:  # whatever a stranger's code raises: what no input explains goes on
            if is_out_of_memory(error):
                raise DeviceError(
                    f"{device} ran out of memory: {error}. Choose a smaller model or input, or a smaller type."
                ) from None
            if not isinstance(error, OF_BAD_INPUT):
                raise
            raise ShapeError(self._why(x, error)) from error
        finally:
            self.noted, self.features = [], {}

    def _keep(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        output = main_tensor(output, self.size)[1]  # as `capture` has it
        # a copy, because a later in-place operation may overwrite what the block gave
        self.features.setdefault(name, output.clone() if isinstance(output, torch.Tensor) else output)

    def _back(self, value: Any) -> Any:
        """On the CPU, in the model's own number type."""
        return mapped(lambda t: t.to("cpu", self.own_dtype if t.is_floating_point() else None), value)

    def _why(self, x: Any, error: Exception) -> str:
        text = f"{name_of(self.original)} cannot run on an input of {shapes(x)}: "
        try:
            found = inspect(self.original, example=x)
        except ClassyKitError:
            found = None
        why = f"it {found.error}" if found is not None and found.error is not None else str(error)
        return text + why + other_way(x)


def join(parts: list[Run], place: Place, batch_size: int, notes: list[str]) -> Run:
    """The results of several batches as one."""
    output = _cat([p.output for p in parts])
    same = all(p.trunk is p.output for p in parts)
    return Run(
        output=output,
        trunk=output if same else _cat([p.trunk for p in parts if p.trunk is not None]),
        seconds=sum(p.seconds for p in parts),
        images=sum(p.images for p in parts),
        place=place,
        batch_size=batch_size,
        features={name: _cat([p.features[name] for p in parts]) for name in (parts[0].features if parts else ())},
        notes=tuple(notes),
    )


def _cat(values: list[Any]) -> Any:
    """Batches of one kind as one; None for none."""
    first = values[0] if values else None
    if isinstance(first, torch.Tensor) and first.ndim:
        return torch.cat(values)  # also of one: what was made in inference mode has no other way out
    parts = [parts_of(value) for value in values]
    if first is None or parts[0] is None:
        return values if len(values) > 1 else first
    return rebuilt(first, {key: _cat([of[key] for of in parts if of is not None]) for key in parts[0]})
