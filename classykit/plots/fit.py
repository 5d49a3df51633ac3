"""How heads have learnt: loss and accuracy of each, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classykit.plots.style import figure_of, plain, put_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.learning.fit import Fit


def fit_curves(fit: Fit) -> Figure:
    """Loss, on what heads learn from, and accuracy, on what is held out, of each head by epoch.

    >>> from classykit.learning.fit import Fit, HeadFit
    >>> fit = Fit("net", {"a": HeadFit("block0-0", [2.0, 1.0], [0.3, 0.6])}, 2, 0.01, 32, 0, 0.2, False)
    >>> [axes.get_ylabel() for axes in fit_curves(fit).axes]
    ['loss', 'accuracy on what is held out']
    """
    from matplotlib.ticker import MaxNLocator

    figure = figure_of(7.6, 3.2, f"Heads of {fit.name}, {fit.learnt_from} pictures, {fit.held_out} held out")
    losses, accuracy = figure.subplots(1, 2)
    drawn = []
    for name, head in fit.heads.items():
        lines = [
            axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, linewidth=1.2)[0]
            for axes, values in ((losses, head.losses), (accuracy, head.accuracy))
        ]
        drawn.append((lines[0], f"{name} on {head.block}"))
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    accuracy.set(xlabel="epoch", ylabel="accuracy" + (" on what is held out" if fit.test else ""), ylim=(0, 1.02))
    for axes in (losses, accuracy):
        plain(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    put_legend(figure, drawn, loc="outside lower center", ncols=3)
    return figure
