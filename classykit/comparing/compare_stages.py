"""The blocks of several models aligned by stage: by how many pixels of the input a position of the map stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, VECTOR
from classykit.inspecting.block_info import REST, UNUSED

if TYPE_CHECKING:
    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection

_LATER = {TOKENS: 2, "pooled": 3, VECTOR: 4, "other": 5, "outside the blocks": 6, "heads": 7}  # after all maps


Place = tuple[float, float, str]  # what stages are sorted by, and the stage's name


@dataclass
class Stage:
    """What one model has at one stage: its blocks, the shape that the last of them gives, and what they cost."""

    depth: int = 0
    output_shape: tuple[int, ...] | None = None
    params: int = 0
    macs: int = 0
    activations: int = 0

    def add(self, block: BlockInfo, is_block: bool) -> None:
        self.depth += is_block
        if is_block:
            self.output_shape = block.output_shape
        self.params += block.params
        self.macs += block.macs
        self.activations += block.activations


def align(inspections: Mapping[str, Inspection]) -> dict[str, dict[str, Stage]]:
    """{stage: {model: what it has there}}: maps by stride, then all else; a stride that comes again is a stage anew."""
    found: dict[Place, dict[str, Stage]] = {}
    for name, inspection in inspections.items():
        for block, place in places(inspection):
            stage = found.setdefault(place, {}).setdefault(name, Stage())
            stage.add(block, is_block=place[2] != "outside the blocks")
    return {place[2]: found[place] for place in sorted(found)}


def places(inspection: Inspection) -> list[tuple[BlockInfo, Place]]:
    """Each row with its stage, as what stages are sorted by; the last of a place says which it is."""
    found: list[tuple[BlockInfo, Place]] = []
    times: dict[str, int] = {}
    last = ""
    for block in inspection.blocks:
        label, stride = _where(block, inspection.input_shape)
        if label != last and label not in _LATER:
            times[label] = times.get(label, 0) + 1
        time = times.get(label, 1)
        last = label
        if label in _LATER:
            place: Place = (float(_LATER[label]), 0.0, label)
        elif time == 1:
            place = (0.0, stride, label)
        else:  # on the way up again, where strides fall
            place = (1 + time / 1000, -stride, f"{label}, again" + (f" ({time})" if time > 2 else ""))
        found.append((block, place))
    return found


def counterpart(block: str, own: Inspection, other: Inspection) -> str:
    """The block of another model that stands for one of the first: the last of the same stage, or where the other has
    no such stage, that at the nearest depth.

    >>> import classykit
    >>> lite, resnet = classykit.inspect("efficientnet_lite0"), classykit.inspect("resnet50")
    >>> counterpart("block4-1", lite, resnet), counterpart("stem", lite, resnet)
    ('block2-5', 'initial_block')
    """
    stages = {row.name: place for row, place in places(own)}
    names = [row.name for row in other.trunk]
    same = [row.name for row, place in places(other) if place == stages.get(block) and row.name in names]
    if same:
        return same[-1]
    depths = [row.name for row in own.trunk]
    depth = depths.index(block) / max(len(depths) - 1, 1) if block in depths else 1.0
    return names[round(depth * (len(names) - 1))]


def _where(block: BlockInfo, input_shape: tuple[int, ...]) -> tuple[str, float]:
    """The stage of a block in words, and the stride of its map (0 where it gives none)."""
    if block.is_head:
        return "heads", 0
    if block.name in (REST, UNUSED):
        return "outside the blocks", 0
    kind = block.features.kind if block.features is not None else None
    if kind not in (MAP2D, MAP3D, SEQUENCE):
        return kind if kind in (TOKENS, VECTOR) else "other", 0
    spatial = block.features.spatial
    if all(n == 1 for n in spatial) and math.prod(input_shape[1:]) > 1:
        return "pooled", 0
    if not block.strides:
        return "other", 0
    stride = block.strides[-1]
    return f"stride {stride:g}", stride
