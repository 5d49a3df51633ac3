"""What a model takes: the shape of its input, and how a picture becomes one. Ours, timm's and transformers' say so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from classykit.contexts import verb
from classykit.errors import ConfigError, ImageError, warn
from classykit.images import Preprocessing
from classykit.meta import dtype_of
from classykit.nested import Inputs


@verb
def preprocess(image: Any, model: Any = None) -> torch.Tensor:
    """A picture as the input that `model` was made for.

    Args:
        image: Anything `load_image` takes: ``"cat"``, a path, a PIL image, an array, a tensor, bytes. It is made grey
            for a model of one channel; for one of several bands it is an array or tensor of as many, from 0 to 1.
        model: A model. Its own ``preprocessing`` is used when it has one, as models with trained weights do, or
            timm's ``pretrained_cfg``; otherwise ImageNet's mean and std (for other channels than colours
            their averages) at the size that the model says (see
            `input_shape_of`), else 224 x 224, which a warning says of a module that is none of this kit's.

    Returns:
        A CPU tensor of shape (1, channels, height, width), in the model's number type; float32 without a model.

    Raises:
        ImageError: when the picture cannot be read, or has other bands than the model takes, or it takes no pictures.

    >>> preprocess("coffee").shape
    torch.Size([1, 3, 224, 224])
    """
    recipe = getattr(model, "preprocessing", None)
    dtype = dtype_of(model) if isinstance(model, nn.Module) else torch.float32
    if isinstance(recipe, Preprocessing):
        return recipe(image).to(dtype)
    if recipe is not None:
        # Going on with ImageNet's numbers would give plausible labels, and wrong ones.
        raise ImageError(
            f"The model's preprocessing is a {type(recipe).__name__}, not a classykit.images.Preprocessing: "
            "set model.preprocessing to one, or to None for ImageNet's, or prepare the input yourself."
        )
    said = input_shape_of(model)
    recipe, shape = preprocessing_of(model), said or (3, 224, 224)
    if len(shape) != 3 or not all(isinstance(s, int) and s > 0 for s in shape):
        what = {1: "a vector", 4: "a clip or volume"}.get(len(shape), "something else")
        raise ImageError(
            f"{type(model).__name__} takes {what}, input_shape {tuple(shape)}, and preprocess makes pictures: build "
            f"the input tensor yourself, for example torch.rand(1, {', '.join(map(str, shape))})."
        )
    if recipe is None:
        recipe = Preprocessing(size=(shape[1], shape[2])).for_channels(shape[0])
        if said is None and model is not None:
            warn(
                f"{type(model).__name__} does not say how its pictures are prepared: ImageNet's mean and std were "
                "taken, at 224 × 224. Set its preprocessing to a classykit.images.Preprocessing for another way."
            )
    return recipe(image).to(dtype)


def input_shape_of(module: Any) -> tuple[int, ...] | None:
    """Shape of one input, without the batch, where a module says so; else None.

    By an ``input_shape``, timm's ``pretrained_cfg``, or ``image_size`` and ``num_channels`` of a ``config`` as
    transformers' models have it.

    >>> class Net:
    ...     pretrained_cfg = {"input_size": (3, 288, 288)}
    >>> input_shape_of(Net())
    (3, 288, 288)
    """
    shape = getattr(module, "input_shape", None)
    if shape is None:
        shape = _timm(module).get("input_size")
    if shape is None:
        config = getattr(module, "config", None)
        config = getattr(config, "vision_config", None) or config
        size = getattr(config, "image_size", None)
        sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else ()
        shape = (getattr(config, "num_channels", 3), *sides) if sides else None
    good = isinstance(shape, (tuple, list)) and all(type(n) is int and n > 0 for n in shape)
    return tuple(shape) if shape and good else None


def example_of(example: Any, input_shape: Any = None) -> Inputs:
    """An example call as `Inputs`; ConfigError where it holds no tensor, or an input shape is given beside it.

    >>> example_of(torch.zeros(2, 5))
    Inputs((2, 5) float32)
    """
    if input_shape is not None:
        raise ConfigError("Give input_shape or example, not both: an example says its shapes itself.")
    inputs = Inputs.of(example)
    if not inputs.tensors:
        raise ConfigError(
            f"example is what the model is called with, a tensor or classykit.Inputs(...) that holds some, with the "
            f"batch first; there is none in {inputs}."
        )
    return inputs


def preprocessing_of(module: Any) -> Preprocessing | None:
    """How a picture becomes an input, where timm's ``pretrained_cfg`` says so; else None.

    None, too, for what a `Preprocessing` cannot express.
    """
    cfg = _timm(module)
    if not {"mean", "std", "input_size", "interpolation"} <= cfg.keys():
        return None
    try:
        return timm_preprocessing(cfg)
    except ConfigError:  # numbers that make no sense here
        return None


def timm_preprocessing(cfg: Mapping[str, Any]) -> Preprocessing | None:
    """How timm prepares a picture for weights with this description."""
    _, height, width = cfg["input_size"]
    mode = cfg.get("crop_mode") or "center"
    known = mode in ("center", "squash") and cfg["interpolation"] in ("bicubic", "bilinear")
    if not known or height != width or len(cfg["mean"]) != len(cfg["std"]):
        return None
    resize = math.floor(height / (cfg.get("crop_pct") or 0.875))
    if resize < height:  # cut out of a smaller picture, with a rim
        return None
    return Preprocessing(
        size=height,
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
        interpolation=cfg["interpolation"],
        resize=resize if mode == "center" else (resize, resize),
    )


def _timm(module: Any) -> Mapping[str, Any]:
    cfg = getattr(module, "pretrained_cfg", None)
    return cfg if isinstance(cfg, Mapping) else {}
