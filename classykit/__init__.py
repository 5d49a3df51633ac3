"""classykit: compose a vision model, see what every choice costs, run it, look inside, leave with code.

The names below are imported when first used, so ``import classykit`` costs little beyond ``import torch``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "build_model": "classykit.models",
    "list_models": "classykit.models",
    "describe": "classykit.models.description",
    "inflate": "classykit.models.inflate",
    "register_model": "classykit.models",
    "ClassyModel": "classykit.models",
    "save_checkpoint": "classykit.models.checkpoint",
    "load_checkpoint": "classykit.models.checkpoint",
    "list_heads": "classykit.heads",
    "register_head": "classykit.heads",
    "load_pretrained": "classykit.weights",
    "load_image": "classykit.images",
    "sample_images": "classykit.images",
    "preprocess": "classykit.inputs",
    "Inputs": "classykit.nested",
    "moving_shapes": "classykit.clips",
    "preprocess_clip": "classykit.clips",
    "inspect": "classykit.inspecting.inspection",
    "compare": "classykit.comparing.compare",
    "clear_cache": "classykit.inspecting.inspection",
    "capture": "classykit.seeing.capture",
    "attention": "classykit.seeing.attention",
    "evidence": "classykit.seeing.evidence",
    "effective_field": "classykit.seeing.effective_field",
    "ablate": "classykit.seeing.ablate",
    "top_patches": "classykit.seeing.top_patches",
    "arithmetic": "classykit.seeing.arithmetic",
    "feature_pca": "classykit.seeing.feature_pca",
    "similarity": "classykit.seeing.similarity",
    "probe": "classykit.learning.probe",
    "fit_heads": "classykit.learning.fit_heads",
    "Space": "classykit.learning.space",
    "sample": "classykit.learning.sample",
    "sweep": "classykit.learning.sweep",
    "run": "classykit.running.run",
    "extract": "classykit.extracting.extract",
    "benchmark": "classykit.measuring.benchmark",
    "profile_blocks": "classykit.measuring.profile_blocks",
    "Experiment": "classykit.experiment",
    "check": "classykit.teaching",
    "progress": "classykit.teaching",
    "explore": "classykit.widgets",
    "design_lab": "classykit.widgets",
}
_ROOMS = (
    "comparing", "datasets", "errors", "extracting", "features", "heads", "images", "inspecting", "learning",
    "measuring", "models", "plots", "running", "seeing", "teaching", "weights", "widgets",
)  # fmt: skip

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    elif name in _ROOMS:
        value = import_module(f"classykit.{name}")
    else:
        raise AttributeError(f"module 'classykit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE, *_ROOMS})
