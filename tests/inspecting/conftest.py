"""Fixtures that several modules here share."""

import pytest

import classykit as ck


@pytest.fixture(scope="module")
def resnet50():
    return ck.inspect("resnet50")
