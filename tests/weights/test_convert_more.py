"""classykit.load_pretrained with torchvision's DenseNets and RegNets: the same logits, or a refusal."""

import pytest
import torch

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights import keymaps
from classykit.weights.families import densenet

models = pytest.importorskip("torchvision.models")


def make(name, randomise, **keys):
    return randomise(getattr(models, name)(num_classes=11, **keys)).eval()


def assert_the_same(model, source, label, parity):
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = model.double()(x), source.double()(x)
    worst = (ours - theirs).abs().max().item()
    parity(label, "outputs", f"float64 {worst:.0e}")
    assert theirs.std() > 1e-2 and worst <= 1e-12 * max(1, theirs.abs().max().item())


@pytest.mark.parametrize("name", ["densenet121", "densenet161", "regnet_y_400mf", "regnet_x_800mf"])
def test_the_logits_are_the_sources(name, randomise, parity):
    source = make(name, randomise)
    model = ck.load_pretrained(name, source=source)
    assert model.config["name"] == name and not model.training
    assert model.config["heads"][0]["fork_block"] == model.block_names[-1]
    assert_the_same(model, source, f"torchvision {name}", parity)
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert next(source.parameters()).abs().sum() > 0, "the weights are copies"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "densenet169", "densenet201", "regnet_y_1.6gf", "regnet_y_3.2gf", "regnet_y_16gf", "regnet_x_1.6gf",
        "regnet_x_3.2gf", "regnet_x_8gf", "regnet_x_16gf",
    ],
)  # fmt: skip
def test_the_logits_of_larger_ones(name, randomise, parity):
    source = make(name.replace(".", "_"), randomise)
    assert_the_same(ck.load_pretrained(name, source=source), source, f"torchvision {name}", parity)


@pytest.mark.parametrize(
    "name, ours, theirs",
    [
        ("regnet_y_800mf", [64, 128, 320, 768], [64, 144, 320, 784]),
        ("regnet_x_400mf", [32, 64, 160, 384], [32, 64, 160, 400]),
    ],
)
def test_other_widths_are_refused_and_an_anynet_has_them(name, ours, theirs, randomise, parity):
    source = make(name, randomise)
    with pytest.raises(WeightsError) as refusal:
        ck.load_pretrained(name, source=source)
    message = str(refusal.value)
    assert f"{name}'s stages have {ours} channels, the source's {theirs}" in message
    assert 'load_pretrained("anynet", source=source)' in message
    model = ck.load_pretrained("anynet", source=source)
    assert model.config["widths"] == theirs
    assert_the_same(model, source, f"torchvision {name} as anynet", parity)
    again = ck.build_model(model.config).double().eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    assert torch.equal(again(x), model(x))


def test_an_anynet_reads_every_setting_off_the_source(randomise):
    regnet = pytest.importorskip("torchvision.models.regnet")
    params = regnet.BlockParams.from_init_params(
        depth=5, w_0=16, w_a=20.0, w_m=2.2, group_width=8, bottleneck_multiplier=2.0, se_ratio=0.5
    )

    def norm(channels):
        return torch.nn.BatchNorm2d(channels, eps=1e-2, momentum=0.3)

    source = regnet.RegNet(params, num_classes=7, stem_width=24, norm_layer=norm, activation=torch.nn.SiLU)
    model = ck.load_pretrained("anynet", source=randomise(source).eval())
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model(x), source(x), atol=1e-5, rtol=1e-5)
    kept = {k: model.config[k] for k in ("activation", "bn_epsilon", "bn_momentum", "se_ratio", "stem_width")}
    assert list(kept.values()) == ["silu", 1e-2, 0.3, 0.5, 24]


@pytest.mark.parametrize(
    "name, source, words",
    [
        ("regnet_y_1.6gf", "regnet_y_400mf", "lacks .*The widths differ"),
        ("regnet_x_800mf", "regnet_y_400mf", "does not fit"),
        ("densenet169", "densenet121", "lacks .*block2-24"),
        ("anynet", "densenet121", "converts to a DenseNet, and anynet is a AnyNet"),
        ("densenet121", "regnet_y_400mf", "converts to a RegNet"),
    ],
)
def test_another_model_is_refused(name, source, words, randomise):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source=make(source, randomise))


def test_settings_that_no_weight_shows_are_noticed(randomise):
    source = make("regnet_y_400mf", randomise)
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.5
    with pytest.raises(WeightsError, match="other features"):
        ck.load_pretrained("regnet_y_400mf", source=source)


def test_old_densenet_files_write_dots():
    keys = ["features.denseblock1.denselayer2.norm.1.weight", "features.denseblock4.denselayer16.conv2.weight"]
    renamed = keymaps.rename(dict.fromkeys(keys), densenet.RULES, "a file")
    assert list(renamed) == [
        "features.block_0.block0-1.norm-1.weight", "features.block_3.block3-15.conv-2.weight",
    ]  # fmt: skip
