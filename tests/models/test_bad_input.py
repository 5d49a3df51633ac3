"""Bad configs and pictures, given to every family: what comes of them works, or is refused in words.

What is refused is refused with an error of this kit that names what was wrong, before anything large is allocated.
"""

import copy
import re
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from odd import FAMILIES, HUGE, ODD, TB, NothingLarge, every_family, fuzz

import classykit as ck
from classykit import memory
from classykit.errors import ConfigError, DeviceError, ImageError, UnknownNameError
from classykit.models.factory import MODELS


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
    fields = MODELS[config["name"]].cls.Config.model_fields
    paths = [p for p in dict.fromkeys([*((key,) for key in fields), *places(config)]) if p != ("name",)]
    good = sum(check_config(changed(config, path, value), path, value) for path in paths for value in ODD)
    assert 5 < good < len(paths) * len(ODD), "some odd values are good ones"


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
