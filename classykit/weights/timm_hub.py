"""timm's trained weights, through timm and the hub that it downloads from."""

from __future__ import annotations

import importlib
import urllib.error
import urllib.request
from typing import Any

from classykit.errors import MissingDependencyError, WeightsError, first_line, quoted
from classykit.inputs import timm_preprocessing
from classykit.models.classy_model import ClassyModel
from classykit.weights.convert import convert_module
from classykit.weights.family_weights import known_weights
from classykit.weights.labels import imagenet_labels


def timm_names() -> dict[str, str]:
    """{our name: timm's}, where the weights it publishes can be had."""
    return {ours: theirs for family in known_weights() for ours, theirs in family.timm.items()}


def load_timm(name: str, weights: str | None) -> ClassyModel:
    """``name`` with weights that timm publishes.

    Args:
        weights: a tag of timm's ("a1_in1k"), or a full name of its ("tf_efficientnet_b0.ns_jft_in1k"); None for
            its default.

    Raises MissingDependencyError without timm, WeightsError when the weights cannot be had or converted.
    """
    known = timm_names()
    if name not in known:
        raise WeightsError(
            f"timm publishes no weights with a classifier for {name}; it has some for {', '.join(known)}. A timm model "
            f"of your own converts: load_pretrained({quoted(name)}, source=the_model)."
        )
    try:
        timm = importlib.import_module("timm")
    except ImportError:
        raise MissingDependencyError(
            'source="timm" needs timm, which is not installed: pip install timm. A file of its weights does not: '
            f'load_pretrained({quoted(name)}, source="path/to/model.safetensors").'
        ) from None
    wanted = weights if weights and "." in weights else ".".join(filter(None, (known[name], weights)))
    cfg = _pretrained_cfg(timm, wanted)
    source = _create(timm, name, wanted, cfg)
    model = convert_module(name, source)
    cfg = source.pretrained_cfg
    model.preprocessing = timm_preprocessing(cfg)
    model.labels = imagenet_labels() if cfg["num_classes"] == 1000 else None
    model.weights = f"timm {cfg['architecture']}.{cfg['tag']}"
    return model


def _pretrained_cfg(timm: Any, wanted: str) -> Any:
    architecture = wanted.split(".")[0]
    known = [n for n in timm.list_pretrained(f"{architecture}*") if n.split(".")[0] == architecture]
    if wanted != architecture and wanted not in known:
        raise WeightsError(
            f"timm has no weights {quoted(wanted)}; it has {', '.join(known) or f'none of {architecture}'}."
        )
    return timm.models.get_pretrained_cfg(wanted)


def _create(timm: Any, name: str, wanted: str, cfg: Any) -> Any:
    repository = getattr(cfg, "hf_hub_id", None)
    try:
        if repository:
            _ask_once(repository)
        return timm.create_model(wanted, pretrained=True)
    except Exception as error:  # the hub's client, the network and timm fail in many ways
        reason = first_line(error)
        of_hub = f"model.safetensors of the Hugging Face repository {repository}, which is kept in {_cache()}"
        raise WeightsError(
            f"timm's weights {wanted} could not be had: {reason} Wanted was {of_hub if repository else cfg.url}. With "
            f'a copy of that file: load_pretrained({name!r}, source="path/to/model.safetensors"). Nothing was changed.'
        ) from None


def _ask_once(repository: str) -> None:
    """Fail at once where there is neither a copy nor a network: the hub's client tries again for a minute."""
    hub = importlib.import_module("huggingface_hub")
    for file in ("model.safetensors", "pytorch_model.bin"):
        if isinstance(hub.try_to_load_from_cache(repository, file), str):
            return
    if hub.constants.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, and there is no copy.")
    try:
        urllib.request.urlopen(urllib.request.Request(hub.constants.ENDPOINT, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:  # an answer all the same
        pass
    except OSError as error:
        raise WeightsError(f"{hub.constants.ENDPOINT} cannot be reached ({getattr(error, 'reason', error)}).") from None


def _cache() -> str:
    try:
        return importlib.import_module("huggingface_hub").constants.HF_HUB_CACHE
    except (ImportError, AttributeError):
        return "timm's cache"
