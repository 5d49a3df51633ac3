"""Bad configs, heads, block names, states and pictures: what comes of them works, or is refused in words.

What is refused is refused with an error of this kit that names what was wrong, before anything large is allocated,
and leaves the model as it was.
"""

import copy
import re
import time

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

import classykit as ck
from classykit import memory
from classykit.errors import (
    BlockError,
    ClassyKitError,
    ConfigError,
    DeviceError,
    HeadError,
    ImageError,
    StateError,
    UnknownNameError,
)
from classykit.heads import IdentityHead, build_head, list_heads
from classykit.models.factory import MODELS

FAMILIES = ["ResNeXt", "DenseNet", "EfficientNet", "AnyNet", "RegNet", "VisionTransformer", "ResNeXt3D", "MLP"]
every_family = pytest.mark.parametrize("family", FAMILIES)


def fuzz(examples):
    """The same examples each time."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


class NothingLarge(TorchDispatchMode):
    """Fails as soon as a tensor of more than 8 MB is made outside the meta device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in tree_iter(out):
            if isinstance(made, torch.Tensor) and not made.is_meta and made.layout == torch.strided:
                assert made.untyped_storage().nbytes() <= 8e6, f"{func} made {tuple(made.shape)}"
        return out


# ---- configs ----

ODD = [
    None, True, False, 0, -1, 1, 2, 3, 7, 1.5, 0.0, -0.5, float("nan"), float("inf"), 2**24, 2**24 + 1, 10**30, "",
    "3", "relu", "é", [], [1], [0], [2, 2], [1.0], [[1]], {}, {"x": 1}, (1, 2), b"1", 1j, object, torch.ones(1),
    np.int64(2), np.float64(0.5), {1: 2},
]  # fmt: skip


def places(config, path=()):
    """Where a config holds a value: the path of every key and list entry."""
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(config, path, value):
    """The config with another value there; in lists of a stage each, elsewhere as it was."""
    config = copy.deepcopy(config)
    at = config
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return config


def named_in(text, path, config):
    """Whether an error names the key: its dotted path, the key itself, or the key that holds it."""
    dotted = ".".join(map(str, path))
    return f"'{dotted}" in text or re.search(rf"\b{re.escape(str(path[0]))}\b", text) is not None


def shown(value):
    """How messages show a value, as far as it is sure to be there."""
    return repr(value)[:40]


REMEDY = re.compile(
    r"should be|should have|should match|use |at most|at least|or more|is required|must|leave|Its keys are|"
    r"Did you mean|choose|make |needs |one of|no multiple of|multiply to|is unknown|instead|build it|give one|smaller|"
    r"cannot be allocated|can only|either|list of",
)


def check_config(config, path, value, meta=True):
    """Build it on the meta device: the model works, or the error says which key, which value and what to do."""
    given_config = copy.deepcopy(config) if not isinstance(value, type) else None
    try:
        with NothingLarge():
            model = ck.build_model(config, device="meta")
    except ConfigError as error:
        text = str(error)
        assert named_in(text, path, config), (path, value, text)
        entry = len(path) > 1 or f"'{path[0]}." in text  # then it is that entry that is shown
        if isinstance(value, (list, tuple, torch.Tensor)):  # its length, or one entry
            entry = entry or f"{path[0]} has {len(value)}" in text or any(shown(v) in text for v in value)
        assert (
            entry
            or shown(value) in text
            or str(value) in text
            or "cannot be allocated" in text
            or (f"{path[0]}=" in text if isinstance(value, bool) else value is None and "required" in text)
        ), text
        assert REMEDY.search(text), text
        return False
    assert runs(model), (path, value)
    if given_config is not None and not isinstance(value, (torch.Tensor, float)):
        assert config == given_config, "the caller's config is as it was"
    return True


def runs(model):
    """Whether an empty batch passes: of `input_shape`, or larger where many stages halve it."""
    with torch.no_grad():
        try:
            x = model.example_input(2, "meta")
            return model.eval()(x) is not None
        except RuntimeError as error:
            if "overflowed" in str(error):  # described, though no machine could run it
                return sum(p.numel() for p in model.parameters()) > 2**40
            assert isinstance(model, ck.models.DenseNet)  # whose pooling needs more than a pixel
            return model(torch.empty(2, 3, 2**15, 2**15, device="meta")) is not None


@every_family
def test_every_odd_value_of_every_key(family, light_configs):
    config = light_configs[family]
    fields = MODELS[config["name"]].cls.Config.model_fields
    good = 0
    paths = [*([key] for key in fields), *(p for p in places(config) if len(p) > 1)]
    for i, path in enumerate(paths):
        for j, value in enumerate(ODD):
            if (i + j) % 3 == 0:  # a third of the pairs; the others in the slow sweep
                good += check_config(changed(config, path, value), path, value)
    assert good > 5, "some odd values are good ones"


@pytest.mark.slow
@every_family
def test_every_odd_value_of_every_key_in_full(family, light_configs):
    config = light_configs[family]
    for path in [*([key] for key in MODELS[config["name"]].cls.Config.model_fields), *places(config)]:
        for value in ODD:
            if tuple(path) != ("name",):
                check_config(changed(config, path, value), path, value)


@every_family
def test_keys_left_out_and_keys_added(family, light_configs):
    config = light_configs[family]
    needed = [k for k, f in MODELS[config["name"]].cls.Config.model_fields.items() if f.is_required()]
    for key in needed:
        with pytest.raises(ConfigError, match=rf"^{config['name']}: key '{key}' is required \("):
            ck.build_model({k: v for k, v in config.items() if k != key})
    for key in config.keys() - {"name", "model_params", *needed}:
        assert runs(ck.build_model({k: v for k, v in config.items() if k != key}, device="meta"))
    for key in ("nonsense", "", "self", "config", f"{next(iter(config.keys() - {'name'}))}s ", "__class__"):
        with pytest.raises(ConfigError, match=re.escape(f"key '{key}' is unknown")):
            ck.build_model({**config, key: 1})
        cls = MODELS[config["name"]].cls
        with pytest.raises(ConfigError, match=re.escape(f"key '{key}' is unknown")):
            cls(**{k: v for k, v in config.items() if k != "name"}, **{key: 1})


@fuzz(200)
@given(st.data())
def test_several_odd_keys_at_once(light_configs, data):
    config = copy.deepcopy(light_configs[data.draw(st.sampled_from(FAMILIES))])
    fields = list(MODELS[config["name"]].cls.Config.model_fields)
    keys = data.draw(
        st.dictionaries(
            st.sampled_from(fields) | st.text(min_size=1, max_size=4).filter(lambda k: k not in ("name", "heads")),
            st.sampled_from(ODD) | st.integers(-2, 40) | st.floats(0, 3) | st.lists(st.integers(0, 9), max_size=4),
            min_size=1, max_size=3,
        )
    )  # fmt: skip
    config |= keys
    try:
        with NothingLarge():
            model = ck.build_model(config, device="meta")
    except ConfigError as error:
        assert any(repr(key) in str(error) or f"'{key}." in str(error) or key in str(error) for key in keys), error
    else:
        assert runs(model) and model.config.keys() == config.keys()


@pytest.mark.parametrize("config", [*ODD, {"name": None}, {"name": ["resnet18"]}, {"name": "resnet18", 1: 2}, "resnet"])
def test_what_is_no_description(config):
    if config == "resnet":
        words = "num_blocks"
    else:
        words = "name|described|dict|keys"
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        ck.build_model(config)


# ---- sizes ----

HUGE = {  # family: keys that make it need 2 TB or more
    "ResNeXt": {"init_planes": 2**17, "base_width_and_cardinality": None},
    "DenseNet": {"init_planes": 2**16, "growth_rate": 2**18},
    "EfficientNet": {"width_divisor": 2**19},
    "AnyNet": {"widths": [2**20, 2**20], "group_widths": [2**20, 2**20]},
    "RegNet": {"w_0": 2**20, "group_width": 2**20},
    "VisionTransformer": {"hidden_dim": 2**20},
    "ResNeXt3D": {"stage_planes": 2**19, "width_per_group": 2**19},
    "MLP": {"hidden_dims": [2**20, 2**20]},
}
TB = 2**40


@every_family
@pytest.mark.parametrize("free", ["as it is", "little"])
def test_two_terabytes_are_described_and_not_built(family, free, light_configs, monkeypatch):
    config = {**light_configs[family], **HUGE[family]}
    if free == "little":  # and where less is asked for than there is of memory here
        config = light_configs[family]
        monkeypatch.setattr(memory, "free_memory", lambda device: 100)
    start = time.perf_counter()
    with NothingLarge():
        shell = ck.build_model(config, device="meta")
        needed = sum(p.numel() * p.element_size() for p in shell.parameters())
        assert needed >= 2 * TB or free == "little"
        for build in (ck.build_model, MODELS[config["name"]].cls.from_config):
            with pytest.raises(DeviceError, match=rf"^{config['name']}: its weights need .*B, and cpu has .*meta"):
                build(config)
        inspection = ck.inspect(config)
        assert inspection.params == sum(p.numel() for p in shell.parameters())
    assert time.perf_counter() - start < 5


@every_family
def test_heads_are_checked_before_the_trunk_is_allocated(family, light_configs):
    """A trunk that would fill the memory is not made for a head that does not fit."""
    config = {**light_configs[family], **HUGE[family]}
    block = ck.build_model(config, device="meta").block_names[-1]
    head = {"name": "linear_probe", "unique_id": "cls", "num_classes": 2, "fork_block": block}
    for bad, kind, words in (
        ({**head, "fork_block": "nowhere"}, BlockError, "'nowhere'"),
        ({**head, "name": "linear_prob"}, UnknownNameError, "'linear_probe'"),
        ({**head, "num_classes": 0}, ConfigError, "num_classes' = 0"),
        ({**head, "in_plane": 3}, HeadError, "in_plane="),
    ):
        with NothingLarge(), pytest.raises(kind, match=words):
            ck.build_model({**config, "heads": [head | {"unique_id": "good"}, bad]})


BIG_HEADS = {
    "fully_connected": {"in_plane": 2**20, "num_classes": 2**20},
    "fully_convolutional_linear": {"in_plane": 2**20, "num_classes": 2**20},
    "vision_transformer_head": {"in_plane": 2**20, "num_classes": 2**20},
    "linear_probe": {"in_plane": 2**20, "num_classes": 2**20},
}


@pytest.mark.parametrize("name", BIG_HEADS)
def test_a_head_of_two_terabytes_is_described_and_not_built(name):
    config = {"name": name, "unique_id": "cls", **BIG_HEADS[name]}
    with NothingLarge():
        with pytest.raises(DeviceError, match=r"head 'cls': its weights need 4.40 TB"):
            build_head(config)
        with torch.device("meta"):
            head = build_head(config)
    assert sum(p.numel() for p in head.parameters()) * 4 >= 2 * TB
    assert set(BIG_HEADS) == set(list_heads()) - {"identity"}


@every_family
def test_a_large_head_is_refused_and_the_model_stays(family, light_configs, everything, assert_same, monkeypatch):
    model = ck.build_model(light_configs[family])
    model.attach_head(model.block_names[0], "identity")
    before, block = everything(model), model.block_names[-1]
    monkeypatch.setattr(memory, "free_memory", lambda device: 10_000)
    small = {"name": "linear_probe", "unique_id": "small", "num_classes": 1, "fork_block": block}
    large = {**small, "unique_id": "large", "num_classes": 2**24}
    for attach in (
        lambda: model.add_heads_from_configs([small, large]),
        lambda: model.set_heads({block: [{k: v for k, v in large.items() if k != "fork_block"}]}),
        lambda: model.attach_head(block, "linear_probe", unique_id="large", num_classes=2**24),
    ):
        with NothingLarge(), pytest.raises(DeviceError, match=r"'large': its weights need .* 10.* kB free"):
            attach()
        assert_same(before, everything(model))


# ---- heads and block names ----

ODD_NAMES = [
    "", " ", "block", "block9-9", "_heads", "_heads.identity", "forward", "__class__", "trunk", ".", "..", "é", None, 5,
    1.5, True, [], ["trunk_output"], {}, (), b"trunk_output", object,
]  # fmt: skip


@every_family
def test_odd_block_names(family, light_configs, everything, assert_same):
    model = ck.build_model(light_configs[family]).eval()
    model.attach_head(model.block_names[0], "identity")
    x, before = model.example_input(2), everything(model)
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
        assert_same(before, everything(model))


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


HEAD_KEYS = ["name", "unique_id", "fork_block", "num_classes", "in_plane", "conv_planes", "pool_size", "tokens",
             "hidden_dim", "activation", "normalize_inputs", "dropout_ratio", "channels_last", "nonsense"]  # fmt: skip


@fuzz(60)
@given(data=st.data())
def test_odd_heads(light_configs, everything, assert_same, data):
    model = ck.build_model(light_configs[data.draw(st.sampled_from(FAMILIES))]).eval()
    model.attach_head(model.block_names[0], "identity", unique_id="first")
    block = data.draw(st.sampled_from(model.block_names))
    head = {"name": data.draw(st.sampled_from(list_heads())), "unique_id": "cls", "fork_block": block}
    if head["name"] != "identity":
        head["num_classes"] = 3
    odd = data.draw(st.dictionaries(st.sampled_from(HEAD_KEYS), st.sampled_from([*ODD, "first"]), max_size=2))
    head |= odd
    good = {"name": "identity", "unique_id": "good", "fork_block": block}
    before, way = everything(model), data.draw(st.sampled_from(["attach_head", "set_heads", "add_heads_from_configs"]))
    rest = {k: v for k, v in head.items() if k != "fork_block"}
    try:
        with NothingLarge():
            if way == "attach_head":
                model.attach_head(head["fork_block"], rest.pop("name"), **rest)
            elif way == "add_heads_from_configs":
                model.add_heads_from_configs([good, head])
            elif isinstance(head["fork_block"], (dict, list, torch.Tensor)):
                return  # no key of a dict
            else:
                model.set_heads({block: [good], head["fork_block"]: [good, rest][head["fork_block"] == block :]})
    except ClassyKitError as error:
        text = str(error)
        keys = [*odd, "head"]
        assert any(re.search(rf"\b{key}\b", text) or repr(odd.get(key, 0)) in text for key in keys), (odd, text)
        assert_same(before, everything(model))
    else:
        with torch.no_grad():
            out = model(model.example_input(2))
        ids = [h.unique_id for heads in model.get_heads().values() for h in heads]
        assert list(out) == ids if len(ids) > 1 else torch.is_tensor(out)


@pytest.mark.parametrize("heads", [*ODD[1:], [5], [{}], [{"name": "identity"}], {"block0-0": 5}, [IdentityHead]])
@pytest.mark.parametrize("way", ["config", "add_heads_from_configs", "set_heads"])
def test_what_are_no_heads(way, heads, light_configs, everything, assert_same):
    model = ck.build_model(light_configs["ResNeXt"])
    model.attach_head("block0-0", "identity")
    before = everything(model)
    empty = isinstance(heads, (list, tuple)) and not heads
    if (empty and way != "set_heads") or (way == "set_heads" and heads == {} and isinstance(heads, dict)):
        return  # no heads is a way to say so
    with pytest.raises((ConfigError, BlockError), match=r"head|block|fork_block"):
        if way == "config":
            ck.build_model({**light_configs["ResNeXt"], "heads": heads})
        else:
            getattr(model, way)(heads)
    assert_same(before, everything(model))


# ---- states ----


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
                    assert f"'{key}'" in str(error) and ("not " in str(error) or "the model" in str(error)), error
                    assert_same(looked_at, everything(model))
                else:
                    assert loads is not False, (label, key)
                    own = model.get_classy_state()["model"]
                    own = (own["heads"][block]["cls"] if in_head else own["trunk"])[key]
                    assert torch.equal(own, odd.detach().to(own.dtype))
                    model.set_classy_state(good)
                    assert_same(looked_at, everything(model))
                assert snapshot(state) == before


NO_TABLE = [None, 5, "state", [], [1], torch.zeros(1), object()]


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


@pytest.mark.parametrize(
    "checkpoint",
    [
        *NO_TABLE, {}, {"input_args": None}, {"input_args": {}}, {"input_args": {"config": []}},
        {"input_args": {"config": {"model": {"name": "mlp"}}}},
        {"input_args": {"config": {"model": 5}}, "classy_state_dict": {"base_model": {}}},
        {"input_args": {"config": {"model": {"name": "nonsense"}}}, "classy_state_dict": {"base_model": {}}},
        {"input_args": {"config": {"model": "resnet18"}}, "classy_state_dict": {"base_model": None}},
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(checkpoint):
    words = r"input_args|A model is described|no model named 'nonsense'|form"
    with pytest.raises((StateError, ConfigError, UnknownNameError), match=words):
        ck.ClassyModel.from_checkpoint(checkpoint)


@every_family
def test_a_model_without_weights_takes_none(family, light_configs):
    model = ck.build_model(light_configs[family], device="meta")
    state = ck.build_model(light_configs[family]).get_classy_state()
    for load in (model.set_classy_state, model.load_head_states):
        with pytest.raises(StateError, match=r"meta device, which keeps no weights.*to_empty"):
            load(state)


# ---- pictures ----

PICTURES = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5)),
    st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(0, 40)),
)


@fuzz(80)
@given(
    family=st.sampled_from(FAMILIES), shape=PICTURES,
    kind=st.sampled_from(["uint8", "float32", "bool", "int64", "complex64", "tensor"]),
)  # fmt: skip
def test_any_array_becomes_an_input_that_the_model_takes(family, shape, kind, light_configs):
    model = ck.build_model(light_configs[family]).eval()
    array = torch.zeros(shape) if kind == "tensor" else np.zeros(shape, kind)
    try:
        x = ck.preprocess(ck.load_image(array), model)
    except ImageError as error:
        assert len(str(error)) > 20
        good = 0 not in shape and kind in ("uint8", "float32", "bool", "tensor") and (len(shape) == 2 or shape[-1] == 3)
        assert not good or family in ("MLP", "ResNeXt3D"), error
    else:
        assert x.shape[0] == 1 and x.isfinite().all()
        with torch.no_grad():
            assert model(x).isfinite().all()


@pytest.mark.parametrize("image", [None, 5, "no such file", "", [], {}, object(), b"", b"no picture", np.zeros(3)])
def test_what_is_no_picture(image, light_configs):
    model = ck.build_model(light_configs["ResNeXt"])
    for ask in (lambda: ck.load_image(image), lambda: ck.preprocess(image, model)):
        with pytest.raises((ImageError, UnknownNameError)) as error:
            ask()
        assert len(str(error.value)) > 20
