"""Exercises as they lie beside a notebook: what is right as salted hashes, with hints in steps."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from classykit.errors import ConfigError, StateError, UnknownNameError, first_line, quoted, suggest
from classykit.teaching.answers import NoAnswer, form, is_missing, kind_of, right_forms

FILE = "exercises.json"
ABOVE = 2  # folders above the notebook's in which the file is looked for, too


@dataclass(frozen=True)
class Try:
    """What a function is given, and hashes of what it has to make of that."""

    given: tuple[Any, ...]
    right: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What is to be said of an answer.

    Attributes:
        right: None where nothing was answered yet.
        words: what is wrong with it, where that is known; else "".
    """

    right: bool | None
    words: str = ""


@dataclass(frozen=True)
class Exercise:
    """A question whose answer is checked without being written down.

    Attributes:
        id: what it is called, such as "2.1".
        kind: "number", "shape" or "words"; of a function, that of what it returns.
        salt, right: salted hashes of all answers that are right.
        hints: from a nudge to all but the answer.
        tolerance: how far off a number may be.
        slips: {hash of a wrong answer that many give: what to say to it}.
        tries: what an answer that is a function is tried on; empty where none is wanted.
    """

    id: str
    kind: str
    salt: str
    right: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    tolerance: float = 0
    slips: Mapping[str, str] = field(default_factory=dict)
    tries: tuple[Try, ...] = ()

    @classmethod
    def of(
        cls,
        id: str,
        right: Any,
        *,
        tolerance: float = 0,
        hints: Sequence[str] = (),
        slips: Mapping[Any, str] | None = None,
        tries: Sequence[tuple[Any, ...]] = (),
        salt: str | None = None,
    ) -> Exercise:
        """An exercise, from its answer.

        Args:
            id: what it is called.
            right: the answer: a number, a shape (a tuple), a word, several words (a set), or a function.
            tolerance: how far off a number may be.
            hints: what to say to wrong answers, one after the other.
            slips: {wrong answer: what to say to that}.
            tries: of a function, the arguments that it is tried on; each a tuple of plain values.
            salt: default: a new one.

        ConfigError for answers that are none, or a function without tries.

        >>> e = Exercise.of("2.1", 43, hints=["Go back layer by layer."], slips={86: "That is the diameter, twice."})
        >>> e.judge(43.0).right, e.judge(86).words, "43" in str(e)
        (True, 'That is the diameter, twice.', False)
        """
        salt = salt or secrets.token_hex(4)
        if callable(right) and not tries:
            raise ConfigError(f"Exercise {quoted(id)} wants a function: say in tries what it is tried on.")
        try:
            shown = [right(*given) for given in tries] if callable(right) else [right]
            kind = kind_of(shown[0])
            found = [_hashes(salt, one, kind, tolerance) for one in shown]
            of_slips = {_hash(salt, form(wrong, kind, tolerance)): said for wrong, said in (slips or {}).items()}
        except NoAnswer as error:
            raise ConfigError(f"Exercise {quoted(id)}: {error}") from None
        if callable(right):
            pairs = tuple(Try(tuple(given), of) for given, of in zip(tries, found, strict=True))
            return cls(id, kind, salt, (), tuple(hints), tolerance, of_slips, pairs)
        return cls(id, kind, salt, found[0], tuple(hints), tolerance, of_slips)

    def judge(self, answer: Any) -> Verdict:
        """Whether an answer is right. Whatever it is, a function that raises included, nothing is raised."""
        if is_missing(answer):
            return Verdict(None, "Not answered yet.")
        if self.tries:
            return self._try_out(answer)
        try:
            found = _hash(self.salt, form(answer, self.kind, self.tolerance))
        except NoAnswer as error:
            return Verdict(False, _sentence(str(error)))
        return Verdict(found in self.right, self.slips.get(found, ""))

    def _try_out(self, function: Callable[..., Any]) -> Verdict:
        if not callable(function):
            return Verdict(False, "A function is wanted here: give the function itself, not what it returns.")
        for one in self.tries:
            said = ", ".join(map(quoted, one.given))
            try:
                made = function(*one.given)
            except Exception as error:  # whatever a student's code raises
                return Verdict(False, f"Given {said} it raised {type(error).__name__}: {first_line(error)}")
            if is_missing(made):  # nothing is written in it yet
                return Verdict(None, "Not answered yet.")
            try:
                found = _hash(self.salt, form(made, self.kind, self.tolerance))
            except NoAnswer as error:
                return Verdict(False, f"Given {said} it returned {quoted(made)}. {_sentence(str(error))}")
            if found not in one.right:
                return Verdict(False, self.slips.get(found, f"Given {said} it returned {quoted(made)}."))
        return Verdict(True)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {key: value for key, value in asdict(self).items() if value and key != "id"}

    @classmethod
    def from_dict(cls, id: str, told: Mapping[str, Any]) -> Exercise:
        """The reverse of `to_dict`; StateError for what is none."""
        try:
            tries = tuple(Try(tuple(one["given"]), tuple(one["right"])) for one in told.get("tries", ()))
            lists = {key: tuple(told.get(key, ())) for key in ("right", "hints")}
            return cls(id, **{**told, **lists, "tries": tries, "slips": dict(told.get("slips", {}))})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise StateError(f"Exercise {quoted(id)} of the file cannot be read: {first_line(error)}.") from None


class Exercises(Mapping[str, Exercise]):
    """{id: exercise}, as they lie in a file beside the notebooks.

    >>> sheet = Exercises([Exercise.of("1.1", "stem"), Exercise.of("1.2", (64, 56, 56))])
    >>> list(sheet), sheet["1.2"].judge("64×56×56").right
    (['1.1', '1.2'], True)
    """

    def __init__(self, exercises: Sequence[Exercise] = ()):
        self._all = {exercise.id: exercise for exercise in exercises}

    def __getitem__(self, id: str) -> Exercise:
        if id not in self._all:
            raise UnknownNameError(
                f"There is no exercise {quoted(id)}.{suggest(id, self._all)} There are: {', '.join(self._all)}."
            )
        return self._all[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def save(self, folder: str | Path) -> Path:
        """Write them to the folder's ``exercises.json``."""
        path = Path(folder) / FILE
        told = {id: exercise.to_dict() for id, exercise in self._all.items()}
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Exercises:
        """Read a file; StateError for one that is none."""
        try:
            told = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StateError(f"{path} cannot be read as exercises: {first_line(error)}.") from None
        if not isinstance(told, dict) or not all(isinstance(one, dict) for one in told.values()):
            raise StateError(f"{path} does not hold exercises: an object by id is wanted.")
        return cls([Exercise.from_dict(id, one) for id, one in told.items()])


def find(folder: str | Path | None = None) -> Path:
    """The file of a folder, by default of the notebook's, or of one above; StateError where there is none."""
    start = Path(folder or ".").resolve()
    for place in (start, *start.parents[:ABOVE]):
        if (place / FILE).is_file():
            return place / FILE
    raise StateError(
        f"There is no {FILE} in {start}, nor above it: it lies beside the notebooks of the lessons. Run this there, or "
        f"name their folder, check(..., folder=...)."
    )


def _hashes(salt: str, right: Any, kind: str, tolerance: float) -> tuple[str, ...]:
    return tuple(_hash(salt, one) for one in right_forms(right, kind, tolerance))


def _hash(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()[:12]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
