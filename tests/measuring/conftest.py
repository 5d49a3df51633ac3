"""Fixtures that several modules here share."""

import pytest
from measured import MLP, few, quick

from classykit.measuring import bench, benchmark


@pytest.fixture(scope="module", autouse=True)
def quickly():
    """A peak that need not be measured, and five passes a row; `test_timing` is for the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "matmul_peak", lambda device, dtype: 1e11)
        patch.setattr(bench, "interleave", few)
        yield


@pytest.fixture(scope="module")
def compared(quickly):
    big = {**MLP, "hidden_dims": [1500, 1500, 1500]}
    return quick(MLP, (1, 4), "float32", ("eager", "cuda_graph"), compare={"big": big, "again": MLP})


@pytest.fixture(scope="module")
def found(quickly):
    return quick(MLP, (1, 8), ["float32", "float64"], ("eager", "cuda_graph"))
