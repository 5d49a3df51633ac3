"""classykit.formats: figures for people."""

import pytest

from classykit import formats


@pytest.mark.parametrize("n, text", [
    (0, "0"), (7, "7"), (999, "999"), (1000, "1.00 k"), (1234, "1.23 k"), (12_345, "12.3 k"), (123_456, "123 k"),
    (999_499, "999 k"), (999_500, "1.00 M"), (4_652_008, "4.65 M"), (2.5e9, "2.50 G"), (-4_652_008, "-4.65 M"),
    (5e17, "500 P"), (5e18, "5000 P"),
])  # fmt: skip
def test_count(n, text):
    assert formats.count(n) == text


def test_count_with_other_digits():
    assert formats.count(4_652_008, 2) == "4.7 M" and formats.count(4_652_008, 4) == "4.652 M"


@pytest.mark.parametrize("n, text", [(0, "0 B"), (512, "512 B"), (18_608_032, "18.6 MB"), (4.4e12, "4.40 TB")])
def test_size(n, text):
    assert formats.size(n) == text


@pytest.mark.parametrize("t, text", [
    (0, "0 ms"), (0.0000312, "0.031 ms"), (0.00312, "3.1 ms"), (0.0312, "31 ms"), (0.25, "250 ms"), (1.234, "1.2 s"),
    (99.9, "99.9 s"), (123.4, "123 s"),
])  # fmt: skip
def test_seconds(t, text):
    assert formats.seconds(t) == text


@pytest.mark.parametrize("share, text", [
    (0, "0 %"), (1, "100 %"), (0.38, "38 %"), (0.0345, "3.5 %"), (0.0019, "0.19 %"), (0.00001, "< 0.01 %"),
])  # fmt: skip
def test_percent(share, text):
    assert formats.percent(share) == text
