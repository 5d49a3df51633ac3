"""Extractions in this process and in others, and whether they are what one run in one go writes."""

import subprocess
import sys

import numpy as np
import pytest

import classykit as ck
from classykit.extracting.extraction import Extraction

BOTH = pytest.mark.parametrize("reduce", ["mean", None])

#: What the processes that tests start do: the same model and dataset in each.
SETTING = """if True:
    import json, os, signal, sys, time, torch, classykit as ck
    from torch import nn
    torch.set_num_threads(1)

    class Data(torch.utils.data.Dataset):
        def __init__(self, pause=0.0):
            self.x, self.pause = torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(0)), pause
        def __len__(self):
            return 50
        def __getitem__(self, i):
            time.sleep(self.pause)
            if i in (7, 30):
                raise OSError("damaged")
            return self.x[i], i % 3

    def model(seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

    def extract(out, reduce, data=None, **keys):
        keys = {"batch_size": 3, "shard_size": 6, "workers": 0, "device": "cpu", "dtype": "float32", **keys}
        return ck.extract(keys.pop("model", model()), data or Data(), ["0", "2"], out, reduce=reduce, **keys)
"""
setting: dict = {}
exec(SETTING, setting)


def plain(model, x, blocks, reduce="mean"):
    """{block: what `extract` should find}"""
    found = ck.capture(model, x, blocks)
    return {b: f.mean((2, 3)) if reduce else f for b, f in found.items()}


def run(model, data, blocks, out, **keys):
    """`extract` in this process, on the CPU, with the model's own numbers."""
    keys = {"workers": 0, "device": "cpu", "dtype": "float32", "progress": False, **keys}
    return ck.extract(model, data, blocks, out, **keys)


def python(code, *arguments, **keys):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keys,
    )  # fmt: skip


def assert_is_the_single_run(out, reduce, tmp_path):
    """Bit for bit what one run in one go writes, and no leftovers."""
    reference = tmp_path / f"reference-{reduce}"
    if not reference.exists():
        with pytest.warns(RuntimeWarning, match="2 of 50 images could not be read"):
            setting["extract"](reference, reduce, progress=False)
    ours, wanted = Extraction(out), Extraction(reference)
    assert ours.complete and ours.skipped == wanted.skipped and [s.index for s in ours.skipped] == [7, 30]
    numbers = [i for i in range(50) if i not in (7, 30)]
    table = ours.to_pandas()
    assert list(table["index"]) == numbers and list(table["label"]) == [i % 3 for i in numbers]
    for block in wanted.blocks:
        assert np.array_equal(ours.array(block), wanted.array(block), equal_nan=True)
    files = [sorted(str(p.relative_to(e.path)) for p in e.path.rglob("*")) for e in (ours, wanted)]
    assert files[0] == files[1] and not [name for name in files[0] if ".tmp" in name]
