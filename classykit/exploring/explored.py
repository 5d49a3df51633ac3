"""The model under exploration: described on the meta device, allocated once something must run."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import nn

from classykit.errors import ConfigError, HeadError, ShapeError, StateError, first_line, quoted, suggest
from classykit.exploring import descriptions
from classykit.heads.classy_head import HEADS, ClassyHead
from classykit.inputs import example_of, input_shape_of
from classykit.inspecting.attached import with_heads
from classykit.inspecting.inspection import Inspection, inspect
from classykit.meta import dtype_of, has_weights, meta_twin, shared_twin
from classykit.models.attaching import keep_known
from classykit.models.classy_model import Adapter, ClassyModel
from classykit.models.factory import MODELS, build_model
from classykit.nested import Inputs
from classykit.running.memory_fit import allocate, check_fits
from classykit.seeing.attends import attends
from classykit.subject import refuse_without_weights, subject_of
from classykit.weights.pretrained import is_available, load_pretrained, packaged_weights


class Explored:
    """A described model, or a module of the user's, with the heads that are attached while exploring.

    Args:
        model: a name, a config, or an nn.Module. A module is never changed: what is explored is a copy of its
            module tree that shares its weights.
        example: what a module of the user's is called with (see `classykit.Inputs`), where it is no picture or clip.
    """

    def __init__(self, model: str | Mapping[str, Any] | nn.Module, example: Any = None):
        self.live: ClassyModel | None = None
        self.adopted: str | None = None
        self._bare: Inspection | None = None  # what is known of it without heads
        self._lost = False  # whether weights that came with a module were let go
        self._put_away: dict[str, ClassyHead] = {}  # heads that were removed or changed, with what they had learnt
        module = subject_of(model).module
        if module is None:
            if example is not None:
                raise ConfigError("example goes with a module of your own; a model of this kit's knows what it takes.")
            self._source = model
            self._take_up()
        else:
            self.adopted = type(module.model if isinstance(module, Adapter) else module).__name__
            try:
                twin = shared_twin(module) if has_weights(module) else meta_twin(module)
            except Exception as error:  # whatever a stranger's __deepcopy__ raises
                raise ConfigError(
                    f"{self.adopted} cannot be explored: its module tree cannot be copied ({first_line(error)}), and "
                    f"the app changes nothing of yours."
                ) from error
            self._described = ClassyModel.from_model(twin, example=example).eval()
            if example is not None:
                self._described.example = example_of(example)  # of a model of this kit's, too
            if has_weights(module):
                self.live = self._described
        self.dtype: str = str(dtype_of(self._described)).removeprefix("torch.")  # "float32"
        try:
            self.inspection  # noqa: B018  which may be refused
        except ShapeError as error:
            if self.adopted and not isinstance(model, ClassyModel):  # the shape of its input was a guess
                error.args = (
                    f"{error} If {self.adopted} takes other inputs, say which, as in "
                    "ck.explore(ck.ClassyModel.from_model(module, input_shape=(3, 16, 112, 112))), or "
                    "ck.explore(module, example=ck.Inputs(ids, mask=mask)).",
                )
            raise

    @cached_property
    def _described(self) -> ClassyModel:
        """The model on the meta device, or a copy of the user's."""
        return build_model(self._source, device="meta").eval()

    @cached_property
    def inspection(self) -> Inspection:
        """What the model is and what it costs."""
        return self._inspect()

    def _inspect(self) -> Inspection:
        plain = self.adopted is None and self._is_all_registered()
        if plain and self.heads():
            quick = with_heads(self._without_heads(), self._described)
            if quick is not None:
                return quick
        described = self.config if plain else self._described
        inspection = inspect(described).require()  # from a config it needs no copies, and is remembered
        if not self.heads():
            self._bare = inspection
        return inspection

    def _without_heads(self) -> Inspection:
        """Of a model of this kit's."""
        if self._bare is None:
            self._bare = inspect({key: value for key, value in self.config.items() if key != "heads"})
        return self._bare

    def _tell_what_is_known(self, model: ClassyModel) -> None:
        """So that a head that is attached need not ask by another pass what its block gives."""
        if self.adopted is None:
            rows = self._without_heads().trunk
            keep_known(model, {row.name: row.features for row in rows if row.features is not None})

    @property
    def config(self) -> dict[str, Any]:
        """What describes the model now, heads included."""
        return self._described.config

    @property
    def full_config(self) -> dict[str, Any]:
        """The same with the values of all keys; empty for a module of the user's."""
        return {} if self.adopted is not None else self._described.full_config

    @property
    def name(self) -> str:
        """The registered name, or the class of an adopted module."""
        return self.inspection.name

    @property
    def said_shape(self) -> tuple[int, ...] | None:
        """The input shape that was said when a module was adopted; None where the module says it, or takes pictures."""
        if not isinstance(self._described, Adapter) or self.example is not None:
            return None
        by_itself = input_shape_of(self._described.model) or (3, 224, 224)
        return None if self.inspection.input_shape == by_itself else self.inspection.input_shape

    @property
    def example(self) -> Inputs | None:
        """What it is called with, where that was said when it was adopted."""
        return self._described.example

    @property
    def takes_pictures(self) -> bool:
        """Whether it runs on a picture, in colour or grey, and not on a clip, a vector or an example that was given."""
        shape = self.inspection.input_shape
        return self.example is None and len(shape) == 3 and shape[0] in (1, 3)

    @property
    def digit_side(self) -> int | None:
        """Pixels on a side of the handwritten digits that it runs on as vectors, 28 for 784 values; None for none."""
        shape = self.inspection.input_shape
        if self.example is not None or len(shape) != 1:
            return None
        side = math.isqrt(shape[0])
        return side if side * side == shape[0] and 8 <= side <= 64 else None

    @property
    def takes_digits(self) -> bool:
        """Whether sample digits are offered: its pictures are grey or small, or it takes them as vectors."""
        shape = self.inspection.input_shape
        return self.digit_side is not None or (self.takes_pictures and (shape[0] == 1 or max(shape[1:]) <= 64))

    @property
    def takes_clips(self) -> bool:
        """Whether it runs on a clip, (3, T, H, W)."""
        return self.example is None and len(self.inspection.input_shape) == 4 and self.inspection.input_shape[0] == 3

    @cached_property
    def attends(self) -> bool:
        """Whether there is attention in it, as far as the code of its layers tells."""
        return attends(self.model)

    @property
    def family(self) -> str:
        """Class of the model's family."""
        return self.adopted or MODELS[self.config["name"]].cls.__name__

    @property
    def packaged(self) -> bool:
        """Whether trained weights of exactly this trunk come with a package, installed or not."""
        return (
            self.adopted is None
            and self.config["name"] in packaged_weights()
            and not set(self.config) - {"name", "heads"}
        )

    @property
    def trained(self) -> str | None:
        """What the weights were trained on; None for random weights."""
        if self.adopted is not None:
            return self._described.weights
        if self.live is not None and self.packaged:
            return self.live.weights
        return (
            packaged_weights()[self.config["name"]].trained_on
            if self.packaged and is_available(self.config["name"])
            else None
        )

    @property
    def model(self) -> ClassyModel:
        """The model: on the meta device until it has been allocated."""
        return self.live if self.live is not None else self._described

    @property
    def preprocessing(self) -> Any:
        """How pictures become inputs, when the weights come with that."""
        if self.trained and self.adopted is None:
            return packaged_weights()[self.config["name"]].preprocessing
        return self.model.preprocessing

    def heads(self) -> dict[str, tuple[str, ClassyHead]]:
        """{unique_id: (block, head)}."""
        return {h.unique_id: (block, h) for block, heads in self._described.get_heads().items() for h in heads}

    def attach_head(self, block: str, head: ClassyHead | str, unique_id: str | None, keys: dict[str, Any]) -> str:
        """Attach a head wherever the model stands; all or nothing. Returns its unique_id."""
        self._tell_what_is_known(self._described)
        with torch.random.fork_rng(devices=[]):  # exploring does not spend the user's random numbers
            attached = self._described.attach_head(block, copy.deepcopy(head), unique_id=unique_id, **keys)
        if self.live is not None and self.live is not self._described:
            self._attach_live(self.live, block, attached)
        self.inspection = self._inspect()
        return attached.unique_id

    def _attach_live(self, live: ClassyModel, block: str, described: ClassyHead) -> None:
        """Give the allocated model the described head: with its weights when it has some, else random ones."""
        self._tell_what_is_known(live)
        if any(p.device.type == "meta" for p in described.parameters()):
            with torch.random.fork_rng(devices=[]):
                live.add_heads_from_configs([{**described.config, "fork_block": block}])
        else:
            live.attach_head(block, copy.deepcopy(described).to(next(live.parameters()).device))

    def remove_head(self, unique_id: str) -> None:
        """Remove a head wherever the model stands."""
        heads = self.heads()
        if unique_id not in heads:
            self._described.remove_head(unique_id)  # which raises, and says what there is
        self.put_heads({name: head for name, head in heads.items() if name != unique_id})

    def put_heads(self, heads: Mapping[str, tuple[str, ClassyHead]]) -> None:
        """Have exactly these heads, as `heads` gave them once; those that were removed come back with their weights."""
        by_block: dict[str, list[ClassyHead]] = {}
        for block, head in heads.values():
            by_block.setdefault(block, []).append(head)
        self._tell_what_is_known(self._described)
        self._described.set_heads(by_block)
        if self.live is not None and self.live is not self._described:
            self._put_away |= {str(head.config): head for of in self.live.get_heads().values() for head in of}
            self.live.clear_heads()
            for block, head in heads.values():
                before = self._put_away.get(str(head.config))
                if before is not None:
                    self.live.attach_head(block, before)
                else:
                    self._attach_live(self.live, block, head)
        self.inspection = self._inspect()

    def change_head(
        self, unique_id: str, block: str | None = None, name: str | None = None, keys: Mapping[str, Any] | None = None
    ) -> bool:
        """Move a head to another block, rename it, or give it other keys; all or nothing.

        It keeps its weights where they have the same shapes then. Returns whether it lost trained ones.
        """
        heads = self.heads()
        if unique_id not in heads:
            there = ", ".join(heads) or "none"
            raise HeadError(f"There is no head {quoted(unique_id)}.{suggest(unique_id, heads)} There is {there}.")
        place, old = heads[unique_id]
        before = self.head_with_weights(unique_id)
        trained = before is not None and not before.is_untrained
        wanted = self._rewritten(place, old, name or unique_id, keys or {})
        by_block: dict[str, list[Any]] = {}
        for other, (at, head) in heads.items():
            mine = other == unique_id
            by_block.setdefault((block or place) if mine else at, []).append(wanted if mine else head)
        self._tell_what_is_known(self._described)
        with torch.random.fork_rng(devices=[]):
            self._described.set_heads(by_block)
        if self.live is not None and self.live is not self._described:
            self.put_heads(self.heads())
        self.inspection = self._inspect()
        now = self.head_with_weights(name or unique_id)
        took = before is not None and now is not None and now.take_weights(before)
        return trained and not took and (now is None or now.is_untrained)

    def _rewritten(self, block: str, head: ClassyHead, name: str, keys: Mapping[str, Any]) -> Any:
        """The config of a changed head, without what its block settles; of a kind of one's own, the head itself."""
        kind = head.config["name"]
        for key in keys:
            if key in ("unique_id", "in_plane", "name", "fork_block"):
                raise HeadError(f"{key} is no key to edit: a head is renamed or moved, and takes what its block gives.")
        if kind not in HEADS or HEADS[kind].Config is None:
            if keys:
                raise HeadError(f"Head {quoted(head.unique_id)} is of a kind of your own: its code says what it is.")
            renamed = copy.deepcopy(head)
            renamed.unique_id = name
            return renamed
        given = self.inspection[block].features
        settled = {"in_plane", "before", *(HEADS[kind].keys_for(given) if given is not None else ())}
        kept = {key: value for key, value in head.config.items() if key not in settled}
        return {**kept, **keys, "unique_id": name}

    def head_with_weights(self, unique_id: str) -> ClassyHead | None:
        """The attached head that runs; None before it has weights, and for a head that needs none."""
        found = (h for of in self.model.get_heads().values() for h in of if h.unique_id == unique_id)
        head = next(found, None)
        held = [] if head is None else list(head.parameters())
        return head if held and not any(p.is_meta for p in held) else None

    def go_live(self, device: str) -> ClassyModel:
        """The model with weights on ``device``, allocated when it was not; DeviceError when it does not fit."""
        if self.live is None:
            if self._lost:
                raise StateError(
                    f"This app was closed, and let the weights of {self.adopted} go: classykit.explore(module) opens "
                    f"another on the module."
                )
            if self.adopted is not None:
                refuse_without_weights(self._described)
            self.live = self._allocate(device)
        if not self.is_live_on(device):
            check_fits(self.inspection, device)
            # an adopted module shares its weights with the user's, which stays where it is
            self.live = (copy.deepcopy(self.live) if self.adopted else self.live).to(device)
        return self.live

    def let_go(self) -> None:
        """Let go of the weights, and of all that can be made again; weights of an adopted module cannot."""
        if self.adopted is not None:
            self._lost = self._lost or self.live is not None
            self._described = meta_twin(self._described)
        elif self._is_all_registered():
            self._put_down()
        self.live = None
        self._put_away.clear()

    def _is_all_registered(self) -> bool:
        """Whether the config says all there is to say of the heads."""
        return all(head.config.get("name") in HEADS for _, head in self.heads().values())

    def _take_up(self) -> None:
        """The description of just this model, where one was put down before."""
        source = self._source
        config = {"name": source} if isinstance(source, str) else dict(source) if isinstance(source, Mapping) else {}
        kept = None if config.get("heads") else descriptions.take(config)
        if kept is not None:
            self._described, self.inspection = kept
            self._bare = self.inspection

    def _put_down(self) -> None:
        """Keep nothing but the config; the next that explores the same model finds what is known of it."""
        self._source = self.config
        model = vars(self).pop("_described", None)
        vars(self).pop("inspection", None)
        if model is None or self._bare is None or self.live is model:
            return
        model.clear_heads()
        if not has_weights(model):
            descriptions.keep(model.config, model, self._bare)

    def is_live_on(self, device: str) -> bool:
        """Whether its weights are on ``device`` already."""
        if self.live is None:
            return False
        return next(self.live.parameters(), torch.empty(0)).device == torch.device(device)

    def _allocate(self, device: str) -> ClassyModel:
        if self.trained:
            check_fits(self.inspection, device)
            model = load_pretrained(self.config["name"])
            model.clear_heads()  # those that are described are the ones to have
        else:
            trunk = {k: v for k, v in self.config.items() if k != "heads"}
            model = allocate(trunk, self.inspection, device)
        for block, head in self.heads().values():
            self._attach_live(model, block, head)
        return model.eval()
