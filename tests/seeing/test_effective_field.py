"""classykit.effective_field: what a unit listens to lies within what it could see."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ShapeError
from classykit.subject import UNTRAINED


@pytest.fixture(scope="module")
def lite():
    return ck.load_pretrained("efficientnet_lite0")


@pytest.mark.parametrize("block, theory", [("block1-1", 19), ("block2-1", 67), ("block3-2", 147), ("block4-2", 339)])
def test_its_support_never_exceeds_the_theory(block, theory, lite, everything, assert_same):
    before = everything(lite)
    found = ck.effective_field(lite, ["cat", "coffee"], block)
    assert_same(before, everything(lite))
    assert found.theory == (theory, theory) and found.pictures == 2 and found.notes == ()
    outside = found.map.clone()
    outside[found.window] = 0
    assert not outside.any() and found.map.sum() == pytest.approx(1, rel=1e-4)
    seen = found.map.nonzero()
    assert ((seen.amax(0) - seen.amin(0) + 1) <= theory).all()
    assert all(side < theory for side in found.size) and "exact" in str(found) and "measured" in str(found)


def test_of_a_flat_kernel_it_is_the_kernel():
    """By hand: a mean over 5 × 5 pixels listens to 25 pixels alike, whose spread is that of five in a row."""
    net = nn.Sequential(nn.Conv2d(3, 1, 5, padding=2))
    nn.init.constant_(net[0].weight, 0.1)
    found = ck.effective_field(net, torch.rand(2, 3, 15, 15), "0")
    assert found.position == (7, 7) and found.window == (slice(5, 10), slice(5, 10))
    assert found.map[5:10, 5:10].flatten().tolist() == pytest.approx([1 / 25] * 25, rel=1e-5)
    assert found.size == pytest.approx((4 * (2 + 1 / 12) ** 0.5,) * 2, rel=1e-4)
    assert UNTRAINED not in found.notes


def test_tokens_see_everything():
    vit = ck.build_model("vision_transformer", image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16,
                         mlp_dim=16)  # fmt: skip
    found = ck.effective_field(vit, torch.rand(1, 3, 32, 32), "layer_0")
    assert found.position == (2, 2) and (found.map > 0).all() and UNTRAINED in found.notes
    assert found.theory == (32, 32) and "attention in layer_0" in str(found)


def test_what_has_no_field(lite):
    with pytest.raises(BlockError, match="'fc' gives no map"):
        ck.effective_field(lite, "cat", "fc")
    with pytest.raises(BlockError, match="no block 'block9'"):
        ck.effective_field(lite, "cat", "block9")
    with pytest.raises(ShapeError, match="Fields are those of pictures"):
        ck.effective_field(ck.build_model("mlp", input_dim=4, output_dim=2, hidden_dims=[3]), torch.rand(1, 4), "mlp")
