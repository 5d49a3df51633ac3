"""classykit.models.mlp against ClassyVision."""

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError

BASE = {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8]}
OPTIONS = {
    "plain": {},
    "no hidden layer": {"hidden_dims": []},
    "dropout": {"dropout": 0.5},
    "first_dropout": {"dropout": 0.5, "first_dropout": True},
    "first_dropout without dropout": {"first_dropout": True},
    "use_batchnorm": {"use_batchnorm": True},
    "first_batchnorm": {"use_batchnorm": True, "first_batchnorm": True},
    "everything": {"dropout": 0.5, "first_dropout": True, "use_batchnorm": True, "first_batchnorm": True},
}


@pytest.mark.parametrize("label", OPTIONS)
def test_parity(label, assert_same_shell, assert_same_outputs, assert_trains_the_same, input_for):
    config, label = {**BASE, **OPTIONS[label]}, f"mlp: {label}"
    assert_same_shell(config, label)
    ours, theirs = assert_same_outputs(config, label)
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=6, dtype=torch.float64), 1e-9)


@pytest.mark.parametrize("label", OPTIONS)
def test_blocks_are_the_layers_after_their_activation(label):
    model = ck.build_model({**BASE, **OPTIONS[label]}).eval()
    hidden = [f"hidden{i}" for i in range(len(model.config["hidden_dims"]))]
    assert model.block_names == [*hidden, "output"]
    x = torch.randn(3, 12)
    got = ck.capture(model, x, model.block_names)
    assert all(got[h].min() == 0 for h in hidden)
    assert torch.equal(got["output"], model(x))


def test_inputs_are_flattened():
    model = ck.build_model(BASE)
    x = torch.randn(2, 3, 2, 2)
    assert torch.equal(model(x), model(x.flatten(1)))


@pytest.mark.parametrize(
    "keys",
    [{"first_batchnorm": True}, {"hidden_dims": [0]}, {"dropout": 1.0}, {"input_dim": "12"}, {"hidden_dim": [8]}],
)
def test_bad_keys(keys):
    with pytest.raises(ConfigError, match=next(iter(keys))):
        ck.build_model({**BASE, **keys})
