"""The interface that all backbones share: a plain nn.Module that takes heads at its blocks."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from classykit.configs import Config, read_config, without_ignored
from classykit.errors import BlockError, ConfigError, HeadError, StateError, quoted, warn
from classykit.features import Features
from classykit.heads.classy_head import ClassyHead
from classykit.inputs import example_of, input_shape_of, preprocessing_of
from classykit.memory import refuse_what_cannot_fit
from classykit.meta import dtype_of
from classykit.models.attaching import heads_fitted, probe
from classykit.models.blocks import find_blocks, resolve_block
from classykit.models.factory import build_model
from classykit.models.head_dict import HeadDict, is_of_head
from classykit.models.running_blocks import Found, blocks_that_run
from classykit.models.state import check_state, heads_of, trunk_of
from classykit.models.taps import Reading, Tap, Taps
from classykit.nested import Inputs, mapped
from classykit.wrapped import unwrapped


class ClassyModel(nn.Module):
    """Base class of backbones: an ordinary module whose ``forward(x)`` is the trunk's pass.

    Heads are attached to blocks by name; they see what the block gave, and the model returns

    - the trunk's features when it has no head,
    - the head's tensor when it has one,
    - ``{unique_id: tensor}`` when it has several.

    The trunk's modules and state keys are the same with heads and without; a head's weights are kept under
    ``_heads.<unique_id>``. A subclass writes ``__init__`` and ``forward``; `block_names` are then found by
    looking at its modules, unless it defines `block_paths`.

    >>> class Net(ClassyModel):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv = nn.Conv2d(3, 8, 3, padding=1)
    ...     def forward(self, x):
    ...         return self.conv(x).relu()
    >>> net = Net()
    >>> head = net.attach_head("conv", "fully_connected", num_classes=10)
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    Config: ClassVar[type[Config] | None] = None
    #: keys of ClassyVision's configs that no family does anything with
    ignored: ClassVar[tuple[str, ...]] = ("num_classes", "freeze_trunk")
    #: whether it needs a size that no single required key of its Config tells
    needs_size: ClassVar[bool] = False
    #: (regular expression, template) of block names and what they are called where there is little room
    short_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: whether all its maps are (N, C, ...) and its tokens (N, L, C); else a pass at another size tells what moves
    channels_first: ClassVar[bool] = False
    #: what it is called with, where that was said (see `from_model`)
    example: Inputs | None = None

    def __init__(self) -> None:
        super().__init__()
        self._heads = HeadDict()
        self._head_blocks: dict[str, str] = {}  # unique_id -> block name
        self._readings: dict[str, Reading] = {}  # how the features of the blocks with heads are read
        self._head_outputs: dict[str, torch.Tensor] = {}
        self._taps = Taps()
        self._hooks: list[Any] = []
        self._set_aside: list[tuple[nn.Module, Any]] = []  # modules that were compiled in place, and their code
        self._description: dict[str, Any] = {}
        self._completed: dict[str, Any] = {}
        self.preprocessing: Any = None  # how a picture becomes an input; comes with trained weights
        self.labels: list[str] | None = None  # names of the classes; likewise
        self.weights: str | None = None  # where the trained weights come from; None: untrained

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "Config" in vars(cls):
            cls.__signature__ = inspect.signature(cls.Config)  # completion and help show the config's keys

    # ---- building ----

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ClassyModel:
        """Build the model that ``config`` describes: this class's keys, and optionally ``heads``.

        ``name`` is ignored here: the defaults of a named model are `build_model`'s business.
        Raises ConfigError for unknown keys or bad values, HeadError and BlockError for heads that do not fit, and
        DeviceError for weights that the memory cannot hold.
        """
        if not all(isinstance(key, str) for key in config):
            raise ConfigError(f"The keys of a config are strings: {quoted(dict(config))}.")
        keys, heads = {k: v for k, v in config.items() if k not in ("name", "heads")}, config.get("heads")

        def build() -> ClassyModel:
            model = cls(**keys)
            model._description = copy.deepcopy({"name": config.get("name", cls.__name__), **keys})
            model.add_heads_from_configs([] if heads is None else heads)
            return model

        if cls.Config is not None:
            keys = without_ignored(cls.Config, keys, str(config.get("name", cls.__name__)), *cls.ignored)
            # without weights first, heads and all: nothing is allocated for a bad config
            refuse_what_cannot_fit(build, str(config.get("name", cls.__name__)))
        return build()

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        input_shape: tuple[int, ...] | None = None,
        model_depth: int | None = None,
        *,
        example: Any = None,
    ) -> ClassyModel:
        """Adopt any nn.Module (torchvision, timm, your own): it stays the object it was, under ``.model``.

        What torch.compile or data parallelism was given is adopted in place of the wrapper.

        Args:
            model: takes a batch of inputs.
            input_shape: shape of one input without the batch; default: what the model says itself, as timm's and
                transformers' do, else (3, 224, 224).
            model_depth: kept for compatibility, unused.
            example: in place of ``input_shape`` for a model that takes something else than one tensor of numbers: what
                it is called with, a tensor or `classykit.Inputs`.

        A ClassyModel is given back as it is, whatever else is said.

        >>> lookup = ClassyModel.from_model(nn.Embedding(9, 4), example=torch.zeros(1, 6, dtype=torch.long))
        >>> lookup.block_features(["model"])["model"].shape
        (6, 4)
        """
        if not isinstance(model, nn.Module):
            raise ConfigError(f"from_model takes an nn.Module, not {type(model).__name__}.")
        if input_shape is not None and not isinstance(input_shape, (tuple, list, torch.Size)):
            raise ConfigError(f"input_shape is a tuple of sizes such as (3, 224, 224), not {quoted(input_shape)}.")
        model = unwrapped(model)
        return model if isinstance(model, ClassyModel) else Adapter(model, input_shape, example)

    @classmethod
    def from_checkpoint(cls, checkpoint: Mapping[str, Any]) -> ClassyModel:
        """Rebuild the model of a ClassyVision checkpoint dict, with its weights and heads."""
        try:
            if isinstance(checkpoint, torch.Tensor):
                raise TypeError("it is a tensor")
            config = checkpoint["input_args"]["config"]["model"]
            state = checkpoint["classy_state_dict"]["base_model"]
        except (KeyError, TypeError, IndexError) as missing:
            raise StateError(
                "A ClassyVision checkpoint holds ['input_args']['config']['model'] and "
                f"['classy_state_dict']['base_model']; looking for them raised {quoted(missing)}."
            ) from None
        model = build_model(config)
        model.set_classy_state(state)
        return model

    def _read(self, values: Mapping[str, Any]) -> Any:
        """Validate a family's keys; called first in a family's constructor."""
        kind = self.Config or Config
        values = without_ignored(kind, dict(values), type(self).__name__, *self.ignored)
        read = read_config(kind, values, type(self).__name__)
        ClassyModel.__init__(self)
        self._description = copy.deepcopy({"name": type(self).__name__.lower(), **values})
        self._completed = read.completed()
        return read

    @property
    def config(self) -> dict[str, Any]:
        """The config that rebuilds this model, heads included, without its weights. A copy."""
        config = copy.deepcopy(self._description)
        if self._head_blocks:
            config["heads"] = [
                {**head.config, "fork_block": block} for block, heads in self.get_heads().items() for head in heads
            ]
        return config

    @property
    def full_config(self) -> dict[str, Any]:
        """`config` with nothing left out: every key of the family, with the value in use. A copy."""
        return copy.deepcopy({"name": self._description.get("name"), **self._completed, **self.config})

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch dimension: (3, 224, 224) unless the family says otherwise."""
        return (3, 224, 224)

    def example_input(self, batch_size: int = 1, device: str | torch.device = "cpu") -> Any:
        """Zeros of `input_shape` in the model's dtype, as ``forward`` takes them, or the example that was given."""
        if self.example is not None:
            return mapped(lambda t: t.to(device), self.example.sized(batch_size)).alone
        return torch.zeros(batch_size, *self.input_shape, device=device, dtype=dtype_of(self))

    # ---- running ----

    def forward(self, x: Any) -> Any:
        """The trunk's pass."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x).")

    def extract_features(self, x: Any) -> Any:
        """The trunk's features, whatever heads are attached."""
        return self.forward(x)

    @property
    def head_outputs(self) -> dict[str, torch.Tensor]:
        """What each head gave in the last eager call; they hold their graph when grad was enabled."""
        return dict(self._head_outputs)

    def execute_heads(self, block_outputs: Mapping[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
        """Run every head on its block's features ``{block name: features}``, giving ``{unique_id: tensor}``.

        Without an argument: what the heads gave in the last forward pass (features are not kept).
        """
        if block_outputs is None:
            if self._head_blocks and not self._head_outputs:
                raise HeadError("No forward pass has run the heads yet: call model(x) first.")
            return self.head_outputs
        if not isinstance(block_outputs, Mapping):
            raise ConfigError(f"execute_heads takes {{block name: features}}, not {quoted(block_outputs)}.")
        missing = [b for b in self._head_blocks.values() if b not in block_outputs]
        if missing:
            raise BlockError(f"execute_heads needs the features of {', '.join(map(repr, missing))}.")
        return {h.unique_id: h(block_outputs[self._head_blocks[h.unique_id]]) for h in self._heads.values()}

    # ---- blocks ----

    def block_paths(self) -> dict[str, str]:
        """``{short name: dotted path}`` of the blocks worth listing, in forward order."""
        return {k: v for k, v in find_blocks(self).items() if not is_of_head(k)}

    def other_paths(self) -> dict[str, str]:
        """What works outside of the blocks and takes no head, as a detector's heads: {name: dotted path}."""
        return {}

    @property
    def block_names(self) -> list[str]:
        """Every listed block, in forward order. Anything else can be reached by its dotted path."""
        return list(self.block_paths())

    @property
    def attachable_block_names(self) -> list[str]:
        """The same as `block_names`: every listed block takes a head."""
        return self.block_names

    @classmethod
    def short_name(cls, block: str) -> str:
        """A block's name for where there is little room, such as under its picture.

        >>> ClassyModel.short_name("block1-1"), ClassyModel.short_name("features.1.0")
        ('1-1', '1.0')
        """
        for pattern, template in (*cls.short_names, (r"(?:block|layer_|hidden)(\d+(?:-\d+)?)", r"\1")):
            if match := re.fullmatch(pattern, block):
                return match.expand(template)
        parts = block.split(".")
        return ".".join(parts[-2:]) if len(parts) > 1 and parts[-1].isdigit() else parts[-1]

    def find_block(self, name: str) -> tuple[str, str]:
        """``(shown name, dotted path)`` of the block that ``name`` means; BlockError when none or several."""
        return resolve_block(self, self.block_paths(), name)

    def block_features(self, blocks: Iterable[str]) -> dict[str, Features | None]:
        """What these blocks would give for one input: kind and shape, without running or changing anything."""
        paths = {b: self.find_block(b)[1] for b in blocks}
        seen, _ = probe(self, set(paths.values()))
        return {b: seen[p][0] if p in seen else None for b, p in paths.items()}

    def moves(self, paths: Iterable[str]) -> dict[str, tuple[bool, ...]]:
        """``{dotted path: for each dimension of its output, whether it moves with the input's size}``, where known.

        What moves is space, what does not is channels. "" is the input.
        """
        if self.channels_first:
            return {}
        try:
            return probe(self, set(paths))[1]
        except Exception:  # whatever a stranger's forward raises
            return {}

    # ---- heads ----

    def attach_head(
        self, block: str, head: ClassyHead | str, *, unique_id: str | None = None, **keys: Any
    ) -> ClassyHead:
        """Attach a head to a block and return the head.

        Args:
            block: one of `block_names`, or a dotted path.
            head: a ClassyHead, or a registered name with its config in ``keys``. ``in_plane`` is inferred
                from the block when left out.
            unique_id: the head's name within the model; default: the registered name, numbered if taken.

        Raises BlockError for an unknown block, HeadError when the head does not fit there or its id is
        taken, ConfigError for bad keys. Whatever is raised, the heads stay as they were.
        """
        shown, path = self.find_block(block)
        if isinstance(head, ClassyHead):
            if unique_id is not None or keys:
                raise ConfigError("unique_id and config keys go with a head's name, not with a head object.")
            new: ClassyHead | dict[str, Any] = head
        elif isinstance(head, str):
            if keys.keys() & {"name", "fork_block"}:
                raise ConfigError("attach_head names the head and its block itself: leave out name and fork_block.")
            new = {"name": head, "unique_id": self._free_id(head) if unique_id is None else unique_id, **keys}
        else:
            raise ConfigError(f"A head is a ClassyHead or a registered name, not {quoted(head)}.")
        fitted, readings = heads_fitted(self, [(shown, path, new)], taken=self._head_blocks)
        self._install([*self._attached(), *fitted], self._readings | readings)
        return fitted[0][1]

    def set_heads(self, heads: Mapping[str, Iterable[ClassyHead | Mapping[str, Any]]]) -> None:
        """Replace all heads: ``{block name: [head, ...]}``, each a ClassyHead or a head config.

        All or nothing: whatever is raised (see `attach_head`), the old heads stay in place.
        """
        wanted = []
        if not isinstance(heads, Mapping):
            raise ConfigError(f"set_heads takes {{block name: [head, ...]}}, not {type(heads).__name__}.")
        for block, of_block in heads.items():
            shown, path = self.find_block(block)
            of_block = [of_block] if isinstance(of_block, (ClassyHead, Mapping)) else of_block
            if isinstance(of_block, (str, torch.Tensor)) or not isinstance(of_block, Iterable):
                raise ConfigError(f"The heads of a block are a list of heads; {quoted(block)} has {quoted(of_block)}.")
            wanted += [(shown, path, head) for head in of_block]
        self._install(*heads_fitted(self, wanted, taken={}))

    def add_heads_from_configs(self, configs: Iterable[Mapping[str, Any]]) -> None:
        """Attach the heads of a model config, each with its ``fork_block``, besides those there are."""
        wanted = []
        if not isinstance(configs, (list, tuple)):
            raise ConfigError(f"'heads' is a list of head configs, not {quoted(configs)}.")
        for config in configs:
            if not isinstance(config, Mapping) or "fork_block" not in config:
                raise ConfigError(f"A head in a model's config names its block as 'fork_block'; found {config!r}.")
            shown, path = self.find_block(config["fork_block"])
            wanted.append((shown, path, {k: v for k, v in config.items() if k != "fork_block"}))
        if wanted:
            fitted, readings = heads_fitted(self, wanted, taken=self._head_blocks)
            self._install([*self._attached(), *fitted], self._readings | readings)

    def get_heads(self) -> dict[str, list[ClassyHead]]:
        """The attached heads: ``{block name: [head, ...]}``."""
        heads: dict[str, list[ClassyHead]] = {}
        for block, head in self._attached():
            heads.setdefault(block, []).append(head)
        return heads

    def head_paths(self) -> dict[str, str]:
        """``{unique_id: dotted path}`` of the attached heads."""
        paths = {id(head): path for path, head in self.named_modules()}
        return {head.unique_id: paths[id(head)] for head in self._heads.values()}

    def clear_heads(self) -> None:
        """Remove all heads."""
        self._install([], {})

    def remove_head(self, unique_id: str) -> ClassyHead:
        """Remove one head and return it; HeadError when there is none of that name."""
        kept = [(b, h) for b, h in self._attached() if h.unique_id != unique_id]
        removed = [h for h in self._heads.values() if h.unique_id == unique_id]
        if not removed:
            raise HeadError(
                f"There is no head {quoted(unique_id)}; attached are: {', '.join(self._head_blocks) or 'none'}."
            )
        self._install(kept, self._readings)
        return removed[0]

    def _attached(self) -> list[tuple[str, ClassyHead]]:
        return [(self._head_blocks[h.unique_id], h) for h in self._heads.values()]

    def _free_id(self, name: str) -> str:
        n, unique_id = 1, name
        while unique_id in self._head_blocks:
            n += 1
            unique_id = f"{name}_{n}"
        return unique_id

    def _install(self, heads: list[tuple[str, ClassyHead]], readings: Mapping[str, Reading]) -> None:
        """Make these the attached heads. Nothing here can fail half-way: everything was checked before."""
        paths = {block: self.find_block(block)[1] for block, _ in heads}
        for hook in self._hooks:
            hook.remove()
        container = HeadDict()
        for _, head in heads:
            container.put(head)
        self._run_as_written(bool(heads))
        self._heads, self._hooks, self._head_outputs = container, [], {}
        self._head_blocks = {head.unique_id: block for block, head in heads}
        self._readings = {block: readings[block] for block in paths}
        if not heads:
            return
        for block, path in paths.items():
            tap = Tap(self._taps, block, self._readings[block])
            self._hooks.append(self.get_submodule(path).register_forward_hook(tap))
        run_heads = partial(self._taps.end, _run_heads)
        self._hooks += [
            self.register_forward_pre_hook(self._taps.begin),
            self.register_forward_hook(run_heads, prepend=True),  # the user's hooks see the heads' output
            self.register_forward_hook(self._taps.abandon, always_call=True),
        ]

    def _run_as_written(self, with_heads: bool) -> None:
        """Set the code of parts that were compiled in place aside: it does not call the hooks of heads that come later.

        Without heads it is put back.
        """
        if not with_heads:
            for module, compiled in self._set_aside:
                vars(module)["_compiled_call_impl"] = compiled
            self._set_aside = []
            return
        found = [(module, vars(module).get("_compiled_call_impl")) for module in self.modules()]
        found = [(module, compiled) for module, compiled in found if compiled is not None]
        for module, _ in found:
            vars(module)["_compiled_call_impl"] = None
        self._set_aside += found
        if found:
            warn(
                f"{type(found[0][0]).__name__} was compiled in place (module.compile()), and compiled code does not "
                "run heads that are attached later: while there are heads it runs as it was written. Compile it again "
                "to have it compiled with its heads."
            )

    # ---- state ----

    def trunk_state(self) -> dict[str, Any]:
        """The state dict of the trunk alone, whatever heads are attached: the same keys with heads and without."""
        return {k: v for k, v in self.state_dict().items() if not is_of_head(k)}

    def get_classy_state(self, deep_copy: bool = False) -> dict[str, Any]:
        """The state in ClassyVision's form: ``{"model": {"trunk": {...}, "heads": {block: {id: {...}}}}}``.

        The tensors are the model's own unless ``deep_copy`` is set.
        """
        heads = {block: {h.unique_id: h.state_dict() for h in heads} for block, heads in self.get_heads().items()}
        state = {"model": {"trunk": self.trunk_state(), "heads": heads}}
        return copy.deepcopy(state) if deep_copy else state

    def set_classy_state(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Load a state as `get_classy_state` gives it; the state itself is never written to.

        With ``strict`` every key of the trunk and of every head must be there and none besides. Raises
        StateError, before anything is loaded, naming the keys that are missing, unknown or misshapen.
        """
        trunk, heads = trunk_of(state), self._states_of_heads(state, strict)
        trunk = self.convert_trunk_state(dict(trunk), state)
        self._refuse_without_weights()
        check_state(self.trunk_state(), trunk, strict, "the trunk")
        self.load_state_dict(trunk, strict=False)  # the heads' keys are the only ones missing
        for head, head_state in heads:
            head.load_state_dict(head_state, strict)

    def load_head_states(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Load only the heads' part of a state; checked as in `set_classy_state`."""
        self._refuse_without_weights()
        for head, head_state in self._states_of_heads(state, strict):
            head.load_state_dict(head_state, strict)

    def convert_trunk_state(self, trunk: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        """Bring a trunk state of an older form, or another resolution, to this model's. ``trunk`` is a copy."""
        return trunk

    def _states_of_heads(self, state: Mapping[str, Any], strict: bool) -> list[tuple[ClassyHead, dict]]:
        """Pair the attached heads with their states, all checked."""
        given = {(self._shown(block), unique_id): head for (block, unique_id), head in heads_of(state).items()}
        own = {(block, head.unique_id): head for block, head in self._attached()}
        if strict and given.keys() != own.keys():
            raise StateError(
                f"The heads differ: the model has {_ids(own)}, the state has {_ids(given)}. "
                f"Attach the same heads first, or load with strict=False."
            )
        pairs = [(own[key], head_state) for key, head_state in given.items() if key in own]
        for head, head_state in pairs:
            check_state(head.state_dict(), head_state, strict, f"head {quoted(head.unique_id)}")
        return pairs

    def _refuse_without_weights(self) -> None:
        if any(p.is_meta for p in self.parameters()):
            raise StateError(
                "The model is on the meta device, which keeps no weights: build it on another one, or call "
                'model.to_empty(device="cpu") first.'
            )

    def _shown(self, block: str) -> str:
        try:
            return self.find_block(block)[0]
        except BlockError:
            return block

    def __getstate__(self) -> dict[str, Any]:
        # Outputs with a graph can be neither copied nor pickled, and belong to the call, not to the model; compiled
        # code is not copied by torch either.
        return {**super().__getstate__(), "_head_outputs": {}, "_set_aside": []}


def _run_heads(module: ClassyModel, record: Mapping[str, torch.Tensor]) -> Any:
    """What the model returns once its blocks have been recorded. ``module`` may be a replica."""
    outputs = module.execute_heads(record)
    if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        module._head_outputs = outputs
    return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)


def _ids(heads: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{quoted(unique_id)} at {block}" for block, unique_id in heads) or "none"


class Adapter(ClassyModel):
    """A module that was adopted by `ClassyModel.from_model`."""

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...] | None, example: Any = None):
        super().__init__()
        self.model = model
        self.example = example if example is None else example_of(example, input_shape)
        if self.example is not None:
            input_shape = self.example.shape_of_one
        self._input_shape = tuple(input_shape or input_shape_of(model) or super().input_shape)
        self.preprocessing = preprocessing_of(model)
        self._description = {"name": type(model).__name__}
        self._found: Found | None = None  # worked out when first asked for

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._input_shape

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.model(*args, **kwargs)

    def extract_features(self, *args: Any, **kwargs: Any) -> Any:
        extract = getattr(self.model, "extract_features", None)
        return extract(*args, **kwargs) if callable(extract) else self.model(*args, **kwargs)

    def block_paths(self) -> dict[str, str]:
        return {path or "model": f"model.{path}".rstrip(".") for path in self._look().blocks}

    def other_paths(self) -> dict[str, str]:
        return {path: f"model.{path}" for path in self._look().others}

    def moves(self, paths: Iterable[str]) -> dict[str, tuple[bool, ...]]:
        return self._look().moves

    def list_as(self, other: ClassyModel) -> None:
        """List the blocks that another adopted module of the same kind has."""
        if isinstance(other, Adapter):
            self._found = other._look()

    def _look(self) -> Found:
        if self._found is None:
            self._found = blocks_that_run(self, self.model, "model.")
        return self._found
