"""classykit.extracting.ranks: processes that share one piece of work."""

import json
import os
import socket
import subprocess
import sys

import pytest
from extractions import SETTING, assert_is_the_single_run, python

from classykit.extracting.ranks import Ranks


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


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [0, 1, 2, 5, 9])
def test_every_shard_is_dealt_once(size, items):
    dealt = [Ranks(rank, size).share(list(range(items))) for rank in range(size)]
    assert sorted(shard for part in dealt for shard in part) == list(range(items))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
