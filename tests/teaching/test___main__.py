"""python -m classykit.teaching: the command of whoever teaches."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from classykit.teaching.__main__ import main
from classykit.teaching.exercises import FILE


def written(folder, source):
    path = folder / "02.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    return path


def test_it_says_what_it_has_written(tmp_path, capsys):
    source = written(tmp_path, "# exercise 2.1: 43\nside = 43  # answer")
    assert main([str(source), "--students", str(tmp_path / "handout")]) == 0
    assert capsys.readouterr().out.split() == [
        str(path) for path in (tmp_path / FILE, tmp_path / "handout" / FILE, tmp_path / "handout" / "02.ipynb")
    ]


def test_what_is_wrong_is_said_without_a_traceback(tmp_path, capsys):
    assert main([str(written(tmp_path, "# hint: first"))]) == 1
    assert capsys.readouterr().err.startswith("Line 1 is a hint")
