"""Pictures: sample photographs, loading from anything, and how they are prepared.

>>> from classykit.images import Preprocessing, load_image
>>> Preprocessing()(load_image("cat")).shape
torch.Size([1, 3, 224, 224])
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from classykit.bands import load_bands
from classykit.errors import ConfigError, quoted, suggest
from classykit.image_loading import MAX_PIXELS, load_image
from classykit.samples import SampleImage, sample_images

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "Preprocessing",
    "SampleImage",
    "load_image",
    "sample_images",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_CROPS = ("square", "none")


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a model's input: crop, resize, normalise.

    Args:
        size: Pixels: one number for a square, or ``(height, width)``. Default 224.
        mean, std: Three numbers (red, green, blue), in units where a pixel is 0..1; one for grey pictures, or as many
            as there are bands (see `classykit.bands`). Default ImageNet's.
            EfficientNet-Lite's ``(x - 127) / 128`` on 0..255 is ``mean=(127/255,)*3, std=(128/255,)*3``, and
            gives the very same float32 numbers.
        crop: ``"square"`` keeps the largest centred region that has the target's proportions: for a square
            size, the centre square of the full shorter side. ``"none"`` squashes the whole picture.
        interpolation: ``"bicubic"`` or ``"bilinear"``, antialiased, on 8-bit pixels (Pillow's).
        resize: Pixels, default None. Given, the picture is first resized, its shorter side to this number, or as a
            whole to ``(height, width)``, and the centre of ``size`` is cut out of it, as torchvision and timm
            evaluate their models; ``crop`` then has no say.

    Raises:
        ConfigError: for a value that makes no sense.

    >>> Preprocessing(size=64)("coffee").shape
    torch.Size([1, 3, 64, 64])
    """

    size: int | tuple[int, int] = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop: str = "square"
    interpolation: str = "bicubic"
    resize: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        # Lists come from JSON; tuples keep the instance hashable. The class is frozen, hence the detour.
        for name in ("size", "mean", "std", "resize"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or not all(type(s) is int and s > 0 for s in sides):
            raise ConfigError(f"size is {quoted(self.size)}: give a positive int, or (height, width) in pixels.")
        if self.resize is not None:
            before = self.resize if isinstance(self.resize, tuple) else (self.resize, self.resize)
            if len(before) != 2 or not all(type(b) is int and b >= s for b, s in zip(before, sides, strict=True)):
                raise ConfigError(
                    f"resize is {self.resize!r}: size = {self.size!r} is cut out of it, so give at least as many "
                    "pixels, or None."
                )
        for name in ("mean", "std"):
            value = getattr(self, name)
            if not (isinstance(value, tuple) and value and all(map(_is_finite, value))):
                raise ConfigError(f"{name} is {quoted(value)}: give three finite numbers, for red, green and blue.")
        if len(self.mean) != len(self.std):
            raise ConfigError(f"mean has {len(self.mean)} numbers and std {len(self.std)}: give one for each channel.")
        if min(self.std) <= 0:
            raise ConfigError(f"std is {quoted(self.std)}: pixels are divided by it, so each must be above 0.")
        if max(map(abs, self.mean)) > 2 or max(self.std) > 2:
            raise ConfigError(
                f"mean {self.mean} and std {self.std} look like 0..255 units: divide them by 255, "
                "because pixels count as 0..1 here."
            )
        for name, allowed in (("crop", _CROPS), ("interpolation", tuple(_INTERPOLATIONS))):
            value = getattr(self, name)
            if value not in allowed:
                raise ConfigError(f"{name} is {quoted(value)}: it can be {' or '.join(map(repr, allowed))}.")

    @property
    def height_width(self) -> tuple[int, int]:
        """The size as ``(height, width)`` in pixels."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def for_channels(self, channels: int) -> Preprocessing:
        """The same for pictures of so many channels: of other than there are now, mean and std are the averages.

        >>> Preprocessing(size=64).for_channels(1)("coffee").shape
        torch.Size([1, 1, 64, 64])
        """
        if channels == len(self.mean):
            return self
        mean, std = ((sum(values) / len(values),) * channels for values in (self.mean, self.std))
        return replace(self, mean=mean, std=std)

    def __call__(self, image: Any) -> torch.Tensor:
        """The model's input for a picture (a PIL image, or anything `load_image` takes; see `classykit.bands` for
        those of other than one or three channels).

        Returns:
            A float32 CPU tensor of shape (1, channels, height, width).
        """
        channels = len(self.mean)
        if channels == 3:
            pixels = np.array(self.to_display(image), dtype=np.float32)  # (H, W, 3)
        elif channels == 1:
            pixels = np.array(self._fitted(load_image(image).convert("L")), dtype=np.float32)[:, :, None]
        else:
            bands = [self._fitted(Image.fromarray(band)) for band in load_bands(image, channels)]
            pixels = np.clip(np.stack([np.array(band) for band in bands], axis=-1), 0, 1) * np.float32(255)
        # In units of 0..255 and in float32 whole numbers stay exact: 127/255 * 255 is 127 again.
        mean = torch.tensor([m * 255 for m in self.mean], dtype=torch.float32)
        std = torch.tensor([s * 255 for s in self.std], dtype=torch.float32)
        return ((torch.from_numpy(pixels) - mean) / std).permute(2, 0, 1).unsqueeze(0).contiguous()

    def to_display(self, image: Any) -> Image.Image:
        """The picture as the model sees it: cropped and resized, in ordinary colours, not normalised.

        Returns:
            An RGB picture of ``size``, to be shown beside feature maps, whose positions it shares: grey for one
            channel; of several bands the first three as red, green and blue.
        """
        channels = len(self.mean)
        if channels in (1, 3):
            picture = load_image(image)
            return self._fitted(picture if channels == 3 else picture.convert("L").convert("RGB"))
        bands = load_bands(image, channels)
        shown = bands[:3] if channels > 3 else bands[[0, 0, 0]]
        return self._fitted(Image.fromarray((shown * 255).round().astype(np.uint8).transpose(1, 2, 0)))

    def _fitted(self, picture: Image.Image) -> Image.Image:
        """A picture of any mode, cropped and resized."""
        height, width = self.height_width
        if self.resize is not None:
            picture = picture.resize(self._resized(picture), _INTERPOLATIONS[self.interpolation])
            left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
            return picture.crop((left, top, left + width, top + height))
        if self.crop == "square":
            scale = min(picture.width / width, picture.height / height)
            w = max(1, min(picture.width, round(width * scale)))
            h = max(1, min(picture.height, round(height * scale)))
            left, top = (picture.width - w) // 2, (picture.height - h) // 2
            picture = picture.crop((left, top, left + w, top + h))
        return picture.resize((width, height), _INTERPOLATIONS[self.interpolation])

    def _resized(self, picture: Image.Image) -> tuple[int, int]:
        """The (width, height) of the whole picture before the centre is cut out."""
        if isinstance(self.resize, tuple):
            return self.resize[::-1]
        shorter = min(picture.width, picture.height)
        return int(self.resize * picture.width / shorter), int(self.resize * picture.height / shorter)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain, JSON-able values; `from_dict` reads them back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Preprocessing:
        """The Preprocessing that `to_dict` described. Unknown keys are a ConfigError."""
        known = [f.name for f in fields(cls)]
        for key in settings:
            if key not in known:
                raise ConfigError(
                    f"Preprocessing has no setting {quoted(key)}.{suggest(key, known)} It has {', '.join(known)}."
                )
        return cls(**settings)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
