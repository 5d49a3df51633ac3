"""How one image's features lie in what a block gives for a batch, and pooling them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from classykit.errors import ShapeError, quoted
from classykit.features import Features


@dataclass(frozen=True)
class FeatureLayout:
    """Where the batch is in a block's output, and what is kept of an image.

    Attributes:
        shape: of what is kept of one image.
        dtype: of the numbers on the disk, e.g. "float32".
        batch_dim: the batch's dimension: 1 for tokens in sequence-first order (L, N, C).
        over: the dimensions that the mean is over, once the batch comes first; None for whole features.
        only: (start, stop) of the tokens that count in the mean; None for all.
    """

    shape: tuple[int, ...]
    dtype: str
    batch_dim: int = 0
    over: tuple[int, ...] | None = None
    only: tuple[int, int | None] | None = None

    def rows(self, output: torch.Tensor) -> np.ndarray:
        """(N, *shape) of a block's output, on the CPU.

        >>> FeatureLayout((64,), "float32", over=(2, 3)).rows(torch.zeros(5, 64, 7, 7)).shape
        (5, 64)
        """
        output = output.movedim(self.batch_dim, 0)
        kept = getattr(torch, self.dtype)
        if self.only is not None:
            output = output[:, slice(*self.only)]
        if self.over is not None:
            output = output.to(kept)  # before the mean: half precision would round every step of it
            output = output.mean(self.over) if self.over else output
        return output.to("cpu", kept).contiguous().numpy()

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "only"}  # of all tokens, on the disk

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> FeatureLayout:
        over = described["over"]
        return cls(
            tuple(described["shape"]), described["dtype"], described["batch_dim"], None if over is None else tuple(over)
        )


def layouts(
    give: Callable[[torch.Tensor], dict[str, Any]],
    x: torch.Tensor,
    reduce: str | None,
    moves: Mapping[str, Sequence[bool]] | None = None,
) -> dict[str, FeatureLayout]:
    """The layout of each block's output, found by running one image and two.

    Args:
        give: {block: output} for a batch.
        x: one image, without a batch dimension.
        reduce: "mean" or None.
        moves: {block: for each dimension, whether it moves with the input's size}, where known (see `Features.of`).

    Raises ShapeError for a block that does not give one entry an image, or nothing that can be pooled.
    """
    one, two = give(x[None]), give(torch.stack([x, x]))
    square = x.ndim < 2 or x.shape[-1] == x.shape[-2]
    known = moves or {}
    return {block: _layout(block, one[block], two[block], reduce, square, known.get(block)) for block in two}


def _layout(
    block: str, one: Any, two: Any, reduce: str | None, square: bool, moves: Sequence[bool] | None
) -> FeatureLayout:
    if not isinstance(two, torch.Tensor):
        raise ShapeError(f"{block!r} gives a {type(two).__name__}, no tensor: choose a block that gives features.")
    same_rank = one.ndim == two.ndim
    where = [i for i in range(two.ndim) if same_rank and (one.shape[i], two.shape[i]) == (1, 2)]
    if len(where) != 1 or one.numel() * 2 != two.numel():
        raise ShapeError(
            f"{quoted(block)} gives {tuple(one.shape)} for one image and {tuple(two.shape)} for two, not one entry an "
            f"image (windows in the batch dimension?): choose another block."
        )
    batch_dim = where[0]
    shape = two.movedim(batch_dim, 0).shape
    kept = torch.float32 if two.dtype == torch.bfloat16 else two.dtype  # numpy has no bfloat16
    if reduce is None:
        return FeatureLayout(tuple(shape[1:]), _name(kept), batch_dim)
    found = Features.of(two.movedim(batch_dim, 0), 2, square, moves if batch_dim == 0 else None)
    if found is None:
        raise ShapeError(
            f"{block!r} gives {tuple(two.shape)} of {two.dtype} for two images: no map, tokens or vector that a mean "
            f"could be taken of. With reduce=None it is written as it is."
        )
    last = found.channels_last or found.kind == "tokens"
    channel = two.ndim - 1 if last else 1
    over = tuple(i for i in range(1, two.ndim) if i != channel)
    return FeatureLayout((found.channels,), "float64" if kept == torch.float64 else "float32", batch_dim, over)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
