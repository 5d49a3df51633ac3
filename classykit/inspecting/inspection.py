"""`inspect`: what a network is and what it costs, from one pass on the meta device, block by block."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from classykit import formats
from classykit.contexts import verb
from classykit.errors import ConfigError, ShapeError, quoted
from classykit.features import main_tensor, shape_text
from classykit.harmless import harmless
from classykit.inputs import example_of, input_shape_of
from classykit.inspecting.block_info import BlockInfo, Failure
from classykit.inspecting.failure import explain
from classykit.inspecting.report import Inspection
from classykit.inspecting.rows import likened, row_paths, rows_of
from classykit.inspecting.tracer import Trace, trace
from classykit.meta import dtype_of, empty_input, has_weights, meta_twin, registered, settle, shared_twin
from classykit.models.classy_model import Adapter, ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.nested import Inputs, mapped, other_way, parts_of, random_like, tensors_in
from classykit.subject import name_of, subject_of

__all__ = ["BlockInfo", "Failure", "Inspection", "clear_cache", "inspect"]

_REMEMBERED = 256  # inspections of names and configs: a zoo, and what an afternoon tries
_cache: OrderedDict[Any, Inspection] = OrderedDict()


@verb
def inspect(
    model: str | Mapping[str, Any] | nn.Module,
    input_shape: tuple[int, ...] | None = None,
    batch_size: int | None = None,
    example: Any = None,
) -> Inspection:
    """What a model is and what it costs, from one pass on the meta device: no weight is allocated.

    Args:
        model: a registered name, a config, a ClassyModel, or any nn.Module. A module is inspected through a
            weightless copy; nothing of it is changed.
        input_shape: shape of one input without the batch. Default: the model's own, else (3, 224, 224).
        batch_size: number of inputs in the pass. Default: as many as the example has, else 1.
        example: in place of ``input_shape``: what the model is called with, a tensor or `classykit.Inputs`, for models
            that take token ids, several tensors or keywords. Its numbers matter only where a real pass is needed.

    Figures are for inference (eval mode): MACs are counted by the operations that run, with the formulas of
    torch.utils.flop_counter. Blocks that are equal, with equal inputs, are worked out once; inspections of names
    and configs are remembered (see `clear_cache`).

    A model that cannot run on such an input is inspected up to the block that fails, whatever the reason:
    `Inspection.error` names the block, the layer, what that takes and was given, and the line of code;
    `Inspection.require` raises it. A model that asks for the numbers in its tensors, which meta tensors do not have,
    is run on the example, or on random numbers, and `Inspection.note` says so.

    Raises ConfigError for a bad input_shape, batch_size or example, ConfigError and others for a bad config,
    ShapeError for a module that cannot be copied.

    >>> i = inspect("resnet50")
    >>> i.params, round(i.macs / 1e9, 2)
    (23508032, 4.09)
    >>> inspect(nn.Bilinear(4, 5, 6), example=Inputs(torch.zeros(1, 4), torch.zeros(1, 5))).params
    126
    """
    if batch_size is not None and (type(batch_size) is not int or not 1 <= batch_size < 2**31):
        raise ConfigError(f"batch_size is a positive number, not {quoted(batch_size)}.")
    if input_shape is not None and (
        not isinstance(input_shape, (tuple, list, torch.Size))
        or not all(isinstance(n, int) and n > 0 for n in input_shape)
    ):
        raise ConfigError(f"input_shape is a tuple of positive sizes such as (3, 224, 224), not {quoted(input_shape)}.")
    given = None if example is None else example_of(example, input_shape)
    subject = subject_of(model)
    if given is None and subject.module is not None and input_shape is None:
        given = getattr(subject.module, "example", None)
    batch_size = batch_size or (1 if given is None else given.batch_size)
    if subject.module is not None:
        twin = _twin_of(subject.module, input_shape, given)
        return _inspect(Twins(None, twin, input_shape, given), batch_size, subject.module)
    key = None if given is not None else _key(subject.config, input_shape, batch_size)
    if key is not None and key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    found = _inspect(Twins(subject.config, None, input_shape, given), batch_size)
    if key is not None:
        _cache[key] = found
        if len(_cache) > _REMEMBERED:
            _cache.popitem(last=False)
    return found


def clear_cache() -> None:
    """Forget remembered inspections.

    >>> clear_cache()
    """
    _cache.clear()


def _key(config: Mapping[str, Any], input_shape: tuple[int, ...] | None, batch_size: int) -> Any:
    """What an inspection is remembered by; None for configs that are more than plain values."""
    try:
        text = json.dumps(config, sort_keys=True)
        entry = MODELS[config["name"]]
    except (TypeError, ValueError, KeyError):
        return None
    return text, entry.cls, None if input_shape is None else tuple(input_shape), batch_size


class Twins:
    """Where twins of a model come from: its config, or a twin to copy; and what they are called with."""

    def __init__(
        self, config: Any, twin: ClassyModel | None, input_shape: tuple[int, ...] | None, example: Inputs | None
    ):
        self.config = copy.deepcopy(config) if isinstance(config, Mapping) else config
        self.twin, self.input_shape, self.example = twin, input_shape, example

    def make(self, batch_size: int, dtype: torch.dtype | None = None) -> tuple[ClassyModel, Any]:
        """A new twin on the meta device that may be changed, and an input for it."""
        twin = build_model(self.config, device="meta").eval() if self.twin is None else _twin_of(self.twin)
        if dtype is not None:
            twin = twin.to(dtype)
        if self.example is not None:
            of = {t.is_floating_point(): dtype if t.is_floating_point() else None for t in self.example.tensors}
            sized = self.example.sized(batch_size)
            return twin, mapped(lambda t: t.to("meta", of[t.is_floating_point()]), sized).alone
        if self.input_shape is not None:
            return twin, empty_input(tuple(self.input_shape), batch_size, dtype_of(twin))
        return twin, twin.example_input(batch_size, "meta")


def _inspect(source: Twins, batch_size: int, original: nn.Module | None = None) -> Inspection:
    twin, x = source.make(batch_size)
    shape = Inputs.of(x).shape_of_one
    heads = {h.unique_id: block for block, of_block in twin.get_heads().items() for h in of_block}
    paths = row_paths(twin)
    moves = twin.moves(paths.values())
    seen, error, note = trace(twin, paths, x, as_tokens=moves.get("") == (False, True, False)), None, ""
    make: Callable[[int, torch.dtype | None], tuple[nn.Module, Any]] | None = source.make
    if seen.failure is not None and (original is not None or "meta" in str(seen.failure).lower()):
        real = _real_pass(source, original, paths, batch_size)
        if real is not None and (real[0].failure is None or "meta" in str(seen.failure).lower()):
            (seen, twin), make = real, None
            numbers = "random numbers" if source.example is None else "the example"
            note = f"It needs numbers: figures are from a real pass on {numbers}."
    if seen.failure is not None:
        error = explain(seen.failure, twin, paths, x)
        seen.failure = None  # which holds all that the pass has made
        told = source.input_shape or source.example or (original is not None and input_shape_of(original))
        note = other_way(x).strip()
        if original is not None and not told:
            note = (
                f"It was given {shape_text(shape)}, which is a guess: say what it takes, input_shape=(...) without the "
                f"batch, or example=classykit.Inputs(...) for anything but one tensor of numbers."
            )
    if seen.unlisted:
        unlisted = (
            f"It uses {formats.count(seen.unlisted)} parameters that it does not list, and that are not counted: "
            f"modules in a plain list or dict are not registered, so that no optimizer sees them (use nn.ModuleList)."
        )
        note = f"{note} {unlisted}".strip()
    tensors, buffers = registered(twin.modules())
    rows = likened(rows_of(twin, paths, seen.blocks, heads, shape, batch_size, moves))
    return Inspection(
        name=name_of(twin),
        input_shape=shape,
        batch_size=batch_size,
        blocks=rows,
        param_bytes=sum(p.numel() * p.element_size() for p in tensors),
        buffer_bytes=sum(b.numel() * b.element_size() for b in buffers),
        uncounted=dict(seen.uncounted),
        buffers=sum(b.numel() for b in buffers),
        error=error,
        note=note,
        unreached_params=sum(p.numel() for p in tensors) - sum(row.params for row in rows),
        inputs=_inputs(x, batch_size),
        _make=make,
        _fields={name: b.fields.get(id(main_tensor(b.output, batch_size)[1])) for name, b in seen.blocks.items()},
    )


def _inputs(x: Any, batch_size: int) -> dict[str, tuple[int, ...]]:
    """{name or number: shape, without the batch} of the tensors of an input, where there are several."""
    parts = parts_of(Inputs.of(x)) or {}
    named = {str(k): t for k, v in parts.items() for t in tensors_in(v)[:1]}
    shapes = {k: tuple(t.shape[1:] if t.ndim and t.shape[0] == batch_size else t.shape) for k, t in named.items()}
    return shapes if len(tensors_in(x)) > 1 else {}


def _real_pass(
    source: Twins, original: nn.Module | None, paths: Mapping[str, str], batch_size: int
) -> tuple[Trace, ClassyModel] | None:
    """The pass on numbers, for a model that no meta pass does; None where there are none to run it with.

    It is a copy that runs, with the model's own tensors: what its forward writes into attributes stays there.
    """
    if original is None:
        model = build_model(source.config)
    else:
        if not has_weights(original):
            return None
        model = _as_model(
            shared_twin(original, own_hooks=True), original, source.input_shape, source.example, source.twin
        )
    device = next(model.parameters(), torch.empty(0)).device
    if source.example is not None:
        numbers = mapped(lambda t: t.to(device), source.example.sized(batch_size)).alone
    elif source.input_shape is not None:
        numbers = random_like(torch.empty(batch_size, *source.input_shape, device=device, dtype=dtype_of(model)))
    else:
        numbers = random_like(model.example_input(batch_size, device))
    with unfused(), harmless(model), torch.random.fork_rng(devices=[]):
        return trace(model, paths, numbers, fold=False), model


@contextmanager
def unfused() -> Iterator[None]:
    """Attention runs as the operations that it is made of, which can be counted."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _twin_of(
    model: nn.Module, input_shape: tuple[int, ...] | None = None, example: Inputs | None = None
) -> ClassyModel:
    try:
        twin = meta_twin(model)
    except Exception as error:  # whatever a stranger's __deepcopy__ raises
        raise ShapeError(
            f"{type(model).__name__} cannot be inspected: copying its module tree raised {type(error).__name__}: "
            f"{error}. Something that it holds cannot be copied."
        ) from error
    found = _as_model(twin, model, input_shape, example)
    settle(found, found.example_input(1, "meta"))
    return found


def _as_model(
    twin: nn.Module,
    original: nn.Module,
    input_shape: tuple[int, ...] | None,
    example: Inputs | None,
    listed: ClassyModel | None = None,
) -> ClassyModel:
    """A copy as a ClassyModel, with the original's heads at work, and its blocks, or those of ``listed``."""
    if isinstance(original, ClassyModel) and isinstance(twin, ClassyModel):
        if original.get_heads():  # the copy has lost its hooks, the heads' among them
            twin._install([(b, h) for b, of in twin.get_heads().items() for h in of], original._readings)
        return twin
    found = ClassyModel.from_model(twin, input_shape, example=example)
    if isinstance(found, Adapter):  # which blocks run may take weights to find out, and the copy has none
        found.list_as(listed or ClassyModel.from_model(original, input_shape, example=example))
    return found
