"""classykit.extracting.picture_folder: the pictures in a folder, sorted, with sub-folders as labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from extractions import BOTH, plain, run
from PIL import Image

import classykit as ck
from classykit.errors import ImageError
from classykit.extracting.picture_folder import Folder


@BOTH
@pytest.mark.parametrize("workers", [0, 2])
def test_as_loaded_one_by_one(pictures, small, reduce, workers, tmp_path):
    model, _ = small
    with pytest.warns(RuntimeWarning, match="2 of 7 images could not be read") as said:
        found = run(model, pictures, ["block0-0", "block1-1"], tmp_path, reduce=reduce, workers=workers,
                    batch_size=2)  # fmt: skip
    names = ["cat/d.webp", "cat/deep/er/c.png", "dog/a.JPG", "dog/b.png", "top.bmp"]
    table = found.to_pandas()
    assert list(table["id"]) == names and list(table["index"]) == [0, 1, 2, 3, 6]
    assert list(table["label"][:4]) == ["cat", "cat", "dog", "dog"] and pd.isna(table["label"][4])
    assert [(s.index, s.id) for s in found.skipped] == [(4, "dog/cut.png"), (5, "dog/empty.jpg")]
    assert "cut short" in found.skipped[0].reason and "0 bytes" in found.skipped[1].reason
    assert any("dog/cut.png" in str(one.message) for one in said)
    assert len(found) == 5 and found.images == found.done == 7 and found.complete
    x = torch.cat([ck.preprocess(pictures / name, model) for name in names])
    for block, wanted in plain(model, x, ["block0-0", "block1-1"], reduce).items():
        got = found.array(block)
        if reduce is None:
            assert np.isnan(got[4:6]).all()
            got = got[[0, 1, 2, 3, 6]]
        torch.testing.assert_close(torch.tensor(got), wanted, rtol=1e-4, atol=1e-5)


def test_without_pictures(small, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("no picture")
    for folder, words in (("empty", "it is empty"), ("texts", r"it holds a.txt.*\.png"), ("none", "not there"),
                          ("texts/a.txt", "is a file")):  # fmt: skip
        with pytest.raises(ImageError, match=words):
            run(small[0], tmp_path / folder, "block0-0", tmp_path / "out")
    assert not (tmp_path / "out").exists()


class TestLinksAndGoneFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "pictures"
        folder.mkdir()
        for i in range(3):
            Image.new("RGB", (9, 9), (i, 0, 0)).save(folder / f"{i}.bmp")
        return folder

    def test_links_that_lead_nowhere_are_skipped_and_listed(self, folder, small, tmp_path):
        (folder / "link.png").symlink_to("gone.png")
        (folder / "ring.png").symlink_to("ring.png")
        (folder / "round").symlink_to(".")
        with pytest.warns(RuntimeWarning, match="2 of 5 images could not be read"):
            found = run(small[0], folder, "block0-0", tmp_path / "out")
        assert [s.id for s in found.skipped] == ["link.png", "ring.png"] and len(found) == 3

    def test_other_pictures_of_the_same_names_and_sizes_are_noticed(self, folder):
        before = Folder(folder).fingerprint()
        assert Folder(folder).fingerprint() == before
        size = (folder / "1.bmp").stat().st_size
        Image.new("RGB", (9, 9), (99, 0, 0)).save(folder / "1.bmp")
        assert (folder / "1.bmp").stat().st_size == size and Folder(folder).fingerprint() != before

    def test_a_file_that_has_gone(self, folder):
        data = Folder(folder)
        before = data.fingerprint()
        (folder / "1.bmp").unlink()
        assert data.fingerprint() != before
