"""What a model costs, block by block: bars of parameters, MACs and activations side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classykit import formats
from classykit.errors import ConfigError, quoted, suggest
from classykit.inspecting.block_info import REST, UNUSED
from classykit.inspecting.report_table import fold_blocks, names_of_run
from classykit.plots.style import BLUE, INK, UNITS, figure_of, heading, in_units, place, plain, runs, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from classykit.inspecting.block_info import BlockInfo
    from classykit.inspecting.report import Inspection

_READABLE = 42  # bars with a name each; of more, names are thinned out


@dataclass(frozen=True)
class _Bar:
    """One bar: blocks that it is for, a part each, what it is called, and the stage that it belongs to."""

    name: str
    blocks: list[BlockInfo]
    stage: str


def cost_bars(
    inspection: Inspection,
    what: Sequence[str] = ("params", "macs", "activations"),
    *,
    by: str = "block",
    title: str | None = None,
) -> Figure:
    """Draw what each block costs, in forward order from the top, one column of bars a figure.

    Args:
        inspection: as `classykit.inspect` gives it.
        what: any of "params", "macs", "flops", "activations" (elements) and "activation_bytes".
        by: "block": blocks that follow each other and are equal share a bar, which is parted; of more bars than
            can be named, names are thinned out and the sums of the stages written in. "stage": a bar for all
            blocks of a resolution, a part a block.
        title: the line above; default: the model and its input.

    Returns a matplotlib Figure that belongs to no pyplot window.

    >>> import classykit
    >>> figure = cost_bars(classykit.inspect("resnet50"), what=["params", "macs"])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['parameters: 23.5 M', 'MACs: 4.09 G']
    """
    what = [what] if isinstance(what, str) else list(what)
    for key in what or [None]:
        if key not in UNITS:
            raise ConfigError(f"what is some of {', '.join(UNITS)}, not {quoted(key)}.{suggest(key, UNITS)}")
    if by not in ("block", "stage"):
        raise ConfigError(f"by is 'block' or 'stage', not {quoted(by)}.")
    if not inspection.blocks:
        raise ConfigError(f"{inspection.name} has no block to draw: {inspection.error or 'the inspection is empty.'}")
    bars = _folded(inspection.blocks) if by == "block" else _by_stage(inspection.blocks)
    pitch = 0.2 if len(bars) <= _READABLE else max(7.0 / len(bars), 0.012)  # inches from one bar to the next
    title = heading(inspection, "Cost") if title is None else title
    figure = figure_of(2.2 + 2.3 * len(what), 0.85 + max(pitch * len(bars), 0.3), title)
    columns = figure.subplots(1, len(what), sharey=True, squeeze=False)[0]
    for axes, key in zip(columns, what, strict=True):
        _draw(axes, bars, key, pitch, inspection)
    columns[0].set_ylim(len(bars) - 0.4, -0.6)
    step = max(1, round(0.14 / pitch))  # thinned out where they would touch
    shown = range(0, len(bars), step)
    columns[0].set_yticks(list(shown), [bars[i].name for i in shown], fontsize=7.5, parse_math=False)
    if by == "block":
        _name_stages(columns[-1], bars, pitch)
    return figure


def _folded(blocks: Sequence[BlockInfo]) -> list[_Bar]:
    """A bar for each run of equal blocks."""
    return [
        _Bar(shortened(names_of_run(run[0].name, run[-1].name, len(run)), 34), run, _stage(run[0]))
        for run in fold_blocks(blocks)
    ]


def _by_stage(blocks: Sequence[BlockInfo]) -> list[_Bar]:
    found = []
    for stage, start, end in runs([_stage(b) for b in blocks]):
        run = list(blocks[start:end])
        found.append(_Bar(f"{stage}, {len(run)} blocks" if len(run) > 1 else f"{stage}, {shortened(run[0].name, 18)}",
                          run, stage))  # fmt: skip
    return found


def _stage(block: BlockInfo) -> str:
    return "head" if block.is_head else "outside" if block.name in (REST, UNUSED) else place(block)


def _draw(axes: Axes, bars: list[_Bar], key: str, pitch: float, inspection: Inspection) -> None:
    """The bars of one figure, with its sum above and its unit below."""
    plain(axes)
    word, unit = UNITS[key]
    write = formats.size if key == "activation_bytes" else formats.count
    parts = [[_figure(b, key) for b in bar.blocks] for bar in bars]
    most = max(max(map(sum, parts)), 1)
    gap = 0.007 * most
    y, left, width = [], [], []
    for i, of_bar in enumerate(parts):
        start = 0.0
        parted = len(of_bar) > 1 and min(of_bar) > 3 * gap
        for n in of_bar if parted else [sum(of_bar)]:
            y.append(i)
            left.append(start)
            width.append(n - gap if parted else n)
            start += n
    axes.barh(y, width, left=left, height=0.72 if pitch > 0.05 else 1.0, color=BLUE, linewidth=0, snap=False)
    if pitch >= 0.14:
        for i, of_bar in enumerate(parts):
            axes.text(sum(of_bar) + 0.02 * most, i, write(sum(of_bar)), fontsize=7, color=INK, va="center")
    else:
        for _, start, end in runs([bar.stage for bar in bars]):
            if (end - start) * pitch >= 0.3:
                sums = [sum(n) for n in parts[start:end]]
                middle = (start + end - 1) / 2
                words = f"Σ {write(sum(sums))}"
                axes.text(max(sums) + 0.03 * most, middle, words, fontsize=7.5, color=INK, va="center")
    for _, start, _ in runs([bar.stage for bar in bars])[1:]:
        axes.axhline(start - 0.5, color=INK, alpha=0.35, linewidth=0.6)
    axes.set_xlim(0, 1.28 * most)
    axes.xaxis.set_major_locator(_few())
    in_units(axes.xaxis, key)
    axes.set_xlabel(unit if inspection.batch_size == 1 or key == "params" else f"{unit}, whole batch")
    axes.set_title(f"{word}: {write(sum(map(sum, parts)))}", loc="left", fontsize=9, color=INK)


def _few():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _figure(block: BlockInfo, key: str) -> int:
    return 2 * block.macs if key == "flops" else getattr(block, key)


def _name_stages(axes: Axes, bars: list[_Bar], pitch: float) -> None:
    """The resolutions, at the right of the bars that have them."""
    for stage, start, end in runs([bar.stage for bar in bars]):
        if (end - start) * pitch >= 0.13:
            axes.annotate(stage, (1.02, (start + end - 1) / 2), xycoords=("axes fraction", "data"), fontsize=7.5,
                          color=INK, va="center", annotation_clip=False)  # fmt: skip
