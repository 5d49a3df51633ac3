"""classykit.plots.evidence: a map, maps at every depth, and the curves that say how far to trust them."""

import pytest
import torch
from figures import picture

import classykit as ck


@pytest.fixture(scope="module")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


def test_a_sum_is_written_out_where_it_is_exact(lite):
    found = ck.evidence(lite, ["cat", "coffee"], ["tabby", "espresso"])
    figure = found.plot(index=1)
    mean, bias = found.maps["trunk_output"][1].mean(), found.bias[1]
    sign = "+" if bias >= 0 else "−"
    words = f"exact: mean of the map {mean:.3g} {sign} bias {bias.abs():.2g} = score {found.score[1]:.3g}"
    assert figure.axes[0].get_title(loc="left") == words and figure.get_suptitle().startswith("espresso, seen from")
    assert picture(figure)
    approximate = ck.evidence(lite, "cat", "tabby", blocks="block4-2").plot()
    assert approximate.axes[0].get_title(loc="left").startswith("approximate (Grad-CAM); score")


def test_every_depth(lite):
    found = ck.evidence(lite, "cat", "tabby", blocks="all")
    figure = found.plot()
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["input", *(f"≈ {name}" for name in list(found.maps)[:-1]), "= trunk_output"] and picture(figure)
    assert len(found.plot("block6-0").axes) == 2, "one of them alone"


def test_many_blocks_are_thinned_out_and_untrained_is_said():
    net = ck.build_model({"name": "resnext", "num_blocks": [15, 15], "init_planes": 4, "small_input": True})
    net.attach_head("block1-14", "fully_connected", unique_id="mine", num_classes=3)
    found = ck.evidence(net, torch.rand(1, 3, 16, 16), 1, blocks="all")
    titles = [axes.get_title() for axes in found.plot().axes if axes.get_visible()]
    assert len(found.maps) == 31 and len(titles) == 25 and titles[-1] == "= block1-14"
    assert found.plot().get_suptitle() == "class 1 at every depth of resnext (untrained)"


def test_a_clip_shows_its_middle(light_configs, input_for):
    model = ck.build_model(light_configs["ResNeXt3D"])
    model.attach_head(model.block_names[-1], "linear_probe", unique_id="mine", num_classes=3)
    assert picture(ck.evidence(model, input_for(model)).plot())


def test_curves(lite):
    figure = ck.evidence(lite, "cat").faithfulness(steps=4).plot()
    assert [len(axes.lines) for axes in figure.axes] == [2, 2] and picture(figure)
    assert figure.axes[0].get_xlabel() == "% of the picture shown, strongest first"


def test_channels_of_what_has_no_places():
    torch.manual_seed(0)
    mlp = ck.build_model("mlp", input_dim=12, output_dim=5, hidden_dims=[8])
    found = ck.evidence(mlp, torch.rand(1, 12), 3, places=False)
    figure = found.plot()
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"channel {c}" for c, _ in found.made_of()[::-1]] and picture(figure)
    assert figure.axes[0].get_title(loc="left").startswith("exact: sum of the channels")
