"""classykit.plots.receptive_field: how far each block sees."""

from dataclasses import replace

import pytest
from figures import MLP, texts
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.plots import receptive_field_curve


class TestReceptiveField:
    def sizes(self, axes, mark):
        return [n for line in axes.lines if line.get_marker() == mark for n in line.get_ydata()]

    def test_against_the_input(self):
        i = ck.inspect("resnet50")
        (axes,) = receptive_field_curve(i).axes
        assert self.sizes(axes, "o") == [b.receptive_field.size[0] for b in i.blocks]
        assert "input: 224 px" in texts(axes) and str(i.blocks[-1].receptive_field.size[0]) in texts(axes)
        assert axes.get_xlabel() == "" and not self.sizes(axes, "s") and not self.sizes(axes, "x")

    def test_time_is_a_part_of_its_own(self):
        time, space = receptive_field_curve(ck.inspect("r3d_18")).axes
        assert time.get_ylabel() == "time (frames, log scale)" and "input: 16 frames" in texts(time)
        assert space.get_ylabel() == "height and width (px, log scale)" and "input: 112 px" in texts(space)

    def test_height_and_width_that_differ(self):
        i = ck.inspect(nn.Sequential(nn.Conv2d(3, 4, (3, 5))), (3, 32, 32))
        assert [a.get_ylabel().split()[0] for a in receptive_field_curve(i).axes] == ["height", "width"]

    def test_what_is_global_is_said(self):
        i = ck.inspect("efficientnet_b0")
        (axes,) = receptive_field_curve(i).axes
        assert self.sizes(axes, "o") == [3] and set(self.sizes(axes, "s")) == {224}
        assert "global from block0-0 on: squeeze-excitation in block0-0" in axes.get_xlabel().replace("\n", " ")

    def test_what_is_unknown_is_said(self):
        i = ck.inspect("resnet18")
        image = (224, 224)
        why = "an operation that nobody knows " * 8
        fields = [ReceptiveField(None, None, None, image, "", why), ReceptiveField(None, None, None, image, "", why),
                  None, ReceptiveField((224, 9), (0, 4), (0, -3), image, "pooling in x")]  # fmt: skip
        blocks = [replace(b, receptive_field=f) for b, f in zip(i.blocks[1:5], fields, strict=True)]
        figure = receptive_field_curve(replace(i, blocks=(i.blocks[0], *blocks, *i.blocks[5:])))
        assert [a.get_ylabel().split()[0] for a in figure.axes] == ["height", "width"]
        names = [b.name for b in blocks]
        words = " ".join(figure.axes[-1].get_xlabel().split())
        assert f"× unknown from {names[0]} to {names[1]}: an operation" in words
        assert f"× unknown in {names[2]}: no tensor that comes from the input" in words
        assert f"□ partly global in {names[3]}: pooling in x" in words
        for axes in figure.axes:
            assert len(self.sizes(axes, "x")) == 3
        assert self.sizes(figure.axes[0], "s") == [224] and not self.sizes(figure.axes[1], "s")
        box = figure.axes[-1].xaxis.label.get_window_extent()
        assert box.x1 <= figure.bbox.x1 and box.y0 >= 0, "all of the words are in the picture"

    def test_without_an_extent(self):
        with pytest.raises(ConfigError, match="mlp has no receptive field to draw: its input 12"):
            receptive_field_curve(ck.inspect(MLP))
