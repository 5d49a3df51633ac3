"""classykit.weights.families.resnext3d: torchvision's r3d_18, block by block."""

import pytest
import torch
from torch import nn

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights import keymaps
from classykit.weights.families import resnext3d

video = pytest.importorskip("torchvision.models.video")


@pytest.fixture(scope="module")
def source(randomise):
    return randomise(video.r3d_18(num_classes=11)).eval()


def test_the_logits_are_the_sources(source, everything, assert_same, parity):
    source.train()
    before = everything(source)
    model = ck.load_pretrained("r3d_18", source=source)
    assert_same(before, everything(source))
    source.eval()
    assert not model.training
    x = torch.randn(2, 3, 8, 64, 64)
    with torch.no_grad():
        ours, theirs = model(x), source(x)
    worst = (ours - theirs).abs().max().item()
    parity("torchvision r3d_18", "outputs", f"float32 {worst:.0e}")
    assert ours.shape == (2, 11) and theirs.std() > 1e-2 and worst <= 1e-5
    (head,) = model.get_heads()["pathway0-stage4-block1"]
    assert head.config["activation_func"] == "identity"
    with torch.no_grad():
        assert torch.equal(model.double()(x.double()), ck.ClassyModel.from_model(source).double()(x.double()))
        source.float()
        next(model.parameters()).zero_()
        assert torch.equal(source(x), theirs), "the weights are copies"


def test_every_block_gives_what_the_sources_gives(source):
    model = ck.load_pretrained("r3d_18", source=source)
    x = torch.randn(1, 3, 4, 32, 32)
    theirs = ck.capture(source, x, ["stem", *(f"layer{s}.{i}" for s in (1, 2, 3, 4) for i in (0, 1))])
    ours = ck.capture(model, x, model.block_names)
    assert len(ours) == 9, "the stem, and two blocks in each of four stages"
    for name, wanted in zip(ours, theirs.values(), strict=True):
        torch.testing.assert_close(ours[name], wanted, atol=1e-5, rtol=0)


def test_the_config_rebuilds_the_converted_model(source):
    model = ck.load_pretrained("r3d_18", source=source)
    again = ck.build_model(model.config).eval()
    again.set_classy_state(model.get_classy_state())
    x = torch.randn(1, 3, 4, 32, 32)
    assert torch.equal(again(x), model(x))


def test_every_key_has_a_place(source):
    renamed = keymaps.rename(source.state_dict(), resnext3d.RULES, "it")
    own = ck.build_model("r3d_18", device="meta").state_dict()
    heads = {"head.head_fcl.projection.weight", "head.head_fcl.projection.bias"}
    assert set(renamed) == set(own) | heads and len(renamed) == len(source.state_dict())


@pytest.mark.parametrize("target", ["r3d_18", "resnext3d_r2plus1d_18"])
@pytest.mark.parametrize(
    "name, words",
    [
        ("r2plus1d_18", r"cannot be converted: its stem is 1×7×7.*230, 460 and 921.*r2plus1d_18.*from_model"),
        ("mc3_18", r"cannot be converted: most of its convolutions are 1×3×3.*mc3_18.*from_model\(source, input_sh"),
    ],
)
def test_what_is_not_exact_is_refused_with_the_reason(name, target, words):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(target, source=getattr(video, name)(num_classes=2))


def test_the_reason_is_true():
    def widths(model):
        return [m.out_channels for m in model.modules() if isinstance(m, nn.Conv3d) and m.kernel_size == (1, 3, 3)]

    with torch.device("meta"):
        theirs = video.r2plus1d_18()
    ours, theirs = widths(ck.build_model("resnext3d_r2plus1d_18", device="meta"))[1:], widths(theirs)
    assert [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b] == [(288, 230), (576, 460), (1152, 921)]


@pytest.mark.parametrize(
    "name, words",
    [
        ("i3d_r50", "lacks 'stages.0.pathway0.pathway0-stage1-block0.skip.branch1.weight'"),
        ("resnext3d_r2plus1d_18", "lacks 'stem.stem.stem-path0.conv.0.weight'"),
        ("resnet18", "converts to a ResNeXt3D, and resnet18 is a ResNeXt"),
    ],
)
def test_another_architecture_is_refused(name, words, source):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source=source)


def _silu(m):
    m.layer3[1].relu = nn.SiLU()


def _other_eps(m):
    for bn in m.modules():
        if isinstance(bn, nn.BatchNorm3d):
            bn.eps = 0.1


def _other_stride(m):
    m.layer4[0].conv1[0].stride = m.layer4[0].downsample[0].stride = (1, 2, 2)


@pytest.mark.parametrize("change", [_silu, _other_eps, _other_stride])
def test_what_no_weight_shows_is_refused(change, randomise):
    source = randomise(video.r3d_18(num_classes=3)).eval()
    change(source)
    with pytest.raises(WeightsError, match=r"other (features|logits)"):
        ck.load_pretrained("r3d_18", source=source)
