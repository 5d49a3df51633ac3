"""Digits, and a trained network with heads to teach."""

import copy

import pytest

import classykit as ck


@pytest.fixture(scope="session")
def digits():
    x, y = ck.datasets.digits(32).train
    return x[:300] * 2 - 1, y[:300]


@pytest.fixture(scope="session")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


@pytest.fixture
def net(lite):
    """Three heads on three blocks, as an exercise has them."""
    net = copy.deepcopy(lite).train()
    net.attach_head("block1-0", "linear_probe", unique_id="parity", num_classes=2)
    net.attach_head("block3-2", "fully_connected", unique_id="digit", num_classes=10)
    net.attach_head("trunk_output", "linear_probe", unique_id="loop", num_classes=2)
    return net
