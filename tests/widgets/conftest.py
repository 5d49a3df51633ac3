"""An app to try, and one with trained weights."""

import copy

import pytest

import classykit as ck
from tests.helpers.apps import SMALL


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """A click has been answered when `send` returns, also where a browser test before has left an event loop."""
    monkeypatch.setattr("classykit.widgets.worker._is_served", lambda: False)


@pytest.fixture
def app():
    return ck.explore(copy.deepcopy(SMALL), image="grace_hopper")


@pytest.fixture(scope="module")
def _trained():
    return ck.explore("efficientnet_lite0", image="coffee")


@pytest.fixture
def trained(_trained):
    _trained.config = {"name": "efficientnet_lite0"}
    _trained.image = "coffee"
    return _trained
