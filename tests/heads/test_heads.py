"""classykit.heads: each against ClassyVision's, and what it says when it gets something else."""

import copy

import pytest
import torch

from classykit.errors import ConfigError, DuplicateNameError, HeadError, UnknownNameError
from classykit.features import Features
from classykit.heads import ClassyHead, build_head, heads_that_fit, list_heads, register_head

INPUTS = {
    "a 2-D map": torch.randn(2, 6, 5, 4),
    "a 3-D map": torch.randn(2, 6, 3, 5, 4),
    "tokens": torch.randn(2, 9, 6),
    "a vector": torch.randn(2, 6),
}
FITTING = {
    "a 2-D map": {"fully_connected", "identity", "linear_probe"},
    "a 3-D map": {"fully_convolutional_linear", "identity", "linear_probe"},
    "tokens": {"identity", "linear_probe"},
    "a vector": {"identity", "linear_probe", "vision_transformer_head"},
}
PLANE = {"unique_id": "h", "in_plane": 6, "num_classes": 5}
FC, FCL, VIT = (
    {**PLANE, "name": n} for n in ("fully_connected", "fully_convolutional_linear", "vision_transformer_head")
)
CASES = {
    "fully_connected": (FC, "a 2-D map"),
    "fully_connected without classes": ({**FC, "num_classes": None}, "a 2-D map"),
    "fully_connected conv_planes": ({**FC, "conv_planes": 8}, "a 2-D map"),
    "fully_connected conv_planes silu": ({**FC, "conv_planes": 8, "activation": "silu"}, "a 2-D map"),
    "fully_connected conv_planes without classes": ({**FC, "conv_planes": 8, "num_classes": None}, "a 2-D map"),
    "fully_connected l2": ({**FC, "normalize_inputs": "l2"}, "a 2-D map"),
    "fully_connected zero_init_bias": ({**FC, "zero_init_bias": True}, "a 2-D map"),
    "fully_convolutional_linear": (FCL, "a 3-D map"),
    "fully_convolutional_linear pool_size": ({**FCL, "pool_size": [2, 3, 1]}, "a 3-D map"),
    "fully_convolutional_linear sigmoid": ({**FCL, "activation_func": "sigmoid", "pool_size": [1, 2, 2]}, "a 3-D map"),
    "fully_convolutional_linear identity": ({**FCL, "activation_func": "identity"}, "a 3-D map"),
    "fully_convolutional_linear dropout": ({**FCL, "use_dropout": True, "dropout_ratio": 0.3}, "a 3-D map"),
    "vision_transformer_head": (VIT, "a vector"),
    "vision_transformer_head hidden_dim": ({**VIT, "hidden_dim": 7}, "a vector"),
    "vision_transformer_head l2": ({**VIT, "normalize_inputs": "l2", "hidden_dim": 7}, "a vector"),
    "vision_transformer_head without classes": ({**VIT, "num_classes": None}, "a vector"),
    "identity": ({"name": "identity", "unique_id": "h"}, "tokens"),
}


@pytest.fixture
def theirs():
    from classy_vision.heads import build_head as build

    return lambda config: build({"pool_size": None, **config} if "convolutional" in config["name"] else dict(config))


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_parity(label, train, theirs, randomise, shapes, parity):
    config, kind = CASES[label]
    ours, ref = build_head(copy.deepcopy(config)), randomise(theirs(config))
    assert shapes(ours) == shapes(ref)
    ours.load_state_dict(ref.state_dict())
    x, results = INPUTS[kind].double(), []
    for head in (ours, ref):
        torch.manual_seed(3)
        results.append(head.double().train(train)(x.clone()))
    assert (results[0] - results[1]).abs().max() <= 1e-12
    facts = {
        "keys": f"{len(shapes(ours))} equal", "shapes": "equal",
        "parameters": f"{sum(p.numel() for p in ours.parameters()):,}",
        "outputs": "float64 <= 1e-12, eval and train", "heads": "itself",
    }  # fmt: skip
    for column, fact in facts.items():
        parity(f"head: {label}", column, fact)


@pytest.mark.parametrize("label", CASES)
def test_initial_weights(label, theirs):
    config, _ = CASES[label]
    torch.manual_seed(0)
    ours, ref = build_head(config).state_dict(), theirs(config).state_dict()
    for key in ref:
        assert bool(ours[key].any()) == bool(ref[key].any()), f"{key} is zero in one only"


@pytest.mark.parametrize("kind", INPUTS)
def test_the_heads_that_fit(kind):
    features = Features.of(INPUTS[kind], 2)
    assert set(heads_that_fit(features)) == FITTING[kind]


@pytest.mark.parametrize("name", ["fully_connected", "fully_convolutional_linear", "vision_transformer_head"])
@pytest.mark.parametrize("kind", INPUTS)
def test_another_kind_of_features_is_refused_in_words(name, kind):
    head = build_head({**PLANE, "name": name})
    if name in FITTING[kind]:
        assert head(INPUTS[kind]).shape == (2, 5)
        return
    with pytest.raises(HeadError, match=r"'h' .* takes .* was given a tensor of shape \(2, "):
        head(INPUTS[kind])


@pytest.mark.parametrize(
    "name", ["fully_connected", "fully_convolutional_linear", "vision_transformer_head", "linear_probe"]
)
def test_other_channels_are_refused_with_the_number_to_use(name):
    head = build_head({**PLANE, "name": name, "in_plane": 9})
    kind = next(k for k in INPUTS if name in FITTING[k])
    with pytest.raises(HeadError, match=r"expects 9 channels, it was given 6.*in_plane=6"):
        head(INPUTS[kind])


@pytest.mark.parametrize("kind", INPUTS)
def test_a_linear_probe_is_the_mean_and_a_linear_layer(kind):
    probe, x = build_head({**PLANE, "name": "linear_probe"}), INPUTS[kind]
    channels = x.movedim(-1, 1) if kind == "tokens" else x
    mean = channels.reshape(2, 6, -1).mean(-1)
    torch.testing.assert_close(probe(x), mean @ probe.fc.weight.T + probe.fc.bias)


def test_a_linear_probe_on_tokens_in_the_other_order():
    x = INPUTS["tokens"]
    first = build_head({**PLANE, "name": "linear_probe"})
    other = build_head({**PLANE, "name": "linear_probe", "tokens": "sequence_first"})
    other.load_state_dict(first.state_dict())
    torch.testing.assert_close(other(x.transpose(0, 1)), first(x))


@pytest.mark.parametrize("label", CASES)
def test_the_config_rebuilds_the_head(label, shapes):
    head = build_head(CASES[label][0])
    again = build_head(head.config)
    assert again.config == head.config and shapes(again) == shapes(head) and str(again) == str(head)


@pytest.mark.parametrize(
    "config, words",
    [
        ({"unique_id": "h"}, "'name'"),
        ({"name": "identity"}, "'unique_id'"),
        ({"name": "identity", "unique_id": ""}, "unique_id"),
        ({"name": "identity", "unique_id": 3}, "unique_id"),
        ({**FC, "num_classes": 0}, "num_classes"),
        ({**FC, "num_classes": True}, "num_classes"),
        ({**FC, "in_plane": 0.5}, "in_plane"),
        ({**FC, "activation": "tanh"}, "relu"),
        ({**FC, "normalize_inputs": "l1"}, "l2"),
        ({**FC, "conv_plane": 3}, "conv_planes"),
        ({**FCL, "pool_size": [1, 2]}, "pool_size"),
        ({**FCL, "dropout_ratio": 2.0}, "dropout_ratio"),
        ({"name": "linear_probe", "unique_id": "h", "in_plane": 3}, "num_classes"),
        ("identity", "dict"),
    ],
)
def test_bad_configs(config, words):
    with pytest.raises(ConfigError, match=words):
        build_head(config)


def test_an_unknown_head_is_suggested():
    with pytest.raises(UnknownNameError, match="'fully_connected'"):
        build_head({"name": "fully_conected", "unique_id": "h"})


def test_registering():
    assert list_heads("fully_*") == ["fully_connected", "fully_convolutional_linear"]
    with pytest.raises(DuplicateNameError):
        register_head("identity")(type("Another", (ClassyHead,), {}))
    with pytest.raises(ConfigError, match="ClassyHead"):
        register_head("no_head")(torch.nn.Linear)
    assert "no_head" not in list_heads()
