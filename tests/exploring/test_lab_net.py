"""classykit.exploring.lab_net: widths, figures and keys of one network."""

import pytest

import classykit as ck
from classykit.errors import ConfigError
from classykit.exploring import lab_net

REGNET = {"name": "regnet", "depth": 7, "w_0": 32, "w_a": 20.3, "w_m": 2.73, "group_width": 8, "use_se": False}
ANYNET = {"name": "anynet", "depths": [1, 2], "widths": [16, 32], "group_widths": [16, 16], "strides": [2, 2],
          "bottleneck_multipliers": [1.0, 1.0], "use_se": False}  # fmt: skip


@pytest.mark.parametrize("config", [REGNET, ANYNET])
def test_widths_are_those_of_the_blocks_that_are_built(config):
    blocks = [block for block in ck.inspect(config).trunk if block.name.startswith("block")]
    assert lab_net.widths(config)["blocks"] == [block.output_shape[0] for block in blocks]


def test_the_line_is_what_the_widths_are_rounded_from():
    assert lab_net.widths(REGNET)["line"] == {"first": 32, "slope": 20.3} and lab_net.widths(ANYNET)["line"] is None


def test_a_key_turned_and_one_of_a_stage():
    assert lab_net.turned(REGNET, "w_a", "12.5")["w_a"] == 12.5 and REGNET["w_a"] == 20.3
    assert lab_net.turned(ANYNET, "width 2", 64)["widths"] == [16, 64] and ANYNET["widths"] == [16, 32]


@pytest.mark.parametrize(
    ("key", "value", "near"), [("w_0", 52, [48, 56]), ("w_m", 1.0, [1.05]), ("width 2", 35, [32, 40])]
)
def test_the_nearest_that_work(key, value, near):
    with pytest.raises(ConfigError) as caught:
        lab_net.turned(ANYNET if " " in key else REGNET, key, value)
    assert caught.value.nearest == pytest.approx(near)
    assert all(lab_net.turned(ANYNET if " " in key else REGNET, key, n) for n in caught.value.nearest)


def test_keys_know_what_was_sampled():
    keys = lab_net.keys({**REGNET, "depth": 9}, REGNET, {"depth": (2, 12)}, {})
    depth = next(key for key in keys if key["name"] == "depth")
    assert depth["changed"] and (depth["at_preset"], depth["low"], depth["high"]) == (7, 2, 12)
    assert [key["name"] for key in keys] == ["depth", "w_0", "w_a", "w_m", "group_width"]
    assert [k["name"] for k in lab_net.keys(ANYNET, ANYNET, {}, {})] == ["depth 1", "depth 2", "width 1", "width 2"]


def test_figures_are_those_of_inspect():
    found = ck.inspect(REGNET)
    assert lab_net.cost(REGNET) == (found.macs, found.params) and lab_net.side(REGNET) == found.input_shape[-1] == 224
    assert lab_net.side({**REGNET, "stem_type": "res_stem_cifar"}) == 32
