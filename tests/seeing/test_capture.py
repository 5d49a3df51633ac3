"""classykit.capture: what hooks on a plain pass would see, in as little of a pass as it takes."""

from functools import partial

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, ShapeError


def hooked(model, x, paths):
    """The same by hand."""
    seen = {}

    def keep(path, module, args, output):
        seen.setdefault(path, output.clone())

    handles = [model.get_submodule(p).register_forward_hook(partial(keep, p)) for p in paths]
    with torch.no_grad():
        model(x)
    [h.remove() for h in handles]
    return seen


def test_every_block_of_every_family(light, input_for):
    model = ck.build_model(light).eval()
    x, paths = input_for(model), model.block_paths()
    wanted = hooked(model, x, paths.values())
    got = ck.capture(model, x, model.block_names)
    assert list(got) == list(paths)
    for name, path in paths.items():
        assert torch.equal(got[name], wanted[path]), name
        assert torch.equal(ck.capture(model, x, name)[name], wanted[path]), f"{name} alone"


@pytest.mark.parametrize("name", ["layer2.0", "layer2.0.bn1", "layer1.1.conv2", "avgpool", "fc"])
def test_a_torchvision_model_by_dotted_path(name):
    model = pytest.importorskip("torchvision.models").resnet18().eval()
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(ck.capture(model, x, name)[name], hooked(model, x, [name])[name])


def test_what_a_users_hook_makes_of_a_block_is_what_it_gives(small):
    model, x = small
    plain = ck.capture(model, x, "block0-0")["block0-0"]
    handle = model.get_submodule("blocks.0.block0-0").register_forward_hook(lambda m, a, o: o * 2)
    assert torch.equal(ck.capture(model, x, "block0-0")["block0-0"], plain * 2)
    handle.remove()


def test_a_model_with_heads_inside_another_gives_its_heads_output(small):
    inner, x = small
    inner.attach_head("block0-0", "fully_connected", num_classes=3)
    outer = nn.Sequential(nn.Identity(), inner)
    torch.testing.assert_close(ck.capture(outer, x, "1")["1"], inner(x))


def test_the_order_is_the_one_asked_for(small):
    model, x = small
    names = ["block1-1", "initial_block", "block0-0"]
    assert list(ck.capture(model, x, names)) == names
    assert list(ck.capture(model, x, iter(names))) == names
    assert ck.capture(model, x, []) == {}
    twice = ck.capture(model, x, ["block0-0", "blocks.0.block0-0"])
    assert torch.equal(twice["block0-0"], twice["blocks.0.block0-0"])


def test_of_several_outputs_it_is_the_one_that_is_features():
    x = torch.randn(2, 5, 3)
    lstm = nn.LSTM(3, 4, batch_first=True)
    with torch.no_grad():  # with gradients torch adds up in another order
        gave = lstm(x)[0]
    assert torch.equal(ck.capture(nn.Sequential(lstm), x, "0")["0"], gave)


def test_outputs_that_are_no_features_are_given_as_they_are():
    class Sizes(nn.Module):
        def forward(self, x):
            return x.shape[1:]

    assert ck.capture(nn.Sequential(Sizes()), torch.randn(2, 5, 3), "0")["0"] == (5, 3)


def test_heads_do_not_matter(small):
    model, x = small
    wanted = ck.capture(model, x, "block0-0")["block0-0"]
    model.attach_head("block0-0", "fully_connected", unique_id="cls", num_classes=3)
    out = model(x)
    assert torch.equal(ck.capture(model, x, "block0-0")["block0-0"], wanted)
    assert model.head_outputs["cls"] is out
    torch.testing.assert_close(model(x), out)


def test_gradients_only_where_asked_for(small):
    model, x = small
    assert not ck.capture(model, x, "block0-0")["block0-0"].requires_grad
    features = ck.capture(model, x, "block0-0", grad=True)["block0-0"]
    features.sum().backward()
    assert model.initial_block._module[0].weight.grad is not None


@pytest.mark.parametrize(
    "names, words",
    [
        ("block9-0", "no block 'block9-0'"),
        (["block0-0", "blok1-0"], "'block1-0'"),
        ("bn", "dotted path"),
        ("blocks.0.block0-0.downsample.7", "no block"),
    ],
)
def test_unknown_blocks(names, words, small):
    model, x = small
    with pytest.raises(BlockError, match=words):
        ck.capture(model, x, names)


def test_a_block_that_does_not_run(small):
    model, x = small
    model.unused = nn.ReLU()
    with pytest.raises(BlockError, match="'unused' did not run"):
        ck.capture(model, x, ["block0-0", "unused"])


@pytest.mark.parametrize("x", [torch.randn(2, 4, 32, 32), torch.randn(7), "cat"], ids=["channels", "rank", "no tensor"])
def test_an_input_that_does_not_fit(x, small, everything, assert_same):
    model, good = small
    before = everything(model)
    with pytest.raises(ShapeError, match="resnext cannot run on an input of"):
        ck.capture(model, x, "block0-0")
    assert_same(before, everything(model))
    assert ck.capture(model, good, "block0-0")


def test_statistics_of_a_model_in_train_mode(small, everything, assert_same):
    model, x = small
    wanted = ck.capture(model.eval(), x, "block1-1")["block1-1"]
    model.train()
    before = everything(model)
    assert torch.equal(ck.capture(model, x, "block1-1")["block1-1"], wanted)
    assert_same(before, everything(model))


def test_a_compiled_model(small):
    model, x = small
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    assert torch.equal(ck.capture(compiled, x, "block0-0")["block0-0"], ck.capture(model, x, "block0-0")["block0-0"])


@pytest.mark.parametrize("blocks", [None, 5, 2.0])
def test_what_names_no_blocks(blocks, small, tmp_path):
    model, x = small
    for ask in (
        lambda: ck.capture(model, x, blocks),
        lambda: ck.run(model, x, blocks=blocks, device="cpu", progress=False),
        lambda: ck.extract(model, x, blocks, tmp_path, progress=False),
    ):
        with pytest.raises(ConfigError, match="Blocks are given by name, one or several"):
            ask()


class TestHeads:
    @pytest.fixture
    def net(self, small):
        model, x = small
        model.attach_head("block1-1", "fully_connected", unique_id="late", num_classes=4)
        model.attach_head("block0-0", "fully_connected", unique_id="an odd.name", num_classes=3)
        return model, x

    def test_a_heads_name_is_as_good_as_a_blocks(self, net):
        model, x = net
        wanted = model(x)
        found = ck.capture(model, x, ["an odd.name", "block1-0", "late"])
        assert list(found) == ["an odd.name", "block1-0", "late"]
        assert torch.equal(found["late"], wanted["late"]) and torch.equal(found["an odd.name"], wanted["an odd.name"])
        ran = ck.run(model, x, blocks=["late"], device="cpu", dtype="float32", channels_last=False)
        torch.testing.assert_close(ran.features["late"], wanted["late"].detach())

    def test_the_only_head(self, small):
        model, x = small
        model.attach_head("block1-1", "fully_connected", unique_id="late", num_classes=4)
        assert torch.equal(ck.capture(model, x, "late")["late"], model(x))

    @pytest.mark.parametrize("block", ["initial_block", "block0-0", "block1-1"])
    def test_gradients_reach_back_through_the_head(self, block, net):
        model, x = net
        found = ck.capture(model, x, [block, "late"], grad=True)
        (slope,) = torch.autograd.grad(found["late"].sum(), [found[block]])
        assert slope.shape == found[block].shape and slope.any()

    def test_a_block_of_the_same_name_is_meant(self, small):
        model, x = small
        model.attach_head("block1-1", "fully_connected", unique_id="block0-0", num_classes=4)
        assert ck.capture(model, x, "block0-0")["block0-0"].ndim == 4

    def test_an_unknown_name_names_them(self, net):
        model, x = net
        with pytest.raises(BlockError, match=r"no block 'early'.*Its heads are 'late', 'an odd.name'"):
            ck.capture(model, x, "early")


@pytest.mark.parametrize("name, block", [("resnet18", "layer4.1.bn2"), ("densenet121", "features")])
def test_what_is_overwritten_later_keeps_its_graph(name, block):
    """The network goes on with the copy, the caller gets the original: its gradient is that of finite differences."""
    torch.manual_seed(0)
    model = getattr(pytest.importorskip("torchvision.models"), name)().eval().double()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    found = ck.capture(model, x, [block, "fc" if name == "resnet18" else "classifier"], grad=True)
    features, scores = found.values()
    (slope,) = torch.autograd.grad(scores[0, 3], [features])
    step = torch.randn(features.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-6
    handle = model.get_submodule(block).register_forward_hook(lambda m, a, out: out + step)
    moved = model(x)[0, 3] - scores[0, 3]
    handle.remove()
    assert float(moved) == pytest.approx(float((slope * step).sum()), rel=1e-3)
