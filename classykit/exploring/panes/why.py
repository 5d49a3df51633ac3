"""Why."""

from __future__ import annotations

from classykit.exploring.pane import Pane


class WhyPane(Pane):
    """Why."""

    id, title = "why", "Why"
