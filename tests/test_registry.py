"""classykit.registry, and the names that the kit registers."""

import pytest

import classykit as ck
from classykit.errors import ConfigError, DuplicateNameError, UnknownNameError
from classykit.registry import Registry


@pytest.fixture
def registry():
    r = Registry("model")
    for name in ["net10", "net9", "x_1.6gf", "x_400mf", "x_32gf"]:
        r.add(name, name.upper())
    return r


def test_names_are_listed_as_people_count(registry):
    assert registry.list() == ["net9", "net10", "x_400mf", "x_1.6gf", "x_32gf"]
    assert registry.list("x_*") == ["x_400mf", "x_1.6gf", "x_32gf"]
    assert registry.list("net?") == ["net9"] and registry.list("NET*") == [] and registry.list("[ab]*") == []


def test_it_is_a_mapping_in_order_of_registration(registry):
    assert list(registry)[:2] == ["net10", "net9"] and len(registry) == 5
    assert registry["net9"] == "NET9" and "net9" in registry and "net8" not in registry


def test_a_taken_name_is_refused_and_the_first_stays(registry):
    with pytest.raises(DuplicateNameError, match="net9"):
        registry.add("net9", "other")
    assert registry["net9"] == "NET9"


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_non_empty_string(registry, name):
    with pytest.raises(ConfigError):
        registry.add(name, "x")


@pytest.mark.parametrize(
    "name, suggestion", [("net8", "'net9'"), ("X_400MF", "'x_400mf'"), (["net9"], "net9"), (None, "")]
)
def test_an_unknown_name(registry, name, suggestion):
    with pytest.raises(UnknownNameError, match=r"no model named .*list_models\(\)") as caught:
        registry[name]
    assert suggestion in str(caught.value)


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("resnet*", ["resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]),
        ("vit_?_16", ["vit_b_16", "vit_l_16"]),
        ("efficientnet_b*", [f"efficientnet_b{i}" for i in range(8)]),
        ("no such*", []),
    ],
)
def test_models_by_wildcard(pattern, names):
    assert ck.list_models(pattern) == names


def test_registering_a_model_under_a_taken_name():
    with pytest.raises(DuplicateNameError, match="resnet50"):
        ck.register_model("resnet50")(type("Mine", (ck.ClassyModel,), {}))
    with pytest.raises(ConfigError, match="ClassyModel"):
        ck.register_model("mine")(dict)
    assert "mine" not in ck.list_models()
    assert type(ck.build_model("resnet50", device="meta")).__name__ == "ResNeXt"
