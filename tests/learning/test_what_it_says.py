"""classykit.learning.what_it_says: sentences that hold, whatever the figures."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classykit.learning.linear import Accuracy
from classykit.learning.what_it_says import is_seen, sentences


def found(accuracy, spread=0.01):
    return Accuracy(accuracy, spread / math.sqrt(3), 8, spread)


CHANCE = Accuracy(0.1, 0.0)
figures = st.builds(found, st.integers(0, 1000).map(lambda n: n / 1000), st.integers(0, 200).map(lambda n: n / 1000))
blocks = st.lists(figures, min_size=1, max_size=6).map(lambda of: {f"block{i}": one for i, one in enumerate(of)})


@st.composite
def answers(draw):
    own = draw(blocks)
    controls = {"chance": draw(figures.map(lambda one: Accuracy(one.accuracy, 0.0)))}
    if draw(st.booleans()):
        controls["pixels"] = draw(figures)
    if draw(st.booleans()):
        read = draw(st.integers(0, len(own)))
        controls["random"] = {name: draw(figures) for name in list(own)[:read]}
    return own, controls, draw(st.sampled_from([0, 33, 99])), draw(st.booleans())


@given(answers())
def test_they_hold(answer):
    own, controls, tested, untrained = answer
    said = sentences(*answer)
    text = " ".join(said)
    best, last = max(own, key=lambda name: own[name].accuracy), list(own)[-1]
    top = own[best]
    assert 1 <= len(said) <= 4 and all(one.endswith(".") for one in said)
    if not is_seen(top, controls["chance"], tested):
        assert said[0].startswith("No difference seen between any block and guessing") and len(said) == 1
        return
    assert said[0].startswith(f"Most is read off {best}: {top.accuracy * 100:.1f}")
    alike = sum(not is_seen(one, top, tested) for name, one in own.items() if name != best)
    assert ("no difference seen to" in said[0]) == (alike > 0) and (f"to {alike} others" in said[0]) == (alike > 1)
    less = own[last].accuracy < top.accuracy and is_seen(own[last], top, tested)
    assert ("The end knows less" in text) == (less and best != last)
    random = controls.get("random", {}).get(best)
    adds = random is not None and random.accuracy < top.accuracy and is_seen(top, random, tested)
    assert ("Training adds" in text) == (adds and not untrained)
    assert ("untrained" in text) == (untrained and random is not None)
    beaten = re.search(r"Raw pixels give .*: (.*)\.", text)
    assert (beaten is not None) == ("pixels" in controls)
    if beaten is not None:
        pixels = controls["pixels"]
        above = [n for n, one in own.items() if one.accuracy > pixels.accuracy and is_seen(one, pixels, tested)]
        assert (beaten[1] == "no block is seen to beat them") == (not above)
        assert (beaten[1] == "every block beats them") == (len(above) == len(own) > 1)
        assert not above or len(above) == len(own) > 1 or beaten[1].startswith(above[0])


@given(figures, figures, st.integers(0, 100))
def test_a_difference_is_seen_from_both_sides_and_never_to_itself(one, other, tested):
    assert is_seen(one, other, tested) == is_seen(other, one, tested) and not is_seen(one, one, tested)


@pytest.mark.parametrize(
    "accuracy, spread, tested, seen",
    [(0.80, 0.05, 0, False), (0.80, 0.03, 0, True), (0.89, 0.0, 50, False), (0.89, 0.0, 200, True)],
)
def test_a_difference_of_two_spreads_and_more_than_a_picture(accuracy, spread, tested, seen):
    assert is_seen(found(0.9, spread), found(accuracy, spread), tested) is seen


def test_a_net_that_forgets():
    own = {"stem": found(0.5), "middle": found(0.97, 0.014), "end": found(0.86)}
    controls = {"chance": CHANCE, "pixels": found(0.7), "random": {"middle": found(0.92)}}
    assert sentences(own, controls, 150) == [
        "Most is read off middle: 97.0 ± 1.4 %.",
        "The end knows less: 86.0 ± 1.0 % is left at end.",
        "Training adds 5.0 points at middle: random weights give 92.0 ± 1.0 %.",
        "Raw pixels give 70.0 ± 1.0 %: middle is the first block that beats them.",
    ]


@pytest.mark.parametrize(
    "random, untrained, words",
    [
        (0.89, False, "No difference seen at a to random weights: they give 89.0 ± 1.0 % there."),
        (0.97, False, "Random weights give more at a: 97.0 ± 1.0 %, 7.0 points above these."),
        (0.80, True, "This model is untrained: the random weights drawn beside it give 10.0 points fewer at a."),
        (0.97, True, "This model is untrained: the random weights drawn beside it give 7.0 points more at a."),
        (0.90, True, "This model is untrained: no difference seen at a to the random weights drawn beside it."),
    ],
)
def test_what_training_gives(random, untrained, words):
    controls = {"chance": CHANCE, "random": {"a": found(random)}}
    assert words in sentences({"a": found(0.9)}, controls, 100, untrained)


def test_where_nothing_can_be_said():
    assert sentences({}, {}) == []
    assert sentences({"a": found(0.9, math.nan)}, {"chance": CHANCE}) == [
        "From one split nothing can be said of differences: ask for several."
    ]
    assert sentences({"a": found(0.12, 0.02)}, {"chance": CHANCE}) == [
        "No difference seen between any block and guessing: at best, off a, 12.0 ± 2.0 %, against 10.0 %."
    ]
