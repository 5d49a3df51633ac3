"""classykit.teaching.answers: what means the same has one form."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classykit.teaching.answers import NUMBER, SHAPE, WORDS, NoAnswer, form, is_missing, kind_of, right_forms


@pytest.mark.parametrize(
    "kind, same",
    [
        (NUMBER, [43, 43.0, "43", " 43 ", np.int64(43), torch.tensor(43), np.float32(43)]),
        (NUMBER, [25_600_000, "25.6M", "25.6 m", "25,600,000", 2.56e7]),
        (NUMBER, [-3, "-3", "−3"]),
        (SHAPE, [(64, 28, 28), [64, 28, 28], torch.Size([64, 28, 28]), "64×28×28", "64 x 28 x 28", "(64, 28, 28)"]),
        (SHAPE, [(1.0, 2.0), (1, 2), np.array([1, 2])]),
        (WORDS, ["DenseNet-121", "densenet-121", " densenet-121. ", ["densenet-121"]]),
        (WORDS, [{"a", "b"}, ["B", "a"], ("b", "A")]),
        (WORDS, [True, "true"]),
    ],
)
def test_answers_that_mean_the_same(kind, same):
    assert len({form(answer, kind) for answer in same}) == 1


@pytest.mark.parametrize(
    "kind, answer",
    [
        (NUMBER, "many"), (NUMBER, (1, 2)), (NUMBER, float("nan")), (NUMBER, float("inf")), (NUMBER, True),
        (NUMBER, torch.zeros(2)), (NUMBER, object()),
        (SHAPE, 5), (SHAPE, (1.5, 2)), (SHAPE, "wide"), (SHAPE, ()), (SHAPE, None),
        (WORDS, 5), (WORDS, []), (WORDS, [1, "a"]), (WORDS, b"a"),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_that_kind_says_what_is_wanted(kind, answer):
    with pytest.raises(NoAnswer, match="is wanted here"):
        form(answer, kind)


def test_kinds_and_what_is_missing():
    rights = (43, 0.5, torch.tensor(3), (1, 2), torch.Size([4]), "a", True, {"a"}, ("a", "b"))
    assert [kind_of(right) for right in rights] == [NUMBER, NUMBER, NUMBER, SHAPE, SHAPE, WORDS, WORDS, WORDS, WORDS]
    assert [is_missing(answer) for answer in (None, ..., "", "  ", 0, False, ())] == [True] * 4 + [False] * 3


@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e3),
    st.floats(-3, 3).filter(lambda off: abs(abs(off) - 1) > 0.06),  # at the very end it may be either
)
def test_a_number_is_right_within_its_tolerance(right, tolerance, off):
    forms = right_forms(right, NUMBER, tolerance)
    assert (form(right + off * tolerance, NUMBER, tolerance) in forms) == (abs(off) < 1)
    assert form(right, NUMBER, tolerance) in forms and 20 <= len(forms) <= 21
