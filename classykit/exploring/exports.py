"""What people take along from the app: files of what is on the screen."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from classykit.errors import ConfigError, quoted
from classykit.exploring.pane import Pane
from classykit.exploring.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("code.py", "config.json", "blocks.csv", "map.svg", "map.png", "view.svg", "view.png")
DPI = 200  # of a PNG: sharp in a paper of two columns


def export(kind: str, scene: Scene, pane: Pane | None, code: str) -> bytes:
    """A file of what is on the screen.

    Args:
        kind: "code.py": ``code``; "config.json": the description of the run; "blocks.csv": all blocks in figures;
            "map.svg", "map.png": the architecture; "view.svg", "view.png": what the open tab shows.
        pane: the open tab; None for the features.

    ConfigError for another kind, or where the tab shows nothing yet.
    """
    if kind not in KINDS:
        raise ConfigError(f"A file is one of {', '.join(KINDS)}, not {quoted(kind)}.")
    name, _, suffix = kind.partition(".")
    texts: dict[str, Callable[[], str]] = {
        "code": lambda: code,
        "config": scene.experiment.to_json,
        "blocks": lambda: scene.inspection.to_pandas().to_csv(),
    }
    if name in texts:
        return texts[name]().encode()
    figure = scene.inspection.plot("architecture") if name == "map" else view(scene, pane)
    if figure is None:
        raise ConfigError("There is nothing on this tab to save yet: run it first.")
    out = io.BytesIO()
    figure.savefig(out, format=suffix, dpi=DPI)
    return out.getvalue()


def view(scene: Scene, pane: Pane | None) -> Figure | None:
    """What the open tab shows, as a figure; None while it shows nothing."""
    if pane is not None:
        return pane.figure()
    if scene.maps() is None:
        return None
    from classykit.plots import feature_grid

    return feature_grid(
        scene.features, scene.seen_picture(), title=f"{scene.subject.name}, {scene.block}", order=scene.ranking,
        scale=scene.scale, known=scene.known,
    )  # fmt: skip
