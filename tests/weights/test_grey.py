"""classykit.weights.grey: weights that were trained on colours, for grey pictures."""

import numpy as np
import pytest
import torch

import classykit as ck
from classykit.errors import WeightsError
from classykit.images import load_image
from classykit.weights.grey import in_grey


@pytest.mark.parametrize("name", ["efficientnet_lite0", "vit_demo"])
def test_a_grey_picture_gives_what_its_colours_gave(name):
    """Exactly, where the colours' means and spreads are alike."""
    colours, grey = ck.load_pretrained(name), ck.load_pretrained(name, in_channels=1)
    recipe = colours.preprocessing
    if len(set(recipe.mean)) > 1:
        recipe = recipe.for_channels(1).for_channels(3)
    picture = load_image("cat").convert("L")
    with torch.no_grad():
        found, wanted = grey(ck.preprocess(picture, grey)), colours(recipe(picture))
    assert torch.allclose(found, wanted, atol=1e-3)
    assert grey.weights.endswith("the first layer summed over colours") and grey.labels == colours.labels
    assert grey.input_shape == (1, *colours.input_shape[1:]) and not grey.training


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "efficientnet_b0", "regnet_y_400mf", "vit_b_32"])
def test_every_family(name):
    torch.manual_seed(0)
    keys = {"image_size": 64} if name.startswith("vit") else {}
    model = ck.build_model(name, **keys).eval()
    model.attach_head(model.block_names[-1], "linear_probe", unique_id="mine", num_classes=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    grey, x = in_grey(model, 1), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        wanted = model(x.expand(-1, 3, -1, -1))
        assert (grey(x) - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert in_grey(model, 3) is model


def test_other_channels_are_refused():
    for channels in (2, 4, 0, "1", True, 1.0):
        with pytest.raises(WeightsError, match="or 1 for grey"):
            ck.load_pretrained("vit_demo", in_channels=channels)
    with pytest.raises(WeightsError, match="or 1 for grey"):
        in_grey(ck.build_model("r3d_18"), 1)


@pytest.mark.parametrize("ours, theirs, n", [("resnet18", "resnet18", 1), ("efficientnet_b0", "efficientnet_b0", 4)])
def test_models_of_timm_with_other_channels(ours, theirs, n):
    timm = pytest.importorskip("timm")
    net = timm.create_model(theirs, in_chans=n, num_classes=5).eval()
    model, x = ck.load_pretrained(ours, source=net), torch.rand(1, n, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(x), net(x), atol=1e-4)
    picture = "cat" if n == 1 else np.random.default_rng(0).random((50, 60, n))
    assert ck.preprocess(picture, model).shape[1] == n
