"""classykit.measuring.matmul_peak: the quickest matrix product, measured once."""

import torch
from measured import CPU

from classykit.measuring import matmul_peak


class TestPeak:
    def test_it_is_measured_once_and_plausible(self, monkeypatch):
        monkeypatch.setattr(matmul_peak, "_known", {})
        monkeypatch.setattr(matmul_peak, "_SIZES", {"cpu": (64, 128)})
        before = torch.get_rng_state()
        first = matmul_peak.matmul_peak(CPU, torch.float32)
        assert 1e7 < first < 1e15 and torch.equal(before, torch.get_rng_state())
        assert matmul_peak.matmul_peak(CPU, torch.float32) == first
        assert len(matmul_peak._known) == 1
        matmul_peak.matmul_peak(CPU, torch.float64)
        assert len(matmul_peak._known) == 2
