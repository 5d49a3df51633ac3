"""classykit.seeing.faithfulness: insertion and deletion tell a map that means something from one that does not."""

from dataclasses import replace

import pytest
import torch

import classykit as ck
from classykit.errors import ConfigError, ShapeError


@pytest.fixture(scope="module")
def found():
    return ck.evidence(ck.load_pretrained("efficientnet_lite0"), ["cat", "coffee"])


def test_a_map_that_means_something_is_better_than_chance(found, everything, assert_same):
    model = found.look.model
    before = everything(model)
    f = found.faithfulness(steps=8)
    assert_same(before, everything(model))
    assert f.insertion.shape == f.random_deletion.shape == (2, 9)
    whole = found.look.model(found.look.x).softmax(1)[[0, 1], found.target].detach()
    for ends in (f.deletion[:, 0], f.insertion[:, -1], f.random_deletion[:, 0], f.random_insertion[:, -1]):
        torch.testing.assert_close(ends, whole)
    torch.testing.assert_close(f.deletion[:, -1], f.insertion[:, 0])
    at_random = torch.trapezoid(f.random_insertion, dx=1 / 8)
    assert (f.insertion_score > at_random).all() and f.deletion_score.mean() < f.insertion_score.mean()
    assert "higher is better" in str(f) and f.block == "trunk_output"


def test_its_opposite_is_worse(found):
    opposite = replace(found, maps={k: -v for k, v in found.maps.items()})
    right, wrong = found.faithfulness(steps=6), opposite.faithfulness(steps=6)
    assert (right.insertion_score > wrong.insertion_score).all()
    assert right.deletion_score.mean() < wrong.deletion_score.mean()


@pytest.mark.parametrize("steps", [0, 1.5, "many", True])
def test_steps(steps, found):
    with pytest.raises(ConfigError, match="steps is a number"):
        found.faithfulness(steps=steps)


def test_clips_have_none(light_configs, input_for):
    model = ck.build_model(light_configs["ResNeXt3D"])
    model.attach_head(model.block_names[-1], "linear_probe", unique_id="mine", num_classes=3)
    with pytest.raises(ShapeError, match="Insertion and deletion are of pictures"):
        ck.evidence(model, input_for(model)).faithfulness()
