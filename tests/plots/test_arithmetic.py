"""classykit.plots.arithmetic: window × kernel = products, and the sum below."""

import pytest
import torch
from figures import picture, texts
from torch import nn

import classykit as ck

X = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_numbers_and_padding():
    found = ck.arithmetic(nn.Conv2d(3, 4, 3, padding=1), X, "model", 1, (0, 3))
    figure = found.plot()
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["window", "× kernel", "= products"] and picture(figure)
    assert len(figure.axes[0].patches) == 3 and len(texts(figure.axes[0])) == 6, "padding is hatched, and has no number"
    assert texts(figure.axes[1])[0] == f"{float(found.kernel[0, 0, 0]):.2g}"
    assert f"= {found.sum:.4g}" in figure.get_supxlabel()


@pytest.mark.parametrize(
    "layer, x",
    [
        (nn.Conv2d(3, 4, 7), X), (nn.Conv1d(3, 4, 3), torch.rand(1, 3, 9)), (nn.Linear(5, 2), torch.rand(1, 5)),
        (nn.Conv3d(3, 4, 2), torch.rand(1, 3, 4, 4, 4)), (nn.ConvTranspose2d(3, 4, 3, stride=2), X),
    ],
)  # fmt: skip
def test_all_kinds(layer, x):
    at = (0,) * (x.ndim - 2)
    assert picture(ck.arithmetic(layer, x, "model", 1, at).plot())


def test_what_follows_is_written_below():
    net = ck.build_model("resnet18")
    figure = ck.arithmetic(net, torch.rand(1, 3, 64, 64), "initial_block._module.0", 3, (4, 4)).plot()
    assert "→  batch_norm" in figure.get_supxlabel() and "→  relu" in figure.get_supxlabel()
