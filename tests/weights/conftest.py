"""Fixtures that several modules here share."""

import pytest

import classykit as ck


@pytest.fixture(scope="module")
def lite0():
    return ck.load_pretrained("efficientnet_lite0")
