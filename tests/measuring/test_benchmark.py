"""classykit.benchmark: figures that add up, every combination accounted for, and nothing left behind."""

import statistics

import pytest
import torch
from measured import MLP, quick
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError, Interrupted, ShapeError
from classykit.measuring import bench, timing
from classykit.models import ClassyModel

gpu = pytest.mark.gpu


class Interrupting(nn.Module):
    """Presses the stop button at a batch size."""

    def __init__(self, at):
        super().__init__()
        self.fc, self.at, self.input_shape = nn.Linear(3, 2), at, (3,)

    def forward(self, x):
        if len(x) == self.at and not x.is_meta:
            raise KeyboardInterrupt
        return self.fc(x)


class Odd(nn.Module):
    """Its course depends on numbers, and it counts its passes in a buffer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("passes", torch.zeros(()))
        self.dropout = nn.Dropout()

    def forward(self, x):
        self.passes += 1
        torch.rand(1)
        return self.dropout(self.fc(x)) if bool(x.sum() > -1e9) else x


class TwoInputs(ClassyModel):
    """Takes a dict."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def example_input(self, batch_size=1, device="cpu"):
        return {"a": torch.zeros(batch_size, 4, device=device), "index": torch.zeros(batch_size, 1, dtype=torch.long,
                                                                                     device=device)}  # fmt: skip

    def forward(self, x):
        return self.fc(x["a"]).gather(1, x["index"])


class TestRows:
    def test_every_combination_has_a_row_in_order(self, small):
        found = quick(small[0], (1, 2), ["float32", torch.bfloat16], ("eager", "channels_last", "cuda_graph"),
                      input_shape=(3, 32, 32))  # fmt: skip
        assert [(r.dtype, r.mode, r.batch_size) for r in found.rows] == [
            (d, m, n) for d in ("float32", "bfloat16") for m in ("eager", "channels_last", "cuda_graph") for n in (1, 2)
        ]
        for row in found.rows:
            assert row.device == "cpu" and row.model == "resnext"
            if row.mode == "cuda_graph":
                assert row.status == "needs a CUDA device; this is cpu"
                assert (row.latency_ms, row.images_per_s, row.tflops, row.memory) == (None,) * 4
            else:
                assert row.ok and len(row.times) == 5

    def test_the_macs_are_the_inspected_ones(self, small):
        row = quick(small[0], 3, input_shape=(3, 32, 32)).rows[0]
        macs = ck.inspect(small[0], (3, 32, 32)).macs
        assert row.macs == macs
        assert row.tflops == pytest.approx(2 * 3 * macs / statistics.median(row.times) / 1e12)

    def test_memory_is_what_inspection_estimates(self, small):
        row = quick(small[0], 4, input_shape=(3, 32, 32)).rows[0]
        estimated = ck.inspect(small[0], (3, 32, 32)).peak_memory(batch_size=4).total
        assert row.memory == pytest.approx(estimated, rel=0.001)
        half = quick(small[0], 4, "bfloat16", input_shape=(3, 32, 32)).rows[0]
        assert half.memory == pytest.approx(estimated / 2, rel=0.05)


class TestTiming:
    def test_a_row_as_it_is_by_default(self, monkeypatch):
        monkeypatch.setattr(bench, "interleave", timing.interleave)
        row = quick(MLP).rows[0]
        assert len(row.times) >= 4 and row.latency_ms < 100


class TestModels:
    def test_of_every_family(self, light):
        found = quick(light, 2)
        assert found.rows[0].ok and found.rows[0].memory > 0 and "Untrained: its weights are random" in found.notes

    def test_a_name(self):
        found = quick("resnet18", input_shape=(3, 32, 32))
        assert found.models == ["resnet18"] and found.shapes == {"resnet18": (3, 32, 32)}

    def test_a_dict_input(self):
        found = quick(TwoInputs(), 3, modes=("eager", "channels_last"))
        assert found.rows[0].ok and found.rows[0].macs == 12
        assert "no map or clip" in found.rows[1].status

    def test_what_cannot_be_inspected_is_still_timed(self):
        found = quick(nn.Sequential(nn.Flatten(), Odd()), input_shape=(4,))
        assert found.rows[0].ok and found.rows[0].macs in (16, None)

    def test_a_model_that_cannot_run_is_refused_with_what_to_do(self):
        with pytest.raises(ShapeError, match=r"cannot run on an input of 3×224×224.*input_shape="):
            quick(nn.Linear(5, 2))
        with pytest.raises(ShapeError):
            quick("resnet18", input_shape=(4, 32, 32))

    def test_a_model_without_weights_is_refused(self):
        with pytest.raises(DeviceError, match="meta device"):
            quick(ck.build_model("resnet18", device="meta"))

    def test_a_name_that_cannot_fit_is_refused_before_anything_is_allocated(self, monkeypatch):
        monkeypatch.setattr("classykit.running.memory_fit.free_memory", lambda device: 10_000_000)
        monkeypatch.setattr("classykit.running.memory_fit.build_model", None)
        with pytest.raises(DeviceError, match="too big for cpu"):
            quick("resnet50")

    @pytest.mark.parametrize(
        "keys",
        [{"sizes": 0}, {"sizes": ()}, {"sizes": 1.5}, {"sizes": (1, True)}, {"modes": "fast"}, {"modes": []},
         {"dtypes": "int8"}, {"dtypes": []}, {"dtypes": 3}, {"seconds": 0}, {"seconds": "1"}, {"compare": 3},
         {"compare": [3]}],
    )  # fmt: skip
    def test_what_cannot_be_asked(self, keys):
        with pytest.raises(ConfigError):
            quick(MLP, **keys)
        with pytest.raises(ConfigError, match="A model is"):
            quick(3)


class TestTrouble:
    def test_an_interruption_keeps_what_was_measured(self, everything, assert_same):
        model = Interrupting(at=2)
        before = everything(model)
        with pytest.raises(Interrupted, match="after 1 of 3 rows") as caught:
            quick(model, (1, 2, 4))
        assert [r.batch_size for r in caught.value.result.rows] == [1] and caught.value.result.rows[0].ok
        assert "Interrupted after 1 of 3 rows" in str(caught.value.result)
        assert isinstance(caught.value, KeyboardInterrupt)
        assert_same(before, everything(model))


class TestNothingIsLeftBehind:
    @pytest.mark.parametrize("train", [True, False])
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_in_the_model_and_around_it(self, small, everything, assert_same, train, dtype):
        model, x = small
        model.train(train)
        model(x).sum().backward()
        handle = model.register_forward_hook(lambda m, a, o: None)
        before = everything(model)
        quick(model, (1, 2), dtype, ("eager", "channels_last"), input_shape=(3, 32, 32), compare=["resnet18"])
        assert_same(before, everything(model))
        handle.remove()

    def test_in_a_model_that_writes_to_its_buffers(self, everything, assert_same):
        model = Odd()
        before = everything(model)
        quick(model, 2, input_shape=(4,))
        assert_same(before, everything(model))
        model(torch.rand(2, 4)).sum().backward()  # no tensor of inference mode stayed

    def test_with_heads(self, small, everything, assert_same):
        model = small[0]
        model.attach_head("block0-0", "fully_connected", num_classes=4)
        before = everything(model)
        assert quick(model, input_shape=(3, 32, 32)).rows[0].ok
        assert_same(before, everything(model))


class TestCompare:
    def test_all_have_rows(self, compared):
        found = compared
        assert found.models == ["mlp", "big", "again"]
        rows = [r for r in found.rows if r.mode == "eager"]
        assert [r.model for r in rows] == ["mlp", "big", "again"] * 2

    def test_no_name_twice(self):
        assert quick(MLP, compare=MLP).models == ["mlp", "mlp (2)"]


@gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnAGPU:
    def test_all_modes_but_compiled(self):
        modes = ("eager", "channels_last", "cuda_graph", "channels_last+cuda_graph")
        found = quick("resnet18", (1, 8), "auto", modes, device="cuda", seconds=0.1)
        assert all(r.ok and r.memory > 0 for r in found.rows), str(found)
        assert found.find("cuda_graph", 1).latency_ms < found.find("eager", 1).latency_ms

    def test_the_models_copy_is_freed(self):
        model = ck.build_model("resnet18")
        quick(model, 2, device="cuda", modes=("eager", "cuda_graph"))
        before = torch.cuda.memory_allocated()
        quick(model, 2, device="cuda", modes=("eager", "cuda_graph"))
        assert torch.cuda.memory_allocated() <= before + 2**26  # libraries may keep a workspace for one more stream
        assert next(model.parameters()).device.type == "cpu"

    def test_memory_is_near_the_estimate_beside_other_tensors(self):
        other = torch.empty(2**28, device="cuda")
        row = quick("resnet18", 32, device="cuda", seconds=0.05).rows[0]
        assert row.memory == pytest.approx(ck.inspect("resnet18").peak_memory(batch_size=32).total, rel=0.1)
        del other
