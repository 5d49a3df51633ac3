"""What is on the Explorer's screen: its traits, and how they follow from a scene. What can be done comes on top."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import traitlets
from PIL import Image

from classykit.clips import SAMPLE_CLIPS
from classykit.errors import ClassyKitError, quoted
from classykit.experiment import Experiment
from classykit.exploring.budget import Budget, Peak
from classykit.exploring.explored import Explored
from classykit.exploring.history import History
from classykit.exploring.pane import Pane
from classykit.exploring.panes.features import FeaturesPane
from classykit.exploring.scene import Scene
from classykit.inspecting.inspection import Inspection
from classykit.models.classy_model import ClassyModel
from classykit.widgets import present, present_heads
from classykit.widgets.app import App
from classykit.widgets.worker import Cancelled, Worker

log = logging.getLogger(__name__)

FEATURES = "features"  # the tab that is open at first


def said_safely(kind: type[traitlets.TraitType[Any, Any]]) -> Any:
    """A kind of trait that refuses objects which cannot be shown, too, in words."""

    def error(self: Any, obj: Any, value: Any, *args: Any, **keys: Any) -> None:
        try:
            kind.error(self, obj, value, *args, **keys)
        except traitlets.TraitError:
            raise
        except Exception:  # what the value's repr raises
            raise traitlets.TraitError(f"{self.name} is {self.info()}, not {quoted(value)}.") from None

    return type(kind.__name__, (kind,), {"error": error})


def same(old: Any, new: Any) -> bool:
    """Whether two values of a trait are one; arrays and other objects of which == says no plain word are not."""
    try:
        return old is new or bool(old == new)
    except Exception:  # whatever a person's object makes of ==: an array says that it is ambiguous
        return False


class Screen(App):
    """A scene as a widget: what the browser is shown of it, and what is said while something is under way."""

    config = said_safely(traitlets.Dict)(help="the model's config, heads included")
    selected_block = said_safely(traitlets.Unicode)(help="name of the chosen block")
    image = traitlets.Any(None, allow_none=True, help="the picture, as load_image takes it")
    # no Any, which would take None without asking _check_clip
    clip: traitlets.TraitType[Any, Any] = traitlets.TraitType(
        next(iter(SAMPLE_CLIPS)), help="the clip, as load_clip takes it"
    )
    frame = said_safely(traitlets.Int)(0, help="which frame of the clip is shown")
    device = said_safely(traitlets.Unicode)("cpu", help="where the model runs")
    budget = said_safely(traitlets.Dict)(Budget().values, help="limits: params, macs, memory; batch, mode")

    # What is on the screen, in finished words and figures. A trait each, so that a click sends only what it changes.
    bar_state = traitlets.Dict(help="name, family, groups, trained, facts, devices, totals, ...").tag(sync=True)
    map_state = traitlets.Dict(help="input, blocks, color_by, colors, sizes").tag(sync=True)
    thumbnail = traitlets.Unicode(help="the input as a data URL; empty for none").tag(sync=True)
    selected = traitlets.Unicode(help="the block that is chosen on the map; goes both ways").tag(sync=True)
    panel_state = traitlets.Dict(help="name, type, input, output, stride, rows, heads, ...").tag(sync=True)
    view_state = traitlets.Dict(help="of the chosen block: block, untrained, features, hint").tag(sync=True)
    pixels = traitlets.Bytes(
        help="uint16, little-endian, maps × steps × height × width: 0 is that map's low, 65535 its high"
    ).tag(sync=True)
    source = traitlets.Dict(help="images, image, clip, ran, run_text, predictions, prediction_title").tag(sync=True)
    picture = traitlets.Unicode(help="the picture as a data URL; empty for none, or a clip").tag(sync=True)
    frames = traitlets.List(traitlets.Unicode(), help="the clip's frames as data URLs; empty for a picture").tag(
        sync=True
    )
    moment = traitlets.Int(0, help="a frame, or a time step where there is no clip; goes both ways").tag(sync=True)
    tabs = traitlets.List(traitlets.Dict(), help="the tabs that the model has: id, title").tag(sync=True)
    tab = traitlets.Unicode(FEATURES, help="the id of the open tab; goes both ways").tag(sync=True)
    pane = traitlets.Dict(help="what is on the open tab: tab, which it is of, and what its view is told")
    pane_moves = traitlets.Dict(help="that of it which is another for another block").tag(sync=True)
    pane_stays = traitlets.Dict(help="and the rest, which a click need not send again").tag(sync=True)
    pane_pixels = traitlets.Bytes(help="the arrays of the open tab, as exploring.pixels packs them").tag(sync=True)
    code = traitlets.Unicode(help="what makes all that, in Python").tag(sync=True)
    models = traitlets.List(traitlets.Dict(), help="the models to choose from: name, family, kinds, ...").tag(sync=True)
    heads = traitlets.Dict(help="own: the model's classifier; attached; kinds: the keys of each").tag(sync=True)
    design = traitlets.Dict(help="family, name, keys as controls, changed: how many differ").tag(sync=True)

    # The app was five widgets once: scripts of that time reach them by these names.
    _bar = _map = _panel = _view = property(lambda self: self)

    _lock: threading.RLock
    _scene: Scene
    _history: History
    _features: FeaturesPane
    _panes: dict[str, Pane]
    _worker: Worker
    _peak: Peak
    _refused: dict[str, dict[str, Any]]  # {key: what was typed, why it is none, what would work}
    _own: dict[str, Explored]  # modules of the user's, by what the picker calls them
    _shown: list[Image.Image] | None  # the pictures that the views have
    _shown_of: dict[Any, tuple[tuple[Any, ...], Any]]  # {what shows it: (what that depends on, what is shown)}
    _showing = False

    # ---- what it stands for ----

    @property
    def model(self) -> ClassyModel:
        """The model as it stands: on the meta device until a run or a feature map has allocated its weights."""
        return self._scene.subject.model

    @property
    def inspection(self) -> Inspection:
        """What the model is and what it costs."""
        return self._scene.inspection

    @property
    def experiment(self) -> Experiment:
        """The description of what is on the screen."""
        return self._scene.experiment

    def to_code(self) -> str:
        """Python that builds the model on the screen, heads and all, runs it, and does what the open tab shows."""
        pane = self._panes.get(self.tab, self._features)
        return "\n".join(filter(None, [self.experiment.to_code(), pane.code()]))

    @property
    def _open_pane(self) -> Pane | None:
        """The open tab; None for the grid of all maps, which is no pane's."""
        unit = self._features if self._features.channel is not None else None
        return self._panes.get(self.tab, unit)

    def _act(self, what: Callable[[], Any]) -> None:
        """Do what somebody asked for in the app: whatever goes wrong is said there, and it stays usable."""
        with self._lock:
            self.error = ""
            try:
                what()
            except Cancelled:
                self._cancelled()
                raise
            except KeyboardInterrupt as error:
                # of the kit's own kind, too: its verbs say in their own words that they were told to stop
                if isinstance(error.__context__, Cancelled):
                    self._cancelled()
                else:
                    self._fail("Interrupted. Everything is as it was.")
            except ClassyKitError as error:
                self._fail(str(error))
            except MemoryError:
                self._fail("The memory is full. Choose a smaller model, or restart the kernel.")
            except Exception as error:  # a mistake of ours, say: the app goes on, the log has it all
                log.exception("the Explorer failed")
                self._fail(f"This should not have happened: {type(error).__name__}: {error}")

    def _cancelled(self) -> None:
        self._fail("")
        self.status = "Cancelled. Everything is as it was."

    def _fail(self, words: str) -> None:
        self._idle()
        self.status, self.error = "", words
        self.selected = self._scene.block
        self.send_state("selected")  # the page was ahead

    # ---- showing ----

    def _traits_of_scene(self) -> dict[str, Any]:
        scene = self._scene
        return {
            "config": scene.subject.config, "selected_block": scene.block, "image": scene.image, "clip": scene.clip,
            "frame": scene.frame, "device": scene.device,
        }  # fmt: skip

    def _refresh(self, words: str = "") -> None:
        """Show the scene as it stands, and say so. What has not changed is not sent again."""
        scene = self._scene
        if scene.wants_look:
            self._act(scene.look)
        there = [pane for pane in self._panes.values() if pane.applies]
        pane: Pane = next((pane for pane in there if pane.id == self.tab), self._features)
        if pane.due:
            self._work(pane)
        with self.hold_trait_notifications():
            for name, value in self._traits_of_scene().items():
                if not same(getattr(self, name), value):
                    self.set_trait(name, value)
        if scene.subject.adopted is not None:
            self._own[f"{scene.subject.adopted}, yours"] = scene.subject
        self._showing = True
        try:
            self._show_all(there, pane, words)
        finally:
            self._showing = False

    def _show_all(self, there: list[Pane], pane: Pane, words: str) -> None:
        scene, subject = self._scene, self._scene.subject
        with self.hold_sync():  # a map without its pixels would be drawn wrong
            self.tabs = [{"id": FEATURES, "title": "Features"}, *({"id": p.id, "title": p.title} for p in there)]
            state, self.pane_pixels = pane.show()
            self.tab = pane.id
            self._show_pane(pane, state)
            self.bar_state = present.bar(scene, Budget(**self.budget), self._peak)
            self.models = self._once(present.models, self._own, of=(subject, tuple(self._own)))
            untrained = tuple(present_heads.untrained(scene))
            said = subject, scene.inspection, scene.last, scene.given, scene.labels, untrained
            self.heads = self._once(present_heads.heads, scene, of=said)
            on_map = subject, scene.inspection, scene.profile, scene.knows, tuple(scene.ablated)
            self.map_state, self.selected = self._once(present.block_map, scene, of=on_map), scene.block
            self.panel_state, self.code, self.steps = present.panel(scene), self.to_code(), present.steps(self._history)
            self.design = self._once(present.design, scene, self._refused, of=(subject, (repr(self._refused),)))
            if pane.pictured:
                self.view_state, self.pixels = present.view(scene, seen=pane is self._features)
            ran = subject, scene.last, scene.given, scene.labels, scene.image, scene.uploaded, scene.clip
            self.source, self.moment = self._once(present.source, scene, of=ran), scene.frame
            if self._shown is not scene.pictures:  # to write them as JPEG takes longer than all the rest
                self._shown = scene.pictures
                self.thumbnail, self.picture, self.frames = present.pictures(scene)
            if words:
                self._say(words)

    def _once(self, show: Callable[..., Any], *given: Any, of: tuple[Any, ...]) -> Any:
        """What ``show`` makes of ``given``; not worked out again while ``of``, what it depends on, are the same."""
        before = self._shown_of.get(show)
        if before is None or not all(
            a is b or (type(a) is tuple and a == b) for a, b in zip(before[0], of, strict=True)
        ):
            before = self._shown_of[show] = of, show(*given)
        return before[1]

    def _show_pane(self, pane: Pane, state: dict[str, Any]) -> None:
        self.pane = {"tab": pane.id, **state}
        self.pane_stays = {key: value for key, value in state.items() if key in pane.stays}
        self.pane_moves = {key: value for key, value in self.pane.items() if key not in pane.stays}

    def _work(self, pane: Pane) -> None:
        """What the open tab shows, worked out; an error is said, and the tab shows what it can without."""
        try:
            self._act(pane.work)
        finally:
            self._idle()

    def _busy(self, words: str) -> None:
        self.status, self.busy, self.progress = words, True, -1.0

    def _idle(self) -> None:
        self.busy, self.progress = False, -1.0

    def _say(self, words: str) -> None:
        self.status = f"{words} {self._features.off}".strip()

    def _tell(self, words: str, done: int = 0, total: int = 0) -> None:
        """What a tab works at, and how far it is."""
        self.status, self.busy, self.progress = words, True, done / total if total else -1.0
        pane = self._panes.get(self.tab)
        if pane is not None and pane.grows:
            with self.hold_sync():
                state, self.pane_pixels = pane.show()
                self._show_pane(pane, state)

    def _progress(self, words: str) -> Callable[[int, int], None]:
        """A callback for a run that moves the bar at most ten times a second."""
        last = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1:
                last = now
                self.status, self.progress = words, done / total

        return tell
