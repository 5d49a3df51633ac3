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
    _kept[_key(config)] = model, inspection
    _kept.move_to_end(_key(config))
    while len(_kept) > LIMIT:
        _kept.popitem(last=False)


def take(config: Mapping[str, Any]) -> tuple[ClassyModel, Inspection] | None:
    """The model of that config and what is known of it; None when it was not kept, or is in use elsewhere."""
    return _kept.pop(_key(config), None)


def _key(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True, default=repr)
