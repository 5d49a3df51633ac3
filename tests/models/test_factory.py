"""classykit.models.factory: any name, any config, and errors that say what is wrong with one."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd import ODD
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ClassyKitError, ConfigError, DuplicateNameError, HeadError, UnknownNameError
from classykit.heads import LinearProbe
from classykit.models import family_of
from classykit.models.factory import MODELS

NAMES = [name for name in MODELS if MODELS[name].is_whole]
SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8}
HEAD = {"name": "fully_connected", "unique_id": "cls", "num_classes": 3, "fork_block": "block1-0"}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_builds_without_a_byte_of_weights(name):
    model = ck.build_model(name, device="meta")
    assert {t.device.type for t in (*model.parameters(), *model.buffers())} == {"meta"}
    assert type(model).__name__ == family_of(name) and model.config == {"name": name}
    assert len(model.block_names) == len(set(model.block_names)) > 5
    assert model.attachable_block_names == model.block_names


def test_every_registered_name_is_covered():
    needs_keys = {name for name, entry in MODELS._entries.items() if not entry.defaults}
    assert {"efficientnet", "mlp", "resnet", "resnext", "vision_transformer"} <= needs_keys
    assert set(NAMES) | needs_keys == set(ck.list_models()) and not set(NAMES) & needs_keys


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "vit_b_32"])
def test_a_named_model_is_its_config(name):
    model = ck.build_model(name, device="meta")
    again = ck.build_model(model.config, device="meta")
    assert str(model) == str(again)


def test_the_config_rebuilds_the_model_with_its_heads(light, shapes):
    config = {**light, "heads": [{"name": "linear_probe", "unique_id": "é", "num_classes": 3, "fork_block": None}]}
    block = ck.build_model(light).block_names[-1]
    config["heads"][0]["fork_block"] = block
    given_config = copy.deepcopy(config)
    model = ck.build_model(config)
    assert config == given_config  # the caller's dict is as it was
    again = ck.build_model(model.config)
    assert again.config == model.config and shapes(again) == shapes(model) and str(again) == str(model)
    assert model.config["heads"][0]["in_plane"] == model.get_heads()[block][0].in_plane
    model.config["heads"].clear()
    assert model.config["heads"], "config is a copy"


def test_overrides_win_and_are_remembered():
    model = ck.build_model({**SMALL, "init_planes": 16}, init_planes=4, use_se=True, se_reduction_ratio=2)
    assert model.config == {**SMALL, "init_planes": 4, "use_se": True, "se_reduction_ratio": 2}
    assert model.initial_block._module[0].out_channels == 4


def test_from_config_of_a_class():
    model = ck.models.ResNeXt.from_config({**SMALL, "heads": [HEAD]})
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert ck.build_model(model.config).get_heads().keys() == {"block1-0"}


def test_the_device_is_torchs_default_unless_given():
    with torch.device("meta"):
        assert next(ck.build_model(SMALL).parameters()).device.type == "meta"
        assert next(ck.build_model(SMALL, device="cpu").parameters()).device.type == "cpu"
    assert next(ck.build_model(SMALL).parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    "config, kind, words",
    [
        (5, ConfigError, "not int"),
        ({}, ConfigError, "'name'"),
        ({"num_blocks": [1]}, ConfigError, "'num_blocks'"),
        ("resnet51", UnknownNameError, "'resnet50'"),
        ("vit", UnknownNameError, "list_models"),
        ("resnext", ConfigError, "num_blocks"),
        (
            {"name": "resnet50", "num_block": [1]},
            ConfigError,
            "^resnet50: key 'num_block' is unknown. Did you mean 'num_blocks'",
        ),
        ({"name": "resnet50", "a": 1, "b": 2}, ConfigError, "'a'.*'b'"),
        ({**SMALL, "heads": [{k: v for k, v in HEAD.items() if k != "fork_block"}]}, ConfigError, "fork_block"),
        ({**SMALL, "heads": [{**HEAD, "fork_block": "block1-1"}]}, BlockError, "'block1-0'"),
        ({**SMALL, "heads": [{**HEAD, "name": "fully_conected"}]}, UnknownNameError, "fully_connected"),
        ({**SMALL, "heads": [HEAD, HEAD]}, HeadError, "already has a head 'cls'"),
        ({**SMALL, "heads": [{**HEAD, "in_plane": 63}]}, HeadError, "in_plane=64"),
        ({**SMALL, "heads": [{**HEAD, "classes": 3}]}, ConfigError, "num_classes"),
        ({**SMALL, "heads": ["fully_connected"]}, ConfigError, "fork_block"),
        ({**SMALL, "heads": HEAD}, ConfigError, "fork_block"),
        ({**SMALL, "heads": 5}, ConfigError, "heads"),
        ({**SMALL, "heads": [{**HEAD, "fork_block": ["block1-0"]}]}, BlockError, "block1-0"),
        ({**SMALL, 1: 2}, ConfigError, "1"),
        ({**SMALL, "self": 2}, ConfigError, "'self' is unknown"),
        ({**SMALL, "heads": [{**HEAD, 1: 2}]}, ConfigError, "1"),
        ({"name": "resnext", "num_blocks": [1], "init_planes": 2**24, "reduction": 2**24}, ConfigError, "."),
    ],
)
def test_errors_name_the_key_at_fault(config, kind, words):
    with pytest.raises(kind, match=words):
        ck.build_model(config, device="meta")


KEYS = sorted({k for n in ck.list_models() for k in MODELS[n].cls.Config.model_fields} | {"heads"})
NUMBERS = st.integers(-2, 40) | st.floats() | st.just(2**24) | st.just(10**30)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4) | st.sampled_from(["relu6", "gap", "B0", "identity"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "name", "unique_id", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
SLOW_BUT_RIGHT = {"num_blocks", "num_layers", "hidden_dims", "model_params"}  # deep models take as long as they take


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_config_raises_anything_but_our_errors(data):
    base = data.draw(st.sampled_from(["resnet18", "efficientnet_lite0", "vit_b_32", SMALL]))
    base = {"name": base} if isinstance(base, str) else base
    keys = data.draw(
        st.dictionaries(
            st.sampled_from([k for k in KEYS if k not in SLOW_BUT_RIGHT]) | st.text(max_size=5), VALUES, max_size=2
        )
    )
    keys.pop("name", None)
    try:
        model = ck.build_model({**base, **keys}, device="meta")
    except ClassyKitError as error:
        assert len(str(error)) > 10
    else:
        assert model.config["name"] == base["name"]


@pytest.mark.parametrize("config", [*ODD, {"name": None}, {"name": ["resnet18"]}, {"name": "resnet18", 1: 2}, "resnet"])
def test_what_is_no_description(config):
    if config == "resnet":
        words = "num_blocks"
    else:
        words = "name|described|dict|keys"
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        ck.build_model(config)


def test_a_registered_users_model(monkeypatch):
    class Plain(ck.ClassyModel):
        """Only __init__ and forward."""

        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.rest = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3, padding=1))

        def forward(self, x):
            return self.rest(self.first(x))

    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    ck.register_model("plain_for_tests")(Plain)
    with pytest.raises(DuplicateNameError):
        ck.register_model("plain_for_tests")(Plain)
    head = {"name": "linear_probe", "unique_id": "cls", "num_classes": 3, "fork_block": "first"}
    model = ck.build_model({"name": "plain_for_tests", "heads": [head]})
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 3) and model.config["name"] == "plain_for_tests"
    assert ck.build_model(model.config).config == model.config
    assert isinstance(model.get_heads()["first"][0], LinearProbe)


@pytest.mark.parametrize("family", ["ResNeXt", "DenseNet", "EfficientNet", "AnyNet", "RegNet", "VisionTransformer"])
@pytest.mark.parametrize("channels", [1, 5])
def test_pictures_of_other_channels(family, channels, light_configs):
    usual = ck.build_model(light_configs[family])
    model = ck.build_model({**light_configs[family], "in_channels": channels}).eval()
    assert model.input_shape == (channels, *usual.input_shape[1:]) and model.config["in_channels"] == channels
    assert model(torch.zeros(1, *model.input_shape)).shape == usual.eval()(torch.zeros(1, *usual.input_shape)).shape
    first, others = ([p.shape for p in m.parameters()] for m in (model, usual))
    differ = [(a, b) for a, b in zip(first, others, strict=True) if a != b]
    assert len(differ) == 1 and differ[0][0][1] == channels and differ[0][1][1] == 3
    assert ck.build_model(model.config, device="meta").input_shape == model.input_shape
