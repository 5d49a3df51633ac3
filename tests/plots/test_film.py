"""classykit.plots.film: a video model's maps over time."""

import io

import pytest
import torch
from PIL import Image

from classykit.clips import moving_shapes
from classykit.errors import ConfigError
from classykit.plots import feature_film


def titles(figure):
    return [a.get_title() for a in figure.axes]


class TestFilm:
    def test_a_row_a_channel_and_a_column_a_time_step(self, steady_and_rising):
        figure = feature_film(steady_and_rising, title="<b>block")
        assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 4)
        assert figure.get_suptitle() == "<b>block"
        assert sorted(filter(None, titles(figure))) == [f"step {t} of 4" for t in (1, 2, 3, 4)]
        assert [a.get_ylabel() for a in figure.axes if a.get_ylabel()] == ["1", "0"], "what varies over time first"
        shown = {}
        for axes in figure.axes:
            spec, image = axes.get_subplotspec(), axes.images[0]
            shown[spec.rowspan.start, spec.colspan.start] = float(image.get_array()[0, 0])
            assert (image.norm.vmin, image.norm.vmax) == ((0, 30) if spec.rowspan.start == 0 else (5, 5 + 1e-12))
        assert [shown[0, t] for t in range(4)] == [0, 10, 20, 30] and {shown[1, t] for t in range(4)} == {5}

    def test_the_clip_above(self, steady_and_rising):
        clip = moving_shapes(frames=8, size=16)
        figure = feature_film(steady_and_rising, clip, count=1)
        frames = [a.images[0].get_array() for a in figure.axes if a.get_title()]
        assert len(figure.axes) == 8 and figure.axes[0].get_ylabel() == "input"
        assert all((frames[t] == clip[2 * t]).all() for t in range(4)), "the first frame of each step"

    def test_many_steps_are_thinned_out(self):
        figure = feature_film(torch.rand(1, 3, 16, 2, 2), columns=4, count=2, scale="shared", order="index")
        assert [t for t in titles(figure) if t] == [f"step {t} of 16" for t in (1, 6, 11, 16)]
        assert len({(a.images[0].norm.vmin, a.images[0].norm.vmax) for a in figure.axes}) == 1

    @pytest.mark.parametrize("shape", [(1, 8, 7, 7), (1, 17, 6), (1, 10)])
    def test_what_has_no_time_is_one_column(self, shape):
        assert feature_film(torch.rand(shape)).axes[0].get_subplotspec().get_gridspec().ncols == 1

    def test_it_has_a_png_form_and_no_window(self):
        import matplotlib.pyplot as plt

        before = plt.get_fignums()
        features = torch.rand(1, 4, 3, 5, 5)
        features[0, 0] = float("nan")
        picture = Image.open(io.BytesIO(feature_film(features, ["cat", "coffee"])._repr_png_()))
        assert len(picture.convert("RGB").getcolors(2**24)) > 20 and plt.get_fignums() == before

    @pytest.mark.parametrize("options", [{"count": 0}, {"columns": 0}, {"order": "x"}, {"scale": "x"}])
    def test_errors(self, options):
        with pytest.raises(ConfigError):
            feature_film(torch.rand(1, 4, 2, 3, 3), **options)
