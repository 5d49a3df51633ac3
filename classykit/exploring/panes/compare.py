"""Compare."""

from __future__ import annotations

from classykit.exploring.pane import Pane


class ComparePane(Pane):
    """Compare."""

    id, title = "compare", "Compare"
