"""What the shapes of a state in our keys say about the config of its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from classykit.errors import WeightsError
from classykit.models.factory import MODELS, list_models
from classykit.weights.family_weights import weights_of

State = Mapping[str, torch.Tensor]


def config_of(name: str, state: State) -> dict[str, Any]:
    """The config keys of ``name`` that a trunk's state shows.

    Of a named model those in which states of it differ (``in_channels``, ``image_size``, ``use_se``); of a family
    without sizes of its own (``resnext``, ``densenet``, ``anynet``, ``vision_transformer``) all sizes.
    Raises WeightsError for a family whose sizes cannot be worked out from its weights.
    """
    entry = MODELS[name]
    known = [*weights_of(entry.cls)]
    readers = [family.shown for family in known if family.shown is not None]
    if not entry.is_whole:
        own = next((family for family in known if family.family == entry.cls.__name__), None)
        if own is None or own.sizes is None:
            raise _no_sizes(name)
        readers.insert(0, own.sizes)
    keys: dict[str, Any] = {}
    try:
        for read in readers:
            keys |= read(state)
        for stem in (state[family.stem] for family in known if family.stem in state):
            keys |= {"in_channels": stem.shape[1]} if stem.ndim > 1 and stem.shape[1] != 3 else {}
    except (KeyError, IndexError, ValueError, ZeroDivisionError, TypeError):
        raise WeightsError(
            f"The weights do not show the sizes of a {name}: parts of it are missing, or have other shapes."
        ) from None
    return keys


def _no_sizes(name: str) -> WeightsError:
    """Of a name that is no model without sizes, which nobody knows how to read from weights."""
    cls = MODELS[name].cls
    near = [weights.family for weights in weights_of(cls) if weights.sizes is not None]
    base = [n for n in list_models() if MODELS[n].cls.__name__ in near and not MODELS[n].is_whole]
    others = [n for n in list_models() if MODELS[n].cls is cls and MODELS[n].is_whole][:4]
    return WeightsError(
        f"{name} has no sizes of its own, and they are not worked out from weights for it: ask for "
        f"{' or '.join([*base, *others]) or 'a model with sizes'}."
    )
