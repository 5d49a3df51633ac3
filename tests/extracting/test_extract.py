"""classykit.extract: whole datasets on the disk, with nothing lost or doubled, whatever happens on the way."""

import csv
import errno
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import classykit as ck
from classykit.errors import (
    BlockError,
    ConfigError,
    DeviceError,
    ImageError,
    Interrupted,
    MissingDependencyError,
    ShapeError,
    StateError,
)  # fmt: skip
from classykit.extracting import extract as extract_module
from classykit.extracting.extract import Extraction
from classykit.extracting.feature_layout import layouts
from classykit.extracting.ranks import Ranks

BOTH = pytest.mark.parametrize("reduce", ["mean", None])

#: What the processes of the tests below do: the same model and dataset in each.
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


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures, some of which are damaged, hidden or none."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("dog/b.png", "dog/a.JPG", "cat/deep/er/c.png", "cat/d.webp", "top.bmp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(root / name)
    whole = (root / "dog/b.png").read_bytes()
    (root / "dog/cut.png").write_bytes(whole[:200])
    (root / "dog/empty.jpg").write_bytes(b"")
    (root / "dog/notes.txt").write_text("no picture")
    (root / "dog/._b.png").write_bytes(whole)
    (root / ".hidden").mkdir()
    (root / ".hidden/e.png").write_bytes(whole)
    (root / "dog/circle").symlink_to(root, target_is_directory=True)
    return root


class TestFolder:
    @BOTH
    @pytest.mark.parametrize("workers", [0, 2])
    def test_as_loaded_one_by_one(self, pictures, small, reduce, workers, tmp_path):
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
        assert "dog/cut.png" in str(said[0].message)
        assert len(found) == 5 and found.images == found.done == 7 and found.complete
        x = torch.cat([ck.preprocess(pictures / name, model) for name in names])
        for block, wanted in plain(model, x, ["block0-0", "block1-1"], reduce).items():
            got = found.array(block)
            if reduce is None:
                assert np.isnan(got[4:6]).all()
                got = got[[0, 1, 2, 3, 6]]
            torch.testing.assert_close(torch.tensor(got), wanted, rtol=1e-4, atol=1e-5)

    def test_the_listing_of_arrays(self, pictures, small, tmp_path):
        with pytest.warns(RuntimeWarning):
            run(small[0], pictures, "block0-0", tmp_path, reduce=None)
        with open(tmp_path / "index.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["index"] for row in rows] == [str(i) for i in range(7)]
        assert rows[0]["id"] == "cat/d.webp" and rows[0]["label"] == "cat" and rows[0]["skipped"] == ""
        assert "cut short" in rows[4]["skipped"]

    def test_a_damaged_picture_can_be_an_error(self, pictures, small, tmp_path):
        with pytest.raises(ImageError, match=r"Image 4 \(dog/cut.png\) cannot be read.*on_error"):
            run(small[0], pictures, "block0-0", tmp_path, on_error="raise", batch_size=2)

    def test_a_model_has_its_own_preprocessing(self, pictures, small, tmp_path):
        model, _ = small
        model.preprocessing = ck.images.Preprocessing(size=32, mean=(0.5,) * 3, std=(0.5,) * 3)
        with pytest.warns(RuntimeWarning):
            found = run(model, pictures, "block0-0", tmp_path)
        wanted = plain(model, ck.preprocess(pictures / "cat/d.webp", model), ["block0-0"])["block0-0"]
        torch.testing.assert_close(torch.tensor(found.array()[:1]), wanted, rtol=1e-4, atol=1e-5)
        model.preprocessing = ck.images.Preprocessing(size=64)
        with pytest.raises(StateError, match="preprocessing is"):
            run(model, pictures, "block0-0", tmp_path)

    def test_without_pictures(self, small, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "texts").mkdir()
        (tmp_path / "texts/a.txt").write_text("no picture")
        for folder, words in (("empty", "it is empty"), ("texts", r"it holds a.txt.*\.png"), ("none", "not there"),
                              ("texts/a.txt", "is a file")):  # fmt: skip
            with pytest.raises(ImageError, match=words):
                run(small[0], tmp_path / folder, "block0-0", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_when_none_can_be_read(self, small, tmp_path):
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

    def test_inputs_of_several_sizes(self, small, tmp_path):
        data = [torch.rand(3, 32 + 8 * (i % 2), 32) for i in range(4)]
        found = run(small[0], data, "block0-0", tmp_path / "pooled")
        for i, x in enumerate(data):
            wanted = plain(small[0], x[None], ["block0-0"])["block0-0"][0]
            torch.testing.assert_close(torch.tensor(found.array()[i]), wanted, rtol=1e-4, atol=1e-5)
        with pytest.raises(ShapeError, match=r"'block0-0' gives .* for image 1 .*for the first.*one size.*mean"):
            run(small[0], data, "block0-0", tmp_path / "whole", reduce=None)

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


class TestBlocks:
    def test_tokens_and_other_layouts(self):
        first = torch.rand(3, 6, 6)
        give = {
            "map": lambda x: x, "last": lambda x: x.permute(0, 2, 3, 1), "clip": lambda x: x[:, :, None],
            "tokens": lambda x: x.flatten(2).mT, "sequence first": lambda x: x.flatten(2).permute(2, 0, 1),
            "vector": lambda x: x.mean((2, 3)),
        }  # fmt: skip
        found = layouts(lambda x: {name: f(x) for name, f in give.items()}, first, "mean")
        for n in (1, 2, 3, 6, 36):
            x = torch.rand(n, 3, 6, 6)
            for name, layout in found.items():
                torch.testing.assert_close(torch.tensor(layout.rows(give[name](x))), x.mean((2, 3)), msg=name)
        whole = layouts(lambda x: {name: f(x) for name, f in give.items()}, first, None)
        assert whole["sequence first"].shape == (36, 3) and whole["last"].shape == (6, 6, 3)

    def test_what_is_no_features(self):
        windows = {"w": lambda x: x.reshape(-1, 3, 3, 3)}
        with pytest.raises(ShapeError, match=r"'w' gives \(4, 3, 3, 3\) for one image and \(8, 3, 3, 3\) for two"):
            layouts(lambda x: {k: f(x) for k, f in windows.items()}, torch.rand(3, 6, 6), None)
        with pytest.raises(ShapeError, match=r"no map, tokens or vector.*reduce=None"):
            layouts(lambda x: {"n": x.argmax(1)}, torch.rand(3, 6, 6), "mean")
        with pytest.raises(ShapeError, match="gives a list"):
            layouts(lambda x: {"n": [1]}, torch.rand(3, 6, 6), "mean")

    @pytest.mark.parametrize("dtype, pooled, whole", [
        ("float32", "float32", "float32"), ("bfloat16", "float32", "float32"), ("float64", "float64", "float64"),
        ("float16", "float32", "float16"),
    ])  # fmt: skip
    def test_types(self, dtype, pooled, whole, small, tmp_path):
        model, x = small
        wanted = plain(model, x, ["block1-0"])["block1-0"]
        for reduce, kept in (("mean", pooled), (None, whole)):
            got = run(model, x, "block1-0", tmp_path / str(reduce), reduce=reduce, dtype=dtype).array()
            assert got.dtype == kept
            got = torch.tensor(got).float()
            torch.testing.assert_close(got if reduce else got.mean((2, 3)), wanted, rtol=0.1, atol=0.05)
        assert next(model.parameters()).dtype == torch.float32

    def test_of_every_family(self, light, input_for, tmp_path):
        model = ck.build_model(light)
        x, names = input_for(model, batch=5), model.block_names[:2]
        found = run(model, x, names, tmp_path, reduce=None, batch_size=2)
        for name, wanted in ck.capture(model, x, names).items():
            torch.testing.assert_close(torch.tensor(np.array(found.array(name))), wanted, rtol=1e-4, atol=1e-5)

    def test_unknown_ones(self, small, tmp_path):
        with pytest.raises(BlockError, match=r"block1-9.*Did you mean 'block1-"):
            run(*small, "block1-9", tmp_path / "out")
        with pytest.raises(ConfigError, match="No block"):
            run(*small, [], tmp_path / "out")
        assert not (tmp_path / "out").exists()
        run(*small, ["block0-0", "block0-0"], tmp_path / "out")
        with pytest.raises(BlockError, match=r"'block0'.*Did you mean 'block0-0'"):
            Extraction(tmp_path / "out").array("block0")

    def test_names_that_files_and_columns_cannot_have(self, tmp_path):
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


class TestProcesses:
    CODE = """
    from classykit.extracting.feature_shard import Shard
    shards, finish = [], Shard.finish
    Shard.finish = lambda self: (shards.append(self.number), finish(self))
    for name, reduce in (("pooled", "mean"), ("whole", None)):
        extract(f"{sys.argv[1]}/{name}", reduce)
        with open(f"{sys.argv[1]}/{name}-{os.environ['RANK']}", "w") as file:
            json.dump(shards, file)
        shards.clear()
    assert not torch.distributed.is_initialized()
"""

    def check(self, path):
        for name, reduce in (("pooled", "mean"), ("whole", None)):
            shares = [json.loads((path / f"{name}-{rank}").read_text()) for rank in range(2)]
            assert shares == [[0, 2, 4, 6, 8], [1, 3, 5, 7]]
            assert_is_the_single_run(path / name, reduce, path)

    @pytest.mark.slow
    def test_two_by_torchrun(self, tmp_path):
        (tmp_path / "script.py").write_text(SETTING + self.CODE)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", tmp_path / "script.py"]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *command, tmp_path], capture_output=True, text=True, timeout=120,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.check(tmp_path)

    def test_two(self, tmp_path):
        """In a group of the caller's: one has other weights; one breaks in the middle; then both come to the end.
        Then as torchrun would have started them, twice in one program."""
        code = (
            SETTING
            + """
    class Data(Data):
        broken = False
        def __getitem__(self, i):
            if self.broken and i == 20:  # in a shard of the second's
                raise ZeroDivisionError("broken")
            return super().__getitem__(i)

    rank = 0 if os.fork() else 1
    torch.distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}/meet", rank=rank, world_size=2)
    said = open(f"{sys.argv[1]}/said-{rank}", "w")
    for turn in range(3):
        Data.broken = turn == 1 and rank == 1
        try:
            found = extract(f"{sys.argv[1]}/out", "mean", progress=False, model=model(rank if turn == 0 else 0))
            print("complete", found.complete, file=said)
        except Exception as error:
            print(type(error).__name__, error, file=said)
    assert torch.distributed.is_initialized()
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    said.close()
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[2]}
"""
            + self.CODE
            + """
    if rank == 0:
        assert os.wait()[1] == 0
"""
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = python(code, tmp_path, port)
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        first, second = ((tmp_path / f"said-{rank}").read_text().splitlines() for rank in range(2))
        assert len(first) == len(second) == 3
        assert first[0] == second[0] and "weights is" in first[0]
        assert first[0].startswith("StateError In process 1 of 2")
        assert first[1].startswith("DeviceError Another process of this run stopped")
        assert second[1] == "ZeroDivisionError broken"
        assert first[2] == second[2] == "complete True"
        assert_is_the_single_run(tmp_path / "out", "mean", tmp_path)
        self.check(tmp_path)

    def test_each_takes_a_gpu_of_its_own(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        takes = extract_module._device
        assert [takes(nn.Linear(2, 2), "auto", Ranks(r, 8, r % 4)) for r in (4, 5, 7)] == ["cuda:0", "cuda:1", "cuda:1"]
        assert takes(nn.Linear(2, 2), "cpu", Ranks(1, 8, 1)) == "cpu"
        assert takes(nn.Linear(2, 2), "auto", Ranks()) == "auto"
        assert takes(nn.Linear(2, 2, device="meta"), "auto", Ranks(1, 8, 1)) == "auto"  # where it is

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    @pytest.mark.parametrize("items", [0, 1, 2, 5, 9])
    def test_every_shard_is_dealt_once(self, size, items):
        dealt = [Ranks(rank, size).share(list(range(items))) for rank in range(size)]
        assert sorted(shard for part in dealt for shard in part) == list(range(items))
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


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


class TestMemory:
    class Limited(nn.Module):
        def __init__(self, limit, error):
            super().__init__()
            self.fc, self.limit, self.error, self.seen = nn.Linear(3, 2), limit, error, []

        def forward(self, x):
            self.seen.append(len(x))
            if len(x) > self.limit:
                raise self.error
            return self.fc(x)

    @BOTH
    @pytest.mark.parametrize("error", [
        torch.cuda.OutOfMemoryError("CUDA out of memory"), MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ])  # fmt: skip
    def test_a_batch_that_runs_out_is_halved(self, error, reduce, tmp_path):
        model, x = self.Limited(3, error), torch.randn(20, 3)
        with pytest.warns(RuntimeWarning, match="halved to 4"), pytest.warns(RuntimeWarning, match="halved to 2"):
            found = run(model, x, "fc", tmp_path, reduce=reduce, batch_size=8)
        torch.testing.assert_close(torch.tensor(found.array()), model.fc(x).detach())
        assert model.seen[2:] == [8, 4, *[2] * 10]

    @pytest.mark.parametrize("good", [0, 2])
    def test_when_not_even_one_fits(self, good, tmp_path):
        """At the first look at what the block gives, which takes two passes, or after it."""
        model = self.Limited(2, MemoryError("none left"))
        model.register_forward_pre_hook(lambda m, x: setattr(m, "limit", 2 if len(m.seen) < good else 0))
        with warnings.catch_warnings(), pytest.raises(DeviceError, match="out of memory with one image: none left"):
            warnings.simplefilter("ignore", RuntimeWarning)
            run(model, torch.randn(4, 3), "fc", tmp_path)
        assert model.seen == ([1] if good == 0 else [1, 2, 4, 2, 1])

    def test_a_batch_that_would_not_fit_is_made_smaller_before(self, small, tmp_path, monkeypatch):
        model, _ = small
        of_one = ck.inspect(model, (3, 32, 32)).peak_memory(batch_size=1).activations
        monkeypatch.setattr("classykit.running.memory_fit.free_memory", lambda device: int(3.5 * of_one / 0.9))
        with pytest.warns(RuntimeWarning, match="3 at a time"):
            found = run(model, torch.rand(7, 3, 32, 32), "block0-0", tmp_path, batch_size=6)
        assert len(found) == 7

    @BOTH
    def test_stays_flat(self, reduce, tmp_path):
        """Four times the images take as much memory, and far less than their features."""
        model = nn.Sequential(nn.Linear(3, 4096))
        peaks = []
        for images in (200, 800):
            x = torch.zeros(images, 3)
            tracemalloc.start()
            run(model, x, "0", tmp_path / str(images), reduce=reduce, batch_size=8, shard_size=16)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.2 * peaks[0] and peaks[1] < 800 * 4096 * 4 / 4

    def test_no_tensor_is_kept(self, tmp_path):
        """What the blocks gave is gone when the next batch comes, but for the shard that is being made."""
        import gc

        class Watched(nn.Module):
            most = 0

            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 5)

            def forward(self, x):
                # parameters are of another type, and what an inspection remembers is on the meta device
                live = (t for t in gc.get_objects() if type(t) is torch.Tensor and t.shape[-1:] == (5,))
                self.most = max(self.most, sum(len(t) for t in live if not t.is_meta))
                return self.fc(x)

        model = Watched()
        run(model, torch.zeros(32, 3), "fc", tmp_path, reduce=None, batch_size=4)
        assert 0 < model.most <= 4  # the last batch's


class TestFolderOfFeatures:
    @pytest.fixture
    def begun(self, small, tmp_path):
        model, _ = small
        x = torch.rand(6, 3, 32, 32)
        return run(model, x, "block0-0", tmp_path / "out", shard_size=4), model, x

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
    def test_of_another_run(self, change, words, begun):
        found, model, x = begun
        keys = change(model, x) or {}
        before = {p: p.stat().st_mtime_ns for p in found.path.rglob("*")}
        with pytest.raises(StateError, match=f"begun otherwise: .*{words}.*another folder"):
            run(keys.pop("model", model), keys.pop("data", x), keys.pop("blocks", "block0-0"), found.path, **keys)
        assert {p: p.stat().st_mtime_ns for p in found.path.rglob("*")} == before

    def test_what_may_differ(self, begun, monkeypatch):
        found, model, x = begun
        model.attach_head("block1-0", "fully_connected", num_classes=3)
        model.train()
        monkeypatch.setattr("classykit.extracting.extract._write", lambda *a: pytest.fail("was done again"))
        again = run(model, x, "block0-0", found.path, batch_size=5, dtype="auto", workers=1)
        assert again.complete and again.done == 6

    def test_going_on_takes_the_type_it_began_with(self, small, tmp_path):
        model, _ = small
        x = torch.rand(6, 3, 32, 32)
        keys = {"dtype": "float64", "shard_size": 2}
        whole = run(model, x, "block0-0", tmp_path / "whole", **keys)
        run(model, x, "block0-0", tmp_path / "out", **keys)
        for name in ("_done/00001.json", "part-00001.parquet"):
            (tmp_path / "out" / name).unlink()
        found = run(model, x, "block0-0", tmp_path / "out", dtype="auto")
        assert found.array().dtype == np.float64 and np.array_equal(found.array(), whole.array())

    @pytest.mark.parametrize("of_what", ["a photo album", "a file", "damaged"])
    def test_with_other_things(self, of_what, small, tmp_path):
        out = tmp_path / "out"
        if of_what == "a file":
            out.write_text("")
        else:
            out.mkdir()
            (out / ("_manifest.json" if of_what == "damaged" else "summer.jpg")).write_text("{}")
        words = {"a photo album": r"other things \(summer.jpg\)", "a file": "is a file", "damaged": "is damaged"}
        with pytest.raises(StateError, match=words[of_what]):
            run(*small, "block0-0", out)

    def test_read_elsewhere(self, begun, tmp_path):
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

    def test_files_that_were_taken_away(self, small, begun, tmp_path):
        found, model, x = begun
        before = found.array()
        (found.path / "part-00001.parquet").unlink()
        assert Extraction(found.path).done == 4
        assert np.array_equal(run(model, x, "block0-0", found.path).array(), before)
        whole = run(model, x, "block0-0", tmp_path / "whole", reduce=None)
        (whole.path / "block0-0.npy").unlink()
        with pytest.raises(StateError, match=r"block0-0.npy is gone"):
            run(model, x, "block0-0", whole.path, reduce=None)

    def test_one_that_only_the_first_process_sees(self, tmp_path):
        assert "does not see" in str(extract_module._unseen(tmp_path / "out"))

    def test_several_blocks_have_to_be_told_apart(self, small, tmp_path):
        found = run(*small, ["block0-0", "block1-0"], tmp_path, reduce=None)
        with pytest.raises(ConfigError, match="'block0-0', 'block1-0'"):
            found.array()
        assert isinstance(found.open()["block0-0"], np.memmap)

    @BOTH
    def test_the_disk_is_full(self, small, reduce, tmp_path, monkeypatch):
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

    def test_what_will_not_fit_is_refused(self, small, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        with pytest.raises(DeviceError, match=r'take .* has 1.00 kB free.*reduce="mean"'):
            run(*small, "block0-0", tmp_path, reduce=None)
        assert not list(tmp_path.rglob("*.npy")) and not (tmp_path / "_manifest.json").exists()

    def test_a_folder_that_cannot_be_made(self, small, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises((DeviceError, StateError), match=r"Not a directory|is a file"):
            run(*small, "block0-0", tmp_path / "file" / "out")


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


def test_without_pyarrow(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"classykit\[features\].*reduce=None"):
        run(*small, "block0-0", tmp_path / "pooled")
    assert run(*small, "block0-0", tmp_path / "whole", reduce=None).complete


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
