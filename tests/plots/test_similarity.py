"""classykit.plots.similarity: a heat map with names."""

import torch
from figures import picture
from torch import nn

import classykit as ck


def test_names_and_values():
    found = ck.similarity(ck.build_model("resnet18"), torch.rand(3, 3, 32, 32), ["block0-0", "block1-0", "block3-1"])
    figure = found.plot()
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == [t.get_text() for t in axes.get_yticklabels()]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["block0-0", "block1-0", "block3-1"]
    assert axes.images[0].get_clim() == (0, 1) and (axes.images[0].get_array() == found.matrix.numpy()).all()
    assert picture(figure)


def test_a_hundred_blocks():
    net = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(70)))
    figure = ck.similarity(net, torch.rand(2, 3, 8, 8), [str(i) for i in range(70)]).plot()
    drawn = picture(figure)
    assert drawn.width < 1100 and 5 < len(figure.axes[0].get_xticks()) < 71
