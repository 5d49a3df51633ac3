"""`check`: right, or a hint; and what was done so far."""

from __future__ import annotations

import html
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classykit.errors import UnknownNameError, quoted, warn
from classykit.finding import Finding
from classykit.tables import Cell, Column, Line, Table, framed
from classykit.teaching.exercises import Exercise, Exercises, find

PROGRESS = ".classykit-progress.json"
#: where progress is kept in place of beside the exercises: a file, or "off"
VARIABLE = "CLASSYKIT_PROGRESS"


@dataclass(frozen=True)
class Checked:
    """What `check` says of an answer: true where it is right.

    Attributes:
        exercise: its id.
        right: None where nothing was answered yet.
        words: what is known of what is wrong; else "".
        hints: all that there are.
        shown: how many of them have been earned, by as many wrong answers.
    """

    exercise: str
    right: bool | None
    words: str
    hints: tuple[str, ...]
    shown: int

    def __bool__(self) -> bool:
        return bool(self.right)

    @property
    def _line(self) -> str:
        if self.right is None:
            return f"{self.exercise}: {self.words}"
        return f"{self.exercise}: right." if self.right else f"{self.exercise}: not yet. {self.words}".strip()

    def __str__(self) -> str:
        hints = [f"Hint {i} of {len(self.hints)}: {hint}" for i, hint in enumerate(self.hints, 1)]
        return "\n".join([self._line, *hints[: self.shown]])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sign, colour = {True: ("✓", "#18794e"), False: ("✗", "#b3123f"), None: ("…", "inherit")}[self.right]
        edge = f"border-left:3px solid {colour};padding:2px 10px" if self.right is not None else "padding:2px 10px"
        rest = ""
        for i in range(len(self.hints), 0, -1):  # each within the one before: a step at a time
            is_open = " open" if i <= self.shown else ""
            hint = html.escape(self.hints[i - 1])
            rest = f"<details{is_open}><summary>Hint {i} of {len(self.hints)}</summary>{hint}{rest}</details>"
        said = f'<span aria-hidden="true">{sign}</span> {html.escape(self._line)}'
        return framed(f'<div role="status" style="{edge}">{said}{"" if self.right else rest}</div>')


def check(exercise: str, answer: Any, *, folder: str | Path | None = None) -> Checked:
    """Whether an answer, or a prediction, is right; if not, a hint: with each wrong answer one more.

    Args:
        exercise: its id, such as "2.1".
        answer: a number, a shape, a word or a set of words, or a function that is tried; ``...`` for none yet.
        folder: where ``exercises.json`` is. Default: the notebook's, or one above.

    Returns a `Checked`, which is true where the answer is right, so that otter or nbgrader can ask for
    ``assert check("2.1", side)``. What was done is kept in ``.classykit-progress.json`` beside the exercises, so that
    it survives the kernel.

    Raises UnknownNameError for an exercise that is not there, StateError where there is no file of exercises.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Exercises([Exercise.of("2.1", 43, hints=["Go back layer by layer."])]).save(folder)
    ...     print(check("2.1", 40, folder=folder))
    ...     bool(check("2.1", 43, folder=folder))
    2.1: not yet.
    Hint 1 of 1: Go back layer by layer.
    True
    """
    path = find(folder)
    asked = Exercises.load(path)[exercise]
    verdict = asked.judge(answer)
    kept = _Progress(path.parent)
    wrong = kept.note(asked.id, verdict.right)
    return Checked(asked.id, verdict.right, verdict.words, asked.hints, min(wrong, len(asked.hints)))


class ProgressReport(Finding):
    """What was done of the exercises so far: an exercise a line where they are of one lesson, else a lesson a line."""

    def __init__(self, exercises: dict[str, Exercise], done: dict[str, bool]):
        self.exercises, self.done = exercises, done

    def heading(self) -> str:
        return f"{sum(self.done.values())} of {len(self.exercises)} exercises are done"

    def table(self) -> Table:
        said = {True: "right", False: "tried", None: ""}
        lessons = _by_lesson(self.exercises)
        if len(lessons) == 1:
            lines = [Line([Cell(id), Cell(said[self.done.get(id)])]) for id in self.exercises]
            return Table([Column("exercise"), Column("")], lines)
        lines = []
        for lesson, ids in lessons.items():
            right = sum(self.done.get(id, False) for id in ids)
            tried = ", ".join(id for id in ids if self.done.get(id) is False)
            lines.append(Line([Cell(lesson), Cell(f"{right} of {len(ids)}"), Cell(tried)]))
        return Table([Column("lesson"), Column("right"), Column("tried")], lines)


def progress(lesson: str = "", *, folder: str | Path | None = None) -> ProgressReport:
    """Which exercises are done.

    Args:
        lesson: what its exercises begin with, such as "2" for "2.1" and "2.2". Default: all lessons, a line each.
        folder: as that of `check`.

    Raises UnknownNameError for a lesson that has no exercises, StateError where there is no file of them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Exercises([Exercise.of("2.1", 43), Exercise.of("3.1", 7)]).save(folder)
    ...     print(progress("2", folder=folder).heading())
    0 of 1 exercises are done
    """
    path = find(folder)
    kept = _Progress(path.parent).read()
    exercises = dict(Exercises.load(path))
    if lesson != "":
        lessons = _by_lesson(exercises)
        if str(lesson) not in lessons:
            raise UnknownNameError(f"There is no lesson {quoted(lesson)}. There are: {', '.join(lessons)}.")
        exercises = {id: exercises[id] for id in lessons[str(lesson)]}
    return ProgressReport(exercises, {id: bool(of.get("right")) for id, of in kept.items() if id in exercises})


def _by_lesson(ids: Iterable[str]) -> dict[str, list[str]]:
    """{what stands before the last dot: the exercises}."""
    lessons: dict[str, list[str]] = {}
    for id in ids:
        lessons.setdefault(id.rpartition(".")[0] or id, []).append(id)
    return lessons


class _Progress:
    """{exercise: {"wrong": how many answers were, "right": whether one was}} in a small file."""

    def __init__(self, folder: Path):
        said = os.environ.get(VARIABLE, "")
        self.path = None if said == "off" else Path(said) if said else folder / PROGRESS

    def read(self) -> dict[str, dict[str, Any]]:
        """What was kept; nothing where the file is not there, or is no longer one."""
        if self.path is None:
            return {}
        with suppress(OSError, ValueError):
            told = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(told, dict):
                return {id: of for id, of in told.items() if isinstance(of, dict)}
        return {}

    def note(self, id: str, right: bool | None) -> int:
        """Keep what became of an answer; gives how many were wrong by now."""
        kept = self.read()
        of = kept.get(id, {})
        wrong = of.get("wrong", 0) if isinstance(of.get("wrong", 0), int) else 0
        if right is None:
            return wrong
        wrong += not right
        kept[id] = {"wrong": wrong, "right": bool(right or of.get("right"))}
        self._write(kept)
        return wrong

    def _write(self, kept: dict[str, Any]) -> None:
        if self.path is None:
            return
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self.path.parent, prefix=".progress-", delete=False
            ) as file:
                json.dump(kept, file, indent=1)
            os.replace(file.name, self.path)  # whole, or as it was
        except OSError as error:
            warn(f"What was done is not kept: {self.path} cannot be written ({error.strerror or error}).")
