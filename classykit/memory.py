"""How much memory a device has to give."""

from __future__ import annotations

import psutil
import torch


def free_memory(device: str | torch.device) -> int:
    """Bytes that can be had on a device now (of the machine's memory, for anything that is no CUDA device)."""
    device = torch.device(device)
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
