"""Layers."""

from __future__ import annotations

from classykit.exploring.pane import Pane


class LayersPane(Pane):
    """Layers."""

    id, title = "layers", "Layers"
