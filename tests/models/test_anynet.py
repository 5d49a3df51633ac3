"""classykit.models.anynet against ClassyVision: keys, shapes, blocks, outputs, training, states, refusals."""

import itertools
import re
import time

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.models import AnyNet

BASE = {
    "name": "anynet", "depths": [1, 2], "widths": [8, 16], "group_widths": [4, 8],
    "bottleneck_multipliers": [1.0, 1.0], "strides": [2, 2], "stem_width": 8,
}  # fmt: skip
BLOCK_TYPES = ["res_bottleneck_block", "res_bottleneck_linear_block", "res_basic_block", "vanilla_block"]
OPTIONS = {
    "depths": {},
    "one stage": {
        "depths": [2], "widths": [8], "group_widths": [4], "bottleneck_multipliers": [1.0], "strides": [2],
    },
    "four stages": {
        "depths": [1] * 4, "widths": [8, 8, 12, 12], "group_widths": [1, 2, 3, 4],
        "bottleneck_multipliers": [1.0] * 4, "strides": [2, 1, 1, 2],
    },
    "widths": {"widths": [24, 40]},
    "group_widths": {"group_widths": [1, 16]},
    "group_widths that are rounded up": {"group_widths": [3, 6]},
    "bottleneck_multipliers": {"bottleneck_multipliers": [0.5, 4]},
    "bottleneck_multipliers, rounded": {"bottleneck_multipliers": [0.7, 1.3], "group_widths": [3, 7]},
    "strides": {"strides": [1, 3]},
    "stem_type res_stem_in": {"stem_type": "res_stem_in"},
    "stem_type res_stem_cifar": {"stem_type": "res_stem_cifar"},
    "stem_width": {"stem_width": 20},
    "the first block needs no projection": {"strides": [1, 2]},
    "use_se": {"use_se": False},
    "se_ratio": {"se_ratio": 0.6},
    "se_ratio, rounded": {"se_ratio": 0.3125},  # 2.5 inner channels become 2, as Python rounds
    "se_ratio 0": {"se_ratio": 0},
    "se_ratio None": {"se_ratio": None},
    "bn_epsilon": {"bn_epsilon": 0.1},
    "bn_momentum": {"bn_momentum": 0.5},
} | {
    f"{block_type}, {activation}": {"block_type": block_type, "activation": activation}
    for block_type, activation in itertools.product(BLOCK_TYPES, ["relu", "silu"])
}  # fmt: skip
CANONICAL = r"block\d+-\d+"
ADDED = ["stem", "2"]  # the reference has two modules of the one name; the other is its only activation


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_blocks, assert_same_outputs):
    config, label = {**BASE, **OPTIONS[label]}, f"anynet: {label}"
    ours, theirs = assert_same_shell(config, label)
    assert_same_blocks(ours, theirs, CANONICAL, added=ADDED)
    ours, theirs = assert_same_outputs(config, label)
    for a, b in zip(_norms(ours), _norms(theirs), strict=True):
        assert (a.eps, a.momentum) == (b.eps, b.momentum)


def _norms(model):
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def test_every_key_has_an_option():
    tried = {key for option in OPTIONS.values() for key in option}
    assert tried | {"in_channels"} == AnyNet.Config.model_fields.keys()  # which the reference does not have


@pytest.mark.parametrize("label", OPTIONS)
def test_training(label, assert_same_outputs, assert_trains_the_same, input_for):
    ours, theirs = assert_same_outputs({**BASE, **OPTIONS[label]}, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=4, dtype=torch.float64), 1e-9)


@pytest.mark.parametrize("label", OPTIONS)
def test_every_block_is_inspected_and_takes_a_head(label, input_for):
    config = {**BASE, **OPTIONS[label]}
    model = ck.build_model(config).eval()
    inspection = ck.inspect(config)
    assert [b.name for b in inspection.blocks] == model.block_names  # in the order of a pass
    assert inspection.params == sum(p.numel() for p in model.parameters()) and not inspection.uncounted
    x = input_for(model)
    alone = {b: ck.capture(model, x, [b])[b].clone() for b in model.block_names}
    model.set_heads(
        {
            b: [{"name": "identity", "unique_id": b}, {"name": "linear_probe", "unique_id": f"{b} p", "num_classes": 3}]
            for b in model.block_names
        }
    )
    outputs = model(x)
    for block, wanted in alone.items():
        torch.testing.assert_close(outputs[block], wanted, rtol=0, atol=0)
        assert outputs[f"{block} p"].shape == (2, 3)


@pytest.mark.parametrize("label", OPTIONS)
def test_every_module_has_its_own_activation(label):
    model = ck.build_model({**BASE, **OPTIONS[label]}, device="meta")
    assert len(list(model.modules())) == len(list(model.named_modules(remove_duplicate=False)))
    other = nn.ReLU if "silu" in label else nn.SiLU
    assert not any(isinstance(m, other) for m in model.modules())


@pytest.mark.parametrize(
    "block_type, words, skips",
    [
        ("res_bottleneck_block", ["bottleneck to 8, 2 groups, SE", "bottleneck to 32, 4 groups, SE"], [True] * 3),
        (
            "res_bottleneck_linear_block",
            ["linear bottleneck to 8, 2 groups, SE", "linear bottleneck to 32, 4 groups, SE"],
            [False, False, True],
        ),
        ("res_basic_block", ["basic block 3×3, 3×3"] * 2, [True] * 3),
        ("vanilla_block", ["plain block 3×3, 3×3"] * 2, [False] * 3),
    ],
)
def test_the_words_for_blocks(block_type, words, skips):
    stem, *blocks = ck.inspect({**BASE, "block_type": block_type, "bottleneck_multipliers": [1, 2]}).blocks
    assert stem.type == "stem 3×3" and [b.type for b in blocks] == [words[0], words[1], words[1]]
    assert [b.has_skip for b in blocks] == skips
    plain = ck.inspect({**BASE, "use_se": False, "group_widths": [8, 16]}).blocks
    assert [b.type for b in plain[1:]] == ["bottleneck to 8", "bottleneck to 16", "bottleneck to 16"]


def test_the_trunks_output_and_stages_are_known_too():
    model = ck.build_model(BASE).eval()
    seen = ck.capture(model, torch.randn(1, 3, 64, 64), ["block2-1", "block2", "trunk_output", "stem", "stem.stem"])
    assert torch.equal(seen["block2-1"], seen["trunk_output"]) and torch.equal(seen["stem"], seen["stem.stem"])
    assert torch.equal(seen["block2-1"], seen["block2"])
    model.attach_head("trunk_output", "fully_connected", num_classes=3)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)
    rows = ck.inspect(model).blocks
    assert [b.name for b in rows[-2:]] == ["trunk_output", "fully_connected"] and rows[-2].type == "all stages"
    assert rows[-2].params == 0


def test_a_submodule_that_is_overwritten_later_is_seen_as_it_was(randomise):
    model = randomise(ck.build_model(BASE)).eval()
    x = torch.randn(2, 3, 64, 64)
    path = "trunk_output.block2.block2-1.f"
    block = model.get_submodule("trunk_output.block2.block2-1")
    given = ck.capture(model, x, ["block2-0"])["block2-0"]
    wanted = block.f(given).clone()
    model.attach_head(path, "identity")
    torch.testing.assert_close(model(x), wanted)


def test_small_input():
    model = ck.build_model({**BASE, "stem_type": "res_stem_cifar"}, device="meta")
    assert model.input_shape == (3, 32, 32) and model(model.example_input(1, "meta")).shape == (1, 16, 8, 8)
    assert ck.build_model(BASE, device="meta").input_shape == (3, 224, 224)


def test_initial_weights_are_drawn_from_the_same_distribution(reference):
    config = {**BASE, "widths": [64, 128], "group_widths": [8, 32], "stem_width": 64}
    torch.manual_seed(0)
    ours, theirs = ck.build_model(config).state_dict(), reference(config).state_dict()
    drawn = [key for key, ref in theirs.items() if ref.ndim == 4 and ref.numel() > 4000]
    assert len(drawn) == 13 and ours.keys() == theirs.keys()
    for key, ref in theirs.items():
        if key in drawn:
            assert ours[key].std().item() == pytest.approx(ref.std().item(), rel=0.1), key
            assert abs(ours[key].mean()) < ref.std() / 10
        elif ref.ndim < 4 and ".se." not in key:
            assert torch.equal(ours[key], ref), key


BAD = [
    ({"widths": [8, 16, 24]}, "each list needs one entry a stage: depths has 2, widths has 3, group_widths has 2"),
    ({"strides": [2]}, "strides has 1"),
    ({"depths": []}, "depths"),
    ({"depths": [1, 0]}, "'depths.1' = 0"),
    ({"widths": [8, -16]}, "'widths.1' = -16"),
    ({"widths": [8.0, 16]}, "widths.0"),
    ({"widths": None}, "widths"),
    ({"strides": [2, 0]}, "'strides.1' = 0"),
    ({"bottleneck_multipliers": [0, 1]}, "'bottleneck_multipliers.0' = 0"),
    ({"bottleneck_multipliers": [1, float("nan")]}, "bottleneck_multipliers.1"),
    ({"bottleneck_multipliers": [0.01, 1]}, "bottleneck_multipliers.0 = 0.01 leaves no channel; use 0.13 or more"),
    (
        {"group_widths": [9, 8]},
        "stage 1: the 8 channels of its bottleneck (width 8 × bottleneck_multipliers.0 = 1) do not divide into groups "
        "of group_widths.0 = 9; make them 9, or choose a group width that divides 8",
    ),
    ({"group_widths": [4, 5]}, "make them 15 or 20, or choose a group width that divides 16"),
    ({"se_ratio": 0.05}, "se_ratio = 0.05 leaves no channel of the 8 that enter a block of stage 1; use 0.13 or more"),
    ({"se_ratio": -0.25}, "'se_ratio' = -0.25"),
    ({"se_ratio": float("nan")}, "se_ratio"),
    ({"stem_type": "simple"}, "'res_stem_cifar'"),
    ({"stem_width": 0}, "stem_width"),
    ({"block_type": "bottleneck"}, "'vanilla_block'"),
    ({"activation": "gelu"}, "'silu'"),
    ({"use_se": "yes"}, "use_se"),
    ({"bn_epsilon": 0}, "bn_epsilon"),
    ({"bn_momentum": 1.5}, "bn_momentum"),
    ({"width": [8, 16]}, "widths"),
]


@pytest.mark.parametrize("keys, words", BAD, ids=[str(keys) for keys, _ in BAD])
def test_bad_keys(keys, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        ck.build_model({**BASE, **keys}, device="meta")


@pytest.mark.parametrize("keys", [{"group_widths": [9, 8]}, {"group_widths": [4, 5]}, {"se_ratio": 0.05}])
@pytest.mark.parametrize("block_type", BLOCK_TYPES)
def test_only_bottlenecks_care_about_groups(keys, block_type, reference):
    config = {**BASE, **keys, "block_type": block_type}
    if "bottleneck" in block_type:
        for build in (ck.build_model, reference):
            with pytest.raises((ConfigError, ValueError, AssertionError, ZeroDivisionError)):
                build(config, device="meta")
    else:
        assert (
            ck.build_model(config, device="meta").state_dict().keys()
            == reference(config, device="meta").state_dict().keys()
        )


def test_se_is_checked_where_it_is_used():
    narrow = {**BASE, "widths": [4, 4], "group_widths": [4, 4], "depths": [1, 1], "strides": [1, 1], "se_ratio": 0.125}
    with pytest.raises(ConfigError, match="of the 4 that enter a block of stage 2"):
        ck.build_model(narrow, device="meta")
    assert ck.build_model({**narrow, "use_se": False}, device="meta").block_names == ["stem", "block1-0", "block2-0"]


def test_nothing_is_built_before_the_config_is_checked():
    start = time.perf_counter()
    many = {"widths": [2**20] * 64, "group_widths": [8] * 64, "bottleneck_multipliers": [1] * 64, "strides": [1] * 64}
    with pytest.raises(ConfigError, match="65536 blocks; use at most 1024"):
        ck.build_model("anynet", depths=[1024] * 64, **many)
    assert time.perf_counter() - start < 1
