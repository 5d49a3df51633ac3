"""What was done in an app, step by step, each of which can be taken back: models, keys and heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from classykit.errors import StateError
from classykit.python_code import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from classykit.exploring.explored import Explored
    from classykit.heads.classy_head import ClassyHead

LIMIT = 100  # steps that are kept


@dataclass(frozen=True)
class Step:
    """What stood on the screen after something was done: ``words`` say what."""

    words: str
    subject: Explored
    heads: Mapping[str, tuple[str, ClassyHead]]


class History:
    """The steps, and which of them is on the screen now; those after it were undone.

    >>> history = History(Step("resnet18", None, {}))
    >>> history.add(Step("head cls attached to block3-1", None, {}))
    >>> history.undo().words, history.redo().words
    ('resnet18', 'head cls attached to block3-1')
    """

    def __init__(self, first: Step):
        self.steps, self.at = [first], 0

    @property
    def now(self) -> Step:
        return self.steps[self.at]

    @property
    def words(self) -> list[str]:
        """Of all steps, in their order."""
        return [step.words for step in self.steps]

    def add(self, step: Step) -> None:
        """A new step; what was undone before it cannot be done again."""
        self.steps = [*self.steps[: self.at + 1], step][-LIMIT:]
        self.at = len(self.steps) - 1

    def undo(self) -> Step:
        """One step back; StateError at the first."""
        if self.at == 0:
            raise StateError("There is nothing to undo.")
        self.at -= 1
        return self.now

    def redo(self) -> Step:
        """One step forward again; StateError at the last."""
        if self.at == len(self.steps) - 1:
            raise StateError("There is nothing to do again.")
        self.at += 1
        return self.now

    def let_go(self) -> None:
        """Let go of the weights of all that was on the screen."""
        for step in self.steps:
            step.subject.let_go()


def difference(before: Mapping[str, Any], after: Mapping[str, Any], in_use: Mapping[str, Any] | None = None) -> str:
    """What was done between two configs, in words; ``in_use`` are the values of all keys before.

    >>> difference({"name": "resnet18"}, {"name": "resnet18", "init_planes": 32}, {"init_planes": 64})
    'init_planes 64 → 32'
    >>> difference({"name": "resnet18", "init_planes": 32}, {"name": "resnet50"})
    'resnet50'
    """
    if before.get("name") != after.get("name"):
        return printable(str(after.get("name")))
    known = {**(in_use or {}), **before}
    changed = [
        f"{key} {known[key]} → {value}" if key in known else f"{key} = {value}"
        for key, value in after.items() if before.get(key) != value and key != "heads"
    ]  # fmt: skip
    changed += [f"{key} as before" for key in before if key not in after and key != "heads"]
    if _chosen(before) != _chosen(after):
        changed.append("other heads")
    return printable(", ".join(changed) or str(after.get("name")))


def _chosen(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The heads of a config without what follows from their blocks."""
    return [{key: value for key, value in head.items() if key != "in_plane"} for head in config.get("heads", ())]
