"""classykit.models.resnext3d against ClassyVision: keys, shapes, outputs, training, states, heads, every option."""

import copy
import itertools
import json
import logging
import re
from importlib.resources import files

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import classykit as ck
from classykit.errors import ConfigError, HeadError, ShapeError, StateError
from classykit.models.factory import MODELS

BASE = {
    "name": "resnext3d", "input_planes": 3, "clip_crop_size": 24, "frames_per_clip": 4, "num_blocks": [1, 2],
    "skip_transformation_type": "postactivated_shortcut", "residual_transformation_type": "basic_transformation",
    "stem_planes": 8, "stage_planes": 8, "width_per_group": 4,
}  # fmt: skip
STEMS = ["resnext3d_stem", "r2plus1d_stem"]
SKIPS = ["postactivated_shortcut", "preactivated_shortcut"]
RESIDUALS = [
    "basic_transformation", "basic_r2plus1d_transformation",
    "postactivated_bottleneck_transformation", "preactivated_bottleneck_transformation",
]  # fmt: skip
R2PLUS1D = {"residual_transformation_type": RESIDUALS[1]}
POST = {"residual_transformation_type": RESIDUALS[2]}
PRE = {"residual_transformation_type": RESIDUALS[3], "skip_transformation_type": SKIPS[1]}
OPTIONS = {
    "basic": {},
    "basic, preactivated_shortcut": {"skip_transformation_type": SKIPS[1]},
    "basic_r2plus1d": R2PLUS1D,
    "basic_r2plus1d, r2plus1d_stem": {**R2PLUS1D, "stem_name": STEMS[1]},
    "postactivated_bottleneck": POST,
    "postactivated_bottleneck, preactivated_shortcut": {**POST, "skip_transformation_type": SKIPS[1]},
    "preactivated_bottleneck": PRE,
    "preactivated_bottleneck, postactivated_shortcut": {**PRE, "skip_transformation_type": SKIPS[0]},
    "preactivated_bottleneck, projection in the first block": {**PRE, "stem_planes": 12},
    "input_planes": {"input_planes": 2},
    "stem_planes": {"stem_planes": 12},
    "stem_temporal_kernel": {"stem_temporal_kernel": 5},
    "stem_temporal_kernel, even": {"stem_temporal_kernel": 2},
    "stem_spatial_kernel": {"stem_spatial_kernel": 4},
    "stem_maxpool": {"stem_maxpool": True},
    "stem_maxpool, r2plus1d_stem": {"stem_maxpool": True, "stem_name": STEMS[1]},
    "stage_planes": {"stage_planes": 20},
    "stage_temporal_kernel_basis": {**POST, "stage_temporal_kernel_basis": [[5], [3, 1]]},
    "stage_temporal_kernel_basis, longer than the stage": {**POST, "stage_temporal_kernel_basis": [[1, 3], [5, 3, 1]]},
    "temporal_conv_1x1": {**POST, "temporal_conv_1x1": [True, False]},
    "temporal_conv_1x1, preactivated": {**PRE, "temporal_conv_1x1": [False, True]},
    "stage_temporal_stride": {"stage_temporal_stride": [2, 1]},
    "stage_temporal_stride, 3": {**POST, "stage_temporal_stride": [1, 3], "temporal_conv_1x1": [True, True]},
    "stage_spatial_stride": {"stage_spatial_stride": [2, 1]},
    "num_groups": {**POST, "num_groups": 2},
    "num_groups, preactivated": {**PRE, "num_groups": 4, "width_per_group": 2},
    "num_groups, basic": {"num_groups": 4},
    "num_groups, basic_r2plus1d": {**R2PLUS1D, "num_groups": 2},
    "width_per_group": {**POST, "width_per_group": 6},
    "zero_init_residual_transform": {**POST, "zero_init_residual_transform": True},
    "zero_init_residual_transform, preactivated": {**PRE, "zero_init_residual_transform": True},
    "one frame": {"frames_per_clip": 1},
    "one stage": {"num_blocks": [2]},
    "five stages": {
        "num_blocks": [1, 1, 1, 1, 1], "stage_temporal_kernel_basis": [[3]] * 5, "temporal_conv_1x1": [False] * 5,
        "stage_temporal_stride": [1, 2, 1, 1, 1], "stage_spatial_stride": [1, 2, 2, 1, 1],
    },
}  # fmt: skip
LIGHT = {"basic": {}, "r2plus1d": OPTIONS["basic_r2plus1d, r2plus1d_stem"], "post": POST, "pre": PRE}
CANONICAL = r"stem-path0|pathway0-stage\d+-block\d+(-bn|-relu)?"


def head(block, unique_id="cls", **keys):
    return {"name": "fully_convolutional_linear", "unique_id": unique_id, "num_classes": 5, "fork_block": block, **keys}


@pytest.fixture(params=LIGHT)
def light(request):
    """A small config of each residual branch."""
    return {**BASE, **LIGHT[request.param]}


@pytest.mark.parametrize("label", OPTIONS)
def test_outputs(label, assert_same_shell, assert_same_blocks, assert_same_outputs):
    config, label = {**BASE, **OPTIONS[label]}, f"resnext3d: {label}"
    ours, theirs = assert_same_shell(config, label)
    assert_same_blocks(ours, theirs, CANONICAL)
    assert ours.input_shape == theirs.input_shape
    assert_same_outputs(config, label)


@pytest.mark.parametrize("label", OPTIONS)
def test_training(label, assert_same_outputs, assert_trains_the_same, input_for):
    ours, theirs = assert_same_outputs({**BASE, **OPTIONS[label]}, dtypes=())
    assert_trains_the_same(ours.double(), theirs.double(), input_for(ours, batch=3, dtype=torch.float64), 1e-9)


@pytest.mark.parametrize("label", OPTIONS)
def test_the_same_seed_gives_the_same_weights(label, reference):
    built = []
    for build in (ck.build_model, reference):
        torch.manual_seed(0)
        built.append(build({**BASE, **OPTIONS[label]}).state_dict())
    ours, theirs = built
    assert ours.keys() == theirs.keys() and any(key.endswith("weight") for key in theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


# ---- names ----


def configs_of_the_reference():
    pytest.importorskip("classy_vision")
    for path in sorted(files("classy_vision").joinpath("configs").rglob("*.json")):
        model = json.loads(path.read_text()).get("model", {})
        if model.get("name") == "resnext3d":
            yield model


def test_every_config_that_the_reference_ships(assert_same_shell):
    trunks = []
    for config in configs_of_the_reference():
        heads = config.pop("heads")
        if config not in trunks:
            trunks.append(config)
            assert_same_shell(config)
        model = ck.build_model({**config, "heads": heads}, device="meta")
        assert ck.inspect(model).blocks[-1].output_shape == (heads[0]["num_classes"],)
    assert len(trunks) >= 8


PRESETS = {"r3d_18": 33_166_272, "i3d_r50": 27_223_872, "resnext3d_r2plus1d_18": 33_160_239}


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name, assert_same_shell, assert_same_results):
    model = ck.build_model(name, device="meta")
    assert sum(p.numel() for p in model.parameters()) == PRESETS[name]
    label = f"resnext3d: {name}"
    ours, theirs = assert_same_shell({**MODELS[name].defaults, "name": "resnext3d"}, label)
    assert_same_results(copy.deepcopy(ours), theirs, label, (3, 2, 16, 16))
    assert [k for k, _ in ours.named_modules()] == [k for k, _ in model.named_modules()]
    assert ck.build_model(name, device="meta", num_blocks=[1, 1, 1, 1]).config["name"] == name
    with pytest.raises(ConfigError, match=r"'num_block' is unknown. Did you mean 'num_blocks'"):
        ck.build_model(name, num_block=[1, 1, 1, 1])


def test_i3d_has_a_third_of_its_kernels_inflated():
    model = ck.build_model("i3d_r50", device="meta", frames_per_clip=32)
    assert model.input_shape == (3, 32, 224, 224)
    kernels = [m.residual.branch2a.kernel_size[0] for m in model.modules() if hasattr(m, "residual")]
    assert kernels == [3, 3, 3, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 1, 3, 1]
    assert ck.inspect(model)["pathway0-stage4-block2"].output_shape == (2048, 32, 7, 7)


def test_r3d_18_costs_what_torchvisions_does():
    video = pytest.importorskip("torchvision.models.video")
    with torch.device("meta"):
        theirs = ck.inspect(video.r3d_18(), input_shape=(3, 16, 112, 112))
    ours = ck.inspect({"name": "r3d_18", "heads": [head("pathway0-stage4-block1", num_classes=400)]})
    assert ours.params == theirs.params == 33_371_472
    assert ours.macs == theirs.macs == 40_696_553_472
    assert ours.activation_bytes == pytest.approx(theirs.activation_bytes, rel=1e-4) and not ours.uncounted


def test_the_inspectors_rows_are_the_blocks(light):
    model = ck.build_model({**light, "num_groups": 2, "stem_maxpool": True}, device="meta")
    seen = ck.inspect(model)
    assert [b.name for b in seen.blocks] == model.block_names
    assert seen.params == sum(p.numel() for p in model.parameters())
    assert [b.has_skip for b in seen.blocks] == ["block" in n and n[-1].isdigit() for n in model.block_names]
    words = {
        "basic_transformation": "basic block 3×3×3, 3×3×3, 2 groups",
        "basic_r2plus1d_transformation": "(2+1)D block 1×3×3, 3×1×1, twice, 2 groups",
        "postactivated_bottleneck_transformation": "bottleneck to 8: 1×1×1, 3×3×3, 1×1×1, 2 groups",
        "preactivated_bottleneck_transformation": "pre-activated bottleneck to 8: 1×1×1, 3×3×3, 1×1×1, 2 groups",
    }
    assert seen["pathway0-stage1-block0"].type == words[light["residual_transformation_type"]]
    stem = "1×3×3 to 45, 3×1×1" if light.get("stem_name") == "r2plus1d_stem" else "3×7×7"
    assert seen["stem-path0"].type == f"stem {stem}, max pool 1×3×3"
    assert "ResidualBlock3D" not in str(seen) and "Sequential" not in str(seen)


# ---- inputs ----


def test_a_dict_input(light, reference, randomise, input_for):
    config = {**light, "input_key": "video"}
    theirs = randomise(reference(config)).eval()
    ours = ck.build_model(config).eval()
    ours.load_state_dict(theirs.state_dict())
    clip = input_for(ours)
    x = {"audio": torch.zeros(2, 7), "video": clip}
    torch.testing.assert_close(ours(x), theirs(dict(x)), atol=1e-5, rtol=0)
    assert torch.equal(ours(clip), ours(x)), "the clip itself will do, so that all tools can be used on the model"
    assert list(ours.example_input(3)) == ["video"] and ours.example_input(3)["video"].shape == (3, 3, 4, 24, 24)
    plain = ck.build_model(light).eval()
    plain.load_state_dict(ours.state_dict())
    assert torch.equal(plain(clip), ours(x))
    for shape in (None, (3, 5, 16, 16)):
        assert ck.inspect(ours, shape).macs == ck.inspect(plain, shape).macs > 0
    ours.attach_head("pathway0-stage2-block1", "fully_convolutional_linear", num_classes=5)
    assert ours(x).shape == (2, 5)
    assert torch.equal(
        ck.capture(ours, x, "stem-path0")["stem-path0"], ck.capture(plain, clip, "stem-path0")["stem-path0"]
    )


def test_pictures_are_clips_of_one_frame(light, reference, randomise):
    for frames in (1, 4):
        config = {**light, "frames_per_clip": frames}
        theirs = randomise(reference(config)).eval()
        ours = ck.build_model(config).eval()
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(2, 3, 24, 24)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)
        assert torch.equal(ours(x), ours(x[:, :, None])) and ours(x).shape[2] == 1
    keyed = ck.build_model({**light, "input_key": "image"}).eval()
    keyed.load_state_dict(ours.state_dict())
    assert torch.equal(keyed({"image": x}), ours(x))


@pytest.mark.parametrize("shape", [(1, 5, 20, 28), (9, 4, 24, 24), (1, 1, 1, 1), (3, 16, 40, 24)])
def test_clips_of_other_sizes(shape, light, reference, randomise):
    theirs = randomise(reference(light)).eval()
    ours = ck.build_model(light).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape[0], 3, *shape[1:])
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "key, x, words",
    [
        (None, torch.zeros(3, 32, 32), r"clips \(N, 3, T, H, W\) or pictures \(N, 3, H, W\).*\(3, 32, 32\)"),
        (None, torch.zeros(2, 8, 3, 32, 32), r"shape \(2, 8, 3, 32, 32\)"),
        (None, torch.zeros(2, 1, 32, 32), r"shape \(2, 1, 32, 32\)"),
        (None, [torch.zeros(1, 3, 8, 32, 32)], "given a list"),
        (None, {"video": torch.zeros(1, 3, 8, 32, 32)}, "not a dict: build it with input_key='video'"),
        ("video", {"audio": torch.zeros(1)}, r"no 'video', this model's input_key, but \['audio'\]"),
        ("video", {"video": None}, "given a NoneType"),
        ("video", {}, "no 'video'"),
        ("video", {"video": torch.zeros(3, 3)}, r"shape \(3, 3\)"),
    ],
)
def test_inputs_that_are_no_clips(key, x, words):
    model = ck.build_model(BASE, input_key=key)
    with pytest.raises(ShapeError, match=words):
        model(x)


# ---- heads ----


@pytest.mark.parametrize("label", ["basic", "r2plus1d", "post", "pre"])
@pytest.mark.parametrize("pooled", [False, True])
def test_every_block_takes_heads_and_runs_them(label, pooled, input_for, randomise):
    model = randomise(ck.build_model({**BASE, **LIGHT[label], "stem_maxpool": pooled})).eval()
    names = model.block_names
    extra = ["pathway0-stage2-block1-bn", "pathway0-stage2-block1-relu"] if label == "pre" else []
    assert names == ["stem-path0", "pathway0-stage1-block0", "pathway0-stage2-block0", "pathway0-stage2-block1", *extra]
    x = input_for(model)
    trunk, plain = model(x), ck.capture(model, x, names)
    assert torch.equal(trunk, plain[names[-1]])
    for block, kind in itertools.product(names, ("linear_probe", "fully_convolutional_linear", "identity")):
        keys = {} if kind == "identity" else {"num_classes": 5}
        model.attach_head(block, kind, unique_id=f"{kind} {block}", **keys)
    outputs = model(x)
    assert len(outputs) == 3 * len(names)
    for block, heads in model.get_heads().items():
        assert torch.equal(outputs[f"identity {block}"], plain[block])
        for h in heads:
            torch.testing.assert_close(outputs[h.unique_id], h(plain[block]))
    assert torch.equal(model.extract_features(x), trunk)
    with pytest.raises(HeadError, match=r"wants a 2-D map; .* gives a 3-D map .*fully_convolutional_linear"):
        model.attach_head(names[0], "fully_connected", num_classes=5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("keys", [
    {}, {"activation_func": "sigmoid"}, {"activation_func": "identity"}, {"pool_size": [2, 4, 4]},
    {"use_dropout": True},
    {"pool_size": [1, 2, 3], "activation_func": "sigmoid", "use_dropout": True, "dropout_ratio": 0.2},
])  # fmt: skip
def test_heads_give_what_the_references_give(training, keys, light, reference, randomise):
    planes = 16
    blocks = ["pathway0-stage2-block0", "pathway0-stage2-block1"]
    heads = [head(b, f"at {i}", in_plane=planes, **keys) for i, b in enumerate(blocks)]
    theirs = reference({**light, "heads": heads}, wrapped=True)
    randomise(theirs.classy_model)
    ours = ck.build_model({**light, "heads": heads})
    ours.set_classy_state(theirs.get_classy_state())
    x, outputs = torch.randn(2, 3, 4, 24, 24, dtype=torch.float64), []
    for model in (ours.double(), theirs.classy_model.double()):
        model.train(training)
        torch.manual_seed(0)
        outputs.append(ours(x) if model is ours else theirs(x))
    assert outputs[0].keys() == outputs[1].keys()
    for key, wanted in outputs[1].items():
        torch.testing.assert_close(outputs[0][key], wanted, atol=1e-12, rtol=0)


# ---- states ----


class TestStates:
    @pytest.mark.parametrize("parts", [POST, PRE])
    @pytest.mark.parametrize("conv_1x1", [True, False])
    def test_kernels_of_one_frame_are_inflated(self, parts, conv_1x1, reference, randomise, caplog):
        keys = {**BASE, **parts, "temporal_conv_1x1": [conv_1x1] * 2}
        flat = {**keys, "stem_temporal_kernel": 1, "stage_temporal_kernel_basis": [[1], [1]], "frames_per_clip": 1}
        deep = {**keys, "stem_temporal_kernel": 5, "stage_temporal_kernel_basis": [[3], [3, 1]]}
        state = randomise(ck.build_model(flat)).get_classy_state()
        kept = copy.deepcopy(state)
        ours, theirs = ck.build_model(deep), reference(deep, wrapped=True)
        with caplog.at_level(logging.INFO, logger="classykit"):
            ours.set_classy_state(state)
        assert "stem.stem.stem-path0.conv.weight inflated from 1 to 5 frames" in caplog.text
        assert caplog.text.count("inflated") == 3
        theirs.set_classy_state(copy.deepcopy(state))
        for key, value in theirs.classy_model.state_dict().items():
            assert torch.equal(ours.state_dict()[key], value), key
        x = torch.randn(2, 3, 4, 24, 24)
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=0)
        assert state.keys() == kept.keys() and list(state["model"]["trunk"]) == list(kept["model"]["trunk"])
        assert all(torch.equal(v, kept["model"]["trunk"][k]) for k, v in state["model"]["trunk"].items())

    def test_an_inflated_stem_sees_a_picture_in_equal_frames(self):
        flat, deep = ck.build_model(BASE, stem_temporal_kernel=1), ck.build_model(BASE, stem_temporal_kernel=5)
        deep.set_classy_state(flat.get_classy_state())
        x = torch.randn(1, 3, 1, 32, 32)
        stem = [ck.capture(m, x.expand(-1, -1, 9, -1, -1), "stem-path0")["stem-path0"] for m in (flat, deep)]
        torch.testing.assert_close(stem[0][:, :, 2:-2], stem[1][:, :, 2:-2])

    def change(self, state, what):
        trunk, stem = state["model"]["trunk"], "stem.stem.stem-path0.conv.weight"
        if what == "junk":
            trunk["junk"] = torch.zeros(1)
        elif what == "missing":
            del trunk[stem]
        elif what == "not a tensor":
            trunk[stem] = [1.0]
        elif what == "other space":
            trunk[stem] = trunk[stem][:, :, :1, :5, :5]
        elif what == "other channels":
            trunk[stem] = trunk[stem][:4, :, :1]
        elif what == "two frames":
            trunk[stem] = trunk[stem][:, :, :2]
        elif what == "a 2-D kernel":
            trunk[stem] = trunk[stem][:, :, 0]
        elif what == "deflation":
            key = "stages.1.pathway0.pathway0-stage2-block0.skip.branch1.weight"
            trunk[key] = trunk[key].repeat(1, 1, 3, 1, 1)
        return state

    @pytest.mark.parametrize("what, words", [
        ("junk", "'junk' that the model does not know"), ("missing", "lacks 'stem.stem.stem-path0.conv.weight'"),
        ("not a tensor", "holds a list"), ("other space", r"\(8, 3, 1, 5, 5\), the model \(8, 3, 3, 7, 7\)"),
        ("other channels", "shape"), ("two frames", "shape"), ("a 2-D kernel", "shape"), ("deflation", "shape"),
    ])  # fmt: skip
    def test_strict_is_strict(self, what, words, randomise):
        model = ck.build_model(BASE)
        before = copy.deepcopy(model.state_dict())
        state = self.change(randomise(ck.build_model(BASE), seed=4).get_classy_state(), what)
        with pytest.raises(StateError, match=words):
            model.set_classy_state(state)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    @pytest.mark.parametrize("what", ["junk", "missing"])
    def test_what_is_not_strict(self, what, randomise):
        model = ck.build_model(BASE)
        other = randomise(ck.build_model(BASE), seed=4)
        model.set_classy_state(self.change(other.get_classy_state(), what), strict=False)
        key = "stages.0.pathway0.pathway0-stage1-block0.residual.transform.0.weight"
        assert torch.equal(model.state_dict()[key], other.state_dict()[key])


def test_the_config_rebuilds_the_model(light):
    model = ck.build_model({**light, "input_key": "video", "heads": [head("pathway0-stage2-block1")]})
    config = json.loads(json.dumps(model.config))
    twin = ck.build_model(config).eval()
    twin.set_classy_state(model.get_classy_state())
    x = {"video": torch.randn(1, 3, 4, 32, 32)}
    assert torch.equal(twin(x), model.eval()(x)) and twin.config == model.config


# ---- bad configs ----


@pytest.mark.parametrize("key", ["stage_temporal_kernel_basis", "temporal_conv_1x1", "stage_temporal_stride"])
def test_lists_fill_up_by_the_number_of_stages(key):
    assert (
        ck.build_model(BASE, device="meta", num_blocks=[1] * 6, **{key: None}).block_names[-1]
        == "pathway0-stage6-block0"
    )


@pytest.mark.parametrize(
    "keys, words",
    [
        ({"num_blocks": None}, "'num_blocks' = None"),
        ({"num_blocks": []}, "num_blocks"),
        ({"num_blocks": [1, 0]}, "'num_blocks.1' = 0"),
        ({"num_blocks": [10**6]}, "'num_blocks.0' = 1000000.*1024"),
        ({"num_blocks": [1.0]}, "num_blocks.0"),
        ({"num_blocks": [1] * 13}, "num_blocks.*12"),
        ({"input_planes": 0}, "'input_planes' = 0"),
        ({"clip_crop_size": (112, 112)}, "clip_crop_size"),
        ({"frames_per_clip": 10**9}, "frames_per_clip"),
        ({"frames_per_clip": "8"}, "frames_per_clip"),
        ({"input_key": 5}, "input_key"),
        ({"stem_name": "resnext_stem"}, "'stem_name' = 'resnext_stem'.*'resnext3d_stem' or 'r2plus1d_stem'"),
        ({"skip_transformation_type": "identity"}, "skip_transformation_type.*postactivated_shortcut"),
        ({"residual_transformation_type": "basic"}, "residual_transformation_type.*basic_transformation"),
        ({"stem_planes": -1}, "stem_planes"),
        ({"stem_temporal_kernel": 0}, "stem_temporal_kernel"),
        ({"stem_spatial_kernel": 10**6}, "stem_spatial_kernel"),
        ({"stem_maxpool": 1}, "stem_maxpool"),
        ({"stage_planes": 0}, "stage_planes"),
        (
            {"stage_temporal_kernel_basis": [[3]]},
            "stage_temporal_kernel_basis = .* has 1 entries, num_blocks = .* has 2",
        ),
        ({"stage_temporal_kernel_basis": [[3], []]}, "stage_temporal_kernel_basis.1"),
        ({"stage_temporal_kernel_basis": [3, 3]}, "stage_temporal_kernel_basis.0"),
        ({**POST, "stage_temporal_kernel_basis": [[3], [3, 2]]}, "even kernel, 2, .*use odd"),
        ({"temporal_conv_1x1": [True] * 4}, "temporal_conv_1x1 = .* has 4 entries.*one for each stage"),
        ({"temporal_conv_1x1": [1, 0]}, "temporal_conv_1x1.0"),
        ({"temporal_conv_1x1": True}, "temporal_conv_1x1"),
        ({"stage_temporal_stride": []}, "stage_temporal_stride = .* has 0 entries"),
        ({"stage_temporal_stride": [1, 0]}, "stage_temporal_stride.1"),
        ({"stage_spatial_stride": [1, 2, 2]}, "stage_spatial_stride = .* has 3 entries"),
        ({"num_groups": 3}, "num_groups = 3 does not divide the 8 channels.*use a divisor"),
        ({**R2PLUS1D, "num_groups": 4}, "num_groups = 4 does not divide the 18 channels"),
        ({"width_per_group": 0}, "width_per_group"),
        ({"zero_init_residual_transform": "yes"}, "zero_init_residual_transform"),
        ({"stage_plane": 8}, "'stage_plane' is unknown. Did you mean 'stage_planes'"),
        ({"stage_planes": 2**24, "num_blocks": [1] * 12}, "resnext3d: a model of these sizes cannot be allocated"),
    ],
)
def test_bad_configs(keys, words):
    with pytest.raises(ConfigError, match=words):
        ck.build_model({**BASE, **keys}, device="meta")  # too large a one is not to fill the memory first


@pytest.mark.parametrize("key", ["input_planes", "frames_per_clip", "num_blocks", "residual_transformation_type"])
def test_required_keys(key):
    config = {k: v for k, v in BASE.items() if k != key}
    with pytest.raises(ConfigError, match=re.escape(f"resnext3d: key '{key}' is required")):
        ck.build_model(config)


def test_the_largest_clip_is_described():
    config = {**BASE, "input_planes": 1024, "frames_per_clip": 2**14, "clip_crop_size": 2**14, "stem_planes": 16}
    assert ck.inspect(config).macs > 2**50


ODD = st.sampled_from([None, True, 0, -1, 1.5, "3", [], [[]], {}, 2, [2, 2], 10**9, 10**30, float("nan")])
SENSIBLE = st.fixed_dictionaries(
    {"num_blocks": st.lists(st.integers(1, 2), min_size=2, max_size=2)},
    optional={
        "residual_transformation_type": st.sampled_from(RESIDUALS),
        "skip_transformation_type": st.sampled_from(SKIPS),
        "input_planes": st.integers(1, 4),
        "clip_crop_size": st.integers(1, 40),
        "frames_per_clip": st.integers(1, 9),
        "input_key": st.sampled_from(["video", ""]),
        "stem_name": st.sampled_from(STEMS),
        "stem_planes": st.integers(1, 12),
        "stem_temporal_kernel": st.integers(1, 6),
        "stem_spatial_kernel": st.integers(1, 9),
        "stem_maxpool": st.booleans(),
        "stage_planes": st.integers(1, 12),
        "stage_temporal_kernel_basis": st.lists(
            st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=3), min_size=2, max_size=2
        ),
        "temporal_conv_1x1": st.lists(st.booleans(), min_size=2, max_size=2),
        "stage_temporal_stride": st.lists(st.integers(1, 4), min_size=2, max_size=2),
        "stage_spatial_stride": st.lists(st.integers(1, 4), min_size=2, max_size=2),
        "num_groups": st.sampled_from([1, 1, 1, 2]),
        "width_per_group": st.integers(1, 5),
        "zero_init_residual_transform": st.booleans(),
    },
)
KEYS = st.sampled_from(
    [key for key in BASE if key != "name"] + ["temporal_conv_1x1", "stage_spatial_stride", "input_key"]
)


@settings(deadline=None, max_examples=60)
@given(SENSIBLE, st.one_of(st.none(), st.tuples(KEYS, ODD)))
def test_a_config_gives_a_model_that_runs_or_an_error_that_names_the_key(keys, odd):
    keys |= {} if odd is None else {odd[0]: odd[1]}
    try:
        model = ck.build_model({**BASE, **keys}, device="meta")
    except ConfigError as error:
        assert any(key in str(error) for key in keys), error
        return
    assert [b.name for b in ck.inspect(model, batch_size=2).blocks] == model.block_names
    assert ck.build_model(model.config, device="meta").config == model.config
    model.attach_head(model.block_names[0], "fully_convolutional_linear", num_classes=2)
    model.attach_head(model.block_names[-1], "linear_probe", num_classes=2)
