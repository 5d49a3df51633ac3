"""classykit.Space: ranges for a family's keys, from which only what can be built is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import classykit as ck
from classykit.errors import ConfigError
from classykit.learning.space import INCREASING, SHARED, Space, regnet_steps
from classykit.models.factory import MODELS

FAMILIES = ("anynet", "regnet", "efficientnet", "resnet", "vision_transformer")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FAMILIES), st.integers(0, 10_000))
def test_every_draw_can_be_built(family, seed):
    config = Space(family).draw(np.random.default_rng(seed))
    model = ck.build_model(config, device="meta")
    assert model.full_config["name"] == config["name"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_for_the_same_seed(family):
    one, again, other = (Space(family).draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one == again != other


def stages(config):
    return MODELS["anynet"].cls.Config(**{k: v for k, v in config.items() if k != "name"}).stages


class TestSteps:
    """From the free space to the designed one: each takes away some freedom."""

    @pytest.mark.parametrize("step", list(regnet_steps()))
    def test_what_holds_from_there_on(self, step):
        order = list(regnet_steps())
        space = regnet_steps()[step]
        for seed in range(30):
            config = space.draw(np.random.default_rng(seed))
            if step == "RegNetX":
                assert config["name"] == "regnet" and config["use_se"] is False
                continue
            found = stages(config)
            assert len(found) == 4 and config["use_se"] is False
            if order.index(step) >= 1:
                assert len({s.bottleneck_multiplier for s in found}) == 1
            if order.index(step) >= 2:  # in narrow stages as many as there are
                assert len({s.group_width for s in found if s.inner >= 32}) <= 1
            if order.index(step) >= 3:
                assert [s.width for s in found] == sorted(s.width for s in found)
            if order.index(step) >= 4:
                assert [s.depth for s in found] == sorted(s.depth for s in found)

    def test_the_free_space_is_free(self):
        drawn = [stages(regnet_steps()["AnyNetXA"].draw(np.random.default_rng(seed))) for seed in range(20)]
        assert any([s.width for s in found] != sorted(s.width for s in found) for found in drawn)
        assert any(len({s.bottleneck_multiplier for s in found}) > 1 for found in drawn)


class TestRanges:
    def test_numbers_lists_and_values(self):
        space = Space("regnet", depth=(12, 14), w_m=2.5, group_width=[8, 16], use_se=False, w_a=(20.0, 30.0))
        drawn = [space.draw(np.random.default_rng(seed)) for seed in range(60)]
        assert {c["depth"] for c in drawn} == {12, 13, 14} and {c["w_m"] for c in drawn} == {2.5}
        assert {c["group_width"] for c in drawn} == {8, 16} and all(20 <= c["w_a"] <= 30 for c in drawn)
        assert all(c["w_0"] % 8 == 0 and c["use_se"] is False for c in drawn)

    def test_whole_numbers_are_even_over_their_logarithm(self):
        space = Space("vision_transformer", num_layers=(1, 64))
        random = np.random.default_rng(0)
        drawn = np.log2([space.value("num_layers", random) for _ in range(4000)])
        counts = np.histogram(drawn, [0, 2, 4, 6.01])[0] / 4000
        assert np.abs(counts - 1 / 3).max() < 0.08

    def test_multiples(self):
        space = Space("resnet", init_planes=(10, 40))
        random = np.random.default_rng(0)
        assert {space.value("init_planes", random, 8) for _ in range(200)} == {16, 24, 32, 40}

    def test_it_is_said(self):
        assert "w_m=2.5" in repr(Space("regnet", w_m=2.5)) and "shared" in repr(Space("anynet", shared=SHARED))

    @pytest.mark.parametrize(
        "family, keys, words",
        [
            ("resnext", {}, "no design space of 'resnext'"),
            (3, {}, "no design space"),
            ("regnet", {"dept": 3}, "Did you mean 'depth'"),
            ("regnet", {"depth": (20, 10)}, "is no range"),
            ("regnet", {"depth": (1, 2, 3)}, "is no range"),
            ("regnet", {"w_a": (0.0, float("nan"))}, "is no range"),
            ("regnet", {"depth": []}, "empty list"),
            ("regnet", {"shared": SHARED}, "is of anynets"),
            ("anynet", {"increasing": ["strides"]}, "increasing holds some of"),
            ("anynet", {"increasing": INCREASING, "shared": "widths"}, "shared holds some of"),
        ],
    )
    def test_what_is_none(self, family, keys, words):
        with pytest.raises(ConfigError, match=words):
            Space(family, **keys)

    def test_ranges_that_nothing_can_be_built_from(self):
        with pytest.raises(ConfigError, match="None of 1,000 draws"):
            Space("regnet", w_m=0.5).draw(np.random.default_rng(0))
