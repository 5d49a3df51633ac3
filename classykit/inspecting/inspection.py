"""`inspect`: what a network is and what it costs, from one pass on the meta device, block by block."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from classykit.errors import ConfigError, ShapeError
from classykit.features import Features, main_tensor
from classykit.harmless import harmless
from classykit.inspecting.failure import explain
from classykit.inspecting.receptive.receptive_field import receptive_field
from classykit.inspecting.report import REST, BlockInfo, Failure, Inspection
from classykit.inspecting.tracer import BlockTrace, Trace, trace
from classykit.meta import dtype_of, empty_input, meta_twin, shared_twin
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.models.head_dict import is_head, is_of_head
from classykit.subject import name_of, subject_of

__all__ = ["BlockInfo", "Failure", "Inspection", "clear_cache", "inspect"]

_REMEMBERED = 256  # inspections of names and configs: a zoo, and what an afternoon tries
_cache: OrderedDict[Any, Inspection] = OrderedDict()


def inspect(
    model: str | Mapping[str, Any] | nn.Module, input_shape: tuple[int, ...] | None = None, batch_size: int = 1
) -> Inspection:
    """What a model is and what it costs, from one pass on the meta device: no weight is allocated.

    Args:
        model: a registered name, a config, a ClassyModel, or any nn.Module that takes one tensor. A module is
            inspected through a weightless copy; nothing of it is changed.
        input_shape: shape of one input without the batch. Default: the model's own, else (3, 224, 224).
        batch_size: number of inputs in the pass. Default 1.

    Figures are for inference (eval mode): MACs are counted by the operations that run, with the formulas of
    torch.utils.flop_counter. Blocks that are equal, with equal inputs, are worked out once; inspections of names
    and configs are remembered (see `clear_cache`).

    A model that cannot run on such an input is inspected up to the block that fails, whatever the reason:
    `Inspection.error` names the block, the layer, what that takes and was given, and the line of code;
    `Inspection.require` raises it. A model that asks for the numbers in its tensors, which meta tensors do not have,
    is run on random numbers, and `Inspection.note` says so.

    Raises ConfigError for a bad input_shape or batch_size, ConfigError and others for a bad config, ShapeError for a
    module that cannot be copied.

    >>> i = inspect("resnet50")
    >>> i.params, round(i.macs / 1e9, 2)
    (23508032, 4.09)
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f"batch_size is a positive number, not {batch_size!r}.")
    if input_shape is not None and (
        not isinstance(input_shape, (tuple, list, torch.Size))
        or not all(isinstance(n, int) and n > 0 for n in input_shape)
    ):
        raise ConfigError(f"input_shape is a tuple of positive sizes such as (3, 224, 224), not {input_shape!r}.")
    subject = subject_of(model)
    if subject.module is not None:
        return _inspect(_Twins(None, _twin_of(subject.module, input_shape), input_shape), batch_size, subject.module)
    key = _key(subject.config, input_shape, batch_size)
    if key is not None and key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    found = _inspect(_Twins(subject.config, None, input_shape), batch_size)
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


class _Twins:
    """Where twins of a model come from: its config, or a twin to copy."""

    def __init__(self, config: Any, twin: ClassyModel | None, input_shape: tuple[int, ...] | None):
        self.config = copy.deepcopy(config) if isinstance(config, Mapping) else config
        self.twin, self.input_shape = twin, input_shape

    def make(self, batch_size: int, dtype: torch.dtype | None = None) -> tuple[ClassyModel, Any]:
        """A new twin on the meta device that may be changed, and an input for it."""
        twin = build_model(self.config, device="meta").eval() if self.twin is None else _twin_of(self.twin)
        if dtype is not None:
            twin = twin.to(dtype)
        x = twin.example_input(batch_size, "meta")
        if self.input_shape is not None:
            x = empty_input(tuple(self.input_shape), batch_size, dtype_of(twin))
        return twin, x


def _inspect(source: _Twins, batch_size: int, original: nn.Module | None = None) -> Inspection:
    twin, x = source.make(batch_size)
    shape = tuple(x.shape[1:]) if isinstance(x, torch.Tensor) else twin.input_shape
    heads = {h.unique_id: block for block, of_block in twin.get_heads().items() for h in of_block}
    paths = row_paths(twin)
    seen, error, note = trace(twin, paths, x), None, ""
    make: Callable[[int, torch.dtype | None], tuple[nn.Module, Any]] | None = source.make
    if seen.failure is not None and (original is not None or "meta" in str(seen.failure).lower()):
        real = _real_pass(source, original, paths, x)
        if real is not None and (real[0].failure is None or "meta" in str(seen.failure).lower()):
            seen, twin = real
            note, make = "It needs numbers: figures are from a real pass on random numbers.", None
    if seen.failure is not None:
        if make is not None:  # a new twin: equal blocks of the old one are folded
            twin, x = source.make(batch_size)
        error = explain(seen.failure, twin, paths, x)
    tensors = list({id(p): p for p in twin.parameters()}.values())
    buffers = list({id(b): b for b in twin.buffers()}.values())
    return Inspection(
        name=name_of(twin),
        input_shape=shape,
        batch_size=batch_size,
        blocks=_liken(_rows(twin, paths, seen.blocks, heads, shape, batch_size)),
        param_bytes=sum(p.numel() * p.element_size() for p in tensors),
        buffer_bytes=sum(b.numel() * b.element_size() for b in buffers),
        uncounted=dict(seen.uncounted),
        buffers=sum(b.numel() for b in buffers),
        error=error,
        note=note,
        _make=make,
    )


def _real_pass(
    source: _Twins, original: nn.Module | None, paths: Mapping[str, str], x: Any
) -> tuple[Trace, ClassyModel] | None:
    """The pass on random numbers, for a model that no meta pass does; None where there are none to run it with.

    It is a copy that runs, with the model's own tensors: what its forward writes into attributes stays there.
    """
    if original is None:
        model = build_model(source.config)
    else:
        if not isinstance(x, torch.Tensor) or any(t.is_meta for t in (*original.parameters(), *original.buffers())):
            return None
        model = _as_model(shared_twin(original, own_hooks=True), original, source.input_shape)
    reference = next(model.parameters(), torch.empty(0))
    numbers = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(reference.device, reference.dtype)
    with unfused(), harmless(model), torch.random.fork_rng(devices=[]):
        return trace(model, paths, numbers, fold=False), model


@contextmanager
def unfused() -> Iterator[None]:
    """Attention and recurrent layers run as the operations that they are made of, which can be counted."""
    fused, kernels = torch.backends.mha.get_fastpath_enabled(), (torch.backends.mkldnn, torch.backends.cudnn)
    enabled = [kernel.enabled for kernel in kernels]
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for kernel in kernels:
            kernel.enabled = False
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for kernel, was in zip(kernels, enabled, strict=True):
            kernel.enabled = was


def _liken(rows: list[BlockInfo]) -> tuple[BlockInfo, ...]:
    """The rows, each with the name of the first that is equal but for the name, and for what it sees."""
    first: dict[BlockInfo, str] = {}
    likened = []
    for row in rows:
        name = first.setdefault(replace(row, name="", receptive_field=None), row.name)
        likened.append(row if name == row.name else replace(row, like=name))
    return tuple(likened)


def _twin_of(model: nn.Module, input_shape: tuple[int, ...] | None = None) -> ClassyModel:
    try:
        twin = meta_twin(model)
    except Exception as error:  # whatever a stranger's __deepcopy__ raises
        raise ShapeError(
            f"{type(model).__name__} cannot be inspected: copying its module tree raised {type(error).__name__}: "
            f"{error}. Something that it holds cannot be copied."
        ) from error
    return _as_model(twin, model, input_shape)


def _as_model(twin: nn.Module, original: nn.Module, input_shape: tuple[int, ...] | None) -> ClassyModel:
    """A copy as a ClassyModel, with the original's heads at work."""
    if isinstance(original, ClassyModel) and isinstance(twin, ClassyModel):
        if original.get_heads():  # the copy has lost its hooks, the heads' among them
            twin._install([(b, h) for b, of in twin.get_heads().items() for h in of], original._readings)
        return twin
    return ClassyModel.from_model(twin, input_shape)


def row_paths(model: ClassyModel) -> dict[str, str]:
    """{row: dotted path}: the listed blocks, other blocks that have heads, and the heads."""
    listed = model.block_paths()
    extra = {block: model.find_block(block)[1] for block in model.get_heads() if block not in listed}
    for name, head in model.named_modules():
        if is_head(name):
            extra[_row_of_head(head.unique_id, listed)] = name
    return {**listed, **extra}


def _row_of_head(unique_id: str, listed: Mapping[str, str]) -> str:
    return f"head {unique_id}" if unique_id in listed else unique_id


def _rows(
    twin: ClassyModel,
    paths: Mapping[str, str],
    seen: Mapping[str, BlockTrace],
    heads: Mapping[str, str],
    shape: tuple[int, ...],
    batch_size: int,
) -> list[BlockInfo]:
    rows: list[BlockInfo] = []
    stage, resolution = -1, None
    square = len(shape) < 3 or shape[-1] == shape[-2]
    for name in seen:
        block = seen[name]
        path = paths.get(name, "")
        is_head = is_of_head(path)
        output = main_tensor(block.output, batch_size, square)[1]
        given = Features.of(output, batch_size, square)
        spatial = given.spatial if given is not None else ()
        here = spatial or (given.kind if given is not None else None)
        if not is_head and name != REST and here != resolution:
            stage, resolution = stage + 1, here
        rows.append(
            BlockInfo(
                name=name,
                type=_type_of(twin.get_submodule(path)) if path else "outside the listed blocks",
                stage=None if is_head or name == REST else stage,
                input_shape=_shape(main_tensor(block.input, batch_size, square)[1], batch_size),
                output_shape=_shape(output, batch_size),
                stride=shape[-1] / spatial[-1] if spatial and len(shape) >= 3 and spatial[-1] else None,
                params=sum(p.numel() for p in block.params),
                macs=block.cost.macs,
                activations=block.cost.activations,
                activation_bytes=block.cost.activation_bytes,
                heads=tuple(h for h, of_block in heads.items() if of_block == name and not is_head),
                receptive_field=receptive_field(block.fields.get(id(output)), shape[1:]),
                features=given,
                is_head=is_head,
                has_skip=bool(path) and getattr(twin.get_submodule(path), "has_skip", False) is True,
            )
        )
    return rows


def _shape(value: Any, batch_size: int) -> tuple[int, ...] | None:
    if not isinstance(value, torch.Tensor):
        return None
    features = Features.of(value, batch_size)
    return features.shape if features is not None else tuple(value.shape[1:])


def _type_of(module: nn.Module) -> str:
    words = getattr(module, "block_type", None)
    if isinstance(words, str):
        return words
    registered = getattr(module, "registered_name", None)
    if isinstance(registered, str):
        return registered.replace("_", " ").removesuffix(" head") + " head"
    name = type(module).__name__
    kernel = getattr(module, "kernel_size", None)
    if isinstance(kernel, tuple) and all(isinstance(k, int) for k in kernel):
        name += " " + "×".join(map(str, kernel))
    return name
