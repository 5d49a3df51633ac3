"""classykit.models.classy_model: the contract that every family keeps."""

import copy
import pickle

import pytest
import torch
from odd import NO_TABLE, every_family
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, HeadError, StateError, UnknownNameError
from classykit.heads import ClassyHead, FullyConnectedHead, IdentityHead


class Plain(ck.ClassyModel):
    """A user's model: only __init__ and forward."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.rest = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3, padding=1))

    def forward(self, x):
        return self.rest(self.first(x))


def probe(block, unique_id="cls", classes=3):
    return {"name": "linear_probe", "unique_id": unique_id, "num_classes": classes, "fork_block": block}


def assert_outputs_close(a, b, **tolerance):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            torch.testing.assert_close(a[key], b[key], **tolerance)
    else:
        torch.testing.assert_close(a, b, **tolerance)


@pytest.fixture(params=[0, 1, 2], ids=["no head", "one head", "two heads"])
def headed(request, small):
    """A small model with 0, 1 or 2 heads, and an input."""
    model, x = small
    for i in range(request.param):
        model.attach_head(f"block{i}-0", "fully_connected", unique_id=["a.b", "type"][i], num_classes=3 + i)
    return model, x


class TestOutputs:
    def test_features_a_tensor_or_a_dict_by_the_number_of_heads(self, light, input_for):
        model = ck.build_model(light).eval()
        x, block = input_for(model), model.block_names[-1]
        trunk = model(x)
        if light["name"] != "efficientnet":  # whose output is its own classifier's
            assert_outputs_close(model.extract_features(x), trunk)
        first = model.attach_head(block, "linear_probe", num_classes=3)
        assert torch.is_tensor(model(x)) and model(x).shape == (2, 3)
        second = model.attach_head(block, "identity")
        both = model(x)
        assert list(both) == [first.unique_id, second.unique_id] == ["linear_probe", "identity"]
        torch.testing.assert_close(first(both["identity"]), both["linear_probe"])
        model.clear_heads()
        torch.testing.assert_close(model(x), trunk)

    def test_features_do_not_depend_on_heads(self, small):
        model, x = small
        features = model.extract_features(x)
        model.attach_head("block0-0", "identity")
        torch.testing.assert_close(model.extract_features(x), features)

    def test_a_subclass_that_only_has_a_forward(self):
        model = Plain().eval()
        assert model.block_names == ["first", "rest.1"] or model.block_names == ["first", "rest"]
        x = torch.randn(2, 3, 16, 16)
        wanted = model.first(x)
        model.attach_head("first", "identity")
        torch.testing.assert_close(model(x), wanted)
        model.attach_head("first", "fully_connected", num_classes=5)
        assert model(x)["fully_connected"].shape == (2, 5)

    def test_gradients_reach_the_trunk_through_every_head(self, small):
        model, x = small
        model.add_heads_from_configs([probe("block0-0", "a"), probe("block1-1", "b")])
        sum(o.sum() for o in model.train()(x).values()).backward()
        assert all(p.grad is not None and p.grad.any() for n, p in model.named_parameters() if n.endswith("fc.weight"))
        assert model.initial_block._module[0].weight.grad.any()

    def test_user_hooks_see_the_heads_output(self, small):
        model, x = small
        seen = []
        model.register_forward_hook(lambda m, a, o: seen.append(o))
        head = model.attach_head("block1-0", "fully_connected", num_classes=3)
        model.register_forward_hook(lambda m, a, o: seen.append(o))
        out = model(x)
        assert len(seen) == 2 and seen[0] is out and seen[1] is out
        assert model.head_outputs[head.unique_id] is out


class TestHeads:
    def test_default_ids_are_numbered(self, small):
        model, _ = small
        ids = [model.attach_head("block0-0", "identity").unique_id for _ in range(3)]
        assert ids == ["identity", "identity_2", "identity_3"]

    @pytest.mark.parametrize(
        "bad",
        [
            {"block0-0": [FullyConnectedHead(unique_id="x", in_plane=1, num_classes=1)]},
            {"block0-0": [IdentityHead(unique_id="x")], "nonsense": [IdentityHead(unique_id="y")]},
            {"block0-0": [IdentityHead(unique_id="x"), IdentityHead(unique_id="x")]},
            {"block0-0": [IdentityHead(unique_id="x"), {"name": "fully_connected", "unique_id": "y", "nonsense": 1}]},
            {"block0-0": [IdentityHead(unique_id="x"), nn.Linear(2, 2)]},
        ],
        ids=["misfit", "unknown block", "same id", "bad config", "no head"],
    )
    def test_a_failed_set_heads_changes_nothing(self, bad, headed):
        model, x = headed
        before, outputs, keys = model.get_heads(), model(x), list(model.state_dict())
        with pytest.raises((HeadError, BlockError, ConfigError)):
            model.set_heads(bad)
        assert model.get_heads() == before and list(model.state_dict()) == keys
        assert_outputs_close(model(x), outputs)

    def test_set_heads_replaces_all(self, headed):
        model, x = headed
        model.set_heads({"block1-1": [IdentityHead(unique_id="only")], "block0-0": []})
        assert list(model.get_heads()) == ["block1-1"]
        torch.testing.assert_close(model(x), model.extract_features(x))

    def test_removing(self, small):
        model, x = small
        model.add_heads_from_configs([probe("block0-0", "a"), probe("block0-0", "b")])
        with pytest.raises(HeadError, match="attached are: a, b"):
            model.remove_head("c")
        removed = model.remove_head("a")
        assert removed.unique_id == "a" and model(x).shape == (2, 3)
        model.attach_head("block1-0", IdentityHead(unique_id="a"))
        assert list(model(x)) == ["b", "a"]

    def test_heads_never_touch_the_trunk(self, light, shapes):
        model = ck.build_model(light)
        tree, state = [(n, id(m)) for n, m in model.named_modules() if not n.startswith("_heads")], shapes(model)
        for block in model.block_names:
            model.attach_head(block, "linear_probe", unique_id=block, num_classes=2)
        assert [(n, id(m)) for n, m in model.named_modules() if not n.startswith("_heads")] == tree
        trunk = [(k, s) for k, s in shapes(model) if not k.startswith("_heads.")]
        assert trunk == state == [(k, tuple(v.shape)) for k, v in model.get_classy_state()["model"]["trunk"].items()]
        model.clear_heads()
        assert shapes(model) == state
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())

    def test_a_users_head(self, small):
        class Sum(ClassyHead):
            def forward(self, x):
                return x.sum((1, 2, 3))

        model, x = small
        model.attach_head("block1-0", Sum("s"))
        torch.testing.assert_close(model(x), ck.capture(model, x, "block1-0")["block1-0"].sum((1, 2, 3)))

    def test_execute_heads(self, small):
        model, x = small
        assert model.execute_heads() == {}
        head = model.attach_head("block1-0", "fully_connected", num_classes=3)
        with pytest.raises(HeadError, match="call model"):
            model.execute_heads()
        out = model(x)
        assert model.execute_heads()[head.unique_id] is out
        features = ck.capture(model, x, "block1-0")
        torch.testing.assert_close(model.execute_heads(features)[head.unique_id], out)
        with pytest.raises(BlockError, match="'block1-0'"):
            model.execute_heads({"block0-0": x})


class TestState:
    def test_round_trip(self, light, input_for, randomise):
        config = {**light, "heads": [probe(b, b) for b in ck.build_model(light).block_names[-2:]]}
        a, b = randomise(ck.build_model(config)).eval(), ck.build_model(config).eval()
        state = a.get_classy_state()
        b.set_classy_state(state)
        x = input_for(a)
        assert_outputs_close(a(x), b(x))
        key = next(iter(state["model"]["trunk"]))
        assert state["model"]["trunk"][key].data_ptr() == a.state_dict()[key].data_ptr()
        deep = a.get_classy_state(deep_copy=True)
        with torch.no_grad():
            [p.zero_() for p in a.parameters()]
        b.set_classy_state(deep)
        assert any(p.any() for p in b.parameters())

    def test_only_the_heads(self, small):
        model, x = small
        model.add_heads_from_configs([probe("block0-0")])
        state = model.get_classy_state(deep_copy=True)
        trunk = model.extract_features(x)
        state["model"]["heads"]["block0-0"]["cls"]["fc.weight"].zero_()
        state["model"]["heads"]["block0-0"]["cls"]["fc.bias"].fill_(2)
        for value in state["model"]["trunk"].values():
            value.zero_()
        model.load_head_states(state)
        assert (model(x) == 2).all()
        torch.testing.assert_close(model.extract_features(x), trunk)


class TestFromModel:
    def test_a_torchvision_model(self):
        models = pytest.importorskip("torchvision.models")
        theirs = models.resnet18().eval()
        model = ck.ClassyModel.from_model(theirs, input_shape=(3, 64, 64))
        assert model.model is theirs and model.input_shape == (3, 64, 64)
        x = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(model(x), theirs(x))
        stages = [n for n in model.block_names if n.startswith("layer")]
        assert stages == [f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)]
        keys = list(theirs.state_dict())
        model.attach_head("layer3.1", "fully_connected", num_classes=4)
        features = ck.capture(theirs, x, "layer3.1")["layer3.1"]
        torch.testing.assert_close(model(x), model.get_heads()["layer3.1"][0](features))
        assert list(theirs.state_dict()) == keys
        torch.testing.assert_close(copy.deepcopy(model)(x), model(x))

    def test_a_classy_model_is_itself(self, small):
        assert ck.ClassyModel.from_model(small[0]) is small[0]

    def test_what_is_no_module(self):
        with pytest.raises(ConfigError, match=r"nn.Module"):
            ck.ClassyModel.from_model("resnet18")


def test_forward_has_to_be_written():
    with pytest.raises(NotImplementedError, match="Empty"):
        type("Empty", (ck.ClassyModel,), {})()(torch.zeros(1))


@pytest.mark.parametrize(
    "family, block, short",
    [
        (ck.ClassyModel, "block1-1", "1-1"),
        (ck.ClassyModel, "layer_3", "3"),
        (ck.ClassyModel, "features.1.0", "1.0"),
        (ck.ClassyModel, "a.conv", "conv"),
        (ck.models.MLP, "hidden0", "0"),
        (ck.models.EfficientNet, "trunk_output", "out"),
        (ck.models.RegNet, "trunk_output", "out"),
        (ck.models.ResNeXt, "initial_block", "stem"),
        (ck.models.VisionTransformer, "conv_proj", "patches"),
        (ck.models.ResNeXt3D, "stem-path0", "stem"),
        (ck.models.ResNeXt3D, "pathway0-stage2-block1", "2-1"),
        (ck.models.ResNeXt3D, "pathway0-stage4-block2-relu", "relu"),
    ],
)
def test_short_names_of_blocks(family, block, short):
    assert family.short_name(block) == short


@pytest.mark.parametrize(
    "checkpoint",
    [
        *NO_TABLE, {}, {"input_args": None}, {"input_args": {}}, {"input_args": {"config": []}},
        {"input_args": {"config": {"model": {"name": "mlp"}}}},
        {"input_args": {"config": {"model": 5}}, "classy_state_dict": {"base_model": {}}},
        {"input_args": {"config": {"model": {"name": "nonsense"}}}, "classy_state_dict": {"base_model": {}}},
        {"input_args": {"config": {"model": "resnet18"}}, "classy_state_dict": {"base_model": None}},
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(checkpoint):
    words = r"input_args|A model is described|no model named 'nonsense'|form"
    with pytest.raises((StateError, ConfigError, UnknownNameError), match=words):
        ck.ClassyModel.from_checkpoint(checkpoint)


@every_family
def test_a_model_without_weights_takes_none(family, light_configs):
    model = ck.build_model(light_configs[family], device="meta")
    state = ck.build_model(light_configs[family]).get_classy_state()
    for load in (model.set_classy_state, model.load_head_states):
        with pytest.raises(StateError, match=r"meta device, which keeps no weights.*to_empty"):
            load(state)


class TestCompiledInPlace:
    def net(self):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ).eval()

    def test_heads_that_come_later_run(self):
        net, x = self.net(), torch.ones(1, 3, 8, 8)
        net.compile(backend="eager")
        net[1].compile(backend="eager")
        wanted, compiled = net(x), net._compiled_call_impl
        model = ck.ClassyModel.from_model(net, (3, 8, 8))
        with pytest.warns(UserWarning, match="Sequential was compiled in place.*runs as it was written"):
            model.attach_head("1", "fully_connected", num_classes=5)
        assert model(x).shape == (1, 5) and torch.equal(model.extract_features(x), wanted)
        assert copy.deepcopy(model)(x).shape == (1, 5) and pickle.loads(pickle.dumps(model))(x).shape == (1, 5)
        model.clear_heads()
        assert net._compiled_call_impl is compiled and torch.equal(net(x), wanted)

    def test_with_heads_there_it_compiles_them(self):
        model, x = ck.ClassyModel.from_model(self.net(), (3, 8, 8)), torch.ones(1, 3, 8, 8)
        model.attach_head("1", "fully_connected", num_classes=5)
        wanted = model(x)
        torch.compiler.reset()
        model.compile(backend="eager")
        assert torch.equal(model(x), wanted)
