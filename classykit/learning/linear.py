"""What a linear classifier makes of features: accuracy on what it has not seen, with its standard error."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from classykit.contexts import undo, undo_later
from classykit.errors import ConfigError, MissingDependencyError


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers, from 0 to 1.

    Attributes:
        accuracy: mean over the splits.
        stderr: its standard error over the splits; NaN of a single one. Splits share pictures: it is a lower bound.
        dimensions: how many numbers the classifier is given of a picture.
        spread: standard deviation over the splits; NaN where there are not several.
        layer: what the classifier of the first split has learnt, for features as they are: (weight (classes,
            dimensions), bias (classes)); None where nothing was learnt.
    """

    accuracy: float
    stderr: float
    dimensions: int = 0
    spread: float = math.nan
    layer: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)

    def __float__(self) -> float:
        return self.accuracy

    def __str__(self) -> str:
        return f"{self.accuracy:.3f}" + ("" if math.isnan(self.stderr) else f" ± {self.stderr:.3f}")


def splits_of(labels: list[Any], test: float, repeats: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """[(rows to learn from, rows to test with)], stratified, the same for the same seed.

    Raises ConfigError where the labels make no split, MissingDependencyError without scikit-learn.

    >>> train, held_out = splits_of([0, 1] * 6, 0.33, 1, 0)[0]
    >>> len(train), len(held_out)
    (8, 4)
    """
    counts = Counter(labels)
    rare = [label for label, count in counts.items() if count < 2]
    if len(counts) < 2:
        raise ConfigError(f"There is one class, {next(iter(counts), None)!r}: nothing to tell apart.")
    if rare:
        raise ConfigError(f"Class {rare[0]!r} has one picture: two at least, one to learn from and one to test with.")
    if round(len(labels) * test) < len(counts):
        raise ConfigError(
            f"test = {test} of {len(labels)} pictures leaves fewer than one for each of the {len(counts)} classes: "
            f"give more pictures, or a larger share."
        )
    try:
        from sklearn.model_selection import StratifiedShuffleSplit
    except ImportError as error:
        raise MissingDependencyError("This needs scikit-learn: pip install scikit-learn.") from error

    cut = StratifiedShuffleSplit(repeats, test_size=test, random_state=seed)
    try:
        return list(cut.split(np.zeros(len(labels)), np.unique(labels, return_inverse=True)[1]))
    except ValueError as error:  # scikit-learn's words for shares that do not work out
        raise ConfigError(f"These labels cannot be split: {error}") from None


def read_off(features: np.ndarray, labels: list[Any], splits: list[tuple[np.ndarray, np.ndarray]]) -> Accuracy:
    """How well a linear classifier does on standardised features (N, ...): scikit-learn's logistic regression, C = 1.

    >>> x = np.repeat([[0.0, 1.0], [1.0, 0.0]], 6, axis=0)
    >>> print(read_off(x, [0] * 6 + [1] * 6, splits_of([0] * 6 + [1] * 6, 0.33, 2, 0)))
    1.000 ± 0.000
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    y = np.unique(labels, return_inverse=True)[1]
    scores: list[float] = []
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    with _one_thread():
        for train, test in splits:
            known, unknown = (np.asarray(features[rows], np.float64).reshape(len(rows), -1) for rows in (train, test))
            scaler = StandardScaler().fit(known)
            known, axes = _turned(scaler.transform(known))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it might go on to converge: it is tested, not trusted
                fitted = LogisticRegression(max_iter=500).fit(known, y[train])
            scores.append(fitted.score(_along(scaler.transform(unknown), axes), y[test]))
            if not layers:
                layers.append(_layer(fitted, axes, scaler))
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    dimensions = int(np.prod(features.shape[1:]))
    return Accuracy(float(np.mean(scores)), spread / math.sqrt(len(scores)), dimensions, spread, layers[0])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within the block matrices are multiplied by one thread: for such small ones several get in each other's way."""
    from threadpoolctl import threadpool_limits

    limits: list[Any] = []

    def put_back() -> None:
        for one in limits:
            one.restore_original_limits()

    undo_later(put_back)
    try:
        limits.append(threadpool_limits(1, "blas"))
        yield
    finally:
        undo(put_back)


def _turned(known: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(features in as many axes as there are rows, where there are more dimensions; those axes): to a ridge penalty
    all is the same."""
    if known.shape[1] <= known.shape[0]:
        return known, None
    _, _, axes = np.linalg.svd(known, full_matrices=False)  # (rows, dimensions)
    return known @ axes.T, axes


def _along(features: np.ndarray, axes: np.ndarray | None) -> np.ndarray:
    return features if axes is None else features @ axes.T


def _layer(fitted: Any, axes: np.ndarray | None, scaler: Any) -> tuple[np.ndarray, np.ndarray]:
    """(weight, bias) by which features as they are give a score a class: what scales and turns them is taken in."""
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) == 1:  # of two classes scikit-learn gives the second's score alone
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = (weight if axes is None else weight @ axes) / scaler.scale_
    return weight.astype(np.float32), (bias - weight @ scaler.mean_).astype(np.float32)
