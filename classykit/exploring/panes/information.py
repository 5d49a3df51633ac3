"""Information: what can be read off each block by a linear probe, beside its controls."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from classykit import datasets, formats
from classykit.errors import ClassyKitError, ConfigError, HeadError, Interrupted, quoted
from classykit.exploring.explored import Explored
from classykit.exploring.pane import Acts, Pane
from classykit.exploring.pixels import pack
from classykit.extracting.picture_folder import Folder
from classykit.features import TOKENS, patch_grid
from classykit.heads.linear_probe import LinearProbe
from classykit.inspecting.inspection import inspect
from classykit.learning.linear import Accuracy
from classykit.learning.probe import Probe, probe
from classykit.python_code import keywords, literal
from classykit.subject import UNTRAINED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIGITS, FOLDER, YOURS = "digits", "folder", "yours"
COUNTS = (100, 300, 1000, 0)  # pictures that may be asked about; 0 for all
SIZES = (32, 64, 96, 128)  # pixels a side of the digits, for models that take any
PREFERRED = 96
UNITS = (("billion ", "G", 1e9), ("million ", "M", 1e6), ("thousand ", "k", 1e3), ("", "", 1))
REPEATS = 3
FITTING = 0.4  # the share of the time that is spent on learning from features
FIT_SECONDS = 0.1  # about what it takes to learn from 300 pictures' features of one block


@dataclass
class Asked:
    """What was asked, and what was found.

    Attributes:
        probe: the figures.
        said: how the verb was asked.
        code: the lines of Python that give them.
        what: what was told apart, in words.
        head_name: what its head is called.
        at: how large the pictures were, in words.
        stopped: how far it came, in words, where it was cancelled.
        knows: what the scene was told; once it is another, this is of what is no longer on the screen.
        attached: {unique_id: block} of the heads that were made of it.
    """

    probe: Probe
    said: dict[str, Any]
    code: list[str]
    what: str
    head_name: str
    at: str
    stopped: str = ""
    knows: dict[str, float] = field(default_factory=dict)
    attached: dict[str, str] = field(default_factory=dict)


class InformationPane(Pane):
    """A linear probe on each block, of digits, of a folder's classes, or of what Python gave."""

    id, title = "information", "Information"
    pictured = False
    grows = True

    def __init__(self, *given: Any):
        super().__init__(*given)
        self.data, self.count, self.pool, self.folder = DIGITS, 300, "mean", ""
        self.size: int | None = None  # of the digits, where one was chosen
        self._given: tuple[Any, Any] | None = None  # what Python gave: pictures, classes
        self._asked: Asked | None = None
        self._growing: Asked | None = None  # while it is being asked
        self._sizes_of: tuple[Explored, list[int]] | None = None

    # ---- what may be asked ----

    @property
    def _kinds(self) -> list[str]:
        """What may be told apart by the model on the screen."""
        pictures = self.scene.takes_pictures
        there = {DIGITS: bool(self._digit_sizes), FOLDER: pictures, YOURS: self._given is not None}
        return [kind for kind, is_there in there.items() if is_there]

    @property
    def _kind(self) -> str:
        kinds = self._kinds
        return self.data if self.data in kinds else kinds[0] if kinds else ""

    @property
    def _digit_sizes(self) -> list[int]:
        """How large the digits may be; none where the model does not take them."""
        if self._sizes_of is None or self._sizes_of[0] is not self.scene.subject:
            self._sizes_of = self.scene.subject, _sizes(self.scene.subject)
        return self._sizes_of[1]

    @property
    def _size(self) -> int:
        sizes = self._digit_sizes
        return next((size for size in (self.size, PREFERRED) if size in sizes), sizes[-1])

    @property
    def _pools(self) -> list[str]:
        """What features may be pooled to: by their mean, or, where there is one, to the class token."""
        shape = self.scene.inspection.input_shape
        size = (shape[1], shape[2]) if len(shape) == 3 else None
        features = [block.features for block in self.scene.inspection.trunk]
        tokens = [known for known in features if known is not None and known.kind == TOKENS]
        return ["mean", "class"] if any(patch_grid(known.shape[0], size)[1] for known in tokens) else ["mean"]

    def _why_not(self) -> str:
        subject = self.scene.subject
        if self._kinds:
            return ""
        in_python = "From Python app.probe(x, y) asks about arrays of yours."
        if subject.takes_clips:
            return f"{subject.name} takes clips, and what is told apart here are pictures. {in_python}"
        if subject.example is not None:
            return f"{subject.name} takes what you gave as its example, and no pictures. {in_python}"
        values = math.prod(self.scene.inspection.input_shape)
        return f"{subject.name} takes {values} values, which are those of no square picture of digits. {in_python}"

    def _folder_words(self) -> tuple[str, bool]:
        """(what is in the folder, whether that can be asked about)"""
        if not self.folder:
            return "A folder with a sub-folder of pictures for each class.", True
        try:
            classes = _classes_in(self.folder)
        except (ClassyKitError, OSError) as error:
            return str(error), False
        names = list(classes)
        listed = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        return f"{len(names)} classes: {listed}; {sum(classes.values()):,} pictures.", True

    def _about_seconds(self) -> float | None:
        """About how long it will take, from how long the last run took; None where there was none."""
        last, inspection = self.scene.last, self.scene.inspection
        if last is None or self._kind == YOURS:
            return None
        count = self.count or (1437 if self._kind == DIGITS else 0)
        if not count:
            return None
        own = inspection.input_shape[-1]
        share = (self._size / own) ** 2 if self._kind == DIGITS and len(inspection.input_shape) == 3 else 1.0
        return 2 * count * (last.seconds * share + FIT_SECONDS * len(inspection.trunk) / 300)

    # ---- asking ----

    def ask(self, x: Any = None, y: Any = None, **keys: Any) -> Probe:
        """Ask, and take what is found over into the scene; see `Explorer.probe`.

        Where it is interrupted what was found until then stays, and Interrupted goes on.
        """
        before = self.data, self.folder, self._given
        try:
            if isinstance(x, (str, os.PathLike)) and y is None:
                self.data, self.folder = FOLDER, str(x)
            elif x is not None:
                self.data, self._given = YOURS, (x, y)
            return self._ask(keys)
        except BaseException:
            if self._found is None or not self._found.stopped:
                self.data, self.folder, self._given = before
            raise
        finally:
            self._growing = None

    def _ask(self, keys: dict[str, Any]) -> Probe:
        if why_not := self._why_not():
            raise ConfigError(why_not)
        (x, y), asked = self._prepared(keys)
        model = self.scene.subject.go_live(self.scene.device)
        start = time.perf_counter()
        try:
            asked.probe = probe(
                model, x, y, **asked.said, progress=False,
                on_pictures=partial(self._on_pictures, asked), on_block=partial(self._on_block, asked),
            )  # fmt: skip
        except Interrupted as error:
            if isinstance(error.result, Probe):
                asked.probe, asked.stopped = error.result, str(error).split(";")[0].replace("Interrupted", "Cancelled")
                self._keep(asked, f"{asked.stopped}. What was read stays.")
            raise
        took = formats.seconds(time.perf_counter() - start)
        self._keep(asked, f"{len(asked.probe.blocks)} blocks probed in {took}; nothing of the model was changed.")
        return asked.probe

    def _prepared(self, keys: dict[str, Any]) -> tuple[tuple[Any, Any], Asked]:
        """(pictures and classes, what is asked so far)"""
        kind, shape = self._kind, self.scene.inspection.input_shape
        given: tuple[Any, Any]
        lines: list[str]
        said: dict[str, Any] = {"limit": self.count} if kind != YOURS and self.count else {}
        said |= {"repeats": REPEATS, "device": self.scene.device}
        if self.pool != "mean" and self.pool in self._pools:
            said["pool"] = self.pool
        said |= keys
        at = f", at {shape[-1]} px" if len(shape) == 3 else ""
        if kind == FOLDER:
            if not self.folder:
                raise ConfigError("Which folder? Type its path: it holds a sub-folder of pictures for each class.")
            given, names, lines = (self.folder, None), [literal(self.folder)], []
            name = Path(self.folder).name or "probe"
            what = f"the folder {name}"
            _classes_in(self.folder)  # which may raise, before anything runs
        elif kind == DIGITS:
            given, names, lines = self._digits()
            what, name, at = "the digits", "digits", f", at {self._size} px"
        else:
            assert self._given is not None
            given, names, lines = self._given, ["pictures", "labels"], ["# pictures, labels: those that you gave"]
            what, name, at = "your pictures", "probe", ""
        call = f"probe = ck.probe({', '.join(['model', *names, *keywords(said)])})"
        nothing = Probe(self.scene.subject.name, {}, {}, {}, 0, 0, None)
        return given, Asked(nothing, said, [*lines, call, "probe.plot()"], what, name, at)

    def _digits(self) -> tuple[tuple[Any, Any], list[str], list[str]]:
        """((pictures, classes), what both are in code, the lines before)"""
        shape = self.scene.inspection.input_shape
        channels = shape[0] if len(shape) == 3 else shape[0] // self._size**2
        x, y = datasets.digits(self._size, channels).train
        more = "" if channels == 3 else f", channels={channels}"
        lines = [f"x, y = ck.datasets.digits({self._size}{more}).train"]
        if len(shape) == 1:
            return (x.flatten(1) * 2 - 1, y), ["x.flatten(1) * 2 - 1", "y"], lines
        return (x * 2 - 1, y), ["x * 2 - 1", "y"], lines

    def _on_pictures(self, asked: Asked, done: int, of: int) -> None:
        again = bool(asked.probe.blocks)
        whose = "random weights" if again else self.scene.subject.name
        self._show_share(asked, f"{done} of {of} pictures through {whose} …", again + (1 - FITTING) * done / of)

    def _on_block(self, asked: Asked, found: Probe) -> None:
        asked.probe, self._growing = found, asked
        random = found.controls.get("random", {})
        whose, now, of = self.scene.subject.name, len(random or found.blocks), len(self.scene.block_names)
        words = f"Probing {'random weights' if random else whose}: {now} of {of} blocks …"
        self._show_share(asked, words, bool(random) + 1 - FITTING + FITTING * min(now / of, 1))

    def _show_share(self, asked: Asked, words: str, passes: float) -> None:
        of = 2 if "random" in asked.said.get("controls", ("random",)) else 1
        self.tell(words, round(1000 * passes / of), 1000)

    def _keep(self, asked: Asked, words: str) -> None:
        asked.knows = {block: found.accuracy for block, found in asked.probe.blocks.items()}
        self._asked, self.scene.knows = asked, asked.knows
        self._growing = None
        self.tell(words, 0, 0)

    def _ask_in_app(self) -> None:
        try:
            self.ask()
        except Interrupted as error:
            if error.result is None:
                raise

    @property
    def _found(self) -> Asked | None:
        """What was found of the model on the screen."""
        return self._asked if self._asked is not None and self.scene.knows is self._asked.knows else None

    def head(self) -> LinearProbe:
        """The probe of the chosen block as a head with what it has learnt, under a name that is free."""
        found = self._found
        if found is None:
            raise HeadError("There is no probe to attach yet: ask first.")
        taken, name = self.scene.subject.heads(), found.head_name
        name = next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)
        head = found.probe.head(self.scene.block, name)
        found.attached[name] = self.scene.block
        return head

    # ---- what is shown ----

    @property
    def acts(self) -> Acts:
        return {
            "information_data": ({"data": str}, lambda m: self._set(data=m["data"])),
            "information_count": ({"count": int}, lambda m: self._set(count=m["count"])),
            "information_size": ({"size": int}, lambda m: self._set(size=m["size"])),
            "information_pool": ({"pool": str}, lambda m: self._set(pool=m["pool"])),
            "information_folder": ({"path": str}, lambda m: self._set(folder=m["path"].strip())),
            "information_ask": ({}, lambda m: self._ask_in_app()),
        }

    def _set(self, **choice: Any) -> None:
        offered = {"data": self._kinds, "count": COUNTS, "size": self._digit_sizes, "pool": self._pools}
        for name, value in choice.items():
            if name in offered and value not in offered[name]:
                raise ConfigError(f"{name} is one of {', '.join(map(repr, offered[name]))}, not {quoted(value)}.")
            setattr(self, name, value)

    def show(self) -> tuple[dict[str, Any], bytes]:
        kind, asked = self._kind, self._growing or self._found
        state: dict[str, Any] = {
            "kinds": self._kinds, "kind": kind, "why_not": self._why_not(),
            "counts": [] if kind in (YOURS, "") else list(COUNTS), "count": self.count,
            "sizes": self._digit_sizes if kind == DIGITS and len(self._digit_sizes) > 1 else [],
            "size": self._size if self._digit_sizes else 0,
            "pools": self._pools if len(self._pools) > 1 else [], "pool": self.pool,
            "about": _about(self._about_seconds()),
            "result": None if asked is None else self._result(asked),
        }  # fmt: skip
        if kind == FOLDER:
            words, good = self._folder_words()
            state["folder"] = {"path": self.folder, "words": words, "good": good}
        thumbs, pixels = pack([_ten_digits()]) if kind == DIGITS else ([], b"")
        return {**state, "digits": thumbs}, pixels

    def _result(self, asked: Asked) -> dict[str, Any]:
        found, growing = asked.probe, self._growing is asked
        pixels, chance = found.controls.get("pixels"), found.controls["chance"]
        random: dict[str, Accuracy] = found.controls.get("random", {})
        reached = [macs for macs in found.macs_so_far.values() if macs is not None]
        known = len(reached) == len(found.blocks)
        word, letter, unit = next(of for of in UNITS if of[2] <= max(reached, default=0) or of[2] == 1)
        spreads = [one.accuracy - (_spread(one) or 0.0) for one in (*found.blocks.values(), *random.values())]
        low = min([*spreads, chance.accuracy, *([pixels.accuracy] if pixels else [])])
        points = []
        for i, (name, own) in enumerate(found.blocks.items()):
            of_random = [_rounded(random[name]), _spread(random[name])] if name in random else []
            points.append([name, found.macs_so_far[name] if known else i + 1, _rounded(own), _spread(own), *of_random])
        return {
            "growing": growing, "stopped": asked.stopped,
            "weights": "untrained" if found.untrained else "trained" if self.scene.subject.trained else "these weights",
            "points": points, "low": max(0, math.floor(10 * low) / 10),
            "x": f"{word}MACs so far{asked.at}" if known else "blocks so far",
            "letter": letter if known else "", "unit": unit if known else 1, "known": known,
            "pixels": _rounded(pixels) if pixels else None, "chance": _rounded(chance),
            "says": [] if growing else found.says,
            "heads": [name for name in found.blocks if name in found.heads],
            "foot": _foot(asked),
            "notes": [note for note in found.notes if note != UNTRAINED and not note.startswith("Interrupted")],
        }  # fmt: skip

    def figure(self) -> Figure | None:
        return None if self._found is None else self._found.probe.plot()

    def code(self) -> str:
        found = self._found
        if found is None:
            return ""
        lines, heads = list(found.code), self.scene.subject.heads()
        for name, block in found.attached.items():
            if name in heads and heads[name][0] == block:
                at = [head.unique_id for of, head in heads.values() if of == block].index(name)
                learnt = f"probe.head({literal(block)}).state_dict()"
                lines.append(f"model.get_heads()[{literal(block)}][{at}].load_state_dict({learnt})")
        return "\n".join(lines)


def _sizes(subject: Explored) -> list[int]:
    """The sizes of square pictures that a model takes: its own, and others where it takes any."""
    shape = subject.inspection.input_shape
    if subject.example is not None or len(shape) not in (1, 3):
        return []
    if len(shape) == 1:
        square = {math.isqrt(shape[0] // channels): channels for channels in (3, 1)}
        return [side for side, channels in square.items() if side >= 8 and channels * side**2 == shape[0]][:1]
    channels, own = shape[0], shape[-1]
    if not 1 <= channels <= 256 or shape[1] != own or own < 8:
        return []
    smaller = [size for size in SIZES if size < own]
    return [*(smaller if smaller and _takes(subject, (channels, SIZES[0], SIZES[0])) else []), own]


def _takes(subject: Explored, shape: tuple[int, ...]) -> bool:
    try:
        return inspect(subject.model, shape).error is None
    except ClassyKitError:
        return False


def _classes_in(path: str) -> dict[str, int]:
    """{class: pictures} of a folder; errors name it."""
    labels = Counter(row["label"] for row in Folder(path))
    where = quoted(path)
    loose = labels.pop(None, 0)
    if not labels:
        raise ConfigError(f"The {loose} pictures of {where} lie in no sub-folder: give each class one of its own.")
    if len(labels) == 1:
        only = next(iter(labels))
        raise ConfigError(f"{where} holds one class, {quoted(only)}: two at least, each in a sub-folder of its own.")
    few = [name for name, count in labels.items() if count < 2]
    if few:
        raise ConfigError(
            f"Class {quoted(few[0])} of {where} has one picture: two at least, one to learn from and one to test with."
        )
    return dict(labels)


def _foot(asked: Asked) -> str:
    found, repeats = asked.probe, asked.said["repeats"]
    chance = formats.percent(found.controls["chance"].accuracy)
    return " ".join([
        f"Of {asked.what}: {found.pictures} pictures of {found.classes} classes;",
        f"tested on {found.tested} that were not learnt from.",
        *([f"± is one standard deviation over {repeats} splits."] if repeats > 1 else []),
        f"Chance, always the most frequent class, is {chance}.",
    ])  # fmt: skip


def _about(seconds: float | None) -> str:
    """Roughly: what is known from one pass tells no more."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    return f"about {round(seconds / 60)} min"


@lru_cache(maxsize=1)
def _ten_digits() -> torch.Tensor:
    """(10, 8, 8): one of each."""
    x, y = datasets.digits(8, 1).train
    return torch.stack([x[int((y == digit).nonzero()[0])][0] for digit in range(10)])


def _rounded(found: Accuracy) -> float:
    return round(found.accuracy, 6)


def _spread(found: Accuracy) -> float | None:
    return None if math.isnan(found.spread) else round(found.spread, 6)
