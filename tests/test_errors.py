"""classykit.errors: every error is ours and Python's, and reads as a sentence."""

import pickle

import pytest

from classykit import errors


@pytest.mark.parametrize(
    "name, python",
    [
        ("ConfigError", ValueError),
        ("UnknownNameError", KeyError),
        ("DuplicateNameError", ValueError),
        ("HeadError", ValueError),
        ("BlockError", KeyError),
        ("ShapeError", ValueError),
        ("StateError", ValueError),
        ("WeightsError", RuntimeError),
        ("ImageError", ValueError),
        ("DeviceError", RuntimeError),
        ("MissingDependencyError", ImportError),
    ],
)
def test_an_error_is_ours_and_pythons_and_reads_as_written(name, python):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.ClassyKitError) and issubclass(kind, python) and kind.__doc__
    error = kind("there is no 'x':\ntry y")
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "there is no 'x':\ntry y"


@pytest.mark.parametrize(
    "name, known, words",
    [
        ("resnet51", ["resnet50", "vit_b_16"], " Did you mean 'resnet50'?"),
        ("RESNET50", ["resnet50"], " Did you mean 'resnet50'?"),
        ("lhasa", ["Lhasa", "tabby"], " Did you mean 'Lhasa'?"),
        ("aab", ["aaa", "aac"], " Did you mean 'aac' or 'aaa'?"),
        ("zebra", ["resnet50"], ""),
        ("x", [], ""),
        (7, ["resnet50"], ""),
    ],
)
def test_suggest(name, known, words):
    assert errors.suggest(name, known) == words


def test_suggest_gives_three_at_most():
    assert errors.suggest("block1", [f"block{i}" for i in range(9)]).count("'") == 6
