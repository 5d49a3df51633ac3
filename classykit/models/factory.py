"""Models by name: the registry, and `build_model` from a name or a config."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit.configs import ATTACH, CLASSES
from classykit.contexts import put_back_if_interrupted
from classykit.errors import ClassyKitError, ConfigError, first_line, quoted
from classykit.meta import weightless
from classykit.registry import Registry

if TYPE_CHECKING:
    from classykit.models.classy_model import ClassyModel  # which builds by name what its checkpoints hold


@dataclass(frozen=True)
class ModelEntry:
    """A registered model: its class, and the config keys in which it differs from the class's defaults."""

    cls: type[ClassyModel]
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the name is a model as it stands; a family without sizes of its own needs further keys."""
        fields = {} if self.cls.Config is None else self.cls.Config.model_fields
        required = [key for key, field in fields.items() if field.is_required()]
        return all(key in self.defaults for key in required) and (bool(self.defaults) or not self.cls.needs_size)


MODELS: Registry[ModelEntry] = Registry("model")


def register_model(name: str, **defaults: Any) -> Callable[[type], type]:
    """Class decorator that makes a ClassyModel subclass buildable as ``name``, with other ``defaults``.

    >>> from classykit.models import ClassyModel
    >>> @register_model("tiny_resnet_for_the_docs", num_blocks=[1, 1])
    ... class Tiny(ClassyModel): ...

    Raises DuplicateNameError when the name is taken, ConfigError when the class is no ClassyModel.
    """

    def decorate(cls: type) -> type:
        if not (isinstance(cls, type) and issubclass(cls, nn.Module) and hasattr(cls, "from_config")):
            raise ConfigError(f"register_model({quoted(name)}) takes a subclass of ClassyModel, not {quoted(cls)}.")
        MODELS.add(name, ModelEntry(cls, defaults))
        return cls

    return decorate


def _on(device: str | torch.device | None) -> Any:
    """A context in which tensors are made on ``device``; None: where they are made anyway."""
    if device is None:
        return nullcontext()
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError):
        raise ConfigError(f'device is "meta", "cpu", "cuda", "cuda:1" or the like, not {quoted(device)}.') from None
    return weightless() if found.type == "meta" else found


def _refuse_idle(entry: ModelEntry, overrides: Mapping[str, Any], name: str) -> None:
    """Raise ConfigError for a keyword that would do nothing: whoever writes it wants something."""
    kind = entry.cls.Config
    idle = () if kind is None else (*kind.ignored, *entry.cls.ignored)
    for key in overrides:
        if kind is not None and key in idle and key not in kind.model_fields:
            instead = f": {ATTACH.format(classes=quoted(overrides[key]))}" if key == CLASSES else ""
            raise ConfigError(f"{name}: {key} does nothing here{instead or ', leave it out'}.")


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered models that match a wildcard ``pattern``.

    >>> list_models("resnet1*")
    ['resnet18', 'resnet101', 'resnet152']
    """
    return MODELS.list(pattern)


def family_of(name: str) -> str:
    """Name of the class that a registered name builds ("ResNeXt")."""
    return MODELS[name].cls.__name__


def named_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as a dict; ConfigError unless it has a name, and strings for keys.

    >>> named_config({"name": "resnet18"})
    {'name': 'resnet18'}
    """
    if "name" not in config:
        keys = ", ".join(map(repr, config)) or "no keys"
        raise ConfigError(f"A model's config has a 'name'; this one has only {keys}.")
    if not all(isinstance(key, str) for key in config):
        raise ConfigError(
            f"The keys of a config are strings; found {quoted([k for k in config if not isinstance(k, str)])}."
        )
    return dict(config)


@put_back_if_interrupted
def build_model(
    config: str | Mapping[str, Any], device: str | torch.device | None = None, **overrides: Any
) -> ClassyModel:
    """Build a model from a name or a config.

    Args:
        config: a registered name, or ``{"name": ..., <the family's keys>, "heads": [...]}``. A named model is
            its family with other defaults: every key of the family may be given.
        device: where the weights are allocated; "meta" allocates nothing. Default: torch's default device.
        **overrides: config keys, which win over those in ``config``.

    Raises UnknownNameError, ConfigError, BlockError or HeadError, whose messages name the key at fault, and
    DeviceError when the weights would not fit the memory.

    >>> build_model("resnet50", device="meta", small_input=True).input_shape
    (3, 32, 32)
    """
    if isinstance(config, str):
        config = {"name": config}
    if not isinstance(config, Mapping):
        raise ConfigError(f"A model is described by a name or a config dict, not {type(config).__name__}.")
    given = {**named_config(config), **overrides}
    try:
        given = copy.deepcopy(given)
    except Exception as error:  # whatever a person's object makes of it
        raise ConfigError(f"A config holds plain values, and this one cannot be copied: {first_line(error)}") from None
    name = given["name"]
    entry = MODELS[name]
    _refuse_idle(entry, overrides, name)
    with _on(device):
        try:
            model = entry.cls.from_config({**entry.defaults, **given})
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"{entry.cls.__name__}: ", f"{name}: ", 1)) from None
        except (RuntimeError, MemoryError, OverflowError) as error:
            if isinstance(error, ClassyKitError):
                raise
            raise ConfigError(f"{name}: a model of these sizes cannot be allocated: {first_line(error)}") from None
    # the heads are known to the model itself, and keys that do nothing are no part of it
    model._description = {key: value for key, value in given.items() if key in model._description}
    return model
