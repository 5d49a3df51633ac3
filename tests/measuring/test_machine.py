"""classykit.measuring.machine: what figures were measured on."""

import re

import pytest
import torch

from classykit.measuring import machine as module
from classykit.measuring.machine import machine

CPU = torch.device("cpu")


def test_a_cpu_its_threads_and_its_software():
    words = machine(CPU)
    threads = torch.get_num_threads()
    assert f"(cpu), {threads} thread{'s' if threads > 1 else ''}; torch {torch.__version__}" in words
    assert re.search(r"; \d{4}-\d\d-\d\d \d\d:\d\d$", words)


def test_a_gpu_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    assert machine(torch.device("cuda:1")).startswith("Some GPU (cuda:1); torch ")
    assert "; cudnn.benchmark on; " in machine(torch.device("cuda:1")) and "cudnn" not in machine(CPU)


def test_settings_are_said_where_they_are_not_the_default():
    assert "precision" not in machine(CPU) and "deterministic" not in machine(CPU)
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True)
    try:
        words = machine(CPU)
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(False)
    assert 'float32 matrix products in precision "high"; deterministic algorithms; ' in words


@pytest.mark.parametrize("there", [True, False])
def test_a_processor_without_a_name(there, tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    if there:
        info.write_text("flags : none\nmodel name\t:  A   Processor \n")
    monkeypatch.setattr(module, "Path", lambda path: info)
    monkeypatch.setattr(module.platform, "processor", lambda: "")
    monkeypatch.setattr(module.platform, "machine", lambda: "riscv64")
    assert machine(CPU).startswith("A Processor (cpu)" if there else "riscv64 (cpu)")
