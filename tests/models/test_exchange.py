"""Checkpoints travel between ClassyVision and this kit, in both directions, for every family with heads."""

import copy

import pytest
import torch

import classykit as ck
from classykit.errors import StateError

pytest.importorskip("classy_vision")

FC, FCL, VEC = "fully_connected", "fully_convolutional_linear", "vision_transformer_head"
#: {family: {block, by the name that both sides have for it: a head that both have}}, one in the middle, one at the end
HEADS = {
    "ResNeXt": {"block0-0": FC, "block1-1": FC},
    "DenseNet": {"transition-0": FC, "trunk_output": FC},
    "EfficientNet": {"conv_head": FC, "trunk_output": FC},  # the reference cannot run one at a block of its
    "AnyNet": {"block1-0": FC, "trunk_output": FC},
    "RegNet": {"block2-0": FC, "trunk_output": FC},
    "VisionTransformer": {"conv_proj": FC, "trunk_output": VEC},
    "ResNeXt3D": {"pathway0-stage1-block0": FCL, "pathway0-stage2-block1-relu": FCL},
    "MLP": {"2": VEC, "mlp": VEC},
}
every_family = pytest.mark.parametrize("family", HEADS)


@pytest.fixture
def config(family, light_configs):
    """The family's light config with two heads at one block and one at another, as both sides read it."""
    config = copy.deepcopy(light_configs[family])
    shell = ck.build_model(config, device="meta")
    config["heads"] = [
        {"name": name, "unique_id": unique_id, "num_classes": classes, "fork_block": block,
         "in_plane": shell.block_features([block])[block].channels, **({"pool_size": None} if name == FCL else {})}
        for unique_id, classes, (block, name) in zip(
            ("early", "late", "later"), (3, 4, 5), (*HEADS[family].items(), [*HEADS[family].items()][1]), strict=True
        )
    ]  # fmt: skip
    return config


@pytest.fixture
def pair(config, reference, randomise, input_for):
    """(ours, theirs, an input): the same config, other weights."""
    ours = randomise(ck.build_model(config), seed=1).eval()
    theirs = reference(config, wrapped=True).eval()
    randomise(theirs.classy_model, seed=2)
    x = input_for(ours)
    return ours, theirs, x[..., :32, :32] if x.ndim == 4 else x


def assert_same_answers(ours, theirs, x):
    with torch.no_grad():
        got, wanted = ours(x), theirs(x)
    assert got.keys() == wanted.keys() == {"early", "late", "later"}
    for key, value in wanted.items():
        assert value.std() > 1e-4
        torch.testing.assert_close(got[key], value, atol=1e-5, rtol=1e-5)


def look(state):
    """A state as it is: its dicts, in order, and each tensor with its identity, version and values."""
    if isinstance(state, dict):
        return id(state), [(key, look(value)) for key, value in state.items()]
    return (id(state), state._version, state.tolist()) if isinstance(state, torch.Tensor) else state


def keys_of(state):
    return [(k, keys_of(v)) for k, v in state.items()] if isinstance(state, dict) else None


def checkpoint_of(config, model):
    """What ClassyVision's trainer writes, as far as from_checkpoint looks at it."""
    return {"input_args": {"config": {"model": config}}, "classy_state_dict": {"base_model": model.get_classy_state()}}


@every_family
def test_the_form_is_the_same(pair):
    ours, theirs, _ = pair
    a, b = ours.get_classy_state(), theirs.get_classy_state()
    assert a.get("version") == b.get("version")
    assert keys_of(a["model"]["trunk"]) == keys_of(b["model"]["trunk"])
    assert keys_of(a["model"]["heads"]) == keys_of(b["model"]["heads"])
    assert {k: v.shape for k, v in a["model"]["trunk"].items()} == {k: v.shape for k, v in b["model"]["trunk"].items()}


@every_family
def test_theirs_loads_into_ours(pair):
    ours, theirs, x = pair
    state = theirs.get_classy_state()
    before = look(state)
    ours.set_classy_state(state)
    assert_same_answers(ours, theirs, x)
    assert look(state) == before


@every_family
def test_ours_loads_into_theirs(pair):
    ours, theirs, x = pair
    theirs.set_classy_state(ours.get_classy_state(deep_copy=True))
    assert_same_answers(ours, theirs, x)


@every_family
@pytest.mark.parametrize("to_ours", [True, False], ids=["theirs into ours", "ours into theirs"])
def test_heads_alone(to_ours, pair):
    """Heads take the other side's weights, the trunk stays as it was."""
    ours, theirs, _ = pair
    source, target = (theirs, ours) if to_ours else (ours, theirs)
    state, old = source.get_classy_state(deep_copy=True), target.get_classy_state(deep_copy=True)
    before = look(state)
    target.load_head_states(state)
    assert look(state) == before
    new = target.get_classy_state()["model"]
    for key, value in old["model"]["trunk"].items():
        assert torch.equal(new["trunk"][key], value)
    for block, heads in state["model"]["heads"].items():
        for unique_id, head in heads.items():
            for key, value in head.items():
                assert torch.equal(new["heads"][block][unique_id][key], value)
                if value.ndim > 1:
                    assert not torch.equal(old["model"]["heads"][block][unique_id][key], value)


@every_family
def test_their_checkpoint_becomes_our_model(pair, config, tmp_path):
    _, theirs, x = pair
    torch.save(checkpoint_of(config, theirs), tmp_path / "checkpoint.torch")
    checkpoint = torch.load(tmp_path / "checkpoint.torch")
    before = look(checkpoint)
    model = ck.ClassyModel.from_checkpoint(checkpoint).eval()
    assert look(checkpoint) == before
    assert_same_answers(model, theirs, x)
    assert type(model).__name__ == type(theirs.classy_model).__name__


@every_family
def test_our_checkpoint_becomes_their_model(pair, config, tmp_path):
    from classy_vision.models import ClassyModel

    ours, _, x = pair
    torch.save(checkpoint_of(config, ours), tmp_path / "checkpoint.torch")
    theirs = ClassyModel.from_checkpoint(torch.load(tmp_path / "checkpoint.torch")).eval()
    theirs.classy_model.register_forward_hook(lambda m, a, o: o[0] if isinstance(o, list) else o)
    assert_same_answers(ours, theirs, x)


def spoil(state, how):
    """Change a state in place; returns what a message has to name."""
    trunk, heads = state["model"]["trunk"], state["model"]["heads"]
    block = next(iter(heads))
    if how == "a trunk key less":
        named = next(k for k, v in trunk.items() if v.ndim > 1)
        del trunk[named]
    elif how == "one more":
        named = "junk"
        trunk[named] = torch.zeros(1)
    elif how == "a head less":
        named = "early"
        del heads[block]
    elif how == "one more head":
        named = "other"
        heads[block][named] = {"weight": torch.zeros(1)}
    else:
        named = next(iter(heads[block]["early"]))
        del heads[block]["early"][named]
    return named


@every_family
def test_strict_is_strict(pair, everything, assert_same):
    """And what is refused, or let pass because strict is off, is never written to."""
    ours, theirs, _ = pair
    own = ours.get_classy_state(deep_copy=True)
    before = everything(ours)
    for how in ("a trunk key less", "one more", "a head less", "one more head", "a head's key less"):
        state = theirs.get_classy_state(deep_copy=True)
        named, trunk = spoil(state, how), state["model"]["trunk"]
        given = look(state)
        for load in (ours.set_classy_state, *([ours.load_head_states] if "head" in how else [])):
            with pytest.raises(StateError, match=f"'{named}'"):
                load(state)
            assert_same(before, everything(ours))
        ours.set_classy_state(state, strict=False)
        assert look(state) == given
        last = [k for k, v in trunk.items() if k in ours.state_dict() and v.is_floating_point()][-1]
        assert torch.equal(ours.state_dict()[last], trunk[last]), "what fits is loaded"
        if how == "a trunk key less":
            assert torch.equal(ours.state_dict()[named], own["model"]["trunk"][named]), "what is missing stays"
        ours.set_classy_state(own)
