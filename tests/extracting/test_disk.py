"""classykit.extracting.disk: files that are either there or not, and what the disk refuses."""

import errno
import os
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from extractions import BOTH, SETTING, assert_is_the_single_run, plain, python, run, setting
from torch.utils.data import Dataset

from classykit.errors import DeviceError, MissingDependencyError, ShapeError, StateError
from classykit.extracting import disk
from classykit.extracting.disk import checksum
from classykit.extracting.extraction import Extraction


@BOTH
def test_the_disk_is_full(small, reduce, tmp_path, monkeypatch):
    model, _ = small
    x, calls, fsync = torch.rand(8, 3, 32, 32), [], os.fsync

    def full(file):
        calls.append(file)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeviceError, match=r"No space left.*The disk is full: make room.*same call again"):
        run(model, x, "block0-0", tmp_path, reduce=reduce, shard_size=2)
    assert not list(tmp_path.rglob(".tmp-*"))
    found = run(model, x, "block0-0", tmp_path, reduce=reduce, shard_size=2)
    wanted = plain(model, x, ["block0-0"], reduce)["block0-0"]
    torch.testing.assert_close(torch.tensor(found.array()), wanted, rtol=1e-4, atol=1e-5)


def test_a_folder_that_cannot_be_made(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((DeviceError, StateError), match=r"Not a directory|is a file"):
        run(*small, "block0-0", tmp_path / "file" / "out")


def test_without_pyarrow(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"classykit\[features\].*reduce=None"):
        run(*small, "block0-0", tmp_path / "pooled")
    assert run(*small, "block0-0", tmp_path / "whole", reduce=None).complete


class TestTwoAtOnce:
    """Two extractions into one folder: the second is refused, and the first is not disturbed."""

    class Waiting(Dataset):
        """Says that it has begun, and waits to be told to go on."""

        def __init__(self):
            self.begun, self.go_on = threading.Event(), threading.Event()

        def __len__(self):
            return 8

        def __getitem__(self, i):
            if i == 5:
                self.begun.set()
                self.go_on.wait(60)
            return torch.full((3, 32, 32), i / 8)

    @BOTH
    def test_the_second_is_refused(self, small, reduce, tmp_path):
        model, _ = small
        data, keys = self.Waiting(), {"reduce": reduce, "batch_size": 2, "shard_size": 2}
        with ThreadPoolExecutor() as pool:
            first = pool.submit(run, model, data, "block0-0", tmp_path, **keys)
            assert data.begun.wait(60)
            left = sorted(tmp_path.rglob("*"))
            data.begun.clear()
            with pytest.raises(StateError, match=r"Another extraction is writing to .*goes on from there"):
                run(model, data, "block0-0", tmp_path, **keys)
            assert sorted(tmp_path.rglob("*")) == left and Extraction(tmp_path).done == 4
            data.go_on.set()
            found = first.result()
        assert found.complete and np.array_equal(run(model, data, "block0-0", tmp_path, **keys).array(), found.array())

    def test_in_another_process(self, small, tmp_path):
        code = SETTING + "\n    extract(sys.argv[1], 'mean', Data(0.2))"
        process = python(code, tmp_path / "out")
        while process.poll() is None and not list((tmp_path / "out").glob("part*")):
            time.sleep(0.01)
        with pytest.raises(StateError, match="Another extraction is writing"):
            setting["extract"](tmp_path / "out", "mean")
        process.kill()  # which lets go
        process.communicate()
        with pytest.warns(RuntimeWarning, match="2 of 50"):
            setting["extract"](tmp_path / "out", "mean", progress=False)
        assert_is_the_single_run(tmp_path / "out", "mean", tmp_path)

    def test_what_fails_at_once_leaves_no_folder(self, small, tmp_path):
        model, _ = small
        with pytest.raises(ShapeError):
            run(model, torch.rand(2, 5, 32, 32), "block0-0", tmp_path / "new" / "folder")
        assert not (tmp_path / "new" / "folder").exists()

    def test_a_disk_without_locks(self, small, tmp_path, monkeypatch):
        def none(file, flags):
            raise disk.portalocker.LockException(OSError(errno.ENOLCK, "No locks available"))

        monkeypatch.setattr(disk.portalocker, "lock", none)
        assert run(*small, "block0-0", tmp_path / "out").complete


def test_checksums(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789" * 300_000)
    whole = checksum(tmp_path / "file")
    assert checksum(tmp_path / "file", 0, 3_000_000) == whole == zlib.crc32(b"0123456789" * 300_000)
    assert checksum(tmp_path / "file", 5, 15) == zlib.crc32(b"5678901234")
