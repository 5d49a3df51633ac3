"""Design spaces: families with ranges for their keys, from which valid networks within a budget are drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from classykit.configs import read_config
from classykit.errors import ConfigError, quoted, suggest
from classykit.models.factory import MODELS

Draw = Callable[["Space", np.random.Generator], dict[str, Any]]

_TRIES = 1000  # draws for one valid config
_MULTIPLE = 8  # of widths
SHARED = ("bottleneck_multipliers", "group_widths")
INCREASING = ("widths", "depths")


class Space:
    """Networks of one family, whose keys lie in ranges.

    Args:
        family: "anynet", "regnet", "efficientnet", "resnet" or "vision_transformer".
        **ranges: for any of the family's ranges (see `Space.ranges`) another one: ``(low, high)``, drawn evenly over
            its logarithm where both are positive whole numbers, else evenly; a list, of which one is drawn; or a value.
            What is said of stages holds for each of them. Further keys of the family's config are values, such as
            ``use_se=False``.
        shared: keys of an anynet that all stages have in common, of "bottleneck_multipliers" and "group_widths".
        increasing: keys of an anynet that never fall from stage to stage, of "widths" and "depths".

    Attributes:
        family, ranges, fixed, shared, increasing: as they are in use.

    Raises ConfigError for an unknown family or key, or a range that is none.

    >>> space = Space("regnet", depth=(12, 20), w_m=2.5)
    >>> config = space.draw(np.random.default_rng(0))
    >>> config["name"], 12 <= config["depth"] <= 20, config["w_m"]
    ('regnet', True, 2.5)
    """

    def __init__(self, family: str, *, shared: Iterable[str] = (), increasing: Iterable[str] = (), **ranges: Any):
        if not isinstance(family, str) or family not in _FAMILIES:
            raise ConfigError(
                f"There is no design space of {quoted(family)}.{suggest(family, _FAMILIES)} There are those of "
                f"{', '.join(_FAMILIES)}."
            )
        self.family = family
        self.name, defaults, self._draw = _FAMILIES[family]
        entry = MODELS[self.name]
        assert entry.cls.Config is not None
        self._kind, self._defaults = entry.cls.Config, entry.defaults
        keys = self._kind.model_fields
        for key in ranges:
            if key not in defaults and key not in keys:
                raise ConfigError(
                    f"A space of {family} has no {quoted(key)}.{suggest(key, [*defaults, *keys])} It has ranges for "
                    f"{', '.join(defaults)}; other keys of {self.name} are values."
                )
        self.ranges = {key: _checked(key, ranges.get(key, default)) for key, default in defaults.items()}
        self.fixed = {key: value for key, value in ranges.items() if key not in defaults}
        self.shared = _some_of("shared", shared, SHARED, family)
        self.increasing = _some_of("increasing", increasing, INCREASING, family)

    def __repr__(self) -> str:
        parts = [repr(self.family), *(f"{key}={value!r}" for key, value in {**self.ranges, **self.fixed}.items())]
        parts += [
            f"{key}={value!r}" for key, value in (("shared", self.shared), ("increasing", self.increasing)) if value
        ]
        return f"Space({', '.join(parts)})"

    def draw(self, random: np.random.Generator) -> dict[str, Any]:
        """One valid config, as `classykit.build_model` takes it.

        Raises ConfigError where these ranges give none.
        """
        return self.draw_and_read(random)[0]

    def draw_and_read(
        self, random: np.random.Generator, refused: Counter[str] | None = None
    ) -> tuple[dict[str, Any], Any]:
        """One valid config, and the same as the family's checked config; draws that are none are counted."""
        error: ConfigError | None = None
        for _ in range(_TRIES):
            config = {**self._draw(self, random), **self.fixed}
            try:
                return {"name": self.name, **config}, read_config(self._kind, {**self._defaults, **config}, self.name)
            except ConfigError as problem:
                error = problem
                if refused is not None:
                    refused["no network"] += 1
        raise ConfigError(f"None of {_TRIES:,} draws from {self!r} is a network that can be built. The last: {error}")

    def value(self, key: str, random: np.random.Generator, multiple: int = 1) -> Any:
        """One value of a range; whole numbers are multiples of ``multiple``."""
        of = self.ranges[key]
        if isinstance(of, list):
            return of[int(random.integers(len(of)))]
        if not isinstance(of, tuple):
            return of
        low, high = of
        if isinstance(low, int) and isinstance(high, int):
            if low > 0:
                number = math.exp(random.uniform(math.log(low - 0.49), math.log(high + 0.49)))
            else:
                number = random.uniform(low - 0.49, high + 0.49)
            return min(max(round(number / multiple) * multiple, -(-low // multiple) * multiple), high)
        return float(random.uniform(low, high))


def regnet_steps(**ranges: Any) -> dict[str, Space]:
    """The way from the free space to the designed one (Radosavovic et al., 2020, section 3): five spaces of anynets.

    "AnyNetXA": four stages, each with a depth, width, bottleneck and group width of its own. "AnyNetXB": one bottleneck
    for all; "AnyNetXC": one group width, too; "AnyNetXD": widths that do not fall; "AnyNetXE": nor depths. At last
    "RegNetX", whose widths follow a line, rounded to steps.

    Args:
        **ranges: of the anynets, as `Space` takes them.

    >>> list(regnet_steps())
    ['AnyNetXA', 'AnyNetXB', 'AnyNetXC', 'AnyNetXD', 'AnyNetXE', 'RegNetX']
    """
    plain = {"use_se": False, **ranges}
    bottleneck, both = SHARED[:1], SHARED
    return {
        "AnyNetXA": Space("anynet", **plain),
        "AnyNetXB": Space("anynet", shared=bottleneck, **plain),
        "AnyNetXC": Space("anynet", shared=both, **plain),
        "AnyNetXD": Space("anynet", shared=both, increasing=INCREASING[:1], **plain),
        "AnyNetXE": Space("anynet", shared=both, increasing=INCREASING, **plain),
        "RegNetX": Space("regnet", use_se=False),
    }


# ---- families ----


def _anynet(space: Space, random: np.random.Generator) -> dict[str, Any]:
    """Widths are made to fit the groups, as the paper's code does: else three draws out of four cannot be built."""
    stages = space.value("stages", random)
    drawn: dict[str, list[Any]] = {}
    for key in ("depths", "widths", "bottleneck_multipliers", "group_widths"):
        multiple = _MULTIPLE if key == "widths" else 1
        count = 1 if key in space.shared else stages
        values = [space.value(key, random, multiple) for _ in range(count)]
        drawn[key] = values * stages if key in space.shared else sorted(values) if key in space.increasing else values
    for s in range(stages):
        width, share = drawn["widths"][s], drawn["bottleneck_multipliers"][s]
        inner = max(1, round(width * share))
        group = min(drawn["group_widths"][s], inner)
        inner = max(group, round(inner / group) * group)
        drawn["widths"][s], drawn["group_widths"][s] = round(inner / share), group
    if "widths" in space.increasing and drawn["widths"] != sorted(drawn["widths"]):
        return _anynet(space, random)  # fitting the groups has turned two stages round
    return {**drawn, "strides": [2] * stages}


def _regnet(space: Space, random: np.random.Generator) -> dict[str, Any]:
    return {
        "depth": space.value("depth", random), "w_0": space.value("w_0", random, _MULTIPLE),
        "w_a": round(float(space.value("w_a", random)), 2), "w_m": round(float(space.value("w_m", random)), 3),
        "group_width": space.value("group_width", random),
        "bottleneck_multiplier": float(space.value("bottleneck_multiplier", random)),
    }  # fmt: skip


def _efficientnet(space: Space, random: np.random.Generator) -> dict[str, Any]:
    return {
        "width_coefficient": round(float(space.value("width_coefficient", random)), 2),
        "depth_coefficient": round(float(space.value("depth_coefficient", random)), 2),
        "resolution": space.value("resolution", random, 32),
    }


def _resnet(space: Space, random: np.random.Generator) -> dict[str, Any]:
    stages = space.value("stages", random)
    basic = space.value("basic_layer", random)
    groups = None if basic else space.value("base_width_and_cardinality", random)
    return {
        "num_blocks": [space.value("num_blocks", random) for _ in range(stages)],
        "init_planes": space.value("init_planes", random, _MULTIPLE), "basic_layer": basic,
        "base_width_and_cardinality": groups,
    }  # fmt: skip


def _vision_transformer(space: Space, random: np.random.Generator) -> dict[str, Any]:
    heads, size = space.value("num_heads", random), space.value("head_dim", random)
    return {
        "image_size": space.value("image_size", random), "patch_size": space.value("patch_size", random),
        "num_layers": space.value("num_layers", random), "num_heads": heads, "hidden_dim": heads * size,
        "mlp_dim": round(heads * size * space.value("mlp_ratio", random)),
    }  # fmt: skip


#: {family: (the model that is built, its ranges, how one is drawn)}; ranges of the papers, where they have some
_FAMILIES: dict[str, tuple[str, dict[str, Any], Draw]] = {
    "anynet": (
        "anynet",
        {"stages": 4, "depths": (1, 16), "widths": (8, 1024), "bottleneck_multipliers": [1.0, 0.5, 0.25],
         "group_widths": [1, 2, 4, 8, 16, 32]},
        _anynet,
    ),
    "regnet": (
        "regnet",
        {"depth": (12, 28), "w_0": (8, 256), "w_a": (8.0, 256.0), "w_m": (1.5, 3.0),
         "group_width": [8, 16, 24, 32, 40, 48, 56, 64], "bottleneck_multiplier": [1.0]},
        _regnet,
    ),
    "efficientnet": (
        "efficientnet_b0",
        {"width_coefficient": (0.5, 2.0), "depth_coefficient": (0.5, 3.0), "resolution": (128, 512)},
        _efficientnet,
    ),
    "resnet": (
        "resnext",
        {"stages": 4, "num_blocks": (1, 16), "init_planes": (16, 128), "basic_layer": [True, False],
         "base_width_and_cardinality": [None, [4, 32], [8, 16]]},
        _resnet,
    ),
    "vision_transformer": (
        "vision_transformer",
        {"image_size": 224, "patch_size": [16, 32], "num_layers": (4, 24), "num_heads": (2, 16),
         "head_dim": [32, 64], "mlp_ratio": [2, 3, 4]},
        _vision_transformer,
    ),
}  # fmt: skip


def _checked(key: str, of: Any) -> Any:
    if isinstance(of, list):
        if not of:
            raise ConfigError(f"{key} is an empty list: there is nothing to draw from.")
        return list(of)
    if isinstance(of, tuple):
        numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in of)
        if len(of) != 2 or not numbers or of[0] > of[1]:
            raise ConfigError(f"{key} = {quoted(of)} is no range: give (low, high), a list to draw from, or a value.")
    return of


def _some_of(what: str, keys: Any, known: tuple[str, ...], family: str) -> tuple[str, ...]:
    keys = (keys,) if isinstance(keys, str) else tuple(keys)
    if any(key not in known for key in keys):
        raise ConfigError(f"{what} holds some of {', '.join(map(repr, known))}, not {quoted(keys)}.")
    if keys and family != "anynet":
        raise ConfigError(f"{what} is of anynets, whose stages have keys of their own; {family} has none.")
    return keys
