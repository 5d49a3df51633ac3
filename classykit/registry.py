"""Names -> things: one registry for models and for heads, with wildcards and "did you mean"."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from classykit.errors import ConfigError, DuplicateNameError, UnknownNameError, quoted, suggest

T = TypeVar("T")


class Registry(Generic[T]):
    """An ordered mapping from names to things of one ``kind`` ("model", "head").

    >>> colours = Registry("colour")
    >>> colours.add("red", "#f00")
    >>> colours["red"], colours.list("r*")
    ('#f00', ['red'])
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> None:
        """Register ``entry`` under ``name``; a name that is taken raises DuplicateNameError."""
        if not isinstance(name, str) or not name:
            raise ConfigError(f"A {self.kind} is registered under a non-empty string, not {quoted(name)}.")
        if name in self._entries:
            raise DuplicateNameError(
                f"A {self.kind} named {name!r} is registered already ({self._entries[name]!r}); choose another name."
            )
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UnknownNameError(
                f"There is no {self.kind} named {quoted(name)}.{suggest(name, self._entries)} "
                f"list_{self.kind}s() gives all {len(self._entries)} names."
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def list(self, pattern: str = "*") -> list[str]:
        """The names that match a shell-style ``pattern``, sorted as people count (b2 before b10)."""
        if not isinstance(pattern, str):
            raise ConfigError(f'A pattern is a text such as "resnet*", not {quoted(pattern)}.')
        return sorted((n for n in self._entries if fnmatchcase(n, pattern)), key=_natural)


def _natural(name: str) -> list[tuple[int, float, str]]:
    """Sort key that reads digits as numbers: resnet18 < resnet101, 400mf < 1.6gf."""
    import re

    parts = re.findall(r"\d+(?:\.\d+)?(?=[mg]f)|\d+|[^\d]+", name)
    unit = {"mf": 1e6, "gf": 1e9}
    key = []
    for i, part in enumerate(parts):
        if part[0].isdigit():
            follows = parts[i + 1][:2] if i + 1 < len(parts) else ""
            key.append((0, float(part) * unit.get(follows, 1), ""))
        else:
            key.append((1, 0.0, part))
    return key
