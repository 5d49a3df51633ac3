"""classykit.learning.rough_cost: by formula what inspect counts, nearly."""

import numpy as np
import pytest

import classykit as ck
from classykit.learning.rough_cost import MARGIN, rough_cost
from classykit.learning.space import Space

NAMED = ["resnet18", "resnet50", "resnext50_32x4d", "efficientnet_b0", "efficientnet_b4", "efficientnet_lite0",
         "regnet_x_400mf", "regnet_y_3.2gf", "regnet_z_500mf", "vit_b_16", "vit_b_32"]  # fmt: skip


def near(config):
    inspection = ck.inspect(config)
    for rough, counted in zip(rough_cost(config), (inspection.macs, inspection.params), strict=True):
        assert 1 / MARGIN < rough / counted < MARGIN, config


@pytest.mark.parametrize("name", NAMED)
def test_named(name):
    near({"name": name})


@pytest.mark.parametrize("family", ["anynet", "regnet", "efficientnet", "resnet", "vision_transformer"])
def test_drawn(family):
    space, random = Space(family), np.random.default_rng(0)
    for _ in range(6):
        near(space.draw(random))


@pytest.mark.parametrize("keys", [
    {"block_type": "res_basic_block"}, {"block_type": "vanilla_block"}, {"stem_type": "res_stem_in"}, {"use_se": False},
])  # fmt: skip
def test_options(keys):
    near({"name": "regnet_y_400mf", **keys})


def test_other_families():
    assert rough_cost({"name": "densenet121"}) is None and rough_cost({"name": "r3d_18"}) is None
