"""What figures were measured on, in words: they mean little anywhere else."""

from __future__ import annotations

import platform
from datetime import datetime
from pathlib import Path

import torch


def machine(device: torch.device) -> str:
    """The device, its software, settings that matter, and when: "..., 8 threads; torch 2.9.0; 2026-01-31 12:00".

    >>> machine(torch.device("cpu")).split("; ")[1].split()[0]
    'torch'
    """
    if device.type == "cuda":
        parts = [f"{torch.cuda.get_device_name(device)} ({device})", f"torch {torch.__version__}"]
    else:
        threads = torch.get_num_threads()
        words = f"{threads} threads" if threads > 1 else "1 thread"
        parts = [f"{_processor()} ({device}), {words}", f"torch {torch.__version__}"]
    return "; ".join([*parts, *_settings(device), f"{datetime.now():%Y-%m-%d %H:%M}"])


def _processor() -> str:
    """The processor's name; of those that have none, the architecture."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine() or "unknown processor"


def _settings(device: torch.device) -> list[str]:
    """Switches of torch that make things faster or slower, where they are not as they are by default."""
    found = []
    if device.type == "cuda":
        if torch.backends.cudnn.benchmark:
            found.append("cudnn.benchmark on")
        if not torch.backends.cudnn.enabled:
            found.append("cuDNN off")
    elif not torch.backends.mkldnn.enabled:
        found.append("oneDNN off")
    if torch.get_float32_matmul_precision() != "highest":
        found.append(f'float32 matrix products in precision "{torch.get_float32_matmul_precision()}"')
    if torch.are_deterministic_algorithms_enabled():
        found.append("deterministic algorithms")
    return found
