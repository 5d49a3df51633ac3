"""classykit.models.regnet against ClassyVision: names, widths, keys, shapes, blocks, outputs, training, refusals."""

import random
import re
import time

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.models import RegNet
from classykit.models.regnet import RegNetConfig

SIZES = ["400mf", "800mf", "1.6gf", "3.2gf", "8gf", "16gf", "32gf"]
NAMES = [
    *(f"regnet_{letter}_{size}" for letter in "xy" for size in SIZES),
    *(f"regnet_y_{size}" for size in ("64gf", "128gf", "256gf")),
    *(f"regnet_z_{size}" for size in ("500mf", "4gf")),
]
BASE = {"name": "regnet", "depth": 4, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 4, "stem_width": 8}
OPTIONS = {
    "depth": {"depth": 6},
    "w_0": {"w_0": 24},
    "w_a": {"w_a": 14.3},
    "w_a 0": {"w_a": 0},
    "w_m": {"w_m": 1.3},
    "group_width": {"group_width": 6},
    "group_width that is more than there is": {"group_width": 100},
    "bottleneck_multiplier": {"bottleneck_multiplier": 0.5},
    "bottleneck_multiplier, rounded": {"bottleneck_multiplier": 0.3},
    "stem_type res_stem_in": {"stem_type": "res_stem_in"},
    "stem_type res_stem_cifar": {"stem_type": "res_stem_cifar"},
    "stem_width": {"stem_width": 20},
    "vanilla_block": {"block_type": "vanilla_block"},
    "res_basic_block": {"block_type": "res_basic_block"},
    "Z": {"block_type": "res_bottleneck_linear_block", "activation": "silu", "bottleneck_multiplier": 4},
    "activation silu": {"activation": "silu"},
    "use_se": {"use_se": False},
    "se_ratio": {"se_ratio": 0.5},
    "bn_epsilon": {"bn_epsilon": 0.1},
    "bn_momentum": {"bn_momentum": 0.5},
}
CANONICAL = r"block\d+-\d+"
ADDED = ["stem", "2"]  # the reference has two modules of the one name; the other is its only activation


@pytest.mark.parametrize("name", NAMES)
def test_named_model(name):
    ours = ck.build_model(name, device="meta")
    assert ours.input_shape == (3, 224, 224)
    kinds = {type(m) for m in ours.modules()}
    assert (nn.SiLU in kinds, nn.ReLU in kinds) == ("_z_" in name, "_z_" not in name)

    params = sum(p.numel() for p in ours.parameters())
    probe = {"name": "linear_probe", "num_classes": 3}
    ours.set_heads({b: [{**probe, "unique_id": f"at {b}"}] for b in ours.block_names})
    inspection = ck.inspect(ours)
    rows, heads = ([b for b in inspection.blocks if b.is_head == is_head] for is_head in (False, True))
    assert [b.name for b in rows] == ours.block_names, "in the order of a pass"
    assert sum(b.params for b in rows) == params and not inspection.uncounted
    assert all(b.macs > 0 and b.params > 0 and b.heads == (f"at {b.name}",) for b in rows)
    assert {h.name: h.output_shape for h in heads} == {f"at {b}": (3,) for b in ours.block_names}
    words = r"linear bottleneck to \d+, \d+ groups, SE" if "_z_" in name else r"bottleneck to \d+(, \d+ groups)?(, SE)?"
    assert rows[0].type == "stem 3×3" and all(re.fullmatch(words, b.type) for b in rows[1:])
    assert all(("SE" in b.type) == ("_x_" not in name) for b in rows[1:])


def test_every_registered_name_is_tested():
    assert sorted(ck.list_models("regnet*")) == sorted(["regnet", *NAMES])
    assert ck.list_models("regnet_y*")[0] == "regnet_y_400mf"


@pytest.mark.parametrize(  # in the paper's tables, in millions and G
    "name, parameters, gmacs",
    [("regnet_x_3.2gf", 15.3, 3.2), ("regnet_y_400mf", 4.3, 0.4), ("regnet_y_32gf", 145.0, 32.3)],
)
def test_sizes_are_the_papers(name, parameters, gmacs):
    model = ck.build_model(name, device="meta")
    model.attach_head("trunk_output", "fully_connected", num_classes=1000)
    inspection = ck.inspect(model)
    assert inspection.params / 1e6 == pytest.approx(parameters, abs=0.1)
    assert inspection.macs / 1e9 == pytest.approx(gmacs, rel=0.03)


def test_widths_are_the_references():
    regnet = pytest.importorskip("classy_vision.models.regnet")
    rng, compared = random.Random(0), 0
    for _ in range(1000):
        keys = {
            "depth": rng.randint(1, 40),
            "w_0": 8 * rng.randint(1, 60),
            "w_a": rng.choice([0, 8.0, 24.0, rng.uniform(0, 200)]),
            "w_m": rng.choice([1.5, 2, 2.5, 4.0, rng.uniform(1.01, 4)]),
            "group_width": rng.choice([1, 4, 8, 16, 24, rng.randint(1, 300)]),
            "bottleneck_multiplier": rng.choice([1, 0.5, 0.25, 2, 4.0, rng.uniform(0.05, 5)]),
        }
        try:
            ours = RegNetConfig(**keys).stages
        except ValueError:
            continue  # test_what_is_refused_is_what_the_reference_fails_on
        theirs = list(regnet.RegNetParams(**keys).get_expanded_params())
        assert [(s.width, s.stride, s.depth, s.group_width, s.bottleneck_multiplier) for s in ours] == theirs, keys
        compared += 1
    assert compared > 700


def test_what_is_refused_is_what_the_reference_fails_on(reference):
    rng, refused = random.Random(1), 0
    while refused < 15:
        keys = {
            "depth": rng.randint(1, 6), "w_0": 8 * rng.randint(1, 20), "w_a": rng.uniform(0, 50), "w_m": 2.5,
            "group_width": rng.randint(1, 60), "bottleneck_multiplier": rng.uniform(0.05, 5),
        }  # fmt: skip
        try:
            RegNetConfig(**keys)
        except ValueError as error:
            refused += 1
            assert re.search("use_se=False|whole bottleneck_multiplier|or more", str(error)), str(error)
            with pytest.raises((ValueError, AssertionError, ZeroDivisionError)):
                reference({"name": "regnet", **keys}, device="meta")
    assert refused == 15


@pytest.mark.parametrize("multiplier", [1, 2, 3, 4])
def test_the_remedy_for_groups_always_works(multiplier):
    rng = random.Random(multiplier)
    stages = []
    for _ in range(100):
        keys = {"w_0": 8 * rng.randint(1, 60), "w_a": rng.uniform(0, 200), "w_m": rng.uniform(1.1, 4)}
        stages += RegNetConfig(
            depth=20,
            group_width=multiplier * rng.randint(1, 60),
            bottleneck_multiplier=multiplier,
            use_se=False,
            **keys,
        ).stages
    assert sum(stage.depth for stage in stages) == 100 * 20
    assert {stage.inner % stage.group_width for stage in stages} == {0}
    assert {stage.inner / stage.width for stage in stages} == {multiplier}


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_blocks, assert_same_outputs):
    config, label = {**BASE, **OPTIONS[label]}, f"regnet: {label}"
    ours, theirs = assert_same_shell(config, label)
    assert_same_blocks(ours, theirs, CANONICAL, added=ADDED)
    assert_same_outputs(config, label)


def test_every_key_has_an_option():
    tried = {key for option in OPTIONS.values() for key in option}
    assert tried | {"in_channels"} == RegNetConfig.model_fields.keys()  # which the reference does not have


@pytest.mark.parametrize("label", OPTIONS)
def test_training(label, assert_same_outputs, assert_trains_the_same, input_for):
    ours, theirs = assert_same_outputs({**BASE, **OPTIONS[label]}, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=4, dtype=torch.float64), 1e-9)


def test_a_named_model_takes_every_key_of_its_family():
    keys = {
        "depth": 5, "w_0": 16, "w_a": 9, "w_m": 2.1, "group_width": 8, "bottleneck_multiplier": 2,
        "stem_type": "res_stem_in", "stem_width": 12, "block_type": "res_bottleneck_linear_block",
        "activation": "silu", "use_se": True, "se_ratio": 0.5, "bn_epsilon": 1e-3, "bn_momentum": 0.2,
        "in_channels": 2,
    }  # fmt: skip
    assert keys.keys() == RegNet.Config.model_fields.keys()
    family = ck.build_model({"name": "regnet", **keys}, device="meta")
    for name in NAMES:
        assert str(ck.build_model(name, device="meta", **keys)) == str(family)


@pytest.mark.parametrize("name", ["regnet_x_400mf", "regnet_y_400mf", "regnet_z_500mf"])
def test_keys_that_named_models_of_the_reference_refuse(name):
    silu = ck.build_model(name, device="meta", activation="silu")
    assert nn.ReLU not in {type(m) for m in silu.modules()}
    assert any(".se." in key for key in ck.build_model(name, device="meta", use_se=True).state_dict())
    assert not any(".se." in key for key in ck.build_model(name, device="meta", use_se=False).state_dict())


def test_every_module_has_its_own_activation():
    model = ck.build_model("regnet_y_1.6gf", device="meta")
    assert len(list(model.modules())) == len(list(model.named_modules(remove_duplicate=False)))


BAD = [
    ({"depth": None}, "depth"),
    ({"depth": 0}, "'depth' = 0"),
    ({"depth": 1025}, "1024"),
    ({"w_0": 50}, "'w_0' = 50: input should be a multiple of 8"),
    ({"w_0": 0}, "'w_0' = 0"),
    ({"w_0": 48.0}, "w_0"),
    ({"w_a": -1}, "'w_a' = -1"),
    ({"w_a": float("inf")}, "w_a"),
    ({"w_a": 2**24, "depth": 1024}, "channels wide; at most is 16,777,216"),
    ({"w_m": 1}, "'w_m' = 1: input should be greater than 1"),
    ({"w_m": "2"}, "w_m"),
    ({"group_width": 0}, "group_width"),
    ({"bottleneck_multiplier": 0}, "bottleneck_multiplier"),
    ({"bottleneck_multiplier": 0.1}, "bottleneck_multiplier = 0.1 leaves no channel of the width 8; use 0.13 or more"),
    (
        {"bottleneck_multiplier": 3, "w_0": 56, "group_width": 16},
        "of group_width = 16; choose a whole bottleneck_multiplier",
    ),
    ({"se_ratio": 0.01}, "se_ratio = 0.01 leaves no channel of the 8 that enter a block of stage 1; use 0.13 or more"),
    ({"block_type": "res_bottleneck"}, "'res_bottleneck_block'"),
    ({"depths": [1, 2]}, "'depth'"),
]


@pytest.mark.parametrize("keys, words", BAD, ids=[str(keys) for keys, _ in BAD])
def test_bad_keys(keys, words):
    start = time.perf_counter()
    with pytest.raises(ConfigError, match=re.escape(words)):
        ck.build_model({**BASE, **keys}, device="meta")
    assert time.perf_counter() - start < 1


def test_a_missing_key_is_explained():
    with pytest.raises(ConfigError, match=r"regnet: key 'depth' is required \(blocks in all\)"):
        ck.build_model("regnet")
