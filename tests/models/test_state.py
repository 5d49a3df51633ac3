"""classykit.models.state: a state that does not fit is refused in words, and changes nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from odd import FAMILIES, NO_TABLE, every_family, fuzz

import classykit as ck
from classykit.errors import StateError


def probe(block, unique_id="cls", classes=3):
    return {"name": "linear_probe", "unique_id": unique_id, "num_classes": classes, "fork_block": block}


@pytest.mark.parametrize(
    "spoil, words",
    [
        (
            lambda s: s["model"]["trunk"].pop("initial_block._module.0.weight"),
            "trunk.*lacks 'initial_block._module.0.weight'",
        ),
        (lambda s: s["model"]["trunk"].update(junk=torch.zeros(1)), "trunk.*has 'junk'"),
        (lambda s: s["model"]["trunk"].update({"initial_block._module.0.weight": torch.zeros(3)}), r"shape \(3,\)"),
        (lambda s: s["model"]["trunk"].update({"initial_block._module.0.weight": [1]}), "a list"),
        (lambda s: s["model"]["heads"].clear(), "the state has none"),
        (lambda s: s["model"]["heads"]["block0-0"].update(other={}), "'other' at block0-0"),
        (lambda s: s["model"]["heads"]["block0-0"]["cls"].pop("fc.bias"), "head 'cls'.*fc.bias"),
        (lambda s: s["model"].pop("trunk"), "trunk"),
        (lambda s: s.clear(), "form"),
    ],
)
def test_strict_means_strict_and_a_bad_state_changes_nothing(spoil, words, small):
    model, x = small
    model.add_heads_from_configs([probe("block0-0")])
    state, before = model.get_classy_state(deep_copy=True), model(x)
    for value in state["model"]["trunk"].values():
        value.add_(1)
    spoil(state)
    with pytest.raises(StateError, match=words):
        model.set_classy_state(state)
    torch.testing.assert_close(model(x), before)


def test_not_strict(small):
    model, _x = small
    model.add_heads_from_configs([probe("block0-0")])
    state = model.get_classy_state(deep_copy=True)
    state["model"]["trunk"].pop("initial_block._module.0.weight")
    state["model"]["heads"] = {"block1-0": {"unknown": {}}}
    first = state["model"]["trunk"]["initial_block._module.1.weight"]
    first.fill_(3)
    model.set_classy_state(state, strict=False)
    assert torch.equal(model.initial_block._module[1].weight, first)


def odd_tensors(value):
    """What may stand in a state in the place of a tensor, and whether it can be loaded."""
    filled = value.detach().clone().float()
    return {
        "None": (None, False),
        "number": (3.0, False),
        "list": (value.tolist(), False),
        "array": (value.detach().numpy(), False),
        "other shape": (torch.zeros(*value.shape, 2), False),
        "empty": (torch.zeros(0), False),
        "scalar": (torch.zeros(()), value.ndim == 0),
        "complex": (torch.zeros(value.shape, dtype=torch.complex64), False),
        "sparse": (torch.zeros(value.shape or (1,)).to_sparse(), False),
        "meta": (torch.zeros(value.shape, device="meta"), False),
        "quantised": (torch.quantize_per_tensor(filled, 0.1, 0, torch.qint8), False),
        "nested": (torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), False),
        "integers": (torch.ones(value.shape, dtype=torch.int32), not value.is_floating_point()),
        "booleans": (torch.ones(value.shape, dtype=torch.bool), None),
        "half": (torch.ones(value.shape, dtype=torch.float16), None),
        "double": (torch.ones(value.shape, dtype=torch.float64), None),
        "expanded": (torch.ones(()).expand(value.shape), None),
        "parameter": (torch.nn.Parameter(torch.ones(value.shape)), None),
    }


def snapshot(state):
    """A state's structure and objects, and how often each tensor was written to."""
    if isinstance(state, dict):
        return id(state), [(repr(key), snapshot(value)) for key, value in state.items()]
    return id(state), getattr(state, "_version", 0)


@every_family
def test_odd_tensors_in_a_state(family, light_configs, everything, assert_same):
    model = ck.build_model(light_configs[family])
    block = model.block_names[-1]
    model.attach_head(block, "linear_probe", unique_id="cls", num_classes=2)
    good = model.get_classy_state(deep_copy=True)
    block, looked_at = next(iter(good["model"]["heads"])), everything(model)
    counters = [k for k, v in good["model"]["trunk"].items() if not v.is_floating_point()]
    first, last = (list(good["model"]["trunk"])[i] for i in (0, -1))
    loaded, refused = set(), set()
    for key in dict.fromkeys([first, last, *counters[:1], "fc.weight"]):
        in_head = key == "fc.weight"
        value = good["model"]["heads"][block]["cls"][key] if in_head else good["model"]["trunk"][key]
        for label, (odd, loads) in odd_tensors(value).items():
            trunk, head = dict(good["model"]["trunk"]), dict(good["model"]["heads"][block]["cls"])
            (head if in_head else trunk)[key] = odd
            state = {**good, "model": {"trunk": trunk, "heads": {block: {"cls": head}}}}
            before = snapshot(state)
            ways = [(model.set_classy_state, True), (model.set_classy_state, False)]
            for load, strict in ways + ([(model.load_head_states, True)] if in_head else []):
                try:
                    load(state, strict=strict)
                except StateError as error:
                    assert loads is not True, (label, error)
                    refused.add(label)
                    assert f"'{key}'" in str(error) and ("not " in str(error) or "the model" in str(error)), error
                    assert_same(looked_at, everything(model))
                else:
                    assert loads is not False, (label, key)
                    loaded.add(label)
                    own = model.get_classy_state()["model"]
                    own = (own["heads"][block]["cls"] if in_head else own["trunk"])[key]
                    assert torch.equal(own, odd.detach().to(own.dtype))
                    model.set_classy_state(good)
                    assert_same(looked_at, everything(model))
                assert snapshot(state) == before
    assert {"parameter", "double"} <= loaded and {"None", "other shape", "nested", "meta"} <= refused


@every_family
def test_states_of_another_form(family, light_configs, everything, assert_same):
    """Every table of a state in turn replaced, emptied, or given keys that are no names."""
    model = ck.build_model(light_configs[family])
    model.attach_head(model.block_names[-1], "linear_probe", unique_id="cls", num_classes=2)
    good, before = model.get_classy_state(deep_copy=True), everything(model)
    block = next(iter(good["model"]["heads"]))
    tables = [(), ("model",), ("model", "trunk"), ("model", "heads"), ("model", "heads", block)]
    for path in [*tables, ("model", "heads", block, "cls")]:
        for odd in [*NO_TABLE, {}, {5: torch.zeros(1)}, {None: {}}]:
            if path == ("model", "heads") and odd is None:
                continue  # a state without heads
            state = odd if not path else changed_table(good, path, odd)
            given_state = snapshot(state)
            for load in (model.set_classy_state, model.load_head_states):
                if load == model.load_head_states and path == ("model", "trunk"):
                    continue
                with pytest.raises(StateError) as error:
                    load(state)
                words = ("form", "'model'", "keys", "strings", "lacks", "has")
                assert any(w in str(error.value) for w in words), error.value
                if odd != {} and path and path[-1] in ("model", "trunk", "heads") and not isinstance(odd, dict):
                    assert f"['{path[-1]}'] is a {type(odd).__name__}" in str(error.value)
                assert_same(before, everything(model))
            assert snapshot(state) == given_state


def changed_table(state, path, value):
    """The state with another value at a path; its other tables and tensors are the same objects."""
    return {**state, path[0]: value if len(path) == 1 else changed_table(state[path[0]], path[1:], value)}


@fuzz(40)
@given(data=st.data())
def test_states_with_a_few_odd_entries(light_configs, everything, assert_same, data):
    model = ck.build_model(light_configs[data.draw(st.sampled_from(FAMILIES))])
    model.attach_head(model.block_names[0], "linear_probe", unique_id="cls", num_classes=2)
    state, before = model.get_classy_state(deep_copy=True), everything(model)
    block = next(iter(state["model"]["heads"]))
    tables = [state["model"]["trunk"], state["model"]["heads"][block]["cls"], state["model"]["heads"]]
    changes = data.draw(st.integers(1, 3))
    touched = set()
    for _ in range(changes):
        table = tables[data.draw(st.integers(0, 2))]
        if not table:
            continue
        key = list(table)[data.draw(st.integers(0, len(table) - 1))]
        touched |= {key, model.block_names[0]} if table is tables[2] else {key}
        way = data.draw(st.sampled_from(["leave out", "rename", "replace"]))
        value = table[key] if way == "replace" else table.pop(key)
        if way == "rename":
            table[key + "x"] = value
        elif way == "replace":
            table[key] = data.draw(st.sampled_from([*NO_TABLE[:5], torch.zeros(2, 0, 3)]))
    given_state, strict = snapshot(state), data.draw(st.booleans())
    try:
        model.set_classy_state(state, strict=strict)
    except StateError as error:
        assert any(f"'{key}" in str(error) or key in str(error) for key in touched), (touched, str(error))
        assert_same(before, everything(model))
    else:
        assert not strict or not touched
    assert snapshot(state) == given_state
