"""`feature_pca`: features of one or several pictures as colours, on one common basis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from classykit.contexts import verb
from classykit.errors import ConfigError, ShapeError, quoted
from classykit.features import MAP2D, TOKENS, Features

_MOST_BEFORE = 32  # tokens before the patches


@verb
def feature_pca(
    features: Any, n: int = 3, *, foreground: float | None = None, grid: tuple[int, int] | None = None
) -> torch.Tensor | list[torch.Tensor]:
    """The first principal components of features, as colours: (N, n, h, w) from 0 to 1, one basis for all pictures.

    Args:
        features: maps (N, C, h, w) or tokens (N, L, C), as `classykit.capture` gives them; or a list or dict of such,
            of one block and several pictures.
        n: how many components; 3 are red, green and blue.
        foreground: None; or a threshold from 0 to 1 on the first component: what is below is background, black, and the
            components are those of what is above alone, as DINOv2's pictures are made (Oquab et al., 2023). Which side
            is background is told by the rims of the pictures.
        grid: (rows, columns) of the tokens that are patches, the last ones. Default: a square.

    Each component's sign is the one that makes its largest loading positive, so that a picture comes out the same
    again; its scale runs from the lowest to the highest value in all pictures. Exact: it is scikit-learn's PCA, up to
    sign. Returns a list where the maps are of several sizes.

    Raises ShapeError for features without places, ConfigError for more components than there are channels.

    >>> colours = feature_pca(torch.rand(2, 16, 7, 7))
    >>> colours.shape, float(colours.min()), float(colours.max())
    (torch.Size([2, 3, 7, 7]), 0.0, 1.0)
    """
    if type(n) is not int or n < 1:
        raise ConfigError(f"n is a positive number of components, not {quoted(n)}.")
    if foreground is not None and not (isinstance(foreground, (int, float)) and 0 <= foreground < 1):
        raise ConfigError(f"foreground is None or a threshold from 0 to 1, not {quoted(foreground)}.")
    maps = [_places(part, grid) for part in _parts(features)]
    if len({part.shape[1] for part in maps}) > 1:
        raise ShapeError(f"Features of one block are wanted; these have {sorted({m.shape[1] for m in maps})} channels.")
    points = torch.cat([part.movedim(1, -1).flatten(0, 2) for part in maps])  # (places, C)
    if not points.isfinite().all():
        raise ShapeError("The features hold values that are not finite.")
    kept = torch.ones(len(points), dtype=torch.bool)
    if foreground is not None:
        kept = _foreground(points, maps, foreground)
        if not kept.any():
            raise ConfigError(f"Nothing is above the threshold {foreground}: give a lower one.")
    if n > min(points.shape[1], int(kept.sum())):
        raise ConfigError(
            f"{n} components are wanted of {points.shape[1]} channels in {int(kept.sum())} places: there are fewer."
        )
    found = torch.zeros(len(points), n, dtype=points.dtype)
    found[kept] = _unit(_projected(points[kept], n))
    colours, start = [], 0
    for part in maps:
        count, _, height, width = part.shape
        stop = start + count * height * width
        colours.append(found[start:stop].view(count, height, width, n).movedim(-1, 1).float())
        start = stop
    return torch.cat(colours) if len({c.shape[2:] for c in colours}) == 1 else colours


def token_likeness(features: torch.Tensor, *, grid: tuple[int, int] | None = None) -> torch.Tensor:
    """How alike the features of any two places are, by the cosine of their angle: (N, places, places), -1 to 1.

    Args as in `feature_pca`: maps (N, C, h, w), or tokens (N, L, C) of which those before the patches are left out.
    Places are counted by rows. ShapeError for features without places.

    >>> token_likeness(torch.ones(1, 8, 2, 2)).shape
    torch.Size([1, 4, 4])
    """
    directions = torch.nn.functional.normalize(_places(features, grid).flatten(2), dim=1)
    return (directions.transpose(1, 2) @ directions).clamp(-1, 1).float()


def _parts(features: Any) -> Sequence[torch.Tensor]:
    if isinstance(features, Mapping):
        features = list(features.values())
    parts = [features] if isinstance(features, torch.Tensor) else features
    if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(p, torch.Tensor) for p in parts):
        raise ShapeError(f"Features are a tensor, or a list or dict of tensors, not {quoted(features, 80)}.")
    return parts


def _places(features: torch.Tensor, grid: tuple[int, int] | None) -> torch.Tensor:
    """(N, C, h, w), float64, on the CPU."""
    known = Features.of(features, features.shape[0]) if features.ndim else None
    if known is None or known.kind not in (MAP2D, TOKENS):
        raise ShapeError(
            f"Features with places are maps (N, C, h, w) or tokens (N, L, C), not {tuple(features.shape)}."
        )
    features = features.detach().cpu().double()
    if known.kind == MAP2D:
        return features.movedim(-1, 1) if known.channels_last else features
    length = features.shape[1]
    side = math.isqrt(length)
    rows, columns = grid if grid is not None else (side, side)
    before = length - rows * columns
    if not 0 <= before <= _MOST_BEFORE:
        raise ShapeError(
            f"{length} tokens are no grid of {rows} × {columns} with a few before it: say grid=(rows, columns)."
        )
    return features[:, before:].transpose(1, 2).unflatten(2, (rows, columns))


def _projected(points: torch.Tensor, n: int) -> torch.Tensor:
    """(places, n): the first principal components, the largest loading of each positive."""
    centred = points - points.mean(0)
    if len(points) > points.shape[1]:
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        basis = vectors.flip(1)[:, :n]  # (C, n), the largest variance first
    else:
        basis = torch.linalg.svd(centred, full_matrices=False)[2][:n].T
    largest = basis.gather(0, basis.abs().argmax(0, keepdim=True))
    return centred @ (basis * torch.where(largest < 0, -1.0, 1.0))


def _unit(values: torch.Tensor) -> torch.Tensor:
    """Each column from 0 to 1."""
    low, high = values.amin(0), values.amax(0)
    return ((values - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)


def _foreground(points: torch.Tensor, maps: Sequence[torch.Tensor], threshold: float) -> torch.Tensor:
    """Which places are not background, by the first component; the rims of pictures are mostly background."""
    first = _unit(_projected(points, 1))[:, 0]
    rims = []
    for part in maps:
        rim = torch.ones(part.shape[0], *part.shape[2:], dtype=torch.bool)
        rim[:, 1:-1, 1:-1] = False
        rims.append(rim.flatten())
    rim = torch.cat(rims)
    if not rim.all() and first[rim].mean() > first[~rim].mean():
        first = 1 - first
    return first > threshold
