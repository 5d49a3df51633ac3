"""The one door: what a person brought, understood in one place, the same for every verb and in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from classykit.errors import BlockError, ConfigError, DeviceError, quoted
from classykit.inputs import input_shape_of
from classykit.meta import has_weights
from classykit.models.blocks import resolve_block
from classykit.models.classy_model import ClassyModel
from classykit.models.factory import named_config
from classykit.wrapped import unwrapped

#: What the results say of a model that was only described, and built to be run.
UNTRAINED = "Untrained: its weights are random"


@dataclass(frozen=True)
class Subject:
    """A model as it was brought: a module, or the description of one.

    Attributes:
        name: the registered name, or a module's class.
        module: the module, wrappers taken off (see `classykit.wrapped.unwrapped`); None where it is only described.
        config: the description; empty for a module.
    """

    name: str
    module: nn.Module | None
    config: dict[str, Any]

    @property
    def given(self) -> nn.Module | dict[str, Any]:
        """The module or the config, whichever there is."""
        return self.config if self.module is None else self.module

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of one input, without the batch, where the module says so itself."""
        return None if self.module is None else input_shape_of(self.module)

    def with_weights(self) -> nn.Module:
        """The module, which has weights; ConfigError for a description, DeviceError for one on the meta device."""
        if self.module is None:
            raise ConfigError(
                f"This needs a model with its weights, and {quoted(self.name)} is the description of one: build it "
                f"(classykit.build_model), or load it with trained weights (classykit.load_pretrained)."
            )
        refuse_without_weights(self.module)
        return self.module


def subject_of(model: Any) -> Subject:
    """What a person means by ``model``.

    Raises ConfigError for what is no name, config or nn.Module, and for a config without a name. Whether the name is
    registered, and the config makes sense, is found out where it is built.

    >>> subject_of("resnet18").config, subject_of(nn.DataParallel(nn.Linear(2, 3))).name
    ({'name': 'resnet18'}, 'Linear')
    """
    if isinstance(model, nn.Module):
        module = unwrapped(model)
        return Subject(name_of(module), module, {})
    if isinstance(model, str):
        return Subject(model, None, {"name": model})
    if isinstance(model, Mapping):
        config = named_config(model)
        return Subject(config["name"], None, config)
    if isinstance(model, type) and issubclass(model, nn.Module):
        found, hint = f"the class {model.__name__}", f" Give an instance: {model.__name__}(...)."
    else:
        found, hint = f"{type(model).__name__} {quoted(model, 80)}", ""
    raise ConfigError(f"A model is a name, a config or an nn.Module, not {found}.{hint}")


def name_of(module: nn.Module) -> str:
    """What a module is called: the name in its config, else its class.

    >>> name_of(nn.Linear(2, 3))
    'Linear'
    """
    config = getattr(module, "config", None)
    name = config.get("name") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) else type(module).__name__


def refuse_without_weights(module: nn.Module) -> None:
    """Raise DeviceError for a module that is on the meta device, or partly, or lazy and has not run yet."""
    if has_weights(module):
        return
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        raise DeviceError(
            f"{name_of(module)} is lazy and has not run yet: its weights are made in its first pass. Run it once "
            f"yourself, on an input as it takes them."
        )
    raise DeviceError(
        f"{name_of(module)} is on the meta device: it has no weights to run with. Build it on another device, such "
        f'as device="cpu", or load its weights into it.'
    )


def block_list(blocks: Any) -> list[str]:
    """Names of blocks as a list, one or several; ConfigError for what is neither.

    >>> block_list("fc"), block_list(("a", "b"))
    (['fc'], ['a', 'b'])
    """
    if isinstance(blocks, str):
        return [blocks]
    if not isinstance(blocks, Iterable) or getattr(blocks, "ndim", 1) == 0:
        raise ConfigError(f"Blocks are given by name, one or several, such as ['block1-0'], not {quoted(blocks)}.")
    return list(blocks)


def block_paths(module: nn.Module, names: Iterable[str]) -> dict[str, str]:
    """{name: dotted path in ``module``} of the blocks that are meant; BlockError for one that is none, or several.

    The unique_id of a head is as good a name as a block's, where no block has it.

    >>> block_paths(nn.Sequential(nn.Sequential(nn.Linear(2, 3))), ["0.0"])
    {'0.0': '0.0'}
    """
    if isinstance(module, ClassyModel):
        heads = module.head_paths()
        return {name: _path_in(module, name, heads) for name in names}
    whole = {} if hasattr(module, "model") else {"model": ""}  # as a module without parts is listed
    return {name: resolve_block(module, whole, name)[1] for name in names}


def _path_in(model: ClassyModel, name: str, heads: Mapping[str, str]) -> str:
    if isinstance(name, str) and name in heads and name not in model.block_paths():
        return heads[name]
    try:
        return model.find_block(name)[1]
    except BlockError as error:
        if not heads:
            raise
        raise BlockError(f"{error} Its heads are {', '.join(map(quoted, heads))}.") from None


def refuse_blocks_that_did_not_run(names: Iterable[str]) -> None:
    """Raise BlockError when there are any."""
    missing = ", ".join(map(repr, names))
    if missing:
        raise BlockError(f"{missing} did not run in the forward pass, so there is nothing to be had of it.")
