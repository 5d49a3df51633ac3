"""What can be read off each block, against depth and against what it costs, beside the controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from classykit.plots.style import ACCENT, BLUE, INK, figure_of, in_units, name_ticks, plain, put_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.learning.linear import Accuracy
    from classykit.learning.probe import Probe

_GREY = "#9aa0a6"


def probe_curves(probe: Probe) -> Figure:
    """Accuracy of a linear classifier by block and by MACs so far, with standard errors, over its controls.

    >>> from classykit.learning.linear import Accuracy
    >>> from classykit.learning.probe import Probe
    >>> blocks = {"a": Accuracy(0.5, 0.01, 8), "b": Accuracy(0.9, 0.02, 16)}
    >>> p = Probe("net", blocks, {"a": 100, "b": 300}, {"chance": Accuracy(0.1, 0.0)}, 60, 10, "mean")
    >>> [axes.get_xlabel() for axes in probe_curves(p).axes]
    ['', 'MACs from the input on']
    """
    names = list(probe.blocks)
    macs = [probe.macs_so_far[name] for name in names]
    known = all(m is not None for m in macs)
    title = f"What a linear classifier reads off {probe.name}: {probe.pictures} pictures, {probe.classes} classes"
    figure = figure_of(9.0 if known else 5.4, 3.6, title)
    axes: list[Any] = list(figure.subplots(1, 2 if known else 1, sharey=True, squeeze=False)[0])
    drawn = _curves(axes[0], probe, list(range(len(names))), names)
    name_ticks(axes[0], names, 3.6)
    axes[0].set_ylabel("accuracy on pictures not seen")
    if known:
        _curves(axes[1], probe, [m or 0 for m in macs], names)
        axes[1].set(xlabel="MACs from the input on")
        in_units(axes[1].xaxis)
    for one in axes:
        plain(one)
    put_legend(figure, drawn, loc="outside lower center", ncols=5)
    return figure


def _curves(axes: Axes, probe: Probe, at: list[int], names: list[str]) -> list[tuple[Any, str]]:
    """What is drawn, each with its name."""
    drawn: list[tuple[Any, str]] = []
    random: dict[str, Accuracy] = probe.controls.get("random", {})
    if random:
        there = [i for i, name in enumerate(names) if name in random]  # not all where it was interrupted
        curve = _curve(axes, [at[i] for i in there], [random[names[i]] for i in there], _GREY, "s")
        drawn.append((curve, "random weights"))
    drawn.append((_curve(axes, at, [probe.blocks[name] for name in names], BLUE, "o"), probe.name))
    best = names.index(probe.best)
    dot = axes.plot(at[best], probe.blocks[probe.best].accuracy, "o", color=ACCENT, markersize=7, zorder=3)[0]
    drawn.append((dot, "best"))
    if "pixels" in probe.controls:
        line = axes.axhline(float(probe.controls["pixels"]), color=INK, linewidth=1, linestyle="--")
        drawn.append((line, "raw pixels"))
    drawn.append((axes.axhline(float(probe.controls["chance"]), color=INK, linewidth=1, linestyle=":"), "chance"))
    axes.set_ylim(0, 1.02)
    for one, name in drawn:
        one.set_label(name)
    return drawn


def _curve(axes: Axes, at: list[int], found: list[Accuracy], colour: str, marker: str) -> Any:
    return axes.errorbar(
        at, [f.accuracy for f in found], [0 if f.stderr != f.stderr else f.stderr for f in found], color=colour,
        marker=marker, markersize=4, linewidth=1.2, capsize=2,
    )  # fmt: skip
