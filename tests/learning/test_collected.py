"""classykit.learning.collected: features of a whole data set, from one pass over it."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import ConfigError, ShapeError
from classykit.learning import collected as module
from classykit.learning.collected import as_data, blocks_of, class_labels, collected

X = torch.rand(11, 3, 32, 32, generator=torch.Generator().manual_seed(0))
OWN = {"device": "cpu", "batch_size": 4, "progress": False}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return ck.build_model({"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}).eval()


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return ck.build_model(
        "vision_transformer", image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
    ).eval()


@pytest.mark.parametrize("on_disk", [False, True])
def test_they_are_captures(net, on_disk, monkeypatch):
    monkeypatch.setattr(module, "IN_MEMORY", 0 if on_disk else 2**30)
    wanted = ck.capture(net, X, ["block0-0", "block1-0"])
    with collected(net, X, ["block0-0", "block1-0"], "mean", **OWN) as held:
        assert isinstance(held.features["block0-0"], np.memmap) == on_disk
        assert list(held.features) == ["block0-0", "block1-0"]
        for block, features in held.features.items():
            assert np.allclose(features, wanted[block].mean((2, 3)).numpy(), atol=1e-5)
        assert held.numbers == list(range(11)) and held.labels is None and not held.skipped
    with collected(net, X, ["block0-0"], None, **OWN) as held:
        assert np.allclose(held.features["block0-0"], wanted["block0-0"].numpy(), atol=1e-5)
        assert held.channel_dim("block0-0") == 1


def test_tokens(vit):
    """Of tokens a mean is that of the patches; the class token is had by asking for it."""
    tokens = ck.capture(vit, X, "layer_1")["layer_1"]
    for pool, wanted in (("mean", tokens[:, 1:].mean(1)), ("class", tokens[:, 0]), (None, tokens)):
        with collected(vit, X, ["layer_1"], pool, **OWN) as held:
            assert np.allclose(held.features["layer_1"], wanted.numpy(), atol=1e-5), pool
            assert held.channel_dim("layer_1") == (2 if pool is None else 1)


def test_the_class_token_of_what_has_none_is_the_mean(net):
    with collected(net, X, ["block0-0"], "class", **OWN) as held:
        wanted = ck.capture(net, X, "block0-0")["block0-0"].mean((2, 3))
        assert np.allclose(held.features["block0-0"], wanted.numpy(), atol=1e-5)


def test_raw_pictures(net):
    with collected(net, X, ["block0-0"], "mean", **OWN) as held:
        assert np.allclose(held.pixels, X.flatten(1).numpy())
    with collected(net, torch.rand(5, 3, 64, 48), ["block0-0"], "mean", **OWN) as held:
        assert held.pixels.shape == (5, 3 * 32 * 32)


def test_a_folder_with_a_broken_picture(net, tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.new("RGB", (40, 40), (80 * i, 0, 0)).save(tmp_path / kind / f"{i}.png")
    (tmp_path / "cat" / "1.png").write_bytes(b"no picture")
    with collected(net, tmp_path, ["block0-0"], "mean", **OWN) as held:
        assert held.numbers == [0, 2, 3, 4, 5] and list(held.skipped) == [1]
        assert held.labels == class_labels(None, held) == ["cat", "cat", "dog", "dog", "dog"]
        assert class_labels([9, 8, 7, 6, 5, 4], held) == [9, 7, 6, 5, 4], "of those that could be read"


class TestLabels:
    @pytest.mark.parametrize(
        "y, found",
        [
            ([0, 1, 2], [0, 1, 2]),
            (np.array([0.0, 1.0, np.nan]), [0, 1, None]),
            (torch.tensor([3, 4, 5]), [3, 4, 5]),
            (["a", "b", None], ["a", "b", None]),
            ([True, False, np.int64(2)], [1, 0, 2]),
        ],
    )
    def test_they_are_plain(self, y, found):
        assert class_labels(y, module.Collected({}, [0, 1, 2])) == found

    @pytest.mark.parametrize("y", ["abc", 3, {"a": 1}, [0, 1, 2.5], [0, 1, [2]], None, object()])
    def test_what_is_no_label(self, y):
        with pytest.raises(ConfigError):
            class_labels(y, module.Collected({}, [0, 1, 2]))

    def test_their_number(self):
        with pytest.raises(ShapeError, match="There are 3 pictures and 2 labels"):
            class_labels([0, 1], module.Collected({}, [0, 1, 2]))


def test_arrays():
    assert torch.equal(as_data(X.numpy()), X) and as_data([X]) == [X]
    with pytest.raises(ConfigError, match="not Inputs"):
        as_data(ck.Inputs(X))


def test_all_blocks_of_a_foreign_model():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    assert blocks_of(model, "all")[1] == ["0", "1"] and blocks_of(model, ["1", "1"])[1] == ["1"]
    assert blocks_of(model, "1") == (model, ["1"])
