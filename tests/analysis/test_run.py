"""classykit.analysis.run: bringing a described model to life, and running it once."""

import pytest
import torch

import classykit as ck
from classykit.analysis import run
from classykit.errors import DeviceError, ShapeError
from classykit.heads import ClassyHead

SMALL = {"name": "resnext", "num_blocks": [1, 2], "init_planes": 8}


def test_a_pass(small):
    model, x = small
    p = run.run_once(model, x)
    assert torch.equal(p.output, model(x)) and p.trunk is p.output and p.device == "cpu" and p.seconds > 0
    assert not p.output.requires_grad
    model.attach_head("block0-0", "fully_connected", num_classes=3)
    p = run.run_once(model, x)
    torch.testing.assert_close(p.output, model(x))
    torch.testing.assert_close(p.trunk, model.extract_features(x))


def test_features_from_the_same_pass(small):
    model, x = small
    names = ["block0-0", "blocks.0.block0-0.bn"]
    p = run.run_once(model, x, blocks=names)
    wanted = ck.capture(model, x, names)
    assert p.features.keys() == wanted.keys()
    assert all(torch.equal(p.features[n], wanted[n]) for n in names)


def test_the_input_follows_the_model(small):
    model, x = small
    assert run.run_once(model.double(), x).output.dtype == torch.float64


def test_progress(small):
    model, x = small
    told = []
    run.run_once(model, x, on_block=lambda done, total: told.append((done, total)))
    assert told == [(i + 1, 4) for i in range(4)]


@pytest.mark.parametrize(
    "problem, kind, words",
    [
        (MemoryError("no more"), DeviceError, "cpu ran out of memory.*smaller"),
        (RuntimeError("size mismatch"), ShapeError, "cannot run on an input of .*size mismatch"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_no_trace(problem, kind, words, small, everything, assert_same):
    class Failing(ClassyHead):
        failing = True

        def forward(self, x):
            if self.failing:
                raise problem
            return x

    model, x = small
    head = Failing("f")
    head.failing = False
    model.attach_head("block0-0", head)
    wanted = model.train().eval()(x)
    model.train()
    head.failing = True
    before = everything(model)
    with pytest.raises(kind, match=words):
        run.run_once(model, x)
    assert_same(before, everything(model))
    head.failing = False
    torch.testing.assert_close(model.eval()(x), wanted)


def test_an_input_that_does_not_fit(small):
    with pytest.raises(ShapeError, match=r"ResNeXt cannot run on an input of \(1, 5, 8, 8\)"):
        run.run_once(small[0], torch.zeros(1, 5, 8, 8))


def test_allocating_is_repeatable_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    a, b, c = (run.allocate(SMALL, ck.inspect(SMALL), seed=s) for s in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    weights = [m.initial_block._module[0].weight for m in (a, b, c)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not a.training and a.config == SMALL


@pytest.mark.parametrize("share, fits", [(0.5, False), (2.0, True)])
def test_what_does_not_fit_is_refused_with_the_figures(share, fits, monkeypatch):
    i = ck.inspect("resnet50")
    needed = i.param_bytes + i.buffer_bytes + max(b.activation_bytes for b in i.blocks)
    monkeypatch.setattr(run, "free_memory", lambda device: int(needed * share))
    if fits:
        run.check_fits(i, "cpu")
    else:
        with pytest.raises(DeviceError, match=r"resnet50 is too big for cpu: about 94.* MB of weights.*free.*smaller"):
            run.check_fits(i, "cpu")


def test_devices():
    found = run.devices()
    assert found["cpu"] == "cpu" and ("cuda:0" in found) == torch.cuda.is_available()
    assert 2**20 < run.free_memory("cpu") < 2**50


def test_top_classes():
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0]])
    got = run.top_classes(logits, list("abcd"), k=2)
    assert [label for label, _ in got] == ["b", "d"]
    assert [p for _, p in got] == pytest.approx(logits.softmax(-1)[0, [1, 3]].tolist())
    assert len(run.top_classes(logits, list("abcd"), k=9)) == 4
