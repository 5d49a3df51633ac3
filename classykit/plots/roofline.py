"""The roofline: how fast each block is, against how much it computes for each byte that it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classykit import formats
from classykit.errors import ConfigError
from classykit.plots.style import ACCENT, BLUE, INK, figure_of, in_units, plain, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from classykit.measuring.profile_report import Profile

_LABELS = 8  # blocks with a name: those that take most of the time


def roofline(profile: Profile) -> Figure:
    """FLOPs a second against FLOPs a byte, both measured or counted block by block, below the roofs of the device.

    Blue: bound by memory, orange: by compute. The larger a dot, the more of the time goes to it.

    >>> import classykit
    >>> net = classykit.build_model("resnet18", small_input=True)
    >>> p = classykit.profile_blocks(net, device="cpu", seconds=0.01, progress=False)
    >>> roofline(p).axes[0].get_xlabel()
    'FLOPs a byte, counted'
    """
    from classykit.measuring.profile_table import title

    points = []  # (rows that are alike, FLOPs a byte, FLOPs a second)
    for run in profile.runs():
        flops, traffic = 2 * sum(row.macs or 0 for row in run), sum(row.traffic or 0 for row in run)
        if flops and traffic:
            points.append((run, flops / traffic, 1000 * flops / sum(row.time_ms for row in run)))
    if not points:
        raise ConfigError(f"{profile.name} has no block whose MACs are known: there is nothing to put below a roof.")
    roofs = profile.roofs()
    figure = figure_of(7.2, 4.6, title(profile))
    axes = figure.subplots()
    low = min(min(p[1] for p in points), roofs.ridge) / 2
    high = max(max(p[1] for p in points), roofs.ridge) * 2
    axes.plot([low, roofs.ridge, high], [roofs.at(low), roofs.flops_per_s, roofs.flops_per_s], color=INK, linewidth=1.2)
    for words, colour in (("memory", BLUE), ("compute", ACCENT)):
        mine = [p for p in points if (p[1] < roofs.ridge) == (words == "memory")]
        sizes = [20 + 380 * profile.time_share(*run) for run, _, _ in mine]
        axes.scatter([p[1] for p in mine], [p[2] for p in mine], sizes, color=colour, alpha=0.75, linewidths=0,
                     label=f"bound by {words}: {sum(len(p[0]) for p in mine)} blocks")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="FLOPs a byte, counted", ylabel="FLOP/s, measured")
    in_units(axes.xaxis)
    in_units(axes.yaxis)
    plain(axes)
    said = f"{formats.count(roofs.flops_per_s)}FLOP/s (matrix product), {formats.size(roofs.bytes_per_s)}/s (copy)"
    axes.set_title(f"roofs of {profile.place.device}, measured: {said}", fontsize=8, color=INK, loc="left")
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")
    first = sorted(points, key=lambda p: -profile.time_share(*p[0]))[:_LABELS]
    for run, x, y in first:
        axes.annotate(
            shortened(run[0].name, 18), (x, y), (5, 4), textcoords="offset points", fontsize=7, color=INK,
            parse_math=False,
        )  # fmt: skip
    return figure
