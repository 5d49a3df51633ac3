"""classykit.load_pretrained with a torchvision model: the same logits, or a refusal."""

import pytest
import timm
import torch
from sources import SOURCES, make, models
from torch import nn

import classykit as ck
from classykit.errors import WeightsError


@pytest.mark.parametrize("name", SOURCES)
def test_the_logits_are_the_sources(name, randomise, everything, assert_same, parity):
    source = make(name, randomise)
    source.train()
    before = everything(source)
    model = ck.load_pretrained(name, source=source)
    assert_same(before, everything(source))
    _, side, head = SOURCES[name]
    x = torch.randn(2, 3, side, side)
    source.eval()
    with torch.no_grad():
        ours, theirs = model(x), source(x)
    worst = (ours - theirs).abs().max().item()
    parity(f"torchvision {name}", "outputs", f"float32 {worst:.0e}")
    assert theirs.std() > 1e-2 and worst <= 3e-5 * max(1, theirs.abs().max().item())
    assert not model.training and [h.unique_id for of in model.get_heads().values() for h in of] == (
        [head] if head else []
    )
    with torch.no_grad():
        next(model.parameters()).zero_()
        assert torch.equal(source(x), theirs), "the weights are copies"


@pytest.mark.parametrize(
    "name, source, words",
    [
        ("resnet34", "resnet18", "lacks .*blocks.0.block0-2"),
        ("resnet50", "resnet18", "lacks|does not fit"),
        ("resnext50_32x4d", "resnet50", "shape"),
        ("resnet50", "wide_resnet50_2", "shape"),
        ("efficientnet_b0", "resnet18", "converts to a ResNeXt, and efficientnet_b0 is a EfficientNet"),
        ("efficientnet_b1", "efficientnet_b0", "does not fit"),
        ("efficientnet_b0", "efficientnet_v2_s", "no conversion|conversion is known|does not fit"),
        ("resnet18", "mobilenet_v2", "No conversion is known for torchvision.models.mobilenetv2.MobileNetV2"),
    ],
)
def test_another_architecture_is_refused(name, source, words):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source=getattr(models, source)())


def test_any_other_module_is_refused():
    with pytest.raises(WeightsError, match=r"No conversion is known for torch.nn.modules.linear.Linear"):
        ck.load_pretrained("resnet18", source=nn.Linear(2, 2))


def _silu_in_one_block(m):
    m.layer3[1].relu = nn.SiLU()


def _other_eps(m):
    for bn in m.modules():
        if isinstance(bn, nn.BatchNorm2d):
            bn.eps = 0.1


def _other_stride(m):
    m.layer4[0].conv1.stride, m.layer4[0].downsample[0].stride = (1, 1), (1, 1)


def _no_pooling(m):
    m.maxpool = nn.AvgPool2d(3, 2, 1)


def _extra_layer(m):
    m.fc = nn.Sequential(m.fc, nn.Linear(11, 11))


@pytest.mark.parametrize("change", [_silu_in_one_block, _other_eps, _other_stride, _no_pooling, _extra_layer])
@pytest.mark.parametrize("zero_classifier", [False, True], ids=["", "classifier at zero"])
def test_what_no_weight_shows_is_refused(change, zero_classifier, randomise):
    source = make("resnet18", randomise)
    if zero_classifier and change is not _extra_layer:
        nn.init.zeros_(source.fc.weight)
    change(source)
    with pytest.raises(WeightsError):
        ck.load_pretrained("resnet18", source=source)


def test_a_source_in_double_or_half(randomise):
    source = make("resnet18", randomise).double()
    model = ck.load_pretrained("resnet18", source=source)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    assert next(model.parameters()).dtype == torch.float64
    torch.testing.assert_close(model(x), source(x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("ours, theirs, channels", [
    ("resnet18", "resnet18", 1), ("efficientnet_b0", "efficientnet_b0", 4), ("regnet_y_400mf", "regnety_004", 6),
    ("densenet121", "densenet121", 2), ("vit_b_32", "vit_base_patch32_224", 1), ("resnext", "resnet26", 4),
])  # fmt: skip
def test_pictures_of_other_channels(ours, theirs, channels):
    keys = {"depth": 12} if "vit" in theirs else {}
    source = timm.create_model(theirs, in_chans=channels, num_classes=5, **keys).eval()
    model = ck.load_pretrained(ours, source=source)
    assert model.input_shape[0] == channels and model.config["in_channels"] == channels
    x = torch.rand(1, channels, *((224, 224) if "vit" in theirs else (64, 64)))
    torch.testing.assert_close(model(x), source(x), atol=1e-4, rtol=1e-3)
