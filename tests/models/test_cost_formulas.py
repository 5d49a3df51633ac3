"""classykit.models.cost_formulas: what inspect counts, by formula, to the last MAC and parameter."""

import numpy as np
import pytest

import classykit as ck
from classykit.configs import read_config
from classykit.learning.space import Space
from classykit.models.cost_formulas import cost_of
from classykit.models.factory import MODELS

NAMED = ["resnet18", "resnet50", "resnext50_32x4d", "efficientnet_b0", "efficientnet_b4", "efficientnet_lite0",
         "efficientnet_lite2", "regnet_x_400mf", "regnet_y_3.2gf", "regnet_z_500mf", "vit_b_16", "vit_b_32",
         "vit_demo"]  # fmt: skip
OPTIONS = [
    {"name": "regnet_y_400mf", "block_type": "res_basic_block"},
    {"name": "regnet_y_400mf", "block_type": "vanilla_block"},
    {"name": "regnet_y_400mf", "stem_type": "res_stem_in", "use_se": False},
    {"name": "regnet_x_400mf", "stem_type": "res_stem_cifar", "in_channels": 1},
    {"name": "anynet", "depths": [2, 1], "widths": [24, 24], "group_widths": [8, 8], "strides": [1, 3],
     "bottleneck_multipliers": [0.5, 1]},
    {"name": "efficientnet_b0", "use_se": False, "resolution": 97, "num_classes": 7, "in_channels": 4},
    {"name": "resnet18", "small_input": True},
    {"name": "resnet50", "final_bn_relu": False, "use_se": True, "reduction": 3},
    {"name": "vit_demo", "classifier": "gap", "in_channels": 2},
    {"name": "vit_demo", "conv_stem_layers": [{"kernel": 3, "stride": 2, "out_channels": 8},
                                              {"kernel": 5, "stride": 4, "out_channels": 12}]},
]  # fmt: skip


def by_formula(config):
    entry = MODELS[config["name"]]
    keys = {key: value for key, value in config.items() if key != "name"}
    cost = cost_of(entry.cls, read_config(entry.cls.Config, {**entry.defaults, **keys}, config["name"]))
    return cost.macs, cost.params


def counted(config):
    inspection = ck.inspect(config).require()
    return inspection.macs, inspection.params


@pytest.mark.parametrize("config", [*({"name": name} for name in NAMED), *OPTIONS], ids=str)
def test_of_a_config(config):
    assert by_formula(config) == counted(config)


@pytest.mark.parametrize("family", ["anynet", "regnet", "efficientnet", "resnet", "vision_transformer"])
def test_of_what_is_drawn(family):
    space, random = Space(family), np.random.default_rng(0)
    drawn = [space.draw(random) for _ in range(6)]
    assert [by_formula(config) for config in drawn] == [counted(config) for config in drawn]


def test_families_without_a_formula():
    assert cost_of(MODELS["densenet121"].cls, None) is None
