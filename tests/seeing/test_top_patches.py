"""classykit.top_patches: the strongest places of many pictures, cut by the exact receptive field."""

import numpy as np
import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ConfigError
from classykit.seeing import streamed
from classykit.subject import UNTRAINED

NAMES = ["cat", "coffee", "rocket", "china", "flower"]


@pytest.fixture(scope="module")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


@pytest.fixture(scope="module")
def found(lite):
    return ck.top_patches(lite, NAMES, "block2-1", k=4)


def test_they_are_the_strongest(found, lite):
    x = torch.cat([ck.preprocess(name, lite) for name in NAMES])
    maps = ck.capture(lite, x, "block2-1")["block2-1"]
    two_each = maps.flatten(2).topk(2).values.transpose(0, 1).flatten(1).topk(4).values  # (C, 4)
    assert list(found.patches) == list(range(40)) and found.pictures == 5
    for channel, patches in found.patches.items():
        assert [p.value for p in patches] == pytest.approx(two_each[channel].tolist(), rel=1e-4, abs=1e-5)
        assert patches[0].value == pytest.approx(float(maps[:, channel].max()), rel=1e-4)
        for p in patches:
            assert p.value == pytest.approx(float(maps[p.picture, channel, p.position[0], p.position[1]]), rel=1e-4)


@pytest.mark.parametrize("block, least", [("block1-1", 50), ("block2-1", 50), ("block3-2", 20)])
def test_a_patch_alone_gives_the_same(block, least, lite):
    """Where all that the unit sees lies inside the picture; elsewhere the padding is another."""
    found = ck.top_patches(lite, NAMES, block, k=6)
    inside = [p for patches in found.patches.values() for p in patches if p.inside]
    assert len(inside) > least
    for patch in inside[:: len(inside) // 12]:
        assert found.alone(patch) == pytest.approx(patch.value, rel=1e-4, abs=1e-4)


def test_they_are_cut_by_the_field(found):
    patches = [p for of in found.patches.values() for p in of]
    assert found.field.size == (67, 67)
    for p in patches:
        assert p.box == found.field.pixels(p.position)
        height, width = (b.stop - b.start for b in p.box)
        assert (height, width) == (67, 67) if p.inside else height <= 67 and width <= 67
    crop = found.crop(patches[0])
    assert crop.shape == (*(b.stop - b.start for b in patches[0].box), 3) and 0 <= crop.min() <= crop.max() <= 1


def test_without_weights_patches_are_the_same(found):
    light = found.without_weights()
    assert not list(light.model.parameters()) and light.patches == found.patches
    assert [np.array_equal(light.crop(patch), found.crop(patch)) for patch in found.patches[0]] == [True] * 4


def test_a_thousand_need_no_more_than_ten(lite, monkeypatch):
    """However many there are: a batch at a time, and k places of each channel."""
    held = []
    plain = streamed.Pictures.__iter__

    def counted(self):
        for numbers, x in plain(self):
            held.append(len(x))
            yield numbers, x

    monkeypatch.setattr(streamed.Pictures, "__iter__", counted)
    net = nn.Sequential(nn.Conv2d(3, 4, 3))

    class Endless(torch.utils.data.Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, i):
            return torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(i))

    found = ck.top_patches(net, Endless(), "0", k=3)
    assert max(held) <= streamed.BATCH and sum(held) == 1000 and found.pictures == 1000
    wanted = max(range(1000), key=lambda i: float(net(Endless()[i][None])[0, 2].max().detach()))
    assert found.patches[2][0].picture == wanted


def test_a_field_that_is_the_whole_picture():
    vit = ck.build_model("vision_transformer", image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16,
                         mlp_dim=16)  # fmt: skip
    found = ck.top_patches(vit, torch.rand(3, 3, 32, 32), "layer_0", [0, 5], k=2)
    patch = found.patches[5][0]
    assert patch.box is None and not patch.inside and found.crop(patch).shape == (32, 32, 3)
    assert UNTRAINED in found.notes and "patches are whole pictures" in found.notes[-1]
    with pytest.raises(ConfigError, match="sees the whole picture"):
        found.alone(patch)


def test_a_table(found):
    table = found.to_pandas()
    assert len(table) == 160 and list(table)[:6] == ["channel", "rank", "value", "picture", "row", "column"]
    first = found.patches[0][0]
    assert table.loc[0, ["top", "left", "bottom", "right"]].tolist() == [
        first.box[0].start, first.box[1].start, first.box[0].stop, first.box[1].stop]  # fmt: skip
    assert "and 32 channels more" in str(found) and "67×67" in str(found)


def test_nothing_is_changed(lite, everything, assert_same):
    before = everything(lite)
    ck.top_patches(lite, ["cat"], "block1-1", channels=3, k=1, per_picture=1)
    assert_same(before, everything(lite))


@pytest.mark.parametrize(
    "ask, kind, words",
    [
        (dict(channels=[40]), ConfigError, "has the channels 0 to 39"),
        (dict(channels=[]), ConfigError, "has the channels 0 to 39"),
        (dict(channels="all"), ConfigError, "channels are numbers"),
        (dict(k=0), ConfigError, "k is a positive number"),
        (dict(per_picture=0), ConfigError, "per_picture is a positive number"),
        (dict(block="fc"), BlockError, "'fc' gives no map"),
        (dict(block="block9"), BlockError, "no block 'block9'"),
    ],
)
def test_bad_input(ask, kind, words, lite):
    with pytest.raises(kind, match=words):
        ck.top_patches(lite, ["cat"], **{"block": "block2-1", **ask})
