"""A block's features as pictures: one map a channel, the most telling first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from classykit.errors import ConfigError, ShapeError, quoted
from classykit.features import MAP2D, MAP3D, SEQUENCE, TOKENS, Features

ORDERS = ("variance", "mean", "index")
SCALES = ("map", "shared")
_TORCH = {"var": {"correction": 0}}  # as NumPy has it


@dataclass(frozen=True)
class FeatureMaps:
    """One input's features as maps, in the order in which they are shown.

    Attributes:
        over_time: (M, T, H, W) float32 on the CPU: T time steps of a 3-D map, else one. Tokens are laid out on
            their grid, without the class token; a channel of a sequence is one row; a vector becomes one map, row by
            row.
        frame: the time step that ``maps`` shows.
        channels: which channel each map is.
        limits: (M, 2): the values that the ends of the colour scale stand for, the same at every time step.
        total: how many channels there are.
        kind: the kind of the features (see `classykit.features`).
    """

    over_time: torch.Tensor
    frame: int
    channels: list[int]
    limits: torch.Tensor
    total: int
    kind: str

    @property
    def maps(self) -> torch.Tensor:
        """The maps at one time step, (M, H, W)."""
        return self.over_time[:, self.frame]

    @property
    def steps(self) -> int:
        """How many time steps there are: 1 unless the features are a 3-D map."""
        return self.over_time.shape[1]

    def to_unit(self) -> torch.Tensor:
        """The maps between 0 and 1, (M, T, H, W): 0 and 1 are each map's ``limits``."""
        low, high = self.limits[:, 0, None, None, None], self.limits[:, 1, None, None, None]
        unit = (self.over_time - low).numpy()  # NumPy wakes no second thread for so little
        unit /= (high - low).clamp_min(1e-12).numpy()
        unit.clip(0, 1, out=unit)
        unit[np.isnan(unit)] = 0
        return torch.from_numpy(unit)


def feature_maps(
    features: torch.Tensor,
    order: str | torch.Tensor = "variance",
    scale: str = "map",
    start: int = 0,
    count: int | None = 24,
    frame: int | None = None,
    known: Features | None = None,
) -> FeatureMaps:
    """The channels of one input's features as maps.

    Args:
        features: (C, H, W), (C, T, H, W), (L, C) or (C), with or without a batch dimension of 1 in front.
        order: "variance" (over the map and over time, highest first), "mean" (likewise) or "index". Or a map (h, w) of
            any size, such as a class's evidence or a picture's brightness: those that are most like it come first, by
            their correlation. Or a number for each channel, (C,), such as what it adds to a class's score
            (`Evidence.channels`): the highest come first.
        scale: "map": every map from its own lowest to its highest value; "shared": all the same.
        start, count: which of the ordered channels; count None for all.
        frame: which time step of a 3-D map, from 0; beyond the last it is the last. Default the middle one.
            Order and scale are those of all time steps, so that what changes from one to the next is real.
        known: of which kind the features are, as ``Inspection[block].features`` has it. Default: told by the shape,
            of which (1, 16, 16, 32), say, leaves open where the channels are.

    >>> feature_maps(torch.rand(1, 8, 4, 4), order="index", count=3).channels
    [0, 1, 2]
    """
    if scale not in SCALES:
        raise ConfigError(f"scale is one of {', '.join(map(repr, SCALES))}, not {quoted(scale)}.")
    if start < 0 or (count is not None and count < 1):
        raise ConfigError(f"start is at least 0 and count at least 1, not {start} and {count}.")
    if frame is not None and (type(frame) is not int or frame < 0):
        raise ConfigError(f"frame is a whole number from 0, or None for the middle one, not {quoted(frame)}.")
    all_maps, kind, total = _as_maps(features.detach(), known)
    finite = all_maps if math.isfinite(_alone("sum", all_maps)) else all_maps.nan_to_num(0.0, 0.0, 0.0)
    ranking = _ranking(finite, order)
    chosen = ranking[start : None if count is None else start + count]
    maps = _alone("take", all_maps, chosen)
    bounded = maps if finite is all_maps else _alone("take", finite, chosen)
    if scale == "shared":
        limits = torch.stack([_alone("amin", finite), _alone("amax", finite)]).float().cpu().expand(len(maps), 2)
    else:
        limits = torch.stack([_alone("amin", bounded.flatten(1), 1), _alone("amax", bounded.flatten(1), 1)], dim=1)
    steps = maps.shape[1]
    frame = steps // 2 if frame is None else min(frame, steps - 1)
    return FeatureMaps(maps, frame, chosen.tolist(), limits, total, kind)


def channel_order(
    features: torch.Tensor, order: str | torch.Tensor = "variance", known: Features | None = None
) -> list[int]:
    """All channels in the order in which `feature_maps` shows them; the arguments are those of `feature_maps`.

    >>> channel_order(torch.tensor([[[[1.0]], [[3.0]], [[2.0]]]]), "mean")
    [1, 2, 0]
    """
    maps, _, _ = _as_maps(features.detach(), known)
    return _ranking(maps.nan_to_num(0.0, 0.0, 0.0), order).tolist()


def _alone(what: str, x: torch.Tensor, of: Any = None) -> torch.Tensor:
    """A reduction over all, or over a dimension, or "take": some of the maps, as float32 on the CPU.

    Of what is there already it is NumPy's, which keeps to one thread: torch would do half of so few numbers on another,
    which a busy machine has yet to wake. That takes longer than all the rest.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        if what == "take":
            return x[of].float().cpu()
        found: torch.Tensor = getattr(torch, what)(x, *[] if of is None else [of], **_TORCH.get(what, {}))
        return found
    numbers = x.numpy()
    made = numbers[of.numpy()] if what == "take" else getattr(np, what)(numbers, of)
    return torch.from_numpy(np.asarray(made))  # here, wherever tensors are made by default


def _ranking(maps: torch.Tensor, order: Any) -> torch.Tensor:
    """The numbers of the maps (M, T, H, W) in that order."""
    flat = maps.flatten(1)
    if (like := _like(order)) is not None:
        score = _correlation(maps, like)
    elif isinstance(order, torch.Tensor) and order.shape == flat.shape[:1]:
        score = order.detach().float().cpu().nan_to_num()
    elif isinstance(order, str) and order in ORDERS:
        if order == "index":
            return torch.arange(len(maps))
        score = _alone("var" if order == "variance" else "mean", flat, 1)
    else:
        raise ConfigError(
            f"order is one of {', '.join(map(repr, ORDERS))}, a map (h, w) or a number for each of the {len(maps)} "
            f"channels, not {quoted(order)}."
        )
    return score.argsort(descending=True, stable=True)


def _like(order: Any) -> torch.Tensor | None:
    """The map that others are compared with; None where none was given."""
    if not isinstance(order, torch.Tensor) or not order.is_floating_point():
        return None
    like = order.detach().float().cpu()
    while like.ndim > 2 and like.shape[0] == 1:
        like = like[0]
    return like if like.ndim == 2 and like.numel() > 1 and bool(like.isfinite().all()) else None


def _correlation(maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(channels,), from -1 to 1; 0 for a map that is the same everywhere. Of a clip the mean over time is taken."""
    still = maps.detach().float().cpu().mean(1)  # (channels, H, W)
    like = torch.nn.functional.interpolate(like[None, None], still.shape[-2:], mode="area").flatten()
    still, like = still.flatten(1), like - like.mean()
    still = still - still.mean(1, keepdim=True)
    return (still @ like) / (still.norm(dim=1) * like.norm()).clamp_min(1e-12)


def _as_maps(features: torch.Tensor, known: Features | None) -> tuple[torch.Tensor, str, int]:
    """((channels, T, H, W), kind, number of channels) of one input's features."""
    if known is not None and features.ndim == len(known.shape) + 1 and known.batch_dim == 0:
        features = features[0]
    elif features.ndim > 1 and features.shape[0] == 1:
        known = Features.of(features, 1)
        features = features[0]
    else:
        known = Features.of(features.unsqueeze(0), 1)
    if known is None or features.numel() == 0:
        raise ShapeError(f"A tensor of shape {tuple(features.shape)} is no features of one input that can be shown.")
    total = features.shape[-1 if known.channels_last or known.kind == TOKENS else 0]
    if known.kind == MAP3D:
        return features.permute(3, 0, 1, 2) if known.channels_last else features, known.kind, total
    if known.kind == MAP2D:
        maps = features.permute(2, 0, 1) if known.channels_last else features
        return maps.unsqueeze(1), known.kind, total
    if known.kind == SEQUENCE:
        return features[:, None, None], known.kind, total
    if known.kind == TOKENS:
        patches = features
        side = math.isqrt(len(patches))
        if side * side != len(patches):  # the class token comes first
            extra = len(patches) - side * side
            if extra == 1 or side == 0:
                patches = patches[1:]
            else:
                return features.T[:, None, None], known.kind, total  # no grid: a strip of tokens
        return patches.T.reshape(total, 1, side, side), known.kind, total
    width = math.ceil(math.sqrt(len(features)))
    padded = torch.nn.functional.pad(features, (0, -len(features) % width), value=float("nan"))
    return padded.reshape(1, 1, -1, width), known.kind, total
