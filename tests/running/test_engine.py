"""classykit.running.engine: one batch through a settled model, and what comes back."""

import collections
import dataclasses

import pytest
import torch
from ran import plain
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ShapeError


class TestResults:
    def test_trunk_and_heads(self, small):
        model, x = small
        trunk = plain(model, x)
        model.attach_head("block0-0", "fully_connected", unique_id="a", num_classes=3)
        model.attach_head("block1-0", "fully_connected", unique_id="b", num_classes=4)
        result = ck.run(model, x, dtype="float32", batch_size=1, trunk=True)
        wanted = plain(model, x)
        assert result.output.keys() == wanted.keys() == {"a", "b"}
        for name in wanted:
            torch.testing.assert_close(result.output[name], wanted[name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(result.trunk, trunk, rtol=1e-4, atol=1e-5)
        model.clear_heads()
        without = ck.run(model, x, batch_size=1, trunk=True)
        assert without.trunk is without.output

    def test_features_from_the_same_passes(self, small):
        model, _ = small
        x, names = torch.randn(5, 3, 32, 32), ["block0-0", "blocks.0.block0-0.bn"]
        result = ck.run(model, x, dtype="float32", batch_size=2, blocks=names, channels_last=False)
        wanted = ck.capture(model, x, names)
        assert list(result.features) == names
        for name in names:
            torch.testing.assert_close(result.features[name], wanted[name], rtol=1e-4, atol=1e-5)
        with pytest.raises(BlockError, match="block9"):
            ck.run(model, x, blocks=["block9-0"])

    def test_several_outputs(self):
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(3, 2)

            def forward(self, x):
                return self.fc(x), {"again": [x]}

        x = torch.randn(5, 3)
        first, second = ck.run(Two(), x, dtype="float32", batch_size=2).output
        assert first.shape == (5, 2) and torch.equal(second["again"][0], x)

    def test_names_of_outputs_are_kept(self):
        named = collections.namedtuple("named", "logits features")

        @dataclasses.dataclass
        class Output:
            logits: torch.Tensor
            more: tuple

        class Named(nn.Module):
            def __init__(self):
                super().__init__()
                self.c = nn.Conv2d(3, 8, 3)

            def forward(self, x):
                y = self.c(x)
                return Output(y.mean((2, 3)), named(y, [y.amax((2, 3))]))

        net, x = Named(), torch.randn(20, 3, 8, 8)
        out, wanted = ck.run(net, x, device="cpu", dtype="float32").output, net(x)
        assert type(out) is Output and type(out.more) is named and type(out.more.features) is list
        torch.testing.assert_close(out.logits, wanted.logits)
        torch.testing.assert_close(out.more.features[0], wanted.more.features[0])

    def test_a_block_that_gives_several_things(self):
        class Pair(nn.Module):
            def forward(self, x):
                return (7, 7), x.relu()

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.pair, self.last = Pair(), nn.Conv2d(3, 2, 1)

            def forward(self, x):
                return self.last(self.pair(x)[1])

        model, x = ck.ClassyModel.from_model(Net()), torch.randn(3, 3, 7, 7)
        got = ck.run(model, x, batch_size=2, dtype="float32", blocks=["pair"]).features["pair"]
        assert torch.equal(got, x.relu())

    def test_progress(self, small):
        told = []
        ck.run(*small, on_block=lambda done, total: told.append((done, total)))
        assert told == [(i + 1, 4) for i in range(4)]


@pytest.mark.parametrize("x, words", [
    (torch.zeros(1, 5, 8, 8), r"resnext cannot run on an input of \(1, 5, 8, 8\).*C = 3"),
    ({"x": torch.zeros(2, 3)}, r"resnext cannot run on an input of \{'x': \(2, 3\)\}"),
])  # fmt: skip
def test_an_input_that_does_not_fit(x, words, small):
    with pytest.raises(ShapeError, match=words):
        ck.run(small[0], x)


def test_in_words(small):
    text = str(ck.run(*small, device="cpu", dtype="float32", batch_size=2))
    assert "2 images in" in text and "cpu, float32, channels last, 2 at a time" in text and "(2, 64, 4, 4)" in text
