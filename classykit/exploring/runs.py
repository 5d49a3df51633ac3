"""What the map says of blocks together: which of them may be drawn as one pile, and what each is called there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, groupby

from classykit.inspecting.block_info import BlockInfo
from classykit.tables import fold

PILE = 3  # fewer blocks than this are not worth a pile
LONGEST = 16  # letters that a label has at most


def runs(blocks: Iterable[BlockInfo]) -> dict[str, str]:
    """{block: its run} of the blocks that follow each other and are equal, or differ only in channels.

    A run is called after the stage that it begins in, so that it is found again when the model's keys have changed.

    >>> import classykit
    >>> runs(classykit.inspect("resnet18").trunk), sorted(set(runs(classykit.inspect("resnet50").trunk).values()))
    ({}, ['block0', 'block1', 'block2'])
    """
    equal = fold(blocks, lambda first, b: b.like is not None and b.like in (first.name, first.like))
    found: list[list[BlockInfo]] = []
    for long, some in groupby(equal, lambda run: len(run) >= PILE):
        several = list(some)
        found += several if long else fold(chain.from_iterable(several), _alike)
    named: dict[str, str] = {}
    times: Counter[str] = Counter()
    for run in found:
        if len(run) >= PILE:
            stage = re.sub(r"\W*\d+$", "", run[0].name) or "blocks"
            times[stage] += 1
            named |= {b.name: stage if times[stage] == 1 else f"{stage} {times[stage]}" for b in run}
    return named


def _alike(first: BlockInfo, other: BlockInfo) -> bool:
    """Whether two blocks do the same at the same resolution, with as many channels as they like."""
    return _does(first) is not None and _does(first) == _does(other) and not first.heads and not other.heads


def _does(block: BlockInfo) -> object:
    """What a block does whatever its channels; None where it changes the resolution, or gives nothing."""
    if block.input_shape is None or block.features is None or block.output_shape is None:
        return None
    if block.input_shape[1:] != block.output_shape[1:]:
        return None
    return block.type, block.features.kind, block.output_shape[1:], block.has_skip


def labels(names: Sequence[str], short: Callable[[str], str]) -> dict[str, str]:
    """{block: what stands below it}: its short name, behind what tells it from others of the same; no two alike.

    >>> from classykit.models import ClassyModel
    >>> labels(["layers.0.blocks.0", "layers.1.blocks.0", "norm"], ClassyModel.short_name)
    {'layers.0.blocks.0': '0.blocks.0', 'layers.1.blocks.0': '1.blocks.0', 'norm': 'norm'}
    """
    series: dict[str, list[str]] = defaultdict(list)  # that differ in numbers: all of them get longer, or none
    for name in names:
        series[re.sub(r"\d+", "", short(name))].append(name)
    before: dict[str, str] = {}
    for same in series.values():
        if len(set(map(short, same))) < len(same):
            before |= _told_apart(same, short(same[0]).count(".") + 1)
    taken: set[str] = set()
    return {name: _free(before.get(name, ""), short(name), taken) for name in names}


def _told_apart(names: Sequence[str], told: int) -> dict[str, str]:
    """Those parts of the path, but for the ``told`` last, where the names differ; of "layer1", "layer2" the number."""
    paths = [name.split(".")[::-1] for name in names]
    depth = max(map(len, paths))
    columns = list(zip(*(path + [""] * (depth - len(path)) for path in paths), strict=True))
    parts: list[list[str]] = []
    for column in reversed(columns[told:]):
        if len(set(column)) > 1:
            words = {part.rstrip("0123456789") for part in column}
            numbers = [part[len(min(words)) :] for part in column]
            parts.append(numbers if all(numbers) and len(words) == 1 else list(column))
    return {name: "".join(f"{part}." for part in of if part) for name, *of in zip(names, *parts, strict=True)}


def _free(before: str, label: str, taken: set[str]) -> str:
    """A label that is short enough: of a name alone the end tells most; numbered where another has it already."""
    room = max(LONGEST - len(before), 4)
    if len(label) > room:
        label = f"{label[: room - 1]}…" if before else "…" + label[1 - room :].lstrip("._- ")
    cut = before + label if len(before) < LONGEST else "…" + (before + label)[1 - LONGEST :]
    number = 1
    while (free := cut if number == 1 else f"{cut[: LONGEST - 3]}·{number}") in taken:
        number += 1
    taken.add(free)
    return free
