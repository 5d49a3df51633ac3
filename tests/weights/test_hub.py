"""classykit.load_pretrained(source="torchvision"): from the hub's folder, by download, or a word on what is missing."""

import hashlib
import urllib.error

import pytest
import torch
from sources import models

import classykit as ck
from classykit.errors import WeightsError
from classykit.weights import hub, imagenet_labels
from classykit.weights import published as table
from classykit.weights.published import TorchvisionWeights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The hub's folder, empty; nothing can be downloaded from the real address."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(table, "FOLDER", "https://weights.invalid/models/")
    return tmp_path / "home" / "hub" / "checkpoints"


@pytest.fixture
def published(tmp_path, monkeypatch, folder, randomise):
    """A resnet18 that the table knows, in a file at a file:// address; the source and its entry."""
    source = randomise(models.resnet18()).eval()
    path = tmp_path / "w.pth"
    torch.save(source.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = TorchvisionWeights("resnet18", "IMAGENET1K_V1", f"resnet18-{digest[:8]}")
    path.rename(tmp_path / entry.file)
    monkeypatch.setattr(table, "FOLDER", f"file://{tmp_path}/")
    monkeypatch.setattr(hub, "published_files", lambda: [entry])
    return source, entry


def assert_the_same(model, source):
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert (model.double()(x) - source.double()(x)).abs().max() <= 1e-12


def test_a_download(published, folder, capsys):
    source, entry = published
    model = ck.load_pretrained("resnet18", source="torchvision")
    assert (folder / entry.file).is_file()
    assert model.labels == imagenet_labels() and model.weights == "torchvision IMAGENET1K_V1"
    assert model.preprocessing == entry.preprocessing and ck.preprocess("cat", model).shape == (1, 3, 224, 224)
    assert_the_same(model, source)


def test_what_lies_there_is_used_without_a_network(published, folder, tmp_path, monkeypatch):
    source, entry = published
    folder.mkdir(parents=True)
    (tmp_path / entry.file).rename(folder / entry.file)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    assert_the_same(ck.load_pretrained("resnet18", source="torchvision", weights="IMAGENET1K_V1"), source)


def test_one_of_its_files_by_path_comes_with_its_preprocessing(published, tmp_path):
    source, entry = published
    model = ck.load_pretrained("resnet18", source=tmp_path / entry.file)
    assert model.preprocessing == entry.preprocessing and len(model.labels) == 1000
    assert_the_same(model, source)
    (tmp_path / entry.file).write_bytes(b"something else")
    with pytest.raises(WeightsError, match=f"its sha256 begins .*, expected {entry.sha256}"):
        ck.load_pretrained("resnet18", source=tmp_path / entry.file)


def test_a_damaged_file_in_the_folder(published, folder, tmp_path):
    _, entry = published
    folder.mkdir(parents=True)
    (folder / entry.file).write_bytes((tmp_path / entry.file).read_bytes()[:1000])
    with pytest.raises(WeightsError, match=rf"expected {entry.sha256}. Delete it, and get file://.*{entry.file} again"):
        ck.load_pretrained("resnet18", source="torchvision")


def test_a_download_with_another_hash(published, folder, tmp_path):
    _, entry = published
    (tmp_path / entry.file).write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"not what it should be: invalid hash value.*Nothing was kept"):
        ck.load_pretrained("resnet18", source="torchvision")
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("Name or service not known"),
        urllib.error.HTTPError("u", 403, "Forbidden", None, None),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
    ],
)
def test_offline(error, folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    with pytest.raises(WeightsError) as refusal:
        ck.load_pretrained("resnet50", source="torchvision")
    message = str(refusal.value)
    assert "https://weights.invalid/models/resnet50-11ad3fa6.pth could not be had" in message
    assert f"put it into {folder}, as resnet50-11ad3fa6.pth" in message
    assert 'source="path/to/resnet50-11ad3fa6.pth"' in message and refusal.value.__suppress_context__
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_made(folder, monkeypatch):
    (folder.parent.parent).write_text("in the way")
    with pytest.raises(WeightsError, match=r"could not be had: .*Not a directory"):
        ck.load_pretrained("resnet50", source="torchvision")


@pytest.mark.parametrize(
    "name, weights, words",
    [
        ("resnet50", "IMAGENET1K_V3", "no weights 'IMAGENET1K_V3' of resnet50. Did you mean 'IMAGENET1K_V2'"),
        ("resnet18", "IMAGENET1K_V2", "It has IMAGENET1K_V1"),
        ("resnext101_32x4d", None, "publishes no weights of resnext101_32x4d"),
        ("mlp", None, "publishes no weights of mlp. It has those of"),
        ("regnet_y_8gf", None, 'other widths.*regnet_y_8gf-dc2b1b54.pth.*load_pretrained\\("anynet"'),
    ],
)
def test_what_it_does_not_have(name, weights, words, folder):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source="torchvision", weights=weights)
    assert not folder.exists()
