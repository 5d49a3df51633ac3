"""The rows of an inspection: what a pass showed of each block, in figures."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from classykit.features import Features, main_tensor
from classykit.inspecting.block_info import REST, UNUSED, BlockInfo
from classykit.inspecting.receptive.receptive_field import ReceptiveField, receptive_field
from classykit.inspecting.tracer import BlockTrace
from classykit.models.classy_model import ClassyModel
from classykit.models.head_dict import is_head, is_of_head
from classykit.scripted import is_scripted

#: rows that are neither block nor head, in words
WITHOUT_PLACE = {REST: "outside the listed blocks", UNUSED: "weights not used"}


def likened(rows: Iterable[BlockInfo]) -> tuple[BlockInfo, ...]:
    """The rows, each with the name of the first that is equal but for the name, and for what it sees."""
    first: dict[BlockInfo, str] = {}
    likened = []
    for row in rows:
        name = first.setdefault(replace(row, name="", receptive_field=None), row.name)
        likened.append(row if name == row.name else replace(row, like=name))
    return tuple(likened)


def row_paths(model: ClassyModel) -> dict[str, str]:
    """{row: dotted path}: the listed blocks, what else works, other blocks that have heads, and the heads."""
    listed = {**model.block_paths(), **model.other_paths()}
    listed = {name: path for name, path in listed.items() if not is_scripted(model.get_submodule(path))}
    heads = model.get_heads()
    extra = {block: model.find_block(block)[1] for block in heads if block not in listed}
    for name, head in model.named_modules() if heads else ():
        if is_head(name):
            extra[row_of_head(head.unique_id, listed)] = name
    return {**listed, **extra}


def row_of_head(unique_id: str, listed: Container[str]) -> str:
    """What a head's row is called: after the head, unless a block is called so.

    >>> row_of_head("cls", ["stem"]), row_of_head("stem", ["stem"])
    ('cls', 'head stem')
    """
    return f"head {unique_id}" if unique_id in listed else unique_id


def rows_of(
    twin: ClassyModel,
    paths: Mapping[str, str],
    seen: Mapping[str, BlockTrace],
    heads: Mapping[str, str],
    shape: tuple[int, ...],
    batch_size: int,
    moves: Mapping[str, tuple[bool, ...]],
) -> list[BlockInfo]:
    """The rows of a pass, in the order in which the blocks ended.

    Args:
        twin: the model on the meta device.
        paths: {row: dotted path of its module}; what works outside of blocks has none.
        seen: {row: what was seen of it}.
        heads: {unique_id: the block that it is attached to}.
        shape, batch_size: of the input; ``shape`` is that of one, without the batch.
        moves: {path: which dimensions of its output move with the input's size}, where known.
    """
    rows: list[BlockInfo] = []
    stage, resolution = -1, None
    square = len(shape) < 3 or shape[-1] == shape[-2]
    for name in seen:
        block = seen[name]
        path = paths.get(name, "")
        is_head = is_of_head(path)
        output = main_tensor(block.output, batch_size)[1]
        given = Features.of(output, batch_size, square, moves.get(path))
        sees = receptive_field(block.fields.get(id(output)), shape[1:])
        spatial = given.spatial if given is not None else ()
        here = spatial or (given.kind if given is not None else None)
        if not is_head and name not in WITHOUT_PLACE and here != resolution:
            stage, resolution = stage + 1, here
        rows.append(
            BlockInfo(
                name=name,
                type=_type_of(twin.get_submodule(path)) if path else WITHOUT_PLACE.get(name, "block"),
                stage=None if is_head or name in WITHOUT_PLACE else stage,
                input_shape=_shape(main_tensor(block.input, batch_size)[1], batch_size),
                output_shape=_shape(output, batch_size),
                stride=_stride(sees, spatial, shape[1:]),
                params=sum(p.numel() for p in block.params),
                macs=block.cost.macs,
                activations=block.cost.activations,
                activation_bytes=block.cost.activation_bytes,
                heads=tuple(h for h, of_block in heads.items() if of_block == name and not is_head),
                receptive_field=sees,
                features=given,
                is_head=is_head,
                has_skip=block.has_skip,
            )
        )
    return rows


def _stride(
    field: ReceptiveField | None, spatial: tuple[int, ...], image: tuple[int, ...]
) -> float | tuple[float, ...] | None:
    """Pixels of the input from one position to the next, by axis, or one number where the axes agree.

    That is the receptive field's; along an axis where it is not known, or all positions see the same, it is what its
    maker meant: 260 pixels at 33 positions, 7.88, are stride 8; a whole number is what it is.
    """
    if not spatial or len(spatial) != len(image) or not all(spatial):
        return None
    known = field.stride if field is not None and field.stride is not None else (0,) * len(spatial)
    ratios = [n / here for n, here in zip(image, spatial, strict=True)]
    meant = [ratio if ratio == round(ratio) else 2.0 ** round(math.log2(ratio)) for ratio in ratios]
    by_axis = tuple(float(jump or ratio) for jump, ratio in zip(known, meant, strict=True))
    return by_axis if len(set(by_axis)) > 1 else by_axis[0]


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
