"""Sample photographs, which ship in other packages' wheels."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["SampleImage", "all_samples", "sample_digits", "sample_images"]


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
    ("motorcycle", (), _SKIMAGE, "data/motorcycle_left.png", "A motorcycle in a workshop",
     "Middlebury Stereo Datasets 2014, D. Scharstein and others"),
    ("clock", (), _SKIMAGE, "data/clock_motion.png", "A wall clock, blurred by motion, in grey",
     "Stefan van der Walt, public domain"),
    ("coins", (), _SKIMAGE, "data/coins.png", "Greek coins from Pompeii, in grey",
     "Brooklyn Museum, no known copyright restrictions"),
    ("brick", (), _SKIMAGE, "data/brick.png", "A brick wall, in grey: a texture",
     "CC0Textures, CC0"),
    ("grass", (), _SKIMAGE, "data/grass.png", "Grass, in grey: a texture",
     "linolafett (deviantart.com/linolafett/art/Grass-01-434853879), CC0"),
    ("gravel", (), _SKIMAGE, "data/gravel.png", "Gravel, in grey: a texture",
     "CC0Textures, CC0"),
    ("text", (), _SKIMAGE, "data/text.png", "Handwriting, in grey",
     "Wikipedia (en.wikipedia.org/wiki/File:Corner.png), public domain"),
    ("page", (), _SKIMAGE, "data/page.png", "A scanned page of print, in grey",
     "scikit-image"),
    ("moon", (), _SKIMAGE, "data/moon.png", "The surface of the moon, in grey",
     "scikit-image"),
    ("hubble", ("hubble_deep_field",), _SKIMAGE, "data/hubble_deep_field.jpg", "Galaxies, Hubble eXtreme Deep Field",
     "NASA, public domain"),
    ("cell", (), _SKIMAGE, "data/cell.png", "A cell floating in saline, phase image in grey",
     "Paul Müller and others (doi.org/10.1364/OE.26.010729), CC0"),
    ("tissue", ("immunohistochemistry",), _SKIMAGE, "data/ihc.png", "Colonic glands, stained",
     "Center for Microscopy And Molecular Imaging, no known copyright restrictions"),
    ("retina", (), _SKIMAGE, "data/retina.jpg", "A human retina",
     "Mikael Häggström (doi.org/10.15347/wjm/2014.008), CC0"),
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
    return [sample for sample in all_samples() if sample.path]


def sample_digits() -> list[SampleImage]:
    """The names that `load_image` knows handwritten digits by, "digit 0" to "digit 9"; none without scikit-learn.

    They are small, 8 × 8 pixels, white on black (see `classykit.datasets.digit`).

    >>> sample_digits()[7]
    'digit 7'
    """
    if importlib.util.find_spec("sklearn") is None:
        return []
    digits = [SampleImage(f"digit {number}") for number in range(10)]
    for number, digit in enumerate(digits):
        digit.description, digit.credit = f"A handwritten {number}", "E. Alpaydin and C. Kaynak, UCI, 1998"
        digit.package, digit.aliases, digit.path = "scikit-learn", (), None
    return digits


def all_samples() -> list[SampleImage]:
    """Every sample photograph there could be, installed or not."""
    samples, folders = [], {module: _folders_of(module) for module in {of[2][1] for of in _SAMPLES}}
    for name, aliases, (package, module), file, description, credit in _SAMPLES:
        sample = SampleImage(name)
        sample.description, sample.credit = description, credit
        sample.package, sample.aliases = package, aliases
        sample.path = next((path for path in (Path(f, file) for f in folders[module]) if path.is_file()), None)
        samples.append(sample)
    return samples


def _folders_of(module: str) -> list[str]:
    # find_spec looks without importing: scikit-image and scikit-learn take a second each.
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    return list((spec and spec.submodule_search_locations) or ())
