"""The names of a model's blocks: short ones for those worth listing, dotted paths for anything else."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from classykit.errors import BlockError, quoted, suggest
from classykit.models.head_dict import is_of_head
from classykit.scripted import is_scripted

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def resolve_block(root: nn.Module, listed: Mapping[str, str], name: str) -> tuple[str, str]:
    """Find the block that ``name`` means: ``(its shown name, its dotted path in root)``.

    A ScriptModule, and what is in one, cannot be watched: BlockError says so.

    ``name`` is a listed short name, a dotted path, or the last part of exactly one dotted path. Modules
    of attached heads are never looked at. Raises BlockError otherwise, with the
    candidates or the nearest names.
    """
    shown, path = _resolve(root, listed, name)
    parts, module = path.split(".") if path else [], root
    for i, part in enumerate([*parts, ""]):
        if is_scripted(module):
            inside = f"is in {quoted('.'.join(parts[:i]) or 'the model')}, which" if i < len(parts) else "is what"
            raise BlockError(
                f"{name!r} {inside} was scripted or traced (torch.jit): that runs as one and cannot be watched. Use "
                f"the nn.Module that it was made of, or a block around it."
            )
        module = module.get_submodule(part)
    return shown, path


def _resolve(root: nn.Module, listed: Mapping[str, str], name: str) -> tuple[str, str]:
    if not isinstance(name, str):
        raise BlockError(f"A block is named by a string, not {quoted(name)}.")
    if name in listed:
        return name, listed[name]
    paths = [p for p, _ in root.named_modules() if p and not is_of_head(p)]
    shown = {path: short for short, path in listed.items()}
    for path in (name, f"model.{name}"):  # an adopted module lives under "model."
        if path in paths:
            return shown.get(path, name), path
    candidates = [p for p in paths if p.rsplit(".", 1)[-1] == name]
    if len(candidates) == 1:
        return shown.get(candidates[0], candidates[0]), candidates[0]
    if candidates:
        some = ", ".join(candidates[:6]) + (f" and {len(candidates) - 6} more" if len(candidates) > 6 else "")
        raise BlockError(f"{quoted(name)} is the name of {len(candidates)} modules; use a dotted path: {some}.")
    listing = ", ".join(listed) if len(listed) <= 8 else f"{', '.join(list(listed)[:8])}, ..."
    raise BlockError(
        f"The model has no block {quoted(name)}.{suggest(name, [*listed, *paths])} "
        f"Its blocks are: {listing}. Any submodule can be reached by its dotted path."
    )


def find_blocks(root: nn.Module) -> dict[str, str]:
    """A sensible list of blocks of any module, in order of definition: {path: path}.

    Containers and stages are opened, down to residual blocks, transformer layers and the like, or to the layers of
    a plain stack such as VGG's; what has no parameters (activations, dropout, pooling) is left out.
    """
    found: dict[str, str] = {}

    def visit(module: nn.Module, path: str, in_a_row: bool) -> None:
        for name, child in () if is_scripted(module) else module.named_children():
            child_path = f"{path}.{name}" if path else name
            before = list(found)
            if is_scripted(child):
                if _has_parameters(child):
                    found[child_path] = child_path
            elif not in_a_row and _is_plain_stage(child):
                visit(child, child_path, in_a_row=True)
            elif _is_row_of_blocks(child, name, in_a_row):
                visit(child, child_path, in_a_row=isinstance(child, _CONTAINERS))
            elif _has_parameters(child):
                found[child_path] = child_path
            inside = [one for one in found if one not in before]
            if len(inside) == 1 and not isinstance(child, _CONTAINERS) and inside[0].count(".") > child_path.count("."):
                around = root.get_submodule(inside[0].rpartition(".")[0])
                if len(list(around.children())) > 1:  # what pools before its one block, say, is a block with that
                    del found[inside[0]]
                    found[child_path] = child_path

    visit(root, "", in_a_row=isinstance(root, _CONTAINERS))
    return found


def _is_plain_stage(module: nn.Module) -> bool:
    """Whether this is a module of one's own that holds its blocks directly, as b1, b2, ..."""
    parts = [part for part in module.children() if _has_parameters(part)]
    return (
        not isinstance(module, _CONTAINERS)
        and len({type(part) for part in parts}) == 1
        and not isinstance(parts[0], _CONTAINERS)
        and all(depth_of(part) >= 2 for part in parts)
    )


def _is_row_of_blocks(module: nn.Module, name: str, in_a_row: bool) -> bool:
    """Whether to look inside: a container of blocks, a plain stack of layers, or a stage that wraps either.

    A module that stands in a row itself, a residual block, say, may hold a container too; it is opened only
    when the parts in there are as deep as blocks are, not mere convolution-norm-activation groups.
    """
    parts = {n: part for n, part in module.named_children() if _has_parameters(part)}
    if isinstance(module, _CONTAINERS):
        if _is_branch(name):
            return False
        composite = sum(depth_of(part) >= 1 for part in parts.values())
        layers = sum(isinstance(part, _LAYERS) for part in parts.values())
        # four layers or more, one after another, are a network without blocks, as VGG is
        return composite * 2 >= len(parts) > 0 or composite + layers >= 4
    deep = 2 if in_a_row else 1
    return any(
        isinstance(part, _CONTAINERS)
        and not _is_branch(n)
        and any(depth_of(p) >= (1 if n == "blocks" else deep) for p in part.children())
        for n, part in parts.items()
    )


def _is_branch(name: str) -> bool:
    """Whether the name is that of one path of several through a block, as in Inception."""
    return name.startswith("branch") and name != "branches"


def _has_parameters(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def depth_of(module: nn.Module) -> int:
    """Levels of modules with parameters below this one: 0 for a layer; what holds a single part is no level."""
    parts = [part for part in module.children() if _has_parameters(part)]
    if len(parts) == 1 and any(True for _ in parts[0].children()):
        return depth_of(parts[0])
    return max((1 + depth_of(part) for part in parts), default=0)
