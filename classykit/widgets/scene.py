"""What is on the Explorer's screen, as a plain object: a model, a picture, a block, and what a run gave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import torch
from PIL import Image

from classykit import formats
from classykit.analysis.capture import capture
from classykit.analysis.feature_maps import ORDERS, SCALES, FeatureMaps, feature_maps
from classykit.analysis.inspection import Inspection
from classykit.analysis.run import Pass, devices, run_once, top_classes
from classykit.errors import ConfigError
from classykit.experiment import Experiment
from classykit.features import shape_text
from classykit.images import Preprocessing, preprocess, sample_images
from classykit.models.classy_model import ClassyModel
from classykit.widgets import present
from classykit.widgets.subject import Subject

PAGE = 24  # feature maps shown at a time

# A model that runs as fast, or has as few MACs, runs again by itself for another block or picture. The MACs count
# too, because a first pass takes long on any machine.
QUICK_SECONDS, QUICK_MACS = 1.0, 5e9


class Scene:
    """The state of one Explorer and what follows from it; the widgets only show it.

    Attributes:
        subject: the model under exploration.
        device: where it runs.
        image: the picture as it was given; ``picture`` is the same, loaded.
        uploaded: the file name of an uploaded picture.
        block: name of the chosen block.
        last: the last pass, None when the model, picture or device has changed since.
        order, scale, offset: which feature maps are shown, and how.
    """

    def __init__(self, subject: Subject, device: str, image: Any, picture: Image.Image | None):
        self.device, self.image, self.picture = device, image, picture
        self.uploaded: str | None = None
        self.block = ""
        self.order, self.scale, self.offset = ORDERS[0], SCALES[0], 0
        self.open(subject)

    def open(self, subject: Subject) -> None:
        """Put another model on the screen."""
        self.subject = subject
        self.forget()

    def forget(self) -> None:
        """Let go of the last pass: it is no longer of what is on the screen."""
        self.last: Pass | None = None
        self._features: dict[str, Any] = {}  # {block: features} of the last block looked at

    @property
    def inspection(self) -> Inspection:
        """What the model is and what it costs."""
        return self.subject.inspection

    @property
    def block_names(self) -> list[str]:
        """The blocks that can be chosen."""
        return [b.name for b in present.listed(self.inspection)]

    @property
    def takes_pictures(self) -> bool:
        """Whether the model runs on a picture, and not on a clip or a vector."""
        return len(self.inspection.input_shape) == 3

    @property
    def image_name(self) -> str | None:
        """What the picture is called in code."""
        if self.image is None:
            return None
        return str(self.image) if isinstance(self.image, (str, PurePath)) else self.uploaded or "picture.png"

    @property
    def experiment(self) -> Experiment:
        """The description of what is on the screen."""
        return Experiment(
            config=self.subject.config,
            pretrained=self.subject.trained is not None and self.subject.adopted is None,
            image=self.image_name if self.takes_pictures else None,
            device=self.device,
            block=self.block or None,
            adopted=self.subject.adopted,
        )

    # ---- running ----

    def run(self, on_block: Callable[[int, int], None] | None = None) -> Pass:
        """Run the model on the picture, on the device; its weights are allocated when there are none yet."""
        fresh = not self.subject.is_live_on(self.device)
        model = self.subject.go_live(self.device)
        x = self.input_for(model)
        if fresh and self.inspection.macs < QUICK_MACS:
            run_once(model, x)  # the first pass pays for setting up kernels, which is not the model's time
        self.last = run_once(model, x, blocks=[self.block], on_block=on_block)
        self._features = self.last.features
        return self.last

    @property
    def is_quick(self) -> bool:
        """Whether another pass may be made without being asked for."""
        return self.last is not None and (self.last.seconds < QUICK_SECONDS or self.inspection.macs < QUICK_MACS)

    def input_for(self, model: ClassyModel) -> torch.Tensor:
        """The picture as the model takes it, where the model is."""
        if self.picture is None:
            raise ConfigError("There is no picture to run on: choose or upload one.")
        reference = next(model.parameters(), torch.empty(0))
        return preprocess(self.picture, model).to(reference.device, reference.dtype)

    def features(self) -> Any:
        """What the chosen block gave: from the last run, or from another pass where that is quick; else None."""
        if self.block not in self._features and self.is_quick:
            model = self.subject.go_live(self.device)
            self._features = capture(model, self.input_for(model), self.block)
        return self._features.get(self.block)

    def maps(self) -> FeatureMaps | None:
        """The chosen block's maps, a page of them; None before a run, or where nothing can be drawn."""
        features = self.features()
        if not isinstance(features, torch.Tensor):
            return None
        maps = feature_maps(features, self.order, self.scale, start=self.offset, count=PAGE)
        return maps if maps.channels else None

    def predictions(self) -> list[dict[str, Any]]:
        """The most probable classes of the last run, where the model has labels."""
        labels = self.subject.model.labels
        if self.last is None or not labels:
            return []
        outputs = self.last.output.values() if isinstance(self.last.output, dict) else [self.last.output]
        for logits in (self.last.trunk, *outputs):
            if isinstance(logits, torch.Tensor) and logits.ndim == 2 and logits.shape[1] == len(labels):
                return present.predictions(top_classes(logits, labels))
        return []

    def seen_picture(self) -> Image.Image | None:
        """The part of the picture that the model sees."""
        if self.picture is None:
            return None
        shape = self.inspection.input_shape
        if self.subject.preprocessing is not None:
            return self.subject.preprocessing.to_display(self.picture)
        return Preprocessing(size=(shape[-2], shape[-1])).to_display(self.picture) if len(shape) >= 3 else self.picture

    # ---- states of the views ----

    def bar(self) -> dict[str, Any]:
        """State of the `ModelBar`."""
        s = self.subject
        seconds = self.last.seconds if self.last is not None else None
        return present.bar(
            s.inspection, s.family, s.trained, self.device, devices(), s.dtype, seconds, s.adopted is not None
        )

    def map(self) -> dict[str, Any]:
        """State of the `BlockMap`."""
        heads = {unique_id: head for unique_id, (_, head) in self.subject.heads().items()}
        picture = self.seen_picture()
        return present.block_map(self.inspection, heads, "" if picture is None else present.data_url(picture, 96))

    def panel(self) -> dict[str, Any]:
        """State of the `BlockPanel`."""
        return present.panel(self.inspection, self.block, self.subject.heads())

    def view(self) -> tuple[dict[str, Any], bytes]:
        """(state, pixels) of the `FeatureView`."""
        maps = self.maps()
        described, pixels = None, b""
        if maps is not None:
            described, pixels = present.features(maps, self.order, self.scale, self.offset, PAGE)
        images = [{"name": str(s), "label": s.description} for s in sample_images()]
        name, picture, predictions = self.image_name or "", self.seen_picture(), self.predictions()
        if name and name not in [i["name"] for i in images]:
            images.append({"name": name, "label": name})
        state = {
            "images": images,
            "image": name,
            "image_label": name,
            "picture": "" if picture is None else present.data_url(picture, 448),
            "predictions": predictions,
            "prediction_title": f"top {len(predictions)} · {self.subject.trained}" if predictions else "",
            "untrained": self.subject.trained is None,
            "ran": self.last is not None,
            "run_text": self._run_text(),
            "block": self.block,
            "features": described,
            "hint": self._hint(),
            "table": present.table(self.inspection),
        }
        return state, pixels

    def _hint(self) -> str:
        """What stands in the place of feature maps before there are any."""
        if self.takes_pictures:
            return f"Run the model to see what {self.block} sees."
        shape = shape_text(self.inspection.input_shape)
        return f"{self.subject.name} takes inputs of {shape}, not pictures: here it is inspected, not run."

    def _run_text(self) -> str:
        """ "31 ms on cpu · my head gave 1×10" """
        if self.last is None:
            return ""
        outputs = self.last.output
        if not isinstance(outputs, dict):
            heads = self.subject.heads()
            outputs = {next(iter(heads)): outputs} if len(heads) == 1 else {}
        gave = [f"{h} gave {'×'.join(map(str, o.shape))}" for h, o in outputs.items() if isinstance(o, torch.Tensor)]
        return " · ".join([f"{formats.seconds(self.last.seconds)} on {self.last.device}", *gave])
