"""classykit.extracting.feature_source: what is read, of which kind, and what is left out."""

import errno
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch
from extractions import BOTH, plain, run
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import classykit as ck
from classykit.errors import ConfigError, DeviceError, ImageError, StateError
from classykit.extracting.feature_source import Items


def test_a_damaged_picture_can_be_an_error(pictures, small, tmp_path):
    with pytest.raises(ImageError, match=r"Image 4 \(dog/cut.png\) cannot be read.*on_error"):
        run(small[0], pictures, "block0-0", tmp_path, on_error="raise", batch_size=2)


def test_a_model_has_its_own_preprocessing(pictures, small, tmp_path):
    model, _ = small
    model.preprocessing = ck.images.Preprocessing(size=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.warns(RuntimeWarning):
        found = run(model, pictures, "block0-0", tmp_path)
    wanted = plain(model, ck.preprocess(pictures / "cat/d.webp", model), ["block0-0"])["block0-0"]
    torch.testing.assert_close(torch.tensor(found.array()[:1]), wanted, rtol=1e-4, atol=1e-5)
    model.preprocessing = ck.images.Preprocessing(size=64)
    with pytest.raises(StateError, match="preprocessing is"):
        run(model, pictures, "block0-0", tmp_path)


def test_when_none_can_be_read(small, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(b"")
    with pytest.raises(ImageError, match=r"None of the 2 images can be read.*0 bytes"):
        run(small[0], tmp_path / "in", "block0-0", tmp_path / "out")


class Endless(IterableDataset):
    def __len__(self):
        return 3

    def __iter__(self):
        return iter(torch.zeros(3, 3, 8, 8))


class TestDatasets:
    X = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize("kind, labels", [
        (lambda x: x, None), (list, None), (lambda x: [(t, i) for i, t in enumerate(x)], [0, 1, 2, 3, 4]),
        (lambda x: [(t, torch.tensor(i / 2), "more") for i, t in enumerate(x)], [0, 0.5, 1, 1.5, 2]),
        (lambda x: [{"label": str(i), "image": t} for i, t in enumerate(x)], list("01234")),
        (lambda x: [[t, None if i else 3] for i, t in enumerate(x)], [3, *[np.nan] * 4]),
        (lambda x: [(t, {"boxes": []}) for t in x], None),
        (lambda x: torch.utils.data.TensorDataset(x, torch.arange(5)), [0, 1, 2, 3, 4]),
    ])  # fmt: skip
    @BOTH
    def test_items(self, kind, labels, small, reduce, tmp_path):
        model, _ = small
        found = run(model, kind(self.X), "block0-0", tmp_path, reduce=reduce)
        wanted = plain(model, self.X, ["block0-0"], reduce)["block0-0"]
        torch.testing.assert_close(torch.tensor(found.array()), wanted, rtol=1e-4, atol=1e-5)
        table = found.to_pandas()
        assert list(table["id"]) == list("01234") and ("label" in table) == (labels is not None)
        if labels is not None:
            np.testing.assert_array_equal(table["label"].to_numpy(), labels)

    @pytest.mark.parametrize("as_what", [np.asarray, Image.fromarray, lambda a: torch.tensor(a).permute(2, 0, 1)])
    def test_pictures(self, as_what, small, tmp_path):
        arrays = [np.full((9, 8, 3), v, np.uint8) for v in (0, 90, 250)]
        found = run(small[0], [as_what(a) for a in arrays], "block0-0", tmp_path)
        x = torch.cat([ck.preprocess(a, small[0]) for a in arrays])
        wanted = plain(small[0], x, ["block0-0"])["block0-0"]
        torch.testing.assert_close(torch.tensor(found.array()), wanted, rtol=1e-4, atol=1e-5)

    def test_paths_are_ids(self, pictures, small, tmp_path):
        paths = [str(pictures / "top.bmp"), "no such file"]
        with pytest.warns(RuntimeWarning):
            found = run(small[0], paths, "block0-0", tmp_path)
        assert list(found.to_pandas()["id"]) == paths[:1] and found.skipped[0].id == "no such file"

    def test_where_the_input_is(self, small, tmp_path):
        data = [{"id": f"n{i}", "left": t, "image": torch.zeros(3, 32, 32)} for i, t in enumerate(self.X)]
        found = run(small[0], data, "block0-0", tmp_path / "a", key="left")
        other = run(small[0], self.X, "block0-0", tmp_path / "b")
        assert np.array_equal(found.array(), other.array()) and found.to_pandas()["id"][3] == "n3"
        with pytest.raises(ConfigError, match=r"'id', 'left', 'image'.*under 'right'.*key="):
            run(small[0], data, "block0-0", tmp_path / "c", key="right")

    @pytest.mark.parametrize("data, words", [
        (DataLoader(list(X)), r"loader\.dataset"), ((t for t in X), "cannot be read by numbers"), ([], "empty"),
        (None, "cannot be read by numbers"), ({"a": 1}, "cannot be read by numbers"), ([None], "NoneType.*where"),
        (Endless(), "cannot be read by numbers"),
        ([(X[0], 1), (X[1], "one")], "label 'one'.*are int"), ([X[0], (X[1], 1)], "label 1.*are none"),
    ])  # fmt: skip
    def test_what_is_none(self, data, words, small, tmp_path):
        with pytest.raises(ConfigError, match=words):
            run(small[0], data, "block0-0", tmp_path)

    def test_trouble_of_the_machine_is_no_damaged_picture(self, small, tmp_path):
        class Handles(Dataset):
            def __len__(self):
                return 3

            def __getitem__(self, i):
                if i == 2:
                    raise OSError(errno.EMFILE, "Too many open files")
                return torch.zeros(3, 32, 32)

        with pytest.raises(OSError, match="Too many open files"):
            run(small[0], Handles(), "block0-0", tmp_path)


def test_an_item_that_raises_stop_iteration_is_named():
    class Running(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return next(iter([])) if index == 5 else torch.rand(3, 8, 8)

    items = Items(Running(), nn.Identity())
    assert items[4][1].shape == (3, 8, 8)
    with pytest.raises(ConfigError, match="Item 5 of the dataset, a Running, raised StopIteration"):
        items[5]


class TestContent:
    """Whether a dataset is the one that was read before is told by what is in it."""

    def fingerprint(self, data):
        return Items(data, None).describe()["content"]

    def test_other_pictures_under_the_same_paths(self, tmp_path):
        paths = [tmp_path / f"{i}.bmp" for i in range(9)]
        for path in paths:
            Image.new("RGB", (300, 300), "white").save(path)
        for data in (paths, [(str(p), 3) for p in paths], tuple(paths)):
            before = self.fingerprint(data)
            assert self.fingerprint(data) == before
            spotted = Image.new("RGB", (300, 300), "white")
            spotted.paste("red", (0, 100, 300, 200))  # its beginning and its end are as they were
            spotted.save(paths[3])
            assert self.fingerprint(data) != before
            Image.new("RGB", (300, 300), "white").save(paths[3])

    def test_paths_that_lead_nowhere(self):
        assert self.fingerprint(["gone.png", "cat", "a\0b"]) != self.fingerprint(["gone.png", "cat", "a\0c"])


def test_a_worker_that_dies(tmp_path, small):
    class Deadly(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, i):
            if i == 9 and not (tmp_path / "spare").exists():
                while len(list((tmp_path / "out").glob("part*"))) < 2:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
            return torch.full((3, 32, 32), i / 12)

    keys = {"workers": 1, "batch_size": 2, "shard_size": 2}
    with pytest.raises(DeviceError, match=r"A worker.* died \(.*[4-8] of 12 images are in .*same call goes on"):
        run(small[0], Deadly(), "block0-0", tmp_path / "out", **keys)
    (tmp_path / "spare").touch()
    found = run(small[0], Deadly(), "block0-0", tmp_path / "out", **keys)
    assert found.complete and list(found.to_pandas()["index"]) == list(range(12))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_names_that_are_no_utf8(tmp_path, small):
    folder, out = os.fsencode(tmp_path) + b"/\xe9t\xe9", os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    os.mkdir(folder + b"/\xfe")
    Image.new("RGB", (9, 9)).save(tmp_path / "ok.png")
    for name in (b"/\xe9.png", b"/\xfe/\xfd.png"):
        os.link(tmp_path / "ok.png", folder + name)
    with open(folder + b"/\xe8.png", "wb") as file:
        file.write(b"none")
    for reduce in ("mean", None):
        with pytest.warns(RuntimeWarning, match="1 of 3 images"):
            found = run(small[0], os.fsdecode(folder), "block0-0", os.fsdecode(out) + str(reduce), reduce=reduce)
        assert len(found) == 2 and found.skipped[0].id == "\ufffd.png" and "cannot be read" not in str(found)
        assert list(found.to_pandas()["id"]) == ["\ufffd.png", "\ufffd/\ufffd.png"]
        str(found).encode()
