"""One network of the design lab: what it is, its numbers as sliders, and the line that its widths follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from classykit.configs import read_config
from classykit.errors import ConfigError, quoted
from classykit.models.cost_formulas import cost_of
from classykit.models.description import schema_of
from classykit.models.factory import MODELS
from classykit.models.regnet import DIVISOR, RegNetConfig
from classykit.python_code import literal

_FREE = {"depths": "depth", "widths": "width"}  # lists with an entry a stage: what one of them is called
_STEPS: dict[str, tuple[float, float, float]] = {  # (lowest, highest, step) of what is turned
    "depth": (1, 32, 1), "w_0": (DIVISOR, 256, DIVISOR), "w_a": (0.0, 128.0, 0.1), "w_m": (1.05, 4.0, 0.01),
    "group_width": (1, 64, 1), "depths": (1, 16, 1), "widths": (DIVISOR, 512, DIVISOR),
}  # fmt: skip
_TRIED = 64  # steps on each side, in the search for a value that works


@dataclass(frozen=True)
class Task:
    """What a net is taught: digits of ``size`` pixels, so many epochs, by a seed."""

    size: int = 16
    epochs: int = 2
    seed: int = 0


@dataclass
class Net:
    """A network that was drawn, or made by hand.

    Attributes:
        config: as `classykit.build_model` takes it.
        space: which of the lab's spaces it is of, 0 or 1.
        macs, params: of its trunk and one picture of its own size.
        own: whether it was made by hand: then it is no random point of its space, and is in no statistics.
        errors: {Task: share of the test digits that it gets wrong}.
        failed: why it could not be trained; "" where it could.
    """

    config: dict[str, Any]
    space: int
    macs: int
    params: int
    own: bool = False
    errors: dict[Task, float] = field(default_factory=dict)
    failed: str = ""
    seconds: float = 0.0

    @cached_property
    def depth(self) -> int:
        """Blocks in all."""
        return len(widths(self.config)["blocks"])

    @cached_property
    def width(self) -> int:
        """Channels of the last block."""
        return int(widths(self.config)["blocks"][-1])


def read(config: Mapping[str, Any]) -> Any:
    """The family's checked config. Raises ConfigError where no such network can be built."""
    entry = MODELS[config["name"]]
    rest = {key: value for key, value in config.items() if key not in ("name", "heads")}
    kind: Any = entry.cls.Config
    return read_config(kind, {**entry.defaults, **rest}, config["name"])


def cost(config: Mapping[str, Any]) -> tuple[int, int]:
    """(MACs, parameters), by formula."""
    found = cost_of(MODELS[config["name"]].cls, read(config))
    assert found is not None
    return found.macs, found.params


def side(config: Mapping[str, Any]) -> int:
    """The side of the pictures that MACs are counted for, in pixels: the network's own."""
    return 32 if read(config).stem_type == "res_stem_cifar" else 224


def widths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Channels of each block; of a RegNet the line that they are rounded from.

    >>> widths({"name": "regnet", "depth": 4, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 4, "use_se": False})
    {'blocks': [8, 16, 32, 32], 'line': {'first': 8, 'slope': 8.0}}
    """
    cfg = read(config)
    line = {"first": cfg.w_0, "slope": cfg.w_a} if isinstance(cfg, RegNetConfig) else None
    return {"blocks": [stage.width for stage in cfg.stages for _ in range(stage.depth)], "line": line}


def turned(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The config with another value of a key, or of "width 2", that of a stage; ConfigError where that is none."""
    name, at = _place(config, key)
    of = config.get(name)
    example = of[at] if at is not None and isinstance(of, list) else of
    number = _number(key, value, float if isinstance(example, float) else int)
    fresh = {**config, name: number if at is None else [*config[name][:at], number, *config[name][at + 1 :]]}
    try:
        read(fresh)
    except ConfigError as error:
        refusal = ConfigError(str(error))
        refusal.nearest = _nearest(config, key, number)  # type: ignore[attr-defined]
        raise refusal from None
    return fresh


def _place(config: Mapping[str, Any], key: str) -> tuple[str, int | None]:
    word, _, stage = key.partition(" ")
    name = next((name for name, of in _FREE.items() if of == word and stage), key)
    at = int(stage) - 1 if stage.isdecimal() else None
    if name not in _STEPS or name not in config or (at is not None and not 0 <= at < len(config[name])):
        raise ConfigError(f"A {config['name']} has no {quoted(key)} to turn here.")
    return name, at


def _number(key: str, value: Any, kind: type) -> Any:
    try:
        number = float(str(value).strip())
        if kind is int and not number.is_integer():
            raise ValueError
        return kind(number)
    except (ValueError, OverflowError):
        raise ConfigError(f"{key} takes a {'whole ' if kind is int else ''}number, not {quoted(value)}.") from None


def _nearest(config: Mapping[str, Any], key: str, value: Any) -> list[Any]:
    """The nearest values that work, below and above, on the slider's steps."""
    name, at = _place(config, key)
    low, high, step = _STEPS[name]
    found = []
    for way in (-1, 1):
        for n in range(1, _TRIED):
            number = type(value)(round((value // step + (way < 0) + way * n) * step, 6))
            if (number - (high if way > 0 else low)) * way > 0:
                break
            if not low <= number <= high:
                continue  # it comes from beyond the other end
            fresh = {**config, name: number if at is None else [*config[name][:at], number, *config[name][at + 1 :]]}
            if _reads(fresh):
                found.append(number)
                break
    return found


def _reads(config: Mapping[str, Any]) -> bool:
    try:
        read(config)
    except ConfigError:
        return False
    return True


def keys(
    now: Mapping[str, Any],
    sampled: Mapping[str, Any],
    limits: Mapping[str, tuple[float, float]],
    refused: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """What of a network can be turned, as `controls.js` draws it; ``sampled``: what it was before."""
    found = []
    for name, value in now.items():
        if name not in _STEPS:
            continue
        meaning, ends = _meanings(now["name"]).get(name, ""), limits.get(name, _STEPS[name][:2])
        if not isinstance(value, list):
            found.append(_key(name, meaning, value, sampled[name], ends, _STEPS[name][2], refused.get(name)))
            continue
        for i, (one, before) in enumerate(zip(value, sampled[name], strict=True)):
            key, words = f"{_FREE[name]} {i + 1}", meaning.replace("each stage", f"stage {i + 1}")
            found.append(_key(key, words, one, before, ends, _STEPS[name][2], refused.get(key)))
    return found


@lru_cache
def _meanings(name: str) -> dict[str, str]:
    kind: Any = MODELS[name].cls.Config
    return {key: of.get("description", "") for key, of in schema_of(kind)["properties"].items()}


def _key(
    key: str, meaning: str, value: Any, before: Any, ends: tuple[float, float], step: float, refused: Any
) -> dict[str, Any]:
    low, high = min(ends[0], value, before), max(ends[1], value, before)
    return {
        "name": key, "meaning": meaning, "takes": f"from {low:g} in steps of {step:g}", "kind": "number",
        "changed": value != before, "value": value, "text": literal(value), "preset": literal(before),
        "at_preset": before, "options": [], "rare": False, "low": low, "high": high, "step": step, "refused": refused,
    }  # fmt: skip
