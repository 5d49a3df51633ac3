"""classykit.samples: photographs of the demo packages, by name."""

import copy
import importlib.util
import pickle

import pytest

from classykit.datasets import digit
from classykit.errors import ImageError
from classykit.images import SampleImage, load_image, sample_images
from classykit.samples import sample_digits

pytestmark = pytest.mark.filterwarnings("error")
SIZES = {
    "chelsea": (451, 300),
    "coffee": (600, 400),
    "astronaut": (512, 512),
    "rocket": (640, 427),
    "camera": (512, 512),
    "motorcycle": (741, 500),
    "clock": (400, 300),
    "coins": (384, 303),
    "brick": (512, 512),
    "grass": (512, 512),
    "gravel": (512, 512),
    "text": (448, 172),
    "page": (384, 191),
    "moon": (512, 512),
    "hubble": (1000, 872),
    "cell": (550, 660),
    "tissue": (512, 512),
    "retina": (1411, 1411),
    "grace_hopper": (512, 600),
    "china": (640, 427),
    "flower": (640, 427),
}


def test_the_samples_are_the_photographs_of_the_demo_packages():
    assert set(sample_images()) == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_sample_loads_by_its_name(name):
    image = load_image(name)
    assert (image.size, image.mode) == (SIZES[name], "RGB")


def test_a_sample_knows_what_it_shows_and_whose_it_is():
    for sample in sample_images():
        assert isinstance(sample, str) and isinstance(sample, SampleImage)
        assert sample.description and sample.credit and sample.package and sample.path.is_file()
        twin = pickle.loads(pickle.dumps(sample))
        assert twin == sample == copy.deepcopy(sample) and twin.credit == sample.credit
    credit = {sample: sample.credit for sample in sample_images()}
    assert "CC BY 2.0" in credit["china"] and "danielbuechele" in credit["china"]
    assert "CC BY 2.0" in credit["flower"]


def test_cat_is_another_name_of_chelsea():
    assert load_image("cat").tobytes() == load_image("chelsea").tobytes()


def test_without_the_demo_packages_samples_vanish_and_the_error_says_what_to_install(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda m: None if m in ("skimage", "sklearn") else find_spec(m))
    assert sample_images() == ["grace_hopper"]
    with pytest.raises(ImageError, match=r"scikit-image, which is not installed.*classykit\[demo\]"):
        load_image("cat")
    with pytest.raises(ImageError, match=r"For more: pip install .classykit\[demo\]"):
        load_image("dog")


def test_digits_by_name(monkeypatch):
    names = sample_digits()
    assert names == [f"digit {n}" for n in range(10)] and names[7].description == "A handwritten 7"
    for number, name in enumerate(names):
        picture = load_image(name)
        assert picture.size == (8, 8) and picture.mode == "RGB"
        values = [picture.getpixel((x, y))[0] / 255 for y in range(8) for x in range(8)]
        assert values == pytest.approx(digit(number).flatten().tolist(), abs=1 / 510)
    with pytest.raises(ImageError, match="No file and no sample"):
        load_image("digit 12")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sklearn" else find(name))
    assert sample_digits() == []
