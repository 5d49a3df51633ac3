"""The interface that all heads share, and the registry that builds them from configs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from classykit.configs import Config, PositiveInt, read_config, without_ignored
from classykit.errors import ConfigError, HeadError, quoted
from classykit.features import IN_WORDS, KINDS, MAP2D, MAP3D, SEQUENCE, TOKENS, VECTOR, Features
from classykit.memory import refuse_what_cannot_fit
from classykit.registry import Registry

HEADS: Registry[type[ClassyHead]] = Registry("head")

_NDIM = {MAP2D: 4, MAP3D: 5, SEQUENCE: 3, TOKENS: 3, VECTOR: 2}


class HeadConfig(Config):
    """The keys that every head has."""

    unique_id: str = Field(min_length=1, description="the head's name within its model; any non-empty string")
    num_classes: PositiveInt | None = Field(None, description="number of outputs")


class InPlaneConfig(HeadConfig):
    """A head with weights: also the channels that it takes."""

    in_plane: PositiveInt = Field(
        description="channels of the features; left out, it is inferred from the block when attached"
    )


class ClassyHead(nn.Module):
    """Base class of heads: a module with a ``unique_id`` that takes one block's features.

    A subclass names the kinds of features it takes in ``takes`` (see `classykit.features.KINDS`) and
    calls `expect` first thing in ``forward``, so that it says in words when it gets another kind.

    Args:
        unique_id: the head's name within its model; default: the class name.
        num_classes: number of outputs, None for a head without a classifier.
    """

    takes: ClassVar[tuple[str, ...]] = tuple(KINDS)
    takes_channels_last: ClassVar[bool] = False  # 2-D maps in the order (N, H, W, C)
    Config: ClassVar[type[HeadConfig] | None] = None
    registered_name: ClassVar[str | None] = None
    positional: ClassVar[tuple[str, ...]] = ()  # the config's keys in ClassyVision's order, where that is another

    def __init__(self, unique_id: str | None = None, num_classes: int | None = None):
        super().__init__()
        self.unique_id = unique_id or type(self).__name__
        self.num_classes = num_classes
        self._config: dict[str, Any] = {}

    _made: ClassVar[dict[str, list[float]]] = {}  # of a head that was built at random: where its weights began

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if cls.Config is not None and "Config" in vars(cls):
            cls.__signature__ = inspect.signature(cls.Config)  # completion and help show the config's keys

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ClassyHead:
        """Build the head from its config; ``name`` and ``fork_block`` are ignored.

        Raises ConfigError for keys or values that do not belong, DeviceError for weights that the memory cannot hold.
        """
        if not all(isinstance(key, str) for key in config):
            raise ConfigError(f"The keys of a head's config are strings: {quoted(dict(config))}.")
        keys = {k: v for k, v in config.items() if k not in ("name", "fork_block")}
        if cls.Config is not None:
            keys = without_ignored(cls.Config, keys, f"head {quoted(keys.get('unique_id'))}")
            refuse_what_cannot_fit(lambda: cls(**keys), f"head {quoted(keys.get('unique_id'))}")
        return cls(**keys)

    @property
    def config(self) -> dict[str, Any]:
        """The config that rebuilds this head (without its weights)."""
        return {"name": self.registered_name or type(self).__name__, "unique_id": self.unique_id, **self._config}

    def remember_weights(self) -> None:
        """Note that the weights are random as they are now, for `is_untrained`."""
        self.__dict__["_made"] = {name: _beginning(p) for name, p in self.named_parameters() if not p.is_meta}

    @property
    def is_untrained(self) -> bool:
        """Whether the weights are still the random ones that the head was built with when it was attached."""
        held = dict(self.named_parameters())
        return bool(self._made) and all(
            name in held and _beginning(held[name]) == torch.tensor(values).to(held[name].dtype).tolist()
            for name, values in self._made.items()
        )

    def take_weights(self, other: ClassyHead) -> bool:
        """Take over another head's weights, trained or not, where all are of the same shapes; says whether it did."""
        given = other.state_dict()
        if {name: t.shape for name, t in self.state_dict().items()} != {name: t.shape for name, t in given.items()}:
            return False
        self.load_state_dict(given)
        self.__dict__["_made"] = dict(other._made)
        return True

    def _read(self, args: Sequence[Any], values: dict[str, Any]) -> Any:
        """Validate a constructor's arguments and remember them as this head's config; called first thing in it."""
        kind = self.Config or HeadConfig
        names = self.positional or tuple(kind.model_fields)
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names) or given.keys() & values.keys():
            raise ConfigError(
                f"{type(self).__name__} takes, in this order or by name: {', '.join(names)}. It was given {len(args)} "
                f"arguments in order" + (f", and by name {', '.join(values)}." if values else ".")
            )
        values = without_ignored(kind, given | values, type(self).__name__)
        read = read_config(kind, values, f"head {quoted(values.get('unique_id', self.registered_name))}")
        nn.Module.__init__(self)
        self.unique_id, self.num_classes = read.unique_id, read.num_classes
        self._config = read.model_dump(exclude_defaults=True, exclude={"unique_id"})
        return read

    @classmethod
    def misfit(cls, features: Features) -> str | None:
        """Why this head cannot take ``features``, in three words ("wants a vector"); None when it can."""
        if features.channels_last and not cls.takes_channels_last:
            return "wants channels first"
        if features.kind in cls.takes:
            return None
        return "wants " + " or ".join(IN_WORDS[kind] for kind in cls.takes)

    @classmethod
    def keys_for(cls, features: Features) -> dict[str, Any]:
        """The config keys that the features settle (``in_plane``); used when they are left out."""
        has_plane = cls.Config is not None and "in_plane" in cls.Config.model_fields
        return {"in_plane": features.channels} if has_plane else {}

    def expect(self, x: torch.Tensor, channels: int | None = None, channels_last: bool | None = None) -> None:
        """Raise HeadError unless ``x`` has the rank, and the ``channels``, that this head takes.

        ``channels_last`` says that the channels are the last dimension; None: of tokens they are, of all else the
        second is.
        """
        if torch.jit.is_tracing():  # sizes are tensors there; the eager call before it has checked
            return
        ranks = {_NDIM[kind]: kind for kind in self.takes}
        if x.ndim not in ranks:
            wanted = " or ".join(KINDS[kind] for kind in self.takes)
            raise HeadError(
                f"head {quoted(self.unique_id)} ({self.registered_name}) takes {wanted}, "
                f"it was given a tensor of shape {tuple(x.shape)}."
            )
        last = ranks[x.ndim] == TOKENS if channels_last is None else channels_last
        got = x.shape[-1 if last else 1]
        if channels is not None and got != channels:
            raise HeadError(
                f"head {quoted(self.unique_id)} expects {channels} channels, it was given {got} "
                f"(shape {tuple(x.shape)}): use in_plane={got}, or leave it out to have it inferred."
            )


def register_head(name: str) -> Callable[[type], type]:
    """Class decorator that makes a ClassyHead subclass available to `build_head` and configs as ``name``.

    Raises DuplicateNameError when the name is taken, ConfigError when the class is no ClassyHead.
    """

    def decorate(cls: type) -> type:
        if not (isinstance(cls, type) and issubclass(cls, ClassyHead)):
            raise ConfigError(f"register_head({quoted(name)}) takes a subclass of ClassyHead, not {quoted(cls)}.")
        HEADS.add(name, cls)
        cls.registered_name = name
        return cls

    return decorate


def list_heads(pattern: str = "*") -> list[str]:
    """Names of the registered heads that match a wildcard ``pattern``."""
    return HEADS.list(pattern)


def heads_that_fit(features: Features) -> list[str]:
    """Names of the registered heads that take features of this kind."""
    return [name for name in HEADS if HEADS[name].misfit(features) is None]


def build_head(config: Mapping[str, Any]) -> ClassyHead:
    """Build a head from ``{"name": ..., "unique_id": ..., ...}``.

    >>> build_head({"name": "fully_connected", "unique_id": "cls", "in_plane": 512, "num_classes": 10}).num_classes
    10

    Raises UnknownNameError for an unknown name, ConfigError for bad keys or values.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"A head's config is a dict with 'name' and 'unique_id', not {quoted(config)}.")
    for key in ("name", "unique_id"):
        if key not in config:
            raise ConfigError(f"The head config {quoted(dict(config))} lacks the key {quoted(key)}.")
    return HEADS[config["name"]].from_config(config)


def _beginning(p: torch.Tensor) -> list[float]:
    """The first values of a tensor: training, or loading, leaves none of them."""
    return p.detach().flatten()[:16].tolist()
