"""classykit.weights.families.efficientnet: settings that no weight shows."""

import pytest
import torch
from sources import make

import classykit as ck
from classykit.errors import WeightsError


def test_the_config_rebuilds_the_converted_model(randomise):
    source = make("efficientnet_b0", randomise)
    model = ck.load_pretrained("efficientnet_b0", source=source)
    again = ck.build_model(model.config).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(again(x), model(x)) and model.config["bn_epsilon"] == source.features[0][1].eps == 1e-5


def test_one_odd_epsilon_in_an_efficientnet_is_refused(randomise):
    source = make("efficientnet_b0", randomise)
    source.features[4][0].block[0][1].eps = 0.05
    with pytest.raises(WeightsError, match=r"other logits|eps"):
        ck.load_pretrained("efficientnet_b0", source=source)
