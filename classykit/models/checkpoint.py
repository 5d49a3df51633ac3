"""Saving one's own work and getting it back: config, heads, weights, preprocessing and labels in one file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from classykit.errors import ClassyKitError, StateError
from classykit.images import Preprocessing
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.models.state import check_state

FORMAT = 1
_PICKLED = (".pt", ".pth")


def save_checkpoint(model: ClassyModel, path: str | Path) -> Path:
    """Write a model with everything that it takes to get it back (see `load_checkpoint`); returns the path.

    Args:
        model: a ClassyModel, its heads included.
        path: ``.pt`` or ``.pth`` for a pickle of plain values that ``torch.load(weights_only=True)`` reads,
            anything else for safetensors.

    The file appears whole or not at all: an interrupted save leaves the old one. Raises StateError when the
    folder cannot be written to, or the model's weights are on the meta device.

    >>> import tempfile
    >>> from classykit.models import MLP
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_checkpoint(MLP(input_dim=2, output_dim=1, hidden_dims=[3]), f"{folder}/mlp.safetensors")
    ...     load_checkpoint(path).config["hidden_dims"]
    [3]
    """
    path = Path(path)
    state = model.state_dict()
    if any(t.is_meta for t in state.values()):
        raise StateError("The model is on the meta device: it has no weights to save.")
    # copies: safetensors refuses tensors that share memory
    tensors = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in state.items()}
    about = {
        "format": FORMAT,
        "config": model.config,
        "preprocessing": model.preprocessing.to_dict() if isinstance(model.preprocessing, Preprocessing) else None,
        "labels": model.labels,
        "weights": model.weights,
    }
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
        os.close(handle)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        if path.suffix in _PICKLED:
            torch.save({"classykit": json.dumps(about), "state": tensors}, name)
        else:
            save_file(tensors, name, metadata={"classykit": json.dumps(about)})
        os.replace(name, path)
    except BaseException:  # interrupts, too: half a file is worse than none
        Path(name).unlink(missing_ok=True)
        raise
    return path


def load_checkpoint(path: str | Path, model: ClassyModel | None = None) -> ClassyModel:
    """The model that `save_checkpoint` wrote, in eval mode.

    Args:
        path: the file. It is only read as data: nothing in it is executed.
        model: where to load the weights when the file's config cannot rebuild the model, because it was adopted
            by ``from_model`` or has heads that are not registered. It needs the same heads attached.

    Raises StateError when the file is missing, damaged, no checkpoint of this kit or does not fit.
    """
    about, tensors = _read(Path(path))
    if model is None:
        config = about["config"]
        if config.get("name") not in MODELS:
            raise StateError(
                f"{path} holds a {config.get('name')!r}, which is no registered model: build it yourself and "
                f"use load_checkpoint(path, model=...)."
            )
        try:
            model = build_model(config, device="meta")
        except ClassyKitError as error:
            raise StateError(f"The model of {path} cannot be rebuilt: {error}") from None
    check_state(model.state_dict(), tensors, strict=True, what=str(path))
    on_meta = any(t.is_meta for t in model.state_dict().values())
    model.load_state_dict(tensors, assign=on_meta)
    if about["preprocessing"] is not None:
        model.preprocessing = Preprocessing.from_dict(about["preprocessing"])
    model.labels, model.weights = about["labels"], about["weights"]
    return model.eval()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """(what describes the model, its tensors) of a checkpoint file of either kind."""
    try:
        if path.suffix in _PICKLED:
            whole = torch.load(path, map_location="cpu", weights_only=True)
            text, tensors = whole["classykit"], whole["state"]
        else:
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {})["classykit"]
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        about = json.loads(text)
        if about["format"] != FORMAT:
            raise StateError(f"{path} has the format {about['format']}; this version of classykit knows {FORMAT}.")
        return about, tensors
    except FileNotFoundError:
        raise StateError(f"There is no file {path}.") from None
    except ClassyKitError:
        raise
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StateError(f"{path} is no checkpoint that classykit wrote: {type(error).__name__}: {error}") from None
    except Exception as error:  # unpickling fails in many ways, each of them a file that is not ours
        raise StateError(f"{path} cannot be read as data: {type(error).__name__}.") from None
