"""What can be read off each block, against depth and against what it costs, beside the controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from classykit.plots.style import ACCENT, BLUE, INK, figure_of, in_units, name_ticks, plain

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
    _curves(axes[0], probe, list(range(len(names))), names)
    name_ticks(axes[0], names, 3.6)
    axes[0].set_ylabel("accuracy on pictures not seen")
    if known:
        _curves(axes[1], probe, [m or 0 for m in macs], names)
        axes[1].set(xlabel="MACs from the input on")
        in_units(axes[1].xaxis)
    for one in axes:
        plain(one)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=8,
        labelcolor=INK,
    )  # fmt: skip
    return figure


def _curves(axes: Axes, probe: Probe, at: list[int], names: list[str]) -> None:
    random: dict[str, Accuracy] = probe.controls.get("random", {})
    if random:
        there = [i for i, name in enumerate(names) if name in random]  # not all where it was interrupted
        _curve(axes, [at[i] for i in there], [random[names[i]] for i in there], _GREY, "random weights", "s")
    _curve(axes, at, [probe.blocks[name] for name in names], BLUE, probe.name, "o")
    best = names.index(probe.best)
    axes.plot(at[best], probe.blocks[probe.best].accuracy, "o", color=ACCENT, markersize=7, label="best", zorder=3)
    if "pixels" in probe.controls:
        axes.axhline(float(probe.controls["pixels"]), color=INK, linewidth=1, linestyle="--", label="raw pixels")
    axes.axhline(float(probe.controls["chance"]), color=INK, linewidth=1, linestyle=":", label="chance")
    axes.set_ylim(0, 1.02)


def _curve(axes: Axes, at: list[int], found: list[Accuracy], colour: str, label: str, marker: str) -> None:
    axes.errorbar(
        at, [f.accuracy for f in found], [0 if f.stderr != f.stderr else f.stderr for f in found], color=colour,
        marker=marker, markersize=4, linewidth=1.2, capsize=2, label=label,
    )  # fmt: skip
