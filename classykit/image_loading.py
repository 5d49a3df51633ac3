"""`load_image`: a picture from whatever holds one.

Nothing here changes Pillow's global settings, the caller's image or array, or the network's silence: pictures
come from memory, from files, or from wheels that are installed already.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps

from classykit.datasets import digit
from classykit.errors import ImageError, quoted, suggest
from classykit.samples import SampleImage, all_samples, sample_images

__all__ = ["MAX_PIXELS", "load_image"]

BAND = 2**18  # pixels of a large picture that are converted at a time: as many as the processor's cache holds

#: Larger pictures are refused before they are decoded: no vision model looks at more, and a file of a few
#: kilobytes can claim any size.
MAX_PIXELS = 100_000_000


def load_image(source: Any) -> Image.Image:
    """A picture in RGB, from whatever holds one.

    Args:
        source: One of

            - the name of a sample photograph (see `sample_images`), such as ``"cat"``, or of a digit, ``"digit 7"``;
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
            return _upright(_to_rgb(source, f"the {source.mode} image"), _orientation(source))
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
    samples = all_samples()
    sample = next((s for s in samples if name == s or name in s.aliases), None)
    if sample is not None and sample.path:
        return _from_path(sample.path)
    if re.fullmatch(r"digit \d", name, re.ASCII):
        return _from_tensor(digit(int(name[-1])))
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
            f"{quoted(name)} is a sample photograph that ships with {sample.package}, which is not installed "
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
    try:
        head = file.read(512)
        file.seek(0)
    except OSError as error:  # a bad disk, a share that has gone
        raise _bad(what, f"cannot be read: {error.strerror or error}.") from error
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
            f"{quoted(head[:16])}. PNG, JPEG, WebP, GIF, BMP and TIFF work.",
        ) from error
    with image:
        if image.format == "EPS":  # Pillow would start Ghostscript on it
            raise _bad(what, "is an EPS drawing: export it as PNG.")
        picture, orientation = _to_rgb(image, what), _orientation(image)
    del image  # of a large one there is no room for a third copy
    return _upright(picture, orientation)


def _orientation(image: Image.Image) -> int:
    """How the camera was held, as EXIF counts it; 1 for upright."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF beside sound pixels: show them as they lie
        return 1


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return picture
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    upright = ImageOps.exif_transpose(picture)
    upright.info = {}
    return upright


def _to_rgb(image: Image.Image, what: str) -> Image.Image:
    """A new 8-bit RGB picture, as it lies; `image` keeps its pixels, mode and frame."""
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
        if image.mode == "F" or image.mode.startswith("I"):
            return _by_bands(image.size, _grey(image, what))
        return _by_bands(image.size, lambda top, bottom: _flat(image.crop((0, top, image.width, bottom))))
    except (ValueError, OSError) as error:
        if isinstance(error, ImageError):
            raise
        raise _bad(what, f"has mode {image.mode}, not convertible to RGB: {error}.") from error


def _by_bands(size: tuple[int, int], band: Callable[[int, int], Image.Image]) -> Image.Image:
    """A picture put together from its bands of rows, ``band(top, bottom)`` each: a large one has no room for copies.

    It is bare: no EXIF, colour profile or transparency entry that no longer describes the pixels.
    """
    width, height = size
    picture = Image.new("RGB", size)
    rows = max(BAND // width, 1)
    for top in range(0, height, rows):
        picture.paste(band(top, min(top + rows, height)), (0, top))
    return picture


def _flat(image: Image.Image) -> Image.Image:
    """In RGB, what is transparent on white."""
    if image.mode == "La":  # Pillow takes it to LA and no further
        image = image.convert("LA")
    # PNG can name one colour transparent without an alpha channel.
    if image.mode in ("LA", "PA", "P", "RGBA", "RGBa") or "transparency" in image.info:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image, what: str) -> Callable[[int, int], Image.Image]:
    """The bands of a picture with more than 8 bits of grey, scaled to 8 by what all of it holds."""

    def values(top: int, bottom: int) -> np.ndarray:
        return np.array(image.crop((0, top, image.width, bottom)), dtype=np.float64)

    low, high = _range_of(values, image.size, what)

    def band(top: int, bottom: int) -> Image.Image:
        scaled = values(top, bottom)
        if image.mode.startswith("I;16"):
            scaled /= 257  # 65535 / 255
        elif low >= 0 and high <= 1 and image.mode == "F":
            scaled *= 255
        elif low >= 0 and high <= 65535:
            scaled /= 257 if high > 255 else 1
        else:
            scaled = (scaled - low) / (high - low) * 255 if high > low else np.full_like(scaled, 128)
        return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")

    return band


def _range_of(
    values: Callable[[int, int], np.ndarray], size: tuple[int, int], what: str, cure: str = ""
) -> tuple[float, float]:
    """(the lowest, the highest) of all bands; ImageError where one is NaN or infinite."""
    width, height = size
    rows = max(BAND // width, 1)
    bands = [(top, min(top + rows, height)) for top in range(0, height, rows)]
    ends = [(float(part.min()), float(part.max())) for part in (values(*band) for band in bands)]
    if not np.isfinite(ends).all():
        parts = [values(*band) for band in bands]
        odd, of = sum(int((~np.isfinite(part)).sum()) for part in parts), sum(part.size for part in parts)
        raise _bad(what, f"holds {odd:,} of {of:,} values that are NaN or infinite{cure}.")
    return min(low for low, _ in ends), max(high for _, high in ends)


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
    to_bytes = _to_bytes(pixels, what)

    def band(top: int, bottom: int) -> Image.Image:
        part = to_bytes(pixels[top:bottom])
        return _flat(Image.fromarray(np.ascontiguousarray(part[:, :, 0] if channels == 1 else part)))

    return _by_bands((width, height), band)


def _to_bytes(pixels: np.ndarray, what: str) -> Callable[[np.ndarray], np.ndarray]:
    """What makes uint8 of a part of these pixels; ImageError where none can be made of them."""
    kind = pixels.dtype
    if kind == np.uint8:
        return lambda part: part
    if kind == np.bool_:
        return lambda part: part.astype(np.uint8) * 255
    if kind == np.uint16:
        return lambda part: ((part.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 255, rounded
    if kind.kind in "iu":
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > 255:
            raise _bad(
                what,
                f"holds {kind} from {low} to {high}, where 0..255 is expected: scale it, "
                "or convert 16-bit pictures to uint16.",
            )
        return lambda part: part.astype(np.uint8)
    if kind.kind != "f":
        raise _bad(what, f"has dtype {kind}: pixels are bool, integers or floats.")
    height, width, _ = pixels.shape
    cure = ": numpy.nan_to_num(x) replaces them"
    low, high = _range_of(lambda top, bottom: pixels[top:bottom], (width, height), what, cure)
    if low < -1e-4 or high > 1 + 1e-4:  # resizing overshoots by rounding errors; more is another scale
        cure = "undo the normalisation with x * std + mean, or use (x - x.min()) / (x.max() - x.min())"
        if low >= 0 and high <= 255:
            cure = "divide it by 255, or pass uint8"
        raise _bad(what, f"holds floats from {low:.4g} to {high:.4g}, where 0..1 is expected: {cure}.")
    return lambda part: np.rint(np.clip(part.astype(np.float32), 0, 1) * 255).astype(np.uint8)


def _check_size(width: int, height: int, what: str) -> None:
    if width == 0 or height == 0:
        raise _bad(what, f"has no pixels: it is {width} x {height}.")
    if width * height > MAX_PIXELS:
        raise _bad(
            what,
            f"is too large: {width:,} x {height:,} = {width * height:,} pixels, and classykit "
            f"takes up to {MAX_PIXELS:,}: scale it down first.",
        )


def _names(samples: list[SampleImage]) -> str:
    return ", ".join(samples) or 'none is installed (pip install "classykit[demo]")'


def _short(text: str, limit: int = 80) -> str:
    quoted = repr(str(text))
    return quoted if len(quoted) <= limit else f"{quoted[: limit - 4]}...{quoted[-1]}"


def _bad(what: str, problem: str) -> ImageError:
    return ImageError(f"{what[:1].upper()}{what[1:]} {problem}")
