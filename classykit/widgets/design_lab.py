"""The design lab: spaces of networks, drawn and trained while one looks, and one of them to design."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
import traitlets

from classykit.errors import ClassyKitError, ConfigError, quoted
from classykit.exploring import lab_shown, lab_spaces
from classykit.exploring.lab import EACH, Lab
from classykit.widgets import bundle, lifetime, present
from classykit.widgets.app import App, check_message
from classykit.widgets.explorer import Explorer
from classykit.widgets.lab_snapshot import snapshot
from classykit.widgets.worker import Worker

log = logging.getLogger(__name__)

_PARTS = ("lab_head", "lab_ranges", "lab_scatter", "lab_edf", "lab_table", "lab_line", "lab_net", "code_view")
_TOLD = 0.2  # seconds between two moves of the progress bar


class DesignLab(App):
    """The app over one or two design spaces; what is done in it can be done from Python, too.

    Attributes: ``lab``, all that is on the screen as a plain object (`classykit.exploring.lab.Lab`); ``explorer``, the
    Explorer that is open within, or None. Verbs: `sample`, `train`, `stop`, `choose`, `turn`, `see`, `open_explorer`,
    `back`, `open_spaces`, `undo`, `redo`, `to_code`.

    >>> app = DesignLab("regnet")
    >>> app.turn("depth", 6)
    >>> app.lab.config["depth"], app.net["rows"][3]["value"]
    (6, 'unknown')
    """

    _esm = bundle.module("design_lab", _PARTS)
    _css = bundle.style("design_lab", ("explorer", "model_bar", "views", *_PARTS))

    code = traitlets.Unicode(help="the same in Python").tag(sync=True)
    inside = traitlets.Unicode(help="id of the Explorer that is open within; empty for none").tag(sync=True)
    head = traitlets.Dict(help="name, spaces to choose from, facts, totals, verdict").tag(sync=True)
    controls = traitlets.Dict(help="spaces with their ranges, budget, task").tag(sync=True)
    counts = traitlets.Dict(help="what is trained, what waits, what was refused").tag(sync=True)
    nets = traitlets.List(traitlets.Dict(), help="a row and a dot each").tag(sync=True)
    curves = traitlets.Dict(help="axes, budget, best so far, distributions of errors").tag(sync=True)
    net = traitlets.Dict(help="the chosen one: what it is, keys, widths").tag(sync=True)

    def __init__(self, spaces: Any = None, *, macs: Any = None, size: int = 16, epochs: int = 2, seed: int = 0):
        lifetime.shown(self)
        self._lock = threading.RLock()  # messages come on one thread, trained networks on another
        self._trainer, self._stopped, self._done, self._last = Worker(), False, 0, 0.0
        self._due = self._answering = False  # whether training is to begin; whether a message is being answered
        self.explorer: Explorer | None = None
        self.lab = Lab(spaces, macs)
        for what, value in (("size", size), ("epochs", epochs), ("seed", seed)):
            if value != getattr(self.lab.now.task, what):
                self.lab.set_task(what, value)
        self._labs = {self.lab.title: self.lab}
        super().__init__()
        self._acts: dict[str, tuple[dict[str, type], Callable[[dict[str, Any]], Any]]] = {
            "range": ({"space": int, "key": str, "low": int, "high": int, "done": bool},
                      lambda m: self.lab.set_range(m["space"], m["key"], m["low"], m["high"], m["done"])),
            "budget": ({"low": int, "high": int, "done": bool}, self._budget),
            "task": ({"what": str, "value": str}, lambda m: self.lab.set_task(m["what"], _whole(m["value"]))),
            "sample": ({}, lambda m: self.sample()),
            "train": ({}, lambda m: self.train()),
            "stop": ({}, lambda m: self.stop()),
            "longer": ({}, lambda m: self.train_best()),
            "choose": ({"net": int}, lambda m: self.choose(m["net"])),
            "key": ({"key": str, "done": bool}, self._turn_typed),
            "reset": ({"keys": list}, lambda m: self.lab.reset(*map(str, m["keys"][:1]))),
            "own": ({}, lambda m: self.train_design()),
            "see": ({"what": str, "value": str}, lambda m: self.see(**{m["what"]: m["value"]})),
            "open": ({"spaces": str}, lambda m: self.open_spaces(m["spaces"])),
            "explore": ({}, lambda m: self.open_explorer()),
            "back": ({}, lambda m: self.back()),
            "undo": ({}, lambda m: self.undo()),
            "redo": ({}, lambda m: self.redo()),
            "dismiss": ({}, lambda m: self.set_trait("error", "")),
            "save": ({"file": str}, self._save),
        }  # fmt: skip
        self.on_msg(lifetime.weakly(self._receive))
        lifetime.hold_weakly((self.layout, self))
        self._refresh()

    def close(self) -> None:
        """Take the app off the page for good; what is trained is kept in `lab`."""
        self._stopped = True
        self._close_explorer()
        if self.comm is not None:
            self.layout.close()
        super().close()
        self.__dict__.pop("_repr_mimebundle_", None)

    def __repr__(self) -> str:
        trained = len(self.lab.errors())
        return f"DesignLab({' against '.join(self.lab.names)}: {len(self.lab.nets)} nets drawn, {trained} trained)"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # IPython takes both
        live: Any = {} if self.comm is None else super()._repr_mimebundle_(**kwargs)
        lifetime.shown(self)
        live = live[0] if isinstance(live, tuple) else live
        return {**(live or {}), "text/plain": repr(self), "text/html": snapshot(self.lab)}

    # ---- what can be done ----

    def sample(self, each: int = EACH) -> None:
        """Draw so many more networks of each space, and train all that wait."""
        with self._lock:
            fresh = self.lab.draw(each)
            self.status = f"{fresh} more nets drawn."
            self._start(self.lab.waiting())
        self._go()

    def train(self) -> None:
        """Train the networks that wait, one after the other; in a notebook they come in while it goes on."""
        with self._lock:
            self._start(self.lab.waiting())
        self._go()

    def train_best(self) -> None:
        """Train the best three within the budget four times as long; comparisons are among equals, without them."""
        with self._lock:
            longer = self.lab.want_best()
            self._start([], f"The best 3 get {longer.epochs} epochs.")
        self._go()

    def train_design(self) -> None:
        """Train the network that is looked at, as it was turned."""
        with self._lock:
            self._start([self.lab.keep_design()])
        self._go()

    def stop(self) -> None:
        """Stop training; what is trained is kept, the rest waits."""
        with self._lock:
            self._stopped = True
            self.lab.jobs.clear()

    def choose(self, number: int) -> None:
        """Look at another network, by its number from 0."""
        with self._lock:
            self.lab.choose(number)
            self._refresh(self.lab_words())

    def turn(self, key: str, value: Any) -> None:
        """Another value of a key of the chosen network. ConfigError where no such network can be built."""
        with self._lock:
            try:
                self.lab.turn(key, value)
            finally:
                self._refresh()

    def see(self, **axes: str) -> None:
        """What the scatter shows: ``across`` "MACs", "parameters", "depth" or "width", ``up`` "error", "MACs" or
        "parameters", ``colour`` "space", "depth", "width" or "parameters". ConfigError for others."""
        with self._lock:
            self.lab.axes = self.lab.axes.with_(**axes)
            self._refresh()

    def open_spaces(self, title: str) -> None:
        """Go on with other spaces, by their title in the menu; what was drawn and trained of the present ones is kept
        for when they are opened again, and what is being trained stops."""
        spaces = lab_spaces.offered()
        if title not in self._labs and title not in spaces:
            raise ConfigError(f"The menu has {', '.join(self._titles)}, but no {quoted(title)}.")
        with self._lock:
            self.stop()
            self._close_explorer()
            if title not in self._labs:
                self._labs[title] = Lab(spaces[title], task=self.lab.now.task)
            self.lab = self._labs[title]
            self._refresh(f"{title}: {len(self.lab.nets)} nets drawn.")

    @property
    def _titles(self) -> list[str]:
        """What the menu offers, a person's own spaces first."""
        offered = lab_spaces.offered()
        return [*(title for title in self._labs if title not in offered), *offered]

    def undo(self) -> None:
        """Take back what was set last."""
        with self._lock:
            self._refresh(f"Taken back: {self.lab.undo()}.")

    def redo(self) -> None:
        """Set again what was taken back."""
        with self._lock:
            self._refresh(f"Set again: {self.lab.redo()}.")

    def open_explorer(self) -> Explorer:
        """Open the network that is looked at in an Explorer, in the place of the lab; `back` returns."""
        with self._lock:
            self._close_explorer()
            self.explorer = Explorer(self.lab.config)
            self.inside = str(self.explorer.model_id or "")
            self.status = "Open in the Explorer."
            return self.explorer

    def back(self) -> None:
        """Back from the Explorer; keys that were turned there come along."""
        with self._lock:
            config = dict(self.explorer.config) if self.explorer is not None else self.lab.config
            self._close_explorer()
            self.status = "Back in the design lab."
            self.lab.take(config)
            self._refresh()

    def to_code(self) -> str:
        """Python that draws, trains and opens what is on the screen."""
        return self.lab.to_code()

    def lab_words(self) -> str:
        return str(self.nets[self.lab.now.chosen]["label"]) + "."

    def _close_explorer(self) -> None:
        if self.explorer is not None:
            self.explorer.close()
            self.explorer, self.inside = None, ""

    # ---- messages ----

    def _receive(self, _: Any, message: Any, buffers: list[Any]) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str) or kind not in self._acts:
            return
        if kind == "stop":  # also while something else is done
            self._stopped = True
        holds, act = self._acts[kind]
        with self._lock:
            self.error, self._answering = "", True
            try:
                check_message(kind, holds, message)
                act(message)
            except ClassyKitError as error:
                if kind != "key":  # which says it beside the key
                    self.error = str(error)
            except Exception as error:  # a mistake of ours, say: the app goes on, the log has it all
                log.exception("the design lab failed")
                self.error = f"This should not have happened: {type(error).__name__}: {error}"
            finally:
                self._answering = False
                self._refresh()
                self._was_answered(message)
        self._go()

    def _budget(self, message: dict[str, Any]) -> None:
        stops = self.lab.budget_stops
        low, high = (stops[max(0, min(at, len(stops) - 1))] for at in (message["low"], message["high"]))
        self.lab.set_budget(low, high, message["done"])

    def _turn_typed(self, message: dict[str, Any]) -> None:
        self.lab.turn(message["key"], message.get("value"), message["done"])
        if message["done"]:
            self.status = f"{message['key']} {message.get('value')}: error unknown until it is trained."

    def _save(self, message: dict[str, Any]) -> None:
        if message["file"] not in ("code.py", "nets.csv"):
            raise ClassyKitError(f"There is no file {quoted(message['file'])} to save.")
        text = self.lab.to_csv() if message["file"] == "nets.csv" else self.to_code() + "\n"
        self.send({"type": "file", "name": f"design-lab-{message['file']}"}, [text.encode()])
        self.status = f"{message['file']} saved."

    # ---- training ----

    def _start(self, numbers: list[int], words: str = "") -> None:
        self.lab.want(numbers)
        if not self.lab.jobs:
            self._refresh("Nothing waits to be trained.")
            return
        going = self.busy
        self._stopped = False
        count = len(self.lab.jobs)
        self._refresh(f"Training {count} net{'s' * (count > 1)}. {words}".strip())
        if not going:
            self.busy, self.progress, self._done, self._due = True, 0.0, 0, True

    def _go(self) -> None:
        """Begin with what was queued: not within the lock, which the trainer needs, and where nobody could ask for more
        meanwhile it is waited for."""
        if self._due and not self._answering:
            self._due = False
            self._trainer.do("train", self._work)

    def _work(self) -> None:
        """In a thread of its own: one network after the other. One of torch's threads does, so that sliders answer."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            while self._train_one():
                pass
        except Exception as error:
            log.exception("the design lab failed")
            self.lab.jobs.clear()
            self.error = f"This should not have happened: {type(error).__name__}: {error}"
            self._end()
        finally:
            torch.set_num_threads(threads)

    def _train_one(self) -> bool:
        with self._lock:
            if self._stopped or not self.lab.jobs:
                self._end()
                return False
            lab = self.lab  # another may be opened meanwhile
            number, task = lab.jobs[0]
        try:
            row = lab.train(number, task, self._tell)
        except KeyboardInterrupt:  # it was told to stop; perhaps to go on with others since
            return True
        with self._lock:
            lab.record(number, task, row)
            self._done += 1
            self._refresh()
        return True

    def _end(self) -> None:
        words = "Stopped: what is trained is kept." if self._stopped else "Done."
        self._refresh(f"{words} {self.lab.verdict()}")
        self.busy, self.progress = False, -1.0

    def _tell(self, share: float) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        if time.monotonic() - self._last > _TOLD:
            self._last = time.monotonic()
            self.progress = (self._done + share) / max(self._done + len(self.lab.jobs), 1)

    # ---- showing ----

    def _refresh(self, words: str = "") -> None:
        """Show all as it stands; what has not changed is not sent again."""
        with self._lock, self.hold_sync() if self.comm is not None else contextlib.nullcontext():
            for name in ("controls", "counts", "nets", "curves", "net"):
                self.set_trait(name, getattr(lab_shown, name)(self.lab))
            menu = [{"id": title, "label": title} for title in self._titles]
            self.head = {**lab_shown.head(self.lab), "spaces": menu}
            self.steps, self.code = present.steps(self.lab.history), self.to_code()
            if words:
                self.status = words


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else -1


def design_lab(
    spaces: Any = None, *, macs: tuple[float, float] | None = None, size: int = 16, epochs: int = 2, seed: int = 0
) -> DesignLab:
    """Open the design lab, a widget: networks of design spaces, drawn, taught digits, and compared while one looks.

    Args:
        spaces: "regnet", "anynet", a `classykit.Space` of either, or two of them to be compared. Default: RegNet
            against AnyNet, both so small that a network is taught in seconds.
        macs: the budget, (low, high), of one picture of the networks' own size. Default: 2 to 6 million, where the
            spaces have such.
        size, epochs, seed: what networks are taught: digits of so many pixels (8, 16 or 32), for 1, 2, 4 or 8 epochs,
            by a seed from 0 to 4.

    Returns a `DesignLab`. ``.lab`` holds what it shows.

    Raises ConfigError for other spaces or numbers.

    >>> app = design_lab()
    >>> app
    DesignLab(RegNet against AnyNet: 20 nets drawn, 0 trained)
    """
    return DesignLab(spaces, macs=macs, size=size, epochs=epochs, seed=seed)
