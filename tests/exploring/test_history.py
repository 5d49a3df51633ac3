"""classykit.exploring.history: steps that can be taken back and done again."""

import pytest

from classykit.errors import StateError
from classykit.exploring.history import LIMIT, History, Step, difference


def step(words):
    return Step(words, None, {})


def test_back_and_forward():
    history = History(step("a"))
    for words in "bc":
        history.add(step(words))
    assert [history.undo().words, history.undo().words] == ["b", "a"]
    with pytest.raises(StateError, match="nothing to undo"):
        history.undo()
    assert [history.redo().words, history.redo().words] == ["b", "c"]
    with pytest.raises(StateError, match="nothing to do again"):
        history.redo()
    assert history.words == ["a", "b", "c"] and history.now.words == "c"


def test_what_was_undone_gives_way_to_what_is_new():
    history = History(step("a"))
    history.add(step("b"))
    history.undo()
    history.add(step("c"))
    assert history.words == ["a", "c"]
    with pytest.raises(StateError):
        history.redo()


def test_only_so_many_are_kept():
    history = History(step("0"))
    for i in range(1, LIMIT + 5):
        history.add(step(str(i)))
    assert len(history.words) == LIMIT and history.now.words == str(LIMIT + 4)


@pytest.mark.parametrize(
    "before, after, words",
    [
        ({"name": "a"}, {"name": "b", "x": 1}, "b"),
        ({"name": "a", "x": 1}, {"name": "a", "x": 2, "y": "z"}, "x 1 → 2, y = z"),
        ({"name": "a", "x": 1}, {"name": "a"}, "x as before"),
        ({"name": "a"}, {"name": "a", "heads": [{"name": "identity"}]}, "other heads"),
        ({"name": "a"}, {"name": "a"}, "a"),
        ({"name": "a"}, {"name": "b\u202e\n"}, "b\\u202e\\n"),
    ],
)
def test_differences_in_words(before, after, words):
    assert difference(before, after) == words
