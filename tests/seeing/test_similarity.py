"""classykit.similarity: linear CKA as it is defined, however the pictures come."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError, ShapeError
from classykit.seeing import similarity as module

X = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def defined(one, other):
    """The definition: of centred features in float64."""
    one, other = (f.flatten(1).double() - f.flatten(1).double().mean(0) for f in (one, other))
    cross = (other.T @ one).norm() ** 2
    return float(cross / ((one.T @ one).norm() * (other.T @ other).norm()))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return ck.build_model({"name": "resnext", "num_blocks": [1, 2], "init_planes": 8, "small_input": True})


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
@pytest.mark.parametrize("pool", [None, "mean"])
def test_it_is_the_definition(pool, batch_size, net, everything, assert_same):
    before = everything(net)
    found = ck.similarity(net, X, pool=pool, batch_size=batch_size)
    assert_same(before, everything(net))
    assert found.blocks == tuple(net.block_names) and found.pictures == 12
    features = ck.capture(net, X, net.block_names)
    features = {k: f.mean((2, 3)) for k, f in features.items()} if pool else features
    for i, one in enumerate(found.blocks):
        for j, other in enumerate(found.blocks):
            assert float(found.matrix[i, j]) == pytest.approx(defined(features[one], features[other]), abs=1e-4)
        assert float(found.matrix[i, i]) == pytest.approx(1, abs=1e-6)
    assert torch.equal(found.matrix, found.matrix.T)
    assert found.between("block0-0", "block1-1") == float(found.matrix[1, 3])


def test_features_on_disk_are_as_good(net, monkeypatch):
    wanted = ck.similarity(net, X, batch_size=5).matrix
    monkeypatch.setattr(module, "_IN_MEMORY", 10_000)
    torch.testing.assert_close(ck.similarity(net, X, batch_size=5).matrix, wanted)


def test_it_does_not_see_rotations_and_scales():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.turn, self.other = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3)
            nn.init.orthogonal_(self.turn.weight.data.view(8, 8))
            self.turn.weight.data *= 5

        def forward(self, x):
            return self.other(self.turn(self.conv(x)).relu())

    found = ck.similarity(Net(), X, ["conv", "turn", "other"])
    assert found.between("conv", "turn") == pytest.approx(1, abs=1e-5) and found.between("conv", "other") < 0.999


def test_foreign_models_and_tokens():
    vit = pytest.importorskip("timm").create_model("vit_tiny_patch16_224", img_size=32)
    x = torch.rand(6, 3, 32, 32)
    found = ck.similarity(vit, x, pool="mean")
    assert "blocks.3" in found.blocks and (found.matrix.diagonal() - 1).abs().max() < 1e-5
    tokens = ck.capture(vit, x, ["blocks.0", "blocks.11"])
    wanted = defined(*(f.mean(1) for f in tokens.values()))
    assert found.between("blocks.0", "blocks.11") == pytest.approx(wanted, abs=1e-4)


def test_words(net):
    found = ck.similarity(net, X, ["block0-0", "block1-1"])
    assert "12 pictures, flattened features" in str(found)
    assert found.notes == ("Untrained: its weights are random",
                           "With 12 pictures any two blocks seem alike: more would tell them apart")  # fmt: skip
    table = found.to_pandas()
    assert list(table) == list(table.index) == ["block0-0", "block1-1"]
    with pytest.raises(BlockError, match="no 'stem' here"):
        found.between("stem", "block0-0")


def test_bad_input(net):
    with pytest.raises(ShapeError, match="give two or more"):
        ck.similarity(net, X[:1])
    with pytest.raises(ConfigError, match="pool is None"):
        ck.similarity(net, X, pool="max")
    with pytest.raises(ConfigError, match="batch_size is a positive number"):
        ck.similarity(net, X, batch_size=0)
    with pytest.raises(BlockError, match="no block 'stem'"):
        ck.similarity(net, X, ["stem"])
