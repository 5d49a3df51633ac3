"""Features: one map a channel, and the one that is looked at: what moves it most, and what the model says without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from classykit.errors import ClassyKitError, ConfigError, quoted
from classykit.exploring.pane import Acts, Pane, Tell
from classykit.exploring.pixels import data_url
from classykit.exploring.scene import EVIDENCE, PICTURE, Scene
from classykit.features import MAP2D, MAP3D, TOKENS, VECTOR
from classykit.images import load_image, sample_images
from classykit.python_code import literal
from classykit.samples import sample_digits
from classykit.seeing.ablate import Moved, ablate
from classykit.seeing.evidence import evidence
from classykit.seeing.top_patches import Patch, TopPatches, top_patches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLES, DIGITS, FOLDER = "samples", "digits", "folder"
SHOWN = 16  # patches of a channel
SIDE = 96  # pixels at most that a patch travels with
KEPT = 8  # blocks whose strongest places are remembered

_SORTED = {PICTURE: "by likeness to the picture"}


@dataclass
class _Without:
    """What the model says without a channel, and of which pass that is."""

    to: str
    of: Any
    top: list[Moved]


class FeaturesPane(Pane):
    """The chosen block's maps, and within them one unit; it is no tab of those that come and go: always there."""

    id, title = "features", "Features"

    def __init__(self, scene: Scene, tell: Tell):
        super().__init__(scene, tell)
        self._source, self._folder = SAMPLES, ""
        self._found: dict[tuple[str, str, str], TopPatches] = {}  # of the model on the screen, by block and source
        self._of: tuple[Any, str] = (scene.subject, scene.device)
        self._seen: dict[tuple[str, int], np.ndarray] = {}  # pictures that patches were cut from, by source and number
        self._without: _Without | None = None
        self._asked: tuple[Any, ...] = ()  # for whose evidence maps were sorted last, whether it came or not

    # ---- what is worked out ----

    @property
    def due(self) -> bool:
        """The evidence that maps are sorted by, and what the model says of another picture without the channel."""
        return self.scene.is_quick and (self._wants_evidence or self._wants_without)

    def work(self) -> None:
        if self._wants_evidence:
            self._weigh()
        if self._wants_without:
            self._leave_out()

    @property
    def _about(self) -> tuple[Any, ...]:
        scene = self.scene
        return scene.subject, scene.block, scene.last, scene.target

    @property
    def _wants_evidence(self) -> bool:
        scene, known = self.scene, self.scene.known
        places = known is not None and known.kind in (MAP2D, TOKENS)
        return scene.order == EVIDENCE and places and scene.logits is not None and self._asked != self._about

    @property
    def _wants_without(self) -> bool:
        off = bool(self.scene.ablated) and self.scene.last is not None
        return off and (self._without is None or self._without.of is not self.scene.last)

    def _weigh(self) -> None:
        """What each channel has a part in the class that is asked about."""
        scene = self.scene
        scene.scores, self._asked = None, self._about
        model = scene.subject.go_live(scene.device)
        found = evidence(model, scene.input_for(model), scene.target, blocks=scene.block)
        scene.scores = found.channels[scene.block][0].float().cpu()

    def _leave_out(self) -> None:
        """What the model says now."""
        scene, to = self.scene, "zero" if self._without is None else self._without.to
        model = scene.subject.go_live(scene.device)
        self._without = _Without(to, scene.last, ablate(model, scene.input_for(model), scene.ablated, to).top(5))
        ((block, (channel,)),) = scene.ablated.items()
        best = self._without.top[0]
        points = f"{_name(best)} {100 * best.before:.0f} → {100 * best.after:.0f} %"
        self.tell(f"channel {channel} of {block} is switched off: {points}", 0, 0)

    # ---- what is shown ----

    def show(self) -> tuple[dict[str, Any], bytes]:
        self._keep_up()
        return {"unit": self._unit()}, b""

    def _keep_up(self) -> None:
        """Nothing is kept of a model that is no longer on the screen."""
        scene = self.scene
        if self._of != (scene.subject, scene.device):
            self._of, self._found, self._without = (scene.subject, scene.device), {}, None
            self._seen = {}
        if not scene.ablated:
            self._without = None
        if self._asked != self._about:
            scene.scores = None

    @property
    def channel(self) -> int | None:
        """The channel that is looked at, where the chosen block has maps and it is among them."""
        scene = self.scene
        known = scene.known
        if scene.channel is None or known is None or known.kind == VECTOR:
            return None
        return scene.channel if scene.channel in range(known.channels) and scene.features is not None else None

    def _unit(self) -> dict[str, Any] | None:
        scene, channel = self.scene, self.channel
        order = [] if channel is None else scene.channel_order
        if channel is None or channel not in order:
            return None
        scene.turn_to(channel)
        at = order.index(channel)
        return {
            "channel": channel,
            "position": scene.position,
            "rank": f"{ordinal(at + 1)} of {len(order)} {self._sorted}",
            "before": order[at - 1] if at else None,
            "after": order[at + 1] if at + 1 < len(order) else None,
            "patches": self._patches(channel),
            "without": self._said(),
        }

    @property
    def _sorted(self) -> str:
        by = self.scene.sorted_by
        return f"by evidence for {self.scene.target_name}" if by == EVIDENCE else _SORTED.get(by, f"by {by}")

    def _said(self) -> dict[str, Any] | None:
        """The top 5 without the channel; None for a model that tells no classes apart."""
        if self.scene.logits is None:
            return None
        off, to = self._without, "zero" if self._without is None else self._without.to
        rows = [
            {
                "label": _name(m), "share": m.after, "value": f"{100 * m.after:.0f} %", "before": m.before,
                "points": f"{round(100 * m.difference):+d}".replace("-", "−").replace("+0", "±0"),
            }
            for m in (off.top if off is not None else [])
        ]  # fmt: skip
        return {"on": off is not None, "to": to, "rows": rows}

    # ---- its strongest patches ----

    def _patches(self, channel: int) -> dict[str, Any] | None:
        """None where nothing can be cut out: of a clip, a vector, or a strip of tokens."""
        scene, known = self.scene, self.scene.known
        maps = scene.features if known is not None and known.kind in (MAP2D, TOKENS) else None
        if not scene.takes_pictures or maps is None:
            return None
        sources = [{"id": SAMPLES, "label": f"{len(sample_images())} pictures"}]
        if scene.subject.takes_digits:
            sources.append({"id": DIGITS, "label": f"{len(sample_digits())} digits"})
        sources.append({"id": FOLDER, "label": "a folder"})
        found = self._found.get(self._key)
        return {
            "source": self._source,
            "sources": sources,
            "folder": self._folder,
            "auto": scene.is_quick and (self._source != FOLDER or bool(self._folder)),
            "count": None if found is None else found.pictures,
            "note": "" if found is None else self._note(found),
            "items": [] if found is None else [self._item(found, patch) for patch in found.patches[channel]],
        }

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.scene.block, self._source, self._folder

    def _note(self, found: TopPatches) -> str:
        field = found.field
        if field is None or field.size is None or field.is_global:
            return "a unit sees the whole picture, or it is not known what: the dot is where it stands"
        size = " × ".join(map(str, field.size))
        if _is_whole(found):
            return f"the unit sees {size} px, more than the picture: the dot is where it stands"
        return f"each cut to the {size} px that the unit sees"

    def _item(self, found: TopPatches, patch: Patch) -> dict[str, Any]:
        whole = self._whole(found, patch)
        cut = None if _is_whole(found) else patch.box
        image = whole if cut is None else whole[cut]
        rows, columns = found.map_size
        picture, (row, column) = self._picture(patch.picture), patch.position
        dot = None if cut is not None else [(column + 0.5) / columns, (row + 0.5) / rows]
        now = str(self.scene.image) == str(picture) and self.scene.position == patch.position
        return {
            "name": Path(picture).stem.replace("_", " "),
            "value": patch.value,
            "at": [row, column],
            "source": data_url(Image.fromarray(image), SIDE),
            "dot": dot,
            "chosen": now,
        }

    def _whole(self, found: TopPatches, patch: Patch) -> np.ndarray:
        """A picture as the model sees it, in whole numbers; loaded once."""
        key = (self._source + self._folder, patch.picture)
        if key not in self._seen:
            self._seen[key] = (found.crop(replace(patch, box=None)) * 255).round().astype(np.uint8)
        return self._seen[key]

    def _picture(self, number: int) -> Any:
        """The picture of that number, as `load_image` takes it."""
        if self._source == FOLDER:
            folder = self._found[self._key].source.items.data
            return folder.root / folder.ids[number]
        return self._pictures[number]

    @property
    def _pictures(self) -> Any:
        """What is looked through."""
        if self._source == FOLDER:
            return self._folder
        return sample_images() if self._source == SAMPLES else sample_digits()

    # ---- what can be asked for ----

    @property
    def acts(self) -> Acts:
        return {
            "features_unit": (
                {"channel": int, "row": int, "column": int},
                lambda m: self.look_at(m["channel"], (m["row"], m["column"])),
            ),
            "features_close": ({}, lambda m: self.look_at(None)),
            "features_position": ({"row": int, "column": int}, lambda m: self._point(m["row"], m["column"])),
            "features_patches": ({}, lambda m: self.find_patches()),
            "features_source": (
                {"source": str, "folder": str},
                lambda m: self.find_patches(m["source"], m["folder"]),
            ),
            "features_patch": ({"index": int}, lambda m: self.go_to(m["index"])),
            "features_off": ({"on": bool, "to": str}, lambda m: self.switch(m["on"], m["to"])),
        }

    def look_at(self, channel: int | None, position: tuple[int, int] | None = None) -> None:
        """Look at one channel of the chosen block, at a position (row, column); None leaves it.

        What was switched off is on again.
        """
        scene, known = self.scene, self.scene.known
        if channel is not None:
            if known is None or known.kind == VECTOR or not 0 <= channel < known.channels:
                raise ConfigError(f"{scene.block} has no channel {channel} to look at.")
            self._check(position)
        if channel != scene.channel:
            scene.ablated = {}
        scene.channel, scene.position = channel, position if channel is not None else None

    def _point(self, row: int, column: int) -> None:
        self._check((row, column))
        self.scene.position = (row, column)

    def _check(self, position: tuple[int, int] | None) -> None:
        maps = self.scene.maps()
        height, width = (0, 0) if maps is None else maps.over_time.shape[-2:]
        if position is not None and not (0 <= position[0] < height and 0 <= position[1] < width):
            raise ConfigError(
                f"A map of {self.scene.block} has {height} × {width} places: there is none at {position}."
            )

    def find_patches(self, source: str | None = None, folder: str | None = None) -> None:
        """Look for the places that move each channel most, in the sample pictures, the digits, or a folder."""
        scene = self.scene
        self._keep_up()
        source, folder = self._source if source is None else source, self._folder if folder is None else folder.strip()
        folder = str(Path(folder).expanduser()) if folder.startswith("~") else folder
        if source not in (SAMPLES, DIGITS, FOLDER):
            raise ConfigError(f"Patches are looked for in samples, digits or a folder, not {quoted(source)}.")
        if source == FOLDER and folder and not Path(folder).is_dir():
            raise ConfigError(f"There is no folder {quoted(folder)} (looked up from {Path.cwd()}).")
        before = self._source, self._folder
        self._source, self._folder = source, folder if source == FOLDER else self._folder
        if self._key in self._found or (source == FOLDER and not self._folder):
            return
        self.tell(f"Looking for what moves {scene.block} most …", 0, 0)
        try:
            model = scene.subject.go_live(scene.device)
            found = top_patches(model, self._pictures, scene.block, k=SHOWN).without_weights()
        except ClassyKitError:
            self._source, self._folder = before
            raise
        self._found = dict([*self._found.items(), (self._key, found)][-KEPT:])
        self.tell(f"The strongest places of {scene.block} in {found.pictures} pictures.", 0, 0)

    def go_to(self, index: int) -> None:
        """Make the picture of a patch the current one, and look at its position."""
        scene, found = self.scene, self._found.get(self._key)
        patches = () if found is None or self.channel is None else found.patches[self.channel]
        if not 0 <= index < len(patches):
            raise ConfigError(f"There are {len(patches)} patches here, and none of number {index}.")
        image = self._picture(patches[index].picture)
        if str(scene.image) != str(image):
            self._run_on(image)
        scene.position = patches[index].position

    def _run_on(self, image: Any) -> None:
        scene, picture = self.scene, load_image(image)
        before = dict(vars(scene))
        self.tell(f"Running {scene.subject.name} on {Path(image).stem} …", 0, 0)
        try:
            scene.image, scene.picture, scene.uploaded = image, picture, None
            scene.forget()
            scene.run()
        except BaseException:  # it was cancelled, too: all is as it was
            vars(scene).update(before)
            raise

    def switch(self, off: bool, to: str = "zero") -> None:
        """Switch the channel off that is looked at, to zero or its mean, or on again: then everything is as before."""
        scene, channel = self.scene, self.channel
        if to not in ("zero", "mean"):
            raise ConfigError(f"A channel is set to zero or its mean, not to {quoted(to)}.")
        if off and (channel is None or scene.logits is None):
            raise ConfigError("There is no channel to switch off: look at one, of a model that tells classes apart.")
        if not off or channel is None:
            was, scene.ablated, self._without = scene.ablated, {}, None
            for block, channels in was.items():
                self.tell(f"channel {channels[0]} of {block} is on again.", 0, 0)
            return
        before = scene.ablated, self._without
        scene.ablated, self._without = {scene.block: [channel]}, _Without(to, None, [])
        try:
            self._leave_out()
        except BaseException:  # it was cancelled, too
            scene.ablated, self._without = before
            raise

    @property
    def off(self) -> str:
        """What is switched off, in words; "" for nothing."""
        return " ".join(f"Channel {c} of {block} is switched off." for block, (c,) in self.scene.ablated.items())

    # ---- in Python ----

    def figure(self) -> Figure | None:
        channel, scene = self.channel, self.scene
        if channel is None:
            return None
        from classykit.plots import feature_map

        title = f"{scene.subject.name}, {scene.block}, channel {channel}"
        steps = scene.known.spatial[0] if scene.known is not None and scene.known.kind == MAP3D else 1
        return feature_map(
            scene.features, channel, scene.seen_picture(), title=title, frame=scene.step(steps), known=scene.known
        )

    def code(self) -> str:
        channel = self.channel
        if channel is None:
            return ""
        block, lines = literal(self.scene.block), []
        if self._key in self._found:
            looked = {
                SAMPLES: "ck.sample_images()",
                DIGITS: '[f"digit {n}" for n in range(10)]',
                FOLDER: literal(self._folder),
            }[self._source]
            lines.append(f"patches = ck.top_patches(model, {looked}, {block}, channels=[{channel}], k={SHOWN})")
        if self.scene.ablated:
            x = "x" if self.scene.subject.example is None else "example"
            mean = ', to="mean"' if self._without is not None and self._without.to == "mean" else ""
            lines.append(f"without = ck.ablate(model, {x}, {{{block}: [{channel}]}}{mean})")
        return "\n".join(lines)


def _is_whole(found: TopPatches) -> bool:
    """Whether what a unit sees is no smaller than the picture."""
    field = found.field
    return field is None or field.size is None or all(n >= of for n, of in zip(field.size, field.image, strict=True))


def _name(moved: Moved) -> str:
    return moved.label or f"class {moved.number}"


def ordinal(n: int) -> str:
    """A number in its place.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '112th']
    """
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
