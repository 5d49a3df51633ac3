"""Values as Python source that says what it does: names that are none are refused, what cannot be seen is escaped."""

from __future__ import annotations

import json
import keyword
import unicodedata
from collections.abc import Mapping
from typing import Any

from classykit.errors import ConfigError

#: kinds of characters that are not seen, or change how others are: control, direction, surrogates, line ends
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    """The text, with characters that cannot be seen, or that turn others round, as escapes.

    >>> printable("a\\u202eb"), printable("é\\n")
    ('a\\\\u202eb', 'é\\\\n')
    """
    return "".join(c if unicodedata.category(c) not in _UNSEEN else _escaped(c) for c in text)


def literal(value: Any) -> str:
    """A value as Python source, strings in double quotes.

    >>> literal({"a": ["b", 1, None]})
    '{"a": ["b", 1, None]}'
    """
    if isinstance(value, str):
        # what is still unseen after JSON's own escapes is written as Python's
        return "".join(
            c if unicodedata.category(c) not in _UNSEEN else _escaped(c) for c in json.dumps(value, ensure_ascii=False)
        )
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


def keywords(values: Mapping[str, Any]) -> list[str]:
    """``["name=value", ...]`` of a call; ConfigError for a key that is no name in Python.

    >>> keywords({"depth": 3, "kind": "a"})
    ['depth=3', 'kind="a"']
    """
    refuse_what_is_no_name(values)
    return [f"{name}={literal(value)}" for name, value in values.items()]


def refuse_what_is_no_name(keys: Mapping[Any, Any]) -> None:
    """Raise ConfigError for keys that could not be written as keyword arguments."""
    for key in keys:
        if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key):
            raise ConfigError(f"A key is a name such as 'num_classes', not {ascii(key)[:80]}.")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode() if ord(character) > 0xFF or character.isspace() else (
        f"\\x{ord(character):02x}"
    )  # fmt: skip
