"""Models by what they cost: a disc each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from classykit import formats
from classykit.errors import ConfigError, quoted, suggest
from classykit.plots.style import ACCENT, BLUE, INK, figure_of, in_units, plain, tick_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.inspecting.report import Inspection

_WORDS = {
    "params": "parameters", "macs": "MACs", "flops": "FLOPs", "activations": "activations (elements)",
    "param_bytes": "weights (bytes)", "activation_bytes": "activations (bytes)",
}  # fmt: skip
_LABELS = 30  # more are not read


def cost_scatter(
    inspections: Mapping[str, Inspection],
    *,
    x: str = "macs",
    y: str = "params",
    size: str = "activations",
    baseline: str | None = None,
    budget: Mapping[str, float] | None = None,
    over: Collection[str] = (),
    title: str | None = None,
) -> Figure:
    """Draw a disc a model, on logarithmic axes; its area is a third figure.

    Args:
        inspections: {name: Inspection}, as `Comparison.inspections` is.
        x, y, size: which figures: any of "params", "macs", "flops", "activations", "param_bytes" and
            "activation_bytes".
        baseline: the model that is set off in colour.
        budget: {figure: limit}; those of the axes are drawn as lines.
        over: models beyond the budget: their discs are open.
        title: the line above; default: what is shown of how many models.

    Named are the baseline, then the models that no other undercuts in all three figures, then always the one that is
    farthest from those before it, as far as names do not overlap; how many are is said above.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> import classykit
    >>> found = {name: classykit.inspect(name) for name in ["resnet18", "resnet50", "vit_b_16"]}
    >>> sorted(text.get_text() for text in cost_scatter(found).axes[0].texts)
    ['resnet18', 'resnet50', 'vit_b_16']
    """
    for word, key in (("x", x), ("y", y), ("size", size)):
        if key not in _WORDS:
            raise ConfigError(f"{word} is one of {', '.join(_WORDS)}, not {quoted(key)}.{suggest(key, _WORDS)}")
    if not inspections:
        raise ConfigError("There is no model to draw.")
    names = list(inspections)
    points = {n: tuple(getattr(inspections[n], key) for key in (x, y, size)) for n in names}
    if title is None:
        number = "1 model" if len(names) == 1 else f"{len(names)} models"
        title = f"{_plain(x)}, {_plain(y)} and {_plain(size)} of {number}"
    figure = figure_of(8.0, 5.2, title[:1].upper() + title[1:])
    axes = figure.subplots()
    plain(axes)
    axes.grid(True, color=INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    largest = max(p[2] for p in points.values()) or 1
    most = 560.0 if len(names) <= 12 else 400.0  # area of the largest disc, in square points
    areas = {n: max(most * p[2] / largest, 6.0) for n, p in points.items()}
    for n in sorted(names, key=lambda n: -areas[n]):  # small ones on top of large ones
        colour = ACCENT if n == baseline else BLUE
        axes.scatter(points[n][0], points[n][1], s=areas[n], facecolor=(colour, 0.08 if n in over else 0.45),
                     edgecolor=colour, linewidth=1.0)  # fmt: skip
    for axis, i, key in ((axes.xaxis, 0, x), (axes.yaxis, 1, y)):
        _scale(axes, axis, [p[i] for p in points.values()], (budget or {}).get(key))
        in_units(axis, key)
        axis.set_label_text(f"{_WORDS[key]}, log scale")
    _limits(axes, x, y, budget or {})
    _legend(figure, axes, size, largest, most, baseline, bool(over), bool(budget))
    first = [n for n in names if n == baseline] + [n for n in names if n != baseline and _is_front(n, points)]
    _label(figure, axes, points, areas, first)
    return figure


def _plain(key: str) -> str:
    return _WORDS[key].partition(" (")[0]


def _scale(axes: Any, axis: Any, values: list[float], limit: float | None) -> None:
    """A logarithmic axis with room for discs and names; linear near zero when something costs nothing."""
    from matplotlib.ticker import NullFormatter

    shown = [v for v in [*values, limit] if v]
    low, high = min(shown, default=1), max(shown, default=1)
    room = max((high / low) ** 0.1, 1.35)
    which = "x" if axis is axes.xaxis else "y"
    if min(values) > 0:
        getattr(axes, f"set_{which}scale")("log")
        getattr(axes, f"set_{which}lim")(low / room, high * room)
    else:
        getattr(axes, f"set_{which}scale")("symlog", linthresh=low)
        getattr(axes, f"set_{which}lim")(-low / 2, high * room)
    if high / low < 30:  # a decade or less has one or two ticks of its own
        _ticks(axis, low / room, high * room)
    axis.set_minor_formatter(NullFormatter())


def _ticks(axis: Any, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    steps = (1, 1.5, 2, 3, 5, 7) if high / low < 8 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    axis.set_major_locator(FixedLocator([s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]))
    axis.set_minor_locator(NullLocator())


def _limits(axes: Any, x: str, y: str, budget: Mapping[str, float]) -> None:
    """The budget as lines, each with its limit."""
    style = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 0.5}
    words = {"fontsize": 7.5, "color": INK, "textcoords": "offset points", "in_layout": False}
    if x in budget:
        axes.axvline(budget[x], **style)
        axes.annotate(f"budget {tick_text(x, budget[x])}", (budget[x], 1), (3, -2), va="top",
                      xycoords=("data", "axes fraction"), rotation=90, **words)  # fmt: skip
    if y in budget:
        axes.axhline(budget[y], **style)
        axes.annotate(f"budget {tick_text(y, budget[y])}", (1, budget[y]), (-2, 2), ha="right", va="bottom",
                      xycoords=("axes fraction", "data"), **words)  # fmt: skip


def _legend(
    figure: Any, axes: Any, size: str, largest: float, most: float, baseline: str | None, over: bool, budget: bool
) -> None:
    """What the areas mean, and the colours."""
    write = formats.size if size.endswith("bytes") else formats.count

    def disc(area: float, label: str, colour: str = BLUE, opacity: float = 0.45) -> Any:
        return axes.scatter([], [], s=area, facecolor=(colour, opacity), edgecolor=colour, linewidth=1.0, label=label)

    handles = [disc(most * part, write(largest * part)) for part in (1, 0.25, 0.05)]
    handles[0].set_label(f"{_plain(size)}: {write(largest)}")
    if baseline is not None:
        handles.append(disc(40, f"baseline {baseline}", ACCENT))
    if budget and over:
        handles.append(disc(40, "over budget", opacity=0.08))
    diameter = 2 * math.sqrt(most / math.pi) / 8  # in heights of the letters
    legend = figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=8,
                           handlelength=diameter, handletextpad=0.5, columnspacing=1.2,
                           borderpad=diameter / 2)  # fmt: skip
    for text in legend.get_texts():
        text.set(color=INK, parse_math=False)


def _is_front(name: str, points: Mapping[str, tuple]) -> bool:
    """Whether no other is at most as large in all figures, and smaller in one."""
    own = points[name]
    return not any(p != own and all(b <= a for a, b in zip(own, p, strict=True)) for p in points.values())


def _spread(first: list[str], places: Mapping[str, tuple[float, ...]]) -> list[str]:
    """All names: ``first``, then always the one that is farthest from those before it."""
    order = first or [next(iter(places))]
    left = {n: min(math.dist(places[n][:2], places[o][:2]) for o in order) for n in places if n not in order}
    order = list(order)
    while left:
        far = max(left, key=lambda n: left[n])
        order.append(far)
        del left[far]
        for n in left:
            left[n] = min(left[n], math.dist(places[n][:2], places[far][:2]))
    return order


def _label(figure: Any, axes: Any, points: Mapping[str, tuple], areas: Mapping[str, float], first: list[str]) -> None:
    """Names beside the discs, each at the first of eight places where it covers neither a name nor a disc."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    scale = figure.dpi / 72
    inside = axes.get_window_extent()
    discs = {}
    for n in points:
        cx, cy = axes.transData.transform(points[n][:2])
        r = math.sqrt(areas[n] / math.pi) * scale
        discs[n] = (cx, cy, r)
    order = _spread(first, discs)
    taken = [t.get_window_extent() for t in axes.texts]  # of the budget; and its lines
    taken += [line.get_window_extent().padded(1) for line in axes.lines]
    named = 0
    for n in order:
        cx, cy, r = discs[n]
        text = axes.text(0, 0, n if len(n) <= 32 else n[:31] + "…", fontsize=7.5, color=INK, in_layout=False,
                         parse_math=False, transform=None)  # fmt: skip
        box = text.get_window_extent()
        w, h = box.width, box.height
        d, s = r + 3 * scale, (r + 2 * scale) / math.sqrt(2)
        places = [
            (cx + d, cy - h / 2), (cx - d - w, cy - h / 2), (cx - w / 2, cy + d), (cx - w / 2, cy - d - h),
            (cx + s, cy + s), (cx + s, cy - s - h), (cx - s - w, cy + s), (cx - s - w, cy - s - h),
        ]  # fmt: skip
        for px, py in places:
            box = Bbox.from_bounds(px, py, w, h)
            if (
                named < _LABELS
                and inside.containsx(box.x0) and inside.containsx(box.x1)
                and inside.containsy(box.y0) and inside.containsy(box.y1)
                and not any(box.overlaps(b) for b in taken)
                and not any(m != n and _touches(box, disc) for m, disc in discs.items())
            ):  # fmt: skip
                break
        else:
            text.remove()
            continue
        text.remove()
        axes.annotate(text.get_text(), points[n][:2], ((box.x0 - cx) / scale, (box.y0 - cy) / scale),
                      textcoords="offset points", fontsize=7.5, color=INK, in_layout=False,
                      parse_math=False)  # fmt: skip
        taken.append(box.padded(1.5 * scale))
        named += 1
    if named < len(order):
        figure.text(0.99, 0.985, f"{named} of {len(order)} named", ha="right", va="top", fontsize=8, color=INK)


def _touches(box: Any, disc: tuple[float, float, float]) -> bool:
    """Whether a box and a disc overlap."""
    cx, cy, r = disc
    dx, dy = max(box.x0 - cx, 0, cx - box.x1), max(box.y0 - cy, 0, cy - box.y1)
    return dx * dx + dy * dy < r * r
