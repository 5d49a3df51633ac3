"""classykit.seeing.streamed: pictures from wherever they are, a batch at a time."""

import pytest
import torch
from PIL import Image
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.seeing.streamed import Pictures


@pytest.fixture(scope="module")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


def test_sources_are_alike(lite, tmp_path):
    names = ["cat", "coffee", "rocket"]
    for i, name in enumerate(names):
        ck.load_image(name).save(tmp_path / f"{i}.png")
    wanted = torch.cat([ck.preprocess(name, lite) for name in names])
    for source in (names, wanted, tmp_path, str(tmp_path), [Image.open(tmp_path / f"{i}.png") for i in range(3)]):
        batches = list(Pictures(source, lite, 2))
        assert [numbers for numbers, _ in batches] == [[0, 1], [2]]
        assert torch.equal(torch.cat([x for _, x in batches]), wanted)
        assert torch.equal(Pictures(source, lite).one(2), wanted[2:])
    assert len(Pictures("cat", lite)) == 1


def test_what_cannot_be_read_is_left_out(lite, tmp_path):
    ck.load_image("cat").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    pictures = Pictures(tmp_path, lite)
    assert [numbers for numbers, _ in pictures] == [[0]] and list(pictures.skipped) == [1]


def test_inputs_are_no_pictures():
    with pytest.raises(ConfigError, match="not Inputs"):
        Pictures(ck.Inputs(torch.rand(2, 3, 8, 8)), nn.Conv2d(3, 4, 3))
