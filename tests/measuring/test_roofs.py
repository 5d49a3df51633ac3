"""classykit.measuring.roofs: what a device can do at best."""

import pytest
import torch

from classykit.measuring import roofs as module
from classykit.measuring.roofs import Roofs, copy_peak, roofs

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_known", {})
    monkeypatch.setattr(module, "_BYTES", {"cpu": 2**22})
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    monkeypatch.setattr(module, "matmul_peak", lambda device, dtype: 4e10)


def test_the_limits():
    found = Roofs(100.0, 10.0)
    assert found.ridge == 10 and found.at(1) == 10 and found.at(10) == found.at(1000) == 100


def test_a_copy_is_measured_once():
    first = copy_peak(CPU)
    assert 1e8 < first < 1e13 and copy_peak(CPU) == first and len(module._known) == 1
    assert roofs(CPU, torch.float32) == Roofs(4e10, first)


def test_less_is_copied_where_memory_is_short(monkeypatch):
    real, asked = torch.zeros, []

    def zeros(size, **keys):
        asked.append(size)
        if size > 2**20:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return real(size, **keys)

    monkeypatch.setattr(torch, "zeros", zeros)
    assert copy_peak(CPU) > 1e7 and asked[:2] == [2**22, 2**20]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_of_a_gpu():
    found = roofs(torch.device("cuda"), torch.bfloat16)
    assert found.bytes_per_s > 1e11
