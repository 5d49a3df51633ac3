"""Information."""

from __future__ import annotations

from classykit.exploring.pane import Pane


class InformationPane(Pane):
    """Information."""

    id, title = "information", "Information"
