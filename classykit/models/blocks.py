"""The names of a model's blocks: short ones for those worth listing, dotted paths for anything else."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from classykit.errors import BlockError, suggest

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def resolve_block(root: nn.Module, listed: Mapping[str, str], name: str, hidden: str = "_heads") -> tuple[str, str]:
    """Find the block that ``name`` means: ``(its shown name, its dotted path in root)``.

    ``name`` is a listed short name, a dotted path, or the last part of exactly one dotted path. Modules
    under ``hidden`` (the attached heads) are never looked at. Raises BlockError otherwise, with the
    candidates or the nearest names.
    """
    if not isinstance(name, str):
        raise BlockError(f"A block is named by a string, not {name!r}.")
    if name in listed:
        return name, listed[name]
    paths = [p for p, _ in root.named_modules() if p and p != hidden and not p.startswith(hidden + ".")]
    shown = {path: short for short, path in listed.items()}
    for path in (name, f"model.{name}"):  # an adopted module lives under "model."
        if path in paths:
            return shown.get(path, name), path
    candidates = [p for p in paths if p.rsplit(".", 1)[-1] == name]
    if len(candidates) == 1:
        return shown.get(candidates[0], candidates[0]), candidates[0]
    if candidates:
        some = ", ".join(candidates[:6]) + (f" and {len(candidates) - 6} more" if len(candidates) > 6 else "")
        raise BlockError(f"{name!r} is the name of {len(candidates)} modules; use a dotted path: {some}.")
    listing = ", ".join(listed) if len(listed) <= 8 else f"{', '.join(list(listed)[:8])}, ..."
    raise BlockError(
        f"The model has no block {name!r}.{suggest(str(name), [*listed, *paths])} "
        f"Its blocks are: {listing}. Any submodule can be reached by its dotted path."
    )


def find_blocks(root: nn.Module) -> dict[str, str]:
    """A sensible list of blocks of any module, in order of definition: {path: path}.

    Containers and stages are opened, down to residual blocks, transformer layers and the like; what has no
    parameters (activations, dropout, pooling) is left out.
    """
    found: dict[str, str] = {}

    def visit(module: nn.Module, path: str) -> None:
        for name, child in module.named_children():
            child_path = f"{path}.{name}" if path else name
            if _is_row_of_blocks(child, within=module):
                visit(child, child_path)
            elif any(True for _ in child.parameters()):
                found[child_path] = child_path

    visit(root, "")
    return found


def _is_row_of_blocks(module: nn.Module, within: nn.Module) -> bool:
    """Whether to look inside: a container of composite parts, or a stage that wraps one.

    A module that stands in a row itself, a residual block, say, may hold a container too; it is opened only
    when the parts in there are as deep as blocks are, not mere convolution-norm-activation groups.
    """
    if isinstance(module, _CONTAINERS):
        composite = [c for c in module.children() if _depth(c) >= 1]
        return len(composite) * 2 >= len(list(module.children())) > 0
    deep = 2 if isinstance(within, _CONTAINERS) else 1
    return any(
        isinstance(c, _CONTAINERS) and any(_depth(part) >= deep for part in c.children())
        for c in module.children()
    )


def _depth(module: nn.Module) -> int:
    """Levels of modules below this one: 0 for a leaf."""
    return max((1 + _depth(c) for c in module.children()), default=0)
