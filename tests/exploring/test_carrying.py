"""classykit.exploring.carrying: heads come along to another model, where they fit."""

import pytest

from classykit.exploring.carrying import carry_heads, in_words
from classykit.exploring.explored import Explored
from classykit.heads import ClassyHead

SMALL = {"name": "resnet18", "init_planes": 4}


class Own(ClassyHead):
    def forward(self, x):
        return x


@pytest.fixture
def old():
    old = Explored(SMALL)
    old.attach_head("block1-0", "fully_connected", "middle", {"num_classes": 3})
    old.attach_head("block3-1", "linear_probe", "last", {"num_classes": 5})
    return old


def test_to_the_last_block_of_the_same_resolution(old):
    new = Explored("efficientnet_b0")
    came, stayed = carry_heads(old, new)
    assert came == {"middle": "block2-1", "last": "trunk_output"} and stayed == {}
    heads = new.heads()
    assert [heads[name][1].num_classes for name in came] == [3, 5]
    assert new.config["heads"][0]["in_plane"] == 40 and old.config["heads"][0]["in_plane"] == 8


def test_what_does_not_fit_stays_and_says_why(old):
    came, stayed = carry_heads(old, Explored({"name": "r3d_18", "stem_planes": 4, "stage_planes": 4}))
    assert came == {} and set(stayed) == {"middle", "last"}
    words = in_words({"a": "block0-0"}, stayed)
    assert words.startswith("Head a came along to block0-0. Head middle did not come along: ")


def test_of_another_resolution_the_last_block_takes_those_of_the_last(old):
    came, stayed = carry_heads(old, Explored({"name": "efficientnet_b0", "resolution": 160}))
    assert came == {"last": "trunk_output"} and list(stayed) == ["middle"]


def test_names_that_are_taken_and_kinds_of_ones_own(old):
    old.attach_head("block0-0", Own("mine", None), None, {})
    new = Explored({**SMALL, "heads": [{"name": "identity", "unique_id": "last", "fork_block": "block0-0"}]})
    came, stayed = carry_heads(old, new)
    assert came == {"middle": "block1-1"}
    assert stayed == {"last": "there is one of that name", "mine": "it is of a kind of your own"}
