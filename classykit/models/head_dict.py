"""The module that holds a model's heads, under any names; what of a model's tree and state is theirs."""

from __future__ import annotations

from torch import nn

from classykit.heads.classy_head import ClassyHead

HEADS_AT = "_heads"  # the attribute of a ClassyModel that holds them


def is_of_head(path: str) -> bool:
    """Whether a dotted path or state key of a ClassyModel belongs to its heads, not to the trunk.

    >>> is_of_head("_heads.cls.fc.weight"), is_of_head("blocks.0")
    (True, False)
    """
    return path == HEADS_AT or path.startswith(HEADS_AT + ".")


def is_head(path: str) -> bool:
    """Whether it is the path of a whole head."""
    return is_of_head(path) and path.count(".") == 1


class HeadDict(nn.Module):
    """The attached heads by unique_id. nn.ModuleDict refuses ids such as "a.b", "keys" or "type"."""

    def put(self, head: nn.Module) -> None:
        name = _escape(head.unique_id)
        # a module's own attributes ("type", "training") would hide a child of that name; no escape ends in "%"
        self._modules[name + "%" if hasattr(self, name) else name] = head

    def values(self) -> list[ClassyHead]:
        return list(self._modules.values())


def _escape(unique_id: str) -> str:
    """A string that can be part of a state key; different ids stay different."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"%{ord(c):06x}" for c in unique_id)
