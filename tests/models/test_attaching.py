"""classykit.models.attaching: whether heads fit the blocks where they are wanted, before anything changes."""

import re
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from odd import FAMILIES, HUGE, ODD, NothingLarge, every_family, fuzz
from torch import nn

import classykit as ck
from classykit import memory
from classykit.errors import BlockError, ClassyKitError, ConfigError, DeviceError, HeadError, UnknownNameError
from classykit.heads import ClassyHead, FullyConnectedHead, IdentityHead, heads_that_fit, list_heads


def test_every_head_that_fits_runs_at_every_block(light, input_for):
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
def test_a_head_that_does_not_fit_says_what_would(block, head, keys, words):
    model = ck.build_model({"name": "resnext", "num_blocks": [1, 2], "init_planes": 8, "small_input": True}).eval()
    shape = model.block_features([block])[block].shape
    words = words.replace("64×4×4", "×".join(map(str, shape))).replace("=64", f"={shape[0]}")
    with pytest.raises(HeadError, match=words):
        model.attach_head(block, head, num_classes=3, **keys)
    if "in_plane" in keys:
        with pytest.raises(HeadError, match=words):
            model.attach_head(block, FullyConnectedHead(unique_id="mine", num_classes=3, **keys))
    assert model.get_heads() == {}


def test_tokens_are_refused_by_a_map_head(light_configs):
    model = ck.build_model(light_configs["VisionTransformer"])
    with pytest.raises(HeadError, match=r"wants a 2-D map; layer_0 gives tokens 17×16. Heads that fit: .*linear_probe"):
        model.attach_head("layer_0", "fully_connected", num_classes=3)


def test_a_block_that_does_not_run_is_refused(light_configs):
    model = ck.build_model(light_configs["ResNeXt"])
    model.unused = nn.Conv2d(3, 3, 1)
    with pytest.raises(BlockError, match="does not run"):
        model.attach_head("unused", "identity")


def test_a_head_comes_in_the_models_dtype_device_and_mode(small):
    model, x = small
    head = model.double().train().attach_head("block0-0", "fully_connected", num_classes=2)
    assert head.fc.weight.dtype == torch.float64 and head.training
    assert model(x.double()).dtype == torch.float64
    meta = ck.build_model("resnet18", device="meta")
    assert meta.attach_head("block3-1", "fully_connected", num_classes=2).fc.weight.device.type == "meta"


def test_attaching_leaves_the_random_state_of_an_identity_alone_and_runs_nothing(small):
    model, _ = small
    ran = []
    model.initial_block.register_forward_hook(lambda *a: ran.append(1))
    state = torch.get_rng_state()
    model.attach_head("block0-0", "identity")
    assert not ran and torch.equal(state, torch.get_rng_state())


def test_a_users_hook_that_cannot_be_copied_is_no_obstacle(small):
    model, _ = small
    model.blocks.register_forward_hook(_Counter().count)
    assert model.attach_head("block0-0", "fully_connected", num_classes=2).in_plane == 32


@pytest.mark.parametrize("head", [nn.Linear(2, 2), None, 5])
def test_what_is_no_head(head, small):
    with pytest.raises(ConfigError, match="ClassyHead"):
        small[0].attach_head("block0-0", head)


class _Counter:
    """A hook's owner that cannot be copied."""

    def __init__(self):
        self.calls, self.lock = 0, threading.Lock()

    def count(self, *args):
        with self.lock:
            self.calls += 1


def test_a_module_whose_shapes_cannot_be_worked_out_still_takes_heads():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.conv(x) * x.sum().item() if x.max() > 5 else x.reshape(3)  # no pass on random numbers ends

    model = ck.ClassyModel.from_model(Odd())
    with pytest.raises(HeadError, match="in_plane cannot be inferred"):
        model.attach_head("conv", "fully_connected", num_classes=2)
    model.attach_head("conv", "fully_connected", num_classes=2, in_plane=4)
    assert model(6 * torch.ones(1, 3, 8, 8)).shape == (1, 2)


def test_blocks_end_in_the_order_in_which_they_are_listed():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first, self.idle = nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.last(self.first(x))

    assert ck.ClassyModel.from_model(Crossed()).block_names == ["first", "last"]


class Tokens(nn.Module):
    """Gives what transformers give: the size of the grid, and tokens."""

    def __init__(self, form):
        super().__init__()
        self.conv, self.form = nn.Conv2d(3, 6, 4, stride=4), form

    def forward(self, x):
        x = self.conv(x)
        return self.form(x.shape[-2:], x.flatten(2).transpose(1, 2))


@pytest.mark.parametrize(
    "form, read",
    [
        (lambda size, tokens: (size, tokens), lambda out: out[1]),
        (lambda size, tokens: [tokens, size, None], lambda out: out[0]),
        (lambda size, tokens: {"size": size, "tokens": tokens}, lambda out: out["tokens"]),
    ],
    ids=["tuple", "list", "dict"],
)
def test_a_block_that_gives_several_things(form, read):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.fc = Tokens(form), nn.Linear(6, 2)

        def forward(self, x):
            return self.fc(read(self.stem(x)).mean(1))

    net = Net().eval()
    model = ck.ClassyModel.from_model(net, input_shape=(3, 32, 32)).eval()
    assert model.block_names == ["stem", "fc"]
    x = torch.randn(2, 3, 32, 32)
    tokens = read(net.stem(x))
    torch.testing.assert_close(ck.capture(net, x, "stem")["stem"], tokens)
    head = model.attach_head("stem", "linear_probe", num_classes=3)
    torch.testing.assert_close(model(x), head(tokens))
    assert ck.inspect(model)["stem"].output_shape == (64, 6)


@every_family
def test_heads_are_checked_before_the_trunk_is_allocated(family, light_configs):
    """A trunk that would fill the memory is not made for a head that does not fit."""
    config = {**light_configs[family], **HUGE[family]}
    block = ck.build_model(config, device="meta").block_names[-1]
    head = {"name": "linear_probe", "unique_id": "cls", "num_classes": 2, "fork_block": block}
    for bad, kind, words in (
        ({**head, "fork_block": "nowhere"}, BlockError, "'nowhere'"),
        ({**head, "name": "linear_prob"}, UnknownNameError, "'linear_probe'"),
        ({**head, "num_classes": 0}, ConfigError, "num_classes' = 0"),
        ({**head, "in_plane": 3}, HeadError, "in_plane="),
    ):
        with NothingLarge(), pytest.raises(kind, match=words):
            ck.build_model({**config, "heads": [head | {"unique_id": "good"}, bad]})


@every_family
def test_a_large_head_is_refused_and_the_model_stays(family, light_configs, everything, assert_same, monkeypatch):
    model = ck.build_model(light_configs[family])
    model.attach_head(model.block_names[0], "identity")
    before, block = everything(model), model.block_names[-1]
    monkeypatch.setattr(memory, "free_memory", lambda device: 10_000)
    small = {"name": "linear_probe", "unique_id": "small", "num_classes": 1, "fork_block": block}
    large = {**small, "unique_id": "large", "num_classes": 2**24}
    for attach in (
        lambda: model.add_heads_from_configs([small, large]),
        lambda: model.set_heads({block: [{k: v for k, v in large.items() if k != "fork_block"}]}),
        lambda: model.attach_head(block, "linear_probe", unique_id="large", num_classes=2**24),
    ):
        with NothingLarge(), pytest.raises(DeviceError, match=r"'large': its weights need .* 10.* kB free"):
            attach()
        assert_same(before, everything(model))


HEAD_KEYS = ["name", "unique_id", "fork_block", "num_classes", "in_plane", "conv_planes", "pool_size", "tokens",
             "hidden_dim", "activation", "normalize_inputs", "dropout_ratio", "channels_last", "nonsense"]  # fmt: skip


@fuzz(60)
@given(data=st.data())
def test_odd_heads(light_configs, everything, assert_same, data):
    model = ck.build_model(light_configs[data.draw(st.sampled_from(FAMILIES))]).eval()
    model.attach_head(model.block_names[0], "identity", unique_id="first")
    block = data.draw(st.sampled_from(model.block_names))
    head = {"name": data.draw(st.sampled_from(list_heads())), "unique_id": "cls", "fork_block": block}
    if head["name"] != "identity":
        head["num_classes"] = 3
    odd = data.draw(st.dictionaries(st.sampled_from(HEAD_KEYS), st.sampled_from([*ODD, "first"]), max_size=2))
    head |= odd
    good = {"name": "identity", "unique_id": "good", "fork_block": block}
    before, way = everything(model), data.draw(st.sampled_from(["attach_head", "set_heads", "add_heads_from_configs"]))
    rest = {k: v for k, v in head.items() if k != "fork_block"}
    try:
        with NothingLarge():
            if way == "attach_head":
                model.attach_head(head["fork_block"], rest.pop("name"), **rest)
            elif way == "add_heads_from_configs":
                model.add_heads_from_configs([good, head])
            elif isinstance(head["fork_block"], (dict, list, torch.Tensor)):
                return  # no key of a dict
            else:
                model.set_heads({block: [good], head["fork_block"]: [good, rest][head["fork_block"] == block :]})
    except ClassyKitError as error:
        text = str(error)
        keys = [*odd, "head"]
        assert any(re.search(rf"\b{key}\b", text) or repr(odd.get(key, 0)) in text for key in keys), (odd, text)
        assert_same(before, everything(model))
    else:
        with torch.no_grad():
            out = model(model.example_input(2))
        ids = [h.unique_id for heads in model.get_heads().values() for h in heads]
        assert list(out) == ids if len(ids) > 1 else torch.is_tensor(out)


@pytest.mark.parametrize("heads", [*ODD[1:], [5], [{}], [{"name": "identity"}], {"block0-0": 5}, [IdentityHead]])
@pytest.mark.parametrize("way", ["config", "add_heads_from_configs", "set_heads"])
def test_what_are_no_heads(way, heads, light_configs, everything, assert_same):
    model = ck.build_model(light_configs["ResNeXt"])
    model.attach_head("block0-0", "identity")
    before = everything(model)
    empty = isinstance(heads, (list, tuple)) and not heads
    if (empty and way != "set_heads") or (way == "set_heads" and heads == {} and isinstance(heads, dict)):
        return  # no heads is a way to say so
    with pytest.raises((ConfigError, BlockError), match=r"head|block|fork_block"):
        if way == "config":
            ck.build_model({**light_configs["ResNeXt"], "heads": heads})
        else:
            getattr(model, way)(heads)
    assert_same(before, everything(model))


class TestASizeThatWouldDo:
    """A misfit that depends on the declared size of the input alone is a warning."""

    @pytest.fixture
    def video(self):
        return ck.build_model({"name": "r3d_18", "clip_crop_size": 64, "stem_planes": 4, "stage_planes": 4})

    def test_it_is_attached_and_the_smallest_is_said(self, video):
        block = video.block_names[-1]
        with pytest.warns(UserWarning, match=r"inputs of 3×16×64×64 give it; from about 3×16×112×112 on it works"):
            video.attach_head(block, "fully_convolutional_linear", num_classes=5, pool_size=[2, 7, 7])
        assert video.eval()(torch.rand(1, 3, 16, 112, 112)).shape == (1, 5)

    def test_what_no_size_helps_is_refused(self, video):
        class Wrong(ClassyHead):
            def forward(self, x):
                return x @ torch.ones(3, 5, device=x.device)[: x.shape[-1] * 0]

        with pytest.raises(HeadError, match="cannot take"):
            video.attach_head(video.block_names[-1], Wrong("wrong"))
        assert video.get_heads() == {}
