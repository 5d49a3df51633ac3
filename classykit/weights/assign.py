"""Giving a model without weights its weights: all of them, checked before the first is given, and copied."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from classykit.errors import StateError, WeightsError
from classykit.models.head_dict import is_of_head
from classykit.models.state import check_state


def assign(module: nn.Module, state: Mapping[str, torch.Tensor], what: str) -> None:
    """Give a module on the meta device copies of these tensors as its weights, in their own dtype.

    Heads of a model are left as they are. Raises WeightsError, naming ``what``, unless the keys and shapes are the
    module's.
    """
    own = {k: v for k, v in module.state_dict().items() if not is_of_head(k)}
    try:
        check_state(own, state, strict=True, what=what)
    except StateError as error:
        raise WeightsError(str(error)) from None
    # other libraries' weights may lie in memory in another order; sums in that order differ in the last bit
    copies = {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in state.items()}
    module.load_state_dict(copies, strict=False, assign=True)
