"""The one door: the same odd things through every verb, and the same words."""

import re

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import BlockError, ClassyKitError, ConfigError, DeviceError, UnknownNameError
from classykit.subject import block_paths, input_shape_of, name_of, subject_of

SMALL = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Idle(nn.Module):
    """A model with a part that never runs."""

    input_shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.used(x)


def run(model, block=None, out=None):
    return ck.run(model, X, device="cpu", dtype="float32", blocks=[block] if block else (), progress=False)


def capture(model, block=None, out=None):
    return ck.capture(model, X, block or "block0-0")


def extract(model, block=None, out=None):
    return ck.extract(
        model, X, block or "block0-0", out, workers=0, device="cpu", dtype="float32", progress=False, reduce=None
    )


def benchmark(model, block=None, out=None):
    return ck.benchmark(model, 1, "float32", "eager", device="cpu", seconds=0.001, progress=False)


def profile_blocks(model, block=None, out=None):
    return ck.profile_blocks(model, X, device="cpu", dtype="float32", seconds=0.001, progress=False)


def compare(model, block=None, out=None):
    return ck.compare([model])


def inspect(model, block=None, out=None):
    return ck.inspect(model)


def explore(model, block=None, out=None):
    return ck.explore(model)


def ablate(model, block=None, out=None):
    return ck.ablate(model, X, {block or "block0-0": [0]})


def similarity(model, block=None, out=None):
    return ck.similarity(model, X, [block or "block0-0"])


def effective_field(model, block=None, out=None):
    return ck.effective_field(model, X, block or "block0-0")


VERBS = [
    run,
    capture,
    ablate,
    similarity,
    effective_field,
    extract,
    benchmark,
    profile_blocks,
    compare,
    inspect,
    explore,
]
NEED_WEIGHTS = [run, capture, ablate, similarity, effective_field, extract, benchmark, profile_blocks]
NEED_A_MODEL = [capture, ablate, similarity, effective_field, extract]  # random weights would be no features
TAKE_BLOCKS = [run, capture, ablate, similarity, effective_field, extract]
names = {"ids": lambda value: getattr(value, "__name__", None)}


def net():
    return ck.build_model(SMALL).eval()


def gave(verb, found):
    """What a verb gave, as far as it does not depend on the clock."""
    if verb is run:
        return found.output
    if verb is capture:
        return found["block0-0"]
    if verb in (ablate, similarity, effective_field):
        return found.after if verb is ablate else found.matrix if verb is similarity else found.map
    if verb is extract:
        return torch.from_numpy(found.array("block0-0").copy())
    if verb is benchmark:
        return [row.status for row in found.rows], [row.model for row in found.rows]
    if verb is profile_blocks:
        return [row.name for row in found.rows], [row.macs for row in found.rows]
    if verb is compare:
        return found.names, str(found)
    return str(found if verb is inspect else found.inspection)


def same(a, b):
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def compiled_in_place(model):
    model.compile()
    return model


WRAPPERS = {
    "compiled": torch.compile,
    "compiled in place": compiled_in_place,
    "data parallel": nn.DataParallel,
    "compiled data parallel": lambda model: torch.compile(nn.DataParallel(model)),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("verb", VERBS, **names)
def test_a_wrapped_model_is_the_model_itself(verb, wrap, tmp_path):
    torch.manual_seed(0)
    model = net()
    plain = gave(verb, verb(model, out=tmp_path / "plain"))
    assert same(plain, gave(verb, verb(wrap(model), out=tmp_path / "wrapped")))


@pytest.mark.parametrize("verb", VERBS, **names)
def test_an_adopted_module_is_taken_as_it_is(verb, tmp_path):
    adopted = ck.ClassyModel.from_model(nn.DataParallel(Idle()), input_shape=(3, 32, 32))
    assert adopted.model.__class__ is Idle
    assert verb(adopted, block="used", out=tmp_path / "out") is not None


@pytest.mark.parametrize("description", ["resnet18", {**SMALL}], ids=["name", "config"])
@pytest.mark.parametrize("verb", VERBS, **names)
def test_a_description_is_built_or_refused_where_random_weights_make_no_sense(verb, description, tmp_path):
    if verb in NEED_A_MODEL:
        with pytest.raises(ConfigError, match=r"needs a model with its weights.*build it.*load it with trained"):
            verb(description, out=tmp_path / "out")
        return
    found = verb(description, out=tmp_path / "out")
    assert ("Untrained: its weights are random" in getattr(found, "notes", ())) == (verb in NEED_WEIGHTS)


@pytest.mark.parametrize("verb", NEED_WEIGHTS, **names)
def test_without_weights_nothing_runs(verb, tmp_path):
    model = ck.build_model(SMALL, device="meta")
    said = set()
    for wrap in (lambda m: m, nn.DataParallel):
        with pytest.raises(DeviceError) as refused:
            verb(wrap(model), out=tmp_path / "out")
        said.add(str(refused.value))
    assert said == {
        "resnext is on the meta device: it has no weights to run with. Build it on another device, such as "
        'device="cpu", or load its weights into it.'
    }


@pytest.mark.parametrize("verb", [compare, inspect, explore], **names)
def test_without_weights_it_can_be_looked_at(verb, tmp_path):
    assert same(gave(verb, verb(ck.build_model(SMALL, device="meta"))), gave(verb, verb(net())))


NONSENSE = {
    "number": (42, "A model is a name, a config or an nn.Module, not int 42."),
    "nothing": (None, "A model is a name, a config or an nn.Module, not NoneType None."),
    "class": (Idle, "A model is a name, a config or an nn.Module, not the class Idle. Give an instance: Idle(...)."),
    "tensor": (torch.zeros(1), "A model is a name, a config or an nn.Module, not Tensor tensor([0.])."),
}


@pytest.mark.parametrize(("nonsense", "words"), NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("verb", VERBS, **names)
def test_nonsense_is_refused_in_the_same_words(verb, nonsense, words, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(words)):
        verb(nonsense, out=tmp_path / "out")


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in NEED_A_MODEL], **names)
def test_a_name_that_nobody_knows(verb, tmp_path):
    # of a comparison of one model, none is left: it says why
    with pytest.raises(ConfigError if verb is compare else UnknownNameError, match="There is no model named 'resnet1'"):
        verb("resnet1", out=tmp_path / "out")


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in NEED_A_MODEL], **names)
def test_a_config_without_a_name(verb, tmp_path):
    with pytest.raises(ConfigError, match="A model's config has a 'name'; this one has only 'num_blocks'"):
        verb({"num_blocks": [1]}, out=tmp_path / "out")


@pytest.mark.parametrize("verb", TAKE_BLOCKS, **names)
def test_a_block_that_does_not_run(verb, tmp_path):
    with pytest.raises(BlockError) as refused:
        verb(Idle(), block="unused", out=tmp_path / "out")
    assert str(refused.value) == "'unused' did not run in the forward pass, so there is nothing to be had of it."


@pytest.mark.parametrize("verb", TAKE_BLOCKS, **names)
@pytest.mark.parametrize("wrap", [lambda m: m, nn.DataParallel], ids=["plain", "data parallel"])
def test_a_block_that_is_not_there(verb, wrap, tmp_path):
    with pytest.raises(BlockError, match=r"The model has no block 'usde'. Did you mean 'used'"):
        verb(wrap(Idle()), block="usde", out=tmp_path / "out")


def test_what_is_understood():
    model = net()
    assert subject_of(model).module is model and subject_of(model).input_shape == (3, 32, 32)
    assert subject_of(SMALL).config == SMALL and subject_of(SMALL).module is None
    assert name_of(model) == "resnext" and name_of(Idle()) == "Idle"
    assert input_shape_of(nn.Linear(2, 3)) is None
    assert block_paths(model, ["block0-0"]) == {"block0-0": "blocks.0.block0-0"}


def test_an_interface_error_is_one_of_the_kits():
    with pytest.raises(ClassyKitError):
        subject_of(3.5)
