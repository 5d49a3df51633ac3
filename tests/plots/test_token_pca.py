"""classykit.plots.token_pca: principal components as colours."""

import numpy as np
import pytest
import torch
from figures import picture

import classykit as ck
from classykit.errors import ConfigError, ShapeError
from classykit.plots import token_pca


def test_colours_below_their_pictures():
    model = ck.load_pretrained("vit_demo")
    x = torch.cat([ck.preprocess(name, model) for name in ("cat", "coffee", "rocket")])
    tokens = ck.capture(model, x, "ln")["ln"]
    figure = token_pca(tokens, ["cat", "coffee", "rocket"], "vit_demo, ln")
    assert len(figure.axes) == 6 and picture(figure)
    wanted = ck.feature_pca(tokens)
    for axes, colours in zip(figure.axes[3:], wanted, strict=True):
        assert np.array_equal(axes.images[0].get_array(), colours.permute(1, 2, 0).numpy())
    assert picture(token_pca(tokens, foreground=0.4))


def test_bad_input():
    with pytest.raises(ConfigError, match="2 features and 1 pictures"):
        token_pca(torch.rand(2, 8, 4, 4), ["cat"])
    with pytest.raises(ShapeError, match="Features with places"):
        token_pca(torch.rand(2, 8))
