"""Trained weights in a file of one's own: whose keys it has is seen, and decides how it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import torch

from classykit.errors import ClassyKitError, ConfigError, StateError, WeightsError
from classykit.models.checkpoint import load_checkpoint
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import build_model
from classykit.models.head_dict import is_of_head
from classykit.weights.assign import assign
from classykit.weights.classy import find_state, load_classy
from classykit.weights.convert import check_family, convert_state
from classykit.weights.family_weights import layouts
from classykit.weights.files import read_file
from classykit.weights.layouts import Layout
from classykit.weights.training_state import unprefixed, weights_in
from classykit.weights.visible import config_of


def load_file(name: str, path: Path, which: str | None = None) -> ClassyModel:
    """``name`` with the weights of a file; WeightsError, with the reason, when that cannot be.

    ``which`` chooses between raw and averaged weights (see `weights_in`).
    """
    content = read_file(path)
    what = str(path)
    if "classykit" in content and "state" in content:
        return _load_ours(name, path)
    classy = find_state(content)
    if classy is not None:
        return load_classy(name, *classy, what)
    return load_state(name, weights_in(content, what, which), what)


def load_state(name: str, state: Mapping[str, torch.Tensor], what: str) -> ClassyModel:
    """``name`` with the weights of a bare state, in the keys of torchvision, timm, ClassyVision or ours."""
    state = unprefixed(dict(state), partial(_is_known, name), what)
    layout = _layout_of(state, what)
    if layout is None:
        return _load_own_keys(name, state, what)
    check_family(name, layout, what)
    layout.refuse(state, what)
    model, _ = convert_state(name, state, layout, layout.of_file(name, state), what)
    return model


def _is_known(name: str, state: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are keys of another library's, or of ``name`` as it is built here."""
    if any(layout.matches(state) for layout in layouts()):
        return True
    if any(is_of_head(key) for key in state):
        return True  # of a model of ours, which is said there
    try:
        own = build_model(name, device="meta", **config_of(name, state)).trunk_state()
    except ClassyKitError:
        return False
    return not state.keys().isdisjoint(own)


def _layout_of(state: Mapping[str, torch.Tensor], what: str) -> Layout | None:
    """Whose keys a state has; None when they are ours, which are ClassyVision's too."""
    found = [layout for layout in layouts() if layout.matches(state)]
    if len(found) == 1:
        return found[0]
    if found:
        raise WeightsError(f"{what} has the keys of several kinds of models: {'; '.join(of.title for of in found)}.")
    return None


def _refuse_unknown_keys(state: Mapping[str, torch.Tensor], own: Iterable[str], what: str) -> None:
    """Raise WeightsError when not one key is that of the model."""
    if not state.keys().isdisjoint(own):
        return
    some = ", ".join(map(repr, list(state)[:3]))
    raise WeightsError(
        f"{what} has keys of no known layout: {some}, ... Looked for were those of ClassyVision and this kit, and of "
        f"{', '.join(of.title for of in layouts())}."
    )


def _load_own_keys(name: str, state: Mapping[str, torch.Tensor], what: str) -> ClassyModel:
    heads = [key for key in state if is_of_head(key)]
    if heads:
        raise WeightsError(
            f"{what} is the state of a model with heads ({heads[0]!r}), and does not say which heads they are nor at "
            f"which blocks: build that model and use its load_state_dict. classykit.save_checkpoint keeps all of it."
        )
    try:
        model = build_model(name, device="meta", **config_of(name, state))
    except ConfigError as error:
        raise WeightsError(f"{what}, which has our keys, cannot be loaded as {name}: {error}") from None
    _refuse_unknown_keys(state, model.trunk_state(), what)
    assign(model, state, f"{what}, which has our keys, for {name},")
    return model.eval()


def _load_ours(name: str, path: Path) -> ClassyModel:
    """A file of `classykit.save_checkpoint`, which knows itself what it holds."""
    try:
        model = load_checkpoint(path)
    except StateError as error:
        raise WeightsError(str(error)) from None
    if model.config.get("name") != name:
        raise WeightsError(
            f"{path} is a checkpoint of a {model.config.get('name')!r}, not of a {name!r}: ask for that, or use "
            f"classykit.load_checkpoint(path), which needs no name."
        )
    return model
