"""classykit.models.efficientnet against ClassyVision, and what Lite adds."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.models.efficientnet import SamePadConv2d, drop_connect

NAMES = [f"efficientnet_b{i}" for i in range(8)]
TINY = {"width_coefficient": 0.1, "depth_coefficient": 0.1, "resolution": 64, "dropout_rate": 0.2}
#: ClassyVision's family class has no defaults
BASE = {
    "name": "efficientnet", "model_params": TINY, "num_classes": 7, "bn_momentum": 0.01, "bn_epsilon": 1e-3,
    "width_divisor": 8, "min_width": None, "drop_connect_rate": 0.2, "use_se": True,
}  # fmt: skip
OPTIONS = {
    "model_params": {},
    "deeper, wider": {"model_params": {**TINY, "width_coefficient": 0.25, "depth_coefficient": 0.6}},
    "dropout_rate 0": {"model_params": {**TINY, "dropout_rate": 0.0}},
    "num_classes": {"num_classes": 3},
    "bn_momentum": {"bn_momentum": 0.5},
    "bn_epsilon": {"bn_epsilon": 0.1},
    "width_divisor": {"width_divisor": 4, "model_params": {**TINY, "width_coefficient": 0.23}},
    "min_width": {"min_width": 20},
    "use_se False": {"use_se": False},
    "drop_connect_rate 0": {"drop_connect_rate": 0.0},
    "drop_connect_rate None": {"drop_connect_rate": None},
    "drop_connect_rate": {"drop_connect_rate": 0.7, "model_params": {**TINY, "depth_coefficient": 0.6}},
}


@pytest.mark.parametrize("name", [f"B{i}" for i in range(8)])
def test_model_name(name, assert_same_shell, assert_same_results):
    config = {k: v for k, v in BASE.items() if k != "model_params"}
    label = "efficientnet: model_name" if name == "B0" else None
    ours, theirs = assert_same_shell({**config, "model_name": name}, label)
    if label is not None:
        assert_same_results(copy.deepcopy(ours), theirs, label, (3, 32, 32))
    named = ck.build_model(f"efficientnet_{name.lower()}", device="meta", num_classes=7)
    assert [v.shape for v in ours.state_dict().values()] == [v.shape for v in named.state_dict().values()]


def test_every_registered_name_is_tested():
    lite = [f"efficientnet_lite{i}" for i in range(3)]
    assert sorted(ck.list_models("efficientnet_*")) == sorted([*NAMES, *lite])


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_outputs):
    config, label = {**BASE, **OPTIONS[label]}, f"efficientnet: {label}"
    assert_same_shell(config, label)
    ours, theirs = assert_same_outputs(config, label)
    for a, b in zip(_norms(ours), _norms(theirs), strict=True):
        assert (a.eps, a.momentum) == (b.eps, b.momentum)


def _norms(model):
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("label", OPTIONS)
def test_training_draws_the_same_random_numbers(label, assert_same_outputs, assert_trains_the_same, input_for):
    ours, theirs = assert_same_outputs({**BASE, **OPTIONS[label]}, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=4, dtype=torch.float64), 1e-9)


def test_drop_connect_keeps_the_mean_and_drops_whole_samples():
    torch.manual_seed(0)
    y = drop_connect(torch.ones(4000, 2, 3, 3), 0.25)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(y.amin((1, 2, 3)), y.amax((1, 2, 3)))
    assert y.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 15, 16, 33])
@pytest.mark.parametrize("kernel, stride", [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_same_padding_is_tensorflows(size, kernel, stride):
    conv = SamePadConv2d(2, 2, kernel, stride, kernel // 2, bias=False)
    x = torch.randn(1, 2, size, size + 3)
    got = conv(x)
    assert got.shape[-2:] == (-(-size // stride), -(-(size + 3) // stride))
    # TensorFlow's definition: pad with zeros before and after, the odd one after, then convolve without padding
    pads = []
    for n in (size + 3, size):
        total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
        pads += [total // 2, total - total // 2]
    torch.testing.assert_close(got, F.conv2d(F.pad(x, pads), conv.weight, stride=stride))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_lite(name):
    model = ck.build_model(name, device="meta")
    kinds = {type(m).__name__ for m in model.modules()}
    assert "ReLU6" in kinds and "SamePadConv2d" in kinds and "SiLU" not in kinds
    assert not any(".se_" in key for key in model.state_dict())
    assert model.conv_stem.out_channels == 32 and model.fc.in_features == 1280
    assert [n for n in model.block_names if n.startswith(("block0", "block6"))] == ["block0-0", "block6-0"]


def test_features_are_a_map_and_the_classifier_stays():
    model = ck.build_model(BASE).eval()
    x = torch.randn(2, 3, 64, 64)
    features = model.extract_features(x)
    assert features.shape == (2, model.fc.in_features, 2, 2)
    torch.testing.assert_close(model(x), model.fc(features.mean((2, 3))))


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"model_params": None}, "model_name"),
        ({"model_name": "B9"}, "B0"),
        ({"model_params": {"width_coefficient": 1.0}}, "depth_coefficient"),
        ({"model_params": {**TINY, "depth": 1.0}}, "model_params.depth"),
        ({"drop_connect_rate": 1.0}, "drop_connect_rate"),
        ({"bn_epsilon": float("nan")}, "bn_epsilon"),
        ({"activation": "gelu"}, "relu6"),
        ({"padding": 1}, "same"),
        ({"num_class": 10}, "num_classes"),
    ],
)
def test_bad_keys(keys, words):
    with pytest.raises(ConfigError, match=words):
        ck.build_model({**BASE, **keys}, device="meta")


def test_a_named_model_takes_every_key_of_its_family():
    model = ck.build_model("efficientnet_b0", device="meta", num_classes=10, use_se=False, bn_epsilon=1e-5)
    assert model.fc.out_features == 10 and model.bn0.eps == 1e-5
    assert not any(".se_" in key for key in model.state_dict())
