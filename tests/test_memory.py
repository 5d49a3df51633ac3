"""classykit.memory: what cannot fit is refused in time."""

import psutil
import pytest
import torch
from odd import NothingLarge
from torch import nn

from classykit import memory
from classykit.errors import ConfigError, DeviceError, HeadError
from classykit.memory import free_memory, refuse_weights_of, refuse_what_cannot_fit


def test_of_the_machine_what_is_available_is_free(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 123, "free": 5}))
    assert free_memory("cpu") == free_memory(torch.device("mps")) == 123


def test_of_a_gpu_what_the_driver_says_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 + device.index, 100))
    assert free_memory("cuda:1") == 11


@pytest.mark.parametrize("free, fits", [(11_999, False), (12_000, True)])
def test_weights_may_take_all_that_is_free_and_no_byte_more(free, fits, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    layers = [nn.Linear(50, 50, bias=False, device="meta"), nn.Linear(25, 10, dtype=torch.float64, bias=False)]
    if fits:
        refuse_weights_of(layers, "cpu", "these")
        return
    with pytest.raises(DeviceError, match=r"^these: its weights need 12.0 kB, and cpu has 12.0 kB free\. .*\"meta\""):
        refuse_weights_of(layers, "cpu", "these")


def test_a_building_is_tried_without_a_byte():
    built = []
    with NothingLarge():
        with pytest.raises(DeviceError, match=r"^net: its weights need 70\.4 TB, and cpu has"):
            refuse_what_cannot_fit(lambda: nn.Linear(2**22, 2**22), "net")
        refuse_what_cannot_fit(lambda: built.append(nn.Linear(2**12, 2**12)) or built[0], "net")
    assert built[0].weight.is_meta


def test_on_the_meta_device_everything_fits_and_nothing_is_tried():
    built = []
    with torch.device("meta"):
        refuse_what_cannot_fit(lambda: built.append(nn.Linear(2**22, 2**22)), "net")
    assert built == []


def test_sizes_beyond_all_devices_are_the_configs_fault():
    with pytest.raises(ConfigError, match=r"^net: weights of these sizes cannot be allocated: "):
        refuse_what_cannot_fit(lambda: nn.Linear(2**40, 2**40), "net")


def test_what_the_building_itself_complains_of_is_passed_on():
    def build():
        raise HeadError("no such thing")

    with pytest.raises(HeadError, match=r"^no such thing$"):
        refuse_what_cannot_fit(build, "net")
