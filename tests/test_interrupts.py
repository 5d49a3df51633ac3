"""An interrupt at any line of the kit's, or at any moment, changes nothing of the user's model, nor of torch.

Thousands of them, over the verbs that run a model, and over the app.
"""

import contextlib
import gc
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import torch
from torch.autograd import grad_mode
from torch.utils import _contextlib, _python_dispatch

import classykit as ck
from classykit.errors import Interrupted
from classykit.extracting.disk import sole_writer

KIT = (str(Path(ck.__file__).parent),)
# Python code of torch's that switches something for a while, and the generators that it is written with
SWITCHES = (contextlib.__file__, torch.overrides.__file__, _python_dispatch.__file__, _contextlib.__file__,
            grad_mode.__file__)  # fmt: skip
SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
FOUR = X.repeat(2, 1, 1, 1) * torch.linspace(0.5, 1, 4).reshape(4, 1, 1, 1)
TAUGHT = ck.build_model(SMALL)  # whose head is to change
TAUGHT.attach_head("block1-0", "linear_probe", num_classes=3)
EIGHT = FOUR.repeat(2, 1, 1, 1)
FAST = {"device": "cpu", "dtype": "float32", "progress": False}


def in_the_app(model, out):
    """A click on a block, and on Run, as the browser sends them; an interrupt is said in the app."""
    if not hasattr(in_the_app, "app") or in_the_app.of is not model:
        in_the_app.app, in_the_app.of = ck.explore(model, image="cat"), model
        in_the_app.app._worker.do = lambda kind, act: act()  # in this thread, whose lines are counted
    app = in_the_app.app
    other = "block1-0" if app.selected_block == "block0-0" else "block0-0"  # so that there is always as much to do
    for message in ({"type": "select", "block": other}, {"type": "run"}):
        try:
            app._handle_custom_msg(message, [])
        finally:
            assert not app.busy, "for ever"
        if app.error:
            assert app.error == "Interrupted. Everything is as it was."
            raise KeyboardInterrupt


VIT = ck.build_model(
    "vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
)
FLAT = ck.build_model("resnext", num_blocks=[1, 1], init_planes=8, basic_layer=True)
REGNETS = ck.Space("regnet")
FIRST = next(path for path, m in ck.build_model(SMALL).named_modules() if isinstance(m, torch.nn.Conv2d))


def headed(model):
    """The model with a head, which is put on it once."""
    if not model.get_heads():
        with torch.random.fork_rng(devices=[]):
            model.attach_head("block1-0", "linear_probe", num_classes=3)
    return model


VERBS = {
    "capture": lambda model, out: ck.capture(model, X, ["block0-0", "block1-0"]),
    "run": lambda model, out: ck.run(model, X, blocks=["block0-0"], batch_size=1, **FAST),
    "inspect": lambda model, out: ck.inspect(model, (3, 32, 32)),
    "profile": lambda model, out: ck.profile_blocks(model, X, seconds=0.0001, **FAST),
    "extract": lambda model, out: ck.extract(
        model, X, "block0-0", out, workers=0, device="cpu", dtype="float32", progress=False),
    "attention": lambda model, out: ck.attention(VIT, X),
    "evidence": lambda model, out: ck.evidence(headed(model), X, 1, blocks="all"),
    "ablate": lambda model, out: ck.ablate(model, X, {"block0-0": [1]}),
    "capture of a head": lambda model, out: ck.capture(headed(model), X, ["linear_probe", "block0-0"], grad=True),
    "effective_field": lambda model, out: ck.effective_field(model, X, "block0-0"),
    "similarity": lambda model, out: ck.similarity(model, FOUR, blocks=["block0-0", "block1-0"]),
    "top_patches": lambda model, out: ck.top_patches(model, X, "block0-0", 1, k=2),
    "probe": lambda model, out: ck.probe(
        model, EIGHT, [0, 1] * 4, "block0-0", repeats=1, test=0.5, device="cpu", progress=False),
    "fit_heads": lambda model, out: ck.fit_heads(
        TAUGHT, X, {"linear_probe": [0, 1]}, epochs=2, test=0, device="cpu", progress=False),
    "build": lambda model, out: ck.build_model(SMALL, device="meta"),
    "describe": lambda model, out: ck.describe("regnet_y_400mf"),
    "inflate": lambda model, out: ck.inflate(FLAT, frames=2),
    "sample": lambda model, out: ck.sample(REGNETS, 4, macs=(1e8, 1e9), progress=False),
    "sweep": lambda model, out: ck.sweep([{**SMALL, "init_planes": 4}, SMALL], ck.inspect, out, progress=False),
    "arithmetic": lambda model, out: ck.arithmetic(model, X, FIRST, 1, (0, 0)),
    "the app": in_the_app,
}  # fmt: skip
TRIED = 120  # interrupts at lines, of each verb
MOMENTS = {
    "capture": 350,
    "run": 350,
    "inspect": 250,
    "profile": 50,
    "extract": 200,
    "attention": 100,
    "evidence": 100,
    "ablate": 100,
    "capture of a head": 60,
    "effective_field": 60,
    "similarity": 60,
    "top_patches": 60,
    "probe": 60,
    "fit_heads": 60,
    "build": 60,
    "describe": 60,
    "inflate": 60,
    "sample": 60,
    "sweep": 60,
    "arithmetic": 60,
    "the app": 150,
}


class Stopping:
    """Counts the lines of some files that run, and presses the stop button at one of them."""

    def __init__(self, files, at=None):
        self.files, self.at, self.lines = files, at, 0

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(self.files):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    def run(self, act):
        sys.settrace(self)
        try:
            act()
        finally:
            sys.settrace(None)


@pytest.fixture
def model():
    torch.manual_seed(0)
    # What thousands of other tests left takes the garbage collector a second to look through, and an interrupt that
    # arrives meanwhile is lost where somebody, such as hypothesis, listens to the collector.
    gc.collect()
    gc.freeze()
    yield ck.build_model(SMALL).train()  # what eval mode, forgotten, would show
    gc.unfreeze()


@pytest.mark.parametrize("files", [KIT, SWITCHES], ids=["the kit", "switches of torch"])
@pytest.mark.parametrize("verb", VERBS)
def test_at_any_line(verb, files, model, tmp_path, everything, assert_same):
    VERBS[verb](model, tmp_path / "first")  # what is set up once
    counting = Stopping(files)
    counting.run(lambda: VERBS[verb](model, tmp_path / "counted"))
    before = everything(model)
    stopped = 0
    for i in range(TRIED):
        at = 1 + i * counting.lines // TRIED
        try:
            Stopping(files, at).run(lambda: VERBS[verb](model, tmp_path / f"out {i}"))  # noqa: B023
        except (KeyboardInterrupt, Interrupted):
            stopped += 1
        assert_same(before, everything(model))
    assert stopped > 0.9 * TRIED or (verb == "describe" and not counting.lines)  # which switches nothing
    model.eval()(X)  # no hook of the kit's is left to raise something
    assert works_in_another_thread(model)


def works_in_another_thread(model):
    """Whether no lock of the kit's is left closed: the thread that was interrupted would not notice."""
    done = threading.Event()

    def ask():
        ck.run(model, X, **FAST | {"progress": True})  # a bar has a lock, too
        with tempfile.TemporaryDirectory() as folder, sole_writer(Path(folder) / "out", Path(folder) / "out" / "lock"):
            done.set()

    threading.Thread(target=ask, daemon=True).start()
    return done.wait(30)


class Bell:
    """Presses the stop button after some time, wherever the main thread is just then, torch's own code included."""

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self.press)
        return self

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)

    def press(self, *_):
        raise KeyboardInterrupt

    def run(self, seconds, act):
        """Whether the act was interrupted."""
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                act()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except (KeyboardInterrupt, Interrupted):
            return True
        return False


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such signals here")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what is deleted just then
@pytest.mark.parametrize("verb", VERBS)
def test_at_any_moment(verb, model, tmp_path, everything, assert_same):
    took = []

    def timed(out):
        start = time.perf_counter()
        VERBS[verb](model, tmp_path / out)
        took.append(time.perf_counter() - start)  # if it comes to its end

    for i in range(4):
        timed(f"first {i}")
    before, stopped, rng = everything(model), 0, random.Random(0)
    with Bell() as bell:
        for i in range(MOMENTS[verb]):
            stopped += bell.run(rng.uniform(1e-5, min(took)), lambda: timed(f"out {i}"))  # noqa: B023
            assert_same(before, everything(model))
    assert stopped > 0.5 * MOMENTS[verb]
    model.eval()(X)
    assert works_in_another_thread(model)


def test_they_are_thousands():
    assert 2 * len(VERBS) * TRIED + sum(MOMENTS.values()) >= 2000
