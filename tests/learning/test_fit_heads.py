"""classykit.fit_heads: heads learn together, the trunk stays bit for bit as it is."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, HeadError, Interrupted, ShapeError
from classykit.heads import ClassyHead
from classykit.learning import fit_heads as module

QUIET = {"device": "cpu", "progress": False}
SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}


def targets(y):
    return {"parity": y % 2, "digit": y, "loop": torch.isin(y, torch.tensor([0, 6, 8, 9])).long()}


def test_heads_on_any_block_learn(net, digits):
    x, y = digits
    fit = ck.fit_heads(net, x, targets(y), epochs=8, **QUIET)
    assert fit.accuracy["digit"] > 0.8 and fit.accuracy["loop"] > 0.75 and fit.accuracy["parity"] > 0.6
    assert list(fit.losses) == ["parity", "digit", "loop"]
    for name, losses in fit.losses.items():
        assert len(losses) == 8 and losses[-1] < losses[0], name
    assert fit.learnt_from == 240 and fit.held_out == 60


def test_what_was_learnt_is_in_the_heads(net, digits):
    """The model itself gives the accuracy that is said, with nothing standardised any more."""
    x, y = digits
    fit = ck.fit_heads(net, x, targets(y), epochs=3, **QUIET)
    held_out = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:60]
    with torch.no_grad():
        out = copy.deepcopy(net).eval()(x[held_out])
    right = {name: (out[name].argmax(1) == wanted[held_out]).float() for name, wanted in targets(y).items()}
    assert {name: of.mean().item() for name, of in right.items()} == pytest.approx(fit.accuracy)


def test_the_trunk_is_bit_for_bit_as_it_was(net, digits, everything, assert_same):
    x, y = digits
    heads = {path for name in net.head_paths().values() for path in (name, f"{name}.")}

    def of_trunk(model):
        return {k: v.clone() for k, v in model.state_dict().items() if not any(k.startswith(path) for path in heads)}

    trunk, modes = of_trunk(net), [m.training for m in net.modules()]
    grads, random = [p.grad for p in net.parameters()], torch.get_rng_state()
    learns = [p.requires_grad for p in net.parameters()]
    ck.fit_heads(net, x, targets(y), epochs=1, **QUIET)
    after = of_trunk(net)
    assert after.keys() == trunk.keys() and 0 < len(trunk) < len(net.state_dict())
    assert all(torch.equal(value, after[key]) for key, value in trunk.items())
    assert modes == [m.training for m in net.modules()] and grads == [p.grad for p in net.parameters()]
    assert learns == [p.requires_grad for p in net.parameters()]
    assert torch.equal(random, torch.get_rng_state())


def test_the_same_for_the_same_seed(net, digits):
    x, y = digits
    twins = [copy.deepcopy(net) for _ in range(3)]
    fits = [ck.fit_heads(twin, x, targets(y), epochs=2, seed=seed, **QUIET) for twin, seed in zip(twins, (0, 0, 1))]  # noqa: B905
    assert fits[0].losses == fits[1].losses != fits[2].losses
    states = [twin.state_dict() for twin in twins]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_once_more_goes_on(net, digits):
    """What a head knows of plain features holds of standardised ones."""
    x, y = digits
    first = ck.fit_heads(net, x, {"digit": y}, epochs=6, **QUIET)
    again = ck.fit_heads(net, x, {"digit": y}, epochs=1, lr=1e-9, **QUIET)
    assert again.accuracy["digit"] == pytest.approx(first.accuracy["digit"], abs=0.02)
    assert again.losses["digit"][0] < first.losses["digit"][0] / 2


def test_the_whole_model(digits):
    """With the trunk a net of random weights learns; mode and gradients stay as they were."""
    x, y = digits
    torch.manual_seed(0)
    net = ck.build_model(SMALL).eval()
    net.attach_head("block1-0", "linear_probe", unique_id="digit", num_classes=10)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fit = ck.fit_heads(net, x, {"digit": y}, epochs=6, trunk=True, lr=3e-3, batch_size=16, **QUIET)
    assert fit.losses["digit"][-1] < fit.losses["digit"][0] / 1.5 and fit.accuracy["digit"] > 0.5
    assert sum(not torch.equal(value, before[key]) for key, value in net.state_dict().items()) > len(before) / 2
    assert not net.training and all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("trunk", [False, True])
def test_the_code_does_the_same(net, digits, trunk, capsys):
    x, y = digits
    net = net.eval()
    if trunk:
        torch.manual_seed(0)
        net = ck.build_model(SMALL).eval()
        net.attach_head("block1-0", "linear_probe", unique_id="digit", num_classes=10)
    twin, wanted = copy.deepcopy(net), {"digit": y}
    fit = ck.fit_heads(net, x, wanted, epochs=2, trunk=trunk, **QUIET)
    names: dict = {"model": twin, "x": x, "targets": wanted}
    exec(fit.to_code().replace(", 'parity'", ""), names)
    assert names["accuracy"]["digit"] == pytest.approx(fit.accuracy["digit"], abs=0.05)
    with torch.no_grad():
        one, other = net(x[:32]), twin.eval()(x[:32])
    one, other = (out["digit"] if isinstance(out, dict) else out for out in (one, other))
    assert (one.argmax(1) == other.argmax(1)).float().mean() > 0.9


def test_an_interrupt_keeps_what_was_reached(net, digits, monkeypatch):
    x, y = digits
    before = copy.deepcopy(net.state_dict())
    epochs = iter([None, None])
    real = module._epoch

    def interrupted(*args):
        if next(epochs, "stop") == "stop":
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(module, "_epoch", interrupted)
    with pytest.raises(Interrupted, match="after 2 of 9 epochs") as caught:
        ck.fit_heads(net, x, {"digit": y}, epochs=9, **QUIET)
    fit = caught.value.args[-1] if not hasattr(caught.value, "result") else caught.value.result
    assert len(fit.losses["digit"]) == 2
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"_heads.digit.fc.weight", "_heads.digit.fc.bias"}


class Bent(ClassyHead):
    """A head that no standardised features are absorbed by."""

    def __init__(self, unique_id="bent", num_classes=10):
        super().__init__(unique_id, num_classes)
        self.fc = nn.Linear(80, num_classes)

    def forward(self, x):
        return self.fc(x.mean((2, 3)).tanh())


def test_a_head_of_ones_own(lite, digits):
    x, y = digits
    net = copy.deepcopy(lite)
    net.attach_head("block3-2", Bent())
    fit = ck.fit_heads(net, x, {"bent": y}, epochs=4, **QUIET)
    assert fit.losses["bent"][-1] < fit.losses["bent"][0] and "as they are" in fit.notes[0]


@pytest.mark.parametrize(
    "wanted, keys, error, words",
    [
        ({"nothing": [0]}, {}, HeadError, "no head 'nothing'; attached are: 'parity', 'digit', 'loop'"),
        ({}, {}, ConfigError, "targets is"),
        ([1, 2], {}, ConfigError, "targets is"),
        ({"digit": [0, 1]}, {}, ShapeError, "300 pictures and 2 labels"),
        ({"parity": "digits"}, {}, ConfigError, "a label 2|a label [3-9]"),
        ({"parity": list("abc") * 100}, {}, ConfigError, "2 classes, and there are 3"),
        ({"digit": [None] * 300}, {}, ConfigError, "has a label"),
        ({"digit": ["a", 1] * 150}, {}, ConfigError, "one or the other"),
        ({"digit": "digits"}, {"epochs": 0}, ConfigError, "epochs is"),
        ({"digit": "digits"}, {"lr": -1}, ConfigError, "lr is"),
        ({"digit": "digits"}, {"lr": "fast"}, ConfigError, "lr is"),
        ({"digit": "digits"}, {"test": 1}, ConfigError, "test is"),
        ({"digit": "digits"}, {"trunk": 1}, ConfigError, "trunk is"),
        ({"digit": "digits"}, {"seed": None}, ConfigError, "seed is"),
        ({"digit": "digits"}, {"batch_size": 0}, ConfigError, "batch_size is"),
    ],
)
def test_bad_input(net, digits, wanted, keys, error, words):
    x, y = digits
    if isinstance(wanted, dict):
        wanted = {name: y if isinstance(of, str) else of for name, of in wanted.items()}
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(error, match=words):
        ck.fit_heads(net, x, wanted, **{**QUIET, **keys})
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_models_without_such_heads(digits):
    x, y = digits
    with pytest.raises(HeadError, match="has no heads"):
        ck.fit_heads(nn.Conv2d(3, 4, 3), x, {"a": y})
    net = ck.build_model(SMALL)
    net.attach_head("block1-0", "identity", unique_id="same")
    with pytest.raises(HeadError, match="no classes"):
        ck.fit_heads(net, x, {"same": y}, **QUIET)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(net, digits):
    x, y = digits
    fit = ck.fit_heads(net, x, targets(y), epochs=8, progress=False)
    assert fit.accuracy["digit"] > 0.8 and next(net.parameters()).device.type == "cpu"
    assert np.isfinite(fit.losses["digit"]).all()
