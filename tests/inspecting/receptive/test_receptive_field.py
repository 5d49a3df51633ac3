"""What each block sees of the input: against gradients, the literature, and itself with and without folding."""

import copy
import math

import pytest
import torch
from fields_of import Lambda, last
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from torch import nn

import classykit as ck
from classykit.features import Features, main_tensor
from classykit.inspecting import tracer
from classykit.inspecting.receptive.receptive_field import ReceptiveField
from classykit.inspecting.report import Inspection
from classykit.models.classy_model import ClassyModel

_SMOOTH = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU)


def _positive(model: nn.Module) -> nn.Module:
    """A copy in which gradients cannot vanish by chance: positive weights of an average, no kinks, no maxima."""
    model = copy.deepcopy(model).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            fan = p[0].numel() if p.ndim > 1 else 1
            p.copy_((0.5 + torch.rand(p.shape, generator=generator)) / fan)
        for part in model.modules():
            if getattr(part, "running_mean", None) is not None:
                part.running_mean.zero_()
                part.running_var.fill_(1.0)
            for name, child in part.named_children():
                if isinstance(child, _SMOOTH) or type(child).__name__ in ("GELU", "GELUTanh"):
                    setattr(part, name, nn.Identity())
                elif isinstance(child, (nn.MaxPool2d, nn.MaxPool3d)):
                    kind = nn.AvgPool3d if isinstance(child, nn.MaxPool3d) else nn.AvgPool2d
                    setattr(part, name, kind(child.kernel_size, child.stride, child.padding, child.ceil_mode))
    return model


def _outputs(model: ClassyModel, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """{block: its features}, with the graph back to ``x``."""
    given, handles = {}, []
    for name, path in model.block_paths().items():

        def keep(module, args, output, name=name):
            found = main_tensor(output, 1)[1]
            given.setdefault(name, found.clone() if isinstance(found, torch.Tensor) else found)

        handles.append(model.get_submodule(path).register_forward_hook(keep))
    model(x)
    for handle in handles:
        handle.remove()
    return given


def _entry(y: torch.Tensor, position, extents) -> torch.Tensor:
    """All channels of one position of a map, of tokens (after others: the class token), or of a vector."""
    features = Features.of(y, 1)
    if features.kind == "vector":
        return y.sum()
    if features.kind == "tokens":
        lead = y.shape[1] - math.prod(extents)
        index = 0
        for i, n in zip(position, extents, strict=True):
            index = index * n + i
        return y[0, lead + index].sum()
    return y[(0, *position)].sum() if features.channels_last else y[(0, slice(None), *position)].sum()


def _check(model: nn.Module | dict, shape, whole=1, grid=None, boxes=True) -> Inspection:
    """Compare the fields of all blocks with the input's gradients, at the centre and elsewhere.

    ``whole``: how many blocks, at least, are to have windows that lie within the image. ``grid``: of tokens. ``boxes``:
    all pixels of a window count, else only its hull.
    """
    model = ck.build_model(model) if isinstance(model, dict) else model
    original = ck.inspect(model, shape)
    model = ClassyModel.from_model(_positive(model), input_shape=shape)
    found = ck.inspect(model, shape)
    assert {b.name: b.receptive_field for b in found.blocks} == {b.name: b.receptive_field for b in original.blocks}
    x = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    inside = 0
    for name, y in _outputs(model, x).items():
        field = found[name].receptive_field
        assert field.unknown == "", f"{name}: {field}"
        features = Features.of(y, 1)
        extents = features.spatial or grid or (1,) * (len(shape) - 1)
        places = [tuple(n * k // 6 for n in extents) for k in (3, 2, 4)]
        for position in dict.fromkeys(places):
            (gradient,) = torch.autograd.grad(_entry(y, position, extents), x, retain_graph=True)
            seen = gradient[0].abs().sum(0) > 0
            if not boxes:
                seen = _hull(seen)
            predicted = torch.zeros_like(seen)
            predicted[field.pixels(position)] = True
            assert torch.equal(seen, predicted), f"{name} at {position}: {field}, the gradient sees {_bounds(seen)}"
        centre = zip(field.offset, field.stride, places[0], field.size, shape[1:], strict=True)
        inside += all(o + i * s >= 0 and o + i * s + k <= n for o, s, i, k, n in centre)
    assert inside >= whole
    return found


def _bounds(seen: torch.Tensor):
    points = seen.nonzero()
    return [(int(a), int(b)) for a, b in zip(points.amin(0), points.amax(0), strict=True)] if len(points) else None


def _hull(seen: torch.Tensor) -> torch.Tensor:
    box = torch.zeros_like(seen)
    if (bounds := _bounds(seen)) is not None:
        box[tuple(slice(a, b + 1) for a, b in bounds)] = True
    return box


_EFFICIENTNET = {
    "name": "efficientnet", "num_classes": 3, "drop_connect_rate": 0.2, "bn_momentum": 0.01, "bn_epsilon": 1e-3,
    "width_divisor": 8, "min_width": None,
    "model_params": {"width_coefficient": 0.1, "depth_coefficient": 0.5, "resolution": 224, "dropout_rate": 0.2},
}  # fmt: skip


_ANYNET = {
    "name": "anynet", "depths": [1, 2, 1], "widths": [8, 8, 16], "group_widths": [4, 4, 8], "stem_width": 4,
    "bottleneck_multipliers": [1.0, 1.0, 1.0], "strides": [2, 2, 2],
}  # fmt: skip


_REGNET = {"name": "regnet", "depth": 5, "w_0": 8, "w_a": 8.0, "w_m": 2.0, "group_width": 4, "stem_width": 4}


class TestAgainstGradients:
    """The pixels with a gradient are those predicted, for at least one model of each family."""

    def test_resnet(self):
        config = {"name": "resnext", "num_blocks": [2, 2, 2, 2], "init_planes": 4, "basic_layer": True}
        found = _check(config, (3, 128, 128), whole=4)
        assert [str(b.receptive_field) for b in found.blocks] == [
            str(b.receptive_field) for b in ck.inspect("resnet18").blocks
        ]

    def test_resnext(self):
        config = {"name": "resnext", "num_blocks": [1, 2, 2], "init_planes": 8, "base_width_and_cardinality": (4, 2)}
        _check(config, (3, 128, 128), whole=4)

    def test_densenet(self):
        _check({"name": "densenet", "num_blocks": [3, 2], "init_planes": 4, "growth_rate": 4}, (3, 96, 96), whole=5)

    def test_efficientnet_with_squeeze_excitation(self):
        found = _check({**_EFFICIENTNET, "use_se": True}, (3, 64, 64), whole=1)
        assert str(found["block0-0"].receptive_field) == "global (squeeze-excitation in block0-0)"
        assert str(found.blocks[-1].receptive_field) == "global (squeeze-excitation in block0-0)"

    def test_efficientnet_without(self):
        found = _check({**_EFFICIENTNET, "use_se": False}, (3, 192, 192), whole=6)
        assert str(found.blocks[-1].receptive_field) == "global (pooling in fc)"
        assert not found.blocks[-2].receptive_field.global_by

    def test_anynet(self):
        _check(_ANYNET, (3, 160, 160), whole=4)

    def test_regnet_x(self):
        _check(_REGNET, (3, 160, 160), whole=3)

    def test_regnet_y(self):
        found = _check({**_REGNET, "use_se": True}, (3, 64, 64), whole=1)
        assert found["stem"].receptive_field.size == (3, 3)
        assert str(found["block1-0"].receptive_field) == "global (squeeze-excitation in block1-0)"

    @pytest.mark.parametrize("classifier", ["token", "gap"])
    def test_vision_transformer(self, classifier):
        config = {
            "name": "vision_transformer", "image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2,
            "hidden_dim": 16, "mlp_dim": 24, "classifier": classifier,
        }  # fmt: skip
        found = _check(config, (3, 32, 32), whole=2, grid=(4, 4))
        assert str(found["embedding"].receptive_field) == "8×8, stride 8"
        for name in ("layer_0", "layer_1", "ln", "trunk_output"):
            assert str(found[name].receptive_field) == "global (attention in layer_0)"

    def test_a_video_network(self):
        config = {
            "name": "resnext3d", "input_planes": 3, "clip_crop_size": 64, "frames_per_clip": 12, "num_blocks": [1, 1],
            "skip_transformation_type": "postactivated_shortcut",
            "residual_transformation_type": "basic_transformation", "stem_planes": 4, "stage_planes": 4,
            "stem_temporal_kernel": 3, "stem_maxpool": True,
        }  # fmt: skip
        found = _check(config, (3, 12, 64, 64), whole=2)
        field = found.blocks[-1].receptive_field
        assert field.image == (12, 64, 64) and field.size[0] < field.size[1] == field.size[2]

    def test_vgg11(self):
        vgg = pytest.importorskip("torchvision.models.vgg")
        layers = vgg.make_layers([8, "M", 8, "M", 8, 8, "M", 8, 8, "M", 8, 8, "M"])
        _check(layers, (3, 160, 160), whole=6)

    @pytest.mark.parametrize("name, side, whole", [("mobilenet_v2", 128, 8), ("shufflenet_v2_x0_5", 128, 5)])
    def test_torchvisions(self, name, side, whole):
        models = pytest.importorskip("torchvision.models")
        width = {"width_mult": 0.1} if name == "mobilenet_v2" else {}
        _check(getattr(models, name)(num_classes=3, **width), (3, side, side), whole)

    @pytest.mark.parametrize("name, side, whole", [("squeezenet1_1", 127, 5), ("alexnet", 191, 4)])
    def test_torchvisions_without_padding(self, name, side, whole):
        models = pytest.importorskip("torchvision.models")
        _check(nn.Sequential(*getattr(models, name)(num_classes=3).features), (3, side, side), whole)

    def test_convnext(self):
        models = pytest.importorskip("torchvision.models")
        settings = [models.convnext.CNBlockConfig(8, 16, 2), models.convnext.CNBlockConfig(16, None, 1)]
        found = _check(models.ConvNeXt(settings, num_classes=3), (3, 160, 160), whole=4)
        assert str(found["features.1.0"].receptive_field) == "28×28, stride 4"  # 4 + (7 - 1)·4

    @pytest.mark.parametrize(
        "name, light, whole",
        [("resnet10t", {"channels": (8, 8, 8, 8), "stem_width": 8}, 4),
         ("convnext_atto", {"dims": (8, 8, 8, 8)}, 3)]
    )  # fmt: skip
    def test_timms(self, name, light, whole):
        timm = pytest.importorskip("timm")
        _check(timm.create_model(name, num_classes=3, **light), (3, 160, 160), whole)

    def test_branches_of_inception(self):
        """A 1×7 branch next to a 7×1 branch: the hull of a cross."""
        models = pytest.importorskip("torchvision.models")
        a = models.inception.InceptionA(3, pool_features=4)
        c = models.inception.InceptionC(a(torch.zeros(2, 3, 16, 16)).shape[1], channels_7x7=8)
        _positive_pools = nn.Sequential(a, c)
        found = _check(_positive_pools, (3, 48, 48), whole=2, boxes=False)
        assert [str(b.receptive_field) for b in found.blocks] == ["5×5, stride 1", "17×17, stride 1"]

    def test_swin_is_unknown_until_one_window_holds_all(self):
        models = pytest.importorskip("torchvision.models")
        found = ck.inspect(models.swin_t())
        assert str(found["features.0"].receptive_field) == "4×4, stride 4"
        for name in ("features.1.0", "features.3.1", "features.6"):
            assert str(found[name].receptive_field) == "unknown (windows of positions in features.1.0)"
        for name in ("features.7.0", "head"):
            assert str(found[name].receptive_field) == "global (attention in features.7.0)"


class TestAgainstTheLiterature:
    """Araujo et al. 2019, table of popular networks; and the architectures' own papers."""

    def test_vgg16(self):
        models = pytest.importorskip("torchvision.models")
        with torch.device("meta"):
            found = ck.inspect(models.vgg16())
        conv5_3 = found["features.28"].receptive_field
        assert (conv5_3.size, conv5_3.stride, conv5_3.offset) == ((196, 196), (16, 16), (-90, -90))
        # with pool5: 212, stride 32, padding 90
        assert conv5_3.size[0] + conv5_3.stride[0] == 212

    def test_inception_v3(self):
        models = pytest.importorskip("torchvision.models")
        with torch.device("meta"):
            found = ck.inspect(models.inception_v3(init_weights=False), (3, 299, 299))
        assert str(found["Mixed_7c"].receptive_field) == "1311×1311, stride 32"

    def test_resnet50(self):
        """Strides in the 3×3 convolutions; 483 is for strides in the 1×1 before them."""
        last = ck.inspect("resnet50")["block3-2"].receptive_field
        assert (last.size, last.stride, last.offset) == ((427, 427), (32, 32), (-213, -213))

    def test_it_is_the_same_for_any_input(self):
        inspections = (ck.inspect("resnet18", (3, side, side)) for side in (32, 448))
        small, large = ({b.name: b.receptive_field for b in i.blocks} for i in inspections)
        assert len(small) == 9 and [(f.size, f.stride, f.offset) for f in small.values()] == [
            (f.size, f.stride, f.offset) for f in large.values()
        ]


_LAYERS = st.one_of(
    st.builds(
        lambda k, s, p, d: lambda c: nn.Conv2d(c, c, k, s, min(p, k // 2), d),
        st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2),
    ),
    st.builds(lambda k, s: lambda c: nn.AvgPool2d(k, s, k // 2), st.integers(1, 3), st.integers(1, 2)),
    st.builds(
        lambda k, s: lambda c: nn.Conv2d(c, c, (1, 2 * k + 1), (1, s), (0, k)), st.integers(1, 2), st.integers(1, 2)
    ),
    st.just(lambda c: nn.BatchNorm2d(c)),
    st.just(lambda c: Lambda(lambda x, f: f(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.Linear(c, c))),
    st.just(lambda c: Lambda(lambda x: x[:, :, 1:, :-1])),
    st.just(lambda c: Lambda(lambda x: x.flatten(2).mT.mT.reshape(x.shape))),
)  # fmt: skip


_ONE = st.builds(lambda layer: lambda c: layer(c), _LAYERS)


_BRANCHES = st.builds(
    lambda k, join: lambda c: _Branches(nn.Conv2d(c, c, 2 * k + 1, padding=k), join),
    st.integers(0, 2), st.sampled_from(["add", "cat", "none"]),
)  # fmt: skip


class _Branches(nn.Module):
    def __init__(self, conv, join):
        super().__init__()
        self.conv, self.join = conv, join

    def forward(self, x):
        y = self.conv(x)
        if self.join == "cat":
            return torch.cat([x, y], 1)[:, : x.shape[1]] + y
        return x + y if self.join == "add" else y


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(_ONE, _BRANCHES), min_size=1, max_size=5))
def test_random_stacks_against_gradients(layers):
    model = _positive(nn.Sequential(*(layer(2) for layer in layers)))
    x = torch.rand(1, 2, 64, 64, dtype=torch.float64, requires_grad=True)
    try:
        y = model(x)
    except RuntimeError:
        reject()  # nothing is left of the map
    assume(min(y.shape[2:]) >= 3)
    field = last(model, (2, 64, 64))
    assert not field.unknown and not field.global_by
    position = tuple(n // 2 for n in y.shape[2:])
    (gradient,) = torch.autograd.grad(y[(0, slice(None), *position)].sum(), x)
    seen = _hull(gradient[0].abs().sum(0) > 0)
    starts = [o + i * s for o, i, s in zip(field.offset, position, field.stride, strict=True)]
    predicted = torch.zeros_like(seen)
    predicted[field.pixels(position)] = True
    if all(a >= 0 and a + k <= 64 for a, k in zip(starts, field.size, strict=True)):
        assert torch.equal(seen, predicted)
    else:  # of what reaches over the edge, windows in the padding see nothing
        assert bool((seen <= predicted).all())


class TestFolding:
    @pytest.mark.parametrize(
        "name", ["resnet18", "regnet_y_400mf", "vit_b_16", "efficientnet_b0", "densenet121", "r3d_18"]
    )
    def test_it_makes_no_difference(self, name, monkeypatch):
        folded = ck.inspect(ck.build_model(name, device="meta"))
        trace = tracer.trace
        monkeypatch.setattr("classykit.inspecting.inspection.trace", lambda *args, **kwargs: trace(*args, fold=False))
        assert folded.blocks == ck.inspect(ck.build_model(name, device="meta")).blocks

    @pytest.mark.parametrize("name", ["swin_t", "resnet50", "mobilenet_v3_small", "vit_b_32"])
    def test_nor_for_strangers(self, name, monkeypatch):
        models = pytest.importorskip("torchvision.models")
        with torch.device("meta"):
            model = getattr(models, name)()
        folded = ck.inspect(model)
        trace = tracer.trace
        monkeypatch.setattr("classykit.inspecting.inspection.trace", lambda *args, **kwargs: trace(*args, fold=False))
        assert folded.blocks == ck.inspect(model).blocks


def test_heads_and_what_follows_the_blocks_have_one():
    model = ck.build_model("resnet18", device="meta")
    model.attach_head("block2-1", "fully_connected", unique_id="early", num_classes=5)
    found = ck.inspect(model)
    assert str(found["early"].receptive_field) == "global (pooling in early)"
    assert str(found["block3-0"].receptive_field) == "307×307, stride 32"


def test_a_pass_on_numbers_has_them_too():
    """Where torch fuses attention into one operation."""

    def depends(x, conv, attention):
        tokens = conv(x).flatten(2).mT
        return attention(tokens, tokens, tokens)[0] if x.mean().item() > -1 else tokens

    attention = Lambda(depends, nn.Conv2d(4, 8, 3), nn.MultiheadAttention(8, 2, batch_first=True))
    found = ck.inspect(nn.Sequential(nn.Conv2d(3, 4, 5, 2), attention), (3, 16, 16))
    assert found.note and [str(b.receptive_field) for b in found.blocks] == ["5×5, stride 2", "global (attention in 1)"]


def test_a_clip_in_a_dict():
    light = {
        "name": "r3d_18", "clip_crop_size": 32, "frames_per_clip": 8, "num_blocks": [1, 1], "stem_planes": 4,
        "stage_planes": 4, "input_key": "video",
    }  # fmt: skip
    named = ck.inspect(light)
    plain = ck.inspect({k: v for k, v in light.items() if k != "input_key"})
    assert [b.receptive_field for b in named.blocks] == [b.receptive_field for b in plain.blocks]
    assert len(plain.blocks[0].receptive_field.size) == 3


def test_dicts_and_tuples_count_by_their_main_tensor():
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    two = Lambda(lambda x, a, b: {"size": (4, 4), "map": b(a(x)), "before": a(x)}, first, second)
    model = nn.Sequential(nn.Conv2d(3, 3, 7, padding=3))  # more work than what follows, which is not opened so
    model.add_module("two", two)
    assert ck.inspect(ClassyModel.from_model(model), (3, 8, 8))["two"].receptive_field.size == (11, 11)


class TestText:
    def test_forms(self):
        assert str(ReceptiveField((3, 7), (1, 2), (0, 0), (9, 9))) == "3×7, stride 1×2"
        assert str(ReceptiveField((3, 3), (2, 2), (0, 0), (9, 9))) == "3×3, stride 2"
        assert str(ReceptiveField((9, 9), (0, 0), (0, 0), (9, 9), "attention in a")) == "global (attention in a)"
        assert str(ReceptiveField(None, None, None, (9, 9), unknown="why")) == "unknown (why)"

    def test_it_can_be_a_key(self):
        assert len({ReceptiveField((3,), (1,), (0,), (9,)), ReceptiveField((3,), (1,), (0,), (9,))}) == 1


class TestStrangers:
    """Nothing raises, and what is known of the design is found again."""

    @pytest.mark.parametrize(
        "name, wanted",
        [
            ("timm:mixer_s16_224", "a linear layer over positions in blocks.0"),
            ("timm:convnextv2_atto", "normalisation in stages.0.blocks.0"),
            ("timm:mobilevit_xxs", "pooling in head"),
            ("timm:pvt_v2_b0", "attention in stages.0.blocks.0"),
            ("timm:levit_128s", "attention in stages.0.blocks.0"),
            ("timm:ghostnet_100", "squeeze-excitation in blocks.3.0"),
            ("timm:eca_resnet33ts", "squeeze-excitation in stages.0.0"),
            ("timm:tnt_s_patch16_224", "attention in blocks.0"),
            ("timm:efficientvit_b0", "attention in stages.2.blocks.1"),
            ("torchvision:shufflenet_v2_x1_0", "pooling in fc"),
            ("torchvision:mobilenet_v3_small", "squeeze-excitation in features.1"),
            ("torchvision:vit_b_16", "attention in encoder.layers.encoder_layer_0"),
            ("torchvision:swin_v2_t", "attention in features.7.0"),
            ("torchvision:maxvit_t", "squeeze-excitation in blocks.0.layers.0.layers.MBconv"),
        ],
    )
    def test_what_makes_them_global(self, name, wanted):
        library, name = name.split(":")
        with torch.device("meta"):
            if library == "timm":
                model = pytest.importorskip("timm").create_model(name)
            else:
                model = getattr(pytest.importorskip("torchvision.models"), name)()
        seen = [b.receptive_field for b in ck.inspect(model).blocks]
        assert seen[-1].is_global and seen[-1].global_by == wanted
        unknown = {s.unknown for s in seen} - {"", "windows of positions"}  # those of tnt's pixels lie in the batch
        assert unknown <= {f"windows of positions in {where}" for where in ("features.1.0", "stages.2.1")}
