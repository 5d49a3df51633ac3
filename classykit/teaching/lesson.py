"""One notebook as its teacher writes it: from it come the students' notebook, the solution, and the exercises' file.

An exercise is a cell with comments that only the teacher sees, and with the answer in lines that end in ``# answer``::

    # exercise 2.1: 43
    # hint: Begin with one position, and go back layer by layer.
    side = ...  # your turn
    side = 43  # answer
    ck.check("2.1", side)

``# exercise 4.1: 0.93 ± 0.03`` allows a number to be off. ``# slip 86: That is twice as much.`` answers a mistake that
many make. A function is tried: ``# exercise 2.2: tried on [7, 3], [2, 1]; [3], [1]``, separated by semicolons, and must
make of that what the answer's does.

A line ``# install`` becomes one that says how to get the kit or, where lessons have a public address, lines that fetch
it: a lesson that is opened in Colab comes alone.
"""

from __future__ import annotations

import ast
import copy
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classykit.errors import ConfigError, StateError, first_line, quoted
from classykit.teaching.exercises import FILE, Exercise, Exercises

ANSWER = "# answer"
INSTALL = "# install"

_BY_HAND = '# Where classykit is not installed: in a clone of its repository, pip install ".[demo]"'
_FETCHED = """\
import pathlib

if not pathlib.Path("exercises.json").exists():  # the lesson is alone, in Colab say: the kit and what lessons need
    !test -d classykit-lessons || git clone -q --depth 1 {} classykit-lessons
    %pip install -q "./classykit-lessons[demo]"
    %cd -q classykit-lessons/notebooks
"""
_ADDRESS = re.compile(r"(https|file)://[\w.@:/~-]+")  # goes to a shell

_EXERCISE = re.compile(r"# exercise (\S+): (.+)")
_HINT = re.compile(r"# hint: (.+)")
_SLIP = re.compile(r"# slip (.+?): (.+)")
_TRIED = "tried on "


@dataclass
class _Told:
    """What the comments of a cell say of an exercise."""

    id: str
    right: str
    hints: list[str] = field(default_factory=list)
    slips: dict[Any, str] = field(default_factory=dict)


class Lesson:
    """A teacher's notebook.

    Args:
        path: a notebook of Jupyter's.

    StateError for what is none; ConfigError, which names the cell's line, for comments that make no exercise.
    """

    def __init__(self, path: str | Path):
        import nbformat

        self.path = Path(path)
        try:
            self.notebook: Any = nbformat.read(self.path, as_version=4)  # type: ignore[no-untyped-call]
        except Exception as error:  # nbformat raises several kinds
            raise StateError(f"{path} cannot be read as a notebook: {first_line(error)}.") from None

    def exercises(self, salts: Exercises | None = None) -> Exercises:
        """The exercises in it; those that ``salts`` has keep their salt: the file changes only where they do."""
        found: dict[str, Exercise] = {}
        for cell in self._code():
            told = _told(cell.source)
            if told is None:
                continue
            if told.id in found:
                raise ConfigError(f"{self.path.name} has two exercises {quoted(told.id)}.")
            salt = salts[told.id].salt if salts is not None and told.id in salts else None
            found[told.id] = _exercise(told, cell.source, salt)
        return Exercises(list(found.values()))

    def for_students(self, repository: str | None = None) -> Any:
        """The notebook with answers blanked and outputs cleared."""

        def stays(line: str) -> bool:
            return not _of_teacher(line) and not line.rstrip().endswith(ANSWER)

        return self._copy(stays, repository, clear=True)

    def solution(self, repository: str | None = None) -> Any:
        """The notebook with answers, and with outputs as they are."""
        return self._copy(lambda line: not _of_teacher(line), repository, clear=False)

    def _code(self) -> Iterable[Any]:
        return (cell for cell in self.notebook.cells if cell.cell_type == "code")

    def _copy(self, stays: Callable[[str], bool], repository: str | None, clear: bool) -> Any:
        install = _install(repository)
        made = copy.deepcopy(self.notebook)
        for cell in made.cells:
            if cell.cell_type != "code":
                continue
            lines = (install if line.strip() == INSTALL else line for line in cell.source.split("\n") if stays(line))
            cell.source = "\n".join(lines)
            if clear:
                cell.outputs, cell.execution_count = [], None
        return made


def make(
    notebooks: Iterable[str | Path],
    students: str | Path | None = None,
    solutions: str | Path | None = None,
    repository: str | None = None,
) -> list[Path]:
    """Write what comes from teachers' notebooks; returns the paths that were written.

    Args:
        notebooks: the teachers', in one folder: beside them goes the file of exercises.
        students: a folder for the notebooks with blanks; with the file of exercises, too.
        solutions: a folder for those with answers.
        repository: public address that a lesson fetches the kit from, where it is alone; it goes on in the folder
            ``notebooks`` there, beside its exercises.

    Raises what `Lesson` raises, before anything is written.
    """
    import nbformat

    _install(repository)
    lessons = [Lesson(path) for path in notebooks]
    folders = {lesson.path.resolve().parent for lesson in lessons}
    if len(folders) != 1:
        raise ConfigError("Name one or several notebooks of one folder: beside them goes the file of exercises.")
    beside = folders.pop()
    before = Exercises.load(beside / FILE) if (beside / FILE).is_file() else None
    known = {} if before is None else dict(before)
    for lesson in lessons:
        known |= dict(lesson.exercises(before))
    sheet = Exercises([known[id] for id in sorted(known, key=_order)])
    written = [sheet.save(beside)]
    for folder, form in ((students, Lesson.for_students), (solutions, Lesson.solution)):
        if folder is None:
            continue
        Path(folder).mkdir(parents=True, exist_ok=True)
        written.append(sheet.save(folder))
        for lesson in lessons:
            path = Path(folder) / lesson.path.name
            if path.resolve() == lesson.path.resolve():
                raise ConfigError(f"{path} is the teacher's own notebook: name another folder.")
            nbformat.write(form(lesson, repository), path)  # type: ignore[no-untyped-call]
            written.append(path)
    return written


def _install(repository: str | None) -> str:
    """What a line `INSTALL` becomes."""
    if repository is None:
        return _BY_HAND
    if not _ADDRESS.fullmatch(repository):
        raise ConfigError(f"A repository is an address such as https://github.com/you/kit, not {quoted(repository)}.")
    return _FETCHED.format(repository)


def _order(id: str) -> list[tuple[bool, Any]]:
    """ "2.10" comes after "2.9"."""
    return [(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"[.\s]", id)]


def _of_teacher(line: str) -> bool:
    return any(pattern.fullmatch(line.strip()) for pattern in (_EXERCISE, _HINT, _SLIP))


def _told(source: str) -> _Told | None:
    told = None
    for number, line in enumerate(source.split("\n"), 1):
        line = line.strip()
        if begins := _EXERCISE.fullmatch(line):
            if told is not None:
                raise ConfigError(
                    f"Line {number} begins exercise {quoted(begins[1])} within that of {quoted(told.id)}."
                )
            told = _Told(begins[1], begins[2])
        elif hint := _HINT.fullmatch(line):
            _within(told, number).hints.append(hint[1])
        elif slip := _SLIP.fullmatch(line):
            _within(told, number).slips[_value(slip[1])] = slip[2]
    return told


def _within(told: _Told | None, number: int) -> _Told:
    if told is None:
        raise ConfigError(f"Line {number} is a hint or a slip before any '# exercise id: answer'.")
    return told


def _exercise(told: _Told, source: str, salt: str | None) -> Exercise:
    keys: dict[str, Any] = {"hints": told.hints, "slips": told.slips, "salt": salt}
    if told.right.startswith(_TRIED):
        tries = [_value(f"({one},)") for one in told.right.removeprefix(_TRIED).split(";")]
        return Exercise.of(told.id, _function(told.id, source), tries=tries, **keys)
    right, _, off = told.right.partition("±")
    return Exercise.of(told.id, _value(right), tolerance=float(_value(off)) if off else 0, **keys)


def _value(text: str) -> Any:
    """A literal of Python's, or the text itself: a word needs no quotes."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def _function(id: str, source: str) -> Any:
    """The function that the lines of the answer define."""
    lines = [line for line in source.split("\n") if line.rstrip().endswith(ANSWER)]
    names: dict[str, Any] = {}
    try:
        exec(textwrap.dedent("\n".join(lines)), names)  # the teacher's own code, on the teacher's machine
    except Exception as error:
        raise ConfigError(f"The answer of exercise {quoted(id)} raises {type(error).__name__}: {error}") from None
    found = [value for name, value in names.items() if callable(value) and name != "__builtins__"]
    if not found:
        raise ConfigError(f"Exercise {quoted(id)} is tried, but no line that ends in {ANSWER!r} defines a function.")
    return found[-1]
