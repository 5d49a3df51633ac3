"""`describe`: a preset opened: every key, its value, where that comes from, and what follows from all of them."""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import nn

from classykit.configs import read_config
from classykit.errors import ConfigError, quoted
from classykit.finding import Finding
from classykit.models.classy_model import Adapter, ClassyModel
from classykit.models.factory import MODELS, family_of, named_config
from classykit.python_code import literal
from classykit.tables import Cell, Column, Line, Table

if TYPE_CHECKING:
    import pandas

_WIDEST = 44  # of a value, in characters
PRESET, FAMILY, YOURS = "preset", "family", "yours"


@dataclass(frozen=True)
class Key:
    """One key of a model's config.

    Attributes:
        name, value: the value is the one in use, also where a default stands for "as another key says".
        origin: "yours", where it was given; "preset", of the model's name; "family", the default of all of them.
        meaning: what it does.
        range: which values it takes, in words.
        default: the family's; None where there is none, or where it is None.
        required: whether the family has no default.
    """

    name: str
    value: Any
    origin: str
    meaning: str
    range: str
    default: Any = None
    required: bool = False


@dataclass(frozen=True, repr=False)
class Description(Finding):
    """A model's config with nothing left out.

    Attributes:
        name, family: "regnet_y_3.2gf" is a "RegNet".
        summary: what the family is, in a sentence.
        keys: {name: `Key`}.
        follows: what the keys come to: {"widths": [72, 216, 576, 1512], ...}.
    """

    name: str
    family: str
    summary: str
    keys: dict[str, Key]
    follows: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """The config with nothing left out, as `classykit.build_model` takes it."""
        return {"name": self.name, **{key.name: key.value for key in self.keys.values()}}

    def __getitem__(self, name: str) -> Any:
        """The value of a key, or what follows under that name."""
        if name in self.keys:
            return self.keys[name].value
        if name in self.follows:
            return self.follows[name]
        raise ConfigError(
            f"{self.name} has no {quoted(name)}, but {', '.join(self.keys)}; and {', '.join(self.follows)} follow."
        )

    def to_pandas(self) -> pandas.DataFrame:
        """A row a key: key, value, origin, meaning, range, default."""
        import pandas as pd

        rows = [(k.name, k.value, k.origin, k.meaning, k.range, k.default) for k in self.keys.values()]
        return pd.DataFrame(rows, columns=["key", "value", "origin", "meaning", "range", "default"], dtype=object)

    def heading(self) -> str:
        return f"{self.name}, {_a(self.family)}: {self.summary}"

    def table(self) -> Table:
        columns = [Column("key"), Column("value"), Column("from"), Column("takes", dispensable=1),
                   Column("meaning")]  # fmt: skip
        lines = [
            Line([
                Cell(k.name), Cell(_short(k.value), bold=k.origin == YOURS), Cell(k.origin), Cell(k.range),
                Cell(k.meaning),
            ])
            for k in self.keys.values()
        ]  # fmt: skip
        for i, (name, value) in enumerate(self.follows.items()):
            lines.append(Line([Cell(name), Cell(_short(value)), Cell("follows"), Cell(""), Cell("")], parted=i == 0))
        return Table(columns, lines)


def describe(model: str | Mapping[str, Any] | ClassyModel, **overrides: Any) -> Description:
    """Open a preset: every key of its config, with its value, where that comes from, its meaning and its range.

    Args:
        model: a registered name, a config, or a ClassyModel of this kit.
        **overrides: keys, as `classykit.build_model` takes them.

    Nothing is built. Raises UnknownNameError for a name that is not registered, ConfigError for bad keys or values,
    and for a module that was adopted, which has no config.

    >>> d = describe("regnet_y_3.2gf")
    >>> d["widths"], d["depths"], d.keys["w_m"].origin, d.keys["use_se"].origin
    ([72, 216, 576, 1512], [2, 5, 13, 1], 'preset', 'family')
    >>> describe("efficientnet_b0", width_coefficient=2.0).keys["width_coefficient"].origin
    'yours'
    """
    if isinstance(model, nn.Module):
        if not isinstance(model, ClassyModel) or isinstance(model, Adapter):
            raise ConfigError(f"{type(model).__name__} was made elsewhere: it has no config that could be described.")
        model = model.config
    given = {**named_config({"name": model} if isinstance(model, str) else model), **overrides}
    name = given.pop("name")
    given.pop("heads", None)
    entry = MODELS[name]
    kind = entry.cls.Config
    if kind is None:
        raise ConfigError(f"{name} is a class of your own without a Config, so there are no keys to describe.")
    known = {key: value for key, value in {**entry.defaults, **given}.items() if key not in entry.cls.ignored or
             key in kind.model_fields}  # fmt: skip
    read = read_config(kind, known, name)
    values, schema = read.completed(), schema_of(kind)
    keys = {}
    for key, of in kind.model_fields.items():
        origin = YOURS if key in given else PRESET if _of_preset(key, entry.defaults, values) else FAMILY
        keys[key] = Key(
            key, values[key], origin, of.description or "", range_in_words(schema["properties"][key], schema),
            None if of.is_required() else of.get_default(call_default_factory=True), of.is_required(),
        )  # fmt: skip
    summary = (python_inspect.getdoc(entry.cls) or "").split("\n")[0]
    return Description(name, family_of(name), summary, keys, read.follows)


@cache
def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a Config class; it is one for all who ask, and not to be written to.

    >>> from classykit.models.mlp import MLPConfig
    >>> schema_of(MLPConfig)["required"]
    ['input_dim', 'output_dim', 'hidden_dims']
    """
    schema: dict[str, Any] = kind.model_json_schema()
    return schema


def _of_preset(key: str, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether the preset says it, by its own name or within another key (an EfficientNet's width by its "B0")."""
    return key in defaults or (bool(defaults) and key in {"width_coefficient", "depth_coefficient", "resolution",
                                                          "dropout_rate"})  # fmt: skip


def range_in_words(schema: Mapping[str, Any], whole: Mapping[str, Any] | None = None) -> str:
    """What a key takes, from its JSON schema.

    >>> range_in_words({"type": "integer", "exclusiveMinimum": 0, "maximum": 64})
    'whole number from 1 to 64'
    >>> range_in_words({"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"type": "null"}]})
    'number from 0 to below 1, or None'
    """
    if "$ref" in schema and whole is not None:
        schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return "{" + ", ".join(schema.get("properties", {})) + "}"
    if "anyOf" in schema:
        return ", or ".join(range_in_words(one, whole) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(literal(one) for one in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "null":
        return "None"
    if kind == "boolean":
        return "True or False"
    if kind == "string":
        return "text"
    if kind == "array":
        return _list_in_words(schema, whole)
    return _number_in_words(schema, kind == "integer")


def _list_in_words(schema: Mapping[str, Any], whole: Mapping[str, Any] | None) -> str:
    if "prefixItems" in schema:
        return "[" + ", ".join(range_in_words(one, whole) for one in schema["prefixItems"]) + "]"
    least, most = schema.get("minItems"), schema.get("maxItems")
    count = f" of {least or 0} to {most}" if most else f" of {least} or more" if least else ""
    return f"list{count}: {range_in_words(schema.get('items', {}), whole)}"


def _number_in_words(schema: Mapping[str, Any], is_whole: bool) -> str:
    step = schema.get("multipleOf")
    words = f"multiple of {step}" if step else "whole number" if is_whole else "number"
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if is_whole and above is not None:
        low, above = above + (step or 1), None
    begin = f" from {low:,}" if low is not None else f" above {above:,}" if above is not None else ""
    end = f" to {high:,}" if high is not None else f" to below {below:,}" if below is not None else ""
    if begin.startswith(" above") and end:
        end = end.replace(" to ", ", at most ", 1).replace(", at most below", ", below")
    return words + begin + end


def _short(value: Any) -> str:
    text = literal(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _a(word: str) -> str:
    return f"{'an' if word[:1] in 'AEIOU' else 'a'} {word}"
