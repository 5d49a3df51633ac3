"""Objects that cannot be shown, copied or counted, in the place of everything: answered in words."""

import threading

import pytest
import torch
import traitlets
from torch import nn

import classykit as ck
from classykit.errors import ClassyKitError


def refuse(*_, **__):
    raise RuntimeError("boom")


class NotShown:
    __repr__ = __str__ = refuse


class NotCopied:
    __deepcopy__ = __copy__ = __reduce_ex__ = refuse


class NotCounted:
    __len__ = __bool__ = refuse


SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
X = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LITE = ck.build_model("efficientnet_lite0", num_classes=3)
CONV = nn.Conv2d(3, 4, 3)
XL = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
FAST = {"device": "cpu", "dtype": "float32", "progress": False}
ODD = {
    "not shown": NotShown(), "not copied": NotCopied(), "not counted": NotCounted(), "a list of such": [NotShown()],
    "a dict of such": {"name": NotShown()}, "a lock": threading.Lock(), "a module": torch, "a class": nn.Conv2d,
    "an iterator": iter([1]), "a scalar": torch.tensor(1.0), "nothing": torch.empty(0), "far too large": 10**30,
}  # fmt: skip


@pytest.fixture(scope="module")
def net():
    return ck.build_model(SMALL)


@pytest.fixture(scope="module")
def app():
    return ck.explore(SMALL, image="cat")


PLACES = {
    "inspect": lambda odd, out: ck.inspect(odd),
    "its shape": lambda odd, out: ck.inspect(SMALL, odd),
    "its batch_size": lambda odd, out: ck.inspect(SMALL, batch_size=odd),
    "its example": lambda odd, out: ck.inspect(nn.Conv2d(3, 4, 3), example=odd),
    "an argument of Inputs": lambda odd, out: ck.inspect(nn.Conv2d(3, 4, 3), example=ck.Inputs(odd)),
    "build_model": lambda odd, out: ck.build_model(odd, device="meta"),
    "a key": lambda odd, out: ck.build_model("resnet18", device="meta", num_blocks=odd),
    "its device": lambda odd, out: ck.build_model(SMALL, device=odd),
    "its heads": lambda odd, out: ck.build_model({**SMALL, "heads": odd}, device="meta"),
    "list_models": lambda odd, out: ck.list_models(odd),
    "compare": lambda odd, out: ck.compare([SMALL, odd]),
    "preprocess": lambda odd, out: ck.preprocess(odd),
    "load_image": lambda odd, out: ck.load_image(odd),
    "an experiment": lambda odd, out: ck.Experiment(odd),
    "its JSON": lambda odd, out: ck.Experiment.from_json(odd),
    "from_model": lambda odd, out: ck.ClassyModel.from_model(odd),
    "from_checkpoint": lambda odd, out: ck.ClassyModel.from_checkpoint(odd),
    "load_checkpoint": lambda odd, out: ck.load_checkpoint(odd),
    "explore": lambda odd, out: ck.explore(odd),
    "its image": lambda odd, out: ck.explore(SMALL, image=odd),
    "its device, too": lambda odd, out: ck.explore(SMALL, device=odd),
    "its example, too": lambda odd, out: ck.explore(nn.Conv2d(3, 4, 3), example=odd),
}  # fmt: skip
OF_A_MODEL = {
    "capture": lambda odd, net, out: ck.capture(net, odd, "block0-0"),
    "its blocks": lambda odd, net, out: ck.capture(net, X, odd),
    "attention": lambda odd, net, out: ck.attention(net, odd),
    "evidence": lambda odd, net, out: ck.evidence(net, odd),
    "its class": lambda odd, net, out: ck.evidence(LITE, XL, odd),
    "its head": lambda odd, net, out: ck.evidence(LITE, XL, head=odd),
    "its blocks, too": lambda odd, net, out: ck.evidence(LITE, XL, blocks=odd),
    "its method": lambda odd, net, out: ck.evidence(LITE, XL, method=odd),
    "effective_field": lambda odd, net, out: ck.effective_field(net, odd, "block0-0"),
    "its block": lambda odd, net, out: ck.effective_field(net, X, odd),
    "ablate": lambda odd, net, out: ck.ablate(net, X, odd),
    "its channels": lambda odd, net, out: ck.ablate(net, X, {"block0-0": odd}),
    "similarity": lambda odd, net, out: ck.similarity(net, odd),
    "its pool": lambda odd, net, out: ck.similarity(net, X, pool=odd),
    "top_patches": lambda odd, net, out: ck.top_patches(net, odd, "block0-0"),
    "its channels, too": lambda odd, net, out: ck.top_patches(net, X, "block0-0", odd),
    "its k": lambda odd, net, out: ck.top_patches(net, X, "block0-0", k=odd),
    "arithmetic": lambda odd, net, out: ck.arithmetic(CONV, odd, "model"),
    "its layer": lambda odd, net, out: ck.arithmetic(CONV, X, odd),
    "its channel": lambda odd, net, out: ck.arithmetic(CONV, X, "model", odd),
    "its place": lambda odd, net, out: ck.arithmetic(CONV, X, "model", 0, odd),
    "feature_pca": lambda odd, net, out: ck.feature_pca(odd),
    "its n": lambda odd, net, out: ck.feature_pca(X, odd),
    "run": lambda odd, net, out: ck.run(net, odd, **FAST),
    "its device": lambda odd, net, out: ck.run(net, X, device=odd),
    "its dtype": lambda odd, net, out: ck.run(net, X, dtype=odd, device="cpu"),
    "its batch_size": lambda odd, net, out: ck.run(net, X, batch_size=odd, **FAST),
    "profile_blocks": lambda odd, net, out: ck.profile_blocks(net, odd, seconds=0.001, **FAST),
    "extract": lambda odd, net, out: ck.extract(net, odd, "block0-0", out, workers=0, **FAST),
    "an item": lambda odd, net, out: ck.extract(net, [odd], "block0-0", out, workers=0, **FAST),
    "a head": lambda odd, net, out: ck.build_model(SMALL, device="meta").attach_head("block1-0", odd),
    "a head's block": lambda odd, net, out: ck.build_model(SMALL, device="meta").attach_head(odd, "identity"),
    "a head's name": lambda odd, net, out: ck.build_model(SMALL, device="meta").attach_head(
        "block1-0", "identity", unique_id=odd),
    "set_heads": lambda odd, net, out: ck.build_model(SMALL, device="meta").set_heads({"block1-0": odd}),
    "set_classy_state": lambda odd, net, out: ck.build_model(SMALL, device="meta").set_classy_state(odd),
    "save_checkpoint": lambda odd, net, out: ck.save_checkpoint(odd, out),
    "where to": lambda odd, net, out: ck.save_checkpoint(net, odd),
}  # fmt: skip


def check_works_or_says_why(act):
    """It works, or says why not; nothing else is raised."""
    try:
        act()
    except ClassyKitError as error:
        assert str(error).strip()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD)
def test_in_the_place_of_everything(odd, place, tmp_path):
    check_works_or_says_why(lambda: PLACES[place](ODD[odd], tmp_path / "out"))


@pytest.mark.parametrize("place", OF_A_MODEL)
@pytest.mark.parametrize("odd", ODD)
def test_in_the_place_of_what_a_model_is_given(odd, place, net, tmp_path, everything, assert_same):
    before = everything(net)
    check_works_or_says_why(lambda: OF_A_MODEL[place](ODD[odd], net, tmp_path / "out"))
    assert_same(before, everything(net))


@pytest.mark.parametrize("trait", ["config", "selected_block", "image", "clip", "device", "frame"])
@pytest.mark.parametrize("odd", ODD)
def test_in_the_app(odd, trait, app):
    before = app.to_code()
    with pytest.raises((ClassyKitError, traitlets.TraitError)):
        setattr(app, trait, ODD[odd])
    assert app.to_code() == before


@pytest.mark.parametrize("path", ["", ".", "nowhere/page.html", None, 3, b"page.html", NotShown()])
def test_a_page_is_saved_to_a_file(path, app, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ck.errors.StateError, match=r"to a file: give its path|cannot be written: No such file"):
        app.save_html(path)
    assert not list(tmp_path.iterdir())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())

    def forward(self, x):
        return self.body(self.stem(x))


class NotShownNet(Net):
    __repr__ = extra_repr = refuse


class NotCopiedNet(Net):
    __deepcopy__ = refuse


class Holding(Net):
    def __init__(self):
        super().__init__()
        self.thing = NotCopied()


@pytest.mark.parametrize("kind", [NotShownNet, NotCopiedNet, Holding])
def test_modules_of_such_kinds(kind, tmp_path):
    model = kind()
    with torch.no_grad():
        wanted = model.body(model.stem(X))
    torch.testing.assert_close(ck.capture(model, X, "body")["body"], wanted)
    check_works_or_says_why(lambda: ck.inspect(model, (3, 32, 32)))
    check_works_or_says_why(lambda: ck.run(model, X, **FAST))
    check_works_or_says_why(lambda: ck.profile_blocks(model, X, seconds=0.001, **FAST))
    check_works_or_says_why(lambda: ck.compare([SMALL, model]))
    check_works_or_says_why(lambda: ck.extract(model, X, "body", tmp_path / "out", workers=0, **FAST))
    check_works_or_says_why(lambda: ck.explore(model))
    if kind is Holding:
        assert ck.explore(model, image="cat").run().output.shape[1] == 4
