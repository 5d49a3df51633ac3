"""Checking a state dict before any of it is loaded, so that a wrong one changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from classykit.errors import StateError, quoted

FORM = "{'model': {'trunk': {key: tensor}, 'heads': {block: {unique_id: {key: tensor}}}}}"


def trunk_of(state: Any) -> Mapping[str, Any]:
    """The trunk's part of a classy state; StateError when it has none."""
    return _table(_model_of(state).get("trunk"), "['model']['trunk']")


def heads_of(state: Any) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The heads' part of a classy state: ``{(block, unique_id): state}``, empty when it has none."""
    heads = _model_of(state).get("heads")
    return {
        (block, unique_id): _table(head, f"['model']['heads'][{quoted(block)}][{quoted(unique_id)}]")
        for block, of_block in _table({} if heads is None else heads, "['model']['heads']").items()
        for unique_id, head in _table(of_block, f"['model']['heads'][{quoted(block)}]").items()
    }


def _model_of(state: Any) -> Mapping[str, Any]:
    return _table(_table(state, "").get("model"), "['model']")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    """``value`` when it is a dict with names for keys."""
    if not isinstance(value, Mapping):
        raise StateError(
            f"A classy state, as get_classy_state() gives it, has the form {FORM}; "
            f"{f'its {where}' if where else 'this'} is a {_kind(value)}."
        )
    odd = [key for key in value if not isinstance(key, str)]
    if odd:
        raise StateError(f"The keys of a classy state are strings; {where or 'it'} has {_some(odd)}.")
    return value


def check_state(own: Mapping[str, Any], given: Mapping[str, Any], strict: bool, what: str) -> None:
    """Raise StateError unless ``given`` can be loaded over ``own``; ``what`` names it in the message.

    Shapes must agree, and values be real numbers with something in them, in any case; with ``strict`` the keys must
    be the same too.
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
        odd = oddity(given[key])
        if odd is not None:
            problems.append(f"holds {odd} under {quoted(key)}, not an ordinary tensor")
        elif given[key].shape != own[key].shape:
            problems.append(f"has {quoted(key)} of shape {tuple(given[key].shape)}, the model {tuple(own[key].shape)}")
        elif own[key].is_floating_point() and not given[key].is_floating_point():
            problems.append(f"has {quoted(key)} in {given[key].dtype}, the model in {own[key].dtype}: convert it first")
    if problems:
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise StateError(f"The state of {what} does not fit: it " + "; it ".join(problems[:4]) + more + ".")


def oddity(value: Any) -> str | None:
    """What ``value`` is, in words, when its numbers cannot be copied to a weight; None for an ordinary tensor.

    >>> oddity(torch.zeros(2, device="meta"))
    'a tensor without values (on the meta device)'
    """
    if not isinstance(value, torch.Tensor):
        return f"a {_kind(value)}"
    if value.is_nested:
        return "a nested tensor"
    if value.layout != torch.strided:
        return f"a {str(value.layout).removeprefix('torch.')} tensor"
    if value.is_quantized or value.is_complex():
        return f"a {str(value.dtype).removeprefix('torch.')} tensor"
    if value.is_meta:
        return "a tensor without values (on the meta device)"
    return None


def _kind(value: Any) -> str:
    return type(value).__name__


def _some(keys: list[Any], at_most: int = 3) -> str:
    text = ", ".join(map(repr, keys[:at_most]))
    return text + (f" and {len(keys) - at_most} more keys" if len(keys) > at_most else "")
