"""A module of anybody's, adopted as a ClassyModel."""

from __future__ import annotations

from typing import Any

from torch import nn

from classykit.models.blocks import find_blocks
from classykit.models.classy_model import ClassyModel


class Adapter(ClassyModel):
    """A module that was adopted by `ClassyModel.from_model`."""

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...] | None):
        super().__init__()
        self.model = model
        self._input_shape = tuple(input_shape) if input_shape is not None else super().input_shape
        self._description = {"name": type(model).__name__}

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._input_shape

    def forward(self, x: Any) -> Any:
        return self.model(x)

    def extract_features(self, x: Any) -> Any:
        extract = getattr(self.model, "extract_features", None)
        return extract(x) if callable(extract) else self.model(x)

    def block_paths(self) -> dict[str, str]:
        return {path: f"model.{path}" for path in find_blocks(self.model)}
