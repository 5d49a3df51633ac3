"""classykit.models.head_dict: heads under any names, told apart from the trunk."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import classykit as ck
from classykit.errors import ConfigError
from classykit.heads import ClassyHead
from classykit.models.head_dict import _escape, is_head, is_of_head

ODD_IDS = [
    "cls", "a.b", "keys", "pop", "type", " ", "é", "values", "put", "training", "forward", "_modules", "__class__",
    "0", "..", "%2e", "_heads", "block0-0", "a/b", "名", "<b>",
]  # fmt: skip


def assert_outputs_close(a, b, **tolerance):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            torch.testing.assert_close(a[key], b[key], **tolerance)
    else:
        torch.testing.assert_close(a, b, **tolerance)


def _heads(model):
    return [name for name, module in model.named_modules() if isinstance(module, ClassyHead)]


@pytest.mark.parametrize("unique_id", ODD_IDS)
def test_any_non_empty_string_is_an_id(unique_id, small):
    model, x = small
    model.attach_head("block1-0", "fully_connected", unique_id=unique_id, num_classes=3)
    model.attach_head("block1-0", "fully_connected", unique_id="other", num_classes=2)
    model.train().eval()
    assert model(x)[unique_id].shape == (2, 3)
    assert [h.unique_id for h in model.get_heads()["block1-0"]] == [unique_id, "other"]
    assert ck.inspect(model).blocks[-2].is_head and ck.inspect(model).blocks[-1].name == "other"
    twin = ck.build_model(model.config).eval()
    twin.set_classy_state(model.get_classy_state())
    assert_outputs_close(twin(x), model(x))
    assert_outputs_close(copy.deepcopy(model)(x), model(x))
    assert len(set(model.state_dict())) == len(model.state_dict())
    twin.load_state_dict(model.state_dict())
    model.remove_head("other")
    assert list(model.get_heads()["block1-0"]) == [model.get_submodule(path) for path in _heads(model)]


@pytest.mark.parametrize("unique_id", ["a.b", "type", "é", "training"])
def test_odd_ids_are_traced_and_exported(unique_id, small):
    model, x = small
    model.attach_head("block1-0", "fully_connected", unique_id=unique_id, num_classes=3)
    assert_outputs_close(torch.jit.trace(model, x, strict=False)(x), model(x))
    assert_outputs_close(torch.export.export(model, (x,), strict=False).module()(x), model(x))


@settings(deadline=None)
@given(st.text(min_size=1, max_size=3), st.text(min_size=1, max_size=3))
def test_different_ids_have_different_state_keys(a, b):
    assert (_escape(a) == _escape(b)) == (a == b) and "." not in _escape(a)


def test_ids_that_look_alike_once_escaped(small):
    model, x = small
    ids = [" 28", "\u2028"]
    for unique_id in ids:
        model.attach_head("block1-0", "fully_connected", unique_id=unique_id, num_classes=3)
    assert list(model(x)) == ids


@pytest.mark.parametrize("unique_id", ["", 5])
def test_other_ids_are_refused(unique_id, small):
    with pytest.raises(ConfigError, match="unique_id"):
        small[0].add_heads_from_configs([{"name": "identity", "unique_id": unique_id, "fork_block": "block0-0"}])


def test_what_belongs_to_heads_is_told_by_its_path(small):
    model, _ = small
    model.attach_head("block1-0", "fully_connected", unique_id="a.b", num_classes=3)
    model.add_module("_headstrong", nn.Linear(2, 2))  # no head, for all its name
    heads = [path for path, _ in model.named_modules() if is_head(path)]
    assert [model.get_submodule(path) for path in heads] == model.get_heads()["block1-0"] and len(heads) == 1
    keys = [key for key in model.state_dict() if is_of_head(key)]
    assert keys == [f"{heads[0]}.fc.weight", f"{heads[0]}.fc.bias"]
    assert is_of_head("_heads") and not is_head("_heads")
