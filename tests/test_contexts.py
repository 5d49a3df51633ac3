"""Every verb gives the same within what a notebook has switched on: inference mode, autocast, a default device ..."""

import contextlib
import copy
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.contexts import as_usual

SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
FAST = {"device": "cpu", "dtype": "float32", "progress": False}


EIGHT = X.repeat(4, 1, 1, 1) * torch.linspace(0.2, 1, 8).reshape(8, 1, 1, 1)


def taught(net):
    """What a head has learnt, on a copy."""
    with torch.random.fork_rng(devices=[]):
        net = copy.deepcopy(net)
        head = net.attach_head("block1-0", "linear_probe", num_classes=2)
    torch.nn.init.zeros_(head.fc.weight)
    torch.nn.init.zeros_(head.fc.bias)
    ck.fit_heads(net, EIGHT, {"linear_probe": [0, 1] * 4}, epochs=2, test=0, device="cpu", progress=False)
    return head.fc.weight.detach()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return ck.build_model(SMALL).eval()


@contextlib.contextmanager
def default_device(name):
    before = torch.get_default_device()
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None if before.type == "cpu" else before)


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


CONTEXTS = {
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "a default device": lambda: default_device("meta"),
    "a device": lambda: torch.device("meta"),
    "a default type": lambda: default_dtype(torch.float64),
    "deterministic": deterministic,
    "warnings are errors": warnings_are_errors,
    "a profiler": lambda: torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]),
    "anomaly detection": lambda: torch.autograd.detect_anomaly(check_nan=False),
}


VIT = {"name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 1, "num_heads": 2,
       "hidden_dim": 8, "mlp_dim": 8}  # fmt: skip


def with_weights(config, *head):
    """A model with the same weights each time."""
    ordinary = default_dtype(torch.float32)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.device("cpu"), ordinary:
        torch.manual_seed(0)
        model = ck.build_model(config)
        if head:
            model.attach_head(*head, unique_id="mine", num_classes=3)
        return model.eval()


FLAT = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "basic_layer": True}
FOREIGN = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1))


def explored(net):
    app = ck.explore(net, image="cat")
    app.run()
    return app._scene.last.output


VERBS = {
    "inspect": lambda net, out: str(ck.inspect(net)),
    "inspect a module": lambda net, out: str(ck.inspect(FOREIGN, (3, 32, 32))),
    "inspect a name": lambda net, out: (ck.clear_cache(), str(ck.inspect("resnet18")))[1],
    "peak memory": lambda net, out: str(ck.inspect(net).peak_memory()),
    "compare": lambda net, out: str(ck.compare([net, SMALL | {"init_planes": 4}])),
    "features": lambda net, out: str(net.block_features(net.block_names)),
    "heads": lambda net, out: ck.build_model(SMALL, device="meta").attach_head(
        "block1-0", "fully_connected", num_classes=2).in_plane,
    "run": lambda net, out: ck.run(net, X, blocks=["block0-0"], **FAST).output,
    "capture": lambda net, out: ck.capture(net, X, "block0-0")["block0-0"],
    "profile": lambda net, out: [r.name for r in ck.profile_blocks(net, X, seconds=0.001, **FAST).rows],
    "benchmark": lambda net, out: ck.benchmark(
        net, 1, "float32", "eager", device="cpu", seconds=0.001, progress=False).rows[0].status,
    "extract": lambda net, out: torch.tensor(ck.extract(
        net, X, "block0-0", out, workers=0, device="cpu", dtype="float32", progress=False).array("block0-0"),
        device="cpu"),
    "capture a head": lambda net, out: ck.capture(with_weights(SMALL, "block1-0", "linear_probe"), X, "mine")["mine"],
    "attention": lambda net, out: ck.attention(with_weights(VIT), X)["layer_0"],
    "evidence": lambda net, out: ck.evidence(
        with_weights(SMALL, "block1-0", "linear_probe"), X, 1).maps["block1-0"],
    "effective_field": lambda net, out: ck.effective_field(net, X, "block0-0").map,
    "ablate": lambda net, out: ck.ablate(net, X, {"block0-0": [1]}).after,
    "similarity": lambda net, out: ck.similarity(net, X, ["block0-0", "block1-0"]).matrix,
    "top_patches": lambda net, out: str(ck.top_patches(net, X, "block0-0", k=2)),
    "arithmetic": lambda net, out: ck.arithmetic(FOREIGN, X, "0", 3, (4, 5)).products.float(),
    "probe": lambda net, out: str(ck.probe(
        net, EIGHT, [0, 1] * 4, "block1-0", repeats=2, test=0.5, device="cpu", progress=False)),
    "fit_heads": lambda net, out: taught(net),
    "feature_pca": lambda net, out: ck.feature_pca(X, 2),
    "preprocess": lambda net, out: ck.preprocess("cat", net),
    "describe": lambda net, out: str(ck.describe("regnet_y_400mf")),
    "inflate": lambda net, out: next(ck.inflate(with_weights(FLAT), frames=4).parameters()).detach(),
    "sample": lambda net, out: ck.sample(ck.Space("anynet"), 2, macs=(1e8, 1e9), progress=False),
    "sweep": lambda net, out: ck.sweep([SMALL, FLAT], ck.inspect, out, progress=False).macs.tolist(),
    "explore": lambda net, out: explored(net),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_the_same_in_every_context(verb, context, net, tmp_path, everything, assert_same):
    wanted = VERBS[verb](net, tmp_path / "without")
    with CONTEXTS[context]():
        before = everything(net)
        found = VERBS[verb](net, tmp_path / "within")
        assert_same(before, everything(net))
    if isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype and found.device == wanted.device
        assert torch.equal(found.clone(), wanted)
    else:
        assert found == wanted


def in_a_child(act, folder):
    """What ``act()`` gives in a process that was forked, which has a minute for it."""
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            torch.save(act(), folder / "given.pt")
        except BaseException:
            (folder / "failed.txt").write_text(traceback.format_exc())
        finally:
            os._exit(0)
    deadline = time.monotonic() + 60
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("it hangs")
        time.sleep(0.01)
    assert not (folder / "failed.txt").exists(), (folder / "failed.txt").read_text()
    return torch.load(folder / "given.pt", weights_only=True)


LOCKS_OF_BARS = """
import threading
import tqdm.{first} as first, tqdm.{then} as then
import classykit
from classykit.contexts import verb

@verb
def interrupted(bars):
    bars.get_lock().acquire()
    raise KeyboardInterrupt

def works(bars):
    free = threading.Event()
    def ask():
        with bars.get_lock():
            free.set()
    threading.Thread(target=ask, daemon=True).start()
    return free.wait(5)

for bars in (first.tqdm, then.tqdm):
    try:
        interrupted(bars)
    except KeyboardInterrupt:
        print(works(first.tqdm), works(then.tqdm))
"""


@pytest.mark.parametrize("first, then", [("std", "auto"), ("auto", "std")])
def test_the_lock_of_bars_is_let_go_of(first, then):
    """tqdm locks in Python: an interrupt between its lines would leave that closed for every other thread.

    In a process of its own: the class that is used first gets the lock.
    """
    command = [sys.executable, "-W", "ignore", "-c", LOCKS_OF_BARS.format(first=first, then=then)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["True"] * 4


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")


@forks
@pytest.mark.parametrize("verb", VERBS)
def test_the_same_in_a_forked_process(verb, net, tmp_path):
    def act():
        before = torch.get_num_threads(), net.training
        found = VERBS[verb](net, tmp_path / "within")
        return found, before == (torch.get_num_threads(), net.training)

    wanted = VERBS[verb](net, tmp_path / "without")
    found, untouched = in_a_child(act, tmp_path)
    assert untouched
    if isinstance(wanted, torch.Tensor):
        torch.testing.assert_close(found, wanted)  # in one thread sums are in another order
    else:
        assert found == wanted


@forks
def test_forked_while_another_thread_captures(net, tmp_path):
    model, done = copy.deepcopy(net).train(), threading.Event()
    wanted = ck.capture(model, X, "block1-0")["block1-0"]

    def work():
        while not done.is_set():
            ck.capture(model, X, "block1-0")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for i in range(12):
            time.sleep(0.0005 * i)
            (tmp_path / str(i)).mkdir()
            found, mode = in_a_child(
                lambda: (ck.capture(model, X, "block1-0")["block1-0"], model.training), tmp_path / str(i)
            )
            torch.testing.assert_close(found, wanted)
            assert mode, "what the other thread had switched is put back"
    finally:
        done.set()
        thread.join()


@forks
def test_a_number_of_threads_that_was_set_in_the_child_is_kept(tmp_path):
    def act():
        torch.set_num_threads(3)
        with as_usual():
            return torch.get_num_threads()

    assert in_a_child(act, tmp_path) == 3


@pytest.mark.parametrize("context", CONTEXTS)
def test_as_usual(context):
    with CONTEXTS[context](), as_usual():
        x = torch.zeros(3)
        assert x.device.type == "cpu" and x.dtype == torch.float32 and not x.is_inference()
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert torch.get_default_dtype() == torch.float32 and torch.get_default_device().type == "cpu"
    assert not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")


def test_gradients_stay_off_where_they_were():
    with torch.inference_mode(), as_usual():
        assert not torch.is_grad_enabled()
    with torch.no_grad(), as_usual():
        assert not torch.is_grad_enabled()
    with as_usual():
        assert torch.is_grad_enabled()


def test_heads_made_in_inference_mode_can_be_trained_outside(net):
    with torch.inference_mode():
        model = ck.build_model(SMALL)
    head = model.attach_head("block1-0", "fully_connected", num_classes=2)
    assert not head.fc.weight.is_inference()
    with torch.inference_mode():
        head = ck.ClassyModel.from_model(FOREIGN, (3, 32, 32)).attach_head("1", "linear_probe", num_classes=2)
    assert not head.fc.weight.is_inference()
