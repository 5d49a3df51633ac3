"""The design lab's spaces: their ranges as sliders of two thumbs, and where these may go."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from classykit import formats
from classykit.errors import ConfigError, quoted, suggest
from classykit.learning.space import Space
from classykit.python_code import literal

FAMILIES = {"regnet": "RegNet", "anynet": "AnyNet"}
#: for pictures of 32 pixels, so small that a net learns in seconds
_SMALL: dict[str, Any] = {"use_se": False, "stem_type": "res_stem_cifar", "stem_width": 16}
_RANGES: dict[str, dict[str, Any]] = {
    "regnet": {"depth": (4, 11), "w_0": (8, 32), "w_a": (4.0, 24.0), "w_m": (1.6, 2.9), "group_width": [4, 8, 16]},
    "anynet": {"stages": 3, "depths": (1, 5), "widths": (8, 128), "bottleneck_multipliers": [0.5, 1.0],
               "group_widths": [4, 8, 16]},
}  # fmt: skip
_MULTIPLES = {"w_0": 8, "widths": 8}
_LABELS = {"bottleneck_multipliers": "bottleneck", "bottleneck_multiplier": "bottleneck"}
_LEAST = {"w_m": 1.1}
_STOPS = 60  # of a slider, about
_LINE = 100  # characters of code


def spaces_of(given: Any) -> list[Space]:
    """One or two spaces: names, Spaces, or None for RegNet against AnyNet.

    >>> [space.family for space in spaces_of(None)], spaces_of("regnet")[0].ranges["depth"]
    (['regnet', 'anynet'], (4, 11))
    """
    if given is None:
        given = ("regnet", "anynet")
    listed = [given] if isinstance(given, (str, Space)) else list(given) if isinstance(given, Sequence) else [given]
    if not 1 <= len(listed) <= 2:
        raise ConfigError(f"The design lab holds one space or two, not {len(listed)}.")
    return [_space(one) for one in listed]


def _space(one: Any) -> Space:
    if isinstance(one, Space) and one.family in FAMILIES:
        return one
    if isinstance(one, str) and one in FAMILIES:
        return Space(one, **_SMALL, **_RANGES[one])
    found = quoted(one.family if isinstance(one, Space) else one)
    raise ConfigError(
        f"The design lab takes {' and '.join(FAMILIES)}, as names or as classykit.Space, not {found}."
        f"{suggest(one, FAMILIES) if isinstance(one, str) else ''} Others: classykit.sample and classykit.sweep."
    )


def names_of(spaces: Sequence[Space]) -> list[str]:
    """What they are called on the screen: two of one family are told apart."""
    names = [FAMILIES[space.family] for space in spaces]
    return [f"{name} {'AB'[i]}" for i, name in enumerate(names)] if len(set(names)) < len(names) else names


def title(spaces: Sequence[Space]) -> str:
    """What a lab over them is called; with spaces of a person's own that is said.

    >>> title(spaces_of(None)), title([Space("regnet", depth=(2, 4), w_0=8, w_a=8.0, w_m=2.0, group_width=8)])
    ('RegNet against AnyNet', 'RegNet, yours')
    """
    own = any(repr(space) != repr(_space(space.family)) for space in spaces)
    return " against ".join(names_of(spaces)) + ", yours" * own


def offered() -> dict[str, list[Space]]:
    """The spaces that a lab can be opened over, by its title."""
    found = [spaces_of(None), *([_space(name)] for name in FAMILIES)]
    return {title(spaces): spaces for spaces in found}


def source(space: Space) -> str:
    """The space as Python."""
    parts = [literal(space.family)]
    of = {**space.ranges, **space.fixed}
    of |= {key: value for key, value in (("shared", space.shared), ("increasing", space.increasing)) if value}
    for key, value in of.items():
        is_range = isinstance(value, tuple) and key in space.ranges  # a list would be drawn from
        parts.append(f"{key}={repr(value) if is_range else literal(value)}")
    line = f"ck.Space({', '.join(parts)})"
    if len(line) <= _LINE:
        return line
    args = textwrap.wrap(", ".join(parts), _LINE, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(["ck.Space(", *args, ")"])


def sliders(space: Space, first: Space) -> list[dict[str, Any]]:
    """Its ranges as sliders over ``stops``, of which those at ``at`` are the ends; ``first`` says how far they go."""
    found = []
    for key, start in first.ranges.items():
        stops = stops_of(key, start)
        if len(stops) < 2:
            continue  # one value is no range
        now = space.ranges[key]
        ends = (min(now), max(now)) if isinstance(now, (tuple, list)) else (now, now)
        at = [min(range(len(stops)), key=lambda i: abs(stops[i] - end)) for end in ends]
        found.append({"key": key, "label": _LABELS.get(key, key), "stops": stops, "at": at, "text": _text(ends)})
    return found


def stops_of(key: str, start: Any) -> list[Any]:
    """The values that an end of a range may have: those of a list, or from half the lowest to twice the highest."""
    if isinstance(start, list):
        numbers = [value for value in start if isinstance(value, (int, float)) and not isinstance(value, bool)]
        return sorted(numbers) if len(numbers) == len(start) else []
    if not isinstance(start, tuple):
        return []
    low, high = start
    if isinstance(low, int) and isinstance(high, int):
        step = _MULTIPLES.get(key, 1)
        step *= max(1, math.ceil(2 * high / step / _STOPS))
        inner = range(max(step if low > 0 else low, low // 2 // step * step), 2 * high + 1, step)
        return sorted({*inner, low, high})
    lowest, highest = max(low / 2, _LEAST.get(key, 0.0)), high * 1.5
    return sorted({*(float(f"{lowest + (highest - lowest) * i / _STOPS:.3g}") for i in range(_STOPS + 1)), low, high})


def with_range(space: Space, key: str, low: Any, high: Any) -> Space:
    """The same space with another range of a key."""
    now = space.ranges.get(key)
    value: Any = (min(low, high), max(low, high))
    if not isinstance(now, tuple):
        raise ConfigError(f"{key} is no range of numbers here.")
    return _with(space, key, value)


def with_list(space: Space, key: str, values: list[Any]) -> Space:
    """The same space with other values of a key to draw from."""
    return _with(space, key, values)


def _with(space: Space, key: str, value: Any) -> Space:
    of = {**space.ranges, key: value, **space.fixed}
    return Space(space.family, shared=space.shared, increasing=space.increasing, **of)


def budget_stops(around: tuple[float, float]) -> list[float]:
    """Round numbers of MACs from an eighth of a budget to eight times as many, evenly on a logarithm.

    >>> budget_stops((2e6, 6e6))[:3]
    [250000.0, 270000.0, 290000.0]
    """
    low, high = around[0] / 8, around[1] * 8
    steps = (float(f"{low * (high / low) ** (i / 80):.2g}") for i in range(81))
    return sorted({*steps, *around})


def _text(ends: tuple[Any, Any]) -> str:
    low, high = (f"{end:g}" for end in ends)
    return low if low == high else f"{low} – {high}"


def budget_text(budget: tuple[float, float]) -> str:
    """ "2 – 6 M" where the unit is the same."""
    (low, a), (high, b) = (formats.count(n, 2).partition(" ")[::2] for n in budget)
    low, high = (text.removesuffix(".0") for text in (low, high))
    return f"{low} – {high} {b}" if a == b else f"{low} {a} – {high} {b}"
