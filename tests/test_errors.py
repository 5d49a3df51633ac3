"""classykit.errors: every error is ours and Python's, and reads as a sentence."""

import pickle
from pathlib import Path

import pytest
from PIL import Image
from torch import nn

import classykit as ck
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


def test_a_warning_points_at_the_line_that_called_the_kit(tmp_path):
    for act in (
        lambda: ck.preprocess("cat", nn.Conv2d(3, 4, 3)),
        lambda: ck.build_model({"name": "resnet18", "num_classes": 10}, device="meta"),
    ):
        with pytest.warns(UserWarning) as caught:
            act()
        assert [Path(w.filename) for w in caught] == [Path(__file__)]
    (tmp_path / "none.png").touch()
    Image.new("RGB", (32, 32)).save(tmp_path / "one.png")
    model = ck.build_model({"name": "resnet18", "init_planes": 4})
    with pytest.warns(RuntimeWarning) as caught:
        ck.extract(model, tmp_path, "block0-0", tmp_path / "out", workers=0, device="cpu", dtype="float32")
    assert [Path(w.filename) for w in caught] == [Path(__file__)]
