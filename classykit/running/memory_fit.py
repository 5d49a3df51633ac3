"""Whether a model, and how large a batch of it, has room on a device: worked out before anything is allocated."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn

from classykit import formats
from classykit.configs import read_config
from classykit.errors import ClassyKitError, DeviceError
from classykit.inspecting.inspection import Inspection, inspect
from classykit.memory import free_memory
from classykit.models.classy_model import ClassyModel
from classykit.models.cost_formulas import cost_of
from classykit.models.factory import MODELS, build_model, list_models
from classykit.nested import Inputs
from classykit.running.placement import Place

SPARE = 0.9  # of the free memory: kernels take some for themselves, and so do others

_seen: weakref.WeakKeyDictionary[nn.Module, tuple[Any, Inspection]] = weakref.WeakKeyDictionary()


def check_fits(inspection: Inspection, device: str | torch.device, dtype: torch.dtype | None = None) -> None:
    """Raise DeviceError, with the figures and what would fit, when a device cannot hold a model and one input.

    Args:
        inspection: of the model; nothing is allocated.
        dtype: of weights and activations; default: the model's own.
    """
    free = SPARE * free_memory(device)
    if _at_most(inspection, dtype) <= free:
        return
    needed = _needed(inspection, dtype)
    if sum(needed) <= free:
        return
    raise DeviceError(
        f"{inspection.name} is too big for {device}: about {formats.size(needed[0])} of weights and "
        f"{formats.size(needed[1])} for an input of one (estimated), {formats.size(free)} are free. "
        f"{_what_would_fit(inspection, dtype, free)}"
    )


def allocate(
    config: dict[str, Any], inspection: Inspection, device: str | torch.device = "cpu", seed: int = 0
) -> ClassyModel:
    """Build a described model with random weights, the same ones each time, once it is known to fit.

    The global random state is left as it was. Raises DeviceError when it does not fit.
    """
    check_fits(inspection, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(config).eval().to(device)


def batch_that_fits(
    model: nn.Module, place: Place, shape: tuple[int, ...] | Inputs | None, size: int
) -> tuple[int, str]:
    """(the largest batch up to ``size`` that fits the place, why it is smaller or "").

    Args:
        shape: of one input, without the batch, or an example of it; None for the model's own.

    Raises DeviceError when not even one input fits. A model that cannot be inspected is taken to fit.
    """
    inspection = _inspected(model, shape)
    if inspection is None:
        return size, ""
    copied = 0 if place.has(model) else _weights(inspection, place.dtype)
    free = SPARE * free_memory(place.device) - copied
    if size * _scale(inspection, place.dtype) * inspection.activation_bytes <= free:  # if all were kept
        return size, ""
    try:
        of_one = inspection.peak_memory(batch_size=1, dtype=place.dtype).activations
    except ClassyKitError:
        return size, ""
    fits = int(max(free, 0) // max(of_one, 1))
    if fits >= size:
        return size, ""
    if fits < 1:
        check_fits(inspection, place.device, place.dtype)
        raise DeviceError(
            f"{inspection.name} has no room on {place.device}: an input of one takes about {formats.size(of_one)} "
            f"(estimated), {formats.size(max(free, 0))} are free. "
            f"{_what_would_fit(inspection, place.dtype, max(free, 0))}"
        )
    return fits, (
        f"A batch of {size} takes about {formats.size(size * of_one)} (estimated), {formats.size(free)} are free on "
        f"{place.device}: {fits} at a time"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device's memory has run out.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("odd"))
    (True, False)
    """
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        words in text for words in ("can't allocate memory", "not enough memory", "out of memory")
    )


def _inspected(model: nn.Module, shape: tuple[int, ...] | Inputs | None) -> Inspection | None:
    """The model's inspection, remembered for as long as it looks the same; None when there is none."""
    heads = [*model.get_heads()] if isinstance(model, ClassyModel) else []
    look = (repr(shape), heads, [(p.shape, p.dtype) for p in model.parameters()])
    known = _seen.get(model)
    if known is not None and known[0] == look:
        return known[1]
    own = getattr(model, "input_shape", None)
    try:
        if isinstance(shape, Inputs):
            found = inspect(model, example=shape)
        else:
            found = inspect(model, None if shape == own else shape)
    except ClassyKitError:
        return None
    if found.error is not None:
        return None  # the pass will say what is wrong
    _seen[model] = look, found
    return found


def _scale(inspection: Inspection, dtype: torch.dtype | None) -> float:
    """How many times the bytes that the inspected type takes."""
    if dtype is None or not inspection.params:
        return 1.0
    return dtype.itemsize * inspection.params / inspection.param_bytes


def _weights(inspection: Inspection, dtype: torch.dtype | None) -> int:
    return int(_scale(inspection, dtype) * (inspection.param_bytes + inspection.buffer_bytes))


def _at_most(inspection: Inspection, dtype: torch.dtype | None) -> float:
    """Bytes that an input of one cannot exceed: as if all activations were kept."""
    of_one = _scale(inspection, dtype) * inspection.activation_bytes / inspection.batch_size
    return _weights(inspection, dtype) + of_one


def _needed(inspection: Inspection, dtype: torch.dtype | None) -> tuple[int, int]:
    """(bytes of the weights, bytes of the activations of an input of one)"""
    try:
        peak = inspection.peak_memory(batch_size=1, dtype=dtype)
    except ClassyKitError:  # it could not be described without numbers
        largest = max((b.activation_bytes for b in inspection.blocks), default=0)
        return _weights(inspection, dtype), int(_scale(inspection, dtype) * largest)
    return peak.weights, peak.activations


def _what_would_fit(inspection: Inspection, dtype: torch.dtype | None, free: float) -> str:
    """What to do instead: a smaller type, or the largest named model of the family that fits."""
    advice = []
    if (dtype or torch.float32).itemsize > 2 and sum(_needed(inspection, torch.bfloat16)) <= free:
        advice.append("in bfloat16 it fits")
    if inspection.name in MODELS:
        family = MODELS[inspection.name].cls
        named = {n: _params(n) for n in list_models() if MODELS[n].cls is family and MODELS[n].is_whole}
        size = (dtype or torch.float32).itemsize
        smaller = [n for n, params in named.items() if params < inspection.params and params * size <= free]
        largest_first = sorted(smaller, key=lambda n: -named[n])
        fitting = next((n for n in largest_first if sum(_needed(inspect(n), dtype)) <= free), None)
        if fitting is not None:
            advice.append(f"of its family {fitting} is the largest that does")
    text = "; ".join(advice) or "choose a smaller model or input, or another device"
    return text[0].upper() + text[1:] + "."


def _params(name: str) -> int:
    """How many parameters a named model has, by formula where there is one: advice is to come at once."""
    entry = MODELS[name]
    config = entry.cls.Config
    cost = None if config is None else cost_of(entry.cls, read_config(config, entry.defaults, name))
    return inspect(name).params if cost is None else cost.params
