"""The ways of running a model: each gives the same numbers, or says why it cannot be."""

import logging
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.measuring.modes import MODES, Unavailable, parts_of, peak_memory, prepare
from classykit.running.placement import Place

CPU = torch.device("cpu")
gpu = pytest.mark.gpu


@pytest.fixture
def quick_compiler(monkeypatch):
    """torch.compile without its compiler, tracing and guards being the real ones: what it was asked, and its runs."""
    compile_, log = torch.compile, SimpleNamespace(asked=[], runs=0)

    def backend(graph, inputs):
        def run(*args):
            log.runs += 1
            return graph(*args)

        return run

    def without_compiler(step, **keys):
        log.asked.append(keys)
        return compile_(step, backend=backend, **keys)

    monkeypatch.setattr(torch, "compile", without_compiler)
    return log


class Failing(nn.Module):
    def forward(self, x):
        raise RuntimeError("the model's own error\nand more")


class TestParts:
    def test_a_mode_is_one_word_or_several(self):
        assert [sorted(parts_of(m)) for m in MODES] == [[], ["channels_last"], ["compiled"], ["cuda_graph"]]
        assert parts_of("channels_last + compiled") == {"channels_last", "compiled"}

    @pytest.mark.parametrize("wrong", ["egaer", "", "eager+", 3, None])
    def test_what_is_no_mode_is_refused(self, wrong):
        with pytest.raises(ConfigError, match="A mode is one of eager, channels_last, compiled, cuda_graph"):
            parts_of(wrong)

    def test_a_near_name_is_suggested(self):
        with pytest.raises(ConfigError, match="Did you mean 'compiled'"):
            parts_of("compile")


class TestPasses:
    @pytest.mark.parametrize("mode", ["eager", "channels_last", "compiled", "channels_last+compiled"])
    def test_every_mode_gives_what_the_model_gives(self, small, mode, quick_compiler):
        model, x = small
        place = Place(CPU, torch.float32, "channels_last" in mode)
        with torch.inference_mode():
            ready = prepare(model, place.put(x), mode, CPU)
            torch.testing.assert_close(ready.run(), model(x), rtol=1e-4, atol=1e-5)
        assert 0 < ready.seconds <= ready.setup and ready.growth is None
        assert quick_compiler.asked == [{"dynamic": False}] * ("compiled" in mode)

    def test_channels_last_needs_a_map(self):
        with pytest.raises(Unavailable, match="no map or clip"):
            prepare(nn.Linear(3, 2), torch.rand(1, 3), "channels_last", CPU)

    def test_a_cuda_graph_needs_cuda(self, small):
        with pytest.raises(Unavailable, match="needs a CUDA device; this is cpu"):
            prepare(*small, "cuda_graph", CPU)

    @pytest.mark.parametrize("mode", ["eager", "compiled"])
    def test_the_models_own_error_is_passed_on(self, mode, quick_compiler):
        with pytest.raises((RuntimeError, Unavailable), match="the model's own error"):
            prepare(Failing(), torch.rand(1, 3), mode, CPU)


class TestCompiling:
    def test_many_shapes_do_not_end_in_eager_passes_unseen(self, quick_compiler):
        """torch remembers eight compilations of one function, and runs eagerly after those."""
        model = nn.Linear(3, 2)
        for n in range(1, 12):
            with torch.inference_mode():
                ready = prepare(model, torch.rand(n, 3), "compiled", CPU)
                before = quick_compiler.runs
                ready.run()
            assert quick_compiler.runs == before + 1, n

    def test_it_is_quiet_and_leaves_filters_and_levels_alone(self, small, quick_compiler, capsys):
        model, x = small
        filters, level = list(warnings.filters), logging.root.manager.disable
        with torch.inference_mode():
            prepare(model, x, "compiled", CPU)
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", "")
        assert warnings.filters == filters and logging.root.manager.disable == level

    def test_the_model_is_left_as_it_was(self, small, quick_compiler, everything, assert_same):
        model, x = small
        model.requires_grad_(True)
        before = everything(model)
        with torch.inference_mode():
            prepare(model, x, "compiled", CPU)
        assert_same(before, everything(model))

    @pytest.mark.parametrize(
        "error, words",
        [
            ("InvalidCxxCompiler", "no C\\+\\+ compiler was found"),
            ("CppCompileError", "the C\\+\\+ compiler failed: file.cpp:3: error: no such thing"),
            ("TritonMissing", "Triton is not installed"),
            ("GPUTooOldForTriton", "too old"),
        ],
    )
    def test_what_is_missing_is_said_in_words(self, small, monkeypatch, error, words):
        inner = type(error, (RuntimeError,), {})("C++ compile error\n  Command: g++\nfile.cpp:3: error: no such thing")
        outer = RuntimeError("backend='inductor' raised:\npages of it")
        outer.inner_exception = inner

        def fail(step, **keys):
            def compiled(x):
                raise outer

            return compiled

        monkeypatch.setattr(torch, "compile", fail)
        with pytest.raises(Unavailable, match=words):
            prepare(*small, "compiled", CPU)

    def test_memory_running_out_is_not_taken_for_a_missing_mode(self, small, monkeypatch):
        def fail(step, **keys):
            def compiled(x):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

            return compiled

        monkeypatch.setattr(torch, "compile", fail)
        with pytest.raises(torch.cuda.OutOfMemoryError):
            prepare(*small, "compiled", CPU)

    @pytest.mark.slow
    def test_the_real_compiler(self, small):
        model, x = small
        with torch.inference_mode():
            ready = prepare(model, x, "compiled", CPU)
            torch.testing.assert_close(ready.run(), model(x), rtol=1e-4, atol=1e-5)


class TestMemory:
    def test_on_a_cpu_it_is_what_inspection_estimates(self, light, input_for):
        model = ck.build_model(light).eval()
        x = input_for(model)
        with torch.inference_mode():
            ready = prepare(model, x, "eager", CPU)
            measured = peak_memory(model, x, ready, "eager", CPU)
        estimated = ck.inspect(model, tuple(x.shape[1:])).peak_memory(batch_size=2).total
        # on the meta device attention takes another path, which keeps a little more
        least = 0.85 if light["name"] == "vision_transformer" else 0.999
        assert least * estimated <= measured <= 1.001 * estimated

    def test_of_compiled_passes_it_is_not_known(self, small, quick_compiler):
        ready = prepare(*small, "compiled", CPU)
        assert peak_memory(*small, ready, "compiled", CPU) is None


@gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnAGPU:
    @pytest.mark.parametrize("mode", ["cuda_graph", "channels_last+cuda_graph"])
    def test_a_graph_gives_what_the_model_gives(self, small, mode):
        model, x = small
        place = Place(torch.device("cuda", 0), torch.float32, "channels_last" in mode)
        model, x = place.settle(model), place.put(x)
        with torch.inference_mode():
            ready = prepare(model, x, mode, place.device)
            torch.testing.assert_close(ready.run(), model(x), rtol=1e-3, atol=1e-3)
            x.zero_()  # a graph reads its input where it lies
            torch.testing.assert_close(ready.run(), model(x), rtol=1e-3, atol=1e-3)
            assert 0 < ready.growth < peak_memory(model, x, ready, mode, place.device)

    def test_what_reads_numbers_cannot_be_recorded(self):
        class Reading(nn.Module):
            def forward(self, x):
                return x + x.sum().item()

        x = torch.rand(4, device="cuda")
        with pytest.raises(Unavailable, match="cannot be recorded"):
            prepare(Reading(), x, "cuda_graph", x.device)
        assert torch.equal(x + 0, x)  # the device still works

    def test_the_memory_of_a_pass_is_near_the_estimate(self):
        place = Place(torch.device("cuda", 0), torch.float32)
        net = ck.build_model("resnet18").eval()
        model, x = place.settle(net), place.put(torch.rand(32, 3, 224, 224))
        with torch.inference_mode():
            ready = prepare(model, x, "eager", place.device)
            measured = peak_memory(model, x, ready, "eager", place.device)
        assert measured == pytest.approx(ck.inspect(net).peak_memory(batch_size=32).total, rel=0.1)
