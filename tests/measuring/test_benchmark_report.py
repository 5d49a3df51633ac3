"""classykit.measuring.benchmark_report: figures that follow from the times."""

import statistics

import pytest

from classykit.measuring.benchmark_report import Benchmark, Row


class TestRows:
    def test_figures_follow_from_the_times(self):
        times = (0.004, 0.001, 0.002, 0.003, 0.005)
        row = Row("m", "cpu", "eager", "float32", 8, "ok", times, 1.0, 5_000_000, 10**9, 1e13)
        assert (row.latency_ms, row.latency_p25_ms, row.latency_p75_ms) == (3.0, 2.0, 4.0)
        assert row.images_per_s == pytest.approx(8 / 0.003) and row.peak_memory_mb == 5
        assert row.tflops == pytest.approx(2 * 8e9 / 0.003 / 1e12)
        assert row.peak_percent == pytest.approx(100 * row.tflops / 10)


class TestCompare:
    def test_ratios_are_of_rounds(self, compared):
        found = compared
        table = found.ratios()
        assert list(table.model) == ["big", "again"] * 2 and set(table.against) == {"mlp"}
        big = table[(table.model == "big") & (table.batch_size == 4)].iloc[0]
        assert big.ratio > 3 and big.ratio_p25 <= big.ratio <= big.ratio_p75
        assert table[table.model == "again"].ratio.between(0.2, 5).all()
        row, first = found.find("eager", 4, model="big"), found.find("eager", 4)
        assert big.ratio == statistics.median(a / b for a, b in zip(row.times, first.times, strict=True))
        assert big.rounds == len(row.times)


class TestForms:
    def test_the_table(self, found):
        table = found.to_pandas()
        assert list(table) == [
            "model", "device", "mode", "dtype", "batch_size", "latency_ms", "latency_p25_ms", "latency_p75_ms",
            "images_per_s", "peak_memory_mb", "tflops", "peak_percent", "setup_s", "status",
        ]  # fmt: skip
        assert all(column in Benchmark.to_pandas.__doc__ for column in table) and len(table) == 8
        ok = table[table.status == "ok"]
        assert (ok.latency_p25_ms <= ok.latency_ms).all() and (ok.latency_ms <= ok.latency_p75_ms).all()
        assert table[table["mode"] == "cuda_graph"].latency_ms.isna().all()

    def test_find(self, found):
        assert found.find("eager", 8, "float64").dtype == "float64" and found.find("eager", 1).dtype == "float32"
        with pytest.raises(KeyError):
            found.find("eager", 3)
