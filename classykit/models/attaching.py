"""Whether heads fit the blocks where they are wanted: asked of a weightless copy before anything changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from classykit.configs import without_ignored
from classykit.contexts import verb
from classykit.errors import BlockError, ClassyKitError, ConfigError, HeadError, first_line, quoted, warn
from classykit.features import IN_WORDS, TOKENS, Features, main_tensor, patch_grid, shape_text
from classykit.heads.classy_head import HEADS, ClassyHead, heads_that_fit
from classykit.memory import refuse_weights_of
from classykit.meta import dtype_of, meta_twin, weightless
from classykit.models.running_blocks import PROBE_BATCH, Watch, probed
from classykit.models.taps import Reading
from classykit.shortcuts import Shortened

if TYPE_CHECKING:
    from classykit.models.classy_model import ClassyModel

# {a model whose trunk stays as it is: what its blocks give}; its copies, which may be changed, are not among them
_kept: WeakKeyDictionary[ClassyModel, dict[str, Probed]] = WeakKeyDictionary()

LARGEST_MAP = 256  # positions along an axis that are tried for a head that wants more than there are


class Probed(NamedTuple):
    """What a block was found to give: of which kind, as a meta tensor, and how it is to be read."""

    features: Features | None
    output: Any
    reading: Reading


def probe(model: ClassyModel, paths: set[str]) -> tuple[dict[str, Probed], dict[str, tuple[bool, ...]]]:
    """What the blocks at these paths give, in the order in which they end, and what moves (see `probed`)."""
    shape = model.input_shape
    square = len(shape) < 3 or shape[-1] == shape[-2]

    def watch(twin: ClassyModel, batch: int) -> Watch[dict[str, tuple[int | str | None, Any, int]]]:
        watching: Watch[dict[str, tuple[int | str | None, Any, int]]] = Watch({})

        def note(path: str, module: nn.Module, args: Any, output: Any) -> None:
            if path not in watching.seen:
                key, output = main_tensor(output, batch)
                watching.seen[path] = key, output, getattr(output, "_version", 0)
                if isinstance(output, torch.Tensor):
                    watching.shapes[path] = tuple(output.shape)

        for path in paths:
            watching.on(twin.get_submodule(path), partial(note, path))
        return watching

    outputs, moves, batch = probed(model, watch)
    found = {
        path: Probed(
            Features.of(output, batch, square, moves.get(path)),
            output.to("meta") if isinstance(output, torch.Tensor) else output,
            Reading(key, clone=getattr(output, "_version", 0) != version),
        )
        for path, (key, output, version) in outputs.items()
    }
    return found, moves


@verb
def heads_fitted(
    model: ClassyModel, wanted: list[tuple[str, str, ClassyHead | Mapping[str, Any]]], taken: Iterable[str]
) -> tuple[list[tuple[str, ClassyHead]], dict[str, Reading]]:
    """Build what is wanted at ``(block name, path, head or config)`` and check it; changes nothing.

    Also says how the blocks' features are to be read.
    """
    ids = set(taken)
    try:
        seen = _seen_of(model, {path for _, path, _ in wanted}) if wanted else {}
    except ClassyKitError:
        raise
    except Exception:  # the model cannot run on meta tensors: heads then say themselves what they take
        seen = None
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    checked: list[tuple[str, ClassyHead | Callable[[], ClassyHead]]] = []
    readings, described = {}, []
    for block, path, head in wanted:
        if seen is not None and path not in seen:
            raise BlockError(f"block {quoted(block)} does not run in a forward pass, so it gives nothing to a head.")
        # where nothing is known, a copy is the safe assumption
        features, output, readings[block] = seen[path] if seen is not None else (None, None, Reading(clone=True))
        if not isinstance(head, (ClassyHead, Mapping)):
            raise ConfigError(f"A head is a ClassyHead or a head's config, not {quoted(head)}.")
        build = None
        if not isinstance(head, ClassyHead):
            kind, keys = _completed(head, block, features, output, model.input_shape)
            build = partial(_build, model, kind, keys, device)
            if kind.Config is None:  # one's own, whose constructor may do anything: it runs once
                head, build = build(), None
            else:
                with weightless():
                    head = kind.from_config(keys).to(dtype=dtype_of(model))
                described.append(head)
        if head.unique_id in ids:
            raise HeadError(f"The model already has a head {quoted(head.unique_id)}; choose another unique_id.")
        ids.add(head.unique_id)
        if features is not None:
            _check_fit(head, block, features, output, model.input_shape)
        checked.append((block, build or head))
    if device.type != "meta":
        names = " and ".join(repr(head.unique_id) for head in described)
        refuse_weights_of(described, device, f"head {names}")
    # weights are made now that all of them fit
    return [(block, h if isinstance(h, ClassyHead) else h()) for block, h in checked], readings


def _seen_of(model: ClassyModel, paths: set[str]) -> dict[str, Probed]:
    """What the blocks at these paths give: as it was kept, where the trunk is not to change (see `keep_known`)."""
    kept = _kept.get(model)
    return kept if kept is not None and paths <= kept.keys() else probe(model, paths)[0]


def keep_known(model: ClassyModel, known: Mapping[str, Features]) -> None:
    """Take it as said what the blocks of a model of this kit's give, so that heads come and go without a pass of it.

    For whoever owns the model, and leaves its trunk as it is. ``known`` is by block, and not needed a second time.
    """
    if model not in _kept:
        size, dtype, paths = PROBE_BATCH, dtype_of(model), model.block_paths()
        _kept[model] = {
            paths[block]: Probed(f, torch.empty(size, *f.shape, dtype=dtype, device="meta"), Reading())
            for block, f in known.items()
            if block in paths
        }


def _completed(
    config: Mapping[str, Any], block: str, features: Features | None, output: Any, input_shape: tuple[int, ...]
) -> tuple[type[ClassyHead], dict[str, Any]]:
    """The head's class, and its config with what the block settles (``in_plane``)."""
    if not all(isinstance(key, str) for key in config):
        raise ConfigError(f"The keys of a head's config are strings: {quoted(dict(config))}.")
    if "name" not in config:
        raise ConfigError(f"The head config {quoted(dict(config))} lacks the key 'name'; list_heads() gives the names.")
    kind, keys = HEADS[config["name"]], dict(config)
    if kind.Config is not None:
        keys = without_ignored(kind.Config, keys, f"head {quoted(keys.get('unique_id'))}")
    if features is not None:
        _refuse_misfit(kind, keys.get("unique_id"), block, features)
        for key, value in kind.keys_for(features).items():
            keys.setdefault(key, value)
        if kind.Config is not None and "before" in kind.Config.model_fields:
            _tell_tokens(keys, block, features, input_shape)
    elif "in_plane" not in keys and kind.Config is not None and "in_plane" in kind.Config.model_fields:
        gave = "its shapes cannot be worked out beforehand" if output is None else f"it gives {_say(output)}"
        raise HeadError(f"in_plane cannot be inferred for head {quoted(keys.get('unique_id'))} at {block}: {gave}.")
    return kind, keys


def _tell_tokens(keys: dict[str, Any], block: str, features: Features, input_shape: tuple[int, ...]) -> None:
    """Which tokens are no patches, for a head that wants to know; HeadError where it asks for one that is not there."""
    size = (input_shape[1], input_shape[2]) if len(input_shape) == 3 else None
    before = patch_grid(features.shape[0], size)[1] if features.kind == TOKENS else 0
    if before:
        keys.setdefault("before", before)
    elif keys.get("pool") == "class" and not keys.get("before"):
        raise HeadError(
            f"head {quoted(keys.get('unique_id'))} wants the class token, and {block} gives {_kind_words(features)} "
            f'without one before the patches: leave out pool="class".'
        )


def _build(model: ClassyModel, kind: type[ClassyHead], keys: Mapping[str, Any], device: torch.device) -> ClassyHead:
    """A head with weights, in the model's dtype and mode."""
    with torch.device(device):
        head = kind.from_config(keys)
    head = head.to(dtype=dtype_of(model)).train(model.training)
    head.remember_weights()
    return head


def _refuse_misfit(kind: type[ClassyHead], unique_id: Any, block: str, features: Features) -> None:
    reason = kind.misfit(features)
    if reason is not None:
        fitting = ", ".join(heads_that_fit(features))
        raise HeadError(
            f"head {quoted(unique_id)} ({kind.registered_name or kind.__name__}) {reason}; "
            f"{block} gives {_kind_words(features)}. Heads that fit: {fitting}."
        )


def _check_fit(
    head: ClassyHead, block: str, features: Features, output: torch.Tensor, input_shape: tuple[int, ...]
) -> None:
    """Raise HeadError when ``head`` cannot take these features; warn when it could take those of larger inputs."""
    _refuse_misfit(type(head), head.unique_id, block, features)
    in_plane = getattr(head, "in_plane", None)
    if in_plane is not None and in_plane != features.channels:
        raise HeadError(
            f"head {quoted(head.unique_id)} expects {in_plane} channels, {block} gives {features}: "
            f"use in_plane={features.channels}, or leave it out to have it inferred."
        )
    twin = meta_twin(head)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), Shortened():
            twin(output.to(dtype_of(head)))
    except Exception as error:  # whatever a stranger's head raises
        why = f"head {quoted(head.unique_id)} cannot take {block}'s {_kind_words(features)}: {first_line(error)}"
        needed = _smallest(twin, output.to(dtype_of(head)), features)
        if needed is None or len(input_shape) != 1 + len(features.spatial):
            raise HeadError(why) from None
        sides = zip(needed, features.spatial, input_shape[1:], strict=True)
        least = (input_shape[0], *(max(math.ceil(n * side / has), side) for n, has, side in sides))
        warn(
            f"{why}. That is what inputs of {shape_text(input_shape)} give it; from about {shape_text(least)} on it "
            "works, so it is attached."
        )


def _smallest(twin: nn.Module, output: torch.Tensor, features: Features) -> tuple[int, ...] | None:
    """The smallest map, (H, W) or (T, H, W), that a head takes which does not take this one; None where none helps."""
    if not features.spatial or features.channels_last:
        return None

    def takes(spatial: list[int]) -> bool:
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                twin(output.new_empty(*output.shape[:2], *spatial))
        except Exception:  # as above
            return False
        return True

    large = [max(n, LARGEST_MAP) for n in features.spatial]
    if not takes(large):
        return None
    found = []
    for axis, has in enumerate(features.spatial):  # each alone, the others large
        low, high = has - 1, large[axis]  # the smallest lies above the one, and is at most the other
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if takes([*large[:axis], middle, *large[axis + 1 :]]) else (middle, high)
        found.append(high)
    return tuple(found)


def _kind_words(features: Features) -> str:
    return f"{IN_WORDS[features.kind]} {features}"


def _say(output: Any) -> str:
    return f"a tensor of shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
