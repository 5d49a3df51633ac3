"""`profile_blocks`: how long each block of a model takes, and how much memory, beside what it costs by count."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import OF_BAD_INPUT, ClassyKitError, ConfigError, DeviceError, Interrupted, ShapeError, quoted
from classykit.harmless import harmless
from classykit.inputs import example_of
from classykit.inspecting.block_info import BlockInfo
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection
from classykit.inspecting.rows import row_paths
from classykit.measuring.block_watch import Clock, MemoryWatch
from classykit.measuring.machine import machine
from classykit.measuring.profile_report import BlockProfile, Profile
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.nested import Inputs, call, shapes
from classykit.running.batches import Batches
from classykit.running.live import LiveModel, live
from classykit.running.memory_fit import batch_that_fits, is_out_of_memory
from classykit.running.placement import Place, choose, on, short, synchronize, without_gradients
from classykit.subject import subject_of

__all__ = ["BlockProfile", "Profile", "profile_blocks"]

_WARM_UP = 3  # passes
_LEAST = 5  # passes that are timed
_MOST = 500


@verb
@torch.random.fork_rng(devices=[])  # some models draw random numbers, which would be missing from the user's
def profile_blocks(
    model: str | Mapping[str, Any] | nn.Module,
    x: Any = None,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    channels_last: bool | str = "auto",
    example: Any = None,
    seconds: float = 1.0,
    progress: bool = True,
) -> Profile:
    """Measure how long each block takes, and how much memory, beside its MACs: time does not go where MACs go.

    Args:
        model: a name or config, which is built with random weights, or any nn.Module, which is left as it was.
        x: a batch, `classykit.Inputs`, a picture or a list of pictures, as `classykit.run` takes them. Default: one
            input of random numbers.
        device, dtype, channels_last: as in `classykit.run`; "auto" is where and how that would run the model.
        example: in place of ``x``, as `classykit.benchmark` has it: a tensor or `classykit.Inputs`.
        seconds: of timing at least; no fewer than five passes are timed, after three that warm it up.
        progress: show a bar. Default True.

    Returns a `Profile`: rows as `classykit.inspect` has them, the heads' among them. Passes with hooks on the blocks
    take turns with passes without, which tells what the hooks cost. Memory comes from a pass of its own.

    Raises what `classykit.run` raises: DeviceError, ShapeError, ConfigError; Interrupted, with a profile of the
    passes until then as its ``result``, when it is interrupted.

    >>> import classykit
    >>> p = classykit.profile_blocks("resnet18", torch.zeros(1, 3, 32, 32), device="cpu", seconds=0.01, progress=False)
    >>> p.rows[0].name, p.rows[0].time_ms > 0, p.rows[0].macs
    ('initial_block', True, 2408448)
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise ConfigError(f"seconds is a positive number, not {quoted(seconds)}.")
    if example is not None:
        if x is not None:
            raise ConfigError("Give x or example, not both: each is what the model is called with.")
        x = example_of(example)
    found, x, n = _given(model, x, device)
    place = choose(found.model, device, dtype, channels_last)
    fits, why = batch_that_fits(found.model, place, found.shape, n)
    if fits < n:
        raise DeviceError(f"{found.name}: {why[0].lower()}{why[1:]}.")
    try:
        return _profile(found, x, n, place, float(seconds), progress)
    except ShapeError:
        own = dtype_of(found.model)
        if not (isinstance(dtype, str) and dtype == "auto") or place.dtype == own:
            raise  # else as `classykit.run` does it
        found = replace(found, notes=(*found.notes, f"It does not run in {short(place.dtype)}"))
        return _profile(found, x, n, replace(place, dtype=own), float(seconds), progress)


def _profile(found: LiveModel, x: Any, n: int, place: Place, seconds: float, progress: bool) -> Profile:
    settled = ClassyModel.from_model(place.settle(found.model))
    parts = {name: settled.get_submodule(path) for name, path in row_paths(settled).items()}
    with on(place.device), harmless(settled), without_gradients([settled]):
        return _Measuring(found, settled, parts, place, place.put(x), n).measure(seconds, progress)


def _given(model: Any, x: Any, device: str | torch.device) -> tuple[LiveModel, Any, int]:
    """(the model, with an inspection for such inputs; the batch; how many inputs it has)"""
    subject = subject_of(model)
    if subject.module is None or x is None:
        found = live(model, device)
        if x is None:
            return found, found.example(1), 1
        source = Batches(x, found.model)
        if isinstance(source.shape, Inputs):
            found = live(model, device, example=source.shape)
        elif source.shape is not None and source.shape != found.inspection.input_shape:
            found = replace(found, shape=source.shape, inspection=inspect(subject.config, source.shape).require())
        return found, source.batch(0, len(source)), len(source)
    module = subject.module
    source = Batches(x, module)
    batch = source.batch(0, len(source))
    if not (isinstance(batch, torch.Tensor) and batch.is_floating_point()):
        return live(module, device, x=batch, example=batch), batch, len(source)
    shape = tuple(batch.shape[1:])
    own = isinstance(module, ClassyModel) and shape == module.input_shape
    return live(module, device, None if own else shape, x=batch), batch, len(source)


class _Measuring:
    """A model on its place, and the passes that are measured."""

    def __init__(
        self, found: LiveModel, model: ClassyModel, parts: dict[str, nn.Module], place: Place, x: Any, images: int
    ):
        self.found, self.model, self.parts, self.place, self.x, self.images = found, model, parts, place, x, images
        self.clock = Clock(parts, place.device)
        self.plain: list[float] = []
        self.watched: list[float] = []
        self.of_blocks: list[dict[str, float]] = []
        self.memory: tuple[dict[str, int], dict[str, int]] = ({}, {})

    def run(self) -> Any:
        return call(self.model, self.x)

    def measure(self, seconds: float, progress: bool) -> Profile:
        from tqdm.auto import tqdm

        try:
            self._first()
            with tqdm(total=round(seconds, 1), unit="s", disable=not progress, leave=False, delay=1) as bar:
                spent = 0.0
                while (spent < seconds or len(self.of_blocks) < _LEAST) and len(self.of_blocks) < _MOST:
                    start = time.perf_counter()
                    for step in (self._plain, self._watched)[:: 1 if len(self.of_blocks) % 2 == 0 else -1]:
                        step()
                    spent += time.perf_counter() - start
                    bar.update(min(time.perf_counter() - start, bar.total - bar.n))
        except KeyboardInterrupt:
            done = len(self.of_blocks)
            text = f"Interrupted after {done} of at least {_LEAST} timed passes"
            raise Interrupted(f"{text}.", self._profile(text) if done else None) from None
        return self._profile()

    def _first(self) -> None:
        """Warm up, and measure the memory; what keeps the model from running is said in the kit's words."""
        try:
            for _ in range(_WARM_UP):
                self.run()
            synchronize(self.place.device)
            gc.collect()
        except Exception as error:  # whatever a stranger's code raises
            raise self._said(error) from error
        weights = (*self.model.parameters(), *self.model.buffers())
        with suppress(Exception):  # a model that cannot be watched can still be timed
            self.memory = MemoryWatch(self.parts, self.place.device, weights).watch(self.run, self.x)

    def _said(self, error: Exception) -> Exception:
        if isinstance(error, ClassyKitError):
            return error
        if is_out_of_memory(error):
            return DeviceError(
                f"{self.place.device} ran out of memory: {error}. Give fewer images, or choose a smaller model."
            )
        if isinstance(error, OF_BAD_INPUT):
            return ShapeError(f"{self.found.name} cannot run on an input of {shapes(self.x)}: {error}")
        return error

    def _plain(self) -> None:
        synchronize(self.place.device)
        start = time.perf_counter()
        self.run()
        synchronize(self.place.device)
        self.plain.append(time.perf_counter() - start)

    def _watched(self) -> None:
        whole, of_blocks = self.clock.time(self.run)
        self.watched.append(whole)
        self.of_blocks.append(of_blocks)

    def _profile(self, *notes: str) -> Profile:
        inspection = self.found.inspection
        calls = self.clock.calls()
        order = list(dict.fromkeys(name for of_pass in self.of_blocks for name in of_pass))
        if inspection is not None:  # in its order, which has heads last
            known = [b.name for b in inspection.blocks]
            order.sort(key=lambda name: known.index(name) if name in known else len(known))
        rows = [self._row(name, calls, inspection) for name in order]
        return Profile(
            name=self.found.name,
            input_shapes=shapes(self.x),
            batch_size=self.images,
            rows=tuple(rows),
            place=self.place,
            machine=machine(self.place.device),
            pass_times=tuple(self.plain),
            watched_times=tuple(self.watched),
            notes=(*self.found.notes, *notes),
        )

    def _row(self, name: str, calls: Mapping[str, int], inspection: Inspection | None) -> BlockProfile:
        info = None if inspection is None else next((b for b in inspection.blocks if b.name == name), None)
        known: Callable[..., Any] = partial(getattr, info) if info is not None else lambda what, default: default
        peaks, left = self.memory
        return BlockProfile(
            name=name,
            type=known("type", type(self.parts[name]).__name__ if name in self.parts else "outside the blocks"),
            times=tuple(of_pass[name] for of_pass in self.of_blocks if name in of_pass),
            calls=calls.get(name, 1),
            macs=None if inspection is None else self.images * known("macs", 0),
            peak_memory=peaks.get(name),
            left=left.get(name, 0) if left else None,
            stage=known("stage", None),
            is_head=known("is_head", False),
            like=known("like", None),
            traffic=None if info is None else self._traffic(info),
        )

    def _traffic(self, info: BlockInfo) -> int:
        return self.place.dtype.itemsize * (info.params + 2 * self.images * info.activations)
