"""classykit.extracting.extraction: features that were written, read again."""

import shutil

import numpy as np
import pandas as pd
import pytest
from extractions import run

from classykit.errors import ConfigError, StateError
from classykit.extracting.extraction import Extraction


def test_read_elsewhere(begun, tmp_path):
    found, _, _ = begun
    shutil.move(found.path, tmp_path / "moved")
    again = Extraction(tmp_path / "moved")
    assert str(again).startswith(f"Features of 6 images in {tmp_path / 'moved'}: block0-0 (") and len(again) == 6
    table = pd.read_parquet(tmp_path / "moved")
    assert list(table) == ["index", "id", "block0-0"] and list(table["index"]) == list(range(6))
    np.testing.assert_array_equal(np.stack(table["block0-0"]), again.array())
    assert again.open().schema.field("block0-0").type.list_size == again.blocks["block0-0"][0]
    assert again.open().count_rows() == 6
    with pytest.raises(StateError, match="no features of classykit in"):
        Extraction(tmp_path / "nowhere")


def test_several_blocks_have_to_be_told_apart(small, tmp_path):
    found = run(*small, ["block0-0", "block1-0"], tmp_path, reduce=None)
    with pytest.raises(ConfigError, match="'block0-0', 'block1-0'"):
        found.array()
    assert isinstance(found.open()["block0-0"], np.memmap)
