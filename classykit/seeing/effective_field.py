"""`effective_field`: which pixels a unit really listens to, beside those that it could."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import BlockError, ClassyKitError, ShapeError, quoted
from classykit.features import as_maps
from classykit.finding import Finding
from classykit.inspecting.inspection import inspect
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.running.recording import record
from classykit.seeing.view import View, view
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class EffectiveField(Finding):
    """The pixels that the central unit of a block listens to.

    Attributes:
        name, block: the model and the block.
        map: (H, W), how strongly each pixel moves the unit, averaged over the pictures; sums to 1. Measured.
        size: (height, width) in pixels: of a Gaussian with the map's spread, two standard deviations to either side.
        theory: (height, width) of the theoretical field, exact: no pixel outside of it has any influence. None where it
            is not known.
        field: the theoretical field itself.
        position: (row, column) of the unit in the block's map.
        pictures: how many were averaged.
        notes: what else there is to say.
    """

    name: str
    block: str
    map: torch.Tensor
    size: tuple[float, float]
    theory: tuple[int, int] | None
    field: ReceptiveField | None
    position: tuple[int, ...]
    pictures: int
    notes: tuple[str, ...] = ()

    @property
    def window(self) -> tuple[slice, ...] | None:
        """(rows, columns) of the picture that the unit can see by theory; None where that is not known."""
        return None if self.field is None else self.field.pixels(self.position)

    def heading(self) -> str:
        pictures = "1 picture" if self.pictures == 1 else f"{self.pictures} pictures"
        return f"Effective receptive field of {self.block} in {self.name}, {pictures}"

    def table(self) -> Table:
        size = " × ".join(f"{side:.0f}" for side in self.size)
        theory = "unknown" if self.theory is None else " × ".join(map(str, self.theory))
        where = f" ({self.field.global_by})" if self.field is not None and self.field.global_by else ""
        lines = [Line([Cell("effective, 2 σ to either side"), Cell(size), Cell("measured")]),
                 Line([Cell("theoretical"), Cell(theory), Cell(f"exact{where}" if self.theory else "")])]  # fmt: skip
        return Table([Column("field"), Column("px", right=True), Column("kind")], lines)

    def plot(self) -> Figure:
        """The map, with both fields drawn over it: a matplotlib Figure that belongs to no pyplot window."""
        from classykit.plots.effective_field import effective_field_map

        return effective_field_map(self)


@verb
def effective_field(model: nn.Module, x: Any, block: str) -> EffectiveField:
    """Which pixels the central unit of a block listens to: its gradient on the input, averaged over pictures.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        x: pictures as the model takes them, (N, 3, H, W), or as `classykit.run` takes them: the more, the smoother.
        block: a block's name or dotted path.

    The gradients of all channels of the unit, each with a sign of its own drawn at random so that they do not cancel,
    are squared, summed over colours and averaged, and the root is taken (after Luo et al., "Understanding the effective
    receptive field in deep convolutional neural networks", NeurIPS 2016). Its size beside the theoretical one shows
    how much of what a unit could see it uses.

    Raises BlockError for an unknown block, or one whose output has no places; ShapeError for inputs that are no
    pictures.

    >>> from classykit.models import build_model
    >>> f = effective_field(build_model("resnet18"), torch.rand(4, 3, 64, 64), "block0-0")
    >>> f.map.shape, f.theory, f.size[0] <= f.theory[0]
    (torch.Size([64, 64]), (27, 27), True)
    """
    if not isinstance(block, str):
        raise BlockError(f"block is one block's name or dotted path, not {quoted(block)}.")
    look = view(model, x)
    if look.images is None or not isinstance(look.x, torch.Tensor):
        raise ShapeError(f"Fields are those of pictures (N, C, H, W), and {look.name} was given something else.")
    total = torch.zeros(look.images.shape[-2:], dtype=torch.float64)
    signs = torch.Generator().manual_seed(0)
    position: tuple[int, ...] = ()
    for picture in look.x.split(1):  # one at a time: a pass with its graph takes much memory
        with torch.enable_grad():
            leaf = picture.detach().clone().requires_grad_()
            given = record(look.model, leaf.clone(), [block], grad=True)[block]
            maps = as_maps(given, look.size) if isinstance(given, torch.Tensor) else None
            if maps is None or maps.ndim != 4:
                raise BlockError(f"{quoted(block)} gives no map, so it has no unit in its middle.")
            position = (maps.shape[-2] // 2, maps.shape[-1] // 2)
            unit = maps[0, :, position[0], position[1]]  # (C,)
            drawn = torch.randint(2, unit.shape, generator=signs).to(unit) * 2 - 1
            if not unit.requires_grad:
                raise BlockError(f"{quoted(block)} does not depend on the picture, so it has no field.")
            (slope,) = torch.autograd.grad((unit * drawn).sum(), [leaf], allow_unused=True)
        if slope is not None:
            total += slope[0].double().cpu().square().sum(0)
    strength = total.sqrt()
    strength = strength / strength.sum().clamp_min(1e-300)
    field = _theory(look, block)
    return EffectiveField(
        name=look.name, block=block, map=strength.float(), size=_extent(strength), position=position,
        theory=None if field is None or field.size is None else (field.size[0], field.size[1]), field=field,
        pictures=len(look.x), notes=look.notes,
    )  # fmt: skip


def _theory(look: View, block: str) -> ReceptiveField | None:
    try:
        assert look.images is not None
        found = inspect(look.model, tuple(look.images.shape[1:]))
        info = next((b for b in found.blocks if b.name == block), None)
    except ClassyKitError:
        return None
    return None if info is None or info.receptive_field is None else info.receptive_field


def _extent(strength: torch.Tensor) -> tuple[float, float]:
    """Four standard deviations of the map along each axis, in pixels."""
    sides = []
    for axis in (1, 0):
        along = strength.sum(axis)
        at = torch.arange(len(along), dtype=along.dtype)
        middle = (along * at).sum()
        # a pixel is not a point: its own extent counts, so that a field of one pixel has a size
        sides.append(float(4 * ((along * (at - middle) ** 2).sum() + 1 / 12).sqrt()))
    return sides[0], sides[1]
