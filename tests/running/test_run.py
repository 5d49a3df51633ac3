"""classykit.run: the same results as a plain pass, in batches that fit, whatever happens on the way."""

import copy
import subprocess
import sys
import warnings

import pytest
import torch
from ran import plain
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError, Interrupted, ShapeError
from classykit.heads import ClassyHead
from classykit.running.placement import Place


class Limited(nn.Module):
    """Runs out of memory on batches above its limit, as a CUDA device or the CPU's allocator would."""

    def __init__(self, limit, error=None):
        super().__init__()
        error = error or torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.fc, self.limit, self.error, self.seen = nn.Linear(3, 2), limit, error, []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.limit:
            raise self.error
        return self.fc(x)


class Interrupting(ClassyHead):
    """Presses the stop button in its ``after``-th pass."""

    def __init__(self, unique_id, after):
        super().__init__(unique_id)
        self.after, self.passes, self.armed = after, 0, False

    def forward(self, x):
        if self.armed and not x.is_meta:
            self.passes += 1
            if self.passes == self.after:
                raise KeyboardInterrupt
        return x.mean((2, 3))


class TestResults:
    def test_of_every_family(self, light, input_for):
        model = ck.build_model(light)
        x = input_for(model, batch=5)
        result = ck.run(model, x, device="cpu", dtype="float32", batch_size=2)
        torch.testing.assert_close(result.output, plain(model, x), rtol=1e-4, atol=1e-5)
        assert result.images == 5 and result.batch_size == 2 and result.seconds > 0 and not result.output.requires_grad
        assert not result.output.is_inference() and result.trunk is None

    @pytest.mark.parametrize("batch_size", [1, 2, 3, 7, "auto"])
    @pytest.mark.parametrize("channels_last", [True, False])
    def test_in_any_batches(self, batch_size, channels_last, small):
        model, _ = small
        x = torch.randn(7, 3, 32, 32)
        result = ck.run(model, x, "cpu", "float32", batch_size, channels_last=channels_last)
        torch.testing.assert_close(result.output, plain(model, x), rtol=1e-4, atol=1e-5)
        assert result.place.channels_last is channels_last

    @pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), (torch.bfloat16, 0.05)])
    def test_in_another_type(self, dtype, tolerance, small):
        model, x = small
        result = ck.run(model, x, dtype=dtype)
        wanted = plain(copy.deepcopy(model).double(), x.double())
        assert result.output.dtype == torch.float32 and next(model.parameters()).dtype == torch.float32
        error = (result.output - wanted).abs().max() / wanted.abs().max()
        assert error < max(tolerance, 1e-6)

    def test_a_model_keeps_its_own_type(self, small):
        model, x = small
        result = ck.run(model.double(), x)
        assert result.output.dtype == torch.float64 and result.place.dtype == torch.float64


class TestMemory:
    @pytest.mark.parametrize("error", [
        torch.cuda.OutOfMemoryError("CUDA out of memory"), MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ])  # fmt: skip
    def test_a_batch_that_runs_out_is_halved(self, error):
        model, x = Limited(3, error), torch.randn(10, 3)
        with pytest.warns(RuntimeWarning, match="halved to 4"), pytest.warns(RuntimeWarning, match="halved to 2"):
            result = ck.run(model, x, batch_size=8, dtype="float32")
        assert torch.equal(result.output, model.fc(x)) and result.batch_size == 2
        assert [n for n in model.seen if n <= 3] == [2] * 5 and "halved to 2" in str(result)

    def test_when_not_even_one_fits(self):
        with pytest.warns(RuntimeWarning), pytest.raises(DeviceError, match=r"cpu ran out of memory.*smaller"):
            ck.run(Limited(0), torch.randn(4, 3))

    def test_really(self):
        """In a process that may not take more than 400 MB besides what it has."""
        code = """if True:
            import resource, warnings, torch, classykit as ck
            torch.set_num_threads(1)
            model = ck.build_model("resnet18")
            x = torch.randn(16, 3, 224, 224)
            wanted = ck.run(model, x[:2], dtype="float32", batch_size=1, channels_last=False).output
            taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + 80_000_000,) * 2)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                result = ck.run(model, x, dtype="float32", batch_size=16, channels_last=False)
            assert any("halved" in str(w.message) for w in said), said
            assert result.batch_size < 16 and result.output.shape == (16, 512, 7, 7)
            torch.testing.assert_close(result.output[:2], wanted, rtol=1e-3, atol=1e-4)
            print("fine")
        """
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "fine\n", done.stderr

    def test_a_batch_that_would_not_fit_is_made_smaller_before(self, small, monkeypatch):
        model, _ = small
        x = torch.randn(6, 3, 32, 32)
        i = ck.inspect(model, (3, 32, 32))
        of_one = i.peak_memory(batch_size=1).activations
        monkeypatch.setattr("classykit.running.memory_fit.free_memory", lambda device: int(3.5 * of_one / 0.9))
        with pytest.warns(RuntimeWarning, match="3 at a time"):
            result = ck.run(model, x, batch_size=6, dtype="float32")
        assert result.batch_size == 3 and result.output.shape[0] == 6
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what was not asked for needs no word
            assert ck.run(model, x, dtype="float32").batch_size == 3

    def test_a_model_that_cannot_fit_is_refused_before_it_is_allocated(self, monkeypatch):
        i = ck.inspect("vit_l_16")
        monkeypatch.setattr("classykit.running.memory_fit.free_memory", lambda device: i.param_bytes // 2)
        monkeypatch.setattr("classykit.running.memory_fit.build_model", lambda *a, **k: pytest.fail("was allocated"))
        with pytest.raises(DeviceError, match=r"vit_l_16 is too big for cpu: about 1.21 GB.*vit_b_32 is the largest"):
            ck.run("vit_l_16", torch.zeros(1, 3, 224, 224), device="cpu")

    def test_a_copy_that_cannot_fit_is_refused_before_it_is_made(self, small, monkeypatch):
        monkeypatch.setattr("classykit.running.memory_fit.free_memory", lambda device: 1000)
        monkeypatch.setattr(Place, "settle", lambda *a: pytest.fail("was copied"))
        with pytest.raises(DeviceError, match="resnext is too big for cpu"):
            ck.run(*small, dtype="float64")


class TestInterruption:
    def test_within_a_batch(self, small, everything, assert_same):
        model, _ = small
        x = torch.randn(8, 3, 32, 32)
        head = Interrupting("stop", after=3)
        model.attach_head("block1-0", head)
        wanted = plain(model, x)
        model.train()
        before = everything(model)
        head.armed = True
        with pytest.raises(Interrupted, match="after 4 of 8 images") as caught:
            ck.run(model, x, dtype="float32", batch_size=2)
        assert isinstance(caught.value, KeyboardInterrupt) and head.passes == 3
        partial = caught.value.result
        assert partial.images == 4 and "Interrupted" in str(partial)
        torch.testing.assert_close(partial.output, wanted[:4], rtol=1e-4, atol=1e-5)
        assert_same(before, everything(model))
        head.armed = False
        torch.testing.assert_close(ck.run(model, x, dtype="float32").output, wanted, rtol=1e-4, atol=1e-5)

    def test_before_anything_was_done(self, small):
        model, x = small
        head = Interrupting("stop", after=1)
        model.attach_head("block1-0", head)
        head.armed = True
        with pytest.raises(Interrupted) as caught:
            ck.run(model, x)
        assert caught.value.result.images == 0 and caught.value.result.output is None


@pytest.mark.parametrize("keys", [{}, {"dtype": "float64"}, {"dtype": torch.bfloat16, "channels_last": True}])
@pytest.mark.parametrize("problem", [None, RuntimeError("size mismatch"), ZeroDivisionError("odd")])
def test_the_model_is_left_as_it_was(keys, problem, small, everything, assert_same):
    class Failing(ClassyHead):
        failing = False

        def forward(self, x):
            if self.failing:
                raise problem
            return x

    model, x = small
    model.attach_head("block0-0", Failing("f"))
    model.train()
    model(x).sum().backward()
    before = everything(model)
    Failing.failing = problem is not None
    if problem is None:
        ck.run(model, x, **keys)
    else:
        with pytest.raises(ShapeError if isinstance(problem, RuntimeError) else ZeroDivisionError, match=str(problem)):
            ck.run(model, x, **keys)
    assert_same(before, everything(model))


def test_names_and_configs_are_built():
    result = ck.run("resnet18", torch.zeros(1, 3, 64, 64), device="cpu")
    assert result.output.shape == (1, 512, 2, 2) and "Untrained" in str(result)
    with pytest.raises(DeviceError, match="meta"):
        ck.run(ck.build_model("resnet18", device="meta"), torch.zeros(1, 3, 64, 64))
    with pytest.raises(ConfigError, match="batch_size"):
        ck.run("resnet18", torch.zeros(1, 3, 64, 64), batch_size=0)


class TestOwnNumberType:
    class Stubborn(nn.Module):
        """Makes numbers of a type of its own, so that it runs in float32 alone."""

        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x * torch.ones(3))

    @pytest.fixture(autouse=True)
    def quick_in_bfloat16(self, monkeypatch):
        from classykit.running import placement

        monkeypatch.setattr(placement, "_is_quick_in_bfloat16", lambda device: True)

    def test_a_type_that_was_not_asked_for_is_given_up(self):
        net, x = self.Stubborn(), torch.rand(5, 3)
        with pytest.warns(RuntimeWarning, match="does not run in bfloat16, but in its own float32"):
            found = ck.run(net, x, device="cpu", batch_size=2, progress=False)
        torch.testing.assert_close(found.output, net(x))
        assert found.place.dtype == torch.float32 and "does not run in bfloat16" in str(found)

    def test_one_that_was_asked_for_is_not(self):
        with pytest.raises(ShapeError):
            ck.run(self.Stubborn(), torch.rand(5, 3), device="cpu", dtype="bfloat16", progress=False)

    def test_an_input_that_never_fits_is_refused_as_ever(self):
        with pytest.raises(ShapeError, match="cannot run on an input of"):
            ck.run(self.Stubborn(), torch.rand(5, 4), device="cpu", progress=False)

    def test_measuring(self):
        keys = {"device": "cpu", "seconds": 0.001, "progress": False}
        assert ck.benchmark(self.Stubborn(), 1, modes="eager", input_shape=(3,), **keys).rows[0].status == "ok"
        found = ck.profile_blocks(self.Stubborn(), torch.rand(2, 3), **keys)
        assert found.place.dtype == torch.float32 and any("does not run in bfloat16" in note for note in found.notes)

    def test_what_runs_in_it_does(self):
        found = ck.run(nn.Linear(3, 2), torch.rand(5, 3), device="cpu", progress=False)
        assert found.place.dtype == torch.bfloat16 and not found.notes
