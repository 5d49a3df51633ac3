"""classykit.running.placement: where and how a model runs, and copies of it there."""

import threading

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, DeviceError
from classykit.running import placement
from classykit.running.placement import Place, choose, devices

CPU = torch.device("cpu")


@pytest.fixture
def cuda(monkeypatch):
    """A machine with two GPUs, as far as asking goes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "a GPU")

    def capability(version):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: version)

    capability((9, 0))
    return capability


@pytest.fixture
def no_amx(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)


class TestChoose:
    def test_a_cpu(self, monkeypatch, no_amx):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        assert choose(ck.build_model("resnet18", device="meta")) == Place(CPU, torch.float32, True)
        assert choose(ck.build_model("vit_b_32", device="meta")) == Place(CPU, torch.float32, False)
        assert choose(nn.Linear(2, 2).double()) == Place(CPU, torch.float64)

    def test_a_cpu_that_multiplies_bfloat16(self, monkeypatch):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
        assert choose(nn.Linear(2, 2), "cpu").dtype == torch.bfloat16
        assert choose(nn.Linear(2, 2), "cpu", "float32").dtype == torch.float32

    @pytest.mark.parametrize("version, dtype", [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float32")])
    def test_a_gpu(self, version, dtype, cuda):
        cuda(version)
        place = choose(ck.build_model("resnet18", device="meta"))
        assert place == Place(torch.device("cuda:0"), getattr(torch, dtype), True)
        assert choose(nn.Linear(2, 2), "cuda") == choose(nn.Linear(2, 2), "cuda:0")
        assert choose(nn.Linear(2, 2).half()).dtype == torch.float16
        assert choose(nn.Linear(2, 2), "cuda:1").device.index == 1

    @pytest.mark.parametrize("device", ["cuda:2", "xla", "meta"])
    def test_a_device_that_is_not_there(self, device, cuda):
        with pytest.raises(DeviceError, match=r"there is cpu, cuda:0, cuda:1"):
            choose(nn.Linear(2, 2), device)

    @pytest.mark.parametrize("keys, words", [
        ({"device": "gpu"}, '"cuda"'), ({"device": 3.5}, '"cuda"'), ({"dtype": "int8"}, '"bfloat16"'),
        ({"dtype": "half-ish"}, '"bfloat16"'), ({"dtype": 16}, '"bfloat16"'),
        ({"channels_last": "yes"}, "channels_last"),
    ])  # fmt: skip
    def test_what_cannot_be_asked(self, keys, words):
        with pytest.raises(ConfigError, match=words):
            choose(nn.Linear(2, 2), **keys)


class TestSettle:
    def test_a_model_that_is_there_is_not_copied(self, small):
        model, _ = small
        assert choose(model, "cpu", "float32").settle(model) is model
        assert choose(model, "cpu", "float32").has(model) and not choose(model, "cpu", "float64").has(model)

    def test_a_copy(self, small, everything, assert_same):
        model, x = small
        model.attach_head("block0-0", "fully_connected", num_classes=3)
        model.train()(x).sum().backward()
        before = everything(model)
        place = choose(model, "cpu", "float64")
        twin = place.settle(model)
        assert {p.dtype for p in twin.parameters()} == {torch.float64}
        assert all(p.grad is None for p in twin.parameters())
        assert twin.get_submodule("_heads") is not model.get_submodule("_heads")
        torch.testing.assert_close(twin.eval()(x.double()).float(), model.eval()(x), rtol=1e-4, atol=1e-5)
        model.train()
        assert_same(before, everything(model))

    def test_shared_weights_stay_shared(self):
        a, b = nn.Linear(3, 3), nn.Linear(3, 3)
        b.weight = a.weight
        twin = Place(CPU, torch.float64).settle(nn.Sequential(a, b))
        assert twin[0].weight is twin[1].weight and twin[0].weight is not a.weight

    def test_whole_numbers_stay_whole(self, small):
        model, _ = small
        counters = [b for n, b in Place(CPU, torch.bfloat16).settle(model).named_buffers() if "num_batches" in n]
        assert counters and all(b.dtype == torch.int64 for b in counters)
        put = Place(CPU, torch.bfloat16).put({"x": torch.zeros(2), "i": torch.zeros(2, dtype=torch.int64)})
        assert put["x"].dtype == torch.bfloat16 and put["i"].dtype == torch.int64

    def test_what_cannot_be_copied(self):
        class Single(nn.Linear):
            def __deepcopy__(self, memo):
                raise TypeError("there is only one")

        with pytest.raises(DeviceError, match=r"Single has to be copied.*there is only one.*model\.to"):
            Place(CPU, torch.float64).settle(Single(2, 2))

    def test_what_stands_beside_the_weights(self):
        model = nn.Linear(2, 2)
        model.generator, model.lock, model.grid = (i for i in range(3)), threading.Lock(), torch.ones(2)
        model.pruned = model.weight * 2  # as torch.nn.utils.prune keeps one, which torch itself cannot copy
        settled = Place(CPU, torch.float64).settle(model)
        assert settled.generator is model.generator and settled.lock is model.lock
        assert settled.weight.dtype == torch.float64 and settled.grid.dtype == torch.float32
        assert settled.grid is not model.grid and torch.equal(settled.pruned, model.pruned.detach())

    @pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4, 5, 6), (2, 3)])
    def test_layouts(self, shape):
        x = torch.randn(shape)
        put = Place(CPU, torch.float32, channels_last=True).put(x)
        assert torch.equal(put, x) and (put.stride(1) == 1) == (len(shape) > 1)
        assert Place(CPU, torch.float32).put(put).is_contiguous()


def test_devices():
    found = devices()
    assert found["cpu"] == "cpu" and ("cuda:0" in found) == torch.cuda.is_available()


def test_in_words():
    assert str(Place(CPU, torch.bfloat16, True)) == "cpu, bfloat16, channels last"
    assert placement.choose(nn.Linear(2, 2), "cpu", "float64").dtype == torch.float64
