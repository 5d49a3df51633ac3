"""Fixtures that several modules here share."""

import pytest
from compared import RESNETS

import classykit as ck


@pytest.fixture(scope="module")
def resnets():
    return ck.compare(RESNETS, budget={"params": 22e6, "macs": 2e9})
