"""classykit.images: pictures as a model's input."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from classykit.errors import ConfigError, ImageError
from classykit.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, load_image, preprocess

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


# --- preprocess(image, model) ------------------------------------------------------------------------------


class Model(torch.nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    "model, side",
    [
        (None, 224),
        (Model(), 224),
        (Model(input_shape=None), 224),
        (Model(input_shape=(3, 64, 64)), 64),
        (Model(input_shape=torch.Size([3, 64, 64]), preprocessing=None), 64),
        (Model(input_shape=(3, 64, 64), preprocessing=Preprocessing(size=96)), 96),
    ],
)
def test_preprocess_follows_the_model(model, side):
    assert preprocess("cat", model).shape == (1, 3, side, side)


def test_preprocess_uses_the_models_own_numbers():
    assert torch.equal(preprocess("cat", Model(preprocessing=LITE)), LITE("cat"))
    assert not torch.equal(preprocess("cat"), LITE("cat"))


def test_preprocess_of_a_rectangle():
    assert preprocess("cat", Model(input_shape=(3, 48, 64))).shape == (1, 3, 48, 64)


@pytest.mark.parametrize(
    "shape, words",
    [
        ((64,), r"takes a vector, input_shape \(64,\).*torch.rand\(1, 64\)"),
        ((1, 28, 28), "a picture of 1 channels"),
        ((3, 8, 112, 112), "a clip"),
        ((16, 32), "something else"),
    ],
)
def test_preprocess_for_a_model_that_takes_no_pictures(shape, words):
    with pytest.raises(ImageError, match=words):
        preprocess("cat", Model(input_shape=shape))


def test_preprocess_does_not_guess_around_a_foreign_recipe():
    with pytest.raises(ImageError, match=r"preprocessing is a dict, not a"):
        preprocess("cat", Model(preprocessing={"mean": 0}))
