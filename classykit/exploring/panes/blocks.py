"""Blocks: all of them in figures, as the table of `classykit.inspect` has them, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from classykit import formats
from classykit.comparing.compare import compare
from classykit.comparing.comparison_table import signed, with_unit
from classykit.errors import ClassyKitError
from classykit.exploring.design import controls
from classykit.exploring.pane import Pane
from classykit.exploring.scene import Scene
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, shape_text
from classykit.inspecting.block_info import BlockInfo
from classykit.inspecting.inspection import inspect
from classykit.inspecting.report import Inspection
from classykit.inspecting.report_table import fold_blocks, side, strides_text
from classykit.measuring.profile_report import Profile
from classykit.models.factory import MODELS
from classykit.models.regnet import RegNetConfig
from classykit.python_code import literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# (id, what stands above it, whether its cells are figures, what it means)
COLUMNS = (
    ("block", "block", False, ""),
    ("type", "type", False, ""),
    ("output", "output", False, "shape of what it gives, without the batch"),
    (
        "stride",
        "stride",
        True,
        "by how much the block itself thins out what it is given: ÷2 keeps every second position",
    ),
    ("of_input", "of input", True, "how fine its map is beside the model's input"),
    ("sees", "sees", True, "the receptive field: pixels of the input that one position sees"),
    ("params", "parameters", True, "with their share of the whole model's"),
    ("macs", "MACs", True, "multiply-accumulates of one pass, with their share of the whole model's"),
    ("activations", "activations", True, "bytes of all that its operations write in one pass"),
)
TIME = ("time", "time", True, "measured on this device: the median of the passes")

# [text, what it is sorted by, share of the whole, the share in words]; a string where there is no more to say
Cell = str | list[Any]

# What of a model is set beside that of its preset.
_COMPARED = (("params", "parameters"), ("macs", "MACs"), ("activation_bytes", "activations"), ("blocks", "blocks"))


class BlocksPane(Pane):
    """The table of blocks."""

    id, title = "blocks", "Blocks"
    pictured = False
    stays = frozenset({"name", "columns", "rows", "runs", "totals", "note", "widths", "against"})

    _made: tuple[Inspection, Profile | None, dict[str, Any]] | None = None

    def show(self) -> tuple[dict[str, Any], bytes]:
        inspection, profile = self.scene.inspection, self.scene.profile
        if self._made is None or self._made[0] is not inspection or self._made[1] is not profile:
            self._made = inspection, profile, self._state(inspection, profile)
        return self._made[2], b""

    def figure(self) -> Figure:
        return self.scene.inspection.plot()

    def _state(self, inspection: Inspection, profile: Profile | None) -> dict[str, Any]:
        times = {} if profile is None else {row.name: row.time_ms / 1000 for row in profile.rows}
        short_name = self.scene.subject.model.short_name
        runs, chosen = fold_blocks(inspection.blocks), set(self.scene.block_names)
        return {
            "name": inspection.name,
            "columns": [
                {"id": name, "label": label, "right": right, "tip": tip}
                for name, label, right, tip in (*COLUMNS, *([TIME] if times else []))
            ],
            "rows": [
                {"cells": _cells(inspection, [b], times), **({} if b.name in chosen else {"fixed": True})}
                for b in inspection.blocks
            ],
            "runs": [
                {
                    "first": run[0].name,
                    "count": len(run),
                    "name": f"{run[0].name} … {short_name(run[-1].name)}",
                    "cells": _cells(inspection, run, times)[1:],
                }
                for run in runs
                if len(run) > 1
            ],
            "totals": _totals(inspection, times),
            "note": inspection.note,
            "widths": widths(self.scene),
            "against": against_preset(self.scene),
        }

    def code(self) -> str:
        lines = ["table = ck.inspect(model)", "csv = table.to_pandas().to_csv()"]
        profile = self.scene.profile
        if profile is not None:
            x = "example=example" if self.scene.subject.example is not None else "x"
            keys = (
                f"device={literal(self.scene.device)}, dtype={literal(self.scene.subject.dtype)}, channels_last=False"
            )
            lines.append(f"times = ck.profile_blocks(model, {x}, {keys})")
        return "\n".join(lines)


def _cells(inspection: Inspection, run: Sequence[BlockInfo], times: dict[str, float]) -> list[Cell]:
    """The cells of one block, or of several that are equal: figures are of all of them together."""
    first = run[0]
    own, stride = inspection.own_strides(first.name), first.of_input.removesuffix(" of the input")
    cells: list[Cell] = [
        first.name,
        first.type,
        shape_text(first.output_shape),
        [_by(own), own[-1]] if own else "",
        ["1" if stride.startswith("as") else stride, -first.strides[-1]] if stride else "",
        _sees(run[-1]),
        *_costs(inspection, run),
    ]
    if times:
        cells.append(_time(run, times))
    return cells


def _sees(block: BlockInfo) -> Cell:
    """The side of its receptive field; what sees everything is sorted behind all that does not."""
    field = block.receptive_field
    if field is None or field.size is None:
        return side(field)
    text = "all" if field.is_global else strides_text(field.size)
    return [text, 2**31 if field.is_global else field.size[-1], None, str(field)]


def _by(strides: Sequence[float]) -> str:
    """ "÷2", "1" for all that it is given, "×2" on the way up; "" without a map."""
    if not strides or set(strides) == {1}:
        return strides_text(strides)
    return f"×{strides_text([1 / n for n in strides])}" if max(strides) <= 1 else f"÷{strides_text(strides)}"


def _costs(whole: Inspection, part: Sequence[BlockInfo]) -> list[Cell]:
    """Parameters and MACs with their shares of the whole model's, and bytes of activations."""
    figures: tuple[tuple[str, Any], ...] = (
        ("params", formats.count), ("macs", formats.count), ("activation_bytes", formats.size)
    )  # fmt: skip
    cells = [_share(say, sum(getattr(b, of) for b in part), getattr(whole, of)) for of, say in figures]
    return [*cells[:-1], _plain(cells[-1])]


def _time(part: Sequence[BlockInfo], times: dict[str, float]) -> Cell:
    return _plain(_share(formats.seconds, sum(times.get(b.name, 0) for b in part), sum(times.values())))


def _plain(cell: list[Any]) -> Cell:
    """Without a bar; its share is said where the mouse rests."""
    text, number, _, share = cell
    return [text, number, None, f"{share} of the whole"]


def _share(say: Any, part: float, whole: float) -> list[Any]:
    share = part / whole if whole else 0.0
    return [say(part), part, round(share, 4), formats.percent(share)]


def _totals(inspection: Inspection, times: dict[str, float]) -> list[dict[str, Any]]:
    """The sums, with those of the trunk and of its classifier apart where the model has one."""
    gone = {b.name for b in inspection.classifier}
    parts = [("in all", "", list(inspection.blocks))]
    if gone and any(b.name not in gone for b in inspection.blocks):
        classifier = [b for b in inspection.blocks if b.name in gone]
        trunk = [b for b in inspection.blocks if b.name not in gone]
        heads = {b.is_head for b in classifier}
        word = "classifier and heads" if len(heads) > 1 else "heads" if True in heads else "classifier"
        parts = [("trunk", "", trunk), (word, ", ".join(b.name for b in classifier), classifier), *parts]
    rows = []
    for label, names, blocks in parts:
        cells = _costs(inspection, blocks)
        if times:  # the whole has what runs outside of the blocks, too
            whole = sum(times.values())
            cells.append([formats.seconds(whole), whole] if label == "in all" else _time(blocks, times))
        rows.append({"label": label, "names": names, "cells": cells})
    return rows


# ---- how wide its blocks are ----


def preset_of(scene: Scene) -> str | None:
    """The preset that the model on the screen was turned from; None where none of its keys differ, or there is none."""
    subject = scene.subject
    name = None if subject.adopted is not None else subject.config["name"]
    if name is None or not MODELS[name].is_whole or set(subject.config) <= {"name", "heads"}:
        return None
    return name if any(control.changed for control in controls(subject)) else None


def widths(scene: Scene) -> dict[str, Any] | None:
    """The channels of each block that gives a map or tokens, and of the preset's; None where all are as wide.

    A RegNet's follow from a straight line, which is there, too: ``line`` has its first width, what each block adds,
    and the place of the first block that it is about.
    """
    now = _wide(scene.inspection)
    preset, keys = preset_of(scene), scene.subject.full_config
    if len(set(now)) < 2 and (preset is None or len(now) < 2):
        return None
    line, rounded = None, ""
    if {"w_0", "w_a"} <= set(keys):
        stem = len(now) - keys["depth"]
        line = {"first": keys["w_0"], "slope": keys["w_a"], "from": max(stem, 0)}
        rounded = _rounded(RegNetConfig(**{key: keys[key] for key in RegNetConfig.model_fields}))
    runs = [(width, len(list(blocks))) for width, blocks in groupby(now)]
    return {
        "now": now,
        "blocks": [b.name for b in _with_places(scene.inspection)],
        "preset": [] if preset is None else _wide(inspect(preset)),
        "line": line,
        "rounded": rounded,
        "words": " · ".join(f"{width} ×{depth}" if depth > 1 else str(width) for width, depth in runs),
    }


def _rounded(config: RegNetConfig) -> str:
    """Which widths of stages were made to fit the groups, in a sentence; "" where all did."""
    wanted = [width for width, _ in groupby(config.block_widths)]
    pairs = [(a, stage.width) for a, stage in zip(wanted, config.stages, strict=True) if a != stage.width]
    if not pairs:
        return ""
    changes = ", ".join(f"{a} → {b}" for a, b in pairs)
    stages = "1 stage was" if len(pairs) == 1 else f"{len(pairs)} stages were"
    return f"{stages} rounded so that groups of {config.group_width} fit: {changes} channels."


def _wide(inspection: Inspection) -> list[int]:
    return [b.features.channels for b in _with_places(inspection) if b.features is not None]


def _with_places(inspection: Inspection) -> list[BlockInfo]:
    """The blocks that give maps or tokens, and no single vector."""
    kinds = (MAP2D, MAP3D, SEQUENCE, TOKENS)
    return [b for b in inspection.trunk if b.features is not None and b.features.kind in kinds]


def against_preset(scene: Scene) -> list[dict[str, str]]:
    """What the keys that differ make of the preset, trunk and classifier alike; [] where none differ."""
    preset = preset_of(scene)
    if preset is None:
        return []
    config = {key: value for key, value in scene.subject.config.items() if key != "heads"}
    try:
        both = compare([preset, config], names=["preset", "now"], classifier=True)
    except ClassyKitError:  # the preset takes other inputs, say
        return []
    return [
        {
            "label": label,
            "preset": with_unit(of, both.figure("preset", of)),
            "now": with_unit(of, both.figure("now", of)),
            "change": signed(both.difference("now", of)),
        }
        for of, label in _COMPARED
        if both.figure("now", of) is not None
    ]
