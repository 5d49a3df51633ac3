"""The kinds of features that blocks give and heads take: 2-D map, 3-D map, sequence, tokens, vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

MAP2D, MAP3D, SEQUENCE, TOKENS, VECTOR = "map2d", "map3d", "sequence", "tokens", "vector"

_MOST_BEFORE = 32  # tokens before the patches: class, register and distillation tokens

KINDS = {
    MAP2D: "a 2-D map (N, C, H, W)",
    MAP3D: "a 3-D map (N, C, T, H, W)",
    SEQUENCE: "a sequence (N, C, L)",
    TOKENS: "tokens (N, L, C)",
    VECTOR: "a vector (N, C)",
}

IN_WORDS = {kind: words.partition(" (")[0] for kind, words in KINDS.items()}  # "a 2-D map"


@dataclass(frozen=True)
class Features:
    """What a block gives: its kind, its shape without the batch, and where the channels are.

    ``batch_dim`` is 0, or 1 for tokens in sequence-first order (L, N, C). ``channels_last`` marks a map in the
    order (N, [T,] H, W, C), as Swin transformers keep it.

    >>> Features.of(torch.empty(2, 64, 7, 7), batch_size=2)
    Features(kind='map2d', shape=(64, 7, 7), channels=64, batch_dim=0, channels_last=False)
    """

    kind: str
    shape: tuple[int, ...]
    channels: int
    batch_dim: int = 0
    channels_last: bool = False

    @classmethod
    def of(
        cls, output: object, batch_size: int, square: bool = True, moves: Sequence[bool] | None = None
    ) -> Features | None:
        """Recognise a block's output; None when it is no tensor or of no kind known here.

        The batch dimension is the one that has ``batch_size`` entries, so callers who know nothing about a
        model probe it with a size that is unlikely to occur otherwise.

        ``moves`` says of each dimension whether its size is another where the input's is: what moves is space, what
        does not is channels. Where that is not known, or does not tell, the common orders are assumed: tokens
        (N, L, C), maps (N, C, [T,] H, W); and where the input is ``square``, so are 2-D maps: the odd dimension out
        is the channels'.

        >>> Features.of(torch.empty(2, 32, 100), 2, moves=(False, False, True)).kind
        'sequence'
        """
        if not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return None
        shape = tuple(output.shape)
        if output.ndim == 3 and shape[0] != batch_size and shape[1] == batch_size:
            return cls(TOKENS, (shape[0], shape[2]), shape[2], batch_dim=1)  # (L, N, C)
        kind = {2: VECTOR, 3: TOKENS, 4: MAP2D, 5: MAP3D}.get(output.ndim)
        if kind is None or shape[0] != batch_size:
            return None
        if kind == VECTOR:
            return cls(kind, shape[1:], shape[1])
        second, *between, final = moves[1:] if moves and len(moves) == len(shape) else (False,) * (len(shape) - 1)
        if kind == TOKENS:
            if final and not second:
                return cls(SEQUENCE, shape[1:], shape[1])
            return cls(kind, shape[1:], shape[-1])
        # of (N, C, [T,] H, W) or (N, [T,] H, W, C)
        last = second and not final
        if second == final and not (any(between) and not second):
            last = square and shape[-3] == shape[-2] != shape[-1]
        return cls(kind, shape[1:], shape[-1] if last else shape[1], channels_last=last)

    @property
    def spatial(self) -> tuple[int, ...]:
        """(H, W) of a 2-D map, (T, H, W) of a 3-D map, (L,) of a sequence, () otherwise."""
        if self.kind not in (MAP2D, MAP3D, SEQUENCE):
            return ()
        return self.shape[:-1] if self.channels_last else self.shape[1:]

    def __str__(self) -> str:
        return shape_text(self.shape)


def main_tensor(output: object, batch_size: int) -> tuple[int | str | None, object]:
    """``(where, what)`` of the features in a block's output: ``(None, output)`` unless it gives several things.

    Of a tuple, list or dict (tokens with their grid's size, say, or several branches) it is the first entry that
    is of a kind known here.

    >>> main_tensor(((7, 7), torch.empty(2, 49, 64)), batch_size=2)[0]
    1
    """
    entries: Iterable[tuple[int | str, Any]]
    if isinstance(output, (tuple, list)):
        entries = enumerate(output)
    elif isinstance(output, dict):
        entries = output.items()
    else:
        return None, output
    return next(((k, v) for k, v in entries if Features.of(v, batch_size) is not None), (None, output))


def shape_text(shape: tuple[int, ...] | None) -> str:
    """(24, 56, 56) -> "24×56×56"; None -> "?"."""
    return "?" if shape is None else "×".join(str(n) for n in shape)


def patch_grid(
    tokens: int, size: tuple[int, int] | None, maps: Sequence[tuple[int, int]] = ()
) -> tuple[tuple[int, int] | None, int]:
    """((rows, columns) of the patches among so many tokens, how many tokens come before them); (None, 0) for no grid.

    Args:
        tokens: how many there are in all.
        size: (height, width) of the picture, in pixels; patches are square. None: of no picture.
        maps: (height, width) of maps that the model has made until then, of which one may have become the tokens.

    >>> patch_grid(201, (224, 224)), patch_grid(197, (224, 224), [(14, 14)]), patch_grid(98, (112, 224))
    (((14, 14), 5), ((14, 14), 1), ((7, 14), 0))
    """
    for rows, columns in maps:
        if rows * columns > 1 and 0 <= tokens - rows * columns <= _MOST_BEFORE:
            return (rows, columns), tokens - rows * columns
    sides = range(1, min(size) + 1) if size is not None else ()
    grids = [(size[0] // side, size[1] // side) for side in sides] if size is not None else []
    grids = [(h, w) for h, w in grids if h * w > 1 and 0 <= tokens - h * w <= _MOST_BEFORE]
    if not grids:
        return None, 0
    rows, columns = max(grids, key=lambda grid: grid[0] * grid[1])
    return (rows, columns), tokens - rows * columns


def as_maps(features: torch.Tensor, size: tuple[int, int] | None, known: Features | None = None) -> torch.Tensor | None:
    """Features as maps with the channels first, (N, C, h, w) or (N, C, T, h, w): tokens are put back on their grid.

    None for features without places. ``known``: of which kind they are; default: told by the shape.

    >>> as_maps(torch.rand(2, 17, 8), (32, 32)).shape
    torch.Size([2, 8, 4, 4])
    """
    if known is None and isinstance(features, torch.Tensor) and features.ndim:
        known = Features.of(features, features.shape[0], square=size is None or size[0] == size[1])
    if known is None:
        return None
    if known.kind == TOKENS:
        tokens = features.transpose(0, 1) if known.batch_dim == 1 else features  # (N, L, C)
        grid, before = patch_grid(tokens.shape[1], size)
        return None if grid is None else tokens[:, before:].transpose(1, 2).unflatten(2, grid)
    if known.kind not in (MAP2D, MAP3D):
        return None
    return features.movedim(-1, 1) if known.channels_last else features
