"""ClassyVision's checkpoints: trunk, heads, and the config where the file has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from classykit.errors import ClassyKitError, WeightsError, quoted
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.models.state import check_state
from classykit.weights.visible import config_of


def find_state(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any] | None] | None:
    """(ClassyVision's model state, its model config or None) in what a file holds; None when it has none.

    Found are a task's checkpoint (``classy_state_dict``, ``input_args``), a task's state (``base_model``) and a
    model's state (``{"model": {"trunk": ..., "heads": ...}}``).
    """
    config = content
    for key in ("input_args", "config", "model"):
        config = config.get(key) if isinstance(config, Mapping) else None
    state: Any = content
    for key in ("classy_state_dict", "base_model"):
        state = state.get(key, state) if isinstance(state, Mapping) else state
    model = state.get("model") if isinstance(state, Mapping) else None
    if not (isinstance(model, Mapping) and isinstance(model.get("trunk"), Mapping)):
        return None
    return state, config if isinstance(config, Mapping) and "name" in config else None


def load_classy(name: str, state: Mapping[str, Any], config: Mapping[str, Any] | None, what: str) -> ClassyModel:
    """A model with the weights of a ClassyVision state, heads included.

    Args:
        name: the registered model that is expected; the state must be one of it.
        config: ClassyVision's model config. Without it ``name`` is built, and the heads are those that the shapes
            of their weights show, with ClassyVision's defaults for what no weight shows.

    Raises WeightsError when the state is another model's, or a head's kind cannot be told.
    """
    trunk = dict(state["model"]["trunk"])
    _check_form(trunk, state["model"].get("heads") or {}, what)
    try:
        if config is None:
            model = build_model(name, device="meta", **config_of(name, trunk))
            for block, of_block in (state["model"].get("heads") or {}).items():
                for unique_id, head_state in of_block.items():
                    model.attach_head(block, unique_id=unique_id, **_head_of(unique_id, head_state, what))
        else:
            model = build_model(config, device="meta")
            _check_name(name, model, model.convert_trunk_state(dict(trunk), state), what)
        # no initialisation, which would draw random numbers: loading is strict and overwrites everything
        model = model.to_empty(device="cpu").to(_dtype(trunk))
        model.set_classy_state(state)
    except WeightsError:
        raise
    except ClassyKitError as error:
        raise WeightsError(f"{what} cannot be loaded as {name}: {error}") from None
    return model.eval()


def _check_form(trunk: Mapping[str, Any], heads: Any, what: str) -> None:
    """Raise WeightsError unless these are a trunk's weights, and heads' by block and name."""
    by_block = list(heads.values()) if isinstance(heads, Mapping) else [None]
    by_name = [state for of in by_block for state in (of.values() if isinstance(of, Mapping) else [None])]
    for state in [trunk, *by_name]:
        if not (isinstance(state, Mapping) and all(isinstance(t, torch.Tensor) for t in state.values())):
            raise WeightsError(
                f"{what} is no ClassyVision state, which has the form {{'model': {{'trunk': {{key: tensor}}, 'heads': "
                f"{{block: {{unique_id: {{key: tensor}}}}}}}}}}."
            )


def _check_name(name: str, model: ClassyModel, trunk: Mapping[str, Any], what: str) -> None:
    """Raise an error unless a model of that name has this trunk."""
    cls = MODELS[name].cls
    if not (isinstance(model, cls) or issubclass(cls, type(model))):  # a ResNet is a ResNeXt, and resnet18 a ResNeXt
        raise WeightsError(f"{what} holds a {type(model).__name__}, and {name} is a {cls.__name__}.")
    if MODELS[name].is_whole:  # else it has no sizes that could differ
        expected = build_model(name, device="meta", **config_of(name, trunk))
        check_state(expected.state_dict(), trunk, strict=True, what=f"{what}, for {name},")


def _head_of(unique_id: str, state: Mapping[str, torch.Tensor], what: str) -> dict[str, Any]:
    """The registered name and the config of the head that has these weights."""
    if not state:
        return {"head": "identity"}
    if "head_fcl.projection.weight" in state:
        return {"head": "fully_convolutional_linear", "num_classes": state["head_fcl.projection.weight"].shape[0]}
    if "layers.head.weight" in state:
        keys = {"head": "vision_transformer_head", "num_classes": state["layers.head.weight"].shape[0]}
        hidden = state.get("layers.pre_logits.weight")
        return keys if hidden is None else {**keys, "hidden_dim": hidden.shape[0]}
    if "fc.weight" in state and "conv.weight" not in state:
        return {"head": "fully_connected", "num_classes": state["fc.weight"].shape[0]}
    reason = "the activation behind its convolution" if "conv.weight" in state else "its kind"
    raise WeightsError(
        f"{what} has a head {quoted(unique_id)} with the weights {', '.join(list(state)[:4])}, and no config: {reason} "
        f"cannot be told. Build the model with its heads, and use its set_classy_state."
    )


def _dtype(state: Mapping[str, Any]) -> torch.dtype:
    return next((t.dtype for t in state.values() if t.is_floating_point()), torch.float32)
