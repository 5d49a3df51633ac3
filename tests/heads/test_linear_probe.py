"""classykit.heads.linear_probe: the mean over positions, and one linear layer."""

import pytest
import torch

from classykit.errors import ConfigError
from classykit.heads import build_head

HEAD = {"name": "linear_probe", "unique_id": "h", "in_plane": 6, "num_classes": 5}


@pytest.mark.parametrize("kind", ["a 2-D map", "a 3-D map", "tokens", "a vector"])
def test_a_linear_probe_is_the_mean_and_a_linear_layer(kind, inputs):
    probe, x = build_head(HEAD), inputs[kind]
    channels = x.movedim(-1, 1) if kind == "tokens" else x
    mean = channels.reshape(2, 6, -1).mean(-1)
    torch.testing.assert_close(probe(x), mean @ probe.fc.weight.T + probe.fc.bias)


def test_a_linear_probe_on_tokens_in_the_other_order(inputs):
    x = inputs["tokens"]
    first = build_head(HEAD)
    other = build_head({**HEAD, "tokens": "sequence_first"})
    other.load_state_dict(first.state_dict())
    torch.testing.assert_close(other(x.transpose(0, 1)), first(x))


def test_the_config_rebuilds_the_head(assert_rebuilt):
    assert_rebuilt({**HEAD, "tokens": "sequence_first"})


def test_bad_configs():
    with pytest.raises(ConfigError, match="num_classes"):
        build_head({"name": "linear_probe", "unique_id": "h", "in_plane": 3})
