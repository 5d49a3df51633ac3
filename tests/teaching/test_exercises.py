"""classykit.teaching.exercises: answers that are checked without being written down."""

import json

import pytest

from classykit.errors import ConfigError, StateError, UnknownNameError
from classykit.teaching.exercises import FILE, Exercise, Exercises, find


def area(width, height):
    return width * height


class TestAnAnswer:
    def test_right_wrong_slip_and_none(self):
        e = Exercise.of("2.1", 43, hints=["a", "b"], slips={86: "Twice as much."})
        assert [e.judge(answer).right for answer in (43, "43", 44, 86, ..., "forty")] == [
            True, True, False, False, None, False]  # fmt: skip
        assert e.judge(86).words == "Twice as much." and e.judge(44).words == ""
        assert e.judge("forty").words.startswith("A number") and e.judge(None).words == "Not answered yet."

    def test_shapes_words_and_tolerances(self):
        assert Exercise.of("s", (64, 28, 28)).judge("64×28×28").right
        assert Exercise.of("w", {"stem", "out"}).judge(["Out", "stem"]).right
        near = Exercise.of("n", 0.93, tolerance=0.03)
        assert [near.judge(n).right for n in (0.93, 0.91, 0.955, 0.97, 0.89)] == [True, True, True, False, False]

    def test_nothing_of_the_answer_is_in_the_file(self):
        e = Exercise.of("2.1", 43, hints=["a"], slips={86: "no"})
        told = json.loads(json.dumps(e.to_dict()))
        assert set(told) == {"kind", "salt", "right", "hints", "slips"} and told["hints"] == ["a"]
        assert all(len(one) == 12 and int(one, 16) >= 0 for one in (*told["right"], *told["slips"]))
        again = Exercise.of("2.1", 43)
        assert again.salt != e.salt and not set(again.right) & set(e.right), "the same answer has another hash"


class TestAFunction:
    @pytest.fixture
    def exercise(self):
        return Exercise.of("2.2", area, tries=[(2, 3), (4, 5)], slips={5: "That adds them."})

    def test_it_is_tried(self, exercise):
        assert exercise.judge(lambda w, h: h * w).right
        assert exercise.judge(lambda w, h: 6).words == "Given 4, 5 it returned 6."
        assert exercise.judge(lambda w, h: w + h).words == "That adds them."
        assert exercise.judge(6).words.startswith("A function is wanted")
        assert exercise.judge(lambda w, h: ...).right is None, "nothing is written in it yet"

    def test_whatever_it_does(self, exercise):
        def raises(w, h):
            raise ZeroDivisionError("by zero")

        assert exercise.judge(raises).words == "Given 2, 3 it raised ZeroDivisionError: by zero"
        assert exercise.judge(lambda: 6).right is False
        assert exercise.judge(lambda w, h: "six").words.startswith("Given 2, 3 it returned 'six'. A number")

    def test_without_tries_it_is_none(self):
        with pytest.raises(ConfigError, match="what it is tried on"):
            Exercise.of("2.2", area)


class TestTheFile:
    def test_there_and_back(self, tmp_path):
        sheet = Exercises(
            [
                Exercise.of("2.1", 43, hints=["a"], slips={86: "no"}),
                Exercise.of("2.2", area, tries=[(2, 3)]),
                Exercise.of("2.3", 0.5, tolerance=0.1),
            ]
        )
        again = Exercises.load(sheet.save(tmp_path))
        assert dict(again) == dict(sheet) and list(again) == ["2.1", "2.2", "2.3"]
        assert again["2.2"].judge(area).right and again["2.3"].judge(0.45).right

    def test_one_that_is_not_there(self):
        with pytest.raises(UnknownNameError, match=r"'2\.1'"):
            Exercises([Exercise.of("2.1", 43)])["2.11"]

    @pytest.mark.parametrize("text", ["", "[]", '{"2.1": 3}', '{"2.1": {"kind": "number"}}', '{"2.1": {"odd": 1}}'])
    def test_files_that_are_none(self, text, tmp_path):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(StateError):
            Exercises.load(tmp_path / FILE)

    def test_it_is_found_beside_the_notebook_and_above(self, tmp_path, monkeypatch):
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        with pytest.raises(StateError, match="beside the notebooks"):
            find(inner)
        Exercises([Exercise.of("2.1", 43)]).save(tmp_path)
        assert find(inner) == tmp_path / FILE
        monkeypatch.chdir(tmp_path)
        assert find() == tmp_path / FILE

    def test_an_answer_that_is_none_is_refused(self):
        with pytest.raises(ConfigError, match=r"'2\.1'.*number"):
            Exercise.of("2.1", 43, slips={"many": "no"})
