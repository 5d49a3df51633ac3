"""classykit.extracting.feature_passes: batches through the model, in the memory that there is."""

import tracemalloc
import warnings

import pytest
import torch
from extractions import BOTH, plain, run
from torch import nn

import classykit as ck
from classykit.errors import DeviceError, ShapeError


def test_inputs_of_several_sizes(small, tmp_path):
    data = [torch.rand(3, 32 + 8 * (i % 2), 32) for i in range(4)]
    found = run(small[0], data, "block0-0", tmp_path / "pooled")
    for i, x in enumerate(data):
        wanted = plain(small[0], x[None], ["block0-0"])["block0-0"][0]
        torch.testing.assert_close(torch.tensor(found.array()[i]), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(ShapeError, match=r"'block0-0' gives .* for image 1 .*for the first.*one size.*mean"):
        run(small[0], data, "block0-0", tmp_path / "whole", reduce=None)


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
        model = nn.Sequential(nn.Linear(3, 16384))  # wide: what is noted of each image is not to count
        peaks = []
        for images in (100, 400):
            x = torch.zeros(images, 3)
            tracemalloc.start()
            run(model, x, "0", tmp_path / str(images), reduce=reduce, batch_size=8, shard_size=16)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.2 * peaks[0] and peaks[1] < 400 * 16384 * 4 / 4

    def test_no_tensor_is_kept(self, tmp_path):
        """What the blocks gave is gone when the next batch comes, but for the shard that is being made."""
        import gc

        # those of other tests in this process are none of the extraction's
        others = {id(t): t for t in gc.get_objects() if type(t) is torch.Tensor}

        class Watched(nn.Module):
            most = 0

            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 5)

            def forward(self, x):
                # parameters are of another type, and what an inspection remembers is on the meta device
                live = (t for t in gc.get_objects() if type(t) is torch.Tensor and t.shape[-1:] == (5,))
                live = (t for t in live if id(t) not in others)
                self.most = max(self.most, sum(len(t) for t in live if not t.is_meta))
                return self.fc(x)

        model = Watched()
        run(model, torch.zeros(32, 3), "fc", tmp_path, reduce=None, batch_size=4)
        assert 0 < model.most <= 4  # the last batch's
