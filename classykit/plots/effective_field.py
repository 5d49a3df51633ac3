"""Which pixels a unit listens to, with the field it could see and the one it uses drawn over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classykit.plots.style import ACCENT, BLUE, INK, bare, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.seeing.effective_field import EffectiveField


def effective_field_map(found: EffectiveField) -> Figure:
    """Draw an effective field: dark where a pixel moves the unit; solid the field of 2 σ, dashed the theoretical one.

    >>> import classykit, torch
    >>> f = classykit.effective_field(classykit.build_model("resnet18"), torch.rand(1, 3, 64, 64), "block0-0")
    >>> len(effective_field_map(f).axes)
    1
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgba
    from matplotlib.patches import Ellipse, Rectangle

    figure = figure_of(4.4, 4.9, f"What {found.block} of {found.name} listens to")
    axes = figure.subplots()
    height, width = found.map.shape
    ramp = LinearSegmentedColormap.from_list("paper to blue", [to_rgba(BLUE, 0.0), to_rgba(BLUE, 1.0)])
    # the root: weak influence far from the middle is most of the story
    axes.imshow(found.map.sqrt().numpy(), cmap=ramp, interpolation="nearest")
    bare(axes)
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=INK, linewidth=0.6, clip_on=False))
    along = [found.map.sum(axis) for axis in (1, 0)]
    middle = [float((line * line.new_tensor(range(len(line)))).sum()) for line in along]
    axes.add_patch(Ellipse(
        (middle[1], middle[0]), found.size[1], found.size[0], fill=False, edgecolor=ACCENT, linewidth=1.6,
    ))  # fmt: skip
    words = f"effective {found.size[0]:.0f} × {found.size[1]:.0f} px (solid, 2 σ)"
    window = found.window
    if window is not None:
        rows, columns = window
        axes.add_patch(Rectangle(
            (columns.start - 0.5, rows.start - 0.5), columns.stop - columns.start, rows.stop - rows.start,
            fill=False, edgecolor=INK, linewidth=1.4, linestyle=(0, (4, 3)),
        ))  # fmt: skip
    theory = "unknown" if found.theory is None else f"{found.theory[0]} × {found.theory[1]} px (dashed)"
    axes.set_xlabel(f"{words}\ntheoretical {theory}", fontsize=8, color=INK, loc="left")
    return figure
