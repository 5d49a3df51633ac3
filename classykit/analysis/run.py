"""Bringing a described model to life and running it once, with what people want to know about that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit import formats
from classykit.analysis.inspection import Inspection
from classykit.errors import ClassyKitError, DeviceError, ShapeError
from classykit.harmless import harmless
from classykit.memory import free_memory
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    Attributes:
        output: what the model returned.
        trunk: what the trunk gave: the same, unless heads are attached.
        seconds: measured from the input being on the device to the output being there.
        device: where it ran.
        features: {block: what it gave}, for the blocks that were asked for.
    """

    output: Any
    trunk: Any
    seconds: float
    device: str
    features: dict[str, Any] = field(default_factory=dict)


def devices() -> dict[str, str]:
    """The devices of this machine: {"cpu": "cpu", "cuda:0": "NVIDIA H200 (cuda:0)"}."""
    found = {"cpu": "cpu"}
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            found[f"cuda:{i}"] = f"{torch.cuda.get_device_name(i)} (cuda:{i})"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU (mps)"
    return found


def check_fits(inspection: Inspection, device: str | torch.device) -> None:
    """Raise DeviceError, with the figures, when a model's weights and largest block cannot fit a device."""
    weights = inspection.param_bytes + inspection.buffer_bytes
    largest = max((b.activation_bytes for b in inspection.blocks), default=0)
    free = free_memory(device)
    if weights + largest > free:
        raise DeviceError(
            f"{inspection.name} is too big for {device}: about {formats.size(weights)} of weights and "
            f"{formats.size(largest)} for its largest block (estimated), {formats.size(free)} are free. "
            f"Choose a smaller model, input or batch, or another device."
        )


def allocate(config: dict[str, Any], inspection: Inspection, device: str = "cpu", seed: int = 0) -> ClassyModel:
    """Build a described model with random weights, the same ones each time, once it is known to fit.

    The global random state is left as it was. Raises DeviceError when it does not fit.
    """
    check_fits(inspection, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(config).eval().to(device)


def run_once(
    model: ClassyModel,
    x: torch.Tensor,
    *,
    blocks: Iterable[str] = (),
    on_block: Callable[[int, int], None] | None = None,
) -> Pass:
    """Run a model on a batch in eval mode, without gradients; nothing of the model is changed.

    Args:
        model: a ClassyModel.
        x: a batch; it is moved to the model's device and dtype.
        blocks: blocks whose features are wanted as well, from the same pass.
        on_block: called with (blocks done, blocks) while it runs, for showing progress.

    Raises ShapeError when the model cannot take such a batch, DeviceError when memory runs out.
    """
    reference = next(model.parameters(), torch.empty(0))
    x = x.to(reference.device, reference.dtype)
    noted: list[Any] = []
    handles = [model.register_forward_hook(lambda m, args, output: noted.append(output), prepend=True)]
    features: dict[str, Any] = {}
    for name in blocks:
        keep = partial(_keep, features, name)
        handles.append(model.get_submodule(model.find_block(name)[1]).register_forward_hook(keep))
    if on_block is not None:
        paths = model.block_paths()
        for i, path in enumerate(paths.values()):
            done = partial(on_block, i + 1, len(paths))
            handles.append(model.get_submodule(path).register_forward_hook(lambda m, a, o, done=done: done()))
    try:
        with harmless(model), torch.no_grad():
            _synchronize(x.device)
            start = time.perf_counter()
            output = model(x)
            _synchronize(x.device)
            seconds = time.perf_counter() - start
    except ClassyKitError:
        raise
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        raise DeviceError(f"{x.device} ran out of memory: {error}. Choose a smaller model or input.") from None
    except (RuntimeError, ValueError, TypeError) as error:
        raise ShapeError(f"{type(model).__name__} cannot run on an input of {tuple(x.shape)}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return Pass(output, noted[0] if noted else output, seconds, str(x.device), features)


def _keep(features: dict[str, Any], name: str, module: nn.Module, args: Any, output: Any) -> None:
    # a copy, because a later in-place operation may overwrite what the block gave
    features.setdefault(name, output.clone() if isinstance(output, torch.Tensor) else output)


def top_classes(logits: torch.Tensor, labels: list[str], k: int = 5) -> list[tuple[str, float]]:
    """The ``k`` most probable classes of one row of logits (1, classes): [(label, probability), ...]."""
    probabilities = logits.detach().float().softmax(-1)[0]
    best = probabilities.topk(min(k, len(labels), len(probabilities)))
    return [(labels[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
