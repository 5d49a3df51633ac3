"""What is looked at: a model with its weights, a batch that it takes, and the pictures as a person sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from classykit.errors import quoted
from classykit.images import Preprocessing
from classykit.meta import dtype_of
from classykit.models.classy_model import ClassyModel
from classykit.nested import Inputs
from classykit.running.batches import Batches
from classykit.running.placement import Place
from classykit.subject import UNTRAINED, Subject, subject_of


@dataclass(frozen=True)
class View:
    """A model and a batch.

    Attributes:
        name: what the model is called.
        model: with its weights; nothing of it is changed.
        x: the batch as the model takes it, on its device.
        notes: what is to be said of whatever is seen: that the weights are random.
    """

    name: str
    model: nn.Module
    x: Any
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> torch.Tensor | None:
        """The batch, where it is one of pictures (N, C, H, W)."""
        main = Inputs.of(self.x).main
        return main if main is not None and main.ndim == 4 and main.is_floating_point() else None

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the pictures, in pixels; None where there are none."""
        return None if self.images is None else (self.images.shape[-2], self.images.shape[-1])

    @property
    def labels(self) -> Sequence[str] | None:
        """Names of the classes, where the model has some."""
        return labels_of(self.model)

    def shown(self, index: int = 0) -> np.ndarray | None:
        """A picture of the batch in ordinary colours, (H, W, 3) from 0 to 1; None where there is none to show."""
        if self.images is None or self.images.shape[1] not in (1, 3) or not index < len(self.images):
            return None
        return shown(self.images[index], self.model)


def view(model: Any, x: Any) -> View:
    """What a person brought to look at: any model with weights, and a batch, `classykit.Inputs`, or pictures.

    Raises ConfigError for a description in place of a model, DeviceError for one without weights, ImageError for a
    picture that cannot be read.

    >>> view(nn.Conv2d(3, 8, 3), torch.zeros(2, 3, 32, 32)).size
    (32, 32)
    """
    subject = subject_of(model)
    module = subject.with_weights()
    source = Batches(x, module)
    reference = next((p for p in module.parameters()), torch.empty(0))
    place = Place(reference.device, dtype_of(module))
    return View(subject.name, module, place.put(source.batch(0, len(source))), untrained(subject))


def untrained(subject: Subject) -> tuple[str, ...]:
    """A note where the weights are as they were made: no normalisation or bias of the model has learnt anything.

    >>> untrained(subject_of(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))))
    ('Untrained: its weights are random',)
    """
    module = subject.module
    if module is None or getattr(module, "weights", None):
        return ()
    norms = [m for m in module.modules() if _normalises(m)]
    if norms:
        return (UNTRAINED,) if all(map(_is_as_made, norms)) else ()
    return (UNTRAINED,) if isinstance(module, ClassyModel) and "model" not in module._modules else ()


def untrained_heads(model: nn.Module, ids: Iterable[str] | None = None) -> tuple[str, ...]:
    """A note for each head, of those named, whose weights are the random ones that it was attached with."""
    attached = model.get_heads().values() if isinstance(model, ClassyModel) else []
    return tuple(
        f"Untrained: the weights of head {quoted(head.unique_id)} are random"
        for heads in attached
        for head in heads
        if head.is_untrained and (ids is None or head.unique_id in ids)
    )


def _normalises(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__ and isinstance(getattr(module, "weight", None), torch.Tensor)


def _is_as_made(norm: nn.Module) -> bool:
    """Whether scales and shifts are all alike, as no training step leaves them."""
    held = (norm.weight, getattr(norm, "bias", None))
    return all(t is None or t.numel() == 0 or bool((t == t.flatten()[0]).all()) for t in held)


def labels_of(model: nn.Module) -> Sequence[str] | None:
    """Names of the classes of a model's output: its own ``labels``, or transformers' ``config.id2label``."""
    for one in (model, getattr(model, "model", None)):
        labels = getattr(one, "labels", None)
        if labels is None:
            labels = getattr(getattr(one, "config", None), "id2label", None)
        if isinstance(labels, dict):
            labels = [labels.get(i, str(i)) for i in range(len(labels))]
        if isinstance(labels, (list, tuple)) and all(isinstance(label, str) for label in labels):
            return labels
    return None


def shown(image: torch.Tensor, model: Any = None) -> np.ndarray:
    """A model's input (C, H, W) of one or three channels in ordinary colours: (H, W, 3) from 0 to 1.

    The model's own ``preprocessing`` is undone where it has one; else the values are stretched to what can be shown.
    """
    recipe = getattr(model, "preprocessing", None)
    values = image.detach().float().cpu()
    if isinstance(recipe, Preprocessing) and len(recipe.mean) == len(values):
        mean, std = torch.tensor(recipe.mean), torch.tensor(recipe.std)
        values = values * std[:, None, None] + mean[:, None, None]
    else:
        low, high = values.min(), values.max()
        if low < 0 or high > 1:
            values = (values - low) / (high - low).clamp_min(1e-12)
    picture = values.clamp(0, 1).nan_to_num().permute(1, 2, 0).numpy()  # (H, W, C)
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
