"""What the plots of costs and shapes share: colours for light and dark pages alike, names that fit, labels that do
not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from classykit import formats
from classykit.errors import ConfigError, quoted
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, shape_text
from classykit.images import load_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection
    from classykit.plots.figure import NotebookFigure
    from classykit.seeing.feature_maps import FeatureMaps

# A figure does not know its page's theme: these are legible on white and on black.
INK = "#808790"
BLUE = "#4a8fd0"
ACCENT = "#e07030"

#: {figure of a block: (its name, what one of it is)}
UNITS = {
    "params": ("parameters", "elements"),
    "macs": ("MACs", "multiply-accumulates"),
    "flops": ("FLOPs", "2 × MACs"),
    "activations": ("activations", "elements"),
    "activation_bytes": ("activations", "bytes"),
}


def figure_of(width: float, height: float, title: str) -> NotebookFigure:
    """An empty figure with a title, of no pyplot window."""
    from classykit.plots.figure import NotebookFigure

    figure = NotebookFigure(figsize=(width, height), layout="constrained", dpi=100, facecolor="none")
    if title:
        figure.suptitle(title, fontsize=10, x=0.01, ha="left", color=INK, parse_math=False)  # a "$" is a "$"
    return figure


def plain(axes: Axes) -> None:
    """Axes in ink on the page's own ground, without a box."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=INK, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=8, width=0.6, length=3, which="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, fontsize=8)


def draw_picture(axes: Axes, picture: Any) -> None:
    """A picture, as `classykit.load_image` takes it, without a frame or ticks."""
    axes.imshow(load_image(picture))
    bare(axes)


def check_colours(colours: Any) -> None:
    """ConfigError for what is none of the ways in which maps are coloured."""
    if not isinstance(colours, str) or colours not in ("viridis", "signed"):
        raise ConfigError(f'colours is "viridis" or "signed", not {quoted(colours)}.')


def draw_map(axes: Axes, maps: FeatureMaps, index: int, step: int, colours: str = "viridis") -> AxesImage:
    """One of a block's maps at one time step, in the colours of its limits, without a frame or ticks."""
    low, high = maps.limits[index].tolist()
    if colours == "signed":  # centred, so that zero is the page's own ground
        high = max(abs(low), abs(high))
        low = -high
    picture, cmap = maps.over_time[index, step].numpy(), signed_colours() if colours == "signed" else colours
    drawn = axes.imshow(picture, cmap=cmap, vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest")
    bare(axes)
    return drawn


def signed_colours(most: float = 1.0, gamma: float = 1.0) -> Any:
    """Blue below zero, orange above, and at zero nothing: whatever ground there is, light or dark.

    ``most`` is how much of the ground the ends hide, from 0 to 1; above 1, ``gamma`` lets weak values fade.

    >>> bool(signed_colours()(0.5)[3] < 0.01)
    True
    """
    import numpy as np
    from matplotlib.colors import ListedColormap, to_rgb

    at = np.linspace(-1, 1, 511)[:, None]
    colours = np.where(at < 0, to_rgb(BLUE), to_rgb(ACCENT))
    return ListedColormap(np.hstack([colours, most * np.abs(at) ** gamma]), name="signed")


def bare(axes: Axes) -> None:
    """No frame and no ticks, as around a picture."""
    axes.set(xticks=[], yticks=[], facecolor="none")
    axes.spines[:].set_visible(False)


def in_units(axis: Any, of: str = "count") -> None:
    """Ticks as people read them: "4 G", "250 M", "20 MB"."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(of, value)))


def tick_text(of: str, value: float) -> str:
    """A figure as an axis says it.

    >>> tick_text("macs", 4e9), tick_text("param_bytes", 2.5e6)
    ('4 G', '2.5 MB')
    """
    text = formats.size(value) if of.endswith("bytes") else formats.count(value)
    number, _, unit = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}".strip()


def heading(inspection: Inspection, what: str) -> str:
    """The title of a figure: what it shows, of which model, for what input."""
    batch = f", batch of {inspection.batch_size}" if inspection.batch_size > 1 else ""
    failed = ", until it failed" if inspection.error is not None else ""
    return f"{what} of {inspection.name}, input {shape_text(inspection.input_shape)}{batch}{failed}"


def shortened(name: str, length: int = 26) -> str:
    """The end of a long name, where names of blocks differ."""
    return name if len(name) <= length else f"…{name[1 - length :]}"


def place(block: BlockInfo) -> str:
    """Where a block stands: "56×56", "8×28×28", "197 tokens", "vector"."""
    if block.features is None:
        return "?" if block.output_shape is None else shape_text(block.output_shape)
    if block.features.kind in (MAP2D, MAP3D, SEQUENCE):
        return shape_text(block.features.spatial)
    return f"{block.output_shape[0]} tokens" if block.features.kind == TOKENS else "vector"


def runs(keys: Sequence[Any]) -> list[tuple[Any, int, int]]:
    """Runs of equal keys: (key, start, end), the end not included.

    >>> runs(["a", "a", "b"])
    [('a', 0, 2), ('b', 2, 3)]
    """
    found, start = [], 0
    for key, members in groupby(keys):
        end = start + len(list(members))
        found.append((key, start, end))
        start = end
    return found


def put_legend(owner: Any, named: Sequence[tuple[Any, str]], **keys: Any) -> None:
    """A legend of (what is drawn, its name): names are taken as they are.

    matplotlib leaves out what begins with "_", and reads what stands between dollars as a formula.
    """
    places = [str(i) for i in range(len(named))]
    made = owner.legend([drawn for drawn, _ in named], places, frameon=False, fontsize=8, labelcolor=INK, **keys)
    for text, (_, name) in zip(made.get_texts(), named, strict=True):
        text.set(text=name, parse_math=False)


def name_ticks(axes: Axes, names: Sequence[str], width: float, start: int = 0) -> None:
    """Names below the x axis, upright; where there are more than fit ``width`` inches, every second, fifth, ..."""
    room = max(int(width / 0.13), 2)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, len(names)) if len(names) <= room * s)
    shown = range(0, len(names), step)
    labels = [shortened(names[i]) for i in shown]
    axes.set_xticks([start + i for i in shown], labels, rotation=90, fontsize=7, parse_math=False)


def bands(axes: Axes, spans: Iterable[tuple[Any, float, float]]) -> None:
    """A faint ground behind every second stage."""
    for i, (_, start, end) in enumerate(spans):
        if i % 2:
            axes.axvspan(start - 0.5, end - 0.5, color=INK, alpha=0.1, linewidth=0)


def place_labels(figure: NotebookFigure, texts: Sequence[Text], pad: float = 2.0) -> list[Text]:
    """Move texts into their axes, and remove those that would be drawn over an earlier one; those that stay."""
    for text in texts:
        text.set_in_layout(False)
    figure.draw_without_rendering()
    boxes: list[Any] = []
    kept = []
    for text in texts:
        inside, box = text.axes.get_window_extent(), text.get_window_extent()
        shift = max(inside.x0 - box.x0, 0) or min(inside.x1 - box.x1, 0)
        if shift:
            x, y = text.get_position()
            text.set_position((x + shift * 72 / figure.dpi, y))
            box = box.translated(shift, 0)
        box = box.padded(pad)
        if any(box.overlaps(other) for other in boxes):
            text.remove()
        else:
            boxes.append(box)
            kept.append(text)
    return kept
