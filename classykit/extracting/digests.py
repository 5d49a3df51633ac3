"""Fingerprints: whether a model, or an item of a dataset, is the one that it was."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from classykit.models.head_dict import is_of_head

PLACES, AT_ONCE = 16, 4096  # of a file are looked at: how many, and how many bytes at each


def digest_of_weights(model: nn.Module) -> str:
    """Of a model's layers and weights, attached heads left out; the same in every process.

    >>> layer = nn.Linear(2, 3)
    >>> before = digest_of_weights(layer)
    >>> _ = layer.weight.data.add_(1)
    >>> digest_of_weights(layer) == before
    False
    """
    digest = hashlib.sha256()
    for name, module in model.named_modules():
        if not is_of_head(name):
            text = f"{name}:{type(module).__name__}({_settings(module)})\n"
            digest.update(re.sub(r" at 0x[0-9a-fA-F]+", "", text).encode())  # addresses differ with every process
    for name, value in model.state_dict().items():
        if not is_of_head(name):
            digest.update(name.encode())
            _update(digest, value)
    return digest.hexdigest()


def _settings(module: nn.Module) -> str:
    try:
        return module.extra_repr()
    except Exception:  # whatever a stranger's code raises
        return ""


def digest_of(value: Any) -> str:
    """Of numbers, texts, tensors, arrays, pictures, and lists of them; of anything else its type alone."""
    digest = hashlib.sha256()
    _update(digest, value)
    return digest.hexdigest()


def digest_of_file(path: str | os.PathLike) -> bytes:
    """Of a file's size and its bytes; of a large one's, those at sixteen places. OSError where it is not there."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest = hashlib.sha256(f"{size}\0".encode())
        for place in range(PLACES):
            file.seek(place * max(size - AT_ONCE, 0) // (PLACES - 1))
            digest.update(file.read(AT_ONCE))
    return digest.digest()


def _update(digest: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    elif isinstance(value, Image.Image):
        digest.update(f"{value.mode}{value.size}".encode() + value.tobytes())
    elif isinstance(value, bytes):
        digest.update(value)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _update(digest, part)
    elif isinstance(value, (str, int, float, os.PathLike)) or value is None:
        digest.update(f"{value}\0".encode(errors="surrogateescape"))
    else:
        digest.update(type(value).__name__.encode())
