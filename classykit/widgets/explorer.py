"""The Explorer: one app to choose a model, click its blocks, attach heads, run it and see what it sees."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
    StateError,
    quoted,
    suggest,
)
from classykit.exploring.budget import Budget, Peak
from classykit.exploring.explored import Explored
from classykit.exploring.history import History, difference
from classykit.exploring.pane import Pane
from classykit.exploring.panes import PANES
from classykit.exploring.panes.compare import ComparePane
from classykit.exploring.panes.features import FeaturesPane
from classykit.exploring.panes.information import InformationPane
from classykit.exploring.scene import Scene, frames_for
from classykit.images import load_image, sample_images
from classykit.learning.probe import Probe
from classykit.running.placement import devices
from classykit.widgets import bundle, lifetime, recorded
from classykit.widgets.messages import Messages
from classykit.widgets.screen import same
from classykit.widgets.snapshot import snapshot
from classykit.widgets.worker import Worker

_PARTS = (
    "picker", "budget", "model_bar", "map_drawing", "map_card", "map_overview", "map_search", "map_hand", "block_map",
    "heads_panel", "block_panel", "design_panel",
    "picture_column", "unit_map", "unit_patches", "unit_without", "unit_view", "vector_values", "map_sheet",
    "feature_grid", "why_classes", "why_maps", "why_view",
    "attention_stage", "attention_grid", "attention_tokens", "attention_distance", "attention_view",
    "layers_one", "layers_view", "information_chart", "information_view",
    "compare_map", "compare_totals", "compare_grids", "compare_view",
    "blocks_widths", "blocks_view", "views", "code_view",
)  # fmt: skip


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


class Explorer(Messages):
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
        self._shown_of = {}
        self._history = History(self._step(self._scene.subject.name))
        self._refused: dict[str, dict[str, Any]] = {}  # {key: what was typed, why it is none, what would work}
        self._own: dict[str, Explored] = {}  # modules of the user's, by what the picker calls them
        tell = lifetime.weakly(self._tell)
        self._features = FeaturesPane(self._scene, tell)
        self._panes: dict[str, Pane] = {kind.id: kind(self._scene, tell) for kind in PANES}
        self._worker = Worker()
        self._peak = Peak()
        self._showing = False
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
        self._shown_of.clear()
        self._shown, self._described, self._loaded = None, (self.config, self._scene.subject), (None, None)
        self.thumbnail, self.picture, self.frames, self.pixels = "", "", [], b""

    def _close_widget(self) -> None:
        if self.comm is not None:  # else it was refused while it was made
            self.layout.close()
        super().close()
        self.__dict__.pop("_repr_mimebundle_", None)  # which ipywidgets had taken away: a closed app shows its snapshot

    def __del__(self) -> None:
        self._close_widget()  # and nothing more: what nobody holds is let go as it is

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
        one twice, and then changes nothing. To have one of them on the screen, and this one beside it, `choose` it.

        >>> app = Explorer("resnet18", image=None)
        >>> app.compare_with("resnet34")
        >>> app.choose("resnet34")
        >>> [model["name"] for model in app.pane["models"]], app.history
        (['resnet34', 'resnet18'], ['resnet18', 'resnet34'])
        """
        with self._lock:
            self._compare.put(models)
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
        if not same(self._loaded[0], image):
            self._loaded = image, load_image(image)
        return image

    @_check("clip")
    def _check_clip(self, clip: Any) -> Any:
        return _clip(clip)

    @_check("frame")
    def _check_frame(self, frame: int) -> int:
        scene, subject = self._scene, self._subject_of(self.config)
        moments = scene.moments
        if subject is not scene.subject or not same(scene.clip, self.clip):
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
            pictured, filmed = not same(scene.image, self.image), not same(scene.clip, self.clip)
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
            runs, info = fresh_input and again, self.inspection[scene.block]
            only_chosen = chosen and not opened and not runs
            self._refresh(f"{info.name}: {info.type}, {formats.count(info.macs)} MACs." if only_chosen else "")
            if opened:
                self._greet()
            elif runs:
                self._act(self.run)


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
