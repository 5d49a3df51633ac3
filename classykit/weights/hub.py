"""torchvision's trained weights: from the folder of torch's hub, or downloaded into it."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from classykit.errors import WeightsError, quoted, suggest
from classykit.models.classy_model import ClassyModel
from classykit.weights.family_weights import known_weights
from classykit.weights.files import read_file, sha256
from classykit.weights.labels import imagenet_labels
from classykit.weights.local import load_file, load_state
from classykit.weights.published import TorchvisionWeights
from classykit.weights.training_state import weights_in


def load_torchvision(name: str, weights: str | None) -> ClassyModel:
    """``name`` with torchvision's weights of that name, its default ones for None. torchvision need not be there.

    A file that lies in the hub's folder already is used, after its sha256 was checked.
    """
    entry = _entry(name, weights)
    path = _folder() / entry.file
    model = load_state(name, _download(entry, path) if not path.exists() else _cached(entry, path), entry.file)
    return equip(model, entry)


def load_local(name: str, path: Path, which: str | None = None) -> ClassyModel:
    """``name`` with a file's weights; one of torchvision's own comes with its preprocessing and labels, too."""
    entry = next((e for e in published_files() if e.file == path.name and e.name == name), None)
    if entry is None or not os.path.isfile(path):
        return load_file(name, path, which)
    _check(entry, path)
    return equip(load_file(name, path), entry)


def equip(model: ClassyModel, entry: TorchvisionWeights) -> ClassyModel:
    """The model with what goes with these weights."""
    model.preprocessing = entry.preprocessing
    model.labels = imagenet_labels() if entry.weights.startswith("IMAGENET1K") else None
    model.weights = f"torchvision {entry.weights}"
    return model


def published_files() -> list[TorchvisionWeights]:
    """Every file that torchvision publishes for a model of ours."""
    return [entry for family in known_weights() for entry in family.torchvision]


def _entry(name: str, weights: str | None) -> TorchvisionWeights:
    entries = [e for e in published_files() if e.name == name]
    for family in known_weights():
        if name in family.other_models:
            raise WeightsError(family.other_models[name])
    if not entries:
        names = list(dict.fromkeys(e.name for e in published_files()))
        near = suggest(name, names)
        raise WeightsError(f"torchvision publishes no weights of {name}.{near} It has those of {', '.join(names)}.")
    for entry in entries:
        if weights in (None, entry.weights):
            return entry
    known = [e.weights for e in entries]
    raise WeightsError(
        f"torchvision has no weights {quoted(weights)} of {name}.{suggest(weights, known)} It has {', '.join(known)}."
    )


def _folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _cached(entry: TorchvisionWeights, path: Path) -> dict[str, torch.Tensor]:
    _check(entry, path)
    return weights_in(read_file(path), str(path))


def _check(entry: TorchvisionWeights, path: Path) -> None:
    """torch checks the sha256 of what it downloads, not of what is there."""
    found = sha256(path)
    if not found.startswith(entry.sha256):
        raise WeightsError(
            f"{path} is not the file it should be: its sha256 begins {found[:8]}, expected {entry.sha256}. "
            f"Delete it, and get {entry.url} again."
        )


def _download(entry: TorchvisionWeights, path: Path) -> dict[str, torch.Tensor]:
    try:
        os.makedirs(path.parent, exist_ok=True)
        content = torch.hub.load_state_dict_from_url(
            entry.url, model_dir=str(path.parent), map_location="cpu", check_hash=True, weights_only=True
        )
    except RuntimeError as error:  # how torch says that the sha256 is another
        raise WeightsError(f"What came from {entry.url} is not what it should be: {error}. Nothing was kept.") from None
    except Exception as error:  # networks fail in many ways
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"{entry.url} could not be had: {reason}. Get it elsewhere and put it into {path.parent}, as {entry.file}; "
            f'or ask for load_pretrained({quoted(entry.name)}, source="path/to/{entry.file}"). Nothing was changed.'
        ) from None
    return weights_in(content, entry.file)
