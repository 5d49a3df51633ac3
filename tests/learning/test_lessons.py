"""classykit.learning.lessons: what heads learn from, whatever the labels, the features and the data."""

import pytest
import torch
from torch.utils.data import TensorDataset

import classykit as ck
from classykit.errors import ConfigError
from classykit.learning.lessons import UNKNOWN, _numbers

QUIET = {"device": "cpu", "progress": False}


def test_labels_that_are_missing(net, digits):
    x, y = digits
    few = y.tolist()
    few[50:] = [None] * 250
    fit = ck.fit_heads(net, x, {"digit": few, "parity": (y % 2).float().where(y < 5, float("nan"))}, epochs=2, **QUIET)
    assert fit.heads["digit"].known == 50 and fit.heads["parity"].known == int((y < 5).sum())
    marked = y.clone()
    marked[50:] = -1
    assert ck.fit_heads(net, x, {"digit": marked}, epochs=1, **QUIET).heads["digit"].known == 50


def test_names(net, digits):
    x, y = digits
    fit = ck.fit_heads(net, x, {"digit": [f"digit {i}" for i in y]}, epochs=4, **QUIET)
    assert fit.heads["digit"].labels == [f"digit {i}" for i in range(10)] and fit.accuracy["digit"] > 0.5


def test_a_dataset_with_its_own_labels(net, digits):
    x, y = digits
    for trunk in (False, True):
        fit = ck.fit_heads(net, TensorDataset(x[:60], y[:60]), {"digit": None}, epochs=1, trunk=trunk, **QUIET)
        assert fit.heads["digit"].known == 60


def test_none_held_out(net, digits):
    x, y = digits
    fit = ck.fit_heads(net, x, {"digit": y}, epochs=4, test=0, **QUIET)
    assert fit.held_out == 0 and fit.learnt_from == 300 and fit.accuracy["digit"] > 0.6


def test_tokens_clips_and_vectors():
    torch.manual_seed(0)
    vit = ck.build_model(
        "vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
    )
    vit.attach_head("trunk_output", "vision_transformer_head", unique_id="a", num_classes=2)
    vit.attach_head("layer_0", "linear_probe", unique_id="b", num_classes=2)
    x = torch.rand(40, 3, 32, 32)
    x[1::2] += 1
    fit = ck.fit_heads(vit, x, {"a": [0, 1] * 20, "b": [0, 1] * 20}, epochs=10, **QUIET)
    assert fit.accuracy["b"] == 1.0 and fit.accuracy["a"] > 0.8
    clips = ck.datasets.moving_squares(40, frames=4)
    video = ck.build_model("r3d_18", input_planes=3, clip_crop_size=32, frames_per_clip=4)
    video.attach_head(video.block_names[-1], "fully_convolutional_linear", unique_id="way", num_classes=2)
    assert ck.fit_heads(video, clips.x, {"way": clips.y}, epochs=2, **QUIET).heads["way"].known == 40


def test_labels_are_numbers_of_outputs():
    assert _numbers("a", [2, None, 0, -1], 3).tolist() == [2, UNKNOWN, 0, UNKNOWN]
    assert _numbers("a", ["cat", None, "ant"], 3).tolist() == [1, UNKNOWN, 0]
    with pytest.raises(ConfigError, match="classes 0 to 2; there is a label 3"):
        _numbers("a", [3], 3)
