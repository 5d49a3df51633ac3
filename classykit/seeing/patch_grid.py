"""Where tokens lie in the picture: the grid of those that are patches, and how many come before them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from classykit.features import MAP2D, MAP3D, TOKENS, Features

_MOST_BEFORE = 32  # class, register and distillation tokens


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
