"""Attention."""

from __future__ import annotations

from classykit.exploring.pane import Pane


class AttentionPane(Pane):
    """Attention."""

    id, title = "attention", "Attention"
