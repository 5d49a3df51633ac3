"""classykit.sweep: one measurement over many configs, in a table that grows and goes on after a kill."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest

import classykit as ck
from classykit.errors import ConfigError, DeviceError, Interrupted, StateError
from classykit.learning import sweep as module

CONFIGS = [{"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": layers, "num_heads": 2,
            "hidden_dim": 8, "mlp_dim": 16} for layers in range(1, 7)]  # fmt: skip
QUIET = {"progress": False}


def depth(config):
    return config["num_layers"]


def odd_ones_fail(config):
    if config["num_layers"] % 2:
        raise ValueError("odd")
    return {"layers": config["num_layers"], "half": config["num_layers"] / 2, "even": True}


def dies(config):
    if config["num_layers"] == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def note(config, folder, pause=0.0):
    """Leaves a line for each time that it is called."""
    time.sleep(pause)
    with open(Path(folder) / "calls", "a") as file:
        file.write(f"{config['num_layers']}\n")
    return config["num_layers"]


def processes(n=2):
    return ProcessPoolExecutor(n, mp_context=get_context("spawn"))


class TestTable:
    def test_inspections(self):
        table = ck.sweep(CONFIGS, ck.inspect, **QUIET)
        assert table.macs.tolist() == [ck.inspect(config).macs for config in CONFIGS]
        assert [json.loads(config) for config in table.config] == CONFIGS
        assert table.error.isna().all() and (table.seconds > 0).all()

    def test_failures_are_rows(self):
        table = ck.sweep(CONFIGS, odd_ones_fail, **QUIET)
        assert table.error.tolist() == ["ValueError: odd", None] * 3
        assert table.layers.tolist()[1::2] == [2, 4, 6] and table.half.tolist()[1] == 1.0

    def test_names_numbers_and_the_same_twice(self):
        calls = []
        table = ck.sweep(["resnet18", {"name": "resnet18"}, "resnet34"], lambda c: calls.append(c) or 1.5, **QUIET)
        assert table.name.tolist() == ["resnet18", "resnet18", "resnet34"] and len(calls) == 2
        assert table.value.tolist() == [1.5] * 3

    def test_benchmarks_and_probes(self):
        x, y = ck.datasets.digits(32).test
        probe = functools.partial(_probe, x=x[:60], y=y[:60])
        table = ck.sweep(CONFIGS[:1], probe, **QUIET)
        assert table.block[0].startswith("layer") and 0 <= table.accuracy[0] <= 1
        keys = {"batch_sizes": 1, "modes": "eager", "dtypes": "float32", "device": "cpu", "seconds": 0.01}
        bench = functools.partial(ck.benchmark, **keys, progress=False)
        row = ck.sweep(CONFIGS[:1], bench, **QUIET).iloc[0]
        assert row.error is None and any("latency" in name for name in row.index)


def _probe(config, x, y):
    return ck.probe(ck.build_model(config), x, y, "layer_0", controls=(), repeats=1, device="cpu", progress=False)


class TestExecutors:
    def test_threads(self):
        with ThreadPoolExecutor(2) as executor:
            assert ck.sweep(CONFIGS, depth, executor=executor, **QUIET).value.tolist() == [1, 2, 3, 4, 5, 6]

    def test_processes(self, tmp_path):
        with processes() as executor:
            table = ck.sweep(CONFIGS, depth, tmp_path / "t.parquet", executor, **QUIET)
            counted = ck.sweep(CONFIGS[:2], ck.inspect, executor=executor, **QUIET)
        assert table.value.tolist() == [1, 2, 3, 4, 5, 6]
        assert pd.read_parquet(tmp_path / "t.parquet").value.sum() == 21
        assert counted.params.tolist() == [ck.inspect(config).params for config in CONFIGS[:2]]

    def test_more_than_are_handed_over_at_once(self, monkeypatch):
        monkeypatch.setattr(module, "_AT_ONCE", 2)
        with ThreadPoolExecutor(3) as executor:
            assert ck.sweep(CONFIGS, depth, executor=executor, **QUIET).value.tolist() == [1, 2, 3, 4, 5, 6]

    def test_a_worker_that_dies(self, tmp_path):
        out = tmp_path / "t.parquet"
        with processes(1) as executor, pytest.raises(DeviceError, match="the same call goes on from there"):
            ck.sweep(CONFIGS, dies, out, executor, **QUIET)
        assert pd.read_parquet(out).config.nunique() == 3


def unlucky(config, folder):
    """The first time that the fourth comes round, the process that has it is killed."""
    mark = Path(folder) / "killed"
    if config["num_layers"] == 4 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return note(config, folder)


ON_A_CLUSTER = """
import functools, sys
sys.path.insert(0, {root!r})
import distributed
import classykit as ck
from tests.learning.test_sweep import CONFIGS, unlucky

if __name__ == "__main__":
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, distributed.Client(cluster) as client:
        measure = functools.partial(unlucky, folder={folder!r})
        table = ck.sweep(CONFIGS, measure, {folder!r} + "/t.parquet", client.get_executor(), progress=False)
    assert table.error.isna().all(), table.error.tolist()
    print(*table.value)
"""


def test_a_cluster_of_which_one_worker_is_killed(tmp_path):
    """A real one, of two processes on this machine: what the dead one had is done by others, once."""
    pytest.importorskip("distributed")
    program = tmp_path / "on_a_cluster.py"
    program.write_text(ON_A_CLUSTER.format(root=str(Path(__file__).parents[2]), folder=str(tmp_path)))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["1", "2", "3", "4", "5", "6"] and (tmp_path / "killed").exists()
    assert pd.read_parquet(tmp_path / "t.parquet").config.nunique() == 6


class TestGoingOn:
    def test_only_what_is_left_is_measured(self, tmp_path):
        out, measure = tmp_path / "deep" / "t.parquet", functools.partial(note, folder=str(tmp_path))
        ck.sweep(CONFIGS[:2], measure, out, **QUIET)
        table = ck.sweep(CONFIGS, measure, out, **QUIET)
        assert table.value.tolist() == [1, 2, 3, 4, 5, 6]
        assert sorted((tmp_path / "calls").read_text().split()) == ["1", "2", "3", "4", "5", "6"]
        assert sorted(path.name for path in out.parent.iterdir() if path.name[0] != ".") == ["t.parquet"]

    def test_killed_in_the_middle(self, tmp_path):
        """Nothing is done twice, nothing is lost: each row is there as soon as it is measured."""
        program = f"""
import functools, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import classykit as ck
from tests.learning.test_sweep import CONFIGS, note
ck.sweep(CONFIGS, functools.partial(note, folder={str(tmp_path)!r}, pause=0.4), {str(tmp_path / "t.parquet")!r},
         progress=False)
"""
        child = subprocess.Popen([sys.executable, "-c", program])
        calls, until = tmp_path / "calls", time.monotonic() + 60
        while time.monotonic() < until and (not calls.exists() or len(calls.read_text().split()) < 3):
            time.sleep(0.02)
        time.sleep(0.1)  # within the fourth
        child.kill()
        child.wait()
        table = ck.sweep(CONFIGS, functools.partial(note, folder=str(tmp_path)), tmp_path / "t.parquet", **QUIET)
        assert table.value.tolist() == [1, 2, 3, 4, 5, 6]
        assert sorted(calls.read_text().split()) == ["1", "2", "3", "4", "5", "6"]

    def test_the_table_grows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "_EVERY", 0.0)
        out, seen = tmp_path / "t.parquet", []

        def measure(config):
            seen.append(len(pd.read_parquet(out)) if out.exists() else 0)
            return 1

        ck.sweep(CONFIGS, measure, out, **QUIET)
        assert seen == [0, 1, 2, 3, 4, 5]

    def test_an_interrupt_keeps_what_is_done(self, tmp_path):
        def measure(config):
            if config["num_layers"] == 4:
                raise KeyboardInterrupt
            return 1

        with pytest.raises(Interrupted, match="after 3 of 6 configs") as caught:
            ck.sweep(CONFIGS, measure, tmp_path / "t.parquet", **QUIET)
        assert len(caught.value.result) == 3 and len(pd.read_parquet(tmp_path / "t.parquet")) == 3

    def test_values_of_several_kinds(self, tmp_path):
        def measure(config):
            return {"mixed": "many" if config["num_layers"] > 3 else config["num_layers"]}

        ck.sweep(CONFIGS, measure, tmp_path / "t.parquet", **QUIET)
        assert pd.read_parquet(tmp_path / "t.parquet").mixed.tolist() == ["1", "2", "3", "many", "many", "many"]


class TestBadInput:
    @pytest.mark.parametrize(
        "configs, words",
        [
            ("resnet18", "is a list"),
            ({"name": "resnet18"}, "is a list"),
            ([], "no configs"),
            ([3], "a name or a dict"),
            ([{"depth": 3}], "a name or a dict"),
            ([{"name": "a", "b": object()}], "what JSON cannot"),
        ],
    )
    def test_configs(self, configs, words):
        with pytest.raises(ConfigError, match=words):
            ck.sweep(configs, depth)

    def test_measures_executors_and_files(self, tmp_path):
        with pytest.raises(ConfigError, match="measure is a function"):
            ck.sweep(CONFIGS, "inspect")
        with pytest.raises(ConfigError, match="executor is"):
            ck.sweep(CONFIGS, depth, executor=2)
        out = tmp_path / "t.parquet"
        ck.sweep(CONFIGS[:1], depth, out, **QUIET)
        with pytest.raises(StateError, match=r"holds .*depth, not .*odd_ones_fail"):
            ck.sweep(CONFIGS, odd_ones_fail, out, **QUIET)
        out.write_bytes(b"no table")
        with pytest.raises(StateError, match="is no table of a sweep"):
            ck.sweep(CONFIGS, depth, out, **QUIET)
