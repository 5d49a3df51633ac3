"""classykit.learning.linear: what a linear classifier makes of features."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classykit.errors import ConfigError
from classykit.learning.linear import Accuracy, read_off, splits_of


def data(n=120, dimensions=20, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    return rng.normal(size=(n, dimensions)) * np.logspace(-3, 3, dimensions) + 0.8 * rng.normal(
        size=(classes, dimensions)
    )[y] * np.logspace(-3, 3, dimensions), y


@pytest.mark.parametrize("dimensions", [5, 20, 300], ids=["few", "some", "more than rows"])
def test_it_is_scikit_learns(dimensions):
    """The same predictions as its StandardScaler and LogisticRegression, in fewer axes where there are fewer rows."""
    x, y = data(dimensions=dimensions)
    found = read_off(x, y.tolist(), splits_of(y.tolist(), 0.33, 3, 0))
    split = StratifiedShuffleSplit(3, test_size=0.33, random_state=0)
    wanted = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x[a], y[a]).score(x[b], y[b])
        for a, b in split.split(x, y)
    ]
    assert abs(found.accuracy - np.mean(wanted)) < 0.011
    assert found.stderr == pytest.approx(np.std(wanted, ddof=1) / math.sqrt(3), abs=0.01)
    assert found.spread == pytest.approx(math.sqrt(3) * found.stderr)
    assert found.dimensions == dimensions


def test_features_of_any_shape_and_names():
    x, y = data(dimensions=24)
    names = np.array(["cat", "dog", "emu", "fox"])[y].tolist()
    splits = splits_of(names, 0.33, 2, 0)
    assert read_off(x.reshape(-1, 2, 3, 4), names, splits).accuracy == read_off(x, names, splits).accuracy


@pytest.mark.parametrize("dimensions", [5, 300])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_layer_classifies_features_as_they_are(dimensions, classes):
    x, y = data(dimensions=dimensions, classes=classes)
    splits = splits_of(y.tolist(), 0.33, 1, 0)
    found = read_off(x, y.tolist(), splits)
    weight, bias = found.layer
    assert weight.shape == (classes, dimensions) and bias.shape == (classes,)
    held_out = splits[0][1]
    assert np.mean((x[held_out] @ weight.T + bias).argmax(1) == y[held_out]) == pytest.approx(found.accuracy)


def test_one_split_has_no_error():
    x, y = data()
    found = read_off(x, y.tolist(), splits_of(y.tolist(), 0.5, 1, 0))
    assert math.isnan(found.stderr) and math.isnan(found.spread) and str(found) == f"{found.accuracy:.3f}"
    assert float(Accuracy(0.25, 0.1)) == 0.25 and str(Accuracy(0.25, 0.1)) == "0.250 ± 0.100"


@pytest.mark.parametrize(
    "labels, test, words",
    [
        ([1, 1, 1, 1], 0.5, "one class"),
        ([1, 1, 1, 0], 0.5, "one picture"),
        ([0, 1, 2, 3] * 2, 0.2, "fewer than one"),
        ([0, 1] * 2, 0.9, "cannot be split"),
    ],
)
def test_labels_that_make_no_split(labels, test, words):
    with pytest.raises(ConfigError, match=words):
        splits_of(labels, test, 2, 0)
