"""All that ClassyVision registers, one row a name: state keys, shapes, parameters, blocks, outputs, heads."""

import pytest
import torch

import classykit as ck
from classykit.memory import free_memory

pytest.importorskip("classy_vision")
from classy_vision.models import MODEL_REGISTRY

NAMES = sorted(MODEL_REGISTRY)
#: {our class: the blocks that both list, in order}
CANONICAL = {
    "ResNeXt": r"initial_block|block\d+-\d+",
    "ResNet": r"initial_block|block\d+-\d+",
    "DenseNet": r"initial_block|block\d+-\d+|transition-\d+|trunk_output",
    "EfficientNet": r"block\d+-\d+|trunk_output|fc",  # the reference has no module where the stem ends
    "AnyNet": r"block\d+-\d+",  # the reference has two modules called "stem", and an activation called "2"
    "RegNet": r"block\d+-\d+",
    "VisionTransformer": r"conv_proj|layer_\d+|ln|trunk_output",  # "embedding" is where positions have been added
    "ResNeXt3D": r"stem-path0|pathway0-stage\d+-block\d+(-bn|-relu)?",
}
ADDED = {"EfficientNet": ["stem"], "AnyNet": ["stem", "2"], "RegNet": ["stem", "2"], "VisionTransformer": ["embedding"]}


@pytest.fixture(scope="module")
def config_of(light_configs):
    """The config of a registered name; a family that needs keys gets those of its light config."""
    light = {config["name"]: config for config in light_configs.values()}
    light["resnet"] = {"name": "resnet", "num_blocks": [1, 2], "init_planes": 8}
    return lambda name: light.get(name, {"name": name})


@pytest.fixture
def assert_same_cheaply(assert_same_results, reference):
    """`assert_same_results` on an input that costs little."""

    def run(config, ours, theirs, label, **keys):
        shape = ours.input_shape
        if config["name"].startswith("vit_"):  # which take one size only
            shape = (3, 2 * ours.patch_size, 2 * ours.patch_size)
            other = {**config, "image_size": shape[-1]}
            ours, theirs = ck.build_model(other, device="meta"), reference(other, device="meta")
        elif shape[-1] >= 224:
            shape = (3, 32, 32)
        assert_same_results(ours, theirs, label, shape, **keys)

    return run


@pytest.mark.parametrize("name", NAMES)
def test_parity(name, config_of, assert_same_shell, assert_same_blocks, assert_same_cheaply):
    config = config_of(name)
    ours, theirs = assert_same_shell(config, name)
    family = type(ours).__name__
    if family != "MLP":  # whose layers have no names in the reference
        assert_same_blocks(ours, theirs, CANONICAL[family], ADDED.get(family, ()))
        assert ours.input_shape == theirs.input_shape
    assert_same_cheaply(config, ours, theirs, name)


def test_the_table_has_every_name_and_every_column(request, parity_rows):
    """Last in this module, so that the rows are there."""
    own = [item for item in request.session.items if item.path == request.path]
    ran = {item.callspec.params["name"] for item in own if item.name.startswith("test_parity[")}
    if ran != set(NAMES):
        pytest.skip("a part of the table was asked for")
    rows, columns = parity_rows
    assert len(NAMES) == 49 and set(NAMES) <= set(ck.list_models())
    assert [(name, c) for name in NAMES for c in columns if c not in rows.get(name, {})] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_outputs_with_every_block(name, config_of, reference, assert_same_cheaply):
    config = config_of(name)
    ours, theirs = ck.build_model(config, device="meta"), reference(config, device="meta")
    needed = 9 * sum(p.numel() for p in ours.parameters())
    if needed > free_memory("cpu"):
        pytest.skip(f"needs {needed / 1e9:.0f} GB of memory")
    assert_same_cheaply(config, ours, theirs, name, most=float("inf"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("regnet_y_64gf", "regnet_y_128gf", "regnet_y_256gf")])
def test_outputs_in_single_precision(name, config_of, assert_same_outputs):
    config = config_of(name)
    if name.startswith("vit_"):  # which take one size only
        config = {**config, "image_size": 2 * ck.build_model(config, device="meta").patch_size}
    assert_same_outputs(config, dtypes=(torch.float32,))
