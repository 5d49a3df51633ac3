"""Models that were described lately, so that to choose one again takes no second look at it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from classykit.inspecting.inspection import Inspection
from classykit.models.classy_model import ClassyModel

LIMIT = 64  # more than there are registered models

# Each belongs to whoever takes it, until it is given back: two apps never share one.
_kept: OrderedDict[str, tuple[ClassyModel, Inspection]] = OrderedDict()


def keep(config: Mapping[str, Any], model: ClassyModel, inspection: Inspection) -> None:
    """Put a model on the meta device away, without heads, with what is known of it."""
    key = _key(config)
    if key is None:
        return
    _kept[key] = model, inspection
    _kept.move_to_end(key)
    while len(_kept) > LIMIT:
        _kept.popitem(last=False)


def take(config: Mapping[str, Any]) -> tuple[ClassyModel, Inspection] | None:
    """The model of that config and what is known of it; None when it was not kept, or is in use elsewhere."""
    key = _key(config)
    return None if key is None else _kept.pop(key, None)


def _key(config: Mapping[str, Any]) -> str | None:
    """None for configs of more than plain values."""
    try:
        return json.dumps(config, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
