"""classykit.images: pictures as a model's input."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from classykit.errors import ConfigError
from classykit.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, load_image
from classykit.inputs import preprocess

pytestmark = pytest.mark.filterwarnings("error")
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)
LITE = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


def noise(height=12, width=16, channels=3):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def pixel(image, x=0, y=0):
    return image.getpixel((x, y))


# --- preprocessing -----------------------------------------------------------------------------------------


def test_the_input_is_what_the_recipe_says():
    picture = Image.fromarray(noise(300, 400))
    x = Preprocessing()(picture)
    assert (x.shape, x.dtype, x.device.type) == ((1, 3, 224, 224), torch.float32, "cpu")
    assert x.is_contiguous() and not x.requires_grad
    square = picture.crop((50, 0, 350, 300)).resize((224, 224), Image.Resampling.BICUBIC)
    expected = (np.array(square) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    assert np.abs(x[0].permute(1, 2, 0).numpy() - expected).max() < 1e-5


def test_efficientnet_lites_numbers_are_exact():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    x = Preprocessing(size=16, mean=LITE.mean, std=LITE.std)(every)
    expected = (torch.arange(256, dtype=torch.float32).reshape(16, 16) - 127) / 128
    assert torch.equal(x[0], expected.expand(3, 16, 16))
    again = Preprocessing.from_dict(json.loads(json.dumps(LITE.to_dict())))
    assert again == LITE and torch.equal(again("coffee"), LITE("coffee"))


def test_agrees_with_torchvision():
    transforms = pytest.importorskip("torchvision.transforms")
    image = load_image("coffee")
    theirs = transforms.Compose(
        [
            transforms.CenterCrop(400),
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )(image)
    assert (preprocess("coffee")[0] - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("width, height", [(1, 1), (1, 500), (500, 1), (7, 300), (224, 224), (333, 222)])
@pytest.mark.parametrize("size", [1, 32, (20, 50), (50, 20)])
@pytest.mark.parametrize("crop", ["square", "none"])
def test_any_proportions(width, height, size, crop):
    recipe = Preprocessing(size=size, crop=crop)
    image = Image.new("RGB", (width, height), (127, 127, 127))
    h, w = recipe.height_width
    assert recipe(image).shape == (1, 3, h, w)
    assert recipe.to_display(image).size == (w, h)
    assert pixel(recipe.to_display(image)) == (127, 127, 127)


@pytest.mark.parametrize("width, height", [(30, 10), (10, 30)])
def test_square_crops_the_middle_and_none_squashes(width, height):
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, ((width - 10) // 2, (height - 10) // 2, (width + 10) // 2, (height + 10) // 2))
    assert Preprocessing(size=8).to_display(image).getcolors() == [(64, GREEN)]
    squashed = Preprocessing(size=8, crop="none").to_display(image)
    assert pixel(squashed) == RED and pixel(squashed, 4, 4) == GREEN


def test_a_wide_target_keeps_its_proportions():
    image = Image.new("RGB", (100, 100), RED)
    image.paste(GREEN, (0, 25, 100, 75))
    assert Preprocessing(size=(10, 20)).to_display(image).getcolors() == [(200, GREEN)]


def test_interpolation_matters():
    bicubic, bilinear = (Preprocessing(size=64, interpolation=i)("cat") for i in ("bicubic", "bilinear"))
    assert not torch.equal(bicubic, bilinear)


def test_a_recipe_is_a_value():
    assert Preprocessing(size=[8, 9]) == Preprocessing(size=(8, 9))
    assert hash(Preprocessing()) == hash(Preprocessing())
    for twin in (copy.deepcopy(LITE), pickle.loads(pickle.dumps(LITE))):
        assert twin == LITE
    recipe = Preprocessing(size=(8, 9), crop="none", interpolation="bilinear")
    assert Preprocessing.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(AttributeError):
        recipe.size = 3


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"size": 0}, "size is 0"),
        ({"size": (3, 4, 5)}, "height, width"),
        ({"size": 22.4}, "positive int"),
        ({"size": True}, "positive int"),
        ({"mean": (0.5,)}, "three finite numbers"),
        ({"mean": 0.5}, "three finite numbers"),
        ({"std": (1, 1, float("nan"))}, "three finite numbers"),
        ({"std": (1, 0, 1)}, "above 0"),
        ({"mean": (127, 127, 127), "std": (128, 128, 128)}, "divide them by 255"),
        ({"crop": "centre"}, "'square' or 'none'"),
        ({"interpolation": "nearest"}, "'bicubic' or 'bilinear'"),
        ({"interpolaton": "bicubic"}, "Did you mean 'interpolation'"),
    ],
)
def test_a_recipe_that_makes_no_sense(settings, words):
    with pytest.raises(ConfigError, match=words):
        Preprocessing.from_dict(settings)
