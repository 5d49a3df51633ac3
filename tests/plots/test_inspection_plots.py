"""The plots of an inspection: cost, shapes and receptive field by block, and models in a scatter."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.plots import cost_bars, cost_scatter, receptive_field_curve, shape_flow

MLP = {"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8]}
SHOWN = ["resnet50", "vit_b_16", "efficientnet_b0", "r3d_18", "densenet201", MLP]
INK = (0x80, 0x87, 0x90)


def picture(figure):
    return Image.open(io.BytesIO(figure._repr_png_()))


def texts(axes):
    return [t.get_text() for t in axes.texts]


def name_of(model):
    return model if isinstance(model, str) else model["name"]


def overlapping(boxes):
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


class Odd(nn.Module):
    """Gives a block of no known kind, then a map."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)

    def forward(self, x):
        return self.b(self.a(x))


@pytest.fixture(scope="module")
def long():
    """100 blocks that are all equal but in their widths, which grow."""
    return ck.inspect(nn.Sequential(*(nn.Conv2d(3 + i, 4 + i, 3, 1, 1) for i in range(120))), (3, 16, 16))


@pytest.fixture(scope="module")
def zoo():
    """Most of the registered models; families that need a config fail, and do not matter."""
    names = [n for pattern in ("res*", "regnet*", "vit*", "efficientnet_*") for n in ck.list_models(pattern)]
    return ck.compare(names, budget={"params": 2e7, "macs": 2e9}, baseline="resnet50")


PLOTS = [cost_bars, shape_flow, receptive_field_curve]


@pytest.mark.parametrize("model", SHOWN, ids=name_of)
@pytest.mark.parametrize("plot", PLOTS)
def test_all_kinds_of_models_on_light_and_dark_pages(plot, model):
    if plot is receptive_field_curve and model is MLP:
        pytest.skip("no receptive field")
    inspection = ck.inspect(model)
    drawn = picture(plot(inspection)).convert("RGBA")
    assert drawn.getpixel((drawn.width - 1, drawn.height - 1))[3] == 0, "the page's own ground"
    assert 400 <= drawn.width <= 1100 and 120 <= drawn.height <= 1100
    solid = np.asarray(drawn)[np.asarray(drawn)[..., 3] == 255][:, :3]
    darkest, lightest = solid.sum(1).min(), solid.sum(1).max()
    assert darkest > 150 and lightest < 600, "neither lost on black nor on white"
    title = plot(inspection).get_suptitle()
    assert name_of(model) in title and "input" in title


@pytest.mark.parametrize("plot", PLOTS)
def test_titles(plot):
    inspection = ck.inspect("resnet18", batch_size=4)
    assert "batch of 4" in plot(inspection).get_suptitle()
    assert plot(inspection, title="mine").get_suptitle() == "mine" and plot(inspection, title="").get_suptitle() == ""


def test_none_needs_pyplot_or_a_window():
    code = (
        "import sys, classykit as ck; from classykit.plots import *; i = ck.inspect('resnet18');"
        "[f(i)._repr_png_() for f in (cost_bars, shape_flow, receptive_field_curve)];"
        "ck.compare(['resnet18', 'resnet34']).plot()._repr_png_(); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("plot", PLOTS)
def test_a_model_that_failed_is_drawn_until_there(plot):
    inspection = ck.inspect(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(7, 2)), (3, 16, 16))
    assert inspection.error is not None
    assert "until it failed" in plot(inspection).get_suptitle()


@pytest.mark.parametrize("plot", PLOTS)
def test_a_model_without_blocks(plot):
    with pytest.raises(ConfigError, match="resnet18 has no"):
        plot(replace(ck.inspect("resnet18"), blocks=()))


class TestCost:
    def test_bars_sum_to_the_totals(self):
        i = ck.inspect("resnet50")
        figure = cost_bars(i, ["params", "macs", "flops", "activations", "activation_bytes"])
        gaps = 0.007
        for axes, key in zip(figure.axes, ["params", "macs", "flops", "activations", "activation_bytes"], strict=True):
            drawn = sum(p.get_width() for p in axes.patches)
            assert drawn == pytest.approx(getattr(i, key), rel=len(axes.patches) * gaps)
        assert [a.get_xlabel() for a in figure.axes] == [
            "elements", "multiply-accumulates", "2 × MACs", "elements", "bytes",
        ]  # fmt: skip

    def test_equal_blocks_share_a_bar_that_is_parted(self):
        figure = cost_bars(ck.inspect("vit_b_16"), "macs")
        (axes,) = figure.axes
        labels = [t.get_text() for t in axes.get_yticklabels()]
        assert labels == ["conv_proj", "embedding", "layer_0 … layer_11 ×12", "ln", "trunk_output"]
        parts = [p for p in axes.patches if round(p.get_y() + p.get_height() / 2) == 2]
        assert len(parts) == 12 and len({round(p.get_width()) for p in parts}) == 1
        assert "17.4 G" in texts(axes) and "197 tokens" in texts(axes)

    def test_blocks_run_from_the_top(self):
        (axes,) = cost_bars(ck.inspect("resnet18"), ["params"]).axes
        low, high = axes.get_ylim()
        assert low > high and axes.get_yticklabels()[0].get_text() == "initial_block"

    def test_a_bar_for_each_stage(self):
        figure = cost_bars(ck.inspect("densenet201"), by="stage")
        labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
        assert labels == ["56×56, 7 blocks", "28×28, 13 blocks", "14×14, 49 blocks", "7×7, 34 blocks"]

    def test_names_of_many_blocks_do_not_touch(self, long):
        figure = cost_bars(long)
        figure.draw_without_rendering()
        labels = [t for t in figure.axes[0].get_yticklabels() if t.get_text()]
        assert 20 < len(labels) < 120 and labels[0].get_text() == "0"
        assert not overlapping([t.get_window_extent() for t in labels])
        assert any(t.startswith("Σ ") for t in texts(figure.axes[0])), "the sums of stages"
        assert picture(figure).height < 1000

    def test_heads_are_there(self):
        model = ck.build_model("resnet18", device="meta")
        model.attach_head(model.block_names[-1], "fully_connected", num_classes=10, unique_id="cls")
        (axes,) = cost_bars(ck.inspect(model), "params").axes
        assert axes.get_yticklabels()[-1].get_text() == "cls" and "head" in texts(axes)

    def test_what_costs_nothing(self):
        i = ck.inspect("resnet18")
        free = replace(i.blocks[0], params=0, macs=0, activations=0, activation_bytes=0)
        figure = cost_bars(replace(i, blocks=(free,)))
        assert texts(figure.axes[0])[0] == "0" and picture(figure)

    @pytest.mark.parametrize(
        "options, words",
        [({"what": ["parms"]}, "Did you mean 'params'"), ({"what": []}, "what is some of"), ({"by": "x"}, "by is"),
         ({"what": "time"}, "what is some of")],
    )  # fmt: skip
    def test_errors(self, options, words):
        with pytest.raises(ConfigError, match=words):
            cost_bars(ck.inspect("resnet18"), **options)


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
        assert zoo.baseline in texts(axes) and "regnet_y_400mf" in texts(axes), "the baseline, and the least of all"
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

    def test_a_name_is_no_formula(self):
        c = ck.compare(["resnet18", "resnet34"], names=[r"$\frac$", "$x^2$"])
        assert picture(c.plot()) and {"$x^2$", r"$\frac$"} == set(texts(c.plot().axes[0]))
        i = ck.inspect("resnet18")
        odd = replace(i, name=r"$\frac$", blocks=tuple(replace(b, name=rf"{b.name}$\frac$") for b in i.blocks))
        assert all(picture(plot(odd)) for plot in PLOTS)

    def test_errors(self):
        found = {"a": ck.inspect("resnet18")}
        with pytest.raises(ConfigError, match=r"x is one of .* Did you mean 'macs'"):
            cost_scatter(found, x="mac")
        with pytest.raises(ConfigError, match="size is one of"):
            cost_scatter(found, size=torch.float32)
        with pytest.raises(ConfigError, match="no model"):
            cost_scatter({})
