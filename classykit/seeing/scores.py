"""The scores of classes that a model gives: where they come from, and which class is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from classykit.errors import ConfigError, HeadError, ShapeError, quoted, suggest
from classykit.models.classy_model import ClassyModel
from classykit.models.head_dict import is_of_head
from classykit.seeing.view import labels_of


def score_paths(model: nn.Module, head: str | None) -> list[str]:
    """Dotted paths of what may give the scores, the first that gives some is meant: "" is the trunk, or a module's own.

    Raises HeadError for a head that is not attached.
    """
    heads = model.head_paths() if isinstance(model, ClassyModel) else {}
    if head is None:
        return ["", *heads.values()]
    if not isinstance(head, str) or head not in heads:
        attached = f"attached are {', '.join(map(quoted, heads))}" if heads else "none is attached"
        raise HeadError(f"There is no head {quoted(head)}; {attached}.{suggest(head, heads)}")
    return [heads[head]]


def chosen_scores(outputs: dict[str, Any], paths: list[str], model: nn.Module, name: str) -> tuple[str, torch.Tensor]:
    """(path, (N, classes)) of the scores that are meant, of what was given at each path.

    Raises ConfigError where several heads give some and none was named, ShapeError where nothing does.
    """
    given = {path: scores for path in paths if (scores := as_scores(outputs.get(path))) is not None}
    if "" in given and (len(given) == 1 or classifies(model, given[""].shape[1])):
        return "", given[""]
    heads = {path: scores for path, scores in given.items() if path}
    if len(heads) > 1:
        ids = (
            [one for one, path in model.head_paths().items() if path in heads] if isinstance(model, ClassyModel) else []
        )
        raise ConfigError(f"{name} has several heads, say which is meant: head={' or '.join(map(repr, ids))}.")
    if heads:
        return next(iter(heads.items()))
    if "" in given:
        return "", given[""]
    shapes = ", ".join(str(tuple(out.shape)) for out in outputs.values() if isinstance(out, torch.Tensor))
    raise ShapeError(
        f"{name} gives no scores of classes (N, classes), but {shapes or 'something that is no tensor'}: attach a head "
        f"with num_classes, and name it (head=...)."
    )


def as_scores(output: Any) -> torch.Tensor | None:
    """(N, classes) of an output (N, classes, 1, ...); None for anything else."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point() or output.ndim < 2:
        return None
    return output.flatten(1) if output[0].numel() == output.shape[1] else None


def classifies(model: nn.Module, classes: int) -> bool:
    """Whether a trunk's vector of so many values is scores of classes: its last layer is a linear one that gives them.

    >>> classifies(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), 5)
    True
    """
    leaves = [m for path, m in model.named_modules() if not is_of_head(path) and not any(m.children())]
    return bool(leaves) and getattr(leaves[-1], "out_features", None) == classes


def class_numbers(target: Any, scores: torch.Tensor, model: nn.Module) -> list[int]:
    """Which class is meant for each input: a number, a label, one for each, or None for the one with the best score.

    Raises ConfigError for a class that is not there.
    """
    n, classes = scores.shape
    if target is None:
        return scores.argmax(1).tolist()
    if isinstance(target, torch.Tensor):
        target = target.tolist()
    several: Sequence[Any] = target if isinstance(target, (list, tuple, range)) else [target] * n
    if len(several) != n:
        raise ConfigError(f"There are {n} inputs and {len(several)} targets: give one class, or one for each input.")
    labels = labels_of(model)
    labels = labels if labels is not None and len(labels) == classes else None
    return [_class_number(one, classes, labels) for one in several]


def rivals(minus: Any, target: list[int], scores: torch.Tensor, model: nn.Module) -> list[int]:
    """The class that each target is held against: as `class_numbers` has it, or "runner-up", the best one besides.

    Raises ConfigError where a class would be held against itself.
    """
    if isinstance(minus, str) and minus == "runner-up":
        if scores.shape[1] < 2:
            raise ConfigError("There is one class only, and so no runner-up.")
        others = scores.detach().scatter(1, torch.tensor(target, device=scores.device)[:, None], -torch.inf)
        return others.argmax(1).tolist()
    numbers = class_numbers(minus, scores, model)
    if any(a == b for a, b in zip(target, numbers, strict=True)):
        raise ConfigError(f"Evidence for class {target[0]} minus the same class is nothing: name another one.")
    return numbers


def _class_number(target: Any, classes: int, labels: Sequence[str] | None) -> int:
    if isinstance(target, str) and labels is not None:
        if target in labels:
            return labels.index(target)
        inside = [label for label in labels if target.lower() in label.lower()]
        if len(inside) == 1:
            return labels.index(inside[0])
        near = f" It may be one of {', '.join(map(repr, inside[:4]))}." if inside else suggest(target, labels)
        raise ConfigError(f"There is no class {quoted(target)}.{near}")
    if isinstance(target, str):
        raise ConfigError(
            f"The classes have no names here, only numbers from 0 to {classes - 1}: not {quoted(target)}."
        )
    if isinstance(target, bool) or not hasattr(target, "__index__"):
        raise ConfigError(f"A class is a number from 0 to {classes - 1}, or a label, not {quoted(target)}.")
    number = target.__index__()
    if not 0 <= number < classes:
        raise ConfigError(f"There is no class {number}: there are {classes}, from 0 to {classes - 1}.")
    return number
