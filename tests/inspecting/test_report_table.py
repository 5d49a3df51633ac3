"""classykit.inspecting.report_table: an inspection in text and HTML."""

import pytest
from torch import nn

import classykit as ck
from classykit.inspecting.report_table import fold_blocks, names_of_run, side, strides_text

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def hostile(small):
    model, _ = small
    model.attach_head("block0-0", "fully_connected", unique_id=HOSTILE, num_classes=3)
    return ck.inspect(model)


def test_html_escapes_names(hostile):
    page = hostile._repr_html_()
    assert "<script" not in page and page.count("&lt;script&gt;") >= 2
    assert page.count("<tr>") == page.count("</tr>") == len(hostile.blocks) + 1


def test_text(hostile, resnet50):
    assert HOSTILE in str(hostile)
    lines = str(resnet50).splitlines()
    assert lines[0] == "resnet50, input 3×224×224" and "heads" not in lines[2]
    assert [line.split()[0] for line in lines[4:-2]] == [b.name for b in resnet50.blocks if b.like is None]
    assert "block2-1 … block2-5 ×5" in lines[-5]
    assert "23.5 M parameters" in lines[-1] and "4.09 G MACs (8.17 G FLOPs)" in lines[-1]
    assert repr(resnet50) == str(resnet50)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("name", ["r3d_18", "efficientnet_b0", "regnet_y_128gf"])
def test_text_is_no_wider_than_the_terminal(width, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = str(ck.inspect(name)).splitlines()
    assert max(map(len, lines)) <= width
    assert "params" in lines[2] and ("type" in lines[2] or width < 160) and ("type" not in lines[2] or width > 80)


def test_html_folds_equal_blocks(resnet50):
    page = resnet50._repr_html_()
    first, every = page.split("<details>")
    assert "block2-1 … block2-5 ×5" in first and "block2-3" not in first and "block2-3" in every
    assert "All 17 rows" in every and first.count("background:#5b9bd5") == 3 * first.count("<tr>") - 3
    assert "<script" not in page and "http" not in page


def test_blocks_that_follow_each_other_and_are_equal_are_one_run(resnet50):
    runs = fold_blocks(resnet50.blocks)
    assert [b.name for run in runs for b in run] == [b.name for b in resnet50.blocks]
    assert [len(run) for run in runs] == [1, 1, 2, 1, 3, 1, 5, 1, 2]


def test_strides_and_what_a_block_sees_in_words(resnet50):
    assert [strides_text(axes) for axes in ((), (1.0, 1.0), (2, 2), (0.5, 0.5), (1, 2, 2))] == [
        "", "1", "2", "1/2", "1×2×2"]  # fmt: skip
    assert side(None) == "" and side(resnet50["initial_block"].receptive_field) == "11×11"
    assert side(ck.inspect("vit_b_32")["layer_0"].receptive_field) == "all"
    stopped = ck.inspect(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2)), (3, 32, 32))
    assert [side(b.receptive_field) for b in stopped.blocks][-1] == "all"


def test_long_names_are_cut_to_what_differs():
    assert names_of_run("features.denseblock1.1", "features.denseblock1.6", 6) == "features.denseblock1.1 … 6 ×6"
    assert names_of_run("block0", "block0", 1) == "block0"
