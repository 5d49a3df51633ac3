"""Compare: the model on the screen beside others, aligned by stage, with one selection and one picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classykit import formats
from classykit.comparing.compare_stages import counterpart, places
from classykit.comparing.comparison import Comparison
from classykit.comparing.comparison_table import with_unit
from classykit.errors import ConfigError, quoted
from classykit.exploring.explored import Explored
from classykit.exploring.pane import Acts, Pane
from classykit.exploring.panes.blocks import preset_of
from classykit.exploring.pixels import pack
from classykit.exploring.scene import EVIDENCE, PICTURE, QUICK_MACS, Scene
from classykit.features import TOKENS, shape_text
from classykit.inspecting.report import BlockInfo, Inspection, side
from classykit.models.factory import MODELS
from classykit.python_code import literal, printable
from classykit.seeing.feature_maps import ORDERS, FeatureMaps, feature_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = "ABCD"  # so many models stand side by side at most
PARTS = {"trunk": "trunk only", "classifier": "with classifier"}
COLORS = {"macs": "MACs", "params": "parameters", "activation_bytes": "activations"}
BATCH = 32  # inputs, of which the peak memory is compared
MAPS = 8  # feature maps of each model
_FIGURES = (
    ("params", "parameters"), ("macs", "MACs"), ("activation_bytes", "activations"), ("param_bytes", "weights"),
    ("blocks", "blocks"),
)  # fmt: skip


class ComparePane(Pane):
    """Up to four models: what each costs, stage by stage, and what each makes of the picture.

    Attributes:
        others: those beside the model on the screen, each as a scene of its own on the same device and picture.
        part: what is counted of each, one of `PARTS`.
    """

    id, title = "compare", "Compare"

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.others: list[Scene] = []
        self.part = "trunk"
        self._about: tuple[Inspection, str] | None = None  # what the blocks of the others were chosen for
        self._tried: dict[Scene, Any] = {}  # for what each was run unasked: an error is not said again and again
        self._peaks: list[tuple[Inspection, str, int | None]] = []

    # ---- which models ----

    def put(self, models: Iterable[str | Mapping[str, Any] | nn.Module]) -> None:
        """Have exactly these beside the model on the screen; ConfigError where they are too many, or one is none."""
        scenes: list[Scene] = []
        for model in models:
            scenes.append(self._scene_of(model, scenes))
        gone, self.others, self._about, self._tried = self.others, scenes, None, {}
        for other in gone:
            other.let_go()

    def add(self, model: str | Mapping[str, Any] | nn.Module) -> None:
        """One more."""
        self.others, self._about = [*self.others, self._scene_of(model, self.others)], None

    def remove(self, at: int) -> None:
        """Take one away, and let go of its weights; 1 for B."""
        other = self._other(at)
        self.others = [kept for kept in self.others if kept is not other]
        self._tried.pop(other, None)
        other.let_go()

    def let_go(self) -> None:
        """Let go of the weights of all that stand beside the model on the screen."""
        for other in self.others:
            other.let_go()

    def _scene_of(self, model: Any, others: list[Scene]) -> Scene:
        if len(others) >= len(LETTERS) - 1:
            raise ConfigError(f"At most {len(LETTERS)} models stand side by side: take one away first.")
        subject, scene = Explored(model), self.scene
        for there in (scene, *others):
            if subject.adopted is None and there.subject.config == subject.config:
                raise ConfigError(f"{subject.name} is there already.")
        return Scene(subject, scene.device, scene.image, scene.picture, scene.clip)

    def _other(self, at: int) -> Scene:
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
        self.tell(f"{_listed([*LETTERS[: len(self._all)]])} ran on {self.scene.device}.", 1, 1)

    # ---- messages ----

    @property
    def acts(self) -> Acts:
        return {
            "compare_add": ({"model": str}, lambda m: self.add(m["model"].strip())),
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
        scene = self.scene if at == 0 else self._other(at)
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
        maps = [_maps(scene, order) for scene in self._all]
        arrays, pixels = pack([m.to_unit()[:, m.frame] if m is not None else torch.zeros(0) for m in maps])
        stages = _stages(comparison)
        state |= {
            "models": [
                _model(scene, letter, comparison, [*stages], m, array)
                for letter, scene, m, array in zip(LETTERS, self._all, maps, arrays, strict=False)
            ],
            "stages": [*stages.values()],
            "colors": [{"id": color, "label": label} for color, label in COLORS.items()],
            "part": self.part,
            "parts": [{"id": part, "label": label} for part, label in PARTS.items()],
            "part_words": _counted_in_words(comparison, self.part),
            "totals": self._totals(comparison),
            "by_stage": _by_stage(comparison, stages),
            "keys": _keys(self._all),
            "order": order,
            "orders": [*ORDERS, PICTURE],
            "ran": all(scene.last is not None for scene in self._all),
        }
        return state, pixels

    def _totals(self, comparison: Comparison) -> list[dict[str, Any]]:
        names = comparison.names
        rows = [(label, [comparison.figure(n, of) for n in names], of) for of, label in _FIGURES]
        rows.insert(4, (f"memory, batch {BATCH}", [self._peak(comparison, n) for n in names], "memory"))
        lines = [_line(label, figures, [with_unit(of, n) for n in figures]) for label, figures, of in rows]
        seconds = [scene.last.seconds if scene.last is not None else None for scene in self._all]
        if any(seconds):
            lines.append(_line("last run", seconds, ["–" if t is None else formats.seconds(t) for t in seconds]))
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


# ---- the parts of what it shows ----


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _model(
    scene: Scene,
    letter: str,
    comparison: Comparison,
    stages: list[str],
    maps: FeatureMaps | None,
    array: dict[str, Any],
) -> dict[str, Any]:
    """One model: what it is, its blocks, and its maps."""
    inspection, subject = comparison[letter], scene.subject
    most = {c: max(getattr(b, c) for n in comparison.names for b in comparison[n].trunk) or 1 for c in COLORS}
    where = {block.name: place[2] for block, place in places(inspection)}
    short_name = subject.model.short_name
    info = scene.inspection[scene.block]
    guesses = scene.predictions()
    return {
        "letter": letter,
        "name": scene.inspection.name,
        "variant": _variant(subject),
        "trained": subject.trained or "",
        "block": scene.block,
        "shape": shape_text(info.output_shape),
        "sees": _sees(info),
        "field": info.receptive_field.window() if info.receptive_field is not None else None,
        "guess": f"{guesses[0][0]} {formats.percent(guesses[0][1])}" if guesses else _no_guess(scene),
        "blocks": [
            [
                b.name, short_name(b.name), stages.index(where[b.name]), b.features.channels if b.features else 0,
                _resolution(b), int(b.has_skip), *(round(getattr(b, c) / most[c], 3) for c in COLORS),
            ]
            for b in inspection.trunk
        ],
        "maps": None if maps is None else {"channels": maps.channels, "limits": _limits(maps)},
        "array": array,
    }  # fmt: skip


def _variant(subject: Explored) -> str:
    """The keys that make it another than its preset, in words."""
    keys = {} if subject.adopted is not None else subject.config
    words = ", ".join(f"{key} = {value}" for key, value in keys.items() if key not in ("name", "heads"))
    return words if len(words) <= 60 else f"{words[:59]}…"


def _sees(info: BlockInfo) -> str:
    field = info.receptive_field
    if field is None or field.size is None:
        return ""
    return "sees all" if field.is_global else f"sees {side(field)} px"


def _no_guess(scene: Scene) -> str:
    if scene.last is None:
        return "not run yet"
    return "no names of classes" if scene.inspection.classifier else "no classifier"


def _resolution(block: BlockInfo) -> int:
    """The side of a block's map; of tokens that of the square that they would make."""
    features = block.features
    if features is None:
        return 1
    if features.kind == TOKENS:
        return round(features.shape[0] ** 0.5)
    return features.spatial[-1] if features.spatial else 1


def _maps(scene: Scene, order: str) -> FeatureMaps | None:
    """The first of the maps of a model's chosen block."""
    features = scene.features
    if not isinstance(features, torch.Tensor):
        return None
    by = scene.ranking if scene.sorted_by == order else order
    maps = feature_maps(features, by, count=MAPS, known=scene.known)
    return maps if maps.channels else None


def _limits(maps: FeatureMaps) -> list[list[float]]:
    """What the ends of each map's colours stand for."""
    return [[float(f"{value:.4g}") for value in pair] for pair in maps.limits.tolist()]


def _stages(comparison: Comparison) -> dict[str, str]:
    """{stage: what stands above it}: the resolution where all models have the same there."""
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for name in comparison.names:
        blocks = {b.name for b in comparison[name].trunk}
        for block, place in places(comparison[name]):
            if block.name in blocks:
                spatial = block.features.spatial if block.features is not None else ()
                sizes.setdefault(place[2], set()).add(tuple(spatial))
    heading = {}
    for stage in comparison.aligned:
        if stage in sizes:
            same = next(iter(sizes[stage])) if len(sizes[stage]) == 1 else ()
            heading[stage] = " × ".join(map(str, same)) or stage
    return heading


def _line(label: str, figures: list[Any], words: list[str]) -> dict[str, Any]:
    """A row of figures, with their shares of the largest and how they compare with the first."""
    most = max((n for n in figures if n is not None), default=0) or 1
    first = figures[0]
    return {
        "label": label,
        "values": words,
        "shares": [round((n or 0) / most, 4) for n in figures],
        "ratios": [_ratio(n, first) for n in figures[1:]],
    }


def _ratio(n: float | None, first: float | None) -> str:
    """How many times as much: "×1.8"; "" where that is not known.

    >>> _ratio(23.5, 3.37), _ratio(1, 3), _ratio(None, 3)
    ('×7', '×0.33', '')
    """
    if n is None or not first:
        return ""
    times = n / first
    return f"×{times:.0f}" if times >= 10 else f"×{times:.2g}"


def _counted_in_words(comparison: Comparison, part: str) -> str:
    """What is counted, and what each model has besides."""
    sums = {n: sum(b.params for b in comparison.whole[n].classifier) for n in comparison.names}
    has = [f"{n} has a classifier of {formats.count(params)} parameters" for n, params in sums.items() if params]
    none = [n for n, params in sums.items() if not params]
    if none:
        has.append(f"{_listed(none)} {'has' if len(none) == 1 else 'have'} none" if has else "none has a classifier")
    counted = "Counted without classifiers" if part == "trunk" else "Counted with classifiers"
    return f"{counted}: {', '.join(has)}."


def _by_stage(comparison: Comparison, heading: dict[str, str]) -> list[dict[str, Any]]:
    """MACs and parameters of each stage, a figure a model, with their shares of the largest."""
    rows = {stage: models for stage, models in comparison.aligned.items() if stage in heading}
    most = {c: max((getattr(s, c) for of in rows.values() for s in of.values()), default=0) or 1
            for c in ("macs", "params")}  # fmt: skip
    return [
        {
            "label": heading[stage],
            **{
                c: [
                    [formats.count(getattr(of[n], c)), round(getattr(of[n], c) / most[c], 4)] if n in of else ["–", 0]
                    for n in comparison.names
                ]
                for c in most
            },
        }
        for stage, of in rows.items()
    ]


def _keys(scenes: list[Scene]) -> list[dict[str, Any]]:
    """The keys that differ between models of one family; none where no other is of the first one's."""
    subjects = [scene.subject for scene in scenes]
    if subjects[0].adopted is not None:
        return []
    kind = MODELS[subjects[0].config["name"]].cls
    alike = [s.adopted is None and MODELS[s.config["name"]].cls is kind for s in subjects]
    if sum(alike) < 2:
        return []
    configs = [subject.full_config if same else {} for subject, same in zip(subjects, alike, strict=True)]
    given = [config for config in configs if config]
    keys = dict.fromkeys(key for config in given for key in config if key not in ("name", "heads"))
    differing = [key for key in keys if any(config.get(key) != given[0].get(key) for config in given)]
    return [
        {"key": key, "values": [literal(config.get(key)) if config else "–" for config in configs]} for key in differing
    ]
