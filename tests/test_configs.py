"""classykit.configs: strict configs, and errors that name every key at fault."""

import pydantic
import pytest
from pydantic import Field

import classykit as ck
from classykit.configs import (
    MAX_DEPTH,
    Config,
    Depths,
    Flag,
    PositiveFloat,
    PositiveInt,
    Probability,
    read_config,
    without_ignored,
)
from classykit.errors import ConfigError


class Inner(Config):
    size: PositiveInt = 1


class Net(Config):
    widths: list[PositiveInt] = Field(description="channels of each stage")
    depths: Depths = [1]
    dropout: Probability = 0.0
    epsilon: PositiveFloat = 1e-5
    bias: Flag = True
    inner: Inner = Inner()


def test_good_values_are_read_as_they_are():
    config = read_config(Net, {"widths": [8, 16], "inner": {"size": 3}}, "net")
    assert (config.widths, config.depths, config.bias, config.inner.size) == ([8, 16], [1], True, 3)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        config.bias = False


@pytest.mark.parametrize("keys, words", [
    ({"widths": None}, "key 'widths' = None: input should be a valid list."),
    ({"widths": [8, 0]}, "key 'widths.1' = 0: input should be greater than 0."),
    ({"widths": [8.0]}, "key 'widths.0' = 8.0: input should be a valid integer."),
    ({"widths": [2**24 + 1]}, "key 'widths.0' = 16777217: input should be less than or equal to 16777216."),
    ({"depths": []}, "key 'depths' = []: list should have at least 1 item after validation, not 0."),
    ({"depths": [MAX_DEPTH, 1]}, "key 'depths' = [1024, 1]: that makes 1025 layers; use at most 1024 in all."),
    ({"dropout": 1.0}, "key 'dropout' = 1.0: input should be less than 1."),
    ({"epsilon": float("inf")}, "key 'epsilon' = inf: input should be a finite number."),
    ({"bias": 1}, "key 'bias' = 1: input should be a valid boolean."),
    ({"inner": {"size": "3"}}, "key 'inner.size' = '3': input should be a valid integer."),
    ({"inner": {"sise": 3}}, "key 'inner.sise' is unknown."),
    ({"width": 3}, "key 'width' is unknown. Did you mean 'widths'? Its keys are: widths, depths, dropout, epsilon, "
                   "bias, inner."),
])  # fmt: skip
def test_a_bad_key_is_named_with_its_value_and_what_would_do(keys, words):
    with pytest.raises(ConfigError) as error:
        read_config(Net, {"widths": [8], **keys}, "resnet50")
    assert str(error.value) == f"resnet50: {words}"


def test_a_missing_key_is_named_with_its_meaning():
    with pytest.raises(ConfigError, match=r"^net: key 'widths' is required \(channels of each stage\)\.$"):
        read_config(Net, {}, "net")


def test_all_bad_keys_are_named_at_once():
    with pytest.raises(ConfigError, match=r"'widths' is required.*'bias' = 2.*'nonsense' is unknown"):
        read_config(Net, {"bias": 2, "nonsense": 1}, "net")


def test_a_long_value_is_cut():
    with pytest.raises(ConfigError) as error:
        read_config(Net, {"widths": "x" * 1000}, "net")
    assert len(str(error.value)) < 150 and "xxx...: input should be" in str(error.value)


def test_keys_are_strings():
    with pytest.raises(ConfigError, match=r"net: keys are strings; found \[1\]"):
        read_config(Net, {"widths": [8], 1: 2}, "net")


def test_keys_that_do_nothing_are_dropped_with_a_warning():
    class Mine(Config):
        size: PositiveInt = 3
        ignored = ("old", "size")

    with pytest.warns(UserWarning, match=r"mine: 'old', 'older' do nothing here, as in ClassyVision"):
        assert without_ignored(Mine, {"old": 1, "size": 2, "older": 3, "new": 4}, "mine", "older") == {
            "size": 2,
            "new": 4,
        }
    assert without_ignored(Mine, {"new": 4}, "mine") == {"new": 4}


@pytest.mark.parametrize("config", [
    {"name": "resnet50", "num_classes": 1000, "freeze_trunk": True},
    {"name": "regnet_y_400mf", "bot_mul": 1.0},
])  # fmt: skip
def test_classyvisions_idle_keys(config):
    with pytest.warns(UserWarning, match="num_classes|bot_mul"):
        model = ck.build_model(config, device="meta")
    assert model.config == {"name": config["name"]}
    assert ck.build_model("efficientnet_b0", num_classes=7, device="meta").config["num_classes"] == 7
    with pytest.raises(ConfigError, match="num_blokcs"):
        ck.build_model("resnet50", num_blokcs=[1], device="meta")
