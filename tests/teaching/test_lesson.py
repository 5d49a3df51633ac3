"""classykit.teaching.lesson: from one notebook the students', the solution and the exercises."""

from unittest.mock import Mock

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from classykit.errors import ConfigError, StateError
from classykit.teaching.exercises import FILE, Exercises
from classykit.teaching.lesson import Lesson, make

SIDE = """import classykit as ck
# exercise 2.1: 43 ± 1
# hint: Go back layer by layer.
# slip 86: Twice as much.
side = ...  # your turn
side = 43  # answer
ck.check("2.1", side)"""
AREA = """# exercise 2.2: tried on 2, 3; 4, 5
area = ...  # your turn
def area(width, height):  # answer
    return width * height  # answer
ck.check("2.2", area)"""


def written(folder, *cells, name="02.ipynb"):
    made = [
        new_markdown_cell("What is it?"),
        *(new_code_cell(c, outputs=[new_output("stream", text="x")]) for c in cells),
    ]
    path = folder / name
    nbformat.write(new_notebook(cells=made), path)
    return path


def sources(path):
    return [cell.source for cell in nbformat.read(path, 4).cells]


def test_three_notebooks_of_one(tmp_path):
    source = written(tmp_path, SIDE, AREA)
    paths = make([source], tmp_path / "handout", tmp_path / "solved")
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        FILE, f"handout/{FILE}", "handout/02.ipynb", f"solved/{FILE}", "solved/02.ipynb"]  # fmt: skip
    blank, solved = sources(tmp_path / "handout" / "02.ipynb"), sources(tmp_path / "solved" / "02.ipynb")
    assert blank[1:] == [
        'import classykit as ck\nside = ...  # your turn\nck.check("2.1", side)',
        'area = ...  # your turn\nck.check("2.2", area)',
    ]
    assert "side = 43" in solved[1] and "# exercise" not in solved[1] and "# hint" not in solved[1]
    outputs = {name: nbformat.read(tmp_path / name / "02.ipynb", 4).cells[1].outputs for name in ("handout", "solved")}
    assert outputs["handout"] == [] and len(outputs["solved"]) == 1
    assert sources(source)[1] == SIDE, "the teacher's own is as it was"
    for folder in (tmp_path, tmp_path / "handout"):
        sheet = Exercises.load(folder / FILE)
        assert sheet["2.1"].judge(42.5).right and sheet["2.1"].judge(86).words == "Twice as much."
        assert sheet["2.2"].judge(lambda w, h: w * h).right and not sheet["2.2"].judge(lambda w, h: 6).right


ADDRESS = "https://github.com/somebody/kit"


@pytest.mark.parametrize("repository", [None, ADDRESS])
def test_a_lesson_says_how_to_get_the_kit_or_fetches_it(repository, tmp_path, monkeypatch):
    source = written(tmp_path, "# install\nimport math\n\nhalf = math.pi / 2")
    make([source], tmp_path / "handout", tmp_path / "solved", repository)
    for folder in ("handout", "solved"):
        cell = sources(tmp_path / folder / "02.ipynb")[1]
        monkeypatch.chdir(tmp_path / folder)
        names = {"get_ipython": lambda: pytest.fail("it fetches what is there")}
        exec(TransformerManager().transform_cell(cell), names)  # as Jupyter runs it
        assert names["half"] > 1.5
        assert ("pip install" in cell) and ("# install" not in cell)
        assert (f"git clone -q --depth 1 {ADDRESS} " in cell) == (repository is not None)

        # where it is alone, the kit and the lessons' files are fetched, and the lesson goes on beside them
        (tmp_path / "alone").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "alone")
        shell = Mock()
        exec(TransformerManager().transform_cell(cell), {"get_ipython": Mock(return_value=shell)})
        ran = [call.args[0].split()[0] for call in shell.method_calls]
        assert ran == (["test", "pip", "cd"] if repository else [])


@pytest.mark.parametrize("repository", ["github.com/somebody/kit", "https://a.b/c; rm -rf ~", "https://a.b/c\nx", ""])
def test_what_is_no_address_never_reaches_a_shell(repository, tmp_path):
    source = written(tmp_path, "# install\n")
    with pytest.raises(ConfigError, match="A repository is an address"):
        make([source], tmp_path / "handout", repository=repository)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_the_file_changes_only_where_the_exercises_do(tmp_path):
    first = written(tmp_path, SIDE)
    make([first])
    before = (tmp_path / FILE).read_text()
    make([first])
    assert (tmp_path / FILE).read_text() == before
    make([written(tmp_path, AREA.replace("2.2", "10.1"), AREA, name="10.ipynb")])
    sheet = Exercises.load(tmp_path / FILE)
    assert list(sheet) == ["2.1", "2.2", "10.1"] and sheet["2.1"].salt in before


@pytest.mark.parametrize(
    "cells, words",
    [
        ([SIDE, SIDE], "two exercises '2.1'"),
        (["# hint: first"], "Line 1 is a hint"),
        (["# exercise 1: 2\n# exercise 3: 4"], "within that of '1'"),
        (["# exercise 1: tried on 2\nx = 3"], "defines a function"),
        (["# exercise 1: tried on 2\nf = 1 / 0  # answer"], "ZeroDivisionError"),
        (["# exercise 1: 43\n# slip many: no"], "number"),
    ],
)
def test_what_makes_no_exercise_is_refused_before_anything_is_written(cells, words, tmp_path):
    source = written(tmp_path, *cells)
    with pytest.raises(ConfigError, match=words):
        make([source], tmp_path / "handout")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02.ipynb"]


def test_folders(tmp_path):
    source = written(tmp_path, SIDE)
    with pytest.raises(ConfigError, match="another folder"):
        make([source], tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigError, match="of one folder"):
        make([source, written(other, AREA)])
    (tmp_path / "odd.ipynb").write_text("{")
    with pytest.raises(StateError, match=r"odd\.ipynb cannot be read"):
        Lesson(tmp_path / "odd.ipynb")
