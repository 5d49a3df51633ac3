"""Saving one's own work and getting it back: config, heads, weights, preprocessing and labels in one file."""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from classykit.archives import bloated
from classykit.errors import ClassyKitError, ConfigError, StateError, quoted
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

    The file appears whole or not at all: an interrupted save leaves the old one. It has the old one's mode, or what
    the umask says; where the path is a link, what that points to is written. Raises ConfigError for what is no
    ClassyModel, StateError when the file cannot be written, the model's weights are on the meta device, or its labels
    are no list of texts.

    >>> import tempfile
    >>> from classykit.models import MLP
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_checkpoint(MLP(input_dim=2, output_dim=1, hidden_dims=[3]), f"{folder}/mlp.safetensors")
    ...     load_checkpoint(path).config["hidden_dims"]
    [3]
    """
    if not isinstance(model, ClassyModel):
        raise ConfigError(
            f"save_checkpoint takes a ClassyModel, not {type(model).__name__}: adopt a module of your own first "
            f"(classykit.ClassyModel.from_model), or keep its weights with torch.save(module.state_dict(), path)."
        )
    path = _path(path)
    state = model.state_dict()
    if any(t.is_meta for t in state.values()):
        raise StateError("The model is on the meta device: it has no weights to save.")
    # copies: safetensors refuses tensors that share memory
    tensors = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in state.items()}
    preprocessing = model.preprocessing.to_dict() if isinstance(model.preprocessing, Preprocessing) else None
    about = {"format": FORMAT, "config": model.config, "preprocessing": preprocessing,
             "labels": model.labels, "weights": model.weights}  # fmt: skip
    text = json.dumps(about)
    _described(json.loads(text), "This model")  # what could not be loaded again is not saved
    whole = Path(os.path.realpath(path))  # what a link points to is written, and the link stays
    try:
        with _appearing(whole) as name:
            if path.suffix in _PICKLED:
                torch.save({"classykit": text, "state": tensors}, name)
            else:
                save_file(tensors, name, metadata={"classykit": text})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise StateError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
    return path


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` that takes its place, on the disk and with its mode, once the block is over.

    After an exception, an interrupt too, it is gone: half a file is worse than none.
    """
    name = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the umask says
    try:
        mode = stat.S_IMODE((path if path.exists() else name).stat().st_mode)
        yield name
        os.chmod(name, mode)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def _path(path: Any) -> Path:
    """The path of a file; StateError for what is none."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise StateError(f"A checkpoint is a file: give its path, such as 'model.safetensors', not {quoted(path)}.")
    found = Path(path)
    if found.is_dir():
        raise StateError(f"{found} is a folder: name the file in it, such as {found / 'model.safetensors'}.")
    return found


def load_checkpoint(path: str | Path, model: ClassyModel | None = None) -> ClassyModel:
    """The model that `save_checkpoint` wrote, in eval mode.

    Args:
        path: the file. It is only read as data: nothing in it is executed.
        model: where to load the weights when the file's config cannot rebuild the model, because it was adopted
            by ``from_model`` or has heads that are not registered. It needs the same heads attached.

    Raises StateError when the file is missing, damaged, no checkpoint of this kit or does not fit.
    """
    about, tensors = _read(_path(path))
    if model is None:
        config = about["config"]
        if config.get("name") not in MODELS:
            raise StateError(
                f"{path} holds a {quoted(config.get('name'))}, which is no registered model: build it yourself and "
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
            if (problem := bloated(path)) is not None:
                raise StateError(f"{path} is not read: {problem}.")
            whole = torch.load(path, map_location="cpu", weights_only=True)
            text, tensors = whole["classykit"], whole["state"]
        else:
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {})["classykit"]
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        about = json.loads(text)
        if about["format"] != FORMAT:
            raise StateError(f"{path} has the format {about['format']}; this version of classykit knows {FORMAT}.")
        if not isinstance(tensors, dict):
            raise StateError(f"{path} holds a {type(tensors).__name__} in the place of weights.")
        return _described(about, str(path)), tensors
    except FileNotFoundError:
        raise StateError(f"There is no file {path}.") from None
    except ClassyKitError:
        raise
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StateError(f"{path} is no checkpoint that classykit wrote: {type(error).__name__}: {error}") from None
    except Exception as error:  # unpickling fails in many ways, each of them a file that is not ours
        raise StateError(f"{path} cannot be read as data: {type(error).__name__}.") from None


class _Description(BaseModel):
    """What a checkpoint says of its model besides the weights."""

    model_config = ConfigDict(strict=True)

    config: dict[str, Any]
    preprocessing: dict[str, Any] | None
    labels: list[str] | None
    weights: str | None


def _described(about: Any, what: str) -> dict[str, Any]:
    """A description, checked; StateError where something is missing or of another kind."""
    try:
        found = _Description.model_validate(about).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "description"
        raise StateError(f"{what} does not describe a model: of its {where}, {first['msg']}.") from None
    if not isinstance(found["config"].get("name"), str):
        raise StateError(f"{what} has a config without a name: {str(found['config'])[:80]}.")
    if found["preprocessing"] is not None:
        try:
            Preprocessing.from_dict(found["preprocessing"])
        except (ClassyKitError, TypeError, ValueError) as error:
            raise StateError(f"{what} has a preprocessing that is none: {error}") from None
    return found
