"""classykit.extracting.feature_store: the folder of features: of which run it is, and what it holds."""

import csv
import os
import shutil

import numpy as np
import pytest
import torch
from extractions import BOTH, run
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError, StateError
from classykit.extracting.extraction import Extraction


def test_the_listing_of_arrays(pictures, small, tmp_path):
    with pytest.warns(RuntimeWarning):
        run(small[0], pictures, "block0-0", tmp_path, reduce=None)
    with open(tmp_path / "index.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == [str(i) for i in range(7)]
    assert rows[0]["id"] == "cat/d.webp" and rows[0]["label"] == "cat" and rows[0]["skipped"] == ""
    assert "cut short" in rows[4]["skipped"]


def test_names_that_files_and_columns_cannot_have(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("a/b", nn.Conv2d(3, 4, 1))
            self.add_module("id", nn.Conv2d(4, 5, 1))

        def forward(self, x):
            return self.get_submodule("id")(self.get_submodule("a/b")(x))

    model, x = Net(), torch.rand(3, 3, 4, 4)
    with pytest.raises(ConfigError, match="A column is called 'id'"):
        run(model, x, ["a/b", "id"], tmp_path / "pooled")
    found = run(model, x, ["a/b", "id"], tmp_path / "whole", reduce=None)
    assert found.array("a/b").shape == (3, 4, 4, 4) and (tmp_path / "whole/a_b.npy").exists()


@pytest.mark.parametrize("change, words", [
    (lambda m, x: dict(blocks=["block1-0"]), r"blocks is \['block1-0'\], was \['block0-0'\]"),
    (lambda m, x: dict(reduce=None), "reduce is None, was 'mean'"),
    (lambda m, x: dict(data=x[:5]), "images is 5, was 6"),
    (lambda m, x: dict(data=x * 2), "content is"),
    (lambda m, x: dict(data=list(x)), "dataset is 'list', was 'Tensor'"),
    (lambda m, x: dict(dtype="float64"), "dtype is 'float64', was 'float32'"),
    (lambda m, x: dict(shard_size=5), "shard_size is 5, was 4"),
    (lambda m, x: m.get_submodule("blocks.0.block0-0.bn").bias.data.add_(1) is None, "weights is"),
    (lambda m, x: dict(model=ck.build_model("resnet18")), "model is 'resnet18', was 'resnext'; weights is"),
])  # fmt: skip
def test_of_another_run(change, words, begun):
    found, model, x = begun
    keys = change(model, x) or {}
    before = {p: p.stat().st_mtime_ns for p in found.path.rglob("*")}
    with pytest.raises(StateError, match=f"begun otherwise: .*{words}.*another folder"):
        run(keys.pop("model", model), keys.pop("data", x), keys.pop("blocks", "block0-0"), found.path, **keys)
    assert {p: p.stat().st_mtime_ns for p in found.path.rglob("*")} == before


@pytest.mark.parametrize("of_what", ["a photo album", "a file", "damaged"])
def test_with_other_things(of_what, small, tmp_path):
    out = tmp_path / "out"
    if of_what == "a file":
        out.write_text("")
    else:
        out.mkdir()
        (out / ("_manifest.json" if of_what == "damaged" else "summer.jpg")).write_text("{}")
    words = {"a photo album": r"other things \(summer.jpg\)", "a file": "is a file", "damaged": "is damaged"}
    with pytest.raises(StateError, match=words[of_what]):
        run(*small, "block0-0", out)


def test_files_that_were_taken_away(small, begun, tmp_path):
    found, model, x = begun
    before = found.array()
    (found.path / "part-00001.parquet").unlink()
    assert Extraction(found.path).done == 4
    assert np.array_equal(run(model, x, "block0-0", found.path).array(), before)
    whole = run(model, x, "block0-0", tmp_path / "whole", reduce=None)
    (whole.path / "block0-0.npy").unlink()
    with pytest.raises(StateError, match=r"block0-0.npy is gone"):
        run(model, x, "block0-0", whole.path, reduce=None)


def test_what_will_not_fit_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DeviceError, match=r'take .* has 1.00 kB free.*reduce="mean"'):
        run(*small, "block0-0", tmp_path, reduce=None)
    assert not list(tmp_path.rglob("*.npy")) and not (tmp_path / "_manifest.json").exists()


def cut_short(path):
    os.truncate(path, path.stat().st_size * 2 // 3)


def emptied(path):
    path.write_bytes(b"")


def a_bit_flipped(path):
    with open(path, "rb+") as file:
        file.seek(-70, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def without_its_beginning(path):
    with open(path, "rb+") as file:
        file.write(bytes(40))


@BOTH
@pytest.mark.parametrize("damage", [cut_short, emptied, a_bit_flipped, without_its_beginning])
def test_a_damaged_part_is_found_and_made_again(damage, reduce, small, tmp_path):
    model, x = small[0], torch.rand(12, 3, 32, 32)
    keys = {"reduce": reduce, "shard_size": 4, "batch_size": 4}
    wanted = run(model, x, "block0-0", tmp_path, **keys).array().copy()
    part = tmp_path / ("block0-0.npy" if reduce is None else "part-00002.parquet")
    times = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("_done/0*.json")}
    damage(part)
    found = run(model, x, "block0-0", tmp_path, **keys)
    assert found.complete and np.array_equal(found.array(), wanted)
    again = {p.name for p in tmp_path.glob("_done/0*.json") if p.stat().st_mtime_ns != times[p.name]}
    numbers_are_there = damage is without_its_beginning and reduce is None
    assert again == set() if numbers_are_there else "00002.json" in again
    if damage is a_bit_flipped:
        assert again == {"00002.json"}, "what is sound is not made again"
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    run(model, x, "block0-0", tmp_path, **keys)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == times, "all is done"


def test_a_damaged_part_is_said_when_it_is_read(begun):
    found, _, _ = begun
    a_bit_flipped(found.path / "part-00001.parquet")
    cut = (found.path / "part-00001.parquet").stat().st_size
    (found.path / "part-00001.parquet").write_bytes(bytes(cut))
    for read in (found.to_pandas, found.array):
        with pytest.raises(StateError, match=r"A part of .* is damaged .*makes it again"):
            read()


@pytest.mark.parametrize(
    "note", ["", "{", "[1, 2]", "{}", '{"images": "two"}', '{"images": 2, "skipped": [], "files": 3}']
)
def test_a_damaged_note_is_none(note, begun):
    found, model, x = begun
    before = found.array()
    (found.path / "_done/00001.json").write_text(note)
    assert Extraction(found.path).done == 4
    again = run(model, x, "block0-0", found.path)
    assert again.complete and np.array_equal(again.array(), before)
