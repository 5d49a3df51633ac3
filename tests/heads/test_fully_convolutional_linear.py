"""classykit.heads.fully_convolutional_linear: ClassyVision's head of 3-D maps."""

import pytest

from classykit.errors import ConfigError
from classykit.heads import build_head

HEAD = {"name": "fully_convolutional_linear", "unique_id": "h", "in_plane": 6, "num_classes": 5}
CASES = {
    "fully_convolutional_linear": HEAD,
    "fully_convolutional_linear pool_size": {**HEAD, "pool_size": [2, 3, 1]},
    "fully_convolutional_linear sigmoid": {**HEAD, "activation_func": "sigmoid", "pool_size": [1, 2, 2]},
    "fully_convolutional_linear identity": {**HEAD, "activation_func": "identity"},
    "fully_convolutional_linear dropout": {**HEAD, "use_dropout": True, "dropout_ratio": 0.3},
}


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_parity(label, train, assert_same_head, inputs):
    assert_same_head(CASES[label], inputs["a 3-D map"], train, label)


@pytest.mark.parametrize("label", CASES)
def test_initial_weights(label, assert_head_starts_the_same):
    assert_head_starts_the_same(CASES[label])


@pytest.mark.parametrize("label", CASES)
def test_the_config_rebuilds_the_head(label, assert_rebuilt):
    assert_rebuilt(CASES[label])


@pytest.mark.parametrize(
    "keys, words", [({"pool_size": [1, 2]}, "pool_size"), ({"dropout_ratio": 2.0}, "dropout_ratio")]
)
def test_bad_configs(keys, words):
    with pytest.raises(ConfigError, match=words):
        build_head({**HEAD, **keys})
