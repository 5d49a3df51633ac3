"""classykit.plots.shapes: resolution and channels by block."""

from dataclasses import replace

import numpy as np
import pytest
from figures import MLP, SHOWN, name_of, overlapping, texts
from torch import nn

import classykit as ck
from classykit.plots import shape_flow


class Odd(nn.Module):
    """Gives a block of no known kind, then a map."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)

    def forward(self, x):
        return self.b(self.a(x))


class TestShapes:
    def test_a_network_of_maps(self):
        above, below = shape_flow(ck.inspect("resnet50")).axes
        assert texts(above) == ["224×224", "56×56", "28×28", "14×14", "7×7"]
        assert set(texts(below)) == {"3", "64", "256", "512", "1024", "2048"}
        y = above.lines[0].get_ydata()
        assert y[0] == 224 * 224 and y[-1] == 49 and below.lines[0].get_ydata()[-1] == 2048
        assert above.get_yscale() == below.get_yscale() == "log"
        assert below.get_xticklabels()[1].get_text() == "initial_block"

    def test_tokens_and_clips(self):
        tokens = shape_flow(ck.inspect("vit_b_16")).axes[0]
        assert 197 in tokens.lines[0].get_ydata() and "197 tokens" in texts(tokens)
        clip = shape_flow(ck.inspect("r3d_18")).axes[0]
        assert texts(clip) == ["16×112×112", "16×56×56", "8×28×28", "4×14×14", "2×7×7"]
        assert clip.lines[0].get_ydata()[0] == 16 * 112 * 112

    def test_channels_last_is_no_other_shape(self):
        models = pytest.importorskip("torchvision.models")
        above, below = shape_flow(ck.inspect(models.swin_t())).axes
        assert texts(above)[1:5] == ["56×56", "28×28", "14×14", "7×7"] and "768" in texts(below)

    def test_vectors_have_no_resolution(self):
        (axes,) = shape_flow(ck.inspect(MLP)).axes
        assert "channels" in axes.get_ylabel()
        assert [axes.lines[0].get_ydata()[2 * i] for i in range(4)] == [12, 16, 8, 5]

    @pytest.mark.parametrize("model", [*SHOWN, "long"], ids=lambda m: m if m == "long" else name_of(m))
    def test_labels_do_not_overlap_and_stay_inside(self, model, long):
        figure = shape_flow(long if model == "long" else ck.inspect(model))
        figure.draw_without_rendering()
        for axes in figure.axes:
            inside = axes.get_window_extent().padded(1)
            boxes = [t.get_window_extent() for t in axes.texts]
            assert boxes and not overlapping(boxes)
            assert all(inside.x0 <= b.x0 and b.x1 <= inside.x1 for b in boxes)
        ticks = [t.get_window_extent() for t in figure.axes[-1].get_xticklabels() if t.get_text()]
        assert not overlapping(ticks)

    def test_what_is_not_known_is_a_gap(self):
        i = ck.inspect(Odd(), (3, 16, 16))
        odd = replace(i, blocks=(replace(i.blocks[0], features=None, output_shape=None), *i.blocks[1:]))
        above, below = shape_flow(odd).axes
        assert "?" in texts(above) and np.isnan(above.lines[0].get_ydata()).any()
        assert np.isnan(below.lines[0].get_ydata()).sum() == 2
