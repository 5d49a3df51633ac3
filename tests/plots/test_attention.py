"""classykit.plots.attention: heads, rollout and distances, on light and dark pages."""

import numpy as np
import pytest
import torch
from figures import picture
from looked_into import X, demo_attention, small_vit

import classykit as ck
from classykit.errors import ConfigError


@pytest.fixture(scope="module")
def found():
    return demo_attention()


def test_a_picture_a_head(found):
    figure = found.plot(query=(5, 6), layer="layer_4", index=1)
    assert figure.get_suptitle() == "vit_demo, layer_4: what patch (5, 6) attends to"
    assert len(figure.axes) == 1 + 4 and picture(figure)
    frame = figure.axes[0].patches[0]
    assert frame.get_xy() == pytest.approx((6 * 8 - 0.5, 5 * 8 - 0.5)) and frame.get_width() == pytest.approx(8)
    most = float(found["layer_4"][1, 0, 1 + 5 * 14 + 6, 1:].max())
    assert figure.axes[1].get_title() == f"0: ≤ {100 * most:.2g} %"
    token = found.plot(query=0)
    assert "what the class token attends to" in token.get_suptitle() and not token.axes[0].patches


def test_what_is_attended_to_stays_bright(found):
    shown = found.plot(query=0, layer=4, index=1).axes[1].images[0].get_array()
    shares = found["layer_4"][1, 0, 0, 1:].reshape(14, 14).numpy()
    bright = np.asarray(shown).mean(2) / found.picture(1).mean(2).clip(0.05)
    row, column = np.unravel_index(shares.argmax(), shares.shape)
    low_row, low_column = np.unravel_index(shares.argmin(), shares.shape)
    assert bright[8 * row + 4, 8 * column + 4] > 0.9 > 0.5 > bright[8 * low_row + 4, 8 * low_column + 4]


def test_rollout_and_distance(found):
    assert "(approximate)" in found.plot("rollout").get_suptitle()
    axes = found.plot("distance").axes[0]
    assert axes.get_ylabel() == "mean distance (px)"
    dots = [line.get_ydata() for line in axes.lines if line.get_marker() == "o"]
    assert [list(map(float, d)) for d in dots] == [pytest.approx(d.tolist()) for d in found.distance().values()]
    assert max(map(max, dots)) < axes.get_ylim()[1], "none is cut off"


def test_untrained_and_not_verified_are_said():
    found = ck.attention(small_vit(), X)
    for what in ("heads", "rollout"):
        assert found.plot(what).get_suptitle().endswith("(untrained)")


def test_tokens_without_a_picture():
    layer = torch.nn.TransformerEncoderLayer(16, 4, 16, batch_first=True)
    found = ck.attention(layer, torch.rand(2, 6, 16))
    for what in ("heads", "rollout", "distance"):
        with pytest.raises(ConfigError, match=r"no grid|Distances are those of pictures"):
            found.plot(what)


@pytest.mark.parametrize("what", ["heads", "rollout", "distance"])
def test_legible_on_light_and_dark(what, found):
    drawn = np.asarray(picture(found.plot(what)).convert("RGBA"))
    assert drawn[-1, -1, 3] == 0, "the page's own ground"
