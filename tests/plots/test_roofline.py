"""classykit.plots.roofline: how fast blocks are, below what the device can do."""

from dataclasses import replace

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError
from classykit.measuring import profile_report
from classykit.measuring.roofs import Roofs
from classykit.plots.roofline import roofline


@pytest.fixture(scope="module")
def profile():
    net = ck.build_model("resnet18", small_input=True)
    return ck.profile_blocks(net, torch.rand(2, 3, 32, 32), device="cpu", dtype="float32", seconds=0.01, progress=False)


@pytest.fixture(autouse=True)
def roofs(monkeypatch):
    monkeypatch.setattr(profile_report.Profile, "roofs", lambda self: Roofs(1e11, 1e10))


def test_traffic_is_counted(profile):
    """Weights once, each activation written and read: of a block by hand."""
    inspection = ck.inspect({"name": "resnet18", "small_input": True})
    blocks = {block.name: block for block in inspection.blocks}
    rows = [row for row in profile.rows if row.name in blocks]
    assert [row.name for row in rows] == list(blocks)
    for row in rows:
        block = blocks[row.name]
        assert row.traffic == 4 * (block.params + 2 * 2 * block.activations)
        assert row.flops_per_byte == 2 * row.macs / row.traffic
    table = profile.to_pandas().set_index("block")
    assert table.flops_per_byte["block0-0"] == profile["block0-0"].flops_per_byte


def test_bound_by_what(profile):
    row = profile.rows[0]
    assert profile.bound(replace(row, macs=1, traffic=1000)) == "memory"
    assert profile.bound(replace(row, macs=10**6, traffic=1000)) == "compute"
    assert profile.bound(replace(row, macs=None)) == ""


def test_every_block_is_below_a_roof(profile):
    figure = profile.plot("roofline")
    axes = figure.axes[0]
    dots = [tuple(point) for drawn in axes.collections for point in drawn.get_offsets()]
    counted = [run for run in profile.runs() if any(row.macs for row in run)]
    assert len(dots) == len(counted)
    slope, flat = axes.lines[0].get_xdata(), axes.lines[0].get_ydata()
    assert slope[1] == 10 and flat[1] == flat[2] == 1e11 and flat[0] == pytest.approx(slope[0] * 1e10)
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words[0].startswith("bound by memory") and words[1].startswith("bound by compute")
    assert sum(int(word.split()[3]) for word in words) == sum(map(len, counted))
    figure.draw_without_rendering()


def test_bad_input(profile):
    with pytest.raises(ConfigError, match='what is "bars" or "roofline"'):
        profile.plot("pie")
    with pytest.raises(ConfigError, match="nothing to put below a roof"):
        roofline(replace(profile, rows=tuple(replace(row, macs=None) for row in profile.rows)))
