"""classykit.plots.patches: a row a channel."""

import pytest
import torch
from figures import picture

import classykit as ck
from classykit.errors import ConfigError
from classykit.plots.patches import patch_rows


def test_the_strongest_channels_first():
    found = ck.top_patches(ck.load_pretrained("efficientnet_lite0"), ["cat", "coffee"], "block1-1", k=3)
    figure = found.plot()
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    wanted = sorted(found.patches, key=lambda c: -found.patches[c][0].value)[:8]
    assert rows == [str(c) for c in wanted] and len(figure.axes) == 8 * 3 and picture(figure)
    first = found.patches[wanted[0]][0]
    assert figure.axes[0].get_title() == f"{first.value:.3g}"
    assert figure.axes[0].images[0].get_array().shape[:2] == found.crop(first).shape[:2]
    assert len(patch_rows(found, [5]).axes) == 3
    with pytest.raises(ConfigError, match="channel 99 were not asked for"):
        found.plot([99])


def test_a_dot_where_the_whole_picture_is_seen():
    sizes = dict(image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16)
    found = ck.top_patches(ck.build_model("vision_transformer", **sizes), torch.rand(2, 3, 32, 32), "layer_0", [1], k=1)
    (axes,) = found.plot().axes
    row, column = found.patches[1][0].position
    (dot,) = axes.lines
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (8 * column + 3.5, 8 * row + 3.5)
    assert found.plot().get_suptitle().endswith("(untrained)")
