"""classykit.measuring.matmul_peak: the quickest matrix product, measured once."""

import pytest
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

    def test_larger_ones_are_not_tried_after_a_slow_one(self, monkeypatch):
        tried = []
        monkeypatch.setattr(matmul_peak, "_known", {})
        monkeypatch.setattr(matmul_peak, "_seconds", lambda n, device, dtype: tried.append(n) or n / 4000)
        assert matmul_peak.matmul_peak(CPU, torch.float32) == 2 * 256**3 / (256 / 4000)
        assert tried == [256]

    @pytest.mark.parametrize("room", [256, 128])
    def test_what_is_out_of_memory_ends_it_if_anything_fitted(self, room, monkeypatch):
        def seconds(n, device, dtype):
            if n > room:
                raise MemoryError
            return 0.01

        monkeypatch.setattr(matmul_peak, "_known", {})
        monkeypatch.setattr(matmul_peak, "_seconds", seconds)
        if room == 256:
            assert matmul_peak.matmul_peak(CPU, torch.float32) == 2 * 256**3 / 0.01
        else:
            with pytest.raises(MemoryError):
                matmul_peak.matmul_peak(CPU, torch.float32)
            assert matmul_peak._known == {}
