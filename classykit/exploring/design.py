"""A model's keys as controls: what each takes, what differs from the preset, what works in place of what does not.

All of it follows from the family's config: its meanings, ranges and defaults.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from classykit.configs import CLASSES, read_config
from classykit.errors import ConfigError, quoted, suggest
from classykit.exploring.carrying import carry_heads
from classykit.exploring.explored import Explored
from classykit.heads.classy_head import HEADS, ClassyHead
from classykit.models.description import FAMILY, Key, describe, range_in_words, schema_of
from classykit.models.factory import MODELS
from classykit.python_code import literal

TOGGLE, CHOICE, NUMBER, TEXT = "toggle", "choice", "number", "text"
_TRIED = 400  # values on each side, in the search for one that works
_SETTLED = ("unique_id", "in_plane", "tokens", "channels_last", "before")  # keys that a head's place or name say
_SIDE_KEYS = ("resolution", "image_size", "clip_crop_size")  # what families call the side of their pictures
_SIDES = (64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)  # pixels that are offered


@dataclass(frozen=True)
class Control:
    """One key of a model's config as something to turn.

    Attributes:
        name, value, meaning, takes: as `classykit.describe` has them; ``takes`` is its range in words.
        kind: "toggle", "choice", "number" or "text", which is a Python literal such as ``[3, 4, 6, 3]``.
        preset: its value in the preset; the family's default where the model is no preset.
        options: of a choice.
        low, high, step: of a number: where a slider goes; what is typed may lie beyond.
        whole: whether a number is a whole one.
        rare: whether the preset leaves it to the family's default.
    """

    name: str
    value: Any
    meaning: str
    takes: str
    kind: str
    preset: Any
    options: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0
    whole: bool = False
    rare: bool = False

    @property
    def changed(self) -> bool:
        """Whether it differs from the preset."""
        return bool(self.value != self.preset)


def _once(find: Callable[[Explored], Any]) -> Callable[[Explored], Any]:
    """Of one model the answer stays the same, and is asked for with every click."""
    found: WeakKeyDictionary[Explored, Any] = WeakKeyDictionary()

    @wraps(find)
    def remembered(subject: Explored) -> Any:
        if subject not in found:
            found[subject] = find(subject)
        return found[subject]

    return remembered


@_once
def controls(subject: Explored) -> list[Control]:
    """The keys of a model as controls, in the order of its config; none for a module of the user's.

    >>> {c.name: c.kind for c in controls(Explored("regnet_y_400mf"))}["use_se"]
    'toggle'
    """
    if subject.adopted is not None or MODELS[subject.config["name"]].cls.Config is None:
        return []
    name = subject.config["name"]
    now = describe({key: value for key, value in subject.config.items() if key != "heads"})
    if MODELS[name].is_whole:
        opened = describe(name).keys
        preset = {key.name: key.value for key in opened.values()}
        rare = {key.name for key in opened.values() if key.origin == FAMILY}
    else:  # a family, of which some keys have no default
        preset = {key.name: key.value if key.required else key.default for key in now.keys.values()}
        rare = {key.name for key in now.keys.values() if not key.required}
    kind: Any = MODELS[name].cls.Config
    schema = schema_of(kind)["properties"]
    return [_control(key, preset[key.name], schema[key.name], key.name in rare) for key in now.keys.values()]


def head_controls(head: ClassyHead | str) -> list[Control]:
    """The keys of an attached head, or of a registered one as it would be attached; none of a kind of one's own.

    >>> [c.name for c in head_controls("vision_transformer_head")]
    ['num_classes', 'hidden_dim', 'normalize_inputs']
    """
    name = head if isinstance(head, str) else str(head.config["name"])
    kind: Any = HEADS[name].Config if name in HEADS else None
    if kind is None:
        return []
    schema, given = schema_of(kind), {} if isinstance(head, str) else head.config
    found = []
    for key, of in kind.model_fields.items():
        if key in _SETTLED:
            continue
        default = None if of.is_required() else of.get_default(call_default_factory=True)
        value, form = given.get(key, default), schema["properties"][key]
        described = Key(key, value, FAMILY, of.description or "", range_in_words(form, schema), default)
        found.append(_control(described, value if key == CLASSES else default, form, key != CLASSES))
    return found


@_once
def side(subject: Explored) -> tuple[str, int, list[int]] | None:
    """(the key that says how large pictures are, its value, values to choose from); None where no key does."""
    found = next((c for c in controls(subject) if c.name in _SIDE_KEYS and c.kind == NUMBER), None)
    if found is None:
        return None
    wanted = {*_SIDES, int(found.value), *([int(found.preset)] if found.preset else [])}
    return (
        found.name,
        int(found.value),
        [n for n in sorted(wanted) if n == found.value or _reads(subject, found.name, n)],
    )


def _reads(subject: Explored, key: str, value: Any) -> bool:
    """Whether a config with that value is one."""
    config = {name: of for name, of in subject.config.items() if name not in ("name", "heads")}
    entry = MODELS[subject.config["name"]]
    kind: Any = entry.cls.Config
    try:
        read_config(kind, {**entry.defaults, **config, key: value}, subject.config["name"])
    except ConfigError:
        return False
    return True


def _control(key: Key, preset: Any, schema: Mapping[str, Any], rare: bool) -> Control:
    given: dict[str, Any] = dict(
        name=key.name, value=key.value, meaning=key.meaning, takes=key.range, preset=preset, rare=rare
    )
    forms = [form for form in schema.get("anyOf", [schema]) if form.get("type") != "null"]
    form = forms[0] if len(forms) == 1 else {}
    optional = len(schema.get("anyOf", ())) > len(forms)
    if form.get("type") == "boolean" and not optional:
        return Control(**given, kind=TOGGLE)
    if "enum" in form or "const" in form:
        options = tuple(form.get("enum", [form.get("const")])) + ((None,) if optional else ())
        return Control(**given, kind=CHOICE, options=options)
    if form.get("type") in ("integer", "number") and key.value is not None:
        return Control(**given, kind=NUMBER, **_slider(form, key.value, preset))
    return Control(**given, kind=TEXT)


def _slider(form: Mapping[str, Any], value: float, preset: Any) -> dict[str, Any]:
    """Where a slider goes: what is allowed, where that is narrow, else from a quarter of the preset's to four times."""
    whole = form["type"] == "integer"
    step = form.get("multipleOf", 1 if whole else None)
    low, high = form.get("minimum", form.get("exclusiveMinimum", -math.inf)), form.get("maximum", math.inf)
    middle = preset if isinstance(preset, (int, float)) and preset else value
    if high > 4 * abs(middle) or high == math.inf:
        high = max(4 * abs(middle), abs(value), 4 if whole else 1)
    low = max(low, middle / 4 if middle > 0 and low >= 0 and high > 16 else 0)
    step = step or 10.0 ** math.floor(math.log10(max(high - low, 1e-6) / 100))
    low = math.ceil(low / step) * step if low > 0 else float(low)
    if "exclusiveMinimum" in form and low <= form["exclusiveMinimum"]:
        low = form["exclusiveMinimum"] + step
    return dict(low=min(low, value), high=math.floor(high / step) * step, step=step, whole=whole)


def turned(subject: Explored, key: str, value: Any) -> tuple[Explored, str]:
    """(the model with another value of a key, heads on the same blocks; what to say of the heads).

    The preset's own value takes the key out of the config again. Raises ConfigError where no such model can be built,
    with the nearest values that work, where there are some.
    """
    known = {control.name: control for control in controls(subject)}
    if key not in known:
        raise ConfigError(
            f"{subject.name} has no key {quoted(key)}.{suggest(key, known)} It has {', '.join(known) or 'none'}."
        )
    config = {name: of for name, of in subject.config.items() if name not in ("heads", key)}
    if value != known[key].preset or not MODELS[config["name"]].is_whole:
        config[key] = value
    try:
        fresh = Explored(config)
    except ConfigError as error:
        near = nearest(subject, known[key], value)
        words = f" The nearest that work: {', '.join(map(literal, near))}." if near else ""
        refusal = ConfigError(f"{error}{words}")
        refusal.nearest = near  # type: ignore[attr-defined]
        raise refusal from None
    _, stayed = carry_heads(subject, fresh, by_name=True)
    lost = " ".join(f"Head {name} did not come along: {why.rstrip('.')}." for name, why in stayed.items())
    return fresh, lost


def nearest(subject: Explored, control: Control, value: Any) -> list[Any]:
    """The nearest values of a key that work, below and above one that does not; none but for numbers."""
    if control.kind != NUMBER or isinstance(value, bool) or not isinstance(value, (int, float)):
        return []
    if not math.isfinite(value):
        return []
    found = []
    for direction in (-1, 1):
        candidates = _candidates(control, value, direction)
        found += list(islice((n for n in candidates if _reads(subject, control.name, n)), 1))
    return found


def _candidates(control: Control, value: float, side: int) -> Iterator[Any]:
    """Values further and further away on one side; at last the end of the slider, where it lies there."""
    if control.whole:
        start = math.floor(value) if side < 0 else math.ceil(value)
        yield from (start + side * n for n in range(int(start == value), _TRIED))
    else:
        yield from (round(value + side * n * control.step, 6) for n in range(1, _TRIED))
    end = control.low if side < 0 else control.high
    if (end - value) * side > 0:
        yield int(end) if control.whole else float(end)


def typed(control: Control, value: Any) -> Any:
    """What was typed into a control, or set on it, as its value; ConfigError where that is none."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ConfigError(f"{control.name} takes {control.takes}, not {quoted(value)}.") from None
    if control.kind == NUMBER and not control.whole and type(value) is int:
        return float(value)
    return value
