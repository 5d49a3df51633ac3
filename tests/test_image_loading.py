"""classykit.image_loading: anything that is a picture becomes one, and anything else is refused in words."""

import importlib.util
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps, PngImagePlugin

from classykit import image_loading
from classykit.errors import ImageError
from classykit.images import Preprocessing, load_image

pytestmark = pytest.mark.filterwarnings("error")
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def noise(height=12, width=16, channels=3):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def encode(image, format="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width, height, *, depth=8, colour=2, rows=b""):
    """A PNG written by hand: for sizes and depths that Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixel(image, x=0, y=0):
    return image.getpixel((x, y))


def test_a_file_beats_a_sample_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda m: None)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (3, 2), RED).save("coffee", "png")
    assert load_image("coffee").size == (3, 2)


# --- files and bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_data_in_memory(wrap):
    assert np.array_equal(load_image(wrap(encode(Image.fromarray(noise())))), noise())


@pytest.mark.parametrize("format", ["png", "bmp", "tiff", "webp", "gif", "jpeg", "ppm", "tga"])
def test_formats(format, tmp_path):
    path = tmp_path / f"picture.{format}"
    Image.new("RGB", (9, 7), (200, 30, 40)).save(path)
    for source in (path, str(path)):
        image = load_image(source)
        assert (image.size, image.mode) == ((9, 7), "RGB")
        assert np.abs(np.array(pixel(image)) - (200, 30, 40)).max() <= 6


def test_a_home_folder_in_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    assert load_image("~/a.png").size == load_image(Path("~/a.png")).size == (2, 2)


def test_an_open_file_is_left_where_it_stood(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"prefix" + encode(Image.new("RGB", (4, 4), RED)))
    with path.open("rb") as file:
        file.seek(6)
        for _ in range(2):
            assert pixel(load_image(file)) == RED
            assert file.tell() == 6


def test_a_stream_that_cannot_seek():
    class Stream:
        def read(self):
            return encode(Image.new("RGB", (4, 4), RED))

    assert pixel(load_image(Stream())) == RED


def test_no_file_stays_open(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        load_image(path)
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


# --- modes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK"])
def test_every_mode_becomes_rgb_and_white_stays_white(mode):
    white = Image.new("RGBA", (4, 3), (*WHITE, 255))
    if mode == "La":
        image = white.convert("LA").convert("La")
    elif mode == "PA":
        image = white.convert("P").convert("PA")
    else:
        image = white.convert("RGB").convert(mode) if mode == "CMYK" else white.convert(mode)
    assert image.mode == mode
    assert pixel(load_image(image)) == WHITE


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "HSV"])
def test_other_colour_spaces(mode):
    assert load_image(Image.new("RGB", (4, 3), RED).convert("RGB")).mode == "RGB"
    assert load_image(Image.new(mode, (4, 3))).size == (4, 3)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "RGBa", "PA"])
def test_transparent_is_laid_on_white(mode):
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    if mode == "PA":
        image = Image.new("PA", (2, 2), (0, 0))
    elif mode != "RGBA":
        image = image.convert(mode)
    assert pixel(load_image(image)) == WHITE


def test_half_transparent_is_mixed_with_white():
    assert pixel(load_image(Image.new("RGBA", (2, 2), (255, 0, 0, 128)))) == (255, 127, 127)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_png_colour_declared_transparent_is_white(mode):
    image = Image.new(mode, (2, 2), 0)
    data = encode(image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert pixel(load_image(data)) == WHITE


def test_a_palette_with_transparency_as_bytes():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    loaded = load_image(encode(image, transparency=b"\xff\x00"))
    assert (pixel(loaded, 0), pixel(loaded, 1)) == (RED, WHITE)


def test_cmyk_jpeg():
    loaded = load_image(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg"))
    r, g, b = pixel(loaded)
    assert r > 240 and g < 15 and b < 15


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_16_bits_of_grey_are_scaled(format):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    loaded = load_image(encode(Image.fromarray(values), format))
    assert [pixel(loaded, x)[0] for x in range(4)] == [0, 1, 128, 255]


def test_16_bits_big_endian():
    image = Image.fromarray(np.array([[65535]], dtype=np.uint16)).convert("I").convert("I;16B")
    assert pixel(load_image(image)) == WHITE


def test_16_bits_of_colour():
    rows = b"\0" + struct.pack(">6H", 65535, 0, 0, 0, 65535, 0)
    loaded = load_image(png(2, 1, depth=16, rows=rows))
    assert (pixel(loaded, 0), pixel(loaded, 1)) == (RED, GREEN)


@pytest.mark.parametrize(
    "mode, values, expected",
    [
        ("I", [0, 100, 255], [0, 100, 255]),
        ("I", [0, 257, 65535], [0, 1, 255]),
        ("I", [-100, 0, 100], [0, 128, 255]),
        ("I", [0, 50_000, 100_000], [0, 128, 255]),
        ("F", [0.0, 0.2, 1.0], [0, 51, 255]),
        ("F", [0.0, 100.4, 255.0], [0, 100, 255]),
        ("F", [0.0, 257.0, 65535.0], [0, 1, 255]),
        ("F", [-1.0, 0.0, 1.0], [0, 128, 255]),
        ("F", [-3.0, -3.0, -3.0], [128, 128, 128]),
    ],
)
def test_pictures_whose_range_no_format_fixes(mode, values, expected):
    image = Image.new(mode, (3, 1))
    image.putdata(values)
    loaded = load_image(image)
    assert [pixel(loaded, x) for x in range(3)] == [(v, v, v) for v in expected]


def test_a_float_picture_with_nan_is_refused():
    image = Image.new("F", (3, 1), float("nan"))
    with pytest.raises(ImageError, match="3 of 3 values that are NaN"):
        load_image(image)


# --- orientation and animation -----------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_applied(orientation, format):
    upright = Image.new("RGB", (32, 16), WHITE)
    upright.paste(RED, (0, 0, 8, 8))  # red marks the upper left corner
    turn = Image.Transpose
    stored = {
        1: None, 2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE, 6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270,
    }[orientation]  # fmt: skip
    image = upright if stored is None else upright.transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(image, format, exif=exif)
    for source in (data, Image.open(io.BytesIO(data))):
        loaded = load_image(source)
        assert loaded.size == (32, 16)
        assert pixel(loaded, 3, 3)[1] < 60 and min(pixel(loaded, 28, 12)) > 200
        assert pixel(load_image(loaded), 3, 3) == pixel(loaded, 3, 3), "turned twice"


def test_damaged_exif_does_no_harm():
    data = encode(Image.new("RGB", (8, 8), RED), "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert load_image(data).size == (8, 8)


@pytest.mark.parametrize("format", ["gif", "webp", "png", "tiff"])
def test_an_animation_gives_its_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    options = {"lossless": True} if format == "webp" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert pixel(load_image(data)) == RED


def test_an_animated_image_object_gives_the_frame_it_stands_at_and_stays_there():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    image = Image.open(io.BytesIO(encode(frames[0], "gif", save_all=True, append_images=frames[1:])))
    image.seek(1)
    assert pixel(load_image(image)) == GREEN
    assert image.tell() == 1


# --- arrays and tensors ------------------------------------------------------------------------------------


GREY = noise(channels=0)


RGB = noise()


@pytest.mark.parametrize(
    "array, expected",
    [
        (RGB, RGB),
        (RGB.transpose(2, 0, 1), RGB),
        (RGB[None], RGB),
        (RGB[:, ::-1], RGB[:, ::-1]),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(np.uint16) * 257, RGB),
        (RGB / 255, RGB),
        ((RGB / 255).astype(np.float32), RGB),
        ((RGB / 255).astype(np.float16), RGB),
        (np.asfortranarray(RGB), RGB),
        (np.dstack([RGB, np.full((12, 16), 255, np.uint8)]), RGB),
        (GREY, np.dstack([GREY] * 3)),
        (GREY[:, :, None], np.dstack([GREY] * 3)),
        (GREY[None], np.dstack([GREY] * 3)),
        (GREY > 99, np.dstack([(GREY > 99) * np.uint8(255)] * 3)),
        (np.ma.array(GREY), np.dstack([GREY] * 3)),
        (np.array([[1 + 5e-5, -5e-5]]), np.array([[[255] * 3, [0] * 3]])),
    ],
)
def test_arrays(array, expected):
    array.flags.writeable = False
    assert np.array_equal(load_image(array), expected)


@pytest.mark.parametrize(
    "tensor, expected",
    [
        (torch.from_numpy(RGB).permute(2, 0, 1), RGB),
        (torch.from_numpy(RGB).permute(2, 0, 1)[None], RGB),
        (torch.from_numpy(RGB), RGB),
        (torch.from_numpy(RGB).permute(2, 0, 1) / 255, RGB),
        ((torch.from_numpy(RGB).permute(2, 0, 1) / 255).requires_grad_(), RGB),
        (torch.from_numpy(GREY), np.dstack([GREY] * 3)),
        (torch.from_numpy(GREY)[None], np.dstack([GREY] * 3)),
        (torch.from_numpy(GREY > 9), np.dstack([(GREY > 9) * np.uint8(255)] * 3)),
        (torch.ones(1, 4, 4, dtype=torch.bfloat16), np.full((4, 4, 3), 255)),
    ],
)
def test_tensors(tensor, expected):
    assert np.array_equal(load_image(tensor), expected)


def test_where_both_orders_fit_numpy_is_channels_last_and_torch_channels_first():
    array = np.zeros((3, 5, 3), np.uint8)
    assert load_image(array).size == (5, 3)
    assert load_image(torch.from_numpy(array)).size == (3, 5)


def test_anything_that_offers_an_array():
    class Other:
        def __array__(self, dtype=None, copy=None):
            return RGB

    assert np.array_equal(load_image(Other()), RGB)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.uint8, np.uint16, np.float32, np.float64]),
        st.one_of(
            st.tuples(st.integers(1, 9), st.integers(1, 9)),
            st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
        ),
        # no subnormal numbers: libraries in the process may have turned them off
        elements={"min_value": 0, "max_value": 1, "allow_subnormal": False},
    )
)
def test_any_good_array_loads_and_is_left_alone(array):
    before = array.copy()
    image = load_image(array)
    assert (image.mode, image.size) == ("RGB", array.shape[1::-1])
    assert np.array_equal(array, before) and array.dtype == before.dtype
    if array.ndim == 2 and array.dtype.kind == "f":
        assert np.abs(np.array(image)[:, :, 0] / 255 - array).max() <= 0.5 / 255 + 1e-6


def check_loads_or_says_why(source):
    """Whatever it is: an RGB picture with pixels in it, or an ImageError with a sentence."""
    try:
        image = load_image(source)
    except ImageError as error:
        assert len(str(error)) > 20
    else:
        assert image.mode == "RGB" and min(image.size) > 0


@settings(deadline=None, max_examples=150)
@given(
    hnp.arrays(
        hnp.scalar_dtypes() | hnp.complex_number_dtypes(),
        hnp.array_shapes(min_dims=0, max_dims=5, min_side=0),
        elements={"allow_subnormal": False},
    )
)
def test_any_array_at_all_gives_a_picture_or_an_image_error(array):
    check_loads_or_says_why(array)


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"\xff\xd8"]),
)
def test_any_bytes_give_a_picture_or_an_image_error(data, magic):
    check_loads_or_says_why(magic + data)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(["png", "jpeg", "gif", "webp", "tiff", "bmp"]))
def test_flipped_bits_give_a_picture_or_an_image_error(data, format):
    blob = bytearray(encode(Image.fromarray(noise()), format))
    for _ in range(data.draw(st.integers(1, 5))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    check_loads_or_says_why(blob)


# --- what is refused, and in which words -------------------------------------------------------------------


BAD = {
    "nothing": (None, "cannot read None: give it a path"),
    "a list": ([[1, 2], [3, 4]], "cannot read list"),
    "a number": (7, "cannot read int"),
    "an empty name": ("", "name is empty.*chelsea"),
    "an unknown name": ("chelsae", "No file and no sample.*Did you mean 'chelsea'.*Samples: chelsea, coffee"),
    "a nearly known alias": ("Cat", "Did you mean 'cat'"),
    "a missing file": ("no/such/picture.png", "No file and no sample.*looked up from"),
    "a missing Path": (Path("no/such/picture.png"), "There is no file"),
    "a name of 10,000 letters": ("x" * 10_000, r"No file.*xxx\.\.\.'"),
    "a name with NUL": ("a\0b", "No file"),
    "a Path with NUL": (Path("a\0b"), "cannot be opened|There is no file"),
    "a Path of 10,000 letters": (Path("x" * 10_000), r"xxx\.\.\.' cannot be opened.*too long"),
    "nobody's home as Path": (Path("~nobody-of-that-name/x.png"), "cannot be opened.*home"),
    "nobody's home": ("~nobody-of-that-name/x.png", "No file"),
    "a folder": (Path("."), "is a folder"),
    "a folder's name": (".", "is a folder"),
    "http": ("http://example.org/cat.jpg", "is a URL.*fetches nothing.*urlretrieve"),
    "https": ("HTTPS://example.org/cat.jpg", "is a URL"),
    "s3": ("s3://bucket/cat.jpg", "is a URL"),
    "a data URL": ("data:image/png;base64,iVBORw0KGgo=", "is a URL"),
    "no bytes": (b"", r"empty \(0 bytes\)"),
    "text": (b"hello, world", "not a picture that Pillow can read.*b'hello, world'"),
    "a web page": (b"<!DOCTYPE html><html>404</html>", "web page"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG drawing: export it"),
    "PDF": (b"%PDF-1.7 ...", "PDF"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    "npy": (b"\x93NUMPY\x01\x00", "numpy.load"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "EPS"),
    "only a signature": (b"\x89PNG\r\n\x1a\n", "not a picture"),
    "a bomb": (png(60_000, 60_000), "too large.*3600000000 pixels.*up to 100,000,000"),
    "just too large": (png(12_000, 10_000), "12,000 x 10,000 = 120,000,000 pixels.*up to 100,000,000"),
    "a wide bomb": (png(200_000_000, 1), "too large"),
    "0 x 0": (Image.new("RGB", (0, 0)), "no pixels: it is 0 x 0"),
    "5 x 0": (Image.new("L", (5, 0)), "no pixels: it is 5 x 0"),
    "an exhausted file": (None, r"stands at its end.*seek\(0\)"),  # made below
    "a text file": (io.StringIO("text"), 'gave str, not bytes.*"rb"'),
    "an empty file": (io.BytesIO(), "empty"),
    "zero-sized": (np.zeros((0, 4, 3)), r"shape \(0, 4, 3\) has no pixels"),
    "a scalar": (np.float64(3) * np.ones(()), "0 axes"),
    "a vector": (np.zeros(5), "1 axes"),
    "5 axes": (np.zeros((1, 1, 3, 4, 4)), "5 axes"),
    "a batch": (np.zeros((2, 3, 8, 8)), r"batch of 2: give one picture of it, array\[0\]"),
    "a batch of tensors": (torch.zeros(2, 3, 8, 8), r"batch of 2: give one picture of it, tensor\[0\]"),
    "feature maps": (np.zeros((64, 7, 7)), r"no axis of 1, 3 or 4 channels.*\(C, H, W\)"),
    "feature map tensors": (torch.zeros(1, 64, 7, 7), "no axis of 1, 3 or 4 channels"),
    "NaN": (np.full((4, 4), np.nan), "16 of 16 values that are NaN.*nan_to_num"),
    "one infinity": (np.array([[0, np.inf]]), "1 of 2 values"),
    "floats of 0..255": (np.array([[0.0, 255.0]]), "floats from 0 to 255, where 0..1.*divide it by 255"),
    "normalised": (torch.tensor([[-2.1, 2.6]]), r"floats from -2.1 to 2.6.*x \* std \+ mean"),
    "ints below 0": (np.array([[-1, 3]]), "int64 from -1 to 3"),
    "ints above 255": (np.array([[0, 300]]), "int64 from 0 to 300.*uint16"),
    "complex": (np.zeros((2, 2), complex), "dtype complex128"),
    "objects": (np.array([["a", "b"]], dtype=object), "dtype object"),
    "a huge array": (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "20,000 x 20,000 = 400,000,000 pixels"),
    "on meta": (torch.zeros(3, 4, 4, device="meta"), "meta device"),
    "sparse": (torch.eye(4).to_sparse(), "cannot be read as pixels"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_picture_is_refused_in_clear_words(case):
    source, words = BAD[case]
    if case == "an exhausted file":
        source = io.BytesIO(encode(Image.new("RGB", (2, 2))))
        source.read()
    with pytest.raises(ImageError, match=f"(?s){words}") as caught:
        load_image(source)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("format", ["png", "jpeg", "gif", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_a_file_cut_short_is_refused(format, part, tmp_path):
    data = encode(Image.fromarray(noise(64, 64)), format)
    path = tmp_path / f"cut.{format}"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match=r"cut.*damaged"):
        load_image(path)


def test_a_cut_picture_says_what_its_header_promised():
    data = encode(Image.fromarray(noise(64, 48)))
    with pytest.raises(ImageError, match=r"header promises PNG of 48 x 64, but.*again"):
        load_image(data[: len(data) // 2])


def test_a_closed_file_and_a_closed_image(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    with path.open("rb") as file:
        pass
    with pytest.raises(ImageError, match=r'closed.*"rb"'):
        load_image(file)
    with Image.open(path) as image:
        pass
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(image)


def test_a_large_picture_below_the_limit_loads_without_a_warning():
    data = encode(Image.new("1", (9_600, 10_000)))  # 96 million: Pillow warns from 89 million on
    assert load_image(data).size == (9_600, 10_000)


# --- no side effects ---------------------------------------------------------------------------------------


def test_pillows_globals_stay_as_they_are():
    from PIL import ImageFile

    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, Image.preinit
    for source, _ in BAD.values():
        try:
            load_image(source)
        except ImageError:
            pass
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, Image.preinit)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16", "F", "CMYK"])
def test_the_callers_image_stays_as_it_is(mode):
    image = Image.new(mode, (6, 4))
    image.info["note"] = "mine"
    before = (image.mode, image.size, image.tobytes(), dict(image.info))
    loaded = load_image(image)
    Preprocessing(size=2)(image)
    assert loaded is not image
    loaded.paste(RED, (0, 0, 6, 4))
    assert (image.mode, image.size, image.tobytes(), dict(image.info)) == before


@pytest.mark.parametrize("array", [RGB.copy(), GREY.copy(), RGB / 255], ids=["rgb", "grey", "float"])
def test_the_picture_shares_no_memory_with_the_callers_array(array):
    loaded = load_image(array)
    before = loaded.tobytes()
    array[:] = 0
    assert loaded.tobytes() == before


def test_threads():
    reference, seen = load_image("cat").tobytes(), []
    threads = [threading.Thread(target=lambda: seen.append(load_image("cat").tobytes())) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [reference] * 8


def test_importing_and_loading_import_nothing_heavy():
    code = (
        "import sys; from classykit.images import load_image, sample_images; load_image('cat')\n"
        "print({'matplotlib', 'pandas', 'skimage', 'sklearn', 'ipywidgets'} & set(sys.modules), 'PIL' in sys.modules)"
    )
    command = [sys.executable, "-W", "error::UserWarning:classykit", "-c", code]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "set() True\n"


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that cannot be read")
def test_a_disk_that_fails():
    with pytest.raises(ImageError, match="cannot be read: Input/output error"):
        load_image("/proc/self/mem")


class TestBounded:
    """Large pictures: refused by their header, or put together from bands."""

    def picture(self, mode, name="png"):
        rng = np.random.default_rng(0)
        image = Image.fromarray(rng.integers(0, 256, (37, 23, 4), np.uint8))
        if mode == "I;16":
            return Image.fromarray(rng.integers(0, 65536, (37, 23), np.uint16))
        if mode == "F":
            return Image.fromarray(rng.random((37, 23), np.float32))
        return image.convert("RGB").convert(mode) if mode in ("P", "CMYK", "1") else image.convert(mode)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "La", "P", "CMYK", "1", "I;16", "I", "F", "YCbCr"])
    def test_in_bands_as_in_one_go(self, mode, monkeypatch):
        image = self.picture(mode)
        wanted = load_image(image)
        monkeypatch.setattr(image_loading, "BAND", 50)  # two rows
        found = load_image(image)
        assert found.tobytes() == wanted.tobytes() and found.size == wanted.size == (23, 37) and found.info == {}

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("shape", [(37, 23), (37, 23, 3), (4, 37, 23)])
    def test_arrays_in_bands_as_in_one_go(self, dtype, shape, monkeypatch):
        array = np.random.default_rng(0).random(shape)
        array = (array * np.iinfo(dtype).max if dtype in (np.uint8, np.uint16) else array * 255 if dtype is np.int64
                 else array > 0.5 if dtype is bool else array).astype(dtype)  # fmt: skip
        wanted = load_image(array)
        monkeypatch.setattr(image_loading, "BAND", 50)
        assert load_image(array).tobytes() == wanted.tobytes()
        if np.dtype(dtype).kind == "f":
            array.reshape(-1)[-1] = np.nan
            with pytest.raises(ImageError, match=rf"1 of {array.size:,} values that are NaN"):
                load_image(array)

    def test_sixteen_bits_are_rounded_as_by_division(self):
        every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        assert np.array_equal(np.asarray(load_image(every))[..., 0], np.rint(every / 257).astype(np.uint8))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_the_camera_was_held_otherwise(self, orientation, tmp_path):
        image, exif = self.picture("RGB"), Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "turned.png", exif=exif)
        wanted = ImageOps.exif_transpose(Image.open(tmp_path / "turned.png"))
        found = load_image(tmp_path / "turned.png")
        assert found.tobytes() == wanted.convert("RGB").tobytes() and found.size == wanted.size
        assert found.info == {} and not dict(found.getexif())

    @pytest.mark.parametrize("what", ["path", "bytes", "file", "PIL"])
    def test_too_large_ones_are_refused_by_their_header(self, what, tmp_path, monkeypatch):
        data = png(12_000, 10_000)
        (tmp_path / "large.png").write_bytes(data)
        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("it was decoded"))
        with open(tmp_path / "large.png", "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow has a word to say when it opens such a one
            source = {"path": tmp_path / "large.png", "bytes": data, "file": file,
                      "PIL": Image.open(io.BytesIO(data))}[what]  # fmt: skip
            with pytest.raises(ImageError, match="120,000,000 pixels"):
                load_image(source)

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the peak")
    @pytest.mark.parametrize("source", [
        "np.zeros((9000, 9000), np.float32)", "np.zeros((9000, 9000))", "torch.zeros(3, 9000, 9000)",
        "np.zeros((9000, 9000, 3), np.uint16)", "path('RGB', 'jpg')", "path('RGBA', 'png')", "path('I;16', 'png')",
    ])  # fmt: skip
    def test_a_hundred_megapixels_take_less_than_a_gigabyte(self, source, tmp_path):
        code = f"""if True:
            import io, numpy as np, torch, classykit as ck
            from PIL import Image
            def path(mode, kind):
                Image.new(mode, (10_000, 10_000)).save("{tmp_path}/large." + kind)
                return "{tmp_path}/large." + kind
            def memory(line):
                lines = dict(line.split(":") for line in open("/proc/self/status"))
                return int(lines[line].split()[0]) / 1000
            source = {source}
            ck.preprocess("cat")
            open("/proc/self/clear_refs", "w").write("5")
            before = memory("VmRSS")
            assert ck.preprocess(source).shape == (1, 3, 224, 224)
            print(memory("VmHWM") - before)
        """
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert float(done.stdout) < 1000, "MB"
