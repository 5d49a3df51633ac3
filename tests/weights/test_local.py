"""classykit.load_pretrained with a file: whose keys it has is seen; the logits are those of the model that wrote it."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sources import EXACT, models, of_timm, of_torchvision

import classykit as ck
from classykit.errors import MissingDependencyError, WeightsError
from classykit.weights.local import load_state

HEAVY = [
    ("resnet50", of_timm("seresnet50")),
    ("resnext", of_torchvision("resnext50_32x4d")),
    ("densenet121", of_torchvision("densenet121")),
    ("regnet_z_500mf", of_timm("regnetz_005")),
    ("vit_b_32", of_torchvision("vit_b_32", image_size=64)),
    *((f"efficientnet_b{i}", of_torchvision(f"efficientnet_b{i}")) for i in (1, 2, 3, 4, 5)),
    ("vit_b_16", of_timm("vit_base_patch16_224", img_size=64)),
    ("vit_b_32", of_timm("vit_base_patch32_224")),
    ("vit_b_16", of_torchvision("vit_b_16")),
    ("resnext", of_torchvision("wide_resnet50_2")),
    ("resnext", of_torchvision("resnext101_64x4d")),
    ("densenet161", of_torchvision("densenet161")),
    ("regnet_y_1.6gf", of_torchvision("regnet_y_1_6gf")),
    ("anynet", of_torchvision("regnet_y_8gf")),
    ("regnet_z_4gf", of_timm("regnetz_040_h")),
]


def write(source, path):
    state = source.state_dict()
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    return path


def assert_the_same(name, build, path, randomise, parity):
    source = randomise(build()).double().eval()
    model = ck.load_pretrained(name, source=write(source, path))
    side = model.input_shape[-1] if "vit" in name else 64
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = model(x), source(x)
    worst = (ours - theirs).abs().max().item()
    parity(f"{type(source).__module__.split('.')[0]} file as {name}", "outputs", f"float64 {worst:.0e}")
    assert theirs.std() > 1e-2 and worst <= 1e-12 and not model.training
    assert model.labels is model.preprocessing is model.weights is None


@pytest.mark.parametrize("name, build", EXACT)
def test_the_logits_are_those_of_the_model_that_wrote_it(name, build, tmp_path, randomise, parity):
    assert_the_same(name, build, tmp_path / "w.pth", randomise, parity)


@pytest.mark.slow
@pytest.mark.parametrize("name, build", HEAVY)
def test_the_logits_of_larger_ones(name, build, tmp_path, randomise, parity):
    assert_the_same(name, build, tmp_path / "w.pth", randomise, parity)


@pytest.fixture(scope="module")
def resnet18(randomise):
    return randomise(models.resnet18(num_classes=11)).eval()


@pytest.mark.parametrize("file", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
@pytest.mark.parametrize("kind", [str, Path])
def test_every_kind_of_file(file, kind, resnet18, tmp_path):
    path = write(resnet18, tmp_path / file)
    before = path.read_bytes()
    model = ck.load_pretrained("resnet18", source=kind(path))
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model(x), resnet18(x), atol=1e-5, rtol=1e-5)
    assert path.read_bytes() == before


def test_a_video_model(tmp_path, randomise):
    source = randomise(models.video.r3d_18(num_classes=5)).eval()
    model = ck.load_pretrained("r3d_18", source=write(source, tmp_path / "w.pth"))
    x = torch.randn(1, 3, 4, 32, 32)
    torch.testing.assert_close(model(x), source(x), atol=1e-5, rtol=0)


def test_files_from_before_the_batches_were_counted(resnet18, tmp_path):
    # as torchvision's own older files are
    state = {k: v for k, v in resnet18.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "w.pth")
    model = ck.load_pretrained("resnet18", source=tmp_path / "w.pth")
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model(x), resnet18(x), atol=1e-5, rtol=1e-5)
    assert set(ck.build_model("resnet18", device="meta").state_dict()) <= set(model.state_dict())


def test_a_file_without_a_classifier_gives_a_trunk(resnet18, tmp_path):
    torch.save({k: v for k, v in resnet18.state_dict().items() if not k.startswith("fc.")}, tmp_path / "w.pth")
    model = ck.load_pretrained("resnet18", source=tmp_path / "w.pth")
    x = torch.randn(1, 3, 64, 64)
    assert not model.get_heads() and model(x).shape == (1, 512, 2, 2)
    torch.testing.assert_close(resnet18.fc(model(x).mean((2, 3))), resnet18(x), atol=1e-5, rtol=1e-5)


class TestOurKeys:
    def test_what_save_checkpoint_wrote(self, tmp_path, input_for):
        own = ck.build_model("resnet18").eval()
        own.attach_head("block3-1", "fully_connected", num_classes=3)
        own.labels, own.weights = ["a", "b", "c"], "mine"
        for file in ("w.pt", "w.safetensors"):
            path = ck.save_checkpoint(own, tmp_path / file)
            model = ck.load_pretrained("resnet18", source=path)
            x = input_for(own)
            assert torch.equal(model(x), own(x)) and model.labels == own.labels and model.weights == "mine"
            with pytest.raises(WeightsError, match=r"checkpoint of a 'resnet18', not of a 'resnet34'.*load_checkpoint"):
                ck.load_pretrained("resnet34", source=path)

    def test_heads_in_a_bare_state_are_refused(self, tmp_path):
        own = ck.build_model("resnet18")
        own.attach_head("block3-1", "fully_connected", num_classes=3)
        torch.save(own.state_dict(), tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"_heads.*build that model and use its load_state_dict"):
            ck.load_pretrained("resnet18", source=tmp_path / "w.pth")

    def test_another_model_of_ours_is_refused(self, tmp_path):
        torch.save(ck.build_model("resnet34").state_dict(), tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"which has our keys, for resnet18, does not fit: it has 'blocks\.0"):
            ck.load_pretrained("resnet18", source=tmp_path / "w.pth")


@pytest.mark.parametrize(
    "name, build, words",
    [
        ("resnet18", of_torchvision("resnet34"), "w.pth, converted to resnet18, does not fit"),
        ("resnet34", of_torchvision("resnet18"), "lacks 'blocks.0.block0-2"),
        ("vit_b_16", of_torchvision("resnet18"), "the ResNet of torchvision and timm.*vit_b_16 is a VisionTransformer"),
        ("regnet_y_800mf", of_timm("regnety_008_tv"), "The widths differ.*anynet"),
        ("regnet", of_timm("regnety_004"), "regnet has no sizes of its own.*anynet"),
        ("efficientnet", of_torchvision("efficientnet_b0"), "efficientnet has no sizes.*efficientnet_b0"),
        ("resnet18", of_torchvision("mobilenet_v2"), r"keys of no known layout: 'features.0.0.weight'.*Looked for"),
        ("resnet18", of_timm("seresnet18"), "multiples of 8"),
        ("resnet50", of_timm("resnet50d"), "ResNet-D"),
        ("efficientnet_b0", of_timm("efficientnet_b0"), "tf_efficientnet_b0.*no weight shows which"),
        ("vision_transformer", of_timm("vit_base_patch16_gap_224", depth=1), "no class token"),
        ("vision_transformer", of_timm("vit_tiny_patch16_224", depth=1), "num_heads"),
        ("r3d_18", lambda: models.video.mc3_18(), "w.pth cannot be converted: most of its convolutions.*mc3_18"),
        ("r3d_18", lambda: models.video.r2plus1d_18(), "230, 460 and 921"),
    ],
)
def test_what_does_not_fit_is_refused(name, build, words, tmp_path):
    with torch.device("meta"):
        state = build().state_dict()
    torch.save({k: torch.zeros(v.shape) for k, v in state.items()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=words) as refusal:
        ck.load_pretrained(name, source=tmp_path / "w.pth")
    assert name in str(refusal.value) or "w.pth" in str(refusal.value) or "timm" in str(refusal.value)


def test_a_file_of_two_models_is_refused(resnet18, tmp_path):
    both = {**resnet18.state_dict(), "features.denseblock1.x": torch.zeros(1)}
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="several kinds of models: the DenseNet of torchvision and timm; the ResNet"):
        ck.load_pretrained("resnet18", source=tmp_path / "w.pth")


def test_a_classifier_that_is_two_sizes_is_refused(resnet18, tmp_path):
    state = {**resnet18.state_dict(), "fc.bias": torch.zeros(7)}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"the classifier of .*w.pth does not fit: it has 'fc.bias' of shape \(7,\)"):
        ck.load_pretrained("resnet18", source=tmp_path / "w.pth")


@pytest.mark.parametrize(
    "source, words",
    [
        ("torchvison", "no library and no file. Did you mean 'torchvision'"),
        ("Timm", "Did you mean 'timm'"),
        ("", "no library and no file"),
        ("imagenet", "It can be 'torchvision', 'timm', 'classyvision', the path of a file"),
        ("nowhere.pth", "There is no file nowhere.pth"),
        ("no/such/file", "There is no file no/such/file"),
        ("x" * 5000, "no library and no file"),
        (f"{'x' * 5000}.pth", "There is no file xxx"),
        (Path("a\0b.pth"), "There is no file a"),
        (3, "not a int"),
        ({"a": 1}, "not a dict"),
        ("classyvision", r'publishes no weights.*source="path/to/checkpoint.torch"'),
    ],
)
def test_what_is_no_source(source, words):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained("resnet18", source=source)


def test_weights_belong_to_a_library(tmp_path):
    for source in (None, "classyvision", tmp_path / "w.pth", torch.nn.Linear(1, 1)):
        with pytest.raises(WeightsError, match=r"weights = 'IMAGENET1K_V1' goes with"):
            ck.load_pretrained("resnet18", source=source, weights="IMAGENET1K_V1")


def _no_tokens(state):
    return {**state, "encoder.pos_embedding": torch.zeros(1, 0, 768)}


@pytest.mark.parametrize(
    "name, build, change, words",
    [
        ("resnet18", "resnet18", lambda s: {**s, "conv1.weight": torch.zeros(())}, r"of shape \(\), the model"),
        ("resnet18", "resnet18", lambda s: {**s, "conv1.weight": s["conv1.weight"].int()}, "torch.int32"),
        ("resnet18", "resnet18", lambda s: {**s, "fc.weight": s["fc.weight"].to_sparse()}, "sparse.*'fc.weight'"),
        ("resnet18", "resnet18", lambda s: {**s, "fc.weight": torch.zeros(0, 512)}, "'num_classes' = 0"),
        ("resnet18", "resnet18", lambda s: {k: v for k, v in s.items() if k != "fc.weight"}, "no weight matrix"),
        ("resnet18", "resnet18", lambda s: {**s, "layer9.0.conv1.weight": torch.zeros(1)}, "block8-0"),
        ("resnext", "resnet18", lambda s: {k: torch.zeros(()) for k in s}, "do not show the sizes of a resnext"),
        ("densenet", "densenet121", lambda s: {k: torch.zeros(()) for k in s}, "do not show the sizes"),
        ("efficientnet_b0", "efficientnet_b0", lambda s: {k: torch.zeros(()) for k in s}, "do not show the sizes"),
        ("vit_b_32", "vit_b_32", _no_tokens, "do not show the sizes"),
    ],
)
def test_odd_tensors_are_refused(name, build, change, words):
    with torch.device("meta"):
        state = models.get_model(build).state_dict()
    odd = change({k: torch.zeros(()).expand(v.shape) for k, v in state.items()})
    with pytest.raises(WeightsError, match=words):
        load_state(name, odd, "w.pth")


def test_a_state_is_not_written_to(resnet18):
    state = {k: v for k, v in resnet18.state_dict().items() if not k.endswith("num_batches_tracked")}
    before = copy.deepcopy(state)
    model = load_state("resnet18", state, "a dict")
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    assert state.keys() == before.keys() and all(torch.equal(state[k], v) for k, v in before.items())


def test_neither_library_is_needed_for_a_file(resnet18, tmp_path, monkeypatch):
    import sys

    path = write(resnet18, tmp_path / "w.pth")
    for library in ("torchvision", "timm"):
        monkeypatch.setitem(sys.modules, library, None)
    assert ck.load_pretrained("resnet18", source=path).get_heads()
    with pytest.raises(MissingDependencyError, match="pip install timm"):
        ck.load_pretrained("resnet18", source="timm")
