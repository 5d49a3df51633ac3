"""Why: where in the picture the score of a class comes from, at the chosen block and at every depth."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import nn

from classykit.errors import BlockError, ClassyKitError, ConfigError, HeadError
from classykit.exploring.pane import Acts, Pane, Tell
from classykit.exploring.pixels import pack
from classykit.exploring.scene import Scene
from classykit.features import VECTOR
from classykit.heads.classy_head import heads_that_fit
from classykit.python_code import literal
from classykit.seeing.evidence import Evidence, evidence
from classykit.seeing.scores import classifies
from classykit.seeing.view import View

TOP = 5  # classes in the list, beside the chosen one
HITS = 8  # classes that a search shows
THUMBS = 24  # maps in the strip; of more blocks some are left out
OFFERED, CLASSES = "linear_probe", 10  # the head that a model without one may get: it goes on any block


@dataclass(frozen=True, eq=False)
class _Asked:
    """What evidence is asked about: objects, that are the same or not, and what is said of them."""

    objects: tuple[Any, ...]
    words: tuple[Any, ...]

    def is_same(self, other: _Asked | None) -> bool:
        return (
            other is not None
            and self.words == other.words
            and all(a is b for a, b in zip(self.objects, other.objects, strict=True))
        )


class WhyPane(Pane):
    """The evidence for a class: the most probable one, or any other, by the model's classifier or any head.

    Attributes:
        minus: whether the score of the best other class is taken away.
    """

    id, title = "why", "Why"
    stays = frozenset({"heads", "thumbs", "arrays", "classes"})

    def __init__(self, scene: Scene, tell: Tell):
        super().__init__(scene, tell)
        self.minus = False
        self._head = ""  # whose score: a unique_id; "" for the model's own classifier
        self._typed = ""  # what is looked for among the classes
        self._last: tuple[_Asked, Evidence] | None = None
        self._refused: tuple[_Asked, str] | None = None  # why there is none
        self._known: tuple[Any, dict[str, int]] = (None, {})

    # ---- what can be asked ----

    @property
    def heads(self) -> dict[str, int]:
        """{unique_id: how many classes it tells apart}; "" is the model's own classifier."""
        inspection = self.scene.inspection  # another one as soon as heads change
        if self._known[0] is not inspection:
            attached = {one: head.num_classes for one, (_, head) in self.scene.subject.heads().items()}
            heads = {one: classes for one, classes in attached.items() if classes}
            self._known = inspection, {**self._own_classes(not heads), **heads}
        return self._known[1]

    def _own_classes(self, alone: bool) -> dict[str, int]:
        """The same of the model's own classifier. Without heads, what ends in a vector under a classifier's name is."""
        inspection = self.scene.inspection
        end = inspection.trunk[-1]
        shape = end.output_shape or ()
        if not shape or shape[0] < 2 or any(n != 1 for n in shape[1:]):
            return {}
        is_one = classifies(self.scene.subject.model, shape[0]) or (alone and end in inspection.classifier)
        return {"": shape[0]} if is_one else {}

    @property
    def head(self) -> str:
        """Whose score it is: the unique_id of a head; "" for the model's own classifier."""
        return self._head if self._head in self.heads else next(iter(self.heads), "")

    @property
    def target(self) -> int | None:
        """The class that is asked about; None for the most probable."""
        chosen = self.scene.target
        return chosen if chosen is not None and chosen < self.heads.get(self.head, 0) else None

    @property
    def _offer(self) -> str:
        """The block that a head with classes may be attached to: the last one; "" for none."""
        trunk = reversed(self.scene.inspection.trunk)
        return next((b.name for b in trunk if b.features and OFFERED in heads_that_fit(b.features)), "")

    @property
    def applies(self) -> bool:
        scene = self.scene
        runs = scene.takes_pictures or scene.takes_clips or scene.subject.example is not None
        return runs and bool(self.heads or self._offer)

    def _asked(self) -> _Asked:
        scene = self.scene
        head = scene.subject.heads().get(self.head, (None, None))[1]
        return _Asked((scene.subject, scene.pictures, head), (self.head, self.target, self.minus, scene.device))

    @property
    def found(self) -> Evidence | None:
        """The evidence of what is on the screen; None where it was not asked for yet."""
        return self._last[1] if self._last is not None and self._asked().is_same(self._last[0]) else None

    @property
    def refused(self) -> str:
        """Why there can be none of what is on the screen; "" where nobody knows that yet."""
        return self._refused[1] if self._refused is not None and self._asked().is_same(self._refused[0]) else ""

    @property
    def due(self) -> bool:
        return self.scene.is_quick and bool(self.heads) and self.found is None and not self.refused

    # ---- working it out ----

    def work(self) -> None:
        scene = self.scene
        if not self.heads:
            raise HeadError(f"No head of {scene.subject.name} tells classes apart: attach one first.")
        if scene.last is None:
            self.tell(f"Running {scene.subject.name} …", 0, 0)
            scene.run()
        asked = self._asked()
        self.tell("Looking for where the score comes from …", 0, 0)
        model = scene.subject.go_live(scene.device)
        try:
            found = evidence(
                model, scene.input_for(model), self.target, head=self.head or None, blocks="all",
                minus="runner-up" if self.minus else None, places=False,
            )  # fmt: skip
        except BlockError:
            words = f"No place to show: nothing in {scene.subject.name} that leads to the score is a map or a vector."
            self._refused = asked, words
            return self.tell(words, 0, 0)
        except ClassyKitError as error:
            self._refused = asked, str(error)
            raise
        # what is seen holds on to no weights, and to no input
        self._last = asked, replace(found, look=View(found.name, nn.Identity(), None))
        self.tell(self._in_words(found), 1, 1)

    @staticmethod
    def _in_words(found: Evidence) -> str:
        """For the status line: "Egyptian cat, 38 %: the evidence adds up to its logit at trunk_output"."""
        exact = [block for block in found.maps if found.exact[block]]
        adds_up = f"the evidence adds up at {exact[-1]}" if exact else "the evidence is approximate at every depth"
        share = "" if found.minus is not None else f", {_percent(_shares(found)[found.target[0]].item())}"
        return f"{found.of_class()}{share}: {adds_up}."

    def _turn(self, **to: Any) -> None:
        """Ask about another head, class or difference; where an answer stands on the screen the new one is worked out
        at once, or all stays as it is."""
        before: dict[str, Any] = {"head": self._head, "target": self.scene.target, "minus": self.minus}
        was_shown = self.found is not None
        self._set(**{**before, **to})
        try:
            if was_shown and self.found is None:
                self.work()
        except BaseException:
            self._set(**before)
            raise
        self._typed = ""

    def _set(self, head: str, target: int | None, minus: bool) -> None:
        self._head, self.scene.target, self.minus = head, target, minus

    def _choose_head(self, head: str) -> None:
        if head not in self.heads:
            raise HeadError(f"There is no head {head!r} that tells classes apart; there is {', '.join(self.heads)}.")
        self._turn(head=head, target=None)  # its classes are others

    def _choose_class(self, number: int) -> None:
        classes = self.heads.get(self.head, 0)
        if not 0 <= number < classes:
            raise ConfigError(f"There is no class {number}: there are {classes}, from 0 to {classes - 1}.")
        found = self.found
        is_best = found is not None and number == int(found.scores[0].argmax())
        self._turn(target=None if is_best else number)

    def _choose_channel(self, channel: int) -> None:
        """To be looked at as a unit, in the block whose evidence is shown."""
        found = self._choose_shown()
        channels = found.channels[self.scene.block].shape[1]
        if not 0 <= channel < channels:
            raise ConfigError(f"{self.scene.block} has channels 0 to {channels - 1}, not {channel}.")
        self.scene.channel = channel

    def _choose_position(self, x: int, y: int) -> None:
        found = self._choose_shown()
        rows, columns = found.maps[self.scene.block].shape[-2:]
        if not (0 <= x < columns and 0 <= y < rows):
            raise ConfigError(f"The map of {self.scene.block} is {columns} × {rows}: there is no ({x}, {y}).")
        self.scene.position = (y, x)

    def _choose_shown(self) -> Evidence:
        """Have the block chosen whose evidence is shown, where that is another; ConfigError for none."""
        found = self.found
        if found is None:
            raise ConfigError("There is no evidence on the screen yet.")
        if self._shown(found) != self.scene.block:
            self.scene.choose(self._shown(found))
        return found

    @property
    def acts(self) -> Acts:
        return {
            "why": ({}, lambda m: self.work()),
            "why_class": ({"number": int}, lambda m: self._choose_class(m["number"])),
            "why_find": ({"text": str}, lambda m: setattr(self, "_typed", m["text"].strip()[:80])),
            "why_head": ({"head": str}, lambda m: self._choose_head(m["head"])),
            "why_minus": ({"on": bool}, lambda m: self._turn(minus=m["on"])),
            "why_channel": ({"channel": int}, lambda m: self._choose_channel(m["channel"])),
            "why_position": ({"x": int, "y": int}, lambda m: self._choose_position(m["x"], m["y"])),
        }

    # ---- showing it ----

    def show(self) -> tuple[dict[str, Any], bytes]:
        scene = self.scene
        if not self.heads:
            offer = {"block": self._offer, "head": OFFERED, "classes": CLASSES}
            words = (
                f"{scene.subject.name} gives features, but no scores of classes: attach a head that tells some apart."
            )
            return {"reason": words, "offer": offer, "button": f"Attach a linear probe · {CLASSES} classes"}, b""
        found = self.found
        if found is None:
            what = "clip" if scene.takes_clips else "picture" if scene.takes_pictures else "example"
            words = f"What in the {what} speaks for a class, and what against it?"
            return {"reason": self.refused or words, "button": "" if self.refused else "Show why"}, b""
        block = self._shown(found)
        names = self._strip(found, block)
        described, pixels = pack([_still(found, name, scene) for name in names])
        short_name = scene.subject.model.short_name
        state = {
            "heads": [{"id": one, "label": self._head_label(one)} for one in self.heads],
            "head": self.head,
            "own": bool(self.head),
            "title": f"Evidence for {found.of_class()}",
            "block": block,
            "instead": self._instead(found, block),
            "places": found.has_places(block),
            "frame": scene.frame if scene.takes_clips else None,
            "pictured": bool(scene.pictures),
            "at": None if scene.position is None or block != scene.block else scene.position[::-1],
            "thumbs": [{"name": name, "label": short_name(name), "exact": found.exact[name]} for name in names],
            "arrays": described,
            "untrained": any(note.startswith("Untrained") for note in found.notes),
            "notes": [f"{note}." for note in found.notes if not note.startswith("Untrained")],
            **self._classes(found),
            **_made_of(found, block),
        }  # fmt: skip
        return state, pixels

    def _head_label(self, one: str) -> str:
        return f"{one or self.scene.subject.trained or 'its classifier'} · {self.heads[one]}"

    def _classes(self, found: Evidence) -> dict[str, Any]:
        """The most probable classes, the chosen one, and what a search has found."""
        shares = _shares(found)
        numbers = shares.topk(min(TOP, len(shares))).indices.tolist()
        target = found.target[0]
        rows = numbers if target in numbers else [*numbers, target]
        words, hits = self._hits(found) if self._typed else ("", [])
        return {
            "classes": [
                {
                    "number": n,
                    "label": _name(found, n),
                    "share": round(shares[n].item(), 4),
                    "value": _percent(shares[n].item()),
                }
                for n in rows
            ],
            "target": target,
            "count": len(shares),
            "named": found.labels is not None,
            "minus": self.minus,
            "rival": "" if found.minus is None else _name(found, found.minus[0]),
            "typed": self._typed,
            "hits": hits,
            "said": words,
        }

    def _hits(self, found: Evidence) -> tuple[str, list[dict[str, Any]]]:
        """(in words, the classes) that answer to what was typed, those that begin with it first."""
        typed = self._typed.casefold()
        names = [_name(found, n).casefold() for n in range(found.scores.shape[1])]
        numbers = [n for n, name in enumerate(names) if typed in name or typed == str(n)]
        numbers.sort(key=lambda n: (typed not in (names[n], str(n)), not names[n].startswith(typed), len(names[n]), n))
        words = f"{len(numbers)} classes" if len(numbers) > 1 else "1 class"
        if not numbers:
            near = difflib.get_close_matches(typed, names, 4)
            numbers, words = [names.index(name) for name in near], "No class is called so."
        return words, [{"number": n, "label": _name(found, n)} for n in numbers[:HITS]]

    def _shown(self, found: Evidence) -> str:
        """The block whose evidence is shown: the chosen one, where it has a map; else the last that has."""
        able = [name for name, maps in found.maps.items() if found.has_places(name) and maps[0].numel() > 1]
        able = able or list(found.maps)
        return self.scene.block if self.scene.block in able else able[-1]

    def _instead(self, found: Evidence, block: str) -> str:
        """Why it is not the chosen block, in words; "" where it is."""
        chosen, known = self.scene.block, self.scene.known
        if chosen == block:
            return ""
        if not found.has_places(block):
            why = "comes after all that leads to the score"
        elif known is not None and known.kind == VECTOR:
            why = "gives a vector, which has no places"
        else:
            why = f"has no map that leads to what {self.head or 'the classifier'} reads"
        return f"{chosen} {why}: this is {block}."

    def _strip(self, found: Evidence, block: str) -> list[str]:
        """The blocks of the strip: all with places, or some of every stage."""
        if not found.has_places(block):
            return []
        names = [name for name in found.maps if found.has_places(name)]
        stages = [self.scene.inspection[name].stage for name in names]
        return thinned(names, stages, THUMBS, block)

    def code(self) -> str:
        if not self.heads:
            return ""
        found = self.found
        target = "" if found is None else f", {_target_code(found)}"
        head = f", head={literal(self.head)}" if self.head else ""
        minus = ', minus="runner-up"' if self.minus else ""
        block = None if found is None else self._shown(found)
        places = ", places=False" if found is not None and block is not None and not found.has_places(block) else ""
        x = "x" if self.scene.subject.example is None else "example"
        plot = "ev.plot()" if block is None else f"ev.plot({literal(block)})"
        return f'ev = ck.evidence(model, {x}{target}{head}{minus}, blocks="all"{places})\n{plot}\n'


def thinned(names: Sequence[str], stages: Sequence[Any], most: int, kept: str) -> list[str]:
    """At most so many names, of every stage some, spread evenly; ``kept`` is among them.

    >>> thinned(list("abcdef"), [0, 0, 0, 0, 1, 1], 3, "b")
    ['b', 'e', 'f']
    """
    pairs = groupby(zip(stages, names, strict=True), lambda pair: pair[0])
    groups = [[name for _, name in group] for _, group in pairs]
    if len(groups) > most:
        groups = [list(names)]
    shares = [len(group) for group in groups]
    while sum(shares) > most:
        shares[shares.index(max(shares))] -= 1
    chosen = []
    for group, n in zip(groups, shares, strict=True):
        picked = [(i + 1) * len(group) // n - 1 for i in range(n)]
        if kept in group and group.index(kept) not in picked:
            at = group.index(kept)
            picked[min(range(n), key=lambda i: abs(picked[i] - at))] = at
        chosen += [group[i] for i in sorted(picked)]
    return chosen


def _still(found: Evidence, block: str, scene: Scene) -> torch.Tensor:
    """A map (h, w); of a clip the one at the moment that is shown."""
    values = found.maps[block][0]
    return values if values.ndim == 2 else values[scene.step(len(values))]


def _shares(found: Evidence) -> torch.Tensor:
    return found.scores[0].float().softmax(0)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _name(found: Evidence, number: int) -> str:
    return f"class {number}" if found.labels is None else found.labels[number]


def _target_code(found: Evidence) -> str:
    """The class as `ck.evidence` takes it: its label where that is the only one of its kind."""
    number, labels = found.target[0], list(found.labels or [])
    return literal(labels[number]) if labels and labels.count(labels[number]) == 1 else str(number)


def _made_of(found: Evidence, block: str) -> dict[str, Any]:
    """Whether it is exact, its sum or why there is none, and the channels with the largest part in it."""
    exact, parts = found.exact[block], found.made_of(block)
    most = max((abs(part) for _, part in parts), default=0.0)
    places = _decimals(most) if most else 0
    words = {True: sum(part > 0 for _, part in parts), False: sum(part < 0 for _, part in parts)}
    return {
        "exact": exact,
        "sum": _sum(found, block) if exact else None,
        "why": _because(found, block),
        "channels": [
            {"channel": c, "share": round(part / most, 4), "value": f"{part:+.{places}f}".replace("-", "−")}
            for c, part in parts
        ],
        "parts": f"{words[True]} of {found.channels[block].shape[1]} for, {words[False]} against",
    }


def _because(found: Evidence, block: str) -> str:
    """What makes it exact, or that it is not, in a sentence."""
    score = "logit" if found.minus is None else "difference of the logits"
    if found.exact[block]:
        what = "The mean of the map" if found.has_places(block) else "What each channel adds"
        what += " over all time steps" if found.maps[block].ndim > 3 else ""
        return f"{what} and the bias add up to the {score}."
    return (
        f"What follows {block} is not linear, so each channel is weighed by the gradient of the {score}, averaged over "
        f"all places: the map says where, and its values add up to nothing."
    )


def _sum(found: Evidence, block: str) -> dict[str, str]:
    """The sum with its numbers: what is added up with a digit more than what it comes to."""
    mean, bias = found.maps[block][0].float().mean().item(), found.biases[block][0].item()
    score = found.score[0].item()
    digits = _decimals(max(abs(mean), abs(bias), abs(score)), 3)
    return {
        "map": _signed(mean, digits + 1),
        "of": "map" if found.has_places(block) else "channels",
        "sign": "+" if bias >= 0 else "−",
        "bias": _signed(abs(bias), digits + 1),
        "score": _signed(score, digits),
        "is": "logit" if found.minus is None else "difference",
    }


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _decimals(size: float, figures: int = 2) -> int:
    """How many decimals show so many figures of a number of this size."""
    return max(0, figures - 1 - math.floor(math.log10(size))) if size > 0 else figures
