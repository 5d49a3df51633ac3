"""classykit.inspecting.rows: what a pass showed of each block, in figures."""

from dataclasses import replace

import pytest

import classykit as ck
from classykit.inspecting.rows import _stride, likened, row_of_head, row_paths


@pytest.mark.parametrize("positions, meant", [(33, 8), (17, 16), (9, 32), (65, 4), (260, 1), (20, 13)])
def test_a_stride_that_is_not_known_is_what_its_maker_meant(positions, meant):
    """260 pixels at 33 positions, 7.88, are stride 8; a whole number is what it is."""
    assert _stride(None, (positions,), (260,)) == meant
    assert _stride(None, (positions, 130), (260, 260)) == ((meant, 2) if meant != 2 else 2)
    assert _stride(None, (), (260,)) is None


def test_rows_that_are_equal_but_for_the_name_are_alike():
    rows = ck.inspect("resnet50").blocks
    assert likened(replace(row, like=None) for row in rows) == rows
    assert [row.like for row in rows if row.name.startswith("block0")] == [None, None, "block0-1"]
    seen = replace(rows[0], name="again", like=None, receptive_field=None)
    assert likened([rows[0], seen])[1].like == rows[0].name


def test_heads_have_rows_of_their_own_whatever_they_are_called():
    model = ck.build_model("resnet18", device="meta")
    model.attach_head("block1-0", "identity", unique_id="block0-0")
    model.attach_head("blocks.0.block0-0.convolutional_block", "identity", unique_id="inner")
    paths = row_paths(model)
    assert list(paths)[: len(model.block_names)] == model.block_names
    assert paths["head block0-0"].startswith("_heads") and paths["inner"].startswith("_heads")
    assert "blocks.0.block0-0.convolutional_block" in paths.values(), "what a head is at has a row"
    assert row_of_head("cls", paths) == "cls" and row_of_head("block0-0", paths) == "head block0-0"
