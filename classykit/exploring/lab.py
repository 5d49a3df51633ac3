"""The design lab without its screen: spaces, what was drawn and trained, one network to design, and all as Python."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from classykit import formats
from classykit.errors import ConfigError, StateError, quoted
from classykit.exploring import lab_net, lab_says, lab_spaces
from classykit.exploring.history import History
from classykit.exploring.lab_axes import Axes
from classykit.exploring.lab_net import Net, Task
from classykit.learning.sample import sample
from classykit.learning.short_training import train_briefly
from classykit.learning.space import Space
from classykit.learning.sweep import sweep
from classykit.python_code import literal

EACH = 10  # networks of a space, drawn at a time
LONGER = 4  # times as many epochs
BEST = 3
CHOICES = {"size": (8, 16, 32), "epochs": (1, 2, 4, 8), "seed": (0, 1, 2, 3, 4)}
_SEED = 0  # of what is drawn


@dataclass(frozen=True)
class Setting:
    """What was set, as undo and redo go through it; ``design`` is the chosen network's config where it was turned."""

    words: str
    spaces: tuple[Space, ...]
    budget: tuple[float, float]
    task: Task
    chosen: int
    design: dict[str, Any] | None = None


@dataclass
class Drawn:
    """Networks that were drawn together, as `classykit.sample` draws them again; why others were refused."""

    space: Space
    number: int
    macs: tuple[float, float]
    count: int
    refused: Counter[str]


class Lab:
    """Networks of one or two spaces, drawn, trained one by one, and compared.

    Args:
        spaces: names or Spaces, see `lab_spaces.spaces_of`. The first networks are drawn at once; that takes no time.
        macs: the budget that is drawn within. Default: 2 to 6 million, or the middle half of what large spaces have.
        task: what they are taught.

    Attributes: ``nets``, all that were drawn, ``now``, what is set, ``axes``, what the scatter shows, ``jobs``,
    [(number of a net, Task)] that wait to be trained.

    >>> lab = Lab("regnet")
    >>> len(lab.nets), lab.jobs
    (10, [])
    """

    def __init__(self, spaces: Any = None, macs: tuple[float, float] | None = None, task: Task | None = None):
        first = tuple(lab_spaces.spaces_of(spaces))
        self.first, self.names, self.title = first, lab_spaces.names_of(first), lab_spaces.title(first)
        self.nets: list[Net] = []
        self.drawn: list[Drawn] = []
        self.jobs: list[tuple[int, Task]] = []
        self.axes = Axes()
        self.refused: dict[str, dict[str, Any]] = {}  # {key of the design: what was typed, why it is none, what works}
        budget = _budget(macs) if macs is not None else _middle(first)
        self.budget_stops = lab_spaces.budget_stops(budget)
        self.now = Setting("opened", first, budget, task or Task(), 0)
        self.draw()
        self.history = History(cast(Any, self.now))

    # ---- what is set ----

    def set_range(self, number: int, key: str, low: int, high: int, done: bool = True) -> None:
        """The range of a space's key, from one of its slider's stops to another."""
        if not 0 <= number < len(self.first):
            raise ConfigError(f"There is no space number {number} here.")
        stops = lab_spaces.stops_of(key, self.first[number].ranges.get(key))
        if not stops or not all(type(at) is int and 0 <= at < len(stops) for at in (low, high)):
            raise ConfigError(f"{self.names[number]} has no range {quoted(key)} from {low} to {high} to set.")
        low, high = sorted((low, high))
        space = self.now.spaces[number]
        if isinstance(self.first[number].ranges[key], list):
            fresh = lab_spaces.with_list(space, key, stops[low : high + 1])
        else:
            fresh = lab_spaces.with_range(space, key, stops[low], stops[high])
        spaces = tuple(fresh if i == number else one for i, one in enumerate(self.now.spaces))
        self._set(f"{self.names[number]} {key} {stops[low]:g} – {stops[high]:g}", done, spaces=spaces)

    def set_budget(self, low: float, high: float, done: bool = True) -> None:
        """The MACs within which networks are drawn and compared."""
        budget = _budget((min(low, high), max(low, high)))
        self._set(f"budget {lab_spaces.budget_text(budget)}", done, budget=budget)

    def set_task(self, what: str, value: int) -> None:
        """What networks are taught: "size" of the digits, "epochs", "seed". What was trained otherwise is kept."""
        if what not in CHOICES or value not in CHOICES[what]:
            raise ConfigError(f"{what} is one of {CHOICES.get(what, tuple(CHOICES))}, not {quoted(value)}.")
        self._set(f"{what} {value}", True, task=replace(self.now.task, **{what: value}))

    def choose(self, number: int) -> None:
        """Look at another network, as it was sampled."""
        if not 0 <= number < len(self.nets):
            raise ConfigError(f"There is no net {number + 1} here; there are {len(self.nets)}.")
        self.refused = {}
        self.now = replace(self.now, chosen=number, design=None)

    def turn(self, key: str, value: Any, done: bool = True) -> None:
        """Another value of a key of the chosen network; what cannot be built is remembered in `refused`, and raises."""
        if not done:
            self.refused = {}
        try:
            fresh = lab_net.turned(self.config, key, value)
        except ConfigError as error:
            self.refused = {key: {"typed": str(value), "reason": str(error),
                                  "nearest": [str(n) for n in getattr(error, "nearest", [])]}}  # fmt: skip
            raise
        self.refused = {}
        self._set(f"{key} {value}", done, design=None if fresh == self.net.config else fresh)

    def take(self, config: dict[str, Any]) -> None:
        """The design as it comes back from the Explorer; one of another family, or with other keys, is refused."""
        order = [*self.net.config, *config]  # as it was sampled, so that its sliders stay where they are
        plain = {key: config[key] for key in order if key in config and key != "heads"}
        if plain.get("name") != self.net.config["name"]:
            raise ConfigError(f"The Explorer shows {plain.get('name')} now, which is none of this lab's spaces.")
        lab_net.read(plain)
        if plain != self.config:
            self._set("keys from the Explorer", True, design=None if plain == self.net.config else plain)

    def reset(self, key: str | None = None) -> None:
        """The chosen network as it was sampled; or one of its keys."""
        self.refused = {}
        if key is None or self.now.design is None:
            return self._set("as sampled", True, design=None) if self.now.design is not None else None
        before = {one["name"]: one["at_preset"] for one in self.keys()}
        self.turn(key, before.get(key))

    def undo(self) -> str:
        """Take back what was set last; what that was. What was drawn and trained stays."""
        return self._go(self.history.undo, self.history.now.words)

    def redo(self) -> str:
        return self._go(self.history.redo, "")

    def _go(self, step: Callable[[], Any], words: str) -> str:
        self.now = cast(Setting, step())
        self.refused = {}
        return words or self.now.words

    def _set(self, words: str, done: bool, **what: Any) -> None:
        """Something set; while a slider is held it is no step of the history yet."""
        fresh = replace(self.now, words=words, **what)
        self.now = fresh
        if done and replace(cast(Setting, self.history.now), words=words, chosen=fresh.chosen) != fresh:
            self.history.add(cast(Any, fresh))

    # ---- the chosen network ----

    @property
    def net(self) -> Net:
        return self.nets[self.now.chosen]

    @property
    def config(self) -> dict[str, Any]:
        """Of the network that is looked at: as it was sampled, or as it was turned."""
        return self.now.design or self.net.config

    def keys(self) -> list[dict[str, Any]]:
        """What of it can be turned, and how far: as the ranges of its space can."""
        limits = {}
        for key, start in self.first[self.net.space].ranges.items():
            if isinstance(start, tuple) and (stops := lab_spaces.stops_of(key, start)):
                limits[key] = stops[0], stops[-1]
        return lab_net.keys(self.config, self.net.config, limits, self.refused)

    def keep_design(self) -> int:
        """The turned network as one of its own, to be trained; its number."""
        if self.now.design is None:
            return self.now.chosen
        known = next((i for i, net in enumerate(self.nets) if net.config == self.now.design), None)
        if known is None:
            self.nets.append(Net(dict(self.now.design), self.net.space, *lab_net.cost(self.now.design), own=True))
            known = len(self.nets) - 1
        self.choose(known)
        return known

    # ---- drawing and training ----

    def draw(self, each: int = EACH) -> int:
        """Draw more networks of each space, within the budget; how many are new.

        The ranges and the budget being the same, these are the next that `classykit.sample` gives.
        """
        macs = self.now.budget
        fresh: list[tuple[int | None, Drawn, list[dict[str, Any]]]] = []
        for number, space in enumerate(self.now.spaces):
            of = number, macs, repr(space)
            at = next((i for i, d in enumerate(self.drawn) if (d.number, d.macs, repr(d.space)) == of), None)
            count = 0 if at is None else self.drawn[at].count
            refused: Counter[str] = Counter()
            found = sample(space, count + each, macs=macs, seed=_SEED, refused=refused, progress=False)
            fresh.append((at, Drawn(space, number, macs, count + each, refused), found[count:]))
        known, before = {_text(net.config) for net in self.nets}, len(self.nets)
        for at, drawn, configs in fresh:  # when all of it went well
            if at is None:
                self.drawn.append(drawn)
            else:
                self.drawn[at] = drawn
            for config in configs:
                if _text(config) not in known:
                    known.add(_text(config))
                    self.nets.append(Net(config, drawn.number, *lab_net.cost(config)))
        return len(self.nets) - before

    def waiting(self) -> list[int]:
        """Numbers of networks without an error yet, a turn each space."""
        task, turn = self.now.task, Counter[int]()
        found = []
        for number, net in enumerate(self.nets):
            if task not in net.errors and not net.failed:
                found.append((turn[net.space], net.space, number))
                turn[net.space] += 1
        return [number for *_, number in sorted(found)]

    def want(self, numbers: Sequence[int], task: Task | None = None) -> None:
        """Put networks into the queue of those to be trained."""
        task = task or self.now.task
        self.jobs += [(n, task) for n in numbers if (n, task) not in self.jobs and task not in self.nets[n].errors]

    def want_best(self) -> Task:
        """Put the best three within the budget into the queue, for four times as many epochs; what they are taught."""
        longer = replace(self.now.task, epochs=LONGER * self.now.task.epochs)
        ranked = sorted((error, n) for n, error in self.errors().items() if self.is_inside(self.nets[n]))
        if not ranked:
            raise StateError("Nothing is trained within the budget yet: there is no best.")
        self.want([n for _, n in ranked[:BEST]], longer)
        return longer

    def train(self, number: int, task: Task, tell: Callable[[float], Any] | None = None) -> dict[str, Any]:
        """Train a network, as `classykit.sweep` does; its row, for `record`. Nothing here is changed meanwhile."""
        measure = functools.partial(train_briefly, size=task.size, epochs=task.epochs, seed=task.seed, tell=tell)
        row: dict[str, Any] = sweep([self.nets[number].config], measure, progress=False).iloc[0].to_dict()
        return row

    def record(self, number: int, task: Task, row: dict[str, Any]) -> None:
        """Keep what training gave: an error, or why there is none."""
        net, error = self.nets[number], row.get("test_error")
        net.seconds = float(row["seconds"])
        if row["error"] is None and error is not None and math.isfinite(error):
            net.errors[task] = float(error)
        else:
            net.failed = row["error"] or "it learnt nothing that is a number"
        self.jobs = [job for job in self.jobs if job != (number, task)]

    # ---- what came of it ----

    def is_inside(self, net: Net) -> bool:
        low, high = self.now.budget
        return low <= net.macs <= high

    def errors(self) -> dict[int, float]:
        """{number: error} of those that were taught what is set now."""
        task = self.now.task
        return {n: net.errors[task] for n, net in enumerate(self.nets) if task in net.errors}

    def by_space(self) -> dict[str, list[float]]:
        """{space: errors within the budget}; what was made by hand is no sample of it."""
        known = self.errors()
        return {
            name: [error for n, error in known.items()
                   if self.nets[n].space == i and not self.nets[n].own and self.is_inside(self.nets[n])]
            for i, name in enumerate(self.names)
        }  # fmt: skip

    def verdict(self) -> str:
        return lab_says.verdict(self.by_space())

    def refusals(self) -> str:
        """How many draws were refused, and mostly why."""
        reasons: Counter[str] = sum((drawn.refused for drawn in self.drawn), Counter())
        if not reasons:
            return "No draw was refused."
        return f"{reasons.total():,} draws refused, most: {reasons.most_common(1)[0][0]}."

    def to_code(self) -> str:
        """The same in Python: what was drawn, what was trained, and the network that is looked at."""
        spaces = [*self.now.spaces, *(drawn.space for drawn in self.drawn)]
        named: dict[str, str] = {}
        for space in spaces:
            if (text := lab_spaces.source(space)) not in named:
                same = sum(name.rstrip("0123456789_") == space.family for name in named.values())
                named[text] = f"{space.family}_{same + 1}" if same else space.family
        lines = [f"{name} = {text}" for text, name in named.items()]
        lines.append("nets = [")
        for d in self.drawn:
            budget = f"({d.macs[0]:g}, {d.macs[1]:g})".replace("e+0", "e")
            name = named[lab_spaces.source(d.space)]
            lines.append(f"    *ck.sample({name}, {d.count}, macs={budget}, seed={_SEED}),")
        lines.append("]")
        trained = self._trained_code()
        learns = ["from classykit.learning.short_training import train_briefly"] if trained else []
        head = [*(["import functools", ""] if trained else []), "import classykit as ck", *learns, ""]
        return "\n".join([*head, *lines, *trained, f"ck.explore({literal(self.config)})"])

    def _trained_code(self) -> list[str]:
        of: dict[Task, list[Net]] = {}
        for net in self.nets:
            for task in net.errors:
                of.setdefault(task, []).append(net)
        drawn, lines = sum(not net.own for net in self.nets), []
        for i, (task, nets) in enumerate(of.items()):
            measure = f"functools.partial(train_briefly, size={task.size}, epochs={task.epochs}, seed={task.seed})"
            name = f"table_{i + 1}" if i else "table"
            count = sum(not net.own for net in nets)
            listed = [net.config for net in nets if net.own or count <= BEST]
            configs = ", ".join([*(["*nets"] if count > BEST else []), *map(literal, listed)])
            some = f"  # {count} of {drawn} so far" if BEST < count < drawn else ""
            lines.append(f"{name} = ck.sweep([{configs}], {measure}){some}")
        return lines

    def to_csv(self) -> str:
        """All networks as a table: a row each, errors by what they were taught."""
        tasks = list(dict.fromkeys(task for net in self.nets for task in net.errors))
        learnt = [f"error, {t.size} px {t.epochs} epochs seed {t.seed}" for t in tasks]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["net", "space", "drawn", "macs", "params", *learnt, "config"])
        for n, net in enumerate(self.nets):
            how, errors = "by hand" if net.own else "drawn", [net.errors.get(t, "") for t in tasks]
            table.writerow([n + 1, self.names[net.space], how, net.macs, net.params, *errors, json.dumps(net.config)])
        return text.getvalue()


def _text(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def _budget(macs: Any) -> tuple[float, float]:
    numbers = isinstance(macs, (tuple, list)) and len(macs) == 2 and all(
        isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in macs)  # fmt: skip
    if not numbers or not 0 < macs[0] <= macs[1]:
        raise ConfigError(f"macs is (low, high), such as (2e6, 6e6), not {quoted(macs)}.")
    return float(macs[0]), float(macs[1])


def _middle(spaces: Sequence[Space]) -> tuple[float, float]:
    """A budget that the spaces share: 2 to 6 M where both have such networks, else the middle of what they have."""
    drawn = [[lab_net.cost(config)[0] for config in sample(space, 60, progress=False)] for space in spaces]
    if all(sum(2e6 <= n <= 6e6 for n in macs) > 5 for macs in drawn):
        return 2e6, 6e6
    low, high = (np.quantile(np.concatenate(drawn), q) for q in (0.25, 0.75))
    return float(f"{low:.2g}"), float(f"{high:.2g}")


def percent(error: float | None) -> str:
    """An error as it is written; that of a network which is not trained is unknown."""
    return "unknown" if error is None else formats.percent(error)
