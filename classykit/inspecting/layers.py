"""torchinfo's tree of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.errors import MissingDependencyError
from classykit.nested import Inputs

if TYPE_CHECKING:
    from torchinfo import ModelStatistics


def layer_tree(twin: nn.Module, x: Any, depth: int) -> ModelStatistics:
    """torchinfo's statistics of ``twin``, a module on the meta device, for the meta input ``x``.

    Raises MissingDependencyError when torchinfo is not installed.
    """
    try:
        import torchinfo
    except ImportError:
        raise MissingDependencyError("The tree of layers is torchinfo's: pip install torchinfo.") from None
    given = Inputs.of(x)
    # in a list: torchinfo would take a dict to be keyword arguments
    with torch.random.fork_rng(devices=[]):
        return torchinfo.summary(
            twin, input_data=[*given.args], device="meta", mode="eval", depth=depth, verbose=0, **given.kwargs
        )
