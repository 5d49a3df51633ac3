"""classykit.exploring.lab_says: nothing is claimed of few networks, or of a difference that may be chance."""

import numpy as np
import pytest

from classykit.exploring import lab_says


def test_few_networks_are_not_compared():
    words = lab_says.verdict({"A": [0.01] * 7, "B": [0.5] * 20})
    assert "Too few to compare: at least 8" in words and "tends" not in words


def test_a_difference_that_may_be_chance_is_none():
    a, b = np.linspace(0.05, 0.2, 12), np.linspace(0.06, 0.21, 12)
    assert "No difference seen (rank test, one seed: p = " in lab_says.verdict({"A": a.tolist(), "B": b.tolist()})
    assert "p = 1.00" in lab_says.verdict({"A": [0.1] * 9, "B": [0.1] * 9})


@pytest.mark.parametrize("swap", [False, True])
def test_a_clear_difference_says_which(swap):
    good, bad = np.linspace(0.02, 0.1, 12).tolist(), np.linspace(0.2, 0.6, 12).tolist()
    words = lab_says.verdict({"A": bad, "B": good} if swap else {"A": good, "B": bad})
    assert f"{'B' if swap else 'A'} tends to lower errors (rank test, one seed: p < 0.001)." in words
    assert "6.0 %" in words and "40 %" in words


def test_one_space_and_none():
    assert lab_says.verdict({"A": [0.1, 0.3]}) == "Median error: A 20 % of 2 nets."
    assert lab_says.verdict({"A": []}) == "Nothing is trained within the budget yet."


def test_the_curves():
    assert lab_says.edf([0.3, 0.1, 0.1]) == [[0.1, 1 / 3], [0.1, 2 / 3], [0.3, 1.0]]
    assert lab_says.best_so_far([(1, 0.5), (1, 0.4), (5, 0.4), (6, 0.1)]) == [[1, 0.4], [6, 0.1]]
    assert lab_says.edf([]) == lab_says.best_so_far([]) == []
