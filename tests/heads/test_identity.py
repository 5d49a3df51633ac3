"""classykit.heads.identity: what comes in goes out."""

import pytest

from classykit.errors import ConfigError
from classykit.heads import build_head

HEAD = {"name": "identity", "unique_id": "h"}


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_parity(train, assert_same_head, inputs):
    assert_same_head(HEAD, inputs["tokens"], train, "identity")


def test_initial_weights(assert_head_starts_the_same):
    assert_head_starts_the_same(HEAD)


def test_the_config_rebuilds_the_head(assert_rebuilt):
    assert_rebuilt(HEAD)


def test_it_is_the_very_tensor(inputs):
    assert [kind for kind, x in inputs.items() if build_head(HEAD)(x) is x] == list(inputs) != []


@pytest.mark.parametrize("keys", [{"unique_id": ""}, {"unique_id": 3}])
def test_bad_configs(keys):
    with pytest.raises(ConfigError, match="unique_id"):
        build_head({**HEAD, **keys})
