"""Checking a state dict before any of it is loaded, so that a wrong one changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from classykit.errors import StateError


def check_state(own: Mapping[str, Any], given: Mapping[str, Any], strict: bool, what: str) -> None:
    """Raise StateError unless ``given`` can be loaded over ``own``; ``what`` names it in the message.

    Shapes must agree in any case; with ``strict`` the keys must be the same too.
    """
    problems = []
    if strict:
        missing = [k for k in own if k not in given]
        unknown = [k for k in given if k not in own]
        if missing:
            problems.append(f"lacks {_some(missing)}")
        if unknown:
            problems.append(f"has {_some(unknown)} that the model does not know")
    for key in own:
        if key not in given or not isinstance(own[key], torch.Tensor):
            continue
        if not isinstance(given[key], torch.Tensor):
            problems.append(f"holds a {type(given[key]).__name__} under {key!r}, not a tensor")
        elif given[key].shape != own[key].shape:
            problems.append(f"has {key!r} of shape {tuple(given[key].shape)}, the model {tuple(own[key].shape)}")
    if problems:
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise StateError(f"The state of {what} does not fit: it " + "; it ".join(problems[:4]) + more + ".")


def _some(keys: list[str], at_most: int = 3) -> str:
    text = ", ".join(map(repr, keys[:at_most]))
    return text + (f" and {len(keys) - at_most} more keys" if len(keys) > at_most else "")
