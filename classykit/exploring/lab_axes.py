"""What the design lab's scatter shows: a measure across, one up, and what its colours stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from classykit import formats
from classykit.errors import ConfigError, quoted
from classykit.exploring.lab_net import Net

ERROR, SPACE, MACS = "error", "space", "MACs"
CHOICES = {
    "across": (MACS, "parameters", "depth", "width"),
    "up": (ERROR, MACS, "parameters"),
    "colour": (SPACE, "depth", "width", "parameters"),
}
_WORDS = {"depth": "blocks", "width": "channels of the last block"}


@dataclass(frozen=True)
class Axes:
    """Of `CHOICES`, what each is."""

    across: str = MACS
    up: str = ERROR
    colour: str = SPACE

    def with_(self, **what: Any) -> Axes:
        """The same with others. Raises ConfigError for what cannot be shown there."""
        for name, value in what.items():
            if name not in CHOICES:
                raise ConfigError(f"The scatter has {', '.join(CHOICES)}, but no {quoted(name)}.")
            if value not in CHOICES[name]:
                raise ConfigError(f"{name} can be {', '.join(CHOICES[name])}, not {quoted(value)}.")
        return replace(self, **what)


def figure(net: Net, measure: str) -> float:
    """A measure of a network that needs no training."""
    return float({MACS: net.macs, "parameters": net.params, "depth": net.depth, "width": net.width}[measure])


def axis(measure: str, budget: Sequence[float]) -> dict[str, Any]:
    """How an axis is labelled: in units of ``unit``, with the budget as ``band`` where that is what it shows."""
    unit, words = {MACS: (1e6, "MACs, millions"), "parameters": (1e3, "parameters, thousands")}.get(
        measure, (1.0, _WORDS.get(measure, measure))
    )
    return {"label": words, "unit": unit, "percent": measure == ERROR, "band": list(budget) if measure == MACS else []}


def shades(nets: Sequence[Net], axes: Axes) -> tuple[list[float | None], str]:
    """([where each is between the least and the most, 0 to 1], in words); None each where colours tell spaces apart."""
    if axes.colour == SPACE:
        return [None] * len(nets), ""
    found = [figure(net, axes.colour) for net in nets]
    low, high = min(found), max(found)
    words = f"pale: {formats.count(low, 2)}, dark: {formats.count(high, 2)} {_WORDS.get(axes.colour, axes.colour)}"
    return [(one - low) / ((high - low) or 1) for one in found], words
