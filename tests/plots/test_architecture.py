"""classykit.plots.architecture: the whole network as one picture."""

import dataclasses
import io
from xml.etree import ElementTree

import pytest
from torchvision import models

import classykit as ck
from classykit.plots import architecture
from tests.helpers.figures import picture, texts

MLP = {"name": "mlp", "input_dim": 12, "hidden_dims": [8, 8], "output_dim": 3}


def boxes(figure):
    return [(patch.get_width(), patch.get_height(), patch.get_facecolor()[3]) for patch in figure.axes[0].patches]


def test_equal_blocks_are_drawn_once_with_their_number():
    figure = architecture(ck.inspect("resnet50"))
    words = texts(figure.axes[0])
    assert len(boxes(figure)) == 9 and [w for w in words if w.startswith("×")] == ["×2", "×3", "×5", "×2"]
    assert "1024×14×14   block2-1 … block2-5" in words and "28×28" in words and "input\n3×224×224 " in words
    assert picture(figure)


def test_height_is_resolution_width_channels_and_shade_cost():
    inspection = ck.inspect("resnet18")
    drawn = boxes(architecture(inspection))
    widths, heights, shades = zip(*drawn, strict=True)
    assert list(widths) == sorted(widths) and list(heights) == sorted(heights, reverse=True)
    assert heights[0] - heights[-1] == pytest.approx(3 * 1.05)  # 56 to 7: three halvings
    macs = [b.macs for b in inspection.trunk]
    assert max(shades) == pytest.approx(0.95) and macs[shades.index(max(shades))] == max(macs)


@pytest.mark.parametrize("model", ["vit_b_16", "r3d_18", "densenet201", MLP])
def test_every_kind_of_features(model):
    figure = architecture(ck.inspect(model), color="params")
    assert len(boxes(figure)) > 2 and picture(figure)
    assert any("parameters" in word for word in texts(figure.axes[0]))


def test_a_foreign_model_and_heads():
    model = ck.ClassyModel.from_model(models.resnet18())
    model.attach_head(model.block_names[3], "fully_connected", unique_id="$my head$", num_classes=4)
    figure = ck.inspect(model).plot("architecture")
    assert "$my head$" in texts(figure.axes[0]) and picture(figure)


def test_words_stay_words_in_svg():
    out = io.BytesIO()
    architecture(ck.inspect("resnet18")).savefig(out, format="svg")
    said = [e.text for e in ElementTree.fromstring(out.getvalue()).iter() if e.tag.endswith("}text")]
    assert "56×56" in said and any("block3-1" in word for word in said if word)


def test_refusals():
    with pytest.raises(ck.errors.ConfigError, match=r"color is one of .* not 'mac'. Did you mean 'macs'"):
        architecture(ck.inspect("resnet18"), color="mac")
    nothing = dataclasses.replace(ck.inspect("resnet18"), blocks=())
    with pytest.raises(ck.errors.ConfigError, match="has no block to draw"):
        architecture(nothing)
