"""What is known of one class of another library: its keys, what becomes of it here, and what cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from classykit.errors import WeightsError
from classykit.models.classy_model import ClassyModel
from classykit.weights.keymaps import Rule

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Layout:
    """How other people's models of one kind keep their weights, and which of our families they become.

    Args:
        title: what messages call it ("torchvision's DenseNet").
        classes: the dotted classes whose objects have this layout.
        families: the classes of ours that it can become.
        sign: a regular expression; a state has this layout when it matches one of its keys.
        rules: the key map of a state.
        laid_out: what the renamed state becomes where its tensors have another order of dimensions than ours.
        classifier: dotted path of the source's classifier.
        head: the registered head that stands for it, None when our trunk has its own.
        head_keys: the head's keys that its renamed state shows.
        not_ours: ``(regular expression, reason)`` of keys that have no counterpart here.
        not_ours_parts: ``{class name: reason}`` of parts without weights that have none.
        not_ours_state: the reason why a state cannot be converted that only a look at all of it shows, or "".
        adopt: how an object that cannot be converted is used as it is.
        of_module: settings that no weight shows, read off an object.
        of_module_in_full: those that matter for a family without sizes of its own, such as anynet.
        of_file: the same settings for a bare state, by what the library uses for our registered name. Raises
            WeightsError where it uses several.
        advice: what to add to the refusal of a state that does not fit, from name, model and renamed state.
    """

    title: str
    classes: tuple[str, ...]
    families: tuple[str, ...]
    sign: str
    rules: Callable[[State], list[Rule]]
    laid_out: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] = lambda renamed: renamed
    classifier: str = "fc"
    head: str | None = "fully_connected"
    head_keys: Callable[[State], dict[str, Any]] = lambda head_state: {}
    not_ours: tuple[tuple[str, str], ...] = ()
    not_ours_parts: Mapping[str, str] = field(default_factory=dict)
    not_ours_state: Callable[[State], str] = lambda state: ""
    adopt: str = "ClassyModel.from_model(source)"
    of_module: Callable[[nn.Module], dict[str, Any]] = lambda source: {}
    of_module_in_full: Callable[[nn.Module], dict[str, Any]] = lambda source: {}
    of_file: Callable[[str, State], dict[str, Any]] = lambda name, state: {}
    advice: Callable[[str, ClassyModel, State], str] = lambda name, model, state: ""

    def matches(self, state: State) -> bool:
        """Whether a state has this layout."""
        return any(re.match(self.sign, key) for key in state)

    def refuse(self, state: State, what: str, source: nn.Module | None = None) -> None:
        """Raise WeightsError with the reason when the state, or the object, has what our families lack."""
        reasons = [reason for pattern, reason in self.not_ours if any(re.match(pattern, key) for key in state)]
        if source is not None:
            kinds = {type(module).__name__ for module in source.modules()}
            reasons += [reason for kind, reason in self.not_ours_parts.items() if kind in kinds]
        reasons += filter(None, [self.not_ours_state(state)])
        if reasons:
            raise WeightsError(f"{what} cannot be converted: {'; '.join(reasons)}. An object: {self.adopt} adopts it.")
