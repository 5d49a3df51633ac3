"""What heads add to an inspection, without another pass of the model that they are attached to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch
from torch import nn

from classykit.inspecting.block_info import BlockInfo
from classykit.inspecting.inspection import Twins
from classykit.inspecting.report import Inspection
from classykit.inspecting.rows import likened, row_of_head, rows_of
from classykit.inspecting.tracer import trace
from classykit.meta import dtype_of, meta_twin, registered
from classykit.models.classy_model import ClassyModel


def with_heads(bare: Inspection, model: ClassyModel) -> Inspection | None:
    """What `inspect` finds of a model of this kit's with its heads, from what it found of the same without any.

    Only the heads are run. None where that does not tell: something is noted of the model, or works outside of blocks.

    Args:
        bare: the inspection of a trunk.
        model: the same, on the meta device, with heads.
    """
    of_trunk, heads = bare.trunk, [(block, h) for block, of in model.get_heads().items() for h in of]
    names = {row.name for row in of_trunk}
    copied = any(reading.clone for reading in model._readings.values())
    if len(of_trunk) != len(bare.blocks) or bare.error or bare.note or copied or not model.channels_first:
        return None
    shape, batch, rows = (bare.batch_size, *bare.input_shape), bare.batch_size, list[BlockInfo]()
    paths = model.head_paths()
    uncounted, parts = Counter(bare.uncounted), list[nn.Module]()
    for block, head in heads:
        given = bare[block].output_shape if block in names else None
        if given is None:
            return None
        row, path, twin = row_of_head(head.unique_id, names), paths[head.unique_id], meta_twin(head)
        x = torch.empty(batch, *given, dtype=dtype_of(model), device="meta")
        seen = trace(twin, {row: ""}, x, fold=False, origin=(shape, bare._fields[block]))
        if seen.failure is not None or seen.unlisted or list(seen.blocks) != [row]:
            return None
        rows += rows_of(model, {row: path}, seen.blocks, {}, bare.input_shape, batch, {})
        uncounted += seen.uncounted
        parts += twin.modules()
    at = {name: tuple(h.unique_id for block, h in heads if block == name) for name in names}
    tensors, buffers = registered(parts)
    return replace(
        bare,
        blocks=likened([*(replace(row, heads=at[row.name], like=None) for row in of_trunk), *rows]),
        param_bytes=bare.param_bytes + sum(p.numel() * p.element_size() for p in tensors),
        buffer_bytes=bare.buffer_bytes + sum(b.numel() * b.element_size() for b in buffers),
        buffers=bare.buffers + sum(b.numel() for b in buffers),
        uncounted=dict(uncounted),
        _make=Twins(model.config, None, None, None).make,
    )
