"""classykit.weights.family_weights: what is known of each family's weights."""

import pytest
import torch

from classykit.models.factory import MODELS
from classykit.weights import family_weights
from classykit.weights.family_weights import FamilyWeights, count_blocks, known_weights, register_weights, weights_of


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(family_weights, "_known", dict(family_weights._known))


def test_every_name_in_the_tables_is_a_model_of_that_family():
    assert {"ResNeXt", "DenseNet", "EfficientNet", "RegNet", "VisionTransformer", "ResNeXt3D"} <= {
        known.family for known in known_weights() if known.torchvision
    }
    for known in known_weights():
        names = {*(file.name for file in known.torchvision), *known.timm, *known.packaged, *known.other_models}
        for name in names:
            assert known in weights_of(MODELS[name].cls), f"{name} is no {known.family}"
        assert all(known.family in layout.families for layout in known.layouts)


def test_what_was_known_before_is_replaced(registry):
    mine = FamilyWeights("DenseNet", timm={"densenet121": "mine"})
    register_weights(mine)
    assert [known for known in known_weights() if known.family == "DenseNet"] == [mine]


def test_a_family_inherits_what_is_known_of_the_one_it_derives_from():
    families = [known.family for known in weights_of(MODELS["regnet_y_400mf"].cls)]
    assert families[-1] == "AnyNet"

    class Mine(MODELS["densenet121"].cls):
        pass

    assert [known.family for known in weights_of(Mine)] == ["DenseNet"]
    assert list(weights_of(torch.nn.Module)) == []


def test_blocks_are_counted_stage_by_stage():
    state = dict.fromkeys(["b0-0.w", "b0-1.w", "b0-1.bias", "b2-0.w", "b1-0.w", "b1-1.w", "b1-2.w", "fc.w"])
    assert count_blocks(state, r"b(\d+)-(\d+)\.") == [2, 3, 1]
    assert count_blocks(state, r"x(\d)(\d)") == []
