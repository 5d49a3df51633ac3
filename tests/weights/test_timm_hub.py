"""classykit.load_pretrained(source="timm"): timm's published weights, or a word on what is missing."""

import urllib.error
import urllib.request

import pytest
import torch
from safetensors.torch import save_file

import classykit as ck
from classykit.errors import WeightsError
from classykit.inputs import timm_preprocessing
from classykit.weights import imagenet_labels, timm_hub

timm = pytest.importorskip("timm")
hub = pytest.importorskip("huggingface_hub")
COMMIT = "0" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache, empty; no network."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def publish(cache, architecture, tag, randomise, monkeypatch):
    """Random weights in the cache, as the hub's client keeps a download."""
    source = randomise(timm.create_model(architecture)).eval()
    repository = cache / f"models--timm--{architecture}.{tag}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    save_file(source.state_dict(), repository / "snapshots" / COMMIT / "model.safetensors")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    return source


@pytest.mark.parametrize(
    "name, architecture, tag, weights, size, resize",
    [
        ("resnet18", "resnet18", "a1_in1k", None, 224, 235),
        ("resnet18", "resnet18", "tv_in1k", "tv_in1k", 224, 256),
        ("efficientnet_b0", "tf_efficientnet_b0", "in1k", "tf_efficientnet_b0.in1k", 224, 256),
    ],
)
def test_published_weights(name, architecture, tag, weights, size, resize, cache, randomise, monkeypatch):
    source = publish(cache, architecture, tag, randomise, monkeypatch)
    model = ck.load_pretrained(name, source="timm", weights=weights)
    assert model.weights == f"timm {architecture}.{tag}" and model.labels == imagenet_labels()
    assert (model.preprocessing.size, model.preprocessing.resize) == (size, resize)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert (model.double()(x) - source.double()(x)).abs().max() <= 1e-12


def test_pictures_are_prepared_as_timm_does(cache, randomise, monkeypatch):
    source = publish(cache, "resnet18", "a1_in1k", randomise, monkeypatch)
    model = ck.load_pretrained("resnet18", source="timm")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(source))
    image = ck.load_image("coffee")
    torch.testing.assert_close(model.preprocessing(image)[0], transform(image), atol=1e-6, rtol=0)


def test_offline(cache):
    with pytest.raises(WeightsError) as refusal:
        ck.load_pretrained("resnet50", source="timm")
    message = str(refusal.value)
    assert "timm's weights resnet50 could not be had: https://huggingface.co cannot be reached" in message
    assert f"model.safetensors of the Hugging Face repository timm/resnet50.a1_in1k, which is kept in {cache}." in (
        message
    )
    assert "load_pretrained('resnet50', source=\"path/to/model.safetensors\")" in message
    assert refusal.value.__suppress_context__ and not cache.exists()


def test_offline_by_choice(cache, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set, and there is no copy"):
        ck.load_pretrained("resnet50", source="timm")


@pytest.mark.parametrize(
    "name, weights, words",
    [
        ("resnet50", "a9_in1k", r"no weights 'resnet50.a9_in1k'; it has .*resnet50.a1_in1k"),
        ("resnet50", "resnot.a1", "it has none of resnot"),
        ("vit_h_14", None, "no weights with a classifier for vit_h_14"),
        ("mlp", None, "no weights with a classifier for mlp"),
    ],
)
def test_what_it_does_not_have(name, weights, words, cache):
    with pytest.raises(WeightsError, match=words):
        ck.load_pretrained(name, source="timm", weights=weights)


def test_every_name_has_published_weights_with_a_classifier():
    names = timm_hub.timm_names()
    assert len(names) >= 44 and names["vit_l_32"] == "vit_large_patch32_384"
    for ours, theirs in names.items():
        cfg = timm.models.get_pretrained_cfg(theirs)
        assert ours in ck.list_models() and cfg.hf_hub_id and cfg.num_classes == 1000
        recipe = timm_preprocessing(cfg.to_dict())
        assert recipe is not None and recipe.size == cfg.input_size[-1]
        assert timm_preprocessing({**cfg.to_dict(), "crop_mode": "border"}) is None


@pytest.mark.slow
@pytest.mark.parametrize("ours, theirs", timm_hub.timm_names().items())
def test_every_name_means_the_same_architecture(ours, theirs):
    if ours in ("regnet_y_128gf", "regnet_y_256gf", "regnet_y_64gf"):
        pytest.skip("would take gigabytes")
    source = timm.create_model(theirs).eval()
    assert ck.load_pretrained(ours, source=source).config["name"] == ours
