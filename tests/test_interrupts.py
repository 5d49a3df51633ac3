"""An interrupt at any line of the kit's own code changes nothing of the user's model, nor of torch."""

import sys
from pathlib import Path

import pytest
import torch

import classykit as ck
from classykit.errors import Interrupted

KIT = str(Path(ck.__file__).parent)
SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
FAST = {"device": "cpu", "dtype": "float32", "progress": False}
VERBS = {
    "capture": lambda model, out: ck.capture(model, X, ["block0-0", "block1-0"]),
    "run": lambda model, out: ck.run(model, X, blocks=["block0-0"], batch_size=1, **FAST),
    "inspect": lambda model, out: ck.inspect(model, (3, 32, 32)),
    "profile": lambda model, out: ck.profile_blocks(model, X, seconds=0.0001, **FAST),
    "extract": lambda model, out: ck.extract(
        model, X, "block0-0", out, workers=0, device="cpu", dtype="float32", progress=False),
}  # fmt: skip
TRIED = 120  # interrupts a verb


class Stopping:
    """Counts the lines of the kit that run, and presses the stop button at one of them."""

    def __init__(self, at=None):
        self.at, self.lines = at, 0

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(KIT):
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


@pytest.mark.parametrize("verb", VERBS)
def test_at_any_line(verb, tmp_path, everything, assert_same):
    torch.manual_seed(0)
    model = ck.build_model(SMALL)
    model.train()  # what eval mode, forgotten, would show
    VERBS[verb](model, tmp_path / "first")  # what is set up once
    counting = Stopping()
    counting.run(lambda: VERBS[verb](model, tmp_path / "counted"))
    before = everything(model)
    stopped = 0
    for i in range(TRIED):
        at = 1 + i * counting.lines // TRIED
        try:
            Stopping(at).run(lambda: VERBS[verb](model, tmp_path / f"out {i}"))  # noqa: B023
        except (KeyboardInterrupt, Interrupted):
            stopped += 1
        assert_same(before, everything(model))
    assert stopped > 0.9 * TRIED
    model.eval()(X)  # no hook of the kit's is left to raise something
