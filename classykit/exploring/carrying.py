"""Heads come along when another model is chosen: to the block that gives what theirs gave."""

from __future__ import annotations

from collections.abc import Sequence

from classykit.errors import ClassyKitError, first_line
from classykit.exploring.explored import Explored
from classykit.heads.classy_head import HEADS
from classykit.inspecting.block_info import BlockInfo


def carry_heads(old: Explored, new: Explored, by_name: bool = False) -> tuple[dict[str, str], dict[str, str]]:
    """Attach to a model the heads of the one that was on the screen before, where they fit.

    A head goes to the last block of the same resolution; one of the last block's, to the last block. How many channels
    it takes in follows from there. With ``by_name`` it goes to the block of the same name, where there is one.

    Returns ({unique_id: the block that it came to}, {unique_id: why it did not come}).
    """
    came: dict[str, str] = {}
    stayed: dict[str, str] = {}
    for unique_id, (block, head) in old.heads().items():
        if unique_id in new.heads():
            stayed[unique_id] = "there is one of that name"
            continue
        same = by_name and any(row.name == block for row in new.inspection.trunk)
        place = block if same else _counterpart(old.inspection.trunk, block, new.inspection.trunk)
        config = {key: value for key, value in head.config.items() if key not in ("in_plane", "unique_id")}
        name = config.pop("name")
        if place is None or name not in HEADS:
            stayed[unique_id] = "no block gives such features" if place is None else "it is of a kind of your own"
            continue
        try:
            new.attach_head(place, name, unique_id, config)
            came[unique_id] = place
        except ClassyKitError as error:
            stayed[unique_id] = first_line(error)
    return came, stayed


def _counterpart(rows: Sequence[BlockInfo], block: str, others: Sequence[BlockInfo]) -> str | None:
    """The last of the other model's blocks that gives features of the same kind and resolution."""
    own = next((row for row in rows if row.name == block), None)
    if own is None or own.features is None:
        return None
    kind = own.features.kind
    alike = [row.name for row in others if row.features is not None and row.features.kind == kind]
    same = [
        row.name for row in others
        if row.features is not None and row.features.kind == kind and row.features.spatial == own.features.spatial
    ]  # fmt: skip
    if same:
        return same[-1]
    return alike[-1] if alike and own is rows[-1] else None


def in_words(came: dict[str, str], stayed: dict[str, str]) -> str:
    """ "Head cls came along to block3-1. Head x did not: no block gives such features." """
    words = [f"Head {unique_id} came along to {block}." for unique_id, block in came.items()]
    words += [f"Head {unique_id} did not come along: {why.rstrip('.')}." for unique_id, why in stayed.items()]
    return " ".join(words)
