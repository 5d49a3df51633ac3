"""classykit.weights.families.regnet: torchvision's RegNets, and AnyNets with all that they say."""

import pytest
import torch
from sources import assert_float64_parity, models

import classykit as ck
from classykit.errors import WeightsError


@pytest.mark.parametrize("name", ["regnet_y_400mf", "regnet_x_800mf"])
def test_the_logits_are_the_sources(name, randomise, parity):
    source = randomise(getattr(models, name)(num_classes=11)).eval()
    model = ck.load_pretrained(name, source=source)
    assert model.config["name"] == name and not model.training
    assert model.config["heads"][0]["fork_block"] == model.block_names[-1]
    assert_float64_parity(model, source, f"torchvision {name}", parity)
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert next(source.parameters()).abs().sum() > 0, "the weights are copies"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "regnet_y_1.6gf", "regnet_y_3.2gf", "regnet_y_16gf", "regnet_x_1.6gf",
        "regnet_x_3.2gf", "regnet_x_8gf", "regnet_x_16gf",
    ],
)  # fmt: skip
def test_the_logits_of_larger_ones(name, randomise, parity):
    source = randomise(getattr(models, name.replace(".", "_"))(num_classes=11)).eval()
    assert_float64_parity(ck.load_pretrained(name, source=source), source, f"torchvision {name}", parity)


@pytest.mark.parametrize(
    "name, ours, theirs",
    [
        ("regnet_y_800mf", [64, 128, 320, 768], [64, 144, 320, 784]),
        ("regnet_x_400mf", [32, 64, 160, 384], [32, 64, 160, 400]),
    ],
)
def test_other_widths_are_refused_and_an_anynet_has_them(name, ours, theirs, randomise, parity):
    source = randomise(getattr(models, name)(num_classes=11)).eval()
    with pytest.raises(WeightsError) as refusal:
        ck.load_pretrained(name, source=source)
    message = str(refusal.value)
    assert f"{name}'s stages have {ours} channels, the source's {theirs}" in message
    assert 'load_pretrained("anynet", source=source)' in message
    model = ck.load_pretrained("anynet", source=source)
    assert model.config["widths"] == theirs
    assert_float64_parity(model, source, f"torchvision {name} as anynet", parity)
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
        ("anynet", "densenet121", "converts to a DenseNet, and anynet is a AnyNet"),
        ("densenet121", "regnet_y_400mf", "converts to a RegNet"),
    ],
)
def test_another_model_is_refused(name, source, words, randomise):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source=randomise(getattr(models, source)(num_classes=11)).eval())


def test_settings_that_no_weight_shows_are_noticed(randomise):
    source = randomise(models.regnet_y_400mf(num_classes=11)).eval()
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.5
    with pytest.raises(WeightsError, match="other features"):
        ck.load_pretrained("regnet_y_400mf", source=source)
