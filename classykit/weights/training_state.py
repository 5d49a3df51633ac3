"""The weights in what a training script saved: under which key they lie, and what wrappers put before their names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from classykit.errors import WeightsError, quoted, suggest, warn

log = logging.getLogger(__name__)

#: the keys under which training scripts keep a model's weights, and the running average of them
RAW = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "trunk", "module")
AVERAGED = ("state_dict_ema", "model_ema", "model_ema_state_dict", "ema_state_dict", "ema", "averaged_model")
#: what torch.compile, data parallelism, Lightning and modules of people's own put before the keys
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "trunk.")
_DEPTH = 4  # of keys within keys, and of prefixes before prefixes

State = dict[str, torch.Tensor]


def weights_in(content: Mapping[str, Any], what: str, which: str | None = None) -> State:
    """The weights in a checkpoint: a dict of tensors, itself or under a key that training scripts use.

    Args:
        which: "raw" or "averaged", or the key itself, where a file has both. Default: the averaged ones, which are
            those that are evaluated; a warning says so.

    Raises WeightsError where there are none, or not those that are asked for.
    """
    if not content:
        raise WeightsError(f"{what} is empty.")
    if _is_state(content):
        found = {"": dict(content)}
    else:
        found = dict(_states(content, "", _DEPTH))
    if not found:
        odd = next(k for k, v in content.items() if not (isinstance(k, str) and isinstance(v, torch.Tensor)))
        raise WeightsError(
            f"{what} is no state: a dict of tensors, itself or under {', '.join(map(repr, RAW[:4]))} or the like, was "
            f"looked for, and under {quoted(odd)} is a {type(content[odd]).__name__}."
        )
    key = _chosen(found, what, which)
    if key:
        log.info("%s: the weights under %r were taken", what, key)
    state = found[key]
    return {k: v for k, v in state.items() if k != "n_averaged"}  # what torch's AveragedModel counts


def unprefixed(state: State, known: Callable[[State], bool], what: str) -> State:
    """The state without what wrappers put before its keys, as soon as it is ``known``; else as it was.

    Where a prefix is that of a part, such as a backbone, the rest is left out, which a warning says.
    """
    found = _peeled(state, known, "", _DEPTH)
    if found is None or not found[0]:
        return state
    prefix, inner = found
    left = [key for key in state if not key.startswith(prefix)]
    log.info("%s: the keys begin with %r, which was taken off", what, prefix)
    if left:
        warn(
            f"{what}: the {len(inner)} tensors under {prefix!r} were taken, and {len(left)} others were left out, such "
            f"as {quoted(left[0])}."
        )
    return inner


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())
    )


def _states(content: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, State]]:
    """(key, state) of those that there are; of keys within keys "outer.inner"."""
    for key in (*RAW, *AVERAGED):
        inner = content.get(key)
        if not isinstance(inner, Mapping):
            continue
        if _is_state(inner):
            yield path + key, dict(inner)
        elif depth:
            yield from _states(inner, f"{path}{key}.", depth - 1)


def _chosen(found: Mapping[str, State], what: str, which: str | None) -> str:
    averaged = [key for key in found if any(part in AVERAGED for part in key.split("."))]
    raw = [key for key in found if key not in averaged]
    kinds = {"raw": raw, "averaged": averaged, "ema": averaged}
    if which is not None:
        keys = kinds.get(which, [which] if which in found else [])
        if not keys:
            known = [*(kind for kind in ("raw", "averaged") if kinds[kind]), *filter(None, found)]
            raise WeightsError(
                f"{what} has no weights {quoted(which)}.{suggest(which, known)} It has {', '.join(known)}."
            )
        return keys[0]
    if raw and averaged:
        warn(
            f"{what} has weights under {raw[0]!r} and their running average under {averaged[0]!r}: the average was "
            'taken. which="raw" takes the others.'
        )
    return (averaged or raw)[0]


def _peeled(state: State, known: Callable[[State], bool], before: str, depth: int) -> tuple[str, State] | None:
    """(prefix, the state inside it) that is known; None where none is."""
    if known(state):
        return before, state
    for prefix in PREFIXES if depth else ():
        inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        found = _peeled(inner, known, before + prefix, depth - 1) if inner else None
        if found is not None:
            return found
    return None
