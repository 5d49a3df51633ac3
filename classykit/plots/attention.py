"""What a model attends to: heads as small multiples beside the picture, rollout, and how far heads look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from classykit.errors import ConfigError
from classykit.plots.overlay import draw_spotlight
from classykit.plots.style import ACCENT, BLUE, INK, bare, figure_of, name_ticks, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.seeing.attention import Attention, AttentionLayer

_COLUMNS = 6


def attention_heads(
    attention: Attention, query: tuple[int, int] | int | None = None, layer: str | int = -1, index: int = 0
) -> Figure:
    """Draw what one token attends to, a picture a head: what is attended to stays bright.

    Args as in `classykit.seeing.attention.Attention.plot`. The patch that attends is framed; beside each head stands
    its largest weight, and that of an even share.

    >>> import classykit, torch
    >>> vit = classykit.build_model("vision_transformer", image_size=32, patch_size=8, num_layers=1, num_heads=2,
    ...                             hidden_dim=16, mlp_dim=32)
    >>> len(attention_heads(classykit.attention(vit, torch.rand(1, 3, 32, 32)), query=(0, 1)).axes)
    3
    """
    one = attention.layer(layer)
    maps = one.on_grid(index, query).float().cpu().numpy()  # (heads, rows, columns)
    pixels = attention.picture(index)
    columns = min(math.ceil(len(maps) / 2), _COLUMNS)
    rows = math.ceil(len(maps) / columns)
    title = f"{attention.name}, {one.name}: what {_words(one, query)} attends to{_doubt(one, attention)}"
    figure = figure_of((columns + 2) * 1.25, max(rows * 1.45, 2.7) + 0.3, title)
    grid = figure.add_gridspec(max(rows, 2), columns + 2)
    _draw_query(figure.add_subplot(grid[:2, :2]), pixels, one, query)
    even = 1 / one.weights.shape[-1]
    for head, shares in enumerate(maps):
        axes = figure.add_subplot(grid[head // columns, 2 + head % columns])
        draw_spotlight(axes, pixels, shares)
        axes.set_title(f"{head}: ≤ {100 * shares.max():.2g} %", fontsize=7.5, pad=2, color=INK)
    figure.axes[0].set_xlabel(f"an even share: {100 * even:.2g} %", fontsize=7.5, color=INK)
    return figure


def attention_rollout(attention: Attention, query: tuple[int, int] | int | None = None, index: int = 0) -> Figure:
    """Draw how much a token draws on each patch, through all layers (Abnar and Zuidema, 2020); approximate."""
    first, last = attention.layers[0], attention.layers[-1]
    rolled = attention.rollout()[index, last.query_number(query)].float().cpu()
    if first.grid is None:
        raise ConfigError(f"The tokens of {attention.name} lie on no grid, so there is no map of them.")
    pixels = attention.picture(index)
    title = f"{attention.name}: attention rollout of {_words(last, query)} (approximate){_doubt(None, attention)}"
    figure = figure_of(6.2, 3.3, title)
    left, right = figure.subplots(1, 2)
    _draw_query(left, pixels, last, query)
    draw_spotlight(right, pixels, rolled[first.prefix :].reshape(first.grid).numpy())
    right.set_title(f"through {len(attention.layers)} layers", fontsize=8, color=INK)
    return figure


def attention_distance(attention: Attention) -> Figure:
    """Draw how far each head looks: a dot a head, a stroke for their mean, dotted for even attention."""
    found = attention.distance()
    if not found:
        raise ConfigError(f"No layer of {attention.name} attends between places, so there are no distances.")
    width = min(max(0.35 * len(found) + 1.5, 4.0), 10.0)
    figure = figure_of(width, 3.0, f"{attention.name}: how far heads look")
    axes = figure.subplots()
    plain(axes)
    for i, (name, of_heads) in enumerate(found.items()):
        values = of_heads.cpu().numpy()
        axes.plot([i] * len(values), values, "o", color=BLUE, markersize=4, alpha=0.75, markeredgewidth=0)
        axes.plot([i - 0.28, i + 0.28], [values.mean()] * 2, color=ACCENT, linewidth=1.4)
        axes.plot([i - 0.4, i + 0.4], [attention.uniform_distance(name)] * 2, ":", color=INK, linewidth=1.0)
    axes.set(xlim=(-0.6, len(found) - 0.4))
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.set_ylabel("mean distance (px)")
    axes.set_xlabel("a dot a head · orange: their mean · dotted: attending to all alike", color=INK, fontsize=8)
    name_ticks(axes, list(found), width - 1)
    return figure


def _draw_query(axes: Axes, pixels: np.ndarray | None, layer: AttentionLayer, query: Any) -> None:
    """The picture, with a frame around the patch that attends."""
    from matplotlib.patches import Rectangle

    rows, columns = layer.query_map or layer.map_grid or (1, 1)
    if pixels is None:
        axes.imshow(np.zeros((rows, columns, 4)))
    else:
        axes.imshow(pixels)
    height, width = (rows, columns) if pixels is None else pixels.shape[:2]
    bare(axes)
    place = layer.place(query)
    if place is not None:
        row, column = place
        axes.add_patch(Rectangle(
            (column * width / columns - 0.5, row * height / rows - 0.5), width / columns, height / rows,
            fill=False, edgecolor=ACCENT, linewidth=1.8,
        ))  # fmt: skip
    axes.set_title(_words(layer, query), fontsize=8, color=INK)


def _words(layer: AttentionLayer, query: Any) -> str:
    place, number = layer.place(query), layer.query_number(query)
    if place is not None:
        return f"patch {place}"
    return "the class token" if number == 0 and layer.query_prefix else f"token {number}"


def _doubt(layer: AttentionLayer | None, attention: Attention) -> str:
    words = [] if layer is None or layer.verified else ["not verified"]
    words += ["untrained"] if any(note.startswith("Untrained") for note in attention.notes) else []
    return f" ({', '.join(words)})" if words else ""
