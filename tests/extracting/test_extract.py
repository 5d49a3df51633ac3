"""classykit.extracting.extract: datasets on the disk, with nothing lost or doubled, whatever happens on the way."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from extractions import BOTH, SETTING, assert_is_the_single_run, plain, python, run, setting
from torch import nn
from torch.utils.data import Dataset

import classykit as ck
from classykit.errors import BlockError, ConfigError, DeviceError, Interrupted, ShapeError, StateError
from classykit.extracting import extract as extract_module
from classykit.extracting.extraction import Extraction
from classykit.extracting.ranks import Ranks


def test_of_every_family(light, input_for, tmp_path):
    model = ck.build_model(light)
    x, names = input_for(model, batch=5), model.block_names[:2]
    found = run(model, x, names, tmp_path, reduce=None, batch_size=2)
    assert list(found.blocks) == names and len(found) == 5
    for name, wanted in ck.capture(model, x, names).items():
        torch.testing.assert_close(torch.tensor(np.array(found.array(name))), wanted, rtol=1e-4, atol=1e-5)


def test_unknown_ones(small, tmp_path):
    with pytest.raises(BlockError, match=r"block1-9.*Did you mean 'block1-"):
        run(*small, "block1-9", tmp_path / "out")
    with pytest.raises(ConfigError, match="No block"):
        run(*small, [], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run(*small, ["block0-0", "block0-0"], tmp_path / "out")
    with pytest.raises(BlockError, match=r"'block0'.*Did you mean 'block0-0'"):
        Extraction(tmp_path / "out").array("block0")


class TestKilled:
    def test_at_every_write(self, tmp_path):
        """Killed, again and again, right before something is brought to the disk or takes its place."""
        code = (
            SETTING
            + """
    def deadly(call):
        def wrapped(*args):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args)
        return wrapped

    for name, reduce in (("mean", "mean"), ("None", None)):
        extract(f"{sys.argv[1]}/reference-{name}", reduce, progress=False)  # and so all is imported
        for turn in range(100):
            child = os.fork()
            if child == 0:
                left = 1 + 2 * turn % 7
                os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
                extract(f"{sys.argv[1]}/{name}", reduce, progress=False)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                assert status == 0
                break
            assert os.WTERMSIG(status) == signal.SIGKILL
        print(turn)
"""
        )
        process = python(code, tmp_path)
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert all(int(kills) > 7 for kills in out.split()) and len(out.split()) == 2
        for reduce in ("mean", None):
            assert_is_the_single_run(tmp_path / str(reduce), reduce, tmp_path)

    @pytest.mark.parametrize("reduce", [pytest.param("mean", marks=pytest.mark.slow), None])
    def test_from_outside(self, reduce, tmp_path):
        """With workers that read ahead, somewhere in the middle; what was done is not done again."""
        code = SETTING + "\n    extract(sys.argv[1], json.loads(sys.argv[2]), Data(0.05), workers=2)"
        process = python(code, tmp_path / "out", json.dumps(reduce))
        notes = tmp_path / "out/_done"
        while process.poll() is None and not (notes.exists() and len(list(notes.glob("0*.json"))) >= 2):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        partial = Extraction(tmp_path / "out")
        assert 12 <= partial.done < 50 and not partial.complete and "not complete" in str(partial)
        before = {p.name: p.stat().st_mtime_ns for p in notes.glob("0*.json")}
        with pytest.warns(RuntimeWarning, match="2 of 50"):
            setting["extract"](tmp_path / "out", reduce, progress=False)
        after = {p.name: p.stat().st_mtime_ns for p in notes.glob("0*.json")}
        assert len(after) == 9 and {name: after[name] for name in before} == before
        assert_is_the_single_run(tmp_path / "out", reduce, tmp_path)


def test_each_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    takes = extract_module._device
    assert [takes(nn.Linear(2, 2), "auto", Ranks(r, 8, r % 4)) for r in (4, 5, 7)] == ["cuda:0", "cuda:1", "cuda:1"]
    assert takes(nn.Linear(2, 2), "cpu", Ranks(1, 8, 1)) == "cpu"
    assert takes(nn.Linear(2, 2), "auto", Ranks()) == "auto"
    assert takes(nn.Linear(2, 2, device="meta"), "auto", Ranks(1, 8, 1)) == "auto"  # where it is


class TestInterruption:
    class Stop(nn.Module):
        """Presses the stop button in its ``after``-th pass."""

        def __init__(self, after):
            super().__init__()
            self.conv, self.after = nn.Conv2d(3, 4, 3), after

        def forward(self, x):
            self.after -= 1
            if self.after == 0:
                raise KeyboardInterrupt
            return self.conv(x)

    @BOTH
    @pytest.mark.parametrize("workers", [0, 2])
    def test_within_a_batch(self, reduce, workers, tmp_path, everything, assert_same):
        model, x = self.Stop(2 + 5).train(), torch.rand(40, 3, 8, 8)  # two passes look at what the block gives
        before, passes, others = everything(model), model.after, psutil.Process().children()
        with pytest.raises(Interrupted, match=r"after 8 of 40 images.*same call") as caught:
            run(model, x, "conv", tmp_path, reduce=reduce, batch_size=2, shard_size=4, workers=workers)
        assert model.after == 0 and passes == 7
        assert_same(before, everything(model))
        new = set(psutil.Process().children()) - set(others)
        assert not [c for c in new if c.status() != psutil.STATUS_ZOMBIE]
        partial = caught.value.result
        assert partial.done == 8 and list(partial.to_pandas()["index"]) == list(range(8))
        found = run(model, x, "conv", tmp_path, reduce=reduce, batch_size=2, shard_size=4, workers=workers)
        assert model.after == -16  # the eight that were done were not run again
        wanted = plain(model, x, ["conv"], reduce)["conv"]
        torch.testing.assert_close(torch.tensor(found.array()), wanted, rtol=1e-4, atol=1e-5)

    def test_before_a_shard_is_done(self, tmp_path):
        model, x = self.Stop(3), torch.rand(4, 3, 8, 8)
        with pytest.raises(Interrupted) as caught:
            run(model, x, "conv", tmp_path)
        assert caught.value.result.done == 0
        with pytest.raises(StateError, match="no features yet"):
            caught.value.result.to_pandas()


def test_what_may_differ(begun, monkeypatch):
    found, model, x = begun
    model.attach_head("block1-0", "fully_connected", num_classes=3)
    model.train()
    monkeypatch.setattr("classykit.extracting.extract._write", lambda *a: pytest.fail("was done again"))
    again = run(model, x, "block0-0", found.path, batch_size=5, dtype="auto", workers=1)
    assert again.complete and again.done == 6


def test_going_on_takes_the_type_it_began_with(small, tmp_path):
    model, _ = small
    x = torch.rand(6, 3, 32, 32)
    keys = {"dtype": "float64", "shard_size": 2}
    whole = run(model, x, "block0-0", tmp_path / "whole", **keys)
    run(model, x, "block0-0", tmp_path / "out", **keys)
    for name in ("_done/00001.json", "part-00001.parquet"):
        (tmp_path / "out" / name).unlink()
    found = run(model, x, "block0-0", tmp_path / "out", dtype="auto")
    assert found.array().dtype == np.float64 and np.array_equal(found.array(), whole.array())


def test_one_that_only_the_first_process_sees(tmp_path):
    assert "does not see" in str(extract_module._unseen(tmp_path / "out"))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_model_and_all_luck_are_left_as_they_were(workers, small, everything, assert_same, tmp_path):
    class Lucky(Dataset):
        def __len__(self):
            return 9

        def __getitem__(self, i):
            return torch.rand(3, 32, 32) * random.random() * np.random.rand()

    model, _ = small
    model.attach_head("block0-0", "fully_connected", num_classes=3)
    model.train()(torch.rand(2, 3, 32, 32)).sum().backward()
    before = everything(model)
    for dtype in ("float32", "float64"):
        found = run(model, Lucky(), ["block1-0"], tmp_path / dtype, workers=workers, dtype=dtype, batch_size=2)
        assert found.complete
        run(model, Lucky(), ["block1-0"], tmp_path / dtype, workers=workers, dtype=dtype)
    assert_same(before, everything(model))


def test_progress(small, tmp_path, capsys):
    class Slow(list):
        def __getitem__(self, i):
            time.sleep(0.15)
            return super().__getitem__(i)

    x = torch.rand(8, 3, 32, 32)
    run(small[0], Slow(x), "block0-0", tmp_path / "a", batch_size=1, progress=True)
    assert "/8 " in capsys.readouterr().err
    run(small[0], list(x), "block0-0", tmp_path / "b", batch_size=1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("keys, words", [
    ({"reduce": "max"}, 'reduce is "mean" or None'), ({"batch_size": 0}, "batch_size"), ({"workers": -1}, "workers"),
    ({"shard_size": 2.5}, "shard_size"), ({"on_error": "ignore"}, "on_error"), ({"device": "gpu"}, "device"),
])  # fmt: skip
def test_what_cannot_be_asked(keys, words, small, tmp_path):
    with pytest.raises(ConfigError, match=words):
        run(*small, "block0-0", tmp_path, **keys)


def test_models_without_weights(tmp_path):
    with pytest.raises(DeviceError, match="meta"):
        run(ck.build_model("resnet18", device="meta"), torch.zeros(1, 3, 64, 64), "block0-0", tmp_path)
    with pytest.raises(ConfigError, match=r"'resnet18' is the description of one: build it.*load_pretrained"):
        run("resnet18", torch.zeros(1, 3, 64, 64), "block0-0", tmp_path)


def test_an_input_that_does_not_fit(small, tmp_path):
    with pytest.raises(ShapeError, match=r"cannot run on an input of \(1, 5, 8, 8\)"):
        run(small[0], torch.zeros(4, 5, 8, 8), "block0-0", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_imported_before_it_is_needed():
    code = "import sys, classykit as ck; ck.extract; print([m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_compiled_model(small, tmp_path):
    found = run(torch.compile(small[0]), small[1], "block0-0", tmp_path)
    wanted = plain(*small, ["block0-0"])["block0-0"]
    torch.testing.assert_close(torch.tensor(found.array()), wanted, rtol=1e-4, atol=1e-5)


def test_paths_in_a_home_folder(small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(*small, "block0-0", "~/features").path == Path(tmp_path / "features")


def test_the_mean_of_a_signal_is_over_time(tmp_path):
    net = nn.Sequential(nn.Conv1d(1, 16, 9, 4, 4), nn.Conv1d(16, 32, 9, 4, 4)).eval()
    signals = torch.randn(5, 1, 1600)
    keys = {"workers": 0, "device": "cpu", "dtype": "float32", "progress": False}
    found = ck.extract(net, signals, ["0", "1"], tmp_path, **keys)
    for block, channels in (("0", 16), ("1", 32)):
        array = torch.tensor(found.array(block))
        assert array.shape == (5, channels)
        torch.testing.assert_close(array, ck.capture(net, signals, block)[block].mean(2), rtol=1e-4, atol=1e-5)
