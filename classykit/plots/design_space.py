"""Design spaces as pictures: how good their networks are, and the line that a RegNet's widths follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from classykit.configs import read_config
from classykit.errors import ConfigError, quoted
from classykit.models.factory import MODELS
from classykit.models.regnet import RegNetConfig
from classykit.plots.style import ACCENT, BLUE, INK, bands, figure_of, plain, put_legend, runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (BLUE, ACCENT, "#5f9e5f", "#9b6fc0", "#b98a2f", "#4aa8a0")


def edf(errors: Mapping[str, Iterable[float]], what: str = "error") -> Figure:
    """Empirical distribution functions: the share of each space's networks whose error is below e, for every e.

    A space whose curve lies higher is better, whichever network is picked (Radosavovic et al., "On network design
    spaces for visual recognition", ICCV 2019). Budgets have to be matched before anything is concluded.

    Args:
        errors: {name of a space: the error of each of its networks}; NaN for one that failed, which is left out.
        what: what is on the axis.

    >>> edf({"a": [0.2, 0.3, 0.5], "b": [0.4, 0.6]}).axes[0].get_ylabel()
    'share of networks'
    """
    if not isinstance(errors, Mapping) or not errors:
        raise ConfigError(f"errors is {{name of a space: errors of its networks}}, not {quoted(errors)}.")
    figure = figure_of(5.4, 3.6, "")
    axes = figure.subplots()
    drawn = []
    for i, (name, values) in enumerate(errors.items()):
        numbers: np.ndarray = np.sort(np.asarray(list(values), np.float64))
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            raise ConfigError(f"{quoted(name)} has no errors: there is nothing to draw.")
        steps = axes.step(numbers, np.arange(1, len(numbers) + 1) / len(numbers), where="post", linewidth=1.4,
                          color=_COLOURS[i % len(_COLOURS)])  # fmt: skip
        drawn.append((steps[0], f"{name}: {len(numbers)} networks, the middle one {np.median(numbers):.3g}"))
    axes.set(xlabel=what, ylabel="share of networks", ylim=(0, 1.02))
    plain(axes)
    put_legend(axes, drawn, loc="lower right")
    return figure


def quantised_widths(config: str | Mapping[str, Any]) -> Figure:
    """A RegNet's widths block by block: the line that they follow, and the steps to which it is rounded.

    Args:
        config: the name or config of a RegNet.

    >>> quantised_widths("regnet_y_3.2gf").axes[0].get_ylabel()
    'width, channels'
    """
    from matplotlib.ticker import MaxNLocator

    given = {"name": config} if isinstance(config, str) else dict(config)
    entry = MODELS[given.pop("name", "regnet")]
    if entry.cls.Config is not RegNetConfig:
        raise ConfigError(f"Only a RegNet's widths follow a line, and {quoted(config)} is none.")
    given.pop("heads", None)
    read = read_config(RegNetConfig, {**entry.defaults, **given}, "regnet")
    widths = [stage.width for stage in read.stages for _ in range(stage.depth)]
    blocks = np.arange(read.depth)
    name = config if isinstance(config, str) else config.get("name", "regnet")
    figure = figure_of(6.2, 3.6, f"{name}: w = {read.w_0} + {read.w_a:g} · block, in steps of × {read.w_m:g}")
    axes = figure.subplots()
    axes.plot(blocks + 0.5, read.w_0 + read.w_a * blocks, color=INK, linewidth=1.2, linestyle="--", label="the line")
    axes.step([*blocks, read.depth], [*widths, widths[-1]], where="post", color=BLUE, linewidth=1.6, label="the widths")
    bands(axes, ((key, start + 0.5, end + 0.5) for key, start, end in runs(widths)))
    for width, start, end in runs(widths):
        axes.annotate(f"{end - start} × {width}", ((start + end) / 2, width), (0, -11), textcoords="offset points",
                      ha="center", fontsize=8, color=INK)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(
        xlabel="block", ylabel="width, channels", xlim=(0, read.depth), ylim=(-0.08 * max(widths), 1.15 * max(widths))
    )
    plain(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")
    return figure
