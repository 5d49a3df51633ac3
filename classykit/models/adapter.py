"""A module of anybody's, adopted as a ClassyModel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from classykit.meta import dtype_of, empty_input, meta_twin
from classykit.models.blocks import find_blocks
from classykit.models.classy_model import ClassyModel


class Adapter(ClassyModel):
    """A module that was adopted by `ClassyModel.from_model`."""

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...] | None):
        super().__init__()
        self.model = model
        self._input_shape = tuple(input_shape) if input_shape is not None else super().input_shape
        self._description = {"name": type(model).__name__}
        self._order: list[str] | None = None  # worked out when first asked for

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._input_shape

    def forward(self, x: Any) -> Any:
        return self.model(x)

    def extract_features(self, x: Any) -> Any:
        extract = getattr(self.model, "extract_features", None)
        return extract(x) if callable(extract) else self.model(x)

    def block_paths(self) -> dict[str, str]:
        if self._order is None:
            self._order = self._forward_order(find_blocks(self.model))
        return {path: f"model.{path}" for path in self._order}

    def _forward_order(self, blocks: Iterable[str]) -> list[str]:
        """Those blocks that run, in the order in which they end; as defined where no meta pass is possible."""
        blocks = list(blocks)
        try:
            twin = meta_twin(self.model)
            order: list[str] = []
            for path in blocks:
                twin.get_submodule(path).register_forward_hook(lambda m, a, o, path=path: order.append(path))
            with torch.no_grad():
                twin(empty_input(self._input_shape, 1, dtype_of(twin)))
        except Exception:  # whatever a stranger's code does on meta tensors
            return blocks
        return list(dict.fromkeys(order))
