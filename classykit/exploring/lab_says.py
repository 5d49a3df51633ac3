"""What the errors of two spaces say: medians, a rank test before anything is claimed, and the curves to look at."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from classykit import formats

LEAST = 8  # networks of each space, before they are compared
SURE = 0.01  # below 0.05, as somebody looks again with every network that comes in


def verdict(errors: Mapping[str, Sequence[float]]) -> str:
    """{space: errors of its networks within the budget} in a sentence or two.

    The test is the one of Mann and Whitney, two-sided: whether networks of one space tend to be better.

    >>> verdict({"RegNet": [0.1, 0.2, 0.3], "AnyNet": []})
    'Median error: RegNet 20 % of 3 nets. Too few to compare: at least 8 of each space are wanted.'
    """
    known = {name: values for name, values in errors.items() if values}
    if not known:
        return "Nothing is trained within the budget yet."
    medians = ", ".join(
        f"{name} {formats.percent(statistics.median(values))} of {len(values)} net{'s' * (len(values) > 1)}"
        for name, values in known.items()
    )
    words = f"Median error: {medians}."
    if len(errors) < 2:
        return words
    if min(map(len, errors.values())) < LEAST:
        return f"{words} Too few to compare: at least {LEAST} of each space are wanted."
    (a, first), (b, second) = errors.items()
    p = rank_test(first, second)
    if p < SURE:
        by = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        lower = a if _ranks_lower(first, second) else b
        return f"{words} {lower} tends to lower errors (rank test, one seed: {by})."
    return f"{words} No difference seen (rank test, one seed: p = {p:.2f})."


def rank_test(first: Sequence[float], second: Sequence[float]) -> float:
    """The chance of ranks so far apart if the two spaces were alike."""
    from scipy.stats import mannwhitneyu  # comes with scikit-learn

    if len({*first, *second}) == 1:
        return 1.0  # nothing to rank
    return float(mannwhitneyu(first, second, alternative="two-sided").pvalue)


def _ranks_lower(first: Sequence[float], second: Sequence[float]) -> bool:
    return sum((a < b) - (a > b) for a in first for b in second) > 0


def edf(errors: Sequence[float]) -> list[list[float]]:
    """[error, share of networks with at most this error], rising.

    >>> edf([0.2, 0.1])
    [[0.1, 0.5], [0.2, 1.0]]
    """
    return [[error, (i + 1) / len(errors)] for i, error in enumerate(sorted(errors))]


def best_so_far(points: Sequence[tuple[float, float]]) -> list[list[float]]:
    """[MACs, lowest error of all that cost at most as much], where it falls.

    >>> best_so_far([(3.0, 0.2), (1.0, 0.3), (2.0, 0.4)])
    [[1.0, 0.3], [3.0, 0.2]]
    """
    front: list[list[float]] = []
    best = math.inf
    for cost, error in sorted(points):
        if error < best:
            best = error
            front.append([cost, error])
    return front
