"""The lessons: students' notebooks come from the teachers', and the answers there are right."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

import classykit as ck
from classykit.teaching import Exercises
from classykit.teaching.check import VARIABLE
from classykit.teaching.exercises import FILE
from classykit.teaching.lesson import Lesson

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SITE = (NOTEBOOKS.parent / ".ci" / "site" / "mkdocs.yml").read_text(encoding="utf-8")
REPOSITORY = re.search(r"^  repository: (?:null|(\S+))$", SITE, re.MULTILINE)[1]
TEACHERS = sorted((NOTEBOOKS / "teacher").glob("*.ipynb"))


def sources(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_there_are_lessons():
    assert [path.name[:2] for path in TEACHERS] == [f"0{n}" for n in range(1, 9)]


@pytest.fixture
def threads():
    """Some lessons ask torch for one thread: the tests after them have as many as those before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("path", TEACHERS, ids=lambda path: path.stem)
class TestALesson:
    def test_the_students_notebook_comes_from_it(self, path):
        students = nbformat.read(NOTEBOOKS / path.name, as_version=4)
        assert sources(students) == sources(Lesson(path).for_students(REPOSITORY))
        for folder in (NOTEBOOKS, path.parent):
            sheet = Exercises.load(folder / FILE)
            found = dict(Lesson(path).exercises(sheet))
            assert found and {id: sheet[id] for id in found} == found

    def test_its_answers_are_right(self, path, monkeypatch, threads):
        monkeypatch.setenv(VARIABLE, "off")
        monkeypatch.chdir(NOTEBOOKS)
        asked, names = [], {}
        check = ck.check
        monkeypatch.setattr(ck, "check", lambda id, answer: asked.append(check(id, answer)) or asked[-1])
        for kind, source in sources(Lesson(path).solution()):
            if kind == "code":
                exec("\n".join(line for line in source.split("\n") if not line.startswith("%")), names)
        assert [(one.exercise, one.right) for one in asked] == [(id, True) for id in Lesson(path).exercises()]
