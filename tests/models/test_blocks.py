"""classykit.models.blocks: which parts of a model are its blocks, and how they are named."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from odd import FAMILIES, every_family, fuzz
from torch import nn

import classykit as ck
from classykit.errors import BlockError
from classykit.models.blocks import find_blocks


def test_stages_are_opened_and_residual_blocks_are_not():
    def conv_bn(n):
        return nn.Sequential(nn.Conv2d(n, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU())

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(conv_bn(4), conv_bn(4))

        def forward(self, x):
            return x + self.body(x)

    class Stage(nn.Module):
        def __init__(self):
            super().__init__()
            self.b1, self.b2, self.act = Residual(), Residual(), nn.ReLU()

        def forward(self, x):
            return self.act(self.b2(self.b1(x)))

    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(Residual(), Residual()), Residual())
    assert list(find_blocks(net)) == ["0", "1.0", "1.1", "2"]
    wrapped = nn.Module()
    wrapped.stem, wrapped.stage = nn.Conv2d(3, 4, 1), Stage()
    assert list(find_blocks(wrapped)) == ["stem", "stage.b1", "stage.b2"]
    assert not any(re.search(r"relu|act", n) for n in find_blocks(wrapped))


@pytest.mark.parametrize(
    "name, words",
    [
        ("block1-7", "no block 'block1-7'. Did you mean 'block1-"),
        ("blok0-0", "'block0-0'"),
        ("downsample", "2 modules.*blocks.0.block0-0.downsample, blocks.1.block1-0.downsample"),
        ("bn", "3 modules.*dotted path"),
        ("cls", "no block 'cls'"),
        ("_heads.cls", "no block"),
        ("fc", "no block 'fc'"),
        ("", "no block ''"),
    ],
)
def test_an_unknown_or_ambiguous_block(name, words, small):
    model, _ = small
    model.attach_head("block0-0", "fully_connected", unique_id="cls", num_classes=3)
    with pytest.raises(BlockError, match=words):
        model.attach_head(name, "identity")
    assert len(model.get_heads()) == 1


def test_a_dotted_path_or_its_unambiguous_end_is_a_block(small):
    model, x = small
    assert model.find_block("blocks.0.block0-0") == ("block0-0", "blocks.0.block0-0")
    assert model.find_block("_module")[1] == "initial_block._module"
    model.attach_head("blocks.0.block0-0.relu", "identity")
    torch.testing.assert_close(model(x), ck.capture(model, x, "block0-0")["block0-0"])


ODD_NAMES = [
    "", " ", "block", "block9-9", "_heads", "_heads.identity", "forward", "__class__", "trunk", ".", "..", "é", None, 5,
    1.5, True, [], ["trunk_output"], {}, (), b"trunk_output", object,
]  # fmt: skip


@every_family
def test_odd_block_names(family, light_configs, everything, assert_same):
    model = ck.build_model(light_configs[family]).eval()
    model.attach_head(model.block_names[0], "identity")
    x, before, refused = model.example_input(2), everything(model), 0
    for name in ODD_NAMES:
        for ask in (
            lambda: model.find_block(name),  # noqa: B023
            lambda: model.attach_head(name, "identity", unique_id="new"),  # noqa: B023
            lambda: model.block_features([name]),  # noqa: B023
            lambda: model.add_heads_from_configs([{"name": "identity", "unique_id": "x", "fork_block": name}]),  # noqa: B023
            lambda: ck.capture(model, x, [name]),  # noqa: B023
        ):
            with pytest.raises(BlockError) as error:
                ask()
            assert repr(name) in str(error.value) and "block" in str(error.value), error.value
            refused += 1
        assert_same(before, everything(model))
    assert refused == 5 * len(ODD_NAMES) > 100


@fuzz(100)
@given(data=st.data())
def test_names_near_a_block(light_configs, data):
    """A name that is no block's is refused with the nearest; one that is found is that very module."""
    model = ck.build_model(light_configs[data.draw(st.sampled_from(FAMILIES))], device="meta")
    paths = [p for p, _ in model.named_modules() if p and not p.startswith("_heads")]
    name = data.draw(st.sampled_from(model.block_names + paths))
    at = data.draw(st.integers(0, len(name)))
    name = name[:at] + data.draw(st.sampled_from(["", ".", "0", "-", "x"])) + name[at + data.draw(st.integers(0, 1)) :]
    try:
        shown_name, path = model.find_block(name)
    except BlockError as error:
        assert repr(name) in str(error) and ("Its blocks are: " in str(error) or "dotted path" in str(error))
        assert name not in paths and name not in model.block_names
    else:
        assert model.find_block(shown_name) == (shown_name, path) and path in paths
