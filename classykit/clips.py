"""Clips: a synthetic one to look at, and preparing one for a video model.

>>> from classykit.models import build_model
>>> preprocess_clip(moving_shapes(), build_model("r3d_18", device="meta")).shape
torch.Size([1, 3, 16, 112, 112])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from classykit.errors import ConfigError, ImageError, quoted, suggest
from classykit.images import Preprocessing, load_image

__all__ = ["KINETICS_MEAN", "KINETICS_STD", "SAMPLE_CLIPS", "load_clip", "moving_shapes", "preprocess_clip"]

#: What torchvision's video models were trained with.
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)

#: The sample clips by name: what `moving_shapes` makes them from. What a model sees of shapes that move, and not of
#: those at rest, is the motion.
SAMPLE_CLIPS: dict[str, dict[str, int]] = {
    "moving shapes": {}, "other paths": {"seed": 1}, "shapes at rest": {"frames": 1}
}  # fmt: skip

_COLOURS = np.array([(0.90, 0.25, 0.20), (0.20, 0.55, 0.90), (0.95, 0.80, 0.25), (0.30, 0.75, 0.40)])


def moving_shapes(frames: int = 16, size: int = 112, seed: int = 0) -> np.ndarray:
    """A clip of two discs, a square and a triangle that drift over a shaded background and bounce off its edges.

    Args:
        frames: Number of frames; the motion is the same however many show it.
        size: Side of a frame in pixels.
        seed: Another seed, other places and directions. The global random state is not touched.

    Returns:
        A uint8 array (frames, size, size, 3), RGB: the same for the same arguments.

    Raises:
        ConfigError: for numbers that make no clip.

    >>> moving_shapes(frames=8, size=64).shape
    (8, 64, 64, 3)
    """
    for name, value, low, high in (("frames", frames, 1, 1024), ("size", size, 8, 1024), ("seed", seed, 0, 2**63)):
        if type(value) is not int or not low <= value <= high:
            raise ConfigError(f"{name} is {quoted(value)}: give a whole number from {low} to {high}.")
    random = np.random.default_rng(seed)
    radius = random.uniform(0.10, 0.17, 4)
    start = random.uniform(0, 2, (4, 2))  # places and distances in sides of the frame
    heading = random.uniform(0, 2 * np.pi, 4)
    path = random.uniform(0.8, 1.4, 4)[:, None] * np.stack([np.cos(heading), np.sin(heading)], 1)

    y, x = (np.mgrid[:size, :size] + 0.5) / size
    background = np.stack([0.25 + 0.3 * x, 0.3 + 0.2 * y, 0.45 - 0.2 * x * y], -1)  # (H, W, 3)
    clip = np.empty((frames, size, size, 3), np.uint8)
    for t in range(frames):
        frame = background.copy()
        for i, r in enumerate(radius):
            # folding a straight line into [r, 1 - r] makes it bounce
            fold = (start[i] + path[i] * t / frames) % 2
            cx, cy = r + (1 - 2 * r) * np.where(fold > 1, 2 - fold, fold)
            dx, dy = x - cx, y - cy
            if i == 2:
                outside = np.maximum(abs(dx), abs(dy)) - 0.85 * r  # square
            elif i == 3:
                outside = np.maximum(0.87 * abs(dx) - 0.5 * dy, dy) - 0.5 * r  # triangle, point up
            else:
                outside = np.hypot(dx, dy) - r  # disc
            cover = np.clip(0.5 - outside * size, 0, 1)[..., None]  # soft over one pixel
            frame += cover * (_COLOURS[i] - frame)
        clip[t] = np.rint(255 * frame)
    return clip


def load_clip(source: Any) -> np.ndarray | list[Any]:
    """A clip from its name in `SAMPLE_CLIPS`, or a copy of one's own.

    Args:
        source: a name such as ``"moving shapes"``, or a clip as `preprocess_clip` takes it.

    Raises:
        ImageError: when it is no clip.

    >>> load_clip("shapes at rest").shape
    (1, 112, 112, 3)
    """
    if isinstance(source, str):
        if source not in SAMPLE_CLIPS:
            known = ", ".join(map(repr, SAMPLE_CLIPS))
            raise ImageError(
                f"There is no sample clip {quoted(source)}.{suggest(source, SAMPLE_CLIPS)} There are {known}."
            )
        return moving_shapes(**SAMPLE_CLIPS[source])
    clip = _checked(source)
    load_image(clip[0])  # of a long clip the others are read when they are needed
    return np.array(clip) if isinstance(clip, np.ndarray) else list(clip)


def preprocess_clip(clip: Any, model: Any) -> torch.Tensor:
    """A clip as the input that a video model was made for.

    Args:
        clip: An array or tensor (T, H, W, 3) as `moving_shapes` gives it: uint8, or floats 0..1; or a sequence of
            frames, each anything that `classykit.load_image` takes.
        model: A model whose ``input_shape`` is (3, T, H, W). As many frames as that are taken evenly, the first
            and the last among them (some twice when the clip has fewer), their largest centred region of its
            proportions is resized, and Kinetics' mean and std are applied, or the model's own ``preprocessing``.

    Returns:
        A float32 CPU tensor of shape (1, 3, T, H, W).

    Raises:
        ImageError: when this is no clip, or the model takes none.

    >>> from classykit.models import build_model
    >>> net = build_model("i3d_r50", device="meta", frames_per_clip=32, clip_crop_size=64)
    >>> preprocess_clip(moving_shapes(size=100), net).shape
    torch.Size([1, 3, 32, 64, 64])
    """
    recipe, clip, wanted = _prepare(clip, model)
    frames = {i: recipe(clip[i]) for i in sorted(set(wanted))}  # (1, 3, H, W) each
    return torch.stack([frames[i] for i in wanted], dim=2)


def seen_frames(clip: Any, model: Any) -> list[Image.Image]:
    """The T frames that `preprocess_clip` would take, as the model sees them: cropped and resized, not normalised."""
    recipe, clip, wanted = _prepare(clip, model)
    frames = {i: recipe.to_display(clip[i]) for i in sorted(set(wanted))}
    return [frames[i] for i in wanted]


def _prepare(clip: Any, model: Any) -> tuple[Preprocessing, np.ndarray | Sequence[Any], list[int]]:
    """(how a frame becomes an input, the clip, which of its frames are taken)."""
    shape = getattr(model, "input_shape", None)
    who = type(model).__name__
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[0] != 3:
        takes = "has no input_shape" if shape is None else f"has the input_shape {tuple(shape)}"
        raise ImageError(
            f"preprocess_clip makes clips (3, T, H, W), and {who} {takes}: take a video model such as 'r3d_18', "
            "or classykit.preprocess for pictures."
        )
    clip = _checked(clip)
    recipe = getattr(model, "preprocessing", None)
    if recipe is None:
        recipe = Preprocessing(size=shape[2:], mean=KINETICS_MEAN, std=KINETICS_STD, interpolation="bilinear")
    elif not isinstance(recipe, Preprocessing):
        raise ImageError(
            f"The model's preprocessing is a {type(recipe).__name__}, not a classykit.images.Preprocessing: "
            "set model.preprocessing to one, or to None for Kinetics'."
        )
    return recipe, clip, np.linspace(0, len(clip) - 1, shape[1]).round().astype(int).tolist()


def _checked(clip: Any) -> np.ndarray | Sequence[Any]:
    """An array (T, H, W, 3) or a sequence of frames; ImageError when it is neither."""
    if isinstance(clip, torch.Tensor):
        clip = clip.detach().cpu().numpy()
    if isinstance(clip, np.ndarray) and not (clip.ndim == 4 and clip.shape[-1] == 3):
        raise ImageError(f"A clip is an array (T, H, W, 3), this one has the shape {clip.shape}: transpose it.")
    if not isinstance(clip, (np.ndarray, Sequence)) or isinstance(clip, (str, bytes)):
        raise ImageError(f"A clip is an array (T, H, W, 3) or a list of frames, not {type(clip).__name__}.")
    if len(clip) == 0:
        raise ImageError("The clip has no frames: give at least one.")
    return clip
