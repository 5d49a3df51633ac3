"""classykit.ClassyModel: the contract that every family keeps."""

import copy
import gc
import threading
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, DuplicateNameError, HeadError, StateError
from classykit.heads import ClassyHead, FullyConnectedHead, IdentityHead, LinearProbe, heads_that_fit
from classykit.models.head_dict import _escape

ODD_IDS = [
    "cls", "a.b", "keys", "pop", "type", " ", "é", "values", "put", "training", "forward", "_modules", "__class__",
    "0", "..", "%2e", "_heads", "block0-0", "a/b", "名", "<b>",
]  # fmt: skip


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


def same(a, b, **tolerance):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            torch.testing.assert_close(a[key], b[key], **tolerance)
    else:
        torch.testing.assert_close(a, b, **tolerance)


def _heads(model):
    return [name for name, module in model.named_modules() if isinstance(module, ClassyHead)]


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
            same(model.extract_features(x), trunk)
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

    def test_every_head_that_fits_runs_at_every_block(self, light, input_for):
        model = ck.build_model(light).eval()
        x = input_for(model)
        features = model.block_features(model.block_names)
        assert None not in features.values()
        plain = ck.capture(model, x, model.block_names)
        attached = 0
        for block, given_features in features.items():
            assert plain[block].shape[given_features.batch_dim] == 2
            for name in heads_that_fit(given_features):
                keys = {} if name == "identity" else {"num_classes": 4}
                head = model.attach_head(block, name, unique_id=f"{name} at {block}", **keys)
                assert getattr(head, "in_plane", given_features.channels) == given_features.channels
                attached += 1
        outputs = model(x)
        assert len(outputs) == attached >= 2 * len(model.block_names)
        for block in model.block_names:
            torch.testing.assert_close(outputs[f"identity at {block}"], plain[block], rtol=0, atol=0)
            torch.testing.assert_close(outputs[f"linear_probe at {block}"].shape, torch.Size([2, 4]))
            got = model.get_heads()[block]
            for head in got:
                torch.testing.assert_close(outputs[head.unique_id], head(plain[block]))

    def test_an_inplace_operation_after_the_block_changes_nothing(self, inplace_net):
        model = ck.ClassyModel.from_model(inplace_net, input_shape=(3, 8, 8)).eval()
        x = torch.randn(2, 3, 8, 8)
        wanted = inplace_net.bn(inplace_net.conv(x))
        assert wanted.min() < 0
        model.attach_head("bn", "identity")
        torch.testing.assert_close(model(x), wanted)
        model.set_heads({"bn": [IdentityHead(unique_id="a")], "conv": [IdentityHead(unique_id="b")]})
        got = model(x)
        torch.testing.assert_close(got["a"], wanted)
        torch.testing.assert_close(got["b"], inplace_net.conv(x))
        again = copy.deepcopy(model)
        torch.testing.assert_close(again(x)["a"], wanted)

    def test_an_inplace_block_inside_a_family(self, small):
        model, x = small
        path = "blocks.0.block0-0.bn"
        wanted = []
        handle = model.get_submodule(path).register_forward_hook(lambda m, a, o: wanted.append(o.clone()))
        model(x)
        handle.remove()
        model.attach_head(path, "identity")
        torch.testing.assert_close(model(x), wanted[0])

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

    def test_a_user_hook_that_replaces_a_blocks_output(self, small):
        # what the hook returns is what the block gives: to the trunk, to heads and to capture
        model, x = small
        model.get_submodule("blocks.0.block0-0").register_forward_hook(lambda m, a, o: o * 0)
        model.attach_head("block0-0", "identity")
        assert not model(x).any() and not ck.capture(model, x, "block0-0")["block0-0"].any()


class TestHeads:
    @pytest.mark.parametrize("unique_id", ODD_IDS)
    def test_any_non_empty_string_is_an_id(self, unique_id, small):
        model, x = small
        model.attach_head("block1-0", "fully_connected", unique_id=unique_id, num_classes=3)
        model.attach_head("block1-0", "fully_connected", unique_id="other", num_classes=2)
        model.train().eval()
        assert model(x)[unique_id].shape == (2, 3)
        assert [h.unique_id for h in model.get_heads()["block1-0"]] == [unique_id, "other"]
        assert ck.inspect(model).blocks[-2].is_head and ck.inspect(model).blocks[-1].name == "other"
        twin = ck.build_model(model.config).eval()
        twin.set_classy_state(model.get_classy_state())
        same(twin(x), model(x))
        same(copy.deepcopy(model)(x), model(x))
        assert len(set(model.state_dict())) == len(model.state_dict())
        twin.load_state_dict(model.state_dict())
        model.remove_head("other")
        assert list(model.get_heads()["block1-0"]) == [model.get_submodule(path) for path in _heads(model)]

    @pytest.mark.parametrize("unique_id", ["a.b", "type", "é", "training"])
    def test_odd_ids_are_traced_and_exported(self, unique_id, small):
        model, x = small
        model.attach_head("block1-0", "fully_connected", unique_id=unique_id, num_classes=3)
        same(torch.jit.trace(model, x, strict=False)(x), model(x))
        same(torch.export.export(model, (x,)).module()(x), model(x))

    @settings(deadline=None)
    @given(st.text(min_size=1, max_size=3), st.text(min_size=1, max_size=3))
    def test_different_ids_have_different_state_keys(self, a, b):
        assert (_escape(a) == _escape(b)) == (a == b) and "." not in _escape(a)

    def test_ids_that_look_alike_once_escaped(self, small):
        model, x = small
        ids = [" 28", "\u2028"]
        for unique_id in ids:
            model.attach_head("block1-0", "fully_connected", unique_id=unique_id, num_classes=3)
        assert list(model(x)) == ids

    @pytest.mark.parametrize("unique_id", ["", 5])
    def test_other_ids_are_refused(self, unique_id, small):
        with pytest.raises(ConfigError, match="unique_id"):
            small[0].add_heads_from_configs([{**probe("block0-0"), "unique_id": unique_id}])

    def test_default_ids_are_numbered(self, small):
        model, _ = small
        ids = [model.attach_head("block0-0", "identity").unique_id for _ in range(3)]
        assert ids == ["identity", "identity_2", "identity_3"]

    @pytest.mark.parametrize(
        "block, head, keys, words",
        [
            (
                "block1-1",
                "fully_connected",
                {"in_plane": 512},
                "expects 512 channels, block1-1 gives 64×4×4.*in_plane=64",
            ),
            (
                "block1-1",
                "vision_transformer_head",
                {},
                "wants a vector; block1-1 gives a 2-D map 64×4×4.*fully_connected",
            ),
            ("block1-1", "fully_convolutional_linear", {}, "wants a 3-D map.*linear_probe"),
        ],
    )
    def test_a_head_that_does_not_fit_says_what_would(self, block, head, keys, words):
        model = ck.build_model({"name": "resnext", "num_blocks": [1, 2], "init_planes": 8, "small_input": True}).eval()
        shape = model.block_features([block])[block].shape
        words = words.replace("64×4×4", "×".join(map(str, shape))).replace("=64", f"={shape[0]}")
        with pytest.raises(HeadError, match=words):
            model.attach_head(block, head, num_classes=3, **keys)
        if "in_plane" in keys:
            with pytest.raises(HeadError, match=words):
                model.attach_head(block, FullyConnectedHead(unique_id="mine", num_classes=3, **keys))
        assert model.get_heads() == {}

    def test_tokens_are_refused_by_a_map_head(self, light_configs):
        model = ck.build_model(light_configs["VisionTransformer"])
        with pytest.raises(
            HeadError, match=r"wants a 2-D map; layer_0 gives tokens 17×16. Heads that fit: .*linear_probe"
        ):
            model.attach_head("layer_0", "fully_connected", num_classes=3)

    @pytest.mark.parametrize(
        "name, words",
        [
            ("block1-7", "no block 'block1-7'. Did you mean 'block1-"),
            ("blok0-0", "'block0-0'"),
            ("downsample", "2 modules.*blocks.0.block0-0.downsample, blocks.1.block1-0.downsample"),
            ("bn", "3 modules.*dotted path"),
            ("cls", "no block 'cls'"),
            ("_heads.cls", "no block"),
            ("fc", "no block 'fc'"),
            ("", "no block ''"),
        ],
    )
    def test_an_unknown_or_ambiguous_block(self, name, words, small):
        model, _ = small
        model.attach_head("block0-0", "fully_connected", unique_id="cls", num_classes=3)
        with pytest.raises(BlockError, match=words):
            model.attach_head(name, "identity")
        assert len(model.get_heads()) == 1

    def test_a_dotted_path_or_its_unambiguous_end_is_a_block(self, small):
        model, x = small
        assert model.find_block("blocks.0.block0-0") == ("block0-0", "blocks.0.block0-0")
        assert model.find_block("_module")[1] == "initial_block._module"
        model.attach_head("blocks.0.block0-0.relu", "identity")
        torch.testing.assert_close(model(x), ck.capture(model, x, "block0-0")["block0-0"])

    def test_a_block_that_does_not_run_is_refused(self, light_configs):
        model = ck.build_model(light_configs["ResNeXt"])
        model.unused = nn.Conv2d(3, 3, 1)
        with pytest.raises(BlockError, match="does not run"):
            model.attach_head("unused", "identity")

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
        same(model(x), outputs)

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

    def test_a_head_comes_in_the_models_dtype_device_and_mode(self, small):
        model, x = small
        head = model.double().train().attach_head("block0-0", "fully_connected", num_classes=2)
        assert head.fc.weight.dtype == torch.float64 and head.training
        assert model(x.double()).dtype == torch.float64
        meta = ck.build_model("resnet18", device="meta")
        assert meta.attach_head("block3-1", "fully_connected", num_classes=2).fc.weight.device.type == "meta"

    def test_attaching_leaves_the_random_state_of_an_identity_alone_and_runs_nothing(self, small):
        model, _ = small
        ran = []
        model.initial_block.register_forward_hook(lambda *a: ran.append(1))
        state = torch.get_rng_state()
        model.attach_head("block0-0", "identity")
        assert not ran and torch.equal(state, torch.get_rng_state())

    def test_a_users_hook_that_cannot_be_copied_is_no_obstacle(self, small):
        model, _ = small
        model.blocks.register_forward_hook(_Counter().count)
        assert model.attach_head("block0-0", "fully_connected", num_classes=2).in_plane == 32

    def test_a_users_head(self, small):
        class Sum(ClassyHead):
            def forward(self, x):
                return x.sum((1, 2, 3))

        model, x = small
        model.attach_head("block1-0", Sum("s"))
        torch.testing.assert_close(model(x), ck.capture(model, x, "block1-0")["block1-0"].sum((1, 2, 3)))

    @pytest.mark.parametrize("head", [nn.Linear(2, 2), None, 5])
    def test_what_is_no_head(self, head, small):
        with pytest.raises(ConfigError, match="ClassyHead"):
            small[0].attach_head("block0-0", head)

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


class _Counter:
    """A hook's owner that cannot be copied."""

    def __init__(self):
        self.calls, self.lock = 0, threading.Lock()

    def count(self, *args):
        with self.lock:
            self.calls += 1


class TestSurvival:
    @pytest.mark.parametrize("where", ["block", "head"])
    def test_an_exception_leaves_nothing_behind(self, where, small):
        model, x = small
        recorded = []

        class Broken(ClassyHead):
            broken = True

            def forward(self, x):
                if self.broken and where == "head":
                    raise RuntimeError("broken head")
                return x.mean((2, 3))

        def note(module, args, output):
            recorded.append(weakref.ref(output))

        def fail(module, args):
            raise RuntimeError("broken block")

        head = Broken("b")
        head.broken = False
        model.attach_head("block0-0", head)
        wanted = model(x)
        head.broken = True
        model.get_submodule("blocks.0.block0-0").register_forward_hook(note)
        handle = model.get_submodule("blocks.1.block1-0").register_forward_pre_hook(fail) if where == "block" else None
        with torch.no_grad(), pytest.raises(RuntimeError, match=f"broken {where}"):
            model(x)
        gc.collect()
        assert len(recorded) == 1 and recorded[0]() is None
        head.broken = False
        if handle is not None:
            handle.remove()
        torch.testing.assert_close(model(x), wanted)

    def test_a_model_inside_another(self, small):
        inner, x = small
        inner.attach_head("block0-0", "fully_connected", num_classes=3)
        outer = ck.ClassyModel.from_model(nn.Sequential(nn.ReLU(), inner), input_shape=(3, 32, 32)).eval()
        wanted = inner(x.relu())
        torch.testing.assert_close(outer(x), wanted)
        outer.attach_head("model.0", "identity")
        torch.testing.assert_close(outer(x), x.relu())
        torch.testing.assert_close(inner(x.relu()), wanted)
        outer.set_heads({"model.1": [IdentityHead(unique_id="inner")]})
        torch.testing.assert_close(outer(x), wanted)


class TestState:
    def test_round_trip(self, light, input_for, randomise):
        config = {**light, "heads": [probe(b, b) for b in ck.build_model(light).block_names[-2:]]}
        a, b = randomise(ck.build_model(config)).eval(), ck.build_model(config).eval()
        state = a.get_classy_state()
        b.set_classy_state(state)
        x = input_for(a)
        same(a(x), b(x))
        key = next(iter(state["model"]["trunk"]))
        assert state["model"]["trunk"][key].data_ptr() == a.state_dict()[key].data_ptr()
        deep = a.get_classy_state(deep_copy=True)
        with torch.no_grad():
            [p.zero_() for p in a.parameters()]
        b.set_classy_state(deep)
        assert any(p.any() for p in b.parameters())

    @pytest.mark.parametrize(
        "spoil, words",
        [
            (
                lambda s: s["model"]["trunk"].pop("initial_block._module.0.weight"),
                "trunk.*lacks 'initial_block._module.0.weight'",
            ),
            (lambda s: s["model"]["trunk"].update(junk=torch.zeros(1)), "trunk.*has 'junk'"),
            (lambda s: s["model"]["trunk"].update({"initial_block._module.0.weight": torch.zeros(3)}), r"shape \(3,\)"),
            (lambda s: s["model"]["trunk"].update({"initial_block._module.0.weight": [1]}), "a list"),
            (lambda s: s["model"]["heads"].clear(), "the state has none"),
            (lambda s: s["model"]["heads"]["block0-0"].update(other={}), "'other' at block0-0"),
            (lambda s: s["model"]["heads"]["block0-0"]["cls"].pop("fc.bias"), "head 'cls'.*fc.bias"),
            (lambda s: s["model"].pop("trunk"), "trunk"),
            (lambda s: s.clear(), "form"),
        ],
    )
    def test_strict_means_strict_and_a_bad_state_changes_nothing(self, spoil, words, small):
        model, x = small
        model.add_heads_from_configs([probe("block0-0")])
        state, before = model.get_classy_state(deep_copy=True), model(x)
        for value in state["model"]["trunk"].values():
            value.add_(1)
        spoil(state)
        with pytest.raises(StateError, match=words):
            model.set_classy_state(state)
        torch.testing.assert_close(model(x), before)

    def test_not_strict(self, small):
        model, _x = small
        model.add_heads_from_configs([probe("block0-0")])
        state = model.get_classy_state(deep_copy=True)
        state["model"]["trunk"].pop("initial_block._module.0.weight")
        state["model"]["heads"] = {"block1-0": {"unknown": {}}}
        first = state["model"]["trunk"]["initial_block._module.1.weight"]
        first.fill_(3)
        model.set_classy_state(state, strict=False)
        assert torch.equal(model.initial_block._module[1].weight, first)

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

    def test_a_module_whose_shapes_cannot_be_worked_out_still_takes_heads(self):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 1)

            def forward(self, x):
                return self.conv(x) * x.sum().item()

        model = ck.ClassyModel.from_model(Odd())
        with pytest.raises(HeadError, match="in_plane cannot be inferred"):
            model.attach_head("conv", "fully_connected", num_classes=2)
        model.attach_head("conv", "fully_connected", num_classes=2, in_plane=4)
        assert model(torch.randn(1, 3, 8, 8)).shape == (1, 2)


def test_forward_has_to_be_written():
    with pytest.raises(NotImplementedError, match="Empty"):
        type("Empty", (ck.ClassyModel,), {})()(torch.zeros(1))


def test_a_registered_users_model(monkeypatch):
    from classykit.models.factory import MODELS

    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    ck.register_model("plain_for_tests")(Plain)
    with pytest.raises(DuplicateNameError):
        ck.register_model("plain_for_tests")(Plain)
    model = ck.build_model({"name": "plain_for_tests", "heads": [probe("first")]})
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 3) and model.config["name"] == "plain_for_tests"
    assert ck.build_model(model.config).config == model.config
    assert isinstance(model.get_heads()["first"][0], LinearProbe)


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
