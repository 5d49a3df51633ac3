"""Blocks."""

from __future__ import annotations

from classykit.exploring.pane import Pane


class BlocksPane(Pane):
    """Blocks."""

    id, title = "blocks", "Blocks"
