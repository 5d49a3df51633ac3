"""What is on the Explorer's screen, as a plain object: a model, a picture or clip, a block, and what a run gave."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image

from classykit.clips import load_clip, preprocess_clip, seen_frames
from classykit.datasets import digit
from classykit.errors import ConfigError
from classykit.experiment import Experiment, described
from classykit.exploring.explored import Explored
from classykit.features import MAP3D, Features
from classykit.images import Preprocessing, load_image
from classykit.inputs import preprocess
from classykit.inspecting.report import Inspection
from classykit.measuring.profile_blocks import Profile, profile_blocks
from classykit.models.classy_model import ClassyModel
from classykit.running.run import Run, run
from classykit.samples import sample_digits
from classykit.seeing.capture import capture
from classykit.seeing.feature_maps import ORDERS, SCALES, FeatureMaps, channel_order, feature_maps
from classykit.seeing.scores import as_scores, classifies
from classykit.weights.labels import top_classes

# Feature maps shown at a time: as many as this many bytes carry to the browser, with all their time steps.
PAGES = (24, 16, 8, 4, 2, 1)
PAGE_BYTES = 4_000_000

# A model that runs as fast, or has as few MACs, runs again by itself for another block or picture. The MACs count
# too, because a first pass takes long on any machine.
QUICK_SECONDS, QUICK_MACS = 1.0, 5e9

# How maps are sorted; the last two by how like the picture's brightness they are, and by what they add to a class.
PICTURE, EVIDENCE = "picture", "evidence"
SORTS = (*ORDERS, PICTURE, EVIDENCE)

FIRST_DIGIT = "digit 7"  # what a model of vectors gets at first

# How long blocks are timed, beside what it takes to warm up.
MEASURED_SECONDS = 0.5

# A pass keeps what all blocks gave, when it is no more than this.
KEPT_BYTES = 128_000_000


def frames_for(subject: Explored, clip: Any) -> list[Image.Image]:
    """A clip's frames as a model sees them; none where it takes no clips."""
    return seen_frames(load_clip(clip), subject.model) if subject.takes_clips else []


class Scene:
    """The state of one Explorer and what follows from it; the widgets only show it.

    Attributes:
        subject: the model under exploration.
        device: where it runs.
        image: the picture as it was given; ``picture`` is the same, loaded.
        uploaded: the file name of an uploaded picture.
        clip: the clip, for video models: a name in `classykit.clips.SAMPLE_CLIPS`, or one of the user's.
        block: name of the chosen block.
        profile: the measured times of its blocks; None when they were not measured, or the model, its heads or the
            device have changed since.
        last: the last pass, None when the model, its input or the device has changed since.
        given: what each head that was attached then gave in it.
        order, scale, offset: which feature maps are shown, and how; ``order`` is one of `SORTS`.
        channel, position: the unit that is looked at in the chosen block, its channel and (row, column); None for none.
        ablated: {block: channels} that are switched off, for as long as the unit is looked at; empty for none.
        scores: what each channel of the chosen block has a part in the class that is asked about, (C,); None before
            that was asked.
        target: the class that is asked about; None for the most probable.
        knows: what each block's features tell, {block: accuracy of a probe on them}; empty before they were asked.
    """

    _picture: Image.Image | None

    def __init__(self, subject: Explored, device: str, image: Any, picture: Image.Image | None, clip: Any):
        self.device, self.image, self.picture, self.clip = device, image, picture, clip
        self.uploaded: str | None = None
        self.order, self.scale, self.offset = ORDERS[0], SCALES[0], 0
        self.block = ""
        self.target: int | None = None
        self.open(subject)

    def open(self, subject: Explored) -> None:
        """Put another model on the screen; the block of the old one's name stays chosen where there is one."""
        self.subject = subject
        self.profile: Profile | None = None
        self.knows: dict[str, float] = {}
        self.forget()
        self.frame = len(self.frames) // 2  # at the ends of a clip convolutions see the padding too
        names = self.block_names
        self.choose(self.block if self.block in names else names[min(3, len(names) - 1)])

    def choose(self, block: str) -> None:
        """Choose a block; its first maps are shown."""
        self.block, self.offset = block, 0
        self.channel: int | None = None
        self.position: tuple[int, int] | None = None
        self.ablated: dict[str, list[int]] = {}
        self.scores: torch.Tensor | None = None

    def forget(self) -> None:
        """Let go of the last pass: it is no longer of what is on the screen."""
        self.last: Run | None = None
        # what takes a while to find: (what it was found in, what was found)
        self._logits: tuple[Any, torch.Tensor | None] | None = None
        self._labels: tuple[Any, list[str]] | None = None
        self.given: dict[str, Any] = {}
        self._features: dict[str, Any] = {}  # {block: features} of the last block looked at, or of all
        self.scores = None
        self._pictures: list[Image.Image] | None = None  # once they were asked for

    def let_go(self) -> None:
        """Let go of the weights, and of what they gave; what the model is stays known."""
        self.forget()
        self.profile = None
        vars(self).pop("_picture", None)
        self.subject.let_go()

    @property
    def picture(self) -> Image.Image | None:
        """The picture, loaded; None for none."""
        if self.takes_vectors:
            return load_image(self.image_name)
        if "_picture" not in vars(self):  # it was let go
            self._picture = None if self.image is None else load_image(self.image)
        return self._picture

    @picture.setter
    def picture(self, picture: Image.Image | None) -> None:
        self._picture = picture

    @property
    def inspection(self) -> Inspection:
        """What the model is and what it costs."""
        return self.subject.inspection

    @property
    def block_names(self) -> list[str]:
        """The names of the blocks."""
        return [b.name for b in self.inspection.trunk]

    @property
    def takes_pictures(self) -> bool:
        """Whether the model runs on a picture, and not on a clip, a vector or an example of the user's."""
        return self.subject.takes_pictures

    @property
    def takes_clips(self) -> bool:
        """Whether the model runs on a clip, (3, T, H, W)."""
        return self.subject.takes_clips

    @property
    def takes_vectors(self) -> bool:
        """Whether the model runs on a digit as a vector."""
        return self.subject.digit_side is not None

    @property
    def runs(self) -> bool:
        """Whether there is something here that the model runs on."""
        return self.takes_pictures or self.takes_clips or self.takes_vectors or self.subject.example is not None

    @property
    def clip_name(self) -> str:
        """What the clip is called."""
        return self.clip if isinstance(self.clip, str) else "your clip"

    @property
    def pictures(self) -> list[Image.Image]:
        """What the model sees: the picture as it is cut for it, or the clip's frames; one list until they change."""
        if self._pictures is None:
            self._pictures = frames_for(self.subject, self.clip) or self._seen()
        return self._pictures

    def _seen(self) -> list[Image.Image]:
        if self.picture is None or self.subject.example is not None:
            return []
        shape = self.inspection.input_shape
        if self.subject.preprocessing is not None:
            return [self.subject.preprocessing.to_display(self.picture)]
        if not self.takes_pictures:
            return [self.picture] if self.takes_vectors else []
        return [Preprocessing(size=(shape[-2], shape[-1])).for_channels(shape[0]).to_display(self.picture)]

    @property
    def frames(self) -> list[Image.Image]:
        """The clip's frames as the model sees them; none where it takes no clips."""
        return self.pictures if self.takes_clips else []

    @property
    def moments(self) -> int:
        """How many moments there are to look at: the clip's frames, or the maps' time steps where there are more."""
        known = self.known if isinstance(self.features, torch.Tensor) else None
        return max(len(self.frames), known.spatial[0] if known is not None and known.kind == MAP3D else 1)

    @property
    def frame(self) -> int:
        """The moment that is shown, from 0."""
        return min(self._frame, self.moments - 1)

    @frame.setter
    def frame(self, frame: int) -> None:
        self._frame = frame

    @property
    def image_name(self) -> str | None:
        """What the picture is called in code; a model of vectors gets a digit whatever picture is chosen."""
        if self.takes_vectors:
            return self.image if isinstance(self.image, str) and self.image in sample_digits() else FIRST_DIGIT
        if self.image is None:
            return None
        return str(self.image) if isinstance(self.image, (str, PurePath)) else self.uploaded or "picture.png"

    @property
    def experiment(self) -> Experiment:
        """The description of what is on the screen."""
        heads = {name: self.subject.head_with_weights(name) for name in self.subject.heads()}
        return Experiment(
            config=self.subject.config,
            pretrained=self.subject.trained is not None and self.subject.adopted is None,
            image=self.image_name if self.takes_pictures or self.takes_vectors else None,
            digit_side=self.subject.digit_side,
            clip=self.clip_name if self.takes_clips else None,
            device=self.device,
            block=self.block or None,
            learnt=tuple(name for name, h in heads.items() if h is not None and not h.is_untrained) or None,
            adopted=self.subject.adopted,
            input_shape=self.subject.said_shape,
            example=None if self.subject.example is None else described(self.subject.example),
        )

    # ---- running ----

    def run(self, on_block: Callable[[int, int], None] | None = None) -> Run:
        """Run the model on the picture or clip, on the device; its weights are allocated when there are none yet."""
        fresh = not self.subject.is_live_on(self.device)
        model = self.subject.go_live(self.device)
        x = self.input_for(model)
        if fresh and self.inspection.macs < QUICK_MACS:
            self._run(model, x)  # the first pass pays for setting up kernels, which is not the model's time
        self.last = self._run(model, x, blocks=self._worth_keeping(), on_block=on_block)
        self._features = self.last.features
        output, heads = self.last.output, list(self.subject.heads())
        self.given = output if isinstance(output, dict) else {heads[0]: output} if len(heads) == 1 else {}
        return self.last

    def _run(self, model: ClassyModel, x: Any, **keys: Any) -> Run:
        """In the model's own number type and layout, so that what is seen is what the code gives, to the last digit."""
        return run(model, x, self.device, self.subject.dtype, channels_last=False, trunk=True, progress=False, **keys)

    def measure(self) -> Profile:
        """Measure the time of each block, on the device, as the model runs here."""
        model = self.subject.go_live(self.device)
        self.profile = profile_blocks(
            model, self.input_for(model), device=self.device, dtype=self.subject.dtype, channels_last=False,
            seconds=MEASURED_SECONDS, progress=False,
        )  # fmt: skip
        return self.profile

    def _worth_keeping(self) -> list[str]:
        """The blocks whose features a pass keeps: all, so that no other takes another pass, or the chosen one."""
        shapes = [b.output_shape for b in self.inspection.trunk if b.output_shape is not None]
        return self.block_names if 4 * sum(map(math.prod, shapes)) <= KEPT_BYTES else [self.block]

    @property
    def is_quick(self) -> bool:
        """Whether another pass may be made without being asked for."""
        return self.last is not None and (self.last.seconds < QUICK_SECONDS or self.inspection.macs < QUICK_MACS)

    def input_for(self, model: ClassyModel) -> Any:
        """The picture or clip as the model takes it, where the model is."""
        reference = next(model.parameters(), torch.empty(0))
        if self.subject.example is not None:
            return model.example_input(1, reference.device)
        if self.takes_clips:
            x = preprocess_clip(load_clip(self.clip), model).to(reference.device, reference.dtype)
            key = getattr(model, "input_key", None)
            return x if key is None else {key: x}
        if self.subject.digit_side is not None:
            number = int(str(self.image_name)[-1])
            return digit(number, self.subject.digit_side).flatten(1).to(reference.device, reference.dtype)
        if self.picture is None:
            raise ConfigError("There is no picture to run on: choose or upload one.")
        return preprocess(self.picture, model).to(reference.device, reference.dtype)

    @property
    def wants_look(self) -> bool:
        """Whether what the chosen block gives was not kept, and may be had by another pass."""
        return self.is_quick and self.block not in self._features

    def look(self) -> None:
        """Make another pass, for what the chosen block gives."""
        model = self.subject.go_live(self.device)
        self._features = capture(model, self.input_for(model), self.block)

    def keep_all(self) -> None:
        """Have what every block gives, by another pass where it takes one; what is very large only where at hand."""
        names = [name for name in self.block_names if name not in self._features]
        shapes = [block.output_shape for block in self.inspection.trunk if block.output_shape is not None]
        if names and 4 * sum(map(math.prod, shapes)) <= KEPT_BYTES:
            model = self.subject.go_live(self.device)
            self._features = {**self._features, **capture(model, self.input_for(model), names)}

    @property
    def features(self) -> Any:
        """What the chosen block gave; None before a pass."""
        return self._features.get(self.block)

    def maps(self) -> FeatureMaps | None:
        """The chosen block's maps, a page of them; None before a pass, or where nothing can be drawn."""
        features = self.features
        if not isinstance(features, torch.Tensor):
            return None
        keys: dict[str, Any] = {"start": self.offset, "count": self.page_size, "known": self.known}
        maps = feature_maps(features, self.ranking, self.scale, **keys)
        return maps if maps.channels else None

    @property
    def ranking(self) -> str | torch.Tensor:
        """How the maps are sorted now, as `feature_maps` takes it: by variance, where nothing says otherwise yet."""
        by, seen = self.sorted_by, self.seen_picture()
        if by == EVIDENCE and self.scores is not None:
            return self.scores
        if by == PICTURE and seen is not None:
            return torch.from_numpy(np.asarray(seen, dtype=np.float32).mean(2) / 255)
        return by

    @property
    def sorted_by(self) -> str:
        """The chosen order, or by variance where that one cannot be had."""
        there = {EVIDENCE: self.scores is not None, PICTURE: self.seen_picture() is not None}
        return self.order if there.get(self.order, True) else ORDERS[0]

    @property
    def channel_order(self) -> list[int]:
        """All channels of the chosen block, as they are sorted; empty where there are no maps."""
        if not isinstance(self.features, torch.Tensor):
            return []
        return channel_order(self.features, self.ranking, self.known)

    def turn_to(self, channel: int) -> None:
        """Show the page of maps that a channel is on."""
        order = self.channel_order
        if channel in order:
            self.offset = order.index(channel) // self.page_size * self.page_size

    @property
    def known(self) -> Features | None:
        """Of which kind the chosen block's features are."""
        return self.inspection[self.block].features

    @property
    def page_size(self) -> int:
        """How many of the chosen block's maps are shown at a time."""
        known = self.known
        if known is None or known.kind != MAP3D:
            return PAGES[0]
        of_one = 2 * math.prod(known.spatial)
        return next((n for n in PAGES if n * of_one <= PAGE_BYTES), 1)

    def step(self, steps: int) -> int:
        """Which of so many time steps belongs to the moment that is shown."""
        return min(self.frame * steps // max(self.moments, steps), steps - 1)

    @property
    def labels(self) -> list[str]:
        """What the classes are called that the model tells apart; empty where that is not known."""
        labels = self.subject.model.labels
        if self._labels is None or self._labels[0] is not labels:
            known = isinstance(labels, (list, tuple)) and all(isinstance(name, str) for name in labels)
            self._labels = labels, list(labels) if known and labels is not None else []
        return self._labels[1]

    @property
    def logits(self) -> torch.Tensor | None:
        """(1, classes) of the last run: those that have names, else the trunk's own, else a head's; None for none."""
        if self.last is None:
            return None
        if self._logits is None or self._logits[0] is not self.given:
            self._logits = self.given, self._find_logits(self.last)
        return self._logits[1]

    def _find_logits(self, last: Run) -> torch.Tensor | None:
        trunk, model = as_scores(last.trunk), self.subject.model
        scores = [s for s in map(as_scores, self.given.values()) if s is not None]
        if trunk is not None and (classifies(model, trunk.shape[1]) or trunk.shape[1] == len(self.labels)):
            scores.insert(0, trunk)
        named = (s for s in scores if s.shape[1] == len(self.labels))
        return next(named, scores[0] if scores else None)

    @property
    def target_name(self) -> str:
        """The class that is asked about, in words; "" before there are any."""
        if self.logits is None:
            return ""
        number = int(self.logits[0].argmax()) if self.target is None else self.target
        return self.labels[number] if number < len(self.labels) else f"class {number}"

    def predictions(self) -> list[tuple[str, float]]:
        """The most probable classes of the last run and how probable they are, where the model has labels."""
        labels, logits = self.labels, self.logits
        if logits is None or not labels or logits.shape[1] != len(labels):
            return []
        return top_classes(logits, labels)

    def seen_picture(self) -> Image.Image | None:
        """The part of the picture that the model sees; of a clip, the frame at the moment that is shown."""
        return self.pictures[self.step(len(self.pictures))] if self.pictures else None
