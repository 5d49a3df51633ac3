"""classykit.plots.filters: first-layer filters as pictures."""

import numpy as np
import pytest
import torch
from figures import picture
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError
from classykit.plots import filters


def test_each_about_grey():
    layer = nn.Conv2d(3, 5, 4)
    figure = filters(layer)
    assert len(figure.axes) == 5
    for number, axes in enumerate(figure.axes):
        weight = layer.weight[number].detach()
        wanted = 0.5 + 0.5 * weight / weight.abs().max()
        assert np.abs(axes.images[0].get_array() - wanted.permute(1, 2, 0).numpy()).max() < 1e-6
        assert axes.get_title() == str(number)
    assert picture(figure)


@pytest.mark.parametrize("name, words", [("efficientnet_lite0", "conv_stem"), ("vit_demo", "conv_proj")])
def test_the_first_layer_of_trained_models(name, words):
    figure = filters(ck.load_pretrained(name), count=10, columns=4)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 10 and words in figure.get_suptitle() and "untrained" not in figure.get_suptitle()
    assert picture(figure)


def test_others():
    model = pytest.importorskip("torchvision.models").resnet18()
    assert filters(model).get_suptitle() == "Filters of conv1 in ResNet (untrained): 64 of 7×7"
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3))
    low, high = filters(grey).axes[0].images[0].get_clim()
    assert low == -high and high == pytest.approx(float(grey[0].weight[0].abs().max()))
    assert len(filters(nn.Sequential(nn.Conv2d(5, 3, 3), nn.Conv2d(3, 4, 3)), "1").axes) == 4


def test_bad_input():
    with pytest.raises(ConfigError, match="no convolution that takes pictures"):
        filters(ck.build_model("mlp", input_dim=4, output_dim=2, hidden_dims=[3]))
    with pytest.raises(ConfigError, match=r"'1' has weights \(4, 5, 3, 3\)"):
        filters(nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3)), "1")
    with pytest.raises(BlockError, match="no block 'stem'"):
        filters(nn.Conv2d(3, 5, 3), "stem")
    with pytest.raises(ConfigError, match="at least 1"):
        filters(nn.Conv2d(3, 5, 3), count=0)
    assert torch.is_grad_enabled()
