"""Pictures: sample photographs, loading from anything, and preparing them for a model.

>>> from classykit.images import load_image, preprocess
>>> preprocess(load_image("cat"), None).shape
torch.Size([1, 3, 224, 224])

Nothing here changes Pillow's global settings, the caller's image or array, or the network's silence: pictures
come from memory, from files, or from wheels that are installed already.
"""

from __future__ import annotations

import importlib.util
import io
import math
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from classykit.errors import ConfigError, ImageError, suggest

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "Preprocessing",
    "SampleImage",
    "load_image",
    "preprocess",
    "sample_images",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: Larger pictures are refused before they are decoded: no vision model looks at more, and a file of a few
#: kilobytes can claim any size.
MAX_PIXELS = 100_000_000

_INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_CROPS = ("square", "none")


# ---------------------------------------------------------------------------------------------------------
# Preprocessing: what a model wants done to a picture before it sees it.


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a model's input: crop, resize, normalise.

    Args:
        size: Pixels: one number for a square, or ``(height, width)``. Default 224.
        mean, std: Three numbers (red, green, blue), in units where a pixel is 0..1. Default ImageNet's.
            EfficientNet-Lite's ``(x - 127) / 128`` on 0..255 is ``mean=(127/255,)*3, std=(128/255,)*3``, and
            gives the very same float32 numbers.
        crop: ``"square"`` keeps the largest centred region that has the target's proportions: for a square
            size, the centre square of the full shorter side. ``"none"`` squashes the whole picture.
        interpolation: ``"bicubic"`` or ``"bilinear"``, antialiased, on 8-bit pixels (Pillow's).

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

    def __post_init__(self) -> None:
        # Lists come from JSON; tuples keep the instance hashable. The class is frozen, hence the detour.
        for name in ("size", "mean", "std"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or not all(type(s) is int and s > 0 for s in sides):
            raise ConfigError(f"size is {self.size!r}: give a positive int, or (height, width) in pixels.")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if not (isinstance(value, tuple) and len(value) == 3 and all(map(_is_finite, value))):
                raise ConfigError(f"{name} is {value!r}: give three finite numbers, for red, green and blue.")
        if min(self.std) <= 0:
            raise ConfigError(f"std is {self.std!r}: pixels are divided by it, so each must be above 0.")
        if max(map(abs, self.mean)) > 2 or max(self.std) > 2:
            raise ConfigError(
                f"mean {self.mean} and std {self.std} look like 0..255 units: divide them by 255, "
                "because pixels count as 0..1 here."
            )
        for name, allowed in (("crop", _CROPS), ("interpolation", tuple(_INTERPOLATIONS))):
            value = getattr(self, name)
            if value not in allowed:
                raise ConfigError(f"{name} is {value!r}: it can be {' or '.join(map(repr, allowed))}.")

    @property
    def height_width(self) -> tuple[int, int]:
        """The size as ``(height, width)`` in pixels."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def __call__(self, image: Any) -> torch.Tensor:
        """The model's input for a picture (a PIL image, or anything `load_image` takes).

        Returns:
            A float32 CPU tensor of shape (1, 3, height, width).
        """
        pixels = torch.from_numpy(np.array(self.to_display(image), dtype=np.float32))
        # In units of 0..255 and in float32 whole numbers stay exact: 127/255 * 255 is 127 again.
        mean = torch.tensor([m * 255 for m in self.mean], dtype=torch.float32)
        std = torch.tensor([s * 255 for s in self.std], dtype=torch.float32)
        return ((pixels - mean) / std).permute(2, 0, 1).unsqueeze(0).contiguous()

    def to_display(self, image: Any) -> Image.Image:
        """The picture as the model sees it: cropped and resized, in ordinary colours, not normalised.

        Returns:
            An RGB picture of ``size``, to be shown beside feature maps, whose positions it shares.
        """
        picture = load_image(image)
        height, width = self.height_width
        if self.crop == "square":
            scale = min(picture.width / width, picture.height / height)
            w = max(1, min(picture.width, round(width * scale)))
            h = max(1, min(picture.height, round(height * scale)))
            left, top = (picture.width - w) // 2, (picture.height - h) // 2
            picture = picture.crop((left, top, left + w, top + h))
        return picture.resize((width, height), _INTERPOLATIONS[self.interpolation])

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
                    f"Preprocessing has no setting {key!r}.{suggest(key, known)} It has {', '.join(known)}."
                )
        return cls(**settings)


def preprocess(image: Any, model: Any = None) -> torch.Tensor:
    """A picture as the input that `model` was made for.

    Args:
        image: Anything `load_image` takes: ``"cat"``, a path, a PIL image, an array, a tensor, bytes.
        model: A model. Its own ``preprocessing`` is used when it has one, as models with trained weights do;
            otherwise ImageNet's mean and std at ``model.input_shape``. None means 224 x 224.

    Returns:
        A float32 CPU tensor of shape (1, 3, height, width).

    Raises:
        ImageError: when the picture cannot be read, or the model does not take 3-channel pictures.

    >>> preprocess("coffee").shape
    torch.Size([1, 3, 224, 224])
    """
    recipe = getattr(model, "preprocessing", None)
    if isinstance(recipe, Preprocessing):
        return recipe(image)
    if recipe is not None:
        # Going on with ImageNet's numbers would give plausible labels, and wrong ones.
        raise ImageError(
            f"The model's preprocessing is a {type(recipe).__name__}, not a classykit.images.Preprocessing: "
            "set model.preprocessing to one, or to None for ImageNet's, or prepare the input yourself."
        )
    shape = getattr(model, "input_shape", None) or (3, 224, 224)
    if len(shape) != 3 or shape[0] != 3 or not all(isinstance(s, int) and s > 0 for s in shape):
        what = {1: "a vector", 4: "a clip or volume"}.get(len(shape), "something else")
        what = f"a picture of {shape[0]} channels" if len(shape) == 3 else what
        raise ImageError(
            f"{type(model).__name__} takes {what}, input_shape {tuple(shape)}, and preprocess makes pictures "
            "of 3 channels: build the input tensor yourself, for example "
            f"torch.rand(1, {', '.join(map(str, shape))})."
        )
    return Preprocessing(size=(shape[1], shape[2]))(image)


# ---------------------------------------------------------------------------------------------------------
# Sample photographs, which ship in other packages' wheels.


class SampleImage(str):
    """The name of a sample photograph, with what there is to know about it.

    Attributes:
        description: What it shows.
        credit: Who made it, and under which licence; to be printed with the picture where that asks for it.
        package: The PyPI package whose wheel it ships in.
        aliases: Other names that `load_image` knows it by.
        path: The file, or None when the package is not installed or lacks it.
    """

    description: str
    credit: str
    package: str
    aliases: tuple[str, ...]
    path: Path | None


_SKIMAGE, _MATPLOTLIB, _SKLEARN = (
    ("scikit-image", "skimage"), ("matplotlib", "matplotlib"), ("scikit-learn", "sklearn"),
)  # fmt: skip

_SAMPLES = [
    # name, aliases, (package, module), file in the module, description, credit and licence
    ("chelsea", ("cat",), _SKIMAGE, "data/chelsea.png", "Chelsea the cat",
     "Stefan van der Walt, CC0"),
    ("coffee", (), _SKIMAGE, "data/coffee.png", "A cup of espresso on a wooden table",
     "Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0"),
    ("astronaut", (), _SKIMAGE, "data/astronaut.png", "Eileen Collins, astronaut",
     "NASA, public domain"),
    ("rocket", (), _SKIMAGE, "data/rocket.jpg", "The launch of DSCOVR on a Falcon 9",
     "SpaceX, public domain"),
    ("camera", (), _SKIMAGE, "data/camera.png", "A photographer with a tripod, in grey",
     "Lav Varshney, CC0"),
    ("grace_hopper", (), _MATPLOTLIB, "mpl-data/sample_data/grace_hopper.jpg", "Grace Hopper in uniform",
     "US Navy, public domain"),
    ("china", (), _SKLEARN, "datasets/images/china.jpg", "A palace in China",
     "danielbuechele (flickr.com/photos/danielbuechele/6061409035), CC BY 2.0"),
    ("flower", (), _SKLEARN, "datasets/images/flower.jpg", "A dahlia",
     "vultilion (flickr.com/photos/vultilion/6056698931), CC BY 2.0"),
]  # fmt: skip


def sample_images() -> list[SampleImage]:
    """The sample photographs that are installed here; ``pip install "classykit[demo]"`` brings them all.

    Returns:
        Names for `load_image`: each a str that also has ``description``, ``credit``, ``package``, ``path``.

    >>> "chelsea" in sample_images()
    True
    """
    return [sample for sample in _all_samples() if sample.path]


def _all_samples() -> list[SampleImage]:
    samples = []
    for name, aliases, (package, module), file, description, credit in _SAMPLES:
        sample = SampleImage(name)
        sample.description, sample.credit = description, credit
        sample.package, sample.aliases = package, aliases
        sample.path = _find_in_package(module, file)
        samples.append(sample)
    return samples


def _find_in_package(module: str, file: str) -> Path | None:
    # find_spec looks without importing: scikit-image and scikit-learn take a second each.
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, file)
        if path.is_file():
            return path
    return None


# ---------------------------------------------------------------------------------------------------------
# Loading, from anything.


def load_image(source: Any) -> Image.Image:
    """A picture in RGB, from whatever holds one.

    Args:
        source: One of

            - the name of a sample photograph (see `sample_images`), such as ``"cat"``;
            - a path to a file, as str or Path;
            - a PIL image of any mode; of an animated one, the frame it stands at;
            - a numpy array: (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels, or a batch of one such;
              bool, uint8, uint16, other integers 0..255, or floats 0..1. Where both orders fit, channels are
              last;
            - a torch tensor, likewise, on any device. Where both orders fit, channels are first;
            - bytes, bytearray or memoryview of an image file, or a file opened in ``"rb"`` mode.

    Returns:
        A new 8-bit RGB picture. The camera's orientation is applied; an animated file gives its first frame;
        transparency is laid on white; 16 bits are scaled from 0..65535 to 0..255. "I" and "F" pictures, whose
        range no format fixes, count as 0..1 (only "F"), 0..255 or 0..65535 by what they hold, and are
        stretched from lowest to highest beyond that.

    Raises:
        ImageError: for what is no picture: unknown names, URLs (nothing is fetched), damaged or cut-off
            files, floats outside 0..1, no pixels, more than 100 million pixels.

    >>> load_image("cat").size
    (451, 300)
    """
    # Pillow warns about large pictures, odd EXIF and palettes; each of these is handled or refused below.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(source, str):
            return _from_str(source)
        if isinstance(source, os.PathLike):
            return _from_path(Path(source))
        if isinstance(source, Image.Image):
            return _to_rgb(source, f"the {source.mode} image")
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _from_bytes(bytes(source), "the data")
        if isinstance(source, torch.Tensor):
            return _from_tensor(source)
        if isinstance(source, np.ndarray):
            return _from_array(source, channels_first=False)
        if callable(getattr(source, "read", None)):
            return _from_file(source)
        if hasattr(source, "__array__"):
            return _from_array(np.asarray(source), channels_first=False)
    found = "None" if source is None else type(source).__name__
    raise ImageError(
        f"load_image cannot read {found}: give it a path, a PIL image, an array, a tensor, a file's bytes, "
        f"or the name of a sample: {_names(sample_images())}."
    )


def _from_str(name: str) -> Image.Image:
    samples = _all_samples()
    sample = next((s for s in samples if name == s or name in s.aliases), None)
    if sample is not None and sample.path:
        return _from_path(sample.path)
    if not name.strip():
        raise ImageError(f"The image's name is empty. Samples: {_names(sample_images())}.")
    if re.match(r"[a-z][a-z0-9+.-]+://|data:", name, re.IGNORECASE):
        raise ImageError(
            f"{_short(name)} is a URL, and classykit fetches nothing: download it first, for example with "
            "urllib.request.urlretrieve(url, 'picture.jpg'), then load_image('picture.jpg')."
        )
    try:
        path = Path(name).expanduser()
        there = path.exists()
    except (OSError, ValueError, RuntimeError):  # far too long, a NUL inside, no such user
        there = False
    if there:
        return _from_path(path)
    if sample is not None:
        raise ImageError(
            f"{name!r} is a sample photograph that ships with {sample.package}, which is not installed "
            '(or lacks the file): pip install "classykit[demo]"'
        )
    here = sample_images()
    near = suggest(name, [n for s in samples for n in (s, *s.aliases)])
    more = "" if len(here) == len(samples) else ' For more: pip install "classykit[demo]".'
    raise ImageError(
        f"No file and no sample image is called {_short(name)} (files are looked up from {os.getcwd()})."
        f"{near} Samples: {_names(here)}.{more}"
    )


def _from_path(path: Path) -> Image.Image:
    what = _short(str(path))
    try:
        path = path.expanduser()
        file = None if path.is_dir() else path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"There is no file {what} (looked up from {os.getcwd()}).") from None
    except (OSError, ValueError, RuntimeError) as error:  # no permission, a NUL inside, no such user
        reason = getattr(error, "strerror", None) or error  # an OSError's own text repeats the whole path
        raise ImageError(f"{what} cannot be opened: {reason}.") from error
    if file is None:
        raise ImageError(f"{what} is a folder: give the path of one picture in it.")
    with file:
        return _decode(file, what)


def _from_file(file: Any) -> Image.Image:
    name = getattr(file, "name", None)
    what = f"the file {_short(name)}" if isinstance(name, str) else "the file"
    try:
        start = file.tell() if getattr(file, "seekable", bool)() else None
        data = file.read()
        if start is not None:
            file.seek(start)  # left as it was found, so that it can be loaded twice
    except (OSError, ValueError) as error:  # closed, write-only, or text that is not text
        raise ImageError(f'Reading {what} failed: {error}. Open it with open(path, "rb").') from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        found = type(data).__name__
        raise ImageError(f'Reading {what} gave {found}, not bytes: open it with open(path, "rb").')
    if not data and start:
        raise ImageError(f"Nothing is left to read in {what}: it stands at its end, call its seek(0) first.")
    return _from_bytes(bytes(data), what)


def _from_bytes(data: bytes, what: str) -> Image.Image:
    return _decode(io.BytesIO(data), what)


# What people pass by mistake, by how it begins.
_NOT_PICTURES = [
    (rb"\s*<(!doctype )?html", "a web page: the download gave a page about the picture, not the picture"),
    (rb"\s*(<\?xml.*?)?<svg", "an SVG drawing: export it as PNG"),
    (rb"%PDF", "a PDF document: export the page as PNG"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself: run git lfs pull"),
    (rb"\x93NUMPY", "a numpy file: pass numpy.load(path)"),
    (rb".{4}ftyp(heic|heix|mif1)", "a HEIC photograph, which this Pillow cannot read: export it as JPEG"),
]


def _decode(file: Any, what: str) -> Image.Image:
    """The RGB picture in a binary file that can seek."""
    head = file.read(512)
    file.seek(0)
    if not head:
        raise _bad(what, "is empty (0 bytes).")
    try:
        image = Image.open(file)
    except Image.DecompressionBombError as error:
        raise _bad(
            what, f"is too large: {error} classykit takes up to {MAX_PIXELS:,} pixels: scale it down first."
        ) from error
    except Exception as error:  # a damaged header makes decoders raise almost anything
        for pattern, meaning in _NOT_PICTURES:
            if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
                raise _bad(what, f"is {meaning}.") from error
        raise _bad(
            what,
            "is not a picture that Pillow can read, or is damaged at its very beginning: it starts with "
            f"{head[:16]!r}. PNG, JPEG, WebP, GIF, BMP and TIFF work.",
        ) from error
    with image:
        if image.format == "EPS":  # Pillow would start Ghostscript on it
            raise _bad(what, "is an EPS drawing: export it as PNG.")
        return _to_rgb(image, what)


def _to_rgb(image: Image.Image, what: str) -> Image.Image:
    """A new, upright, 8-bit RGB picture; `image` keeps its pixels, mode and frame."""
    _check_size(image.width, image.height, what)
    try:
        image.load()
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise _bad(
            what,
            f"is damaged or cut short: its header promises {image.format or 'a picture'} of {image.width} x "
            f"{image.height}, but the pixels cannot be read ({error}). Copy or download it again.",
        ) from error
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF beside sound pixels: show them as they lie
        pass
    try:
        if image.mode == "F" or image.mode.startswith("I"):
            return _grey_to_rgb(image, what)
        if image.mode == "La":  # Pillow takes it to LA and no further
            image = image.convert("LA")
        # PNG can name one colour transparent without an alpha channel.
        if image.mode in ("LA", "PA", "P", "RGBA", "RGBa") or "transparency" in image.info:
            picture = image.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        else:
            picture = image.convert("RGB")
    except (ValueError, OSError) as error:
        raise _bad(what, f"has mode {image.mode}, not convertible to RGB: {error}.") from error
    # A bare copy: no EXIF, colour profile or transparency entry that no longer describes the pixels.
    return Image.frombytes("RGB", picture.size, picture.tobytes())


def _grey_to_rgb(image: Image.Image, what: str) -> Image.Image:
    """A picture with more than 8 bits of grey, scaled to 8."""
    values = np.array(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise _bad(what, f"holds {_count_non_finite(values)} values that are NaN or infinite.")
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        values /= 257  # 65535 / 255
    elif low >= 0 and high <= 1 and image.mode == "F":
        values *= 255
    elif low >= 0 and high <= 65535:
        values /= 257 if high > 255 else 1
    else:
        values = (values - low) / (high - low) * 255 if high > low else np.full_like(values, 128)
    return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")


def _from_tensor(tensor: torch.Tensor) -> Image.Image:
    if tensor.device.type == "meta":
        raise ImageError(f"The tensor of shape {tuple(tensor.shape)} is on the meta device: no pixels there.")
    try:
        array = tensor.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:  # sparse, quantised, ...
        kind = f"{tensor.dtype}, {tensor.layout}"
        raise ImageError(f"The tensor ({kind}) cannot be read as pixels: {error}.") from error
    return _from_array(array, channels_first=True)


def _from_array(array: np.ndarray, *, channels_first: bool) -> Image.Image:
    kind = "tensor" if channels_first else "array"
    what = f"the {kind} of shape {array.shape}"
    array = np.asarray(array)  # subclasses, such as matrices, index in ways of their own
    if 0 in array.shape:
        raise _bad(what, "has no pixels.")
    pixels = array
    if pixels.ndim == 4 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim == 4:
        raise _bad(what, f"is a batch of {len(pixels)}: give one picture of it, {kind}[0].")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif pixels.ndim == 3:
        first, last = pixels.shape[0] in (1, 3, 4), pixels.shape[2] in (1, 3, 4)
        if first and (channels_first or not last):
            pixels = pixels.transpose(1, 2, 0)
        elif not last:
            raise _bad(
                what,
                "has no axis of 1, 3 or 4 channels: give (H, W), (H, W, C) or (C, H, W). "
                "Of feature maps, show one channel at a time.",
            )
    else:
        raise _bad(what, f"has {array.ndim} axes: give (H, W), (H, W, C) or (C, H, W).")
    height, width, channels = pixels.shape
    _check_size(width, height, what)
    pixels = _to_uint8(pixels, what)
    if channels == 1:
        pixels = pixels[:, :, 0]
    # fromarray works on a copy of its own here: convert and composite both make new pictures.
    return _to_rgb(Image.fromarray(np.ascontiguousarray(pixels)), what)


def _to_uint8(pixels: np.ndarray, what: str) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint16:
        return np.rint(pixels / 257).astype(np.uint8)  # 65535 / 255
    if pixels.dtype.kind in "iu":
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > 255:
            raise _bad(
                what,
                f"holds {pixels.dtype} from {low} to {high}, where 0..255 is expected: scale it, "
                "or convert 16-bit pictures to uint16.",
            )
        return pixels.astype(np.uint8)
    if pixels.dtype.kind != "f":
        raise _bad(what, f"has dtype {pixels.dtype}: pixels are bool, integers or floats.")
    if not np.isfinite(pixels).all():
        raise _bad(
            what,
            f"holds {_count_non_finite(pixels)} values that are NaN or infinite: "
            "numpy.nan_to_num(x) replaces them.",
        )
    low, high = float(pixels.min()), float(pixels.max())
    if low < -1e-4 or high > 1 + 1e-4:  # resizing overshoots by rounding errors; more is another scale
        cure = "undo the normalisation with x * std + mean, or use (x - x.min()) / (x.max() - x.min())"
        if low >= 0 and high <= 255:
            cure = "divide it by 255, or pass uint8"
        raise _bad(what, f"holds floats from {low:.4g} to {high:.4g}, where 0..1 is expected: {cure}.")
    return np.rint(np.clip(pixels.astype(np.float32), 0, 1) * 255).astype(np.uint8)


# ---------------------------------------------------------------------------------------------------------
# Words and checks shared by the above.


def _check_size(width: int, height: int, what: str) -> None:
    if width == 0 or height == 0:
        raise _bad(what, f"has no pixels: it is {width} x {height}.")
    if width * height > MAX_PIXELS:
        raise _bad(
            what,
            f"is too large: {width:,} x {height:,} = {width * height:,} pixels, and classykit "
            f"takes up to {MAX_PIXELS:,}: scale it down first.",
        )


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _count_non_finite(values: np.ndarray) -> str:
    return f"{int((~np.isfinite(values)).sum()):,} of {values.size:,}"


def _names(samples: list[SampleImage]) -> str:
    return ", ".join(samples) or 'none is installed (pip install "classykit[demo]")'


def _short(text: str, limit: int = 80) -> str:
    quoted = repr(str(text))
    return quoted if len(quoted) <= limit else f"{quoted[: limit - 4]}...{quoted[-1]}"


def _bad(what: str, problem: str) -> ImageError:
    return ImageError(f"{what[:1].upper()}{what[1:]} {problem}")
