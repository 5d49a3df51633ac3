"""classykit.load_pretrained with ClassyVision's checkpoint files, heads included: the reference's outputs."""

import copy
import re

import pytest
import torch

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights.classy import load_classy

pytest.importorskip("classy_vision")

FC = {"name": "fully_connected", "unique_id": "cls", "num_classes": 5, "in_plane": 512, "fork_block": "block3-1"}
RESNET18 = {"name": "resnet", "num_blocks": [2, 2, 2, 2], "basic_layer": True, "heads": [FC]}
VIT = {
    "name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16,
    "mlp_dim": 24,
    "heads": [{"name": "vision_transformer_head", "unique_id": "cls", "num_classes": 5, "in_plane": 16, "hidden_dim": 9,
               "fork_block": "trunk_output"}],
}  # fmt: skip
REGNET_Z = {
    "name": "regnet_z_500mf",
    "heads": [{"name": "fully_connected", "unique_id": "cls", "num_classes": 5, "in_plane": 256, "conv_planes": 24,
               "activation": "silu", "fork_block": "block4-1"}],
}  # fmt: skip
EFFICIENTNET = {"name": "efficientnet_b0"}


def state_of(wrapper):
    return wrapper.get_classy_state()


def checkpoint(config, wrapper):
    """As ClassyVision's CheckpointHook writes it."""
    return {
        "input_args": {"config": {"name": "classification_task", "num_epochs": 1, "model": config}, "device": "cpu"},
        "classy_state_dict": {"train": True, "base_model": state_of(wrapper), "meters": [], "losses": [0.5]},
    }


@pytest.fixture(scope="module")
def built(reference, randomise):
    """ClassyVision's model of a config, randomised, in eval mode and float64."""
    made = {}

    def make(config):
        key = str(config)
        if key not in made:
            wrapper = reference(config, wrapped=True)
            randomise(wrapper.classy_model)
            wrapper.classy_model.double().eval()
            made[key] = wrapper
        return made[key]

    return make


def assert_the_same(model, wrapper, side=64):
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = model(x), wrapper(x)
    assert ours.dtype == torch.float64 and not model.training
    assert theirs.std() > 1e-3 and (ours - theirs).abs().max() <= 1e-12


@pytest.mark.parametrize(
    "name, config, side",
    [
        ("resnet18", RESNET18, 64),
        ("resnext", RESNET18, 64),
        ("vision_transformer", VIT, 32),
        ("regnet_z_500mf", REGNET_Z, 64),
        ("efficientnet_b0", EFFICIENTNET, 64),
    ],
)
def test_a_whole_checkpoint(name, config, side, built, tmp_path):
    wrapper = built(config)
    torch.save(checkpoint(config, wrapper), tmp_path / "checkpoint.torch")
    random = torch.get_rng_state()
    model = ck.load_pretrained(name, source=tmp_path / "checkpoint.torch")
    assert torch.equal(random, torch.get_rng_state())
    assert_the_same(model, wrapper, side)
    heads = [h.unique_id for of in model.get_heads().values() for h in of]
    assert heads == [h["unique_id"] for h in config.get("heads", [])]


WRAPPINGS = {
    "a task's state": lambda s: {"classy_state_dict": {"base_model": s}},
    "base_model": lambda s: {"base_model": s},
    "a model's state": lambda s: s,
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_without_a_config_the_heads_are_told_from_their_weights(wrap, built, tmp_path):
    wrapper = built(RESNET18)
    torch.save(wrap(state_of(wrapper)), tmp_path / "w.torch")
    model = ck.load_pretrained("resnet18", source=tmp_path / "w.torch")
    assert_the_same(model, wrapper)
    (head,) = model.get_heads()["block3-1"]
    assert head.config == {"name": "fully_connected", "unique_id": "cls", "in_plane": 512, "num_classes": 5}


def test_a_state_of_ours_in_that_form(tmp_path, input_for):
    own = ck.build_model("r3d_18").eval()
    own.attach_head(own.block_names[-1], "fully_convolutional_linear", num_classes=3)
    own.attach_head(own.block_names[0], "identity", unique_id="stem")
    torch.save(own.get_classy_state(), tmp_path / "w.pth")
    model = ck.load_pretrained("r3d_18", source=tmp_path / "w.pth")
    x = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        ours, wanted = model(x), own(x)
    assert ours.keys() == wanted.keys() and all(torch.equal(ours[k], v) for k, v in wanted.items())


@pytest.mark.parametrize(
    "model",
    [
        {"trunk": {"initial_block._module.0.weight": "b"}, "heads": {}},
        {"trunk": {}, "heads": {"block3-1": {"cls": 3}}},
        {"trunk": {}, "heads": {"block3-1": 3}},
        {"trunk": {}, "heads": [1]},
        {"trunk": {}, "heads": {"block3-1": {"cls": {"fc.weight": 3}}}},
    ],
)
def test_what_only_looks_like_a_state_is_refused(model, tmp_path):
    torch.save({"model": model, "version": 0.2}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w.pth is no ClassyVision state, which has the form {'model'"):
        ck.load_pretrained("resnet18", source=tmp_path / "w.pth")


def test_the_state_of_an_older_version(built, tmp_path):
    # before version 0.2 blocks had no names of their own
    state = copy.deepcopy(state_of(built({k: v for k, v in RESNET18.items() if k != "heads"})))
    del state["version"]
    trunk = state["model"]["trunk"]
    named = re.compile(r"(blocks\.\d+\.)block\d+-(\d+)\.")
    state["model"]["trunk"] = {named.sub(r"\1\2._module.", k): v for k, v in trunk.items()}
    assert state["model"]["trunk"].keys() != trunk.keys()
    torch.save(state, tmp_path / "w.pth")
    model = ck.load_pretrained("resnet18", source=tmp_path / "w.pth")
    assert all(torch.equal(v, trunk[k]) for k, v in model.state_dict().items())


def test_a_vit_of_another_resolution_keeps_its_positions():
    shell = ck.build_model("vit_b_32", image_size=64, device="meta")
    trunk = {k: torch.zeros(v.shape) for k, v in shell.state_dict().items()}
    trunk["encoder.pos_embedding"].normal_()
    state = {"model": {"trunk": trunk, "heads": {}}}
    model = load_classy("vit_b_32", state, None, "a dict")
    assert model.input_shape == (3, 64, 64)
    key = "encoder.pos_embedding"
    assert torch.equal(model.state_dict()[key], state["model"]["trunk"][key])


@pytest.mark.parametrize(
    "name, config, with_config, words",
    [
        ("resnet34", RESNET18, True, "for resnet34, does not fit: it lacks 'blocks.0.block0-2"),
        ("resnet34", RESNET18, False, "lacks 'blocks.0.block0-2"),
        ("regnet_y_400mf", RESNET18, True, "holds a ResNet, and regnet_y_400mf is a RegNet"),
        ("densenet121", RESNET18, False, "does not fit"),
        ("vision_transformer", VIT, False, "num_heads"),
        ("regnet_z_500mf", REGNET_Z, False, "head 'cls'.*no config: the activation behind its convolution cannot"),
    ],
)
def test_what_does_not_fit_is_refused(name, config, with_config, words, built, tmp_path):
    wrapper = built(config)
    torch.save(checkpoint(config, wrapper) if with_config else state_of(wrapper), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source=tmp_path / "w.pth")


def _no_head(c):
    c["classy_state_dict"]["base_model"]["model"]["heads"] = {}


def _other_head(c):
    c["input_args"]["config"]["model"]["heads"][0]["num_classes"] = 7


def _unknown_name(c):
    c["input_args"]["config"]["model"]["name"] = "resnot"


def _missing_weight(c):
    del c["classy_state_dict"]["base_model"]["model"]["trunk"]["initial_block._module.0.weight"]


@pytest.mark.parametrize(
    "change, words",
    [
        (_no_head, "The heads differ"),
        (_other_head, r"head 'cls' does not fit.*\(5, 512\), the model \(7, 512\)"),
        (_unknown_name, "resnot.*Did you mean"),
        (_missing_weight, "lacks 'initial_block"),
    ],
)
def test_a_checkpoint_at_odds_with_itself_is_refused(change, words, built, tmp_path):
    content = copy.deepcopy(checkpoint(RESNET18, built(RESNET18)))
    change(content)
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained("resnet18", source=tmp_path / "w.pth")
