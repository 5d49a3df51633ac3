"""classykit.models.vision_transformer against ClassyVision."""

import copy
import logging

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, ShapeError, StateError

NAMES = ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"]
BASE = {
    "name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 4,
    "hidden_dim": 32, "mlp_dim": 48,
}  # fmt: skip
STEM = [{"kernel": 3, "stride": 2, "out_channels": 6}, {"kernel": 5, "stride": 4, "out_channels": 10}]
OPTIONS = {
    "token": {},
    "gap": {"classifier": "gap"},
    "conv_stem_layers": {"conv_stem_layers": STEM},
    "conv_stem_layers, gap": {"conv_stem_layers": STEM, "classifier": "gap"},
    "dropout_rate": {"dropout_rate": 0.3},
    "attention_dropout_rate": {"attention_dropout_rate": 0.3},
    "patch_size": {"patch_size": 16},
    "image_size": {"image_size": 48},
    "num_heads": {"num_heads": 1},
    "num_layers": {"num_layers": 1},
}


def test_every_registered_name_is_tested():
    assert sorted(ck.list_models("vit_*")) == sorted([*NAMES, "vit_demo"]), "which ClassyVision does not know"


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_outputs):
    config, label = {**BASE, **OPTIONS[label]}, f"vision_transformer: {label}"
    assert_same_shell(config, label)
    assert_same_outputs(config, label)


@pytest.mark.parametrize("label", [k for k in OPTIONS if k != "attention_dropout_rate"])
def test_training(label, assert_same_outputs, assert_trains_the_same, input_for):
    # attention dropout is drawn inside torch's kernels, from another place of the random stream
    config = {**BASE, **OPTIONS[label]}
    if "dropout" in label:  # ours is (N, L, C), theirs (L, N, C): only for one input are the masks the same
        batch = 1
    else:
        batch = 3
    ours, theirs = assert_same_outputs(config, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=batch, dtype=torch.float64), 1e-9)


def test_attention_dropout_acts_in_training_only():
    model = ck.build_model({**BASE, "attention_dropout_rate": 0.5})
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.allclose(model.train()(x), model(x))


@pytest.mark.parametrize("classifier", ["token", "gap"])
@pytest.mark.parametrize("other", [16, 48, 64])
def test_position_embeddings_are_resized_as_in_the_reference(classifier, other, reference, randomise, caplog):
    source = randomise(reference({**BASE, "classifier": classifier, "image_size": other}, wrapped=True).classy_model)
    state = {"model": {"trunk": source.state_dict(), "heads": {}}}
    kept = copy.deepcopy(state)
    theirs = reference({**BASE, "classifier": classifier}, wrapped=True)
    theirs.set_classy_state(copy.deepcopy(state))
    ours = ck.build_model({**BASE, "classifier": classifier})
    with caplog.at_level(logging.INFO, logger="classykit"):
        ours.set_classy_state(state)
    assert "resized" in caplog.text
    torch.testing.assert_close(ours.encoder.pos_embedding, theirs.classy_model.encoder.pos_embedding)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=0)
    for key, value in kept["model"]["trunk"].items():  # the caller's state is as it was
        assert torch.equal(value, state["model"]["trunk"][key])


@pytest.mark.parametrize(
    "embedding, words", [((17, 2, 32), "shape"), ((17, 1, 31), "shape"), ((12, 1, 32), "square"), ((17, 32), "shape")]
)
def test_a_position_embedding_that_cannot_be_resized(embedding, words):
    model = ck.build_model({**BASE, "image_size": 48})
    state = model.get_classy_state(deep_copy=True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state["model"]["trunk"]["encoder.pos_embedding"] = torch.zeros(embedding)
    with pytest.raises(StateError, match=words):
        model.set_classy_state(state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("shape", [(1, 3, 31, 32), (1, 3, 64, 64), (3, 32, 32), (1, 3, 32)])
def test_other_sizes_are_refused_in_words(shape):
    with pytest.raises(ShapeError, match=r"image_size|32, 32"):
        ck.build_model(BASE)(torch.zeros(shape))


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"image_size": 30}, "patch_size"),
        ({"hidden_dim": 30}, "num_heads"),
        ({"classifier": "cls"}, "token"),
        ({"conv_stem_layers": []}, "conv_stem_layers"),
        ({"conv_stem_layers": [{"kernel": 4, "stride": 8, "out_channels": 4}]}, "odd"),
        ({"conv_stem_layers": STEM[:1]}, "strides"),
        ({"conv_stem_layers": [{"kernel": 3, "stride": 8}]}, "out_channels"),
        ({"dropout_rate": -0.1}, "dropout_rate"),
        ({"depth": 2}, "num_layers|depth"),
    ],
)
def test_bad_keys(keys, words):
    with pytest.raises(ConfigError, match=words):
        ck.build_model({**BASE, **keys}, device="meta")


def test_named_models_take_every_key_of_the_family():
    stem = [{"kernel": 3, "stride": 2, "out_channels": 8}] * 5
    model = ck.build_model("vit_b_32", device="meta", conv_stem_layers=stem, classifier="gap", num_layers=1)
    assert model.block_names == ["conv_proj", "embedding", "layer_0", "ln", "trunk_output"]
