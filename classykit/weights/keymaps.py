"""How the keys of other people's checkpoints map onto ours: an ordered list of rules.

A rule is a regular expression and its replacement, a template or a function of the match; each key is
rewritten by the first rule that matches it from the start. Targets that begin with ``head.`` belong to the
head that stands for the source's own classifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from classykit.errors import WeightsError, quoted

Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def rename(state: Mapping[str, torch.Tensor], rules: list[Rule], source: str) -> dict[str, Any]:
    """The state under our names; WeightsError for keys that no rule knows, or that two rules map to one.

    >>> rename({"conv1.weight": 1, "fc.bias": 2}, [(r"conv1\\.", "stem."), (r"fc\\.", "head.fc.")], "the docs")
    {'stem.weight': 1, 'head.fc.bias': 2}
    """
    renamed: dict[str, Any] = {}
    unknown = []
    for key, value in state.items():
        for pattern, target in rules:
            match = re.match(pattern, key)
            if match is not None:
                new = (match.expand(target) if isinstance(target, str) else target(match)) + key[match.end() :]
                if new in renamed:
                    raise WeightsError(f"Two keys of {source} map to {quoted(new)}; one of them is {quoted(key)}.")
                renamed[new] = value
                break
        else:
            unknown.append(key)
    if unknown:
        some = ", ".join(map(repr, unknown[:3])) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        raise WeightsError(f"{source} has keys that no conversion is known for: {some}.")
    return renamed
