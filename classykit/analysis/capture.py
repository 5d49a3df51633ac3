"""What blocks give for an input: features by block name, in one pass that stops as early as it can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit.analysis.room import is_out_of_memory
from classykit.errors import BlockError, DeviceError, ShapeError
from classykit.features import main_tensor
from classykit.harmless import harmless
from classykit.models.blocks import resolve_block
from classykit.models.classy_model import ClassyModel


class _AllSeen(Exception):
    """Ends a pass once every block that was asked for has run."""


def capture(
    model: nn.Module,
    x: Any,
    blocks: str | Iterable[str],
    *,
    grad: bool = False,
    on_block: Callable[[str], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Features of ``blocks`` for the input ``x``, from one pass in eval mode that stops after the last of them.

    Args:
        model: a ClassyModel or any nn.Module; nothing of it is changed.
        x: an input as the model takes it, on the model's device, e.g. (N, 3, H, W).
        blocks: block names or dotted paths; one name, or several.
        grad: keep the autograd graph. Default False.
        on_block: called with each name as it is captured, for showing progress.

    Returns:
        ``{name: output}`` in the order asked for: what each block gave, even where a later in-place operation
        overwrites it. A block that runs several times in a pass gives its first output; of a block that gives
        several things (tokens with the size of their grid, say) it is the tensor that a head would get.

    Raises BlockError for names that are unknown, ambiguous or do not run, ShapeError when the pass fails, DeviceError
    when memory runs out.

    >>> from classykit.models import build_model
    >>> net = build_model("resnet18")
    >>> capture(net, torch.zeros(1, 3, 64, 64), "block1-1")["block1-1"].shape
    torch.Size([1, 128, 8, 8])
    """
    model = getattr(model, "_orig_mod", model)  # hooks of a compiled model do not run: use what it compiles
    names = [blocks] if isinstance(blocks, str) else list(blocks)
    paths = {name: _path_of(model, name) for name in names}
    if not paths:
        return {}
    overwritten: set[str] = set()
    with harmless(model), torch.set_grad_enabled(grad):
        while True:
            seen = _pass(model, x, set(paths.values()), overwritten, on_block and partial(_tell, on_block, paths))
            changed = {p for p, (out, version) in seen.items() if version is not None and out._version != version}
            if not changed:
                break
            overwritten |= changed  # once more, with copies where they are needed: rare, so not the default
    missing = [name for name, path in paths.items() if path not in seen]
    if missing:
        raise BlockError(f"{', '.join(map(repr, missing))} did not run in the forward pass: nothing to capture.")
    return {name: seen[path][0] for name, path in paths.items()}


def _path_of(model: nn.Module, name: str) -> str:
    if isinstance(model, ClassyModel):
        return model.find_block(name)[1]
    return resolve_block(model, {}, name)[1]


def _tell(on_block: Callable[[str], None], paths: dict[str, str], path: str) -> None:
    for name, of_name in paths.items():
        if of_name == path:
            on_block(name)


def _pass(
    model: nn.Module, x: Any, paths: set[str], cloned: set[str], on_path: Callable[[str], None] | None
) -> dict[str, tuple[Any, int | None]]:
    """One pass: {path: (output, its version, None for a copy or no tensor)}."""
    seen: dict[str, tuple[Any, int | None]] = {}
    first = next(iter(x.values()), None) if isinstance(x, dict) else x
    batch_size = first.shape[0] if isinstance(first, torch.Tensor) and first.ndim else 0
    thread = threading.get_ident()  # another thread may be using the same model

    def note(path: str, module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != thread or path in seen:
            return
        output = main_tensor(output, batch_size)[1]
        is_tensor = isinstance(output, torch.Tensor)
        if is_tensor and path in cloned:
            seen[path] = (output.clone(), None)
        else:
            seen[path] = (output, output._version if is_tensor and not output.is_inference() else None)
        if on_path is not None:
            on_path(path)
        if len(seen) == len(paths):
            raise _AllSeen

    handles = [model.get_submodule(p).register_forward_hook(partial(note, p)) for p in paths]
    try:
        model(x)
    except _AllSeen:
        pass
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise DeviceError(f"Memory ran out: {error}. Give fewer inputs, or choose a smaller model.") from error
        shape = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise ShapeError(f"{type(model).__name__} could not run on an input of {shape}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return seen
