"""Answers in one form each, so that those that mean the same are the same: numbers, shapes, words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from numbers import Real
from typing import Any

NUMBER, SHAPE, WORDS = "number", "shape", "words"
WANTED = {
    NUMBER: "a number, such as 43 or 2.5e6",
    SHAPE: "a shape, such as (64, 28, 28)",
    WORDS: "a word, or several as a list",
}

_CELLS = 10  # into which a tolerance is parted: what lies nearer to its end than half of one may fall on either side
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_AMOUNT = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kmgt]?)", re.IGNORECASE)


class NoAnswer(ValueError):
    """What was given is no answer of the kind that is wanted; its text says so."""


def is_missing(answer: Any) -> bool:
    """Whether nothing was answered yet: None, ``...`` or an empty text.

    >>> is_missing(...), is_missing(" "), is_missing(0)
    (True, True, False)
    """
    return answer is None or answer is Ellipsis or (isinstance(answer, str) and not answer.strip())


def kind_of(right: Any) -> str:
    """Of which kind a right answer is.

    >>> kind_of(43), kind_of((64, 28, 28)), kind_of("densenet121"), kind_of({"a", "b"})
    ('number', 'shape', 'words', 'words')
    """
    if isinstance(right, (str, bool, set, frozenset)):
        return WORDS
    if isinstance(right, (tuple, list)):
        return WORDS if any(isinstance(part, str) for part in right) else SHAPE
    return NUMBER


def form(answer: Any, kind: str, tolerance: float = 0) -> str:
    """The one form of an answer; NoAnswer for what is none of this kind.

    Numbers may be of Python, torch or numpy, or text ("1.5 M"); shapes tuples, ``torch.Size`` or text ("64×28×28");
    words in any case and with any spaces, several in any order.

    >>> form("64 x 28 x 28", "shape") == form([64, 28, 28], "shape"), form("The Stem ", "words"), form(43.0, "number")
    (True, 'the stem', '43')
    """
    if kind == NUMBER:
        return _cell(_number(answer), tolerance)
    if kind == SHAPE:
        return "×".join(map(str, _shape(answer)))
    return "|".join(sorted(_words(answer)))


def right_forms(right: Any, kind: str, tolerance: float = 0) -> list[str]:
    """All forms that count as right: of a number those within the tolerance.

    >>> right_forms(43, "number"), len(right_forms(0.66, "number", 0.03))
    (['43'], 21)
    """
    if kind != NUMBER or not tolerance:
        return [form(right, kind)]
    step, number = tolerance / _CELLS, _number(right)
    first, last = math.ceil((number - tolerance) / step - 1e-6), math.floor((number + tolerance) / step + 1e-6)
    return [str(cell) for cell in range(first, last + 1)]


def _cell(number: float, tolerance: float) -> str:
    return str(round(number / (tolerance / _CELLS))) if tolerance else f"{number:.10g}"


def _number(answer: Any) -> float:
    if isinstance(answer, str):
        read = _AMOUNT.fullmatch(answer.strip().replace(",", "").replace("−", "-"))
        number = float(read[1]) * _UNITS[read[2].lower()] if read else math.nan
    elif isinstance(answer, bool):
        number = math.nan
    elif isinstance(answer, Real):
        number = float(answer)
    elif callable(getattr(answer, "item", None)) and getattr(answer, "ndim", 0) == 0:  # torch's and numpy's
        number = float(answer.item())
    else:
        number = math.nan
    if not math.isfinite(number):
        raise NoAnswer(f"{WANTED[NUMBER]}, is wanted here.")
    return number


def _shape(answer: Any) -> tuple[int, ...]:
    if isinstance(answer, str):
        answer = re.findall(r"[^\s,×xX*()\[\]]+", answer)
    try:
        sizes = [int(part) for part in answer]
        whole = all(float(part) == size for part, size in zip(answer, sizes, strict=True))
    except (TypeError, ValueError):
        sizes, whole = [], False
    if not sizes or not whole:
        raise NoAnswer(f"{WANTED[SHAPE]}, is wanted here.")
    return tuple(sizes)


def _words(answer: Any) -> set[str]:
    several = answer if isinstance(answer, Iterable) and not isinstance(answer, (str, bytes)) else [answer]
    words = list(several)
    if not words or not all(isinstance(word, (str, bool)) for word in words):
        raise NoAnswer(f"{WANTED[WORDS]}, is wanted here.")
    return {" ".join(str(word).casefold().split()).strip(" .!\"'") for word in words}
