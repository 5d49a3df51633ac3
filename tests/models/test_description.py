"""classykit.describe and full_config: presets that can be opened, turned and built again."""

import re

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, UnknownNameError
from classykit.models import ClassyModel
from classykit.models.description import describe, range_in_words
from classykit.models.factory import MODELS

NAMES = [name for name in ck.list_models() if MODELS[name].is_whole]


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_opens_and_builds_the_same(name):
    """Every key has a value, an origin, a meaning and a range; built from all of them the model is the same."""
    model, found = ck.build_model(name, device="meta"), ck.describe(name)
    assert found.config == model.full_config
    again = ck.build_model(model.full_config, device="meta")
    assert again.full_config == model.full_config
    assert [(k, v.shape) for k, v in again.state_dict().items()] == [
        (k, v.shape) for k, v in model.state_dict().items()
    ]
    assert list(found.keys) == list(type(model).Config.model_fields)
    for key in found.keys.values():
        assert key.meaning and key.range, key.name
        assert key.origin in ("preset", "family")
    assert found.follows and str(found) and found._repr_html_()


@pytest.mark.parametrize(
    "name", ["resnet50", "efficientnet_b0", "regnet_y_400mf", "vit_b_32", "i3d_r50", "densenet121"]
)
def test_an_equal_inspection(name):
    model = ck.build_model(name, device="meta")
    one, other = ck.inspect(model), ck.inspect(ck.build_model(model.full_config, device="meta"))
    assert one.to_pandas().equals(other.to_pandas())


def test_what_follows():
    """Widths and depths of the paper's RegNetY-3.2GF; channels and repeats of EfficientNet-B3."""
    found = ck.describe("regnet_y_3.2gf")
    assert found["widths"] == [72, 216, 576, 1512] and found["depths"] == [2, 5, 13, 1]
    b3 = ck.describe("efficientnet_b3")
    assert b3["channels"] == [24, 32, 48, 96, 136, 232, 384] and b3["repeats"] == [2, 3, 3, 5, 5, 6, 2]
    assert ck.describe("vit_b_16")["tokens"] == 197 and ck.describe("resnet50")["widths"] == [256, 512, 1024, 2048]


@pytest.mark.parametrize("name", NAMES)
def test_what_follows_is_what_is_built(name):
    """The channels that are said are those of the last block of each stage."""
    found = ck.describe(name).follows
    widths = found.get("widths", found.get("channels"))
    if widths is None:
        return
    inspection, stages = ck.inspect(name), {}
    for block in inspection.blocks:
        stage = re.match(r"(block\d+)|pathway0-(stage\d+)", block.name)
        if stage and block.output_shape is not None:
            stages[stage[0]] = block.output_shape[0]
    if name.startswith("densenet"):
        return  # transitions, which halve the channels, are blocks of their own
    assert list(stages.values()) == widths


def test_origins():
    found = ck.describe({"name": "regnet_y_400mf", "use_se": True}, w_m=2.0)
    assert found.keys["w_m"].origin == found.keys["use_se"].origin == "yours"
    assert found.keys["w_0"].origin == "preset" and found.keys["stem_width"].origin == "family"
    assert ck.describe("efficientnet_b0").keys["width_coefficient"].origin == "preset"
    table = found.to_pandas().set_index("key")
    assert table.loc["w_m", "value"] == 2.0 and table.loc["w_m", "range"] == "number above 1, at most 1,000"
    assert ck.describe(ck.build_model("resnet18", device="meta", use_se=True)).keys["use_se"].origin == "yours"


@pytest.mark.parametrize(
    "key, value, of",
    [("width_coefficient", 2.0, "params"), ("depth_coefficient", 2.0, "macs"), ("resolution", 320, "macs")],
)
def test_every_number_of_a_scaling_turns_by_its_own_name(key, value, of):
    plain, turned = ck.inspect("efficientnet_b0"), ck.inspect({"name": "efficientnet_b0", key: value})
    assert getattr(turned, of) > 1.5 * getattr(plain, of)
    scaled = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "resolution": 224, "dropout_rate": 0.2, key: value}
    assert turned.macs == ck.inspect({"name": "efficientnet", "model_params": scaled}).macs
    assert turned.macs == ck.inspect({"name": "efficientnet", **scaled}).macs


def test_dropout_rate():
    assert ck.build_model("efficientnet_b0", device="meta", dropout_rate=0.5).dropout.p == 0.5
    assert ck.build_model("efficientnet_b0", device="meta").dropout.p == 0.2


class TestKeysThatDoNothing:
    """As a keyword one is refused, with what to do instead; in a config it is dropped, and that is said."""

    @pytest.mark.parametrize("name", ["resnet18", "densenet121", "regnet_y_400mf", "vit_b_32", "r3d_18"])
    def test_classes(self, name):
        with pytest.raises(ConfigError, match=r"a classifier is attached as a head: .*num_classes=10\)"):
            ck.build_model(name, device="meta", num_classes=10)
        with pytest.warns(UserWarning, match=r"attached as a head: .*num_classes=10\)"):
            model = ck.build_model({"name": name, "num_classes": 10}, device="meta")
        assert "num_classes" not in model.config

    def test_others(self):
        with pytest.raises(ConfigError, match="freeze_trunk does nothing here, leave it out"):
            ck.build_model("resnet18", device="meta", freeze_trunk=True)

    def test_efficientnets_have_classes(self):
        assert ck.build_model("efficientnet_b0", device="meta", num_classes=10).fc.out_features == 10

    def test_temporal_kernels_of_basic_blocks(self):
        with pytest.raises(ConfigError, match=r"stage_temporal_kernel_basis = .* has no effect"):
            ck.build_model("r3d_18", device="meta", stage_temporal_kernel_basis=[[5], [3, 1], [3], [1]])
        ck.build_model("r3d_18", device="meta", stage_temporal_kernel_basis=[[3]] * 4)  # as ClassyVision's configs say


class TestBadInput:
    def test_names_and_keys(self):
        with pytest.raises(UnknownNameError):
            ck.describe("resnet_18")
        with pytest.raises(ConfigError, match="unknown"):
            ck.describe("resnet18", depth=3)
        with pytest.raises(ConfigError, match="'widths'"):
            ck.describe("anynet")
        with pytest.raises(ConfigError, match="has no 'width'"):
            ck.describe("regnet_y_400mf")["width"]

    def test_models_from_elsewhere(self):
        for model in (nn.Linear(2, 3), ClassyModel.from_model(nn.Linear(2, 3))):
            with pytest.raises(ConfigError, match="made elsewhere"):
                ck.describe(model)

    def test_a_class_without_keys(self, monkeypatch):
        monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))

        @ck.register_model("model_without_a_config_for_a_test")
        class Own(ClassyModel):
            def forward(self, x):
                return x

        with pytest.raises(ConfigError, match="no keys to describe"):
            describe("model_without_a_config_for_a_test")
        assert Own().full_config == {"name": None}


@pytest.mark.parametrize(
    "schema, words",
    [
        ({"type": "boolean"}, "True or False"),
        ({"enum": ["a", "b"], "type": "string"}, '"a" or "b"'),
        ({"const": 3}, "3"),
        ({"type": "string"}, "text"),
        ({"type": "number", "minimum": 0}, "number from 0"),
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 1000}, "number above 1, at most 1,000"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number above 0, below 1"),
        ({"type": "integer", "exclusiveMinimum": 0, "multipleOf": 8, "maximum": 64}, "multiple of 8 from 8 to 64"),
        ({"type": "array", "minItems": 1, "items": {"type": "boolean"}}, "list of 1 or more: True or False"),
        ({"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "string"}]}, "[True or False, text]"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text, or None"),
    ],
)
def test_ranges(schema, words):
    assert range_in_words(schema) == words


def test_heads_are_in_the_full_config():
    model = ck.build_model("resnet18", device="meta")
    model.attach_head("block3-1", "linear_probe", num_classes=3)
    again = ck.build_model(model.full_config, device="meta")
    assert again.head_paths() == model.head_paths() and again(torch.empty(1, 3, 64, 64, device="meta")).shape == (1, 3)
