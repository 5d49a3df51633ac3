"""classykit.extracting.disk: files that are either there or not, and what the disk refuses."""

import errno
import os
import sys

import pytest
import torch
from extractions import BOTH, plain, run

from classykit.errors import DeviceError, MissingDependencyError, StateError


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
