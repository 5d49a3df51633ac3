"""Compare: the model on the screen beside others, aligned by stage, with one selection and one picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from classykit import formats
from classykit.comparing.compare_stages import counterpart
from classykit.comparing.comparison import Comparison
from classykit.comparing.comparison_table import with_unit
from classykit.errors import ConfigError, quoted
from classykit.exploring.explored import Explored
from classykit.exploring.pane import Acts, Pane
from classykit.exploring.panes.blocks import preset_of
from classykit.exploring.panes.compare_shown import (
    COLORS,
    by_stage,
    counted_in_words,
    differing_keys,
    first_maps,
    line,
    listed,
    model_state,
    stage_headings,
)
from classykit.exploring.pixels import pack
from classykit.exploring.scene import EVIDENCE, PICTURE, QUICK_MACS, Scene
from classykit.inspecting.report import Inspection
from classykit.python_code import literal, printable
from classykit.seeing.feature_maps import ORDERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = "ABCD"  # so many models stand side by side at most
PARTS = {"trunk": "trunk only", "classifier": "with classifier"}
BATCH = 32  # inputs, of which the peak memory is compared
_FIGURES = (
    ("params", "parameters"), ("macs", "MACs"), ("activation_bytes", "activations"), ("param_bytes", "weights"),
    ("blocks", "blocks"),
)  # fmt: skip


class ComparePane(Pane):
    """Up to four models: what each costs, stage by stage, and what each makes of the picture.

    Attributes:
        others: those beside the model on the screen, each as a scene of its own on the same device and picture.
        part: what is counted of each, one of `PARTS`.
        came: {what came from here onto the screen: the heads that came along to it there}.
    """

    id, title = "compare", "Compare"

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.others: list[Scene] = []
        self.part = "trunk"
        self._about: tuple[Inspection, str] | None = None  # what the blocks of the others were chosen for
        self._tried: dict[Scene, Any] = {}  # for what each was run unasked: an error is not said again and again
        self.came: WeakKeyDictionary[Explored, Collection[str]] = WeakKeyDictionary()
        self._peaks: list[tuple[Inspection, str, int | None]] = []

    # ---- which models ----

    def put(self, models: Iterable[str | Mapping[str, Any] | nn.Module]) -> None:
        """Have exactly these beside the model on the screen; ConfigError where they are too many, or one is none."""
        scenes: list[Scene] = []
        for model in models:
            scenes.append(self._scene_of(model, scenes))
        gone, self.others, self._about, self._tried = self.others, scenes, None, {}
        for other in gone:
            self._drop(other)

    def add(self, model: str | Mapping[str, Any] | nn.Module | Explored) -> None:
        """One more; of what is explored already, such as a module that the picker has, just that."""
        self.others, self._about = [*self.others, self._scene_of(model, self.others)], None

    def remove(self, at: int) -> None:
        """Take one away, and let go of its weights; 1 for B."""
        other = self.other(at)
        self.others = [kept for kept in self.others if kept is not other]
        self._tried.pop(other, None)
        self._drop(other)

    @staticmethod
    def _drop(other: Scene) -> None:
        other.forget()
        if other.subject.adopted is None:  # weights of a module of the user's cannot be made again: the picker has it
            other.subject.let_go()

    def known(self, subject: Explored) -> Explored:
        """The same registered model where it stands beside, with its weights and its heads; else ``subject`` itself."""
        for other in self.others:
            bare = {key: value for key, value in other.subject.config.items() if key != "heads"}
            if subject.adopted is other.subject.adopted is None and subject.config in (bare, other.subject.config):
                return other.subject
        return subject

    def stands_beside(self, subject: Explored) -> bool:
        """Whether just this one does."""
        return any(other.subject is subject for other in self.others)

    def exchange(self, subject: Explored) -> None:
        """Have the model that leaves the screen in the place of ``subject``, which stands beside and comes onto it.

        Heads that came along to the one that leaves do not stay on it: they are those of what is on the screen.
        """
        gone = self.scene.subject
        other = next(other for other in self.others if other.subject is subject)
        heads, came = gone.heads(), self.came.get(gone, ())
        if heads.keys() & came:
            gone.put_heads({name: head for name, head in heads.items() if name not in came})
        other.open(gone)

    def let_go(self) -> None:
        """Let go of the weights of all that stand beside the model on the screen."""
        for other in self.others:
            other.let_go()

    def _scene_of(self, model: Any, others: list[Scene]) -> Scene:
        if len(others) >= len(LETTERS) - 1:
            raise ConfigError(f"At most {len(LETTERS)} models stand side by side: take one away first.")
        subject, scene = model if isinstance(model, Explored) else Explored(model), self.scene
        for there in (scene, *others):
            alike = subject.adopted is None and there.subject.config == subject.config
            if alike or there.subject is subject:
                raise ConfigError(f"{subject.name} is there already.")
        return Scene(subject, scene.device, scene.image, scene.picture, scene.clip)

    def other(self, at: int) -> Scene:
        """One that stands beside, 1 for B; ConfigError for none."""
        if not 1 <= at <= len(self.others):
            raise ConfigError(f"There is no model {at}; there are {len(self.others)} beside the one on the screen.")
        return self.others[at - 1]

    @property
    def _all(self) -> list[Scene]:
        return [self.scene, *self.others]

    def _follow(self) -> None:
        """The others on the same picture and device, and on the blocks that stand for the chosen one."""
        scene = self.scene
        for other in self.others:
            other.order = scene.order
            # a picture may be an array, which says of no other whether it is the same
            if other.device != scene.device or other.image is not scene.image or other.clip is not scene.clip:
                other.device, other.image, other.picture, other.clip = (
                    scene.device, scene.image, scene.picture, scene.clip
                )  # fmt: skip
                other.forget()
        about = scene.inspection, scene.block
        if self._about is None or self._about[0] is not about[0] or self._about[1] != about[1]:
            self._about = about
            for other in self.others:
                other.choose(self._counterpart(other))

    def _counterpart(self, other: Scene) -> str:
        """The block that stands for the chosen one: of that name in the same family, else as `counterpart` has it."""
        scene = self.scene
        if other.subject.family == scene.subject.family and scene.block in other.block_names:
            return scene.block
        return counterpart(scene.block, scene.inspection, other.inspection)

    # ---- running ----

    @property
    def due(self) -> bool:
        self._follow()
        return any(self._wants(other) for other in self.others)

    def work(self) -> None:
        self._follow()
        for other in filter(self._wants, self.others):
            self._tried[other] = self._question(other)
            self._look(other)
            self.tell(f"{other.subject.name} ran on {other.device}.", 1, 1)

    def _wants(self, other: Scene) -> bool:
        """Whether a model that is quick has not run yet, or not for this block."""
        if self.scene.last is None or self._tried.get(other) == self._question(other):
            return False
        return other.wants_look if other.last is not None else other.inspection.macs < QUICK_MACS

    @staticmethod
    def _question(other: Scene) -> Any:
        return other.device, id(other.picture), id(other.clip), other.block

    def _look(self, scene: Scene) -> None:
        """What its chosen block gives, from a pass; the first one allocates its weights."""
        words = f"Running {scene.subject.name} on {scene.device} …"
        if scene.last is None:
            self.tell(words, 0, 0)
            scene.run(lambda done, total: self.tell(words, done, total))
        elif scene.features is None:
            scene.look()

    def _run(self) -> None:
        self._follow()
        for scene in self._all:
            self._look(scene)
        self.tell(f"{listed([*LETTERS[: len(self._all)]])} ran on {self.scene.device}.", 1, 1)

    # ---- messages ----

    @property
    def acts(self) -> Acts:
        return {
            "compare_remove": ({"at": int}, lambda m: self.remove(m["at"])),
            "compare_part": ({"part": str}, lambda m: self._count(m["part"])),
            "compare_run": ({}, lambda m: self._run()),
            "compare_block": ({"at": int, "block": str}, lambda m: self._choose(m["at"], m["block"])),
        }

    def _count(self, part: str) -> None:
        if part not in PARTS:
            raise ConfigError(f"What is counted is one of {', '.join(PARTS)}, not {quoted(part)}.")
        self.part = part

    def _choose(self, at: int, block: str) -> None:
        """Choose a block of one model alone."""
        self._follow()
        scene = self.scene if at == 0 else self.other(at)
        if block not in scene.block_names:
            raise ConfigError(f"{scene.subject.name} has no block {quoted(block)}.")
        scene.choose(block)
        if at == 0:
            self._about = scene.inspection, block

    # ---- showing ----

    @property
    def comparison(self) -> Comparison:
        """The models by their letters, as `classykit.compare` makes one."""
        inspections = {letter: scene.inspection for letter, scene in zip(LETTERS, self._all, strict=False)}
        return Comparison(inspections, {}, "A", {}, dict.fromkeys(inspections, self.part == "classifier"))

    @property
    def _order(self) -> str:
        """How the maps of all are sorted: by a class only those of the model that has it could be."""
        order = self.scene.sorted_by
        return ORDERS[0] if order == EVIDENCE else order

    def show(self) -> tuple[dict[str, Any], bytes]:
        self._follow()
        preset = preset_of(self.scene)
        there = [scene.subject.config for scene in self._all if scene.subject.adopted is None]
        state: dict[str, Any] = {
            "preset": preset if preset is not None and {"name": preset} not in there else "",
            "models": [{"name": self.scene.subject.name}],
            "full": len(self._all) == len(LETTERS),
        }
        if not self.others:
            return state, b""
        comparison = self.comparison
        order = self._order
        maps = [first_maps(scene, order) for scene in self._all]
        arrays, pixels = pack([m.to_unit()[:, m.frame] if m is not None else torch.zeros(0) for m in maps])
        stages = stage_headings(comparison)
        state |= {
            "models": [
                model_state(scene, letter, comparison, [*stages], m, array)
                for letter, scene, m, array in zip(LETTERS, self._all, maps, arrays, strict=False)
            ],
            "stages": [*stages.values()],
            "colors": [{"id": color, "label": label} for color, label in COLORS.items()],
            "part": self.part,
            "parts": [{"id": part, "label": label} for part, label in PARTS.items()],
            "part_words": counted_in_words(comparison, self.part),
            "totals": self._totals(comparison),
            "by_stage": by_stage(comparison, stages),
            "keys": differing_keys(self._all),
            "order": order,
            "orders": [*ORDERS, PICTURE],
            "ran": all(scene.last is not None for scene in self._all),
        }
        return state, pixels

    def _totals(self, comparison: Comparison) -> list[dict[str, Any]]:
        names = comparison.names
        rows = [(label, [comparison.figure(n, of) for n in names], of) for of, label in _FIGURES]
        rows.insert(4, (f"memory, batch {BATCH}", [self._peak(comparison, n) for n in names], "memory"))
        lines = [line(label, figures, [with_unit(of, n) for n in figures]) for label, figures, of in rows]
        seconds = [scene.last.seconds if scene.last is not None else None for scene in self._all]
        if any(seconds):
            lines.append(line("last run", seconds, ["–" if t is None else formats.seconds(t) for t in seconds]))
        return lines

    def _peak(self, comparison: Comparison, name: str) -> int | None:
        """The peak memory, which takes a pass on the meta device, and so is asked for once."""
        whole = comparison.whole[name]
        for inspection, part, peak in self._peaks:
            if inspection is whole and part == self.part:
                return peak
        peak = comparison.peak_memory(name, BATCH)
        self._peaks = [*self._peaks, (whole, self.part, peak)][-4 * len(LETTERS) :]
        return peak

    def figure(self) -> Figure | None:
        return self.comparison.plot() if self.others else None

    def code(self) -> str:
        if not self.others:
            return ""
        given = ["model"]
        notes = []
        for letter, other in zip(LETTERS[1:], self.others, strict=False):
            subject = other.subject
            if subject.adopted is not None:
                given.append(f"model_{letter.lower()}")
                notes.append(f"  # {given[-1]}: your {printable(subject.adopted)}")
            else:
                given.append(literal(subject.config["name"] if {*subject.config} == {"name"} else subject.config))
        names = literal([*LETTERS[: len(given)]])
        counts = self.part == "classifier"
        return f"c = ck.compare([{', '.join(given)}], names={names}, classifier={counts}){''.join(notes)}\nc.stages()"
