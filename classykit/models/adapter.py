"""A module of anybody's, adopted as a ClassyModel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from classykit.models.blocks import find_blocks
from classykit.models.classy_model import ClassyModel
from classykit.models.fitting import probe


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
        """The blocks that run and give features, in the order in which they end.

        A part whose output is of no known kind (windows folded into the batch, say) is not listed: the nearest
        module around it that gives features stands for it. As defined where no meta pass is possible.
        """
        blocks = list(blocks)
        around = {path[:i] for path in blocks for i, c in enumerate(path) if c == "."}
        try:
            seen = probe(self, {f"model.{path}" for path in (*blocks, *around)})
        except Exception:  # whatever a stranger's code does on meta tensors
            return blocks
        known = {path for path in (*blocks, *around) if f"model.{path}" in seen and seen[f"model.{path}"].features}
        chosen = set(blocks) & known
        for path in blocks:
            if path not in known and f"model.{path}" in seen:
                chosen.add(next((a for a in _ancestors(path) if a in known), ""))
        chosen = {path for path in chosen if not any(a in chosen for a in _ancestors(path))}
        order = [path.removeprefix("model.") for path in seen]
        return [path for path in order if path in chosen]


def _ancestors(path: str) -> list[str]:
    """The modules around ``path``, nearest first: "a.b.c" -> ["a.b", "a"]."""
    parts = path.split(".")
    return [".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]
