"""What a model is called with, and values that hold tensors."""

import copy
import pickle
from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch

import classykit as ck
from classykit.nested import Inputs, call, mapped, parts_of, random_like, rebuilt, shapes, tensors_in

Pair = namedtuple("Pair", "a b")


@dataclass
class Found:
    boxes: torch.Tensor
    label: str


@pytest.mark.parametrize("wrap, found", [
    (lambda a, b: a, "a"), (lambda a, b: [b, (a, None)], "ba"), (lambda a, b: {"x": a, "y": [{"z": b}]}, "ab"),
    (lambda a, b: "text", ""), (lambda a, b: None, ""),
])  # fmt: skip
def test_tensors_in(wrap, found):
    of = {"a": torch.zeros(1), "b": torch.ones(2)}
    tensors = tensors_in(wrap(of["a"], of["b"]))
    assert len(tensors) == len(found) and all(t is of[name] for t, name in zip(tensors, found, strict=True))


def test_the_tensors_of_a_call():
    ids, mask, pictures = torch.zeros(2, 5), torch.ones(2, 5), torch.zeros(2, 3, 8, 8)
    example = Inputs(ids, {"deep": [mask]}, pixel_values=pictures)
    assert (
        [id(t) for t in example.tensors] == [id(t) for t in (ids, mask, pictures)] == list(map(id, tensors_in(example)))
    )
    assert example.main is pictures and Inputs(ids, mask).main is ids and Inputs("words").main is None
    assert ck.Inputs is Inputs


@pytest.mark.parametrize("example, words", [
    (Inputs(torch.zeros(2, 4)), "Inputs((2, 4) float32)"),
    (Inputs([torch.zeros(1)], flag=True, ids=torch.zeros(2, dtype=torch.long)),
     "Inputs([(1,) float32], flag=True, ids=(2,) int64)"),
    (Inputs({"a": torch.zeros(3)}), "Inputs({'a': (3,) float32})"),
])  # fmt: skip
def test_it_shows_itself_by_shapes(example, words):
    assert repr(example) == words


class TestSized:
    @pytest.mark.parametrize("n, rows", [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (7, [0, 1, 2, 0, 1, 2, 0])])
    def test_the_inputs_again_and_again(self, n, rows):
        x, of_all = torch.arange(3.0)[:, None], torch.arange(5.0)
        sized = Inputs(x, table=of_all, flag="yes").sized(n)
        assert sized.args[0].flatten().tolist() == rows and sized.batch_size == n
        assert sized.kwargs["table"] is of_all and sized.kwargs["flag"] == "yes"

    def test_the_example_stays_as_it_was(self):
        x = torch.rand(2, 3)
        example = Inputs(x)
        example.sized(5)
        assert example.args[0] is x and example.batch_size == 2

    def test_without_a_batch(self):
        assert Inputs(torch.tensor(3.0), flag=1).batch_size == 1


def test_calls():
    def model(x, y=1):
        return x, y

    assert call(model, 3) == (3, 1) and call(model, Inputs(3, y=4)) == (3, 4) and call(model, {"a": 1}) == ({"a": 1}, 1)
    assert Inputs(3).alone == 3 and Inputs.of(3).args == (3,)
    several = Inputs(3, y=4)
    assert several.alone is several is Inputs.of(several)


def test_copies_share_the_tensors_and_files_hold_them():
    example = Inputs(torch.rand(2, 3), mask=torch.ones(2))
    assert copy.deepcopy(example) is example
    again = pickle.loads(pickle.dumps(example))
    assert torch.equal(again.args[0], example.args[0]) and torch.equal(again.kwargs["mask"], example.kwargs["mask"])


@pytest.mark.parametrize("value", [
    Pair(torch.ones(1), "b"), Found(torch.ones(2), "cat"), (torch.ones(1), 2), [torch.ones(1)], {"a": (torch.ones(3),)},
    Inputs(torch.ones(1), "words", scale=torch.ones(2), flag=None),
])  # fmt: skip
def test_what_is_put_together_again_is_of_the_same_kind(value):
    doubled = mapped(lambda t: 2 * t, value)
    assert type(doubled) is type(value)
    before, after = parts_of(value), parts_of(doubled)
    assert list(before) == list(after)
    for old, new in zip(before.values(), after.values(), strict=True):
        if isinstance(old, torch.Tensor):
            assert torch.equal(new, 2 * old)
    assert list(parts_of(rebuilt(value, before)).values()) == list(before.values())


def test_random_numbers_in_place_of_numbers():
    ids = torch.arange(3)
    given = {"x": torch.zeros(2, 3, dtype=torch.float64), "ids": ids, "flag": True}
    found = random_like(given)
    assert found["ids"] is ids and found["flag"] is True and found["x"].dtype == torch.float64
    assert found["x"].std() > 0 and torch.equal(found["x"], random_like(given)["x"])


def test_shapes_in_words():
    assert shapes({"a": torch.zeros(2, 3), "b": [torch.zeros(4), None]}) == {"a": (2, 3), "b": [(4,), "NoneType"]}
    assert shapes(Inputs(torch.zeros(2))) == "Inputs((2,) float32)"
