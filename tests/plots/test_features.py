"""classykit.plots.features: a figure that shows itself and belongs to no window."""

import io

import pytest
import torch
from figures import picture
from PIL import Image

import classykit as ck
from classykit.errors import ConfigError
from classykit.plots import feature_grid, feature_map


@pytest.mark.parametrize(
    "channels, count, image, axes", [(16, 4, None, 4), (3, 24, None, 3), (40, 24, "x", 25), (1, 24, "x", 2)]
)
def test_one_axes_a_map_and_one_for_the_picture(channels, count, image, axes):
    image = image and Image.new("RGB", (20, 10), "red")
    figure = feature_grid(torch.rand(1, channels, 5, 6), image, count=count)
    assert len(figure.axes) == axes
    shown = [a.images[0].get_array().shape for a in figure.axes]
    assert shown == ([(10, 20, 3)] if image else []) + [(5, 6)] * min(channels, count)


def test_maps_are_labelled_with_their_channel_and_drawn_on_their_scale():
    features = torch.zeros(1, 3, 2, 2)
    features[0, 1], features[0, 2, 0, 0] = 5, 8
    figure = feature_grid(features, order="index", title="block")
    assert [a.get_title() for a in figure.axes] == ["0", "1", "2"]
    assert [a.images[0].norm.vmin for a in figure.axes] == [0, 5, 0] and figure.axes[2].images[0].norm.vmax == 8
    assert figure.get_suptitle() == "block"
    shared = feature_grid(features, order="index", scale="shared")
    assert {(a.images[0].norm.vmin, a.images[0].norm.vmax) for a in shared.axes} == {(0, 8)}
    assert [a.get_title() for a in feature_grid(features, order="mean").axes] == ["1", "2", "0"]


@pytest.mark.parametrize(
    "shape", [(1, 8, 7, 7), (1, 17, 6), (1, 10), (1, 4, 3, 5, 5)], ids=["map", "tokens", "vector", "clip"]
)
@pytest.mark.parametrize("nan", [False, True])
def test_a_figure_has_a_png_form(shape, nan):
    features = torch.rand(shape)
    if nan:
        features.view(-1)[::3] = float("nan")
    picture = Image.open(io.BytesIO(feature_grid(features, "grace_hopper", title="<b>")._repr_png_()))
    assert picture.format == "PNG" and min(picture.size) > 100
    assert len(picture.convert("RGB").getcolors(2**24)) > 20


def test_columns_and_rows():
    figure = feature_grid(torch.rand(1, 10, 3, 3), columns=4)
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert grid.get_geometry() == (3, 4)


def test_no_pyplot_figure_is_left_open():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    feature_grid(torch.rand(1, 4, 3, 3))._repr_png_()
    assert plt.get_fignums() == before


def test_what_a_model_sees(small):
    model, x = small
    features = ck.capture(model, x[:1], "block0-0")["block0-0"]
    assert len(feature_grid(features, count=6).axes) == 6


@pytest.mark.parametrize("options", [{"count": 0}, {"columns": 0}, {"order": "x"}, {"scale": "x"}])
def test_errors(options):
    with pytest.raises(ConfigError):
        feature_grid(torch.rand(1, 4, 3, 3), **options)


class TestOneMoment:
    @pytest.mark.parametrize("frame, shown", [(None, 20), (0, 0), (3, 30), (9, 30)])
    def test_the_grid_says_which_it_is(self, frame, shown, steady_and_rising):
        figure = feature_grid(steady_and_rising, title="block", frame=frame)
        assert figure.axes[0].images[0].get_array()[0, 0] == shown
        assert figure.get_suptitle() == f"block · step {shown // 10 + 1} of 4"
        assert (figure.axes[0].images[0].norm.vmin, figure.axes[0].images[0].norm.vmax) == (0, 30)

    def test_a_bad_frame(self):
        with pytest.raises(ConfigError, match="frame is a whole number from 0"):
            feature_grid(torch.rand(1, 2, 3, 2, 2), frame=-1)


class TestSignedAndSorted:
    features = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(0))

    def test_signed_colours_are_centred(self):
        figure = feature_grid(self.features, colours="signed", order="index")
        assert len(figure.axes) == 6
        for channel, axes in enumerate(figure.axes):
            limit = float(self.features[0, channel].abs().max())
            assert axes.images[0].get_clim() == pytest.approx((-limit, limit))
        with pytest.raises(ConfigError, match=r'colours is "viridis" or "signed"'):
            feature_grid(self.features, colours="jet")

    def test_a_colour_bar_where_there_is_one_scale(self):
        figure = feature_grid(self.features, scale="shared", colours="signed", bar=True)
        assert len(figure.axes) == 6 + 1 and picture(figure)
        assert len({axes.images[0].get_clim() for axes in figure.axes[:6]}) == 1
        with pytest.raises(ConfigError, match='goes with scale="shared"'):
            feature_grid(self.features, bar=True)

    def test_most_like_a_map_or_the_picture(self):
        like = torch.linspace(-1, 1, 8).expand(8, 8)
        features = self.features.clone()
        features[0, 4] = like * 3 + 0.1 * features[0, 4]
        features[0, 2] = -like
        figure = feature_grid(features, order=like)
        titles = [axes.get_title() for axes in figure.axes]
        assert titles[0] == "4" and titles[-1] == "2"
        image = ((like + 1) / 2)[..., None].expand(8, 8, 3).numpy()
        by_picture = feature_grid(features, (image * 255).astype("uint8"), order="picture")
        assert [axes.get_title() for axes in by_picture.axes][1] == "4"
        with pytest.raises(ConfigError, match="compares with the picture"):
            feature_grid(features, order="picture")

    def test_one_enlarged(self):
        figure = feature_map(self.features, 3, "cat")
        assert len(figure.axes) == 4 and picture(figure)
        shown = figure.axes[1].images[0].get_array()
        assert (shown == self.features[0, 3].numpy()).all()
        assert sum(bar.get_height() for bar in figure.axes[2].patches) == 64
        with pytest.raises(ConfigError, match="channels 0 to 5, not 6"):
            feature_map(self.features, 6)
