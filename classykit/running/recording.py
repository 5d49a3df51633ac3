"""What blocks give in one pass, recorded by hooks; the pass ends as soon as all of them have run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from classykit.errors import OF_BAD_INPUT, DeviceError, ShapeError
from classykit.features import main_tensor
from classykit.harmless import harmless
from classykit.hooks import hooks
from classykit.models.classy_model import ClassyModel
from classykit.nested import Inputs, call, other_way, parts_of, rebuilt, shapes
from classykit.running.memory_fit import is_out_of_memory
from classykit.subject import block_paths, name_of, refuse_blocks_that_did_not_run


class _AllSeen(Exception):
    """Ends a pass once every block that was asked for has run."""


def record(
    model: nn.Module,
    x: Any,
    names: Iterable[str],
    grad: bool = False,
    on_block: Callable[[str], None] | None = None,
) -> dict[str, torch.Tensor]:
    """{block: what it gave}, from a pass of ``model`` on ``x`` in eval mode; see `classykit.capture`."""
    paths = block_paths(model, names)
    if not paths:
        return {}
    seen = record_paths(model, x, paths.values(), grad, on_block and partial(_tell, on_block, paths))
    refuse_blocks_that_did_not_run(name for name, path in paths.items() if path not in seen)
    return {name: seen[path] for name, path in paths.items()}


def record_paths(
    model: nn.Module,
    x: Any,
    paths: Iterable[str],
    grad: bool = False,
    on_path: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """{dotted path: what it gave} of the modules that came to run; "" is the model itself, without its heads."""
    wanted, overwritten = set(paths), set[str]()
    with harmless(model), torch.set_grad_enabled(grad):
        while True:
            seen = _pass(model, x, wanted, overwritten, on_path)
            changed = {p for p, (out, version) in seen.items() if version is not None and out._version != version}
            if not changed:
                return {path: seen[path][0] for path in seen}
            overwritten |= changed  # once more, with copies where they are needed: rare, so not the default


def _tell(on_block: Callable[[str], None], paths: dict[str, str], path: str) -> None:
    for name, of_name in paths.items():
        if of_name == path:
            on_block(name)


def _pass(
    model: nn.Module, x: Any, paths: set[str], cloned: set[str], on_path: Callable[[str], None] | None
) -> dict[str, tuple[Any, int | None]]:
    """One pass: {path: (output, its version, None for a copy or no tensor)}."""
    seen: dict[str, tuple[Any, int | None]] = {}
    batch_size = Inputs.of(x).batch_size
    trunk = isinstance(model, ClassyModel)  # whose heads take the place of its output

    def note(path: str, module: nn.Module, args: Any, output: Any) -> Any:
        if path in seen:
            return None
        key, features = main_tensor(output, batch_size)
        going_on = None
        if isinstance(features, torch.Tensor) and path in cloned:
            # the network goes on with a copy, so that gradients reach the block's own output through it
            seen[path], copy = (features, None), features.clone()
            going_on = copy if key is None else rebuilt(output, {**(parts_of(output) or {}), key: copy})
        else:
            counts = isinstance(features, torch.Tensor) and not features.is_inference()
            seen[path] = (features, getattr(features, "_version", None) if counts else None)
        if on_path is not None:
            on_path(path)
        if len(seen) == len(paths):
            raise _AllSeen
        return going_on

    try:
        with hooks() as on:
            for path in paths:
                on.after(model.get_submodule(path), partial(note, path), first=trunk and not path)
            passed(model, x)
    except _AllSeen:
        pass
    return seen


def passed(model: nn.Module, x: Any) -> Any:
    """What ``model`` gives for ``x``; what goes wrong is said in the kit's words.

    Raises ShapeError when the model cannot take it, DeviceError when memory runs out.
    """
    try:
        return call(model, x)
    except (*OF_BAD_INPUT, MemoryError) as error:
        if is_out_of_memory(error):
            raise DeviceError(f"Memory ran out: {error}. Give fewer inputs, or choose a smaller model.") from error
        raise ShapeError(f"{name_of(model)} cannot run on an input of {shapes(x)}: {error}{other_way(x)}") from error
