"""classykit.plots.scatter: many models by what they cost."""

import pytest
import torch
from figures import overlapping, picture, texts
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.plots import cost_scatter


@pytest.fixture(scope="module")
def zoo():
    """Most of the registered models; families that need a config fail, and do not matter."""
    names = [n for pattern in ("res*", "regnet*", "vit*", "efficientnet_*") for n in ck.list_models(pattern)]
    return ck.compare(names, budget={"params": 2e7, "macs": 2e9}, baseline="resnet50")


class TestScatter:
    def test_a_disc_a_model(self):
        c = ck.compare(["resnet18", "vit_b_16"], baseline="vit_b_16")
        (axes,) = c.plot().axes
        discs = [d for d in axes.collections if len(d.get_offsets())]
        at = {tuple(d.get_offsets()[0]): d.get_sizes()[0] for d in discs}
        points = {n: (c[n].macs, c[n].params) for n in c.names}
        assert set(at) == set(points.values())
        shares = at[points["resnet18"]] / at[points["vit_b_16"]]
        assert shares == pytest.approx(c["resnet18"].activations / c["vit_b_16"].activations, rel=1e-3)
        assert axes.get_xlabel() == "MACs, log scale" and axes.get_xscale() == axes.get_yscale() == "log"
        assert sorted(texts(axes)) == ["resnet18", "vit_b_16"]

    def test_other_figures(self):
        (axes,) = ck.compare(["resnet18", "vit_b_16"]).plot(x="activation_bytes", y="flops", size="params").axes
        assert axes.get_xlabel() == "activations (bytes), log scale" and axes.get_ylabel() == "FLOPs, log scale"

    def test_names_overlap_neither_each_other_nor_discs(self, zoo):
        figure = zoo.plot()
        figure.draw_without_rendering()
        (axes,) = figure.axes
        names = [t for t in axes.texts if not t.get_text().startswith("budget")]
        boxes = [t.get_window_extent() for t in names]
        assert 15 <= len(names) < len(zoo) and not overlapping(boxes)
        least = min(zoo.names, key=lambda name: zoo.figure(name, "params"))
        assert zoo.baseline in texts(axes) and least in texts(axes), "the baseline, and the least of all"
        assert f"{len(names)} of {len(zoo)} named" in [t.get_text() for t in figure.texts]
        inside = axes.get_window_extent().padded(1)
        assert all(inside.contains(*p) for b in boxes for p in ((b.x0, b.y0), (b.x1, b.y1)))

    def test_the_budget_is_drawn(self, zoo):
        figure = zoo.plot()
        (axes,) = figure.axes
        assert {"budget 2 G", "budget 20 M"} <= set(texts(axes))
        assert [line.get_xdata()[0] for line in axes.lines[:1]] == [2e9] and axes.lines[1].get_ydata()[0] == 2e7
        words = [t.get_text() for t in figure.legends[0].get_texts()]
        assert "over budget" in words and f"baseline {zoo.baseline}" in words

    @pytest.mark.parametrize("modules", [[nn.ReLU()], [nn.ReLU(), nn.Conv2d(3, 2, 1)]], ids=len)
    def test_what_costs_nothing_is_on_the_axis(self, modules):
        c = ck.compare([nn.Sequential(m) for m in modules], input_shape=(3, 8, 8))
        figure = c.plot()
        assert len(texts(figure.axes[0])) == len(modules) and picture(figure)

    def test_equal_models(self):
        c = ck.compare([nn.Sequential(nn.Conv2d(3, 2, 1)) for _ in range(3)], input_shape=(3, 8, 8))
        assert "Sequential" in texts(c.plot().axes[0])

    def test_errors(self):
        found = {"a": ck.inspect("resnet18")}
        with pytest.raises(ConfigError, match=r"x is one of .* Did you mean 'macs'"):
            cost_scatter(found, x="mac")
        with pytest.raises(ConfigError, match="size is one of"):
            cost_scatter(found, size=torch.float32)
        with pytest.raises(ConfigError, match="no model"):
            cost_scatter({})
