"""Reading a file of weights as data only: nothing in it is executed, and what is wrong with it is said in words."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from classykit.archives import bloated
from classykit.errors import WeightsError


def read_file(path: Path) -> dict[str, Any]:
    """What a ``.safetensors`` file, or one that ``torch.save`` wrote, holds.

    A checkpoint that `classykit.save_checkpoint` wrote is ``{"classykit": about it, "state": tensors}`` from either.
    Raises WeightsError when there is no file, it is damaged, or holds more than data.
    """
    path = Path(path)
    if not os.path.exists(path):  # Path.exists raises for names that no file can have
        raise WeightsError(f"There is no file {path}.")
    if path.is_dir():
        names = ", ".join(sorted(p.name for p in path.iterdir() if p.is_file())[:5])
        raise WeightsError(f"{path} is a folder: name the file in it ({names or 'it has none'}).")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
                about = (file.metadata() or {}).get("classykit")
            return tensors if about is None else {"classykit": about, "state": tensors}
        if (problem := bloated(path)) is not None:
            raise WeightsError(f"{path} is not read: {problem}.")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged, or no safetensors file: {error}. Get it again.") from None
    except pickle.UnpicklingError as error:
        found = re.search(r"Unsupported \w+: GLOBAL (\S+)", str(error))
        if found is None:
            raise WeightsError(f"{path} is damaged, or no file that torch.save wrote.") from None
        raise WeightsError(
            f"{path} holds more than data: reading it would call {found[1]}, which may run any code, so it is not "
            f"read. If you trust it, torch.load it yourself with weights_only=False, and torch.save its weights alone."
        ) from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # unpickling what is no pickle fails in many ways
        raise WeightsError(
            f"{path} is damaged or cut short, or no file that torch.save wrote ({type(error).__name__}). Get it again."
        ) from None
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dict of weights.")
    return dict(content)


def sha256(path: Path) -> str:
    """The file's sha256, in hexadecimal digits; WeightsError when it cannot be read."""
    try:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
        return digest.hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
