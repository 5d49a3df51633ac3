"""classykit.load_pretrained(source="torchvision"): from the hub's folder, by download, or a word on what is missing."""

import hashlib
import json
import urllib.error

import pytest
import torch
from PIL import Image

import classykit as ck
from classykit.clips import KINETICS_MEAN
from classykit.errors import ConfigError, WeightsError
from classykit.images import Preprocessing
from classykit.weights import hub, imagenet_labels
from classykit.weights import published as table
from classykit.weights.families.regnet import OTHER_WIDTHS
from classykit.weights.published import TorchvisionWeights

models = pytest.importorskip("torchvision.models")


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


def enum_of(name):
    return models.get_model_weights(name.replace(".", "_"))


def test_the_table_is_torchvisions():
    for name in ck.list_models():
        entries = [e for e in hub.published_files() if e.name == name]
        if name.replace(".", "_") not in models.list_models():
            assert not entries
            continue
        enum = enum_of(name)
        if name in OTHER_WIDTHS:
            assert not entries and enum.DEFAULT.url == f"{table.FOLDER}{OTHER_WIDTHS[name]}.pth"
            continue
        assert {e.weights: e.url for e in entries} == {w.name: w.url for w in enum}
        assert entries[0].weights == enum.DEFAULT.name
        for entry in entries:
            theirs = enum[entry.weights].transforms()
            resize, interpolation = theirs.resize_size, theirs.interpolation.value
            resize = tuple(resize) if len(resize) == 2 else resize[0]
            ours = entry.preprocessing
            assert (ours.size, ours.resize, ours.interpolation) == (theirs.crop_size[0], resize, interpolation)
            assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b3", "vit_l_16"])
@pytest.mark.parametrize("picture", ["cat", "coffee"])
def test_pictures_are_prepared_as_torchvision_does(name, picture):
    (entry, *_) = (e for e in hub.published_files() if e.name == name)
    image = ck.load_image(picture)
    theirs = enum_of(name)[entry.weights].transforms()(image)
    torch.testing.assert_close(entry.preprocessing(image)[0], theirs, atol=1e-6, rtol=0)


def test_frames_of_clips_are_resized_out_of_proportion():
    (entry,) = (e for e in hub.published_files() if e.name == "r3d_18")
    recipe = entry.preprocessing
    assert recipe.resize == (128, 171) and recipe.mean == KINETICS_MEAN
    image = ck.load_image("coffee")
    left, top = round((171 - 112) / 2), (128 - 112) // 2
    wanted = image.resize((171, 128), Image.Resampling.BILINEAR).crop((left, top, left + 112, top + 112))
    assert recipe.to_display(image).tobytes() == wanted.tobytes()


def test_a_recipe_survives_json_and_makes_sense():
    for entry in hub.published_files():
        recipe = entry.preprocessing
        assert Preprocessing.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    for resize in (200, (256, 200), 0, "256", (256,), 256.0):
        with pytest.raises(ConfigError, match=r"resize is .*: size = 224 is cut out of it"):
            Preprocessing(size=224, resize=resize)


def test_the_labels_are_torchvisions():
    categories = models.ResNet50_Weights.DEFAULT.meta["categories"]
    first = [[label.split()[0].lower() for label in labels] for labels in (imagenet_labels(), categories)]
    assert first[0] == first[1]  # six differ in what follows: "cardigan (sweater)", "cardigan"
