"""classykit.heads.fully_connected: ClassyVision's head of 2-D maps."""

import pytest

from classykit.errors import ConfigError
from classykit.heads import build_head

HEAD = {"name": "fully_connected", "unique_id": "h", "in_plane": 6, "num_classes": 5}
CASES = {
    "fully_connected": HEAD,
    "fully_connected without classes": {**HEAD, "num_classes": None},
    "fully_connected conv_planes": {**HEAD, "conv_planes": 8},
    "fully_connected conv_planes silu": {**HEAD, "conv_planes": 8, "activation": "silu"},
    "fully_connected conv_planes without classes": {**HEAD, "conv_planes": 8, "num_classes": None},
    "fully_connected l2": {**HEAD, "normalize_inputs": "l2"},
    "fully_connected zero_init_bias": {**HEAD, "zero_init_bias": True},
}


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_parity(label, train, assert_same_head, inputs):
    assert_same_head(CASES[label], inputs["a 2-D map"], train, label)


@pytest.mark.parametrize("label", CASES)
def test_initial_weights(label, assert_head_starts_the_same):
    assert_head_starts_the_same(CASES[label])


@pytest.mark.parametrize("label", CASES)
def test_the_config_rebuilds_the_head(label, assert_rebuilt):
    assert_rebuilt(CASES[label])


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": True}, "num_classes"),
        ({"in_plane": 0.5}, "in_plane"),
        ({"activation": "tanh"}, "relu"),
        ({"normalize_inputs": "l1"}, "l2"),
        ({"conv_plane": 3}, "conv_planes"),
    ],
)
def test_bad_configs(keys, words):
    with pytest.raises(ConfigError, match=words):
        build_head({**HEAD, **keys})
