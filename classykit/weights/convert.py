"""Turning other people's models and states into ours, and proving that an object's logits stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from classykit.errors import ClassyKitError, ConfigError, WeightsError
from classykit.harmless import harmless
from classykit.heads.classy_head import ClassyHead
from classykit.hooks import hooks
from classykit.inputs import preprocessing_of
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.weights.assign import assign
from classykit.weights.family_weights import layouts
from classykit.weights.keymaps import rename
from classykit.weights.layouts import Layout
from classykit.weights.visible import config_of

TOLERANCE = 1e-4  # of the logits, relative to their largest; float32 sums in another order differ by 1e-6


def convert_module(name: str, source: nn.Module) -> ClassyModel:
    """Build ``name`` with the weights of ``source``; its logits are compared before it is handed out.

    Raises WeightsError when no conversion is known, the architectures differ, or the logits do.
    """
    where = f"{type(source).__module__}.{type(source).__qualname__}"
    layout = next((of for of in layouts() if where in of.classes), None)
    if layout is None:
        known = ", ".join(of.title for of in layouts())
        raise WeightsError(f"No conversion is known for {where}; there is one for {known}.")
    check_family(name, layout, where)
    state = {k: v.detach() for k, v in source.state_dict().items()}
    if any(t.is_meta for t in state.values()):
        raise WeightsError(f"This {where} is on the meta device: it has no weights to convert.")
    layout.refuse(state, f"This {where}", source)
    keys = layout.of_module(source)
    if not MODELS[name].is_whole:
        keys |= layout.of_module_in_full(source)
    what = f"{where}, converted to {name},"
    model, head = convert_state(name, {k: v.cpu() for k, v in state.items()}, layout, keys, where)
    if layout.head is not None and head is None:
        raise WeightsError(f"This {where} has no classifier, so there are no logits to keep: build it with one.")
    classifiers = [m for m in (model if head is None else head).modules() if isinstance(m, nn.Linear)][-1:]
    found = preprocessing_of(source)
    model.preprocessing = found and found.for_channels(model.input_shape[0])
    _compare(model, source, (classifiers[0], source.get_submodule(layout.classifier)), what)
    return model


def check_family(name: str, layout: Layout, what: str) -> None:
    """Raise WeightsError when a layout does not become a model of that name."""
    cls = MODELS[name].cls
    if not any(c.__name__ in layout.families for c in cls.__mro__):
        raise WeightsError(
            f"{what} has the weights of {layout.title}, which converts to a {layout.families[0]}, and {name} is a "
            f"{cls.__name__}."
        )


def convert_state(
    name: str, state: Mapping[str, torch.Tensor], layout: Layout, keys: Mapping[str, Any], what: str
) -> tuple[ClassyModel, ClassyHead | None]:
    """Build ``name`` with the weights of a state of another library; also the head that stands for its classifier.

    Args:
        state: its tensors are copied.
        layout: whose keys it has.
        keys: config keys that no weight shows, such as ``bn_epsilon``.
        what: names the source in messages.

    Nothing is compared: a wrong key in ``keys`` shows in the logits only. Without a classifier in the state, the
    model has no head.
    """
    renamed = layout.laid_out(rename(state, layout.rules(state), what))
    head_state = {k.removeprefix("head."): renamed.pop(k) for k in list(renamed) if k.startswith("head.")}
    converted = f"{what}, converted to {name},"
    head = None
    try:
        model = build_model(name, device="meta", **{**config_of(name, renamed), **keys})
        if layout.head is not None and head_state:
            head_keys = {"num_classes": _classes(head_state, what), **layout.head_keys(head_state)}
            head = model.attach_head(model.block_names[-1], layout.head, unique_id="classifier", **head_keys)
    except ConfigError as error:
        raise WeightsError(f"{converted} cannot be built: {error}") from None
    _count_batches(model.state_dict(), renamed)
    try:
        assign(model, renamed, converted)
    except WeightsError as error:
        raise WeightsError(str(error) + layout.advice(name, model, renamed)) from None
    if head is not None:
        _count_batches(head.state_dict(), head_state)
        assign(head, head_state, f"the classifier of {what}")
    return model.eval(), head


def _classes(head_state: Mapping[str, torch.Tensor], what: str) -> int:
    sizes = [v.shape[0] for k, v in head_state.items() if k.endswith("weight") and v.ndim == 2]
    if not sizes:
        raise WeightsError(f"The classifier of {what} has no weight matrix; it has {', '.join(head_state)}.")
    return sizes[-1]


def _count_batches(own: Mapping[str, Any], state: dict[str, Any]) -> None:
    """Add the counters that files from before torch 0.4.1 lack in their BatchNorms; no output depends on them."""
    for key in own:
        if key.endswith("num_batches_tracked") and key not in state:
            if key.replace("num_batches_tracked", "running_var") in state:
                state[key] = torch.tensor(0)


def _compare(model: ClassyModel, source: nn.Module, classifiers: tuple[nn.Module, nn.Module], what: str) -> None:
    """Raise WeightsError unless both give the same logits for one random picture or clip.

    Settings without parameters (activation, padding, epsilon) pass a strict load and still change the answer.
    What goes into the classifiers is compared too: a fresh ViT's is zero and would hide any difference.
    """
    x = torch.randn(1, *model.input_shape, generator=torch.Generator().manual_seed(0))
    try:
        ours = _answer(model, classifiers[0], x)
    except ClassyKitError as error:
        raise WeightsError(f"{what} does not run: {error}") from None
    try:
        theirs = _answer(source, classifiers[1], x)
    except Exception as error:  # whatever a changed source raises
        raise WeightsError(f"{what} cannot be compared, the source does not run on {tuple(x.shape)}: {error}") from None
    for name, a, b in zip(("features", "logits"), ours, theirs, strict=True):
        if a.shape != b.shape:
            raise WeightsError(f"{what} gives {name} {tuple(a.shape)}, the source {tuple(b.shape)}.")
        difference = (a - b).abs().max().item() / max(1e-3, b.abs().max().item())
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"{what} gives other {name} (relative difference {difference:.2g}): some setting that no weight "
                f"shows, such as an activation, padding or epsilon, is not the same."
            )


def _answer(model: nn.Module, classifier: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(what goes into the classifier, the logits)"""
    features: list[torch.Tensor] = []
    reference = next(model.parameters())
    with hooks() as on, harmless(model), torch.no_grad():
        on.before(classifier, lambda module, args: features.append(args[0]))
        logits = model(x.to(reference.device, reference.dtype))
    return features[0].flatten(1).float().cpu(), logits.float().cpu()  # a video head's are (1, 1, 1, 1, C)
