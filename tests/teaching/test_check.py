"""classykit.teaching.check: right, or a hint; and what was done."""

import json

import pytest

import classykit as ck
from classykit.teaching import Exercise, Exercises
from classykit.teaching.check import PROGRESS, VARIABLE


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    hints = ["Go back <layer> by layer.", "r = (r − 1)·s + k."]
    Exercises([Exercise.of("2.1", 43, hints=hints, slips={86: "Twice."}), Exercise.of("2.2", "stem")]).save(tmp_path)
    return tmp_path


def test_each_wrong_answer_earns_a_hint(lesson):
    said = [str(ck.check("2.1", answer)) for answer in (40, 86, 41)]
    assert said[0] == "2.1: not yet.\nHint 1 of 2: Go back <layer> by layer."
    assert said[1] == "2.1: not yet. Twice.\nHint 1 of 2: Go back <layer> by layer.\nHint 2 of 2: r = (r − 1)·s + k."
    assert said[2].count("Hint") == 2 and not ck.check("2.1", 42)


def test_right_is_true_for_whoever_grades(lesson):
    assert ck.check("2.1", 43) and str(ck.check("2.1", 43)) == "2.1: right."
    assert not ck.check("2.1", ...) and str(ck.check("2.2", ...)) == "2.2: Not answered yet."


def test_the_form_of_the_notebook_is_heard_and_opened_by_keyboard(lesson):
    page = ck.check("2.1", 40)._repr_html_()
    assert 'role="status"' in page and "&lt;layer&gt;" in page and "<layer>" not in page
    assert page.count("<details") == 2 and page.count("<details open>") == 1, "one hint is open, one waits in it"
    right = ck.check("2.1", 43)._repr_html_()
    assert "✓" in right and "<details" not in right
    assert "✗" not in ck.check("2.2", None)._repr_html_()


def test_progress_survives_and_right_stays_right(lesson):
    ck.check("2.1", 40)
    ck.check("2.1", 43)
    ck.check("2.1", 40)
    assert json.loads((lesson / PROGRESS).read_text()) == {"2.1": {"wrong": 2, "right": True}}
    report = ck.progress()
    assert report.heading() == "1 of 2 exercises are done" and report.done == {"2.1": True}
    assert "right" in str(report) and "<table" in report._repr_html_()


def test_progress_of_one_lesson_and_of_all(lesson):
    asked = {id: Exercise.of(id, 1) for id in ("2.1", "2.2", "10.1")}
    Exercises(list(asked.values())).save(lesson)
    ck.check("2.1", 1)
    ck.check("2.2", 0)
    rows = [line.split() for line in str(ck.progress()).splitlines()]
    assert ["2", "1", "of", "2", "2.2"] in rows and ["10", "0", "of", "1"] in rows
    one = ck.progress("2")
    assert one.heading() == "1 of 2 exercises are done" and list(one.exercises) == ["2.1", "2.2"]
    assert ["2.2", "tried"] in [line.split() for line in str(one).splitlines()]
    with pytest.raises(ck.errors.UnknownNameError, match=r"no lesson '1'. There are: 2, 10\."):
        ck.progress("1")


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"2.1": 3}', '{"2.1": {"wrong": "a"}}'])
def test_a_damaged_file_begins_anew(lesson, text):
    (lesson / PROGRESS).write_text(text)
    assert str(ck.check("2.1", 40)).count("Hint") == 1
    assert ck.progress().done == {"2.1": False}


def test_it_is_kept_where_it_is_said_or_not_at_all(lesson, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("home") / "progress.json"
    monkeypatch.setenv(VARIABLE, str(elsewhere))
    ck.check("2.1", 43)
    assert elsewhere.is_file() and not (lesson / PROGRESS).exists()
    monkeypatch.setenv(VARIABLE, "off")
    elsewhere.unlink()
    assert [str(ck.check("2.1", 40)).count("Hint") for _ in range(2)] == [1, 1]
    assert not elsewhere.exists() and ck.progress().done == {}


def test_a_folder_that_cannot_be_written_is_said(lesson, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(lesson / "gone" / "progress.json"))
    with pytest.warns(UserWarning, match="is not kept"):
        assert ck.check("2.1", 43)
