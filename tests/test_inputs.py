"""classykit.inputs: what a model takes, and how a picture becomes that."""

import types

import pytest
import torch
from PIL import Image

import classykit as ck
from classykit.errors import ImageError
from classykit.images import Preprocessing
from classykit.inputs import input_shape_of, preprocess, preprocessing_of

pytestmark = pytest.mark.filterwarnings("error")
LITE = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
CFG = {
    "input_size": (3, 288, 288), "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "crop_pct": 0.9,
}  # fmt: skip


class Model(torch.nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    "model, side",
    [
        (None, 224),
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


@pytest.mark.parametrize("model", [Model(), Model(input_shape=None), Model(config={"name": "mine"})])
def test_a_default_is_said(model):
    with pytest.warns(UserWarning, match=r"Model does not say how .* ImageNet's mean and std were taken, at 224 × 224"):
        assert preprocess("cat", model).shape == (1, 3, 224, 224)


@pytest.mark.parametrize(
    "attributes, shape",
    [
        ({"input_shape": (1, 28, 28)}, (1, 28, 28)),
        ({"pretrained_cfg": CFG}, (3, 288, 288)),
        ({"input_shape": (3, 64, 64), "pretrained_cfg": CFG}, (3, 64, 64)),
        ({"config": types.SimpleNamespace(image_size=384)}, (3, 384, 384)),
        ({"config": types.SimpleNamespace(image_size=[96, 64], num_channels=1)}, (1, 96, 64)),
        ({"config": types.SimpleNamespace(vision_config=types.SimpleNamespace(image_size=30))}, (3, 30, 30)),
        ({"config": {"name": "x"}}, None),
        ({"config": types.SimpleNamespace(image_size=None)}, None),
        ({"pretrained_cfg": {"input_size": (3, None, 4)}}, None),
        ({"input_shape": "big"}, None),
    ],
)
def test_what_a_module_says_of_its_input(attributes, shape):
    assert input_shape_of(Model(**attributes)) == shape


def test_timms_description_is_read():
    recipe = preprocessing_of(Model(pretrained_cfg=CFG))
    assert recipe == Preprocessing(288, (0.5,) * 3, (0.5,) * 3, interpolation="bicubic", resize=320)
    assert preprocessing_of(Model(pretrained_cfg={**CFG, "crop_mode": "squash"})).resize == (320, 320)
    for odd in (
        {"crop_mode": "border"},
        {"interpolation": "random"},
        {"crop_pct": 1.15},
        {"std": (0,) * 3},
        {"input_size": (3, 2, 4)},
        {"mean": (0.5,)},
    ):
        assert preprocessing_of(Model(pretrained_cfg={**CFG, **odd})) is None
    assert preprocessing_of(Model()) is None and preprocessing_of(Model(pretrained_cfg={"mean": (0.5,) * 3})) is None


def test_a_model_of_timms_adopted_and_converted():
    timm = pytest.importorskip("timm")
    net = timm.create_model("vit_base_patch16_224", embed_dim=48, depth=1, num_heads=3, num_classes=5).eval()
    black = Image.new("RGB", (224, 224))
    for model in (net, ck.ClassyModel.from_model(net), ck.load_pretrained("vision_transformer", source=net)):
        assert torch.equal(preprocess(black, model), torch.full((1, 3, 224, 224), -1.0))
    assert ck.ClassyModel.from_model(timm.create_model("lcnet_050")).input_shape == (3, 224, 224)
    assert ck.ClassyModel.from_model(timm.create_model("mixer_s32_224"), (3, 8, 8)).input_shape == (3, 8, 8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_it_has_the_models_number_type(dtype):
    model = ck.build_model("resnet18", small_input=True, init_planes=8).to(dtype).eval()
    x = preprocess("cat", model)
    assert x.dtype == dtype and model(x).dtype == dtype
