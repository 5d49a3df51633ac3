"""classykit.measuring.profile_report: rows that add up."""

import pytest
from profiled import quick

from classykit.measuring.profile_report import Profile


class TestRows:
    def test_they_add_up(self, small):
        found = quick(*small)
        assert found.total_ms == pytest.approx(sum(r.time_ms for r in found.rows))
        assert sum(found.time_share(r) for r in found.rows) == pytest.approx(1)
        assert sum(found.macs_share(r) for r in found.rows) == pytest.approx(1)
        assert found.time_share(*found.rows) == pytest.approx(1)
        # of each pass, the times of the blocks and the rest are its whole time
        for i, whole in enumerate(found.watched_times):
            assert sum(r.times[i] for r in found.rows) == pytest.approx(whole, rel=0.1, abs=1e-4)
        for row in found.rows:
            assert len(row.times) == len(found.watched_times) >= 5 and row.time_p25_ms <= row.time_ms <= row.time_p75_ms
        assert found["block1-0"].name == "block1-0"
        with pytest.raises(KeyError):
            found["nonsense"]

    def test_the_speed(self, small):
        row = quick(*small)["block0-0"]
        assert row.flops_per_s == pytest.approx(2 * row.macs / (row.time_ms / 1000))


class TestForms:
    @pytest.fixture
    def found(self, small):
        return quick(*small)

    def test_the_table(self, found):
        table = found.to_pandas()
        assert all(column in Profile.to_pandas.__doc__ for column in table)
        assert table.time_share.sum() == pytest.approx(1) and table.macs.sum() == found.macs
        assert (table.gflops * table.time_ms / 1000 * 1e9).sum() == pytest.approx(2 * found.macs)
        assert list(table.block) == [r.name for r in found.rows]
