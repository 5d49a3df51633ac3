"""The errors a user can meet, all under one roof.

Every error is a ``ClassyKitError`` *and* the built-in error that Python programmers expect in its place, so
both ``except ck.errors.ClassyKitError`` and ``except ValueError`` work. A message says what was asked, what
was found and what to do next.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from typing import Any

#: what a model raises that is given what it does not take
OF_BAD_INPUT = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, AttributeError)


class ClassyKitError(Exception):
    """The base of everything classykit raises on purpose."""


class _PlainKeyError(ClassyKitError, KeyError):
    """A KeyError whose text reads as a sentence."""

    # KeyError shows the repr of its argument: quotes around the sentence, and newlines as "\n".
    def __str__(self) -> str:
        return Exception.__str__(self)


class ConfigError(ClassyKitError, ValueError):
    """A model or head description that cannot be built: a wrong key, type, range or combination."""


class UnknownNameError(_PlainKeyError):
    """A name that no registry, sample or list knows."""


class DuplicateNameError(ClassyKitError, ValueError):
    """A name that is already taken."""


class HeadError(ClassyKitError, ValueError):
    """A head that does not fit where it is attached."""


class BlockError(_PlainKeyError):
    """A block that the model does not have."""


class ShapeError(ClassyKitError, ValueError):
    """A tensor whose shape does not fit the model."""


class StateError(ClassyKitError, ValueError):
    """A saved state that does not match the model."""


class WeightsError(ClassyKitError, RuntimeError):
    """Trained weights that are missing, damaged or do not fit."""


class ImageError(ClassyKitError, ValueError):
    """A picture that cannot be read or used."""


class DeviceError(ClassyKitError, RuntimeError):
    """A device that is absent, or has too little memory."""


class Interrupted(ClassyKitError, KeyboardInterrupt):
    """Work that was interrupted; ``result`` holds what was done until then."""

    def __init__(self, message: str, result: Any = None):
        super().__init__(message)
        self.result = result


class MissingDependencyError(ClassyKitError, ImportError):
    """An optional package that is not installed."""


def first_line(error: object) -> str:
    """What an exception says, in one line; its type where it says nothing.

    >>> first_line(ValueError("\\n  no such size\\nat ...")), first_line(KeyError())
    ('no such size', 'KeyError')
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def quoted(value: object, limit: int = 300) -> str:
    """A value of the user's as a message quotes it: its repr, cut short where it is long.

    >>> quoted("resnet"), quoted([0] * 1000, limit=12)
    ("'resnet'", '[0, 0, 0,...')
    >>> class Odd:
    ...     def __repr__(self):
    ...         raise RuntimeError
    >>> quoted(Odd())
    '<an Odd that cannot be shown>'
    """
    try:
        text = repr(value)
    except Exception:  # whatever a person's object makes of it
        kind = type(value).__name__
        return f"<a{'n' if kind[0] in 'AEIOU' else ''} {kind} that cannot be shown>"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def suggest(name: object, known: Iterable[str]) -> str:
    """The end of an error message: " Did you mean 'x' or 'y'?", or "" when nothing is near.

    Case does not count; at most three names are given, the nearest first.

    >>> suggest("ResNet51", ["resnet50", "resnet18", "vit_b_16"])
    " Did you mean 'resnet50' or 'resnet18'?"
    """
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(str(candidate).lower(), str(candidate))
    near = difflib.get_close_matches(quoted(name).strip("'").lower(), by_lower, n=3, cutoff=0.6)
    if not near:
        return ""
    names = [repr(by_lower[n]) for n in near]
    choices = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    return f" Did you mean {choices}?"


def warn(words: str, kind: type[Warning] = UserWarning) -> None:
    """A warning that points at the line of the user's that called the kit, however deep inside it comes up."""
    frame, level, outermost = sys._getframe(1), 1, 1
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "classykit":
            outermost = level
        frame, level = frame.f_back, level + 1
    warnings.warn(words, kind, stacklevel=outermost + 2)
