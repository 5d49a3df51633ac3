"""classykit.load_pretrained with a timm model: the same logits, or a refusal with the reason."""

from functools import partial

import pytest
import torch
from sources import timm

import classykit as ck
from classykit.errors import WeightsError

#: ours: timm's, and its keyword arguments
LIGHT = [
    ("resnet18", "resnet18", {}),
    ("regnet_x_400mf", "regnetx_004", {}),
    ("regnet_y_400mf", "regnety_004", {}),
    ("anynet", "regnety_002", {}),
    ("regnet_z_500mf", "regnetz_005", {}),
    ("efficientnet_b0", "efficientnet_b0", {}),
    ("efficientnet_b0", "tf_efficientnet_b0", {}),
    ("efficientnet_lite0", "efficientnet_lite0", {}),
    ("efficientnet_lite0", "tf_efficientnet_lite0", {}),
    ("vision_transformer", "vit_tiny_patch16_224", {"img_size": 64, "depth": 2}),
    ("vision_transformer", "vit_base_patch16_gap_224", {"img_size": 32, "depth": 1, "embed_dim": 64, "num_heads": 4}),
]


#: small ones of timm's classes, which have all kinds of parts
SMALL = {
    "a small SE-ResNeXt": partial(
        timm.models.resnet.ResNet, timm.models.resnet.Bottleneck, (1, 2, 1, 1), cardinality=4, base_width=8,
        block_args={"attn_layer": "se"},
    ),
    "a small SE-ResNet": partial(
        timm.models.resnet.ResNet, timm.models.resnet.BasicBlock, (1, 1, 2, 1),
        block_args={"attn_layer": partial(timm.layers.SEModule, rd_ratio=1 / 8)},
    ),
    "a small DenseNet": partial(timm.models.densenet.DenseNet, growth_rate=8, block_config=(2, 3), bn_size=2),
}  # fmt: skip


LIGHT += [("resnext", "a small SE-ResNeXt", {}), ("resnext", "a small SE-ResNet", {}),
          ("densenet", "a small DenseNet", {})]  # fmt: skip


HEAVY = [
    ("resnet34", "resnet34", {}),
    ("resnet50", "resnet50", {}),
    ("resnet50", "seresnet50", {}),
    ("densenet121", "densenet121", {}),
    ("anynet", "regnetz_005", {}),
    ("resnet101", "resnet101", {}),
    ("resnet152", "resnet152", {}),
    ("resnext50_32x4d", "resnext50_32x4d", {}),
    ("resnext", "resnext50_32x4d", {}),
    ("densenet", "densenet121", {}),
    ("resnext50_32x4d", "seresnext50_32x4d", {}),
    ("resnext101_32x4d", "resnext101_32x4d", {}),
    ("resnext", "resnext101_32x8d", {}),
    ("resnext", "wide_resnet50_2", {}),
    ("densenet161", "densenet161", {}),
    ("densenet169", "densenet169", {}),
    ("densenet201", "densenet201", {}),
    *((f"efficientnet_b{i}", f"{tf}efficientnet_b{i}", {}) for i in (1, 2, 3, 4) for tf in ("", "tf_")),
    *((f"efficientnet_lite{i}", f"{tf}efficientnet_lite{i}", {}) for i in (1, 2) for tf in ("", "tf_")),
    *((f"regnet_x_{ours}", f"regnetx_{theirs}", {}) for ours, theirs in
      (("800mf", "008"), ("1.6gf", "016"), ("3.2gf", "032"), ("8gf", "080"), ("16gf", "160"))),
    *((f"regnet_y_{ours}", f"regnety_{theirs}", {}) for ours, theirs in
      (("800mf", "008"), ("1.6gf", "016"), ("3.2gf", "032"), ("8gf", "080"), ("16gf", "160"))),
    *(("anynet", name, {}) for name in ("regnetx_004_tv", "regnetx_006", "regnety_008_tv", "regnety_040")),
    ("anynet", "regnetz_040_h", {}),
    ("regnet_z_4gf", "regnetz_040_h", {}),
    ("vit_b_32", "vit_base_patch32_224", {}),
    ("vit_b_16", "vit_base_patch16_224", {"img_size": 64}),
    ("vit_l_16", "vit_large_patch16_224", {"img_size": 32}),
    ("vit_l_32", "vit_large_patch32_384", {"img_size": 64}),
    ("vision_transformer", "vit_huge_patch14_224", {"img_size": 28, "depth": 2}),
]  # fmt: skip


def make(name, randomise, **keys):
    build = SMALL.get(name) or partial(timm.create_model, name)
    return randomise(build(**{"num_classes": 11, **keys})).eval()


def assert_the_same(ours, theirs, keys, randomise, parity):
    source = make(theirs, randomise, **keys).double()
    model = ck.load_pretrained(ours, source=source)
    side = model.input_shape[-1] if "vi" in ours else 64
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        a, b = model(x), source(x)
    worst = (a - b).abs().max().item()
    parity(f"timm {theirs} as {ours}", "outputs", f"float64 {worst:.0e}")
    assert a.shape == b.shape == (2, 11) and b.std() > 1e-2 and worst <= 1e-12
    again = ck.build_model(model.config).double().eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), a), "the config rebuilds it"


@pytest.mark.parametrize("ours, theirs, keys", LIGHT)
def test_the_logits_are_the_sources(ours, theirs, keys, randomise, parity):
    assert_the_same(ours, theirs, keys, randomise, parity)


@pytest.mark.slow
@pytest.mark.parametrize("ours, theirs, keys", HEAVY)
def test_the_logits_of_larger_ones(ours, theirs, keys, randomise, parity):
    assert_the_same(ours, theirs, keys, randomise, parity)


def test_the_source_is_left_as_it_was(randomise, everything, assert_same):
    source = make("regnety_002", randomise).double().train()
    source.s1.register_forward_hook(lambda module, args, output: None)
    source.head.register_forward_pre_hook(lambda module, args: None)
    before = everything(source)
    model = ck.load_pretrained("anynet", source=source)
    assert_same(before, everything(source))
    old = source.head.fc.weight.clone()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    assert torch.equal(source.head.fc.weight, old), "the weights are copies"


def test_settings_that_no_weight_shows_are_read(randomise):
    configs = {
        name: ck.load_pretrained("efficientnet_b0", source=make(name, randomise)).config
        for name in ("efficientnet_b0", "tf_efficientnet_b0")
    }
    plain, tf = configs.values()
    assert (plain["padding"], plain["bn_epsilon"]) == ("symmetric", 1e-5)
    assert (tf["padding"], tf["bn_epsilon"]) == ("same", 1e-3)
    head = ck.load_pretrained("regnet_z_500mf", source=make("regnetz_005", randomise)).config["heads"][0]
    assert (head["conv_planes"], head["activation"], head["num_classes"]) == (1024, "silu", 11)


@pytest.mark.parametrize(
    "ours, theirs, keys, reason",
    [
        ("resnet18", "seresnet18", {}, "timm rounds them to multiples of 8"),
        ("resnet34", "seresnet34", {}, "8, 8, 16, 32"),
        ("regnet_z_4gf", "regnetz_040", {}, "bare SiLU"),
        ("resnet50", "resnet50d", {}, "stem is a row of 3×3.*pool before their convolution"),
        ("resnet50", "resnetblur50", {}, "anti-aliasing"),
        ("resnet50", "resnet50_gn", {}, "GroupNorm"),
        ("resnet50", "ecaresnet50t", {}, "another attention"),
        ("densenet121", "densenetblur121d", {}, "3×3"),
        ("regnet_y_400mf", "regnetv_040", {}, "normalise before they convolve"),
        ("regnet_x_400mf", "regnetx_004_tv", {}, r'\[32, 64, 160, 384\].*\[32, 64, 160, 400\].*"anynet"'),
        ("efficientnet_b0", "efficientnetv2_rw_t", {}, "without a depthwise convolution"),
        ("efficientnet_b0", "efficientnet_b1", {}, "does not fit"),
        ("vit_b_32", "vit_base_patch32_clip_224", {"depth": 1}, "CLIP"),
        ("vision_transformer", "vit_small_patch14_reg4_dinov2", {"depth": 1}, "register tokens.*LayerScale"),
        ("vision_transformer", "vit_base_patch16_rpn_224", {"depth": 1}, "normalise after attention"),
        ("vision_transformer", "vit_base_patch16_siglip_224", {"depth": 1}, "pools by attention"),
        ("resnet34", "resnet18", {}, "lacks"),
        ("vit_b_16", "resnet18", {}, "converts to a ResNeXt, and vit_b_16 is a VisionTransformer"),
        ("resnet18", "convnext_atto", {}, "No conversion is known for timm.models.convnext.ConvNeXt"),
        ("resnet18", "resnet18", {"num_classes": 0}, "no classifier"),
        ("resnet18", "resnet18", {"global_pool": "max"}, "other features"),
        ("resnet18", "resnet18", {"act_layer": "silu"}, "other features"),
        ("resnet18", "resnet18", {"output_stride": 16}, "other features"),
    ],
)
def test_what_is_not_exact_is_refused_with_the_reason(ours, theirs, keys, reason, randomise):
    with pytest.raises(WeightsError, match=reason):
        ck.load_pretrained(ours, source=make(theirs, randomise, **keys))
