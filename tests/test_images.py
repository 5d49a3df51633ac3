"""classykit.images: pictures as a model's input."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import classykit as ck
from classykit.errors import ConfigError, ImageError
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
        ({"mean": (0.5,)}, "mean has 1 numbers and std 3"),
        ({"mean": ()}, "three finite numbers"),
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


class TestOtherChannels:
    """Grey pictures, and those of several bands."""

    def test_grey_is_the_luminance(self):
        of_colours, grey = Preprocessing(size=64), Preprocessing(size=64).for_channels(1)
        assert grey.mean == pytest.approx([np.mean(of_colours.mean)]) and len(grey.std) == 1
        plain = Preprocessing(size=64, mean=(0.0,), std=(1.0,))("coffee")
        wanted = np.array(load_image("coffee").convert("L").crop((100, 0, 500, 400)).resize((64, 64), 3)) / 255
        assert plain.shape == (1, 1, 64, 64) and np.abs(plain[0, 0].numpy() - wanted).max() < 0.01
        shown = np.array(grey.to_display("coffee"))
        assert shown.shape == (64, 64, 3) and (shown[..., 0] == shown[..., 2]).all()

    def test_a_grey_picture_is_the_same_in_colours(self):
        grey = load_image("coffee").convert("L")
        one, three = (Preprocessing(size=64, mean=(0.4,) * n, std=(0.2,) * n)(grey) for n in (1, 3))
        assert torch.equal(one.expand(1, 3, 64, 64), three)

    def test_bands_are_each_prepared_as_colours_are(self):
        """In float, not in 8 bits, which cut off what overshoots on the way: otherwise the same."""
        bands = np.array(load_image("coffee"), np.float32) / 255
        six = np.concatenate([bands, bands[..., ::-1]], -1)
        recipe = Preprocessing(size=64, mean=(0.45,) * 6, std=(0.2,) * 6)
        found, wanted = recipe(six), Preprocessing(size=64, mean=(0.45,) * 3, std=(0.2,) * 3)("coffee")
        assert found.shape == (1, 6, 64, 64)
        assert (found[:, :3] - wanted).abs().mean() < 0.01 and torch.equal(found[:, 3:], found[:, :3].flip(1))
        assert recipe.to_display(six).size == (64, 64)
        assert Preprocessing(size=8, mean=(0.5,) * 2, std=(1.0,) * 2).to_display(np.zeros((9, 9, 2))).mode == "RGB"

    @pytest.mark.parametrize("family", ["resnet18", "densenet121", "efficientnet_b0", "regnet_y_400mf", "vit_b_32"])
    @pytest.mark.parametrize("channels", [1, 4])
    def test_models_of_every_family_take_them(self, family, channels):
        model = ck.build_model(family, device="meta", in_channels=channels)
        picture = "coffee" if channels == 1 else np.random.default_rng(0).random((300, 400, 4))
        x = ck.preprocess(picture, model)
        assert x.shape == (1, *model.input_shape) and model(x.to("meta")).shape[0] == 1

    def test_a_photograph_has_no_five_bands(self):
        model = ck.build_model("resnet18", device="meta", in_channels=5)
        with pytest.raises(ImageError, match="takes 5 bands"):
            ck.preprocess("coffee", model)
