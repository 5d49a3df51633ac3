"""Where the score of a class comes from: a map over the picture, one a block, and how far they can be trusted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from classykit.plots.overlay import as_map, colour_bar, draw_overlay
from classykit.plots.style import ACCENT, BLUE, INK, bare, figure_of, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.seeing.evidence import Evidence
    from classykit.seeing.faithfulness import Faithfulness

_COLUMNS = 6
_MOST = 24  # maps; more are thinned out


def evidence_map(evidence: Evidence, block: str | None = None, index: int = 0) -> Figure:
    """Lay one block's map over the picture: orange speaks for the class, blue against it.

    The line above says whether it is exact, and what the sum is.

    >>> import classykit, torch
    >>> e = classykit.evidence(classykit.build_model("efficientnet_lite0"), torch.rand(1, 3, 64, 64), target=3)
    >>> evidence_map(e).axes[0].get_title(loc="left")[:22]
    'exact: mean of the map'
    """
    block = evidence.block(block)
    values = _still(evidence, block, index)
    pixels = evidence.picture(index)
    figure = figure_of(
        5.4, 4.4, f"{evidence.of_class(index)}, seen from {block} of {evidence.name}{_untrained(evidence)}"
    )
    axes = figure.subplots()
    drawn = draw_overlay(axes, pixels, values)
    axes.set_title(_sum(evidence, block, index), fontsize=8, color=INK, loc="left")
    colour_bar(figure, drawn, axes, "against · for")
    return figure


def evidence_at_every_depth(evidence: Evidence, index: int = 0) -> Figure:
    """A small map a block, each on a scale of its own: "=" before the name of one that is exact, "≈" of the others."""
    names = [name for name in evidence.maps if evidence.has_places(name)]
    if len(names) > _MOST:
        names = [names[round(i * (len(names) - 1) / (_MOST - 1))] for i in range(_MOST)]
    columns = min(_COLUMNS, len(names) + 1)
    rows = math.ceil((len(names) + 1) / columns)
    title = f"{evidence.of_class(index)} at every depth of {evidence.name}{_untrained(evidence)}"
    figure = figure_of(columns * 1.5, rows * 1.7 + 0.4, title)
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    pixels = evidence.picture(index)
    for axes in panels[len(names) + 1 :]:
        axes.set_visible(False)
    if pixels is not None:
        panels[0].imshow(pixels)
    bare(panels[0])
    panels[0].set_title("input", fontsize=8, pad=2, color=INK)
    for axes, name in zip(panels[1:], names, strict=False):
        draw_overlay(axes, pixels, _still(evidence, name, index))
        sign = "=" if evidence.exact[name] else "≈"
        axes.set_title(f"{sign} {shortened(name, 18)}", fontsize=8, pad=2, color=INK, parse_math=False)
    return figure


def evidence_of_channels(evidence: Evidence, block: str | None = None, index: int = 0) -> Figure:
    """What a block's strongest channels add to the score of the class, and take from it: a bar each.

    >>> import classykit, torch
    >>> net = classykit.build_model("mlp", input_dim=4, output_dim=3, hidden_dims=[8])
    >>> figure = evidence_of_channels(classykit.evidence(net, torch.rand(1, 4), places=False))
    >>> figure.axes[0].get_title(loc="left")[:20]
    'exact: sum of the ch'
    """
    block = evidence.block(block)
    parts = evidence.made_of(block, index)[::-1]
    title = f"{evidence.of_class(index)}, seen from {block} of {evidence.name}{_untrained(evidence)}"
    figure = figure_of(5.4, 0.9 + 0.24 * len(parts), title)
    axes = figure.subplots()
    plain(axes)
    colours = [ACCENT if part > 0 else BLUE for _, part in parts]
    axes.barh([f"channel {c}" for c, _ in parts], [part for _, part in parts], color=colours)
    axes.set_title(_sum(evidence, block, index), fontsize=8, color=INK, loc="left")
    return figure


def faithfulness_curves(found: Faithfulness) -> Figure:
    """The class's probability as places are shown or taken away, in the map's order and at random."""
    figure = figure_of(7.0, 2.9, f"{found.name}: is the map of {found.block} to be trusted?")
    for axes, words, own, other in zip(
        figure.subplots(1, 2, sharey=True), ("shown, strongest first", "taken away, strongest first"),
        (found.insertion, found.deletion), (found.random_insertion, found.random_deletion), strict=True,
    ):  # fmt: skip
        plain(axes)
        shares = np.linspace(0, 100, own.shape[1])
        axes.plot(shares, other.mean(0), color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="at random")
        axes.plot(shares, own.mean(0), color=BLUE, linewidth=1.8, label="by the map")
        axes.set(ylim=(0, None), xlim=(0, 100))
        axes.set_xlabel(f"% of the picture {words}")
    figure.axes[0].set_ylabel("probability of the class")
    figure.axes[1].legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _still(evidence: Evidence, block: str, index: int) -> np.ndarray:
    """A map (h, w); of a clip the one in the middle."""
    values = evidence.maps[block][index]
    return as_map(values if values.ndim == 2 else values[len(values) // 2])


def _sum(evidence: Evidence, block: str, index: int) -> str:
    score = float(evidence.score[index])
    if not evidence.exact[block]:
        return f"approximate ({evidence.method}); score {score:.3g}"
    mean, bias = float(evidence.maps[block][index].mean()), float(evidence.biases[block][index])
    what = "mean of the map" if evidence.has_places(block) else "sum of the channels"
    return f"exact: {what} {mean:.3g} {'+' if bias >= 0 else '−'} bias {abs(bias):.2g} = score {score:.3g}"


def _untrained(evidence: Evidence) -> str:
    return " (untrained)" if any(note.startswith("Untrained") for note in evidence.notes) else ""
