"""classykit.plots.design_space: error distributions, and the line of a RegNet's widths."""

import numpy as np
import pytest

import classykit as ck
from classykit.errors import ConfigError, UnknownNameError
from classykit.plots.design_space import edf, quantised_widths


class TestEdf:
    def test_the_share_below_each_error(self):
        figure = edf({"free": [0.5, 0.2, 0.4, float("nan")], "designed": np.array([0.1, 0.3])})
        (axes,) = figure.axes
        free, designed = axes.lines
        assert free.get_xdata().tolist() == [0.2, 0.4, 0.5] and np.allclose(free.get_ydata(), [1 / 3, 2 / 3, 1])
        assert designed.get_ydata().tolist() == [0.5, 1.0]
        words = [text.get_text() for text in axes.get_legend().get_texts()]
        assert words == ["free: 3 networks, the middle one 0.4", "designed: 2 networks, the middle one 0.2"]
        figure.draw_without_rendering()

    @pytest.mark.parametrize("errors", [{}, [0.1], {"a": []}, {"a": [float("nan")]}])
    def test_nothing_to_draw(self, errors):
        with pytest.raises(ConfigError):
            edf(errors)


class TestQuantisedWidths:
    def test_line_and_steps(self):
        """RegNetY-3.2GF: 2 × 72, 5 × 216, 13 × 576, 1 × 1512."""
        (axes,) = quantised_widths("regnet_y_3.2gf").axes
        line, steps = axes.lines
        assert line.get_ydata()[0] == 80 and line.get_ydata()[1] == pytest.approx(80 + 42.63)
        assert steps.get_ydata().tolist() == [72] * 2 + [216] * 5 + [576] * 13 + [1512] * 2
        assert [text.get_text() for text in axes.texts] == ["2 × 72", "5 × 216", "13 × 576", "1 × 1512"]

    def test_a_config_of_ones_own(self):
        config = ck.Space("regnet").draw(np.random.default_rng(0))
        figure = ck.plots.quantised_widths(config)
        assert f"× {config['w_m']:g}" in figure._suptitle.get_text()
        figure.draw_without_rendering()

    def test_others(self):
        with pytest.raises(ConfigError, match="Only a RegNet"):
            quantised_widths("resnet18")
        with pytest.raises(UnknownNameError):
            quantised_widths("regnet_y")
