"""Which blocks the map may draw as one pile, and what it calls them: no two alike."""

from collections import Counter

import pytest
from torch import nn

import classykit as ck
from classykit.exploring.runs import LONGEST, PILE, labels, runs
from classykit.models.factory import MODELS, list_models

WHOLE = [name for name in list_models() if MODELS[name].is_whole]
NO_RUNS = {"resnet18", "r3d_18", "resnext3d_r2plus1d_18"}  # two blocks a stage, the first of which is another


@pytest.fixture(scope="module")
def foreign():
    models = pytest.importorskip("torchvision.models")
    return lambda name: ck.inspect(getattr(models, name)()).trunk


def sizes(blocks):
    return dict(Counter(runs(blocks).values()))


@pytest.mark.parametrize("model, found", [
    ("resnet18", {}),
    ("efficientnet_lite0", {"block5": 3}),
    ("regnet_y_1.6gf", {"block2": 5, "block3": 16}),
    ("densenet201", {"block0": 6, "block1": 12, "block2": 48, "block3": 32}),  # which differ in channels
    ("vit_b_16", {"layer_": 12}),
])  # fmt: skip
def test_runs(model, found):
    assert sizes(ck.inspect(model).trunk) == found


@pytest.mark.parametrize("model", WHOLE)
def test_runs_of_every_model_are_of_neighbours_that_look_the_same(model):
    blocks = ck.inspect(model).trunk
    names, found = [b.name for b in blocks], runs(blocks)
    assert bool(found) == (model not in NO_RUNS) and found.keys() <= set(names)
    for run in set(found.values()):
        at = [names.index(name) for name, of in found.items() if of == run]
        assert at == list(range(at[0], at[0] + len(at))) and len(at) >= PILE
        members = [blocks[i] for i in at]
        assert len({(b.type, b.output_shape[1:], b.has_skip) for b in members}) == 1
        # all of them equal, or each with channels of its own
        assert len({(b.macs, b.params, b.output_shape) for b in members}) == 1 or members[1].like != members[0].name


def test_a_head_takes_its_block_out_of_the_run():
    model = ck.build_model("regnet_y_1.6gf", device="meta")
    model.attach_head("block3-8", "fully_connected", num_classes=3)
    assert sizes(ck.inspect(model).trunk) == {"block2": 5, "block3": 7, "block3 2": 8}


def test_runs_keep_their_names_when_keys_change():
    more = runs(ck.inspect(ck.build_model("regnet_y_1.6gf", depth=30, device="meta")).trunk)
    assert set(more.values()) >= {"block2", "block3"}


def test_two_hundred_layers():
    net = nn.Sequential(*(nn.Sequential(nn.Conv2d(3 if not i else 8, 8, 3, 1, 1), nn.ReLU()) for i in range(60)))
    blocks = ck.inspect(net, (3, 16, 16)).trunk
    assert sizes(blocks) == {"blocks": 59}


@pytest.mark.parametrize("model", WHOLE)
def test_labels_of_every_model(model):
    assert_unlike([b.name for b in ck.inspect(model).trunk], MODELS[model].cls.short_name)


@pytest.mark.parametrize("model", ["swin_t", "convnext_tiny", "mobilenet_v3_small", "resnet50", "maxvit_t"])
def test_labels_of_foreign_models(model, foreign):
    assert_unlike([b.name for b in foreign(model)], ck.ClassyModel.short_name)


def assert_unlike(names, short):
    given = labels(names, short)
    assert list(given) == names and len(set(given.values())) == len(names)
    assert all(0 < len(label) <= LONGEST for label in given.values())


@pytest.mark.parametrize("names, given", [
    (["layers.1.downsample", "layers.2.downsample"], ["1.downsample", "2.downsample"]),
    (["stage1.layer1", "stage1.layer2", "stage2.layer1"], ["1.layer1", "1.layer2", "2.layer1"]),
    (["enc.0", "dec.0", "dec.norm"], ["enc.0", "dec.0", "norm"]),
    (["a.b.conv", "conv"], ["a.b.conv", "conv"]),
    (["x.alpha9.f", "x.beta9.f"], ["alpha9.f", "beta9.f"]),
    (["b.0.window_attention", "b.1.window_attention"], ["0.window_attent…", "1.window_attent…"]),
    (["one_very_long_name_of_a_block", "two_very_long_name_of_a_block"], ["…name_of_a_block", "…name_of_a_bl·2"]),
])  # fmt: skip
def test_labels(names, given):
    assert list(labels(names, ck.ClassyModel.short_name).values()) == given
